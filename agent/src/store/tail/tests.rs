//! Following writers through rotation, death and retention.

use super::*;
use crate::store::{
    SourceWriter, WriterOptions,
    testing::{Folder, NOW, block},
};

/// Follows all sources of a store.
fn from_now_on(store: &Path) -> Tail {
    Tail::new(store, Box::new(|_| true), None).unwrap()
}

fn opened(folder: &Folder) -> SourceWriter {
    let writer = SourceWriter::open(folder.path(), WriterOptions::default(), NOW);
    writer.unwrap().0
}

/// Times of the packets of all that was committed since the last look.
fn times(tail: &mut Tail) -> Vec<i64> {
    let news = tail.look().unwrap();
    assert_eq!((&news.removed, &news.skipped), (&vec![], &vec![]));
    let mut times = Vec::new();
    for committed in news.committed {
        if let Some(table) = committed.table().unwrap() {
            for group in 0..table.groups() {
                times.extend(table.times(group).unwrap().values);
            }
            continue;
        }
        let Content::Packets(input) = committed.content else {
            panic!("{committed:?}");
        };
        let part = input.records(committed.range).unwrap();
        let mut frames = part.open().unwrap();
        while let Some(frame) = frames.next_frame() {
            times.push(frame.time_ns.unwrap());
        }
        assert!(frames.warnings().is_empty() && !frames.boundary_missed());
    }
    times
}

fn expected(first_ns: i64, count: i64) -> Vec<i64> {
    (0..count).map(|n| first_ns + n * 1_000).collect()
}

#[test]
fn every_record_comes_once_and_in_order_through_rotation_and_the_end() {
    follow(crate::store::Content::Packets, block);
}

#[test]
fn every_tuple_comes_once_and_in_order_through_rotation_and_the_end() {
    follow(crate::store::Content::Tuples, |first_ns, count| {
        let mut block = crate::store::RecordBlock::default();
        for n in 0..count as i64 {
            let frame = crate::frame::Frame {
                time_ns: Some(first_ns + n * 1_000),
                wire_len: 60,
                link_type: crate::frame::LinkType(1),
                interface: "",
                offset: 0,
                data: &[0; 14],
            };
            block.push_tuple(&crate::decode::Tuple::of(&crate::decode::Packet::decode(
                &frame,
            )));
        }
        block
    });
}

fn follow(content: crate::store::Content, block: impl Fn(i64, usize) -> crate::store::RecordBlock) {
    let folder = Folder::new();
    let options = WriterOptions {
        content,
        ..WriterOptions::default()
    };
    let (mut writer, _) = SourceWriter::open(folder.path(), options, NOW).unwrap();
    writer.append(&block(NOW, 10));
    let lan = || -> Wants { Box::new(|source| source.interface == "lan0") };
    let all = crate::store::Filter::default();
    let snapshot = Snapshot::take(folder.store(), &all).unwrap();
    // What is there already is the snapshot's.
    let mut tail = Tail::new(folder.store(), lan(), Some(&snapshot)).unwrap();
    let mut from_now = Tail::new(folder.store(), lan(), None).unwrap();
    assert_eq!(times(&mut tail), Vec::<i64>::new());
    writer.append(&block(NOW + 100_000, 20));
    assert_eq!(times(&mut tail), expected(NOW + 100_000, 20));
    assert_eq!(times(&mut from_now), expected(NOW + 100_000, 20));
    assert_eq!(times(&mut tail), Vec::<i64>::new());
    writer.append(&block(NOW + 200_000, 5));
    writer.rotate();
    writer.append(&block(NOW + 300_000, 7));
    let mut both = expected(NOW + 200_000, 5);
    both.extend(expected(NOW + 300_000, 7));
    assert_eq!(times(&mut tail), both);
    writer.append(&block(NOW + 400_000, 3));
    let (_, _, error) = writer.close(NOW);
    assert!(error.is_none());
    assert_eq!(times(&mut tail), expected(NOW + 400_000, 3));
    both.extend(expected(NOW + 400_000, 3));
    assert_eq!(times(&mut from_now), both);
    assert_eq!(tail.look().unwrap().writers, 0);
}

/// The writer says what it says, and goes on before its file is opened.
#[test]
fn a_file_that_is_closed_while_it_is_looked_at_is_read_at_once() {
    let folder = Folder::new();
    let mut writer = opened(&folder);
    let mut tail = from_now_on(folder.store());
    writer.append(&block(NOW, 10));
    assert_eq!(times(&mut tail), expected(NOW, 10));
    writer.append(&block(NOW + 100_000, 20));
    let path = folder.path().join(layout::STATE_FILE);
    let said = std::fs::read(&path).unwrap();
    writer.rotate();
    while !folder.closed(1, NOW).exists() {
        std::thread::yield_now();
    }
    std::fs::write(&path, said).unwrap();
    assert_eq!(times(&mut tail), expected(NOW + 100_000, 20));
}

