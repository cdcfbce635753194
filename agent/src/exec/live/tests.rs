//! The law of live queries: packets bit by bit give the answer of the same packets in a file.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::util::display::array_value_to_string;
use futures::TryStreamExt as _;

use super::{Bit, Live, Span};
use crate::capfile;
use crate::decode::{Packet, Tuple};
use crate::exec::scan::{ScanFile, ScanReport};
use crate::exec::{Answer, RunOptions, Source, run};
use crate::frames::Frames;
use crate::plan::pipeline::Pipeline;
use crate::store::{Content, RecordBlock, SourceWriter, Tail, WriterOptions};

const SECOND: i64 = 1_000_000_000;

const QUERIES: [&str; 12] = [
    "packet ipv4.DstIP !~ 10.0.0.0/8 ipv4.SrcIP tcp.DstPort | count by SrcIP,DstIP,DstPort | count by SrcIP,DstIP,DstPort | chart count by SrcIP limit 20",
    "packet ipv4.DstIP !~ 10.0.0.0/8 ipv4.SrcIP tcp.DstPort | require DstPort | count by SrcIP,DstIP,DstPort | count by SrcIP | sort by count desc | limit 20 | table -nt SrcIP count",
    "packet ipv4.SrcIP tcp.DstPort | count by SrcIP,DstPort over 10s | count by SrcIP over 1m | table SrcIP count TIMESTAMP",
    "packet ipv4.SrcIP tcp.DstPort frame.Len | stats count sum(Len) mean(Len) stddev(Len) min(Len) max(Len) unique_count(DstPort) by SrcIP DstPort over 5s | table",
    "packet ipv4.SrcIP frame.Len | stats count mean(Len) variance(Len) unique_count(SrcIP) | table",
    "packet ipv4.SrcIP ipv4.DstIP | unique SrcIP DstIP | sort by SrcIP DstIP | table SrcIP DstIP",
    "packet udp.DstPort | unique DstPort over 30s | count by DstPort | sort by count desc DstPort asc | table -nt DstPort count",
    "packet ipv4.SrcIP frame.Len | eval if (Len > 100) { big = 1; } | stats sum(big) count by SrcIP | sort by count desc SrcIP asc | limit 7 | table SrcIP count sum",
    "packet ipv4.SrcIP tcp.DstPort frame.Len | stats sum(Len) as bytes count as n by SrcIP | chart bytes n by SrcIP limit 4",
    "packet ipv4.SrcIP ipv4.DstIP | count by SrcIP DstIP | stackgraph SrcIP DstIP count",
    "packet frame.Len | sort by Len desc | limit 12 | table Len",
    "packet ipv4.SrcIP ipv4.DstIP | count by SrcIP DstIP | fdg SrcIP DstIP",
];

fn pipeline(query: &str) -> Pipeline {
    let (tree, diagnostics) = crate::lang::parse(&format!("tag=pcap {query}"));
    let tree = tree.unwrap_or_else(|| panic!("{query}: {diagnostics:?}"));
    crate::plan::resolve(&tree).unwrap_or_else(|errors| panic!("{query}: {errors:?}"))
}

fn inputs(names: &[&str]) -> Vec<capfile::Input> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures");
    let paths: Vec<_> = names
        .iter()
        .map(|name| folder.join(name).display().to_string())
        .collect();
    capfile::discover(&paths).unwrap()
}

/// All frames, by time.
fn frames(inputs: &[capfile::Input]) -> Vec<Frames> {
    let mut all = Vec::new();
    for input in inputs {
        let mut reader = input.open().unwrap();
        while let Some(frame) = reader.next_frame() {
            let mut one = Frames::default();
            one.push(frame);
            all.push(one);
        }
    }
    all.sort_by_key(|one| one.times().next().unwrap());
    all
}