/// All that was committed when a look begins is in it: windows close by that.
#[test]
fn a_source_that_came_since_the_last_look_is_read_at_once() {
    let store = tempfile::tempdir().unwrap();
    let mut tail = from_now_on(store.path());
    assert_eq!(times(&mut tail), Vec::<i64>::new());
    let folder = store.path().join("pcap/lan0");
    let (mut writer, _) = SourceWriter::open(&folder, WriterOptions::default(), NOW).unwrap();
    writer.append(&block(NOW, 10));
    writer.close(NOW);
    assert_eq!(times(&mut tail), expected(NOW, 10));
}

/// Counters start a file before packets come: it is not of the past.
#[test]
fn the_first_packets_of_a_writer_come_however_long_it_had_none() {
    let folder = Folder::new();
    let mut writer = opened(&folder);
    let mut early = from_now_on(folder.store());
    assert_eq!(early.look().unwrap().writers, 1);
    writer.record(&crate::store::loss::Sample {
        time_ns: NOW,
        run: NOW,
        ..Default::default()
    });
    assert_eq!(
        Listing::read(folder.path()).unwrap().last_sequence(),
        Some(1)
    );
    let mut later = from_now_on(folder.store());
    writer.append(&block(NOW, 4));
    assert_eq!(times(&mut early), expected(NOW, 4));
    assert_eq!(times(&mut later), expected(NOW, 4));
}

/// It wrote a block, and was killed before it could say so.
#[test]
fn what_a_killed_writer_did_not_say_is_read_too() {
    let folder = Folder::new();
    let mut writer = opened(&folder);
    let mut tail = from_now_on(folder.store());
    writer.append(&block(NOW, 10));
    assert_eq!(times(&mut tail), expected(NOW, 10));
    let path = folder.path().join(layout::STATE_FILE);
    let said = std::fs::read(&path).unwrap();
    writer.append(&block(NOW + 100_000, 20));
    std::mem::forget(writer);
    // Another file in its place has no lock.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, said).unwrap();
    assert_eq!(times(&mut tail), expected(NOW + 100_000, 20));
    assert_eq!(times(&mut tail), Vec::<i64>::new());
}

#[test]
fn files_of_a_source_at_rest_are_listed_once_and_a_damaged_one_is_told_once() {
    let folder = Folder::new();
    let mut writer = opened(&folder);
    writer.append(&block(NOW, 10));
    writer.close(NOW);
    let mut behind = from_now_on(folder.store());
    let mut tail = Tail::new(
        folder.store(),
        Box::new(|_| true),
        Some(&Snapshot::default()),
    )
    .unwrap();
    std::fs::write(folder.closed(1, NOW), "not what the store writes").unwrap();
    let news = tail.look().unwrap();
    assert_eq!((news.removed.len(), news.committed.len()), (0, 0));
    assert_eq!(news.skipped.len(), 1, "{:?}", news.skipped);
    let reason = "does not start as a capture file";
    assert!(news.skipped[0].contains(reason), "{:?}", news.skipped);
    // Whoever is behind it never asks what is in it.
    assert_eq!(times(&mut behind), Vec::<i64>::new());
    // Not looked for again, though its name is another now: only a writer brings something new.
    let day = folder.closed(1, NOW);
    std::fs::rename(&day, day.with_extension("pcap.tmp")).unwrap();
    assert_eq!(times(&mut tail), Vec::<i64>::new());
    let mut writer = opened(&folder);
    writer.append(&block(NOW + 100_000, 20));
    assert_eq!(times(&mut tail), expected(NOW + 100_000, 20));
    assert_eq!(times(&mut behind), expected(NOW + 100_000, 20));
}

#[test]
fn a_file_that_was_half_read_and_is_gone_is_told() {
    let folder = Folder::new();
    let mut writer = opened(&folder);
    let mut tail = from_now_on(folder.store());
    writer.append(&block(NOW, 10));
    assert_eq!(times(&mut tail).len(), 10);
    let (closed, _, _) = writer.close(NOW);
    let years = std::fs::read_dir(folder.path()).unwrap();
    for year in years.filter_map(Result::ok).filter(|e| e.path().is_dir()) {
        std::fs::remove_dir_all(year.path()).unwrap();
    }
    assert_eq!(closed.len(), 1);
    let news = tail.look().unwrap();
    assert_eq!(news.removed.len(), 1, "{:?}", news.removed);
    assert!(news.committed.is_empty());
}