/// The rows of an answer as text; in order only where the query sorts.
async fn rows(answer: Answer, query: &str) -> Vec<String> {
    let batches: Vec<_> = answer.stream.try_collect().await.unwrap();
    let mut rows = vec![format!("{:?} {:?}", answer.columns, answer.shape)];
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter();
            let values = values.map(|array| rounded(array_value_to_string(array, row).unwrap()));
            rows.push(values.collect::<Vec<_>>().join("\t"));
        }
    }
    if !query.contains("sort") {
        rows.sort();
    }
    rows
}

/// Sums of fractions depend in their last digits on the order in which they are made.
fn rounded(value: String) -> String {
    match value.parse::<f64>() {
        Ok(number) if value.contains('.') => format!("{number:.9e}"),
        _ => value,
    }
}

/// Fails with the first row that differs.
fn same(got: &[String], expected: &[String], what: &str) {
    let differs = |(got, expected): &(&String, &String)| got != expected;
    let first = got.iter().zip(expected).find(differs);
    assert_eq!(first, None, "{what}");
    assert_eq!(got.len(), expected.len(), "{what}");
}

async fn of_file(query: &str, inputs: &[capfile::Input], options: &RunOptions) -> Vec<String> {
    let source = Source::from(ScanFile::tagged(inputs.to_vec(), "pcap"));
    let report = Arc::new(ScanReport::default());
    let answer = run(&pipeline(query), source, options, report)
        .await
        .unwrap();
    rows(answer, query).await
}

/// The final answer, and how many windows closed before it.
async fn live(
    query: &str,
    frames: &[Frames],
    per_bit: usize,
    each: bool,
    options: &RunOptions,
) -> (Vec<String>, usize) {
    let report = Arc::new(ScanReport::default());
    let pipeline = pipeline(query);
    let mut live = Live::new(&pipeline, options, SECOND, Arc::clone(&report))
        .await
        .unwrap();
    let mut windows = 0;
    for several in frames.chunks(per_bit) {
        let mut bit = Frames::default();
        several
            .iter()
            .filter_map(|one| one.get(0))
            .for_each(|frame| bit.push(frame));
        let newest = bit.times().flatten().max().unwrap();
        let bit = Bit::Frames {
            frames: Arc::new(bit),
            tag: "pcap".into(),
        };
        live.push(&bit).await.unwrap();
        windows += live.close_until(newest, each).await.unwrap().len();
    }
    assert_eq!(live.late_packets(), 0);
    assert_eq!(report.packets_read() > 0, !frames.is_empty());
    (rows(live.answer().await.unwrap(), query).await, windows)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bit_by_bit_gives_the_answer_of_the_file() {
    let options = RunOptions::default();
    let inputs = inputs(&["bittorrent"]);
    let frames = frames(&inputs);
    assert!(frames.len() > 1000);
    for query in QUERIES {
        let expected = of_file(query, &inputs, &options).await;
        assert!(expected.len() > 1, "{query}: {expected:?}");
        for (per_bit, each) in [(frames.len(), false), (777, true), (97, false)] {
            let (got, windows) = live(query, &frames, per_bit, each, &options).await;
            same(&got, &expected, &format!("{query} by {per_bit}"));
            assert!(windows > 0, "{query} by {per_bit}");
        }
    }
}

/// Of packets that are not stored, while their tuples are written: through rotation and the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tuples_bit_by_bit_give_the_answer_of_their_packets() {
    let inputs = inputs(&["bittorrent"]);
    let frames = frames(&inputs);
    for query in [QUERIES[1], QUERIES[3], QUERIES[8], QUERIES[10]] {
        let expected = of_file(query, &inputs, &RunOptions::default()).await;
        let got = live_tuples(query, &frames).await;
        same(&got, &expected, query);
    }
}

async fn live_tuples(query: &str, frames: &[Frames]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let options = WriterOptions {
        content: Content::Tuples,
        rotate_bytes: 30_000,
        ..WriterOptions::default()
    };
    let source = folder.path().join("pcap/lan0");
    let (mut writer, _) = SourceWriter::open(&source, options, SECOND).unwrap();
    let mut tail = Tail::new(folder.path(), Box::new(|_| true), None).unwrap();
    let report = Arc::new(ScanReport::default());
    let mut live = Live::new(
        &pipeline(query),
        &RunOptions::default(),
        SECOND,
        Arc::clone(&report),
    )
    .await
    .unwrap();
    let mut block = RecordBlock::default();
    for several in frames.chunks(200) {
        block.clear();
        for frame in several.iter().filter_map(|one| one.get(0)) {
            block.push_tuple(&Tuple::of(&Packet::decode(&frame)));
        }
        writer.append(&block);
        take(&mut live, &mut tail).await;
        let newest = several.iter().flat_map(Frames::times).flatten().max();
        live.close_until(newest.unwrap(), false).await.unwrap();
    }
    let (closed, _, error) = writer.close(SECOND);
    assert!(error.is_none() && !closed.is_empty(), "{error:?}");
    take(&mut live, &mut tail).await;
    assert_eq!(live.late_packets(), 0);
    assert!(report.unanswered().is_empty());
    rows(live.answer().await.unwrap(), query).await
}

/// What the store has that the query has not seen.
async fn take(live: &mut Live, tail: &mut Tail) {
    let news = tail.look().unwrap();
    assert_eq!(news.removed, Vec::<String>::new());
    for committed in news.committed {
        let table = committed.table().unwrap().unwrap();
        let input = capfile::Input::from_path(committed.path, table.length());
        let mut file = ScanFile::tagged(vec![input], "pcap").remove(0);
        file.tuples = Some(table);
        let number = committed.sequence;
        let file = Box::new(file);
        live.push(&Bit::Tuples { file, number }).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_that_passes_its_share_goes_to_files_and_changes_nothing() {
    let inputs = inputs(&["bittorrent"]);
    let frames = frames(&inputs);
    let small = RunOptions {
        memory_limit_bytes: 4 << 20,
        ..RunOptions::default()
    };
    for query in [QUERIES[1], QUERIES[10]] {
        let expected = of_file(query, &inputs, &RunOptions::default()).await;
        let (got, _) = live(query, &frames, 500, true, &small).await;
        same(&got, &expected, query);
    }
}

#[tokio::test]
async fn a_window_answers_by_itself() {
    let query = "packet ipv4.SrcIP | count | chart count";
    let inputs = inputs(&["bittorrent/gnutella.pcap"]);
    let frames = frames(&inputs);
    let mut live = Live::new(
        &pipeline(query),
        &RunOptions::default(),
        SECOND,
        Arc::new(ScanReport::default()),
    )
    .await
    .unwrap();
    let mut seen = 0;
    for one in &frames {
        let bit = Bit::Frames {
            frames: Arc::new(one.clone()),
            tag: "pcap".into(),
        };
        live.push(&bit).await.unwrap();
    }
    let mut starts = Vec::new();
    for window in live.close_until(i64::MAX, true).await.unwrap() {
        let Span::From(start_ns, end_ns) = window.span else {
            panic!("{window:?}");
        };
        starts.push(start_ns);
        assert_eq!(end_ns - start_ns, SECOND);
        let inside = |frame: &&Frames| {
            let time = frame.times().next().unwrap().unwrap();
            (start_ns..end_ns).contains(&time)
        };
        let expected = frames.iter().filter(inside).count();
        let rows = rows(live.window_answer(&window).await.unwrap(), query).await;
        let value: usize = rows[0].rsplit('\t').next().unwrap().parse().unwrap_or(0);
        assert_eq!(value, expected, "{rows:?}");
        seen += expected;
    }
    assert_eq!(seen, frames.len());
    assert!(starts.is_sorted() && starts.len() > 10, "{starts:?}");
    // What comes for a window that has closed is counted, and not in the answer.
    let bit = Bit::Frames {
        frames: Arc::new(frames[0].clone()),
        tag: "pcap".into(),
    };
    live.push(&bit).await.unwrap();
    assert_eq!(live.late_packets(), 1);
}

/// A plan holds the rows that its answer was made of.
#[tokio::test]
async fn nothing_stays_of_answers_that_were_given() {
    let frames = frames(&inputs(&["bittorrent/small_torrent_mse.pcap"]));
    let query = "packet ipv4.SrcIP | count by SrcIP | chart count by SrcIP";
    let (options, report) = (RunOptions::default(), Arc::new(ScanReport::default()));
    let live = Live::new(&pipeline(query), &options, SECOND, report).await;
    let mut live = live.unwrap();
    for one in frames.iter().take(20) {
        let bit = Bit::Frames {
            frames: Arc::new(one.clone()),
            tag: "pcap".into(),
        };
        live.push(&bit).await.unwrap();
        let answer = live.answer().await.unwrap();
        let plans = answer.plans.clone();
        assert!(rows(answer, query).await.len() > 1);
        assert_eq!(plans.list().len(), 0);
        assert_eq!(live.engine.plans.list().len(), 0);
    }
}

/// Where no window counts by itself, the answer has them; those who saw the window do not.
#[tokio::test]
async fn what_comes_after_its_window_is_in_the_answer_and_counted() {
    let frames = frames(&inputs(&["bittorrent/small_torrent_mse.pcap"]));
    let query = "packet frame.Len | count | table -nt count";
    let (options, report) = (RunOptions::default(), Arc::new(ScanReport::default()));
    let live = Live::new(&pipeline(query), &options, SECOND, report).await;
    let mut live = live.unwrap();
    for at in [1, 0] {
        let bit = Bit::Frames {
            frames: Arc::new(frames[at].clone()),
            tag: "pcap".into(),
        };
        live.push(&bit).await.unwrap();
        live.close_until(i64::MAX, true).await.unwrap();
    }
    assert_eq!((live.packets_after_window(), live.late_packets()), (1, 0));
    let rows = rows(live.answer().await.unwrap(), query).await;
    assert!(rows.iter().any(|row| row == "2"), "{rows:?}");
}

/// They need no window: there is no answer over all that would have them.
#[tokio::test]
async fn rows_that_come_after_their_window_are_shown_with_the_next() {
    let frames = frames(&inputs(&["bittorrent/small_torrent_mse.pcap"]));
    let query = "packet frame.Len | table -nt Len";
    let (options, report) = (RunOptions::default(), Arc::new(ScanReport::default()));
    let live = Live::new(&pipeline(query), &options, SECOND, report).await;
    let mut live = live.unwrap();
    let mut shown = 0;
    for at in [frames.len() - 1, 0, 1] {
        let bit = Bit::Frames {
            frames: Arc::new(frames[at].clone()),
            tag: "pcap".into(),
        };
        live.push(&bit).await.unwrap();
        let newest = frames.iter().flat_map(Frames::times).flatten().max();
        let until_ns = newest.unwrap() + 2 * SECOND;
        for window in live.close_until(until_ns, true).await.unwrap() {
            let answer = live.window_answer(&window).await.unwrap();
            shown += rows(answer, query).await.len() - 1;
        }
    }
    assert_eq!(shown, 3);
    assert_eq!((live.packets_after_window(), live.late_packets()), (0, 0));
}

/// They come at any time, and are of one window.
#[tokio::test]
async fn packets_without_a_time_are_never_late() {
    let mut frames = frames(&inputs(&["bittorrent/small_torrent_mse.pcap"]));
    frames.truncate(60);
    for (n, one) in frames.iter_mut().enumerate() {
        let mut frame = one.get(0).unwrap();
        frame.time_ns = frame.time_ns.filter(|_| n % 3 > 0);
        let mut changed = Frames::default();
        changed.push(frame);
        *one = changed;
    }
    for query in [
        "packet frame.Len | count by Len over 1s | table -nt Len count",
        "packet frame.Len | count by Len | table -nt Len count",
        "packet frame.Len | count | chart count",
    ] {
        let options = RunOptions::default();
        let (expected, _) = live(query, &frames, frames.len(), false, &options).await;
        assert!(expected.len() > 1, "{expected:?}");
        for each in [false, true] {
            let (got, _) = live(query, &frames, 5, each, &options).await;
            same(&got, &expected, query);
        }
    }
}

/// All packets would be late until the clock is again where it was.
#[tokio::test]
async fn windows_open_again_when_the_clock_is_set_back() {
    let frames = frames(&inputs(&["bittorrent/small_torrent_mse.pcap"]));
    for query in [
        "packet frame.Len | count by Len over 1s | table -nt Len count",
        "packet frame.Len | count by Len | table -nt Len count",
        "packet frame.Len | table -nt Len",
    ] {
        let (options, report) = (RunOptions::default(), Arc::new(ScanReport::default()));
        let live = Live::new(&pipeline(query), &options, SECOND, report).await;
        let mut live = live.unwrap();
        let time_ns = frames[0].times().next().unwrap().unwrap();
        let bit = Bit::Frames {
            frames: Arc::new(frames[0].clone()),
            tag: "pcap".into(),
        };
        let hour = 3600 * SECOND;
        // Open, then closed because the clock is behind; and once more an hour later.
        let mut shown = Vec::new();
        let after = time_ns + SECOND;
        for until_ns in [time_ns, time_ns - hour, time_ns, after, after] {
            live.push(&bit).await.unwrap();
            let closed = live.close_until(until_ns, true).await.unwrap();
            shown.push(closed.len());
            assert_eq!(live.is_set_back(), shown.len() > 1, "{query}");
        }
        // The last is late by a second, as packets are.
        let last = usize::from(!live.has_final_answer());
        assert_eq!(shown, [0, 1, 0, 1, last], "{query}");
        let late = live.packets_after_window() + live.late_packets();
        assert_eq!(late, u64::from(live.has_final_answer()), "{query}");
    }
}

/// What is there and what comes meet in the middle of a window, which is one.
#[tokio::test]
async fn a_past_and_what_follows_answer_as_one_file() {
    let inputs = inputs(&["bittorrent/small_torrent_mse.pcap"]);
    let mut reader = inputs[0].open().unwrap();
    let (mut following, mut cut, mut n) = (Vec::new(), None, 0);
    while let Some(frame) = reader.next_frame() {
        n += 1;
        if n > 500 {
            cut.get_or_insert((frame.offset, frame.time_ns.unwrap()));
            let mut one = Frames::default();
            one.push(frame);
            following.push(Arc::new(one));
        }
    }
    let (offset, cut_ns) = cut.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures");
    let mut bytes = std::fs::read(folder.join("bittorrent/small_torrent_mse.pcap")).unwrap();
    bytes.truncate(usize::try_from(offset).unwrap());
    let past = capfile::Input::from_bytes("past.pcap", bytes);
    let options = RunOptions::default();
    for query in QUERIES {
        let expected = of_file(query, &inputs, &options).await;
        for window_ns in [SECOND / 3, 10 * SECOND] {
            let report = Arc::new(ScanReport::default());
            let live = Live::new(&pipeline(query), &options, window_ns, report).await;
            let mut live = live.unwrap();
            let past = Bit::Files {
                files: ScanFile::tagged(vec![past.clone()], "pcap"),
                from_ns: 0,
                seam_ns: cut_ns - 5 * SECOND,
                until_ns: cut_ns,
            };
            live.push(&past).await.unwrap();
            let mut spans = Vec::new();
            for frames in &following {
                let time_ns = frames.times().next().unwrap().unwrap();
                let frames = Arc::clone(frames);
                let tag = "pcap".into();
                live.push(&Bit::Frames { frames, tag }).await.unwrap();
                let closed = live.close_until(time_ns - SECOND, false).await.unwrap();
                spans.extend(closed.iter().map(|window| window.span));
            }
            let Some(&Span::Before(seam_ns)) = spans.first() else {
                panic!("{query}: {spans:?}");
            };
            assert!(seam_ns <= cut_ns - 5 * SECOND, "{query}");
            let is_past = |span: &&Span| matches!(span, Span::Before(_));
            assert_eq!(spans.iter().filter(is_past).count(), 1, "{spans:?}");
            assert_eq!(live.late_packets(), 0, "{query}");
            let got = rows(live.answer().await.unwrap(), query).await;
            same(&got, &expected, query);
        }
    }
}
