//! Many live queries beside a capture, and what becomes of them where something is missing.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use crate::growing::{Growing, REFERENCE, assert_same, of_files, of_store, wait_for_packets};
use crate::program::{Capture, command};
use crate::room::{alone, folder, lost_by_veth, path, root, say, veth};
use crate::sender::tcpreplay;

const COUNT: &str =
    "tag=pcap packet frame.Len | stats count sum(Len) as bytes | table -nt count bytes";

/// Rows without end: a pipe is soon full.
const EACH: &str = "tag=pcap packet ipv4.SrcIP ipv4.DstIP frame.Len | table SrcIP DstIP Len";

/// What a process adds to its nice value.
fn nice(process: u32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // State is the first after the name, which may have spaces; the nice value 16 further.
    let after = stat.rsplit(')').next().unwrap();
    after.split_whitespace().nth(16).unwrap().parse().unwrap()
}

#[test]
fn twenty_queries_and_one_that_nobody_reads_disturb_nobody() {
    if !alone(&twenty_queries_and_one_that_nobody_reads_disturb_nobody) {
        return;
    }
    let work = folder();
    let store = path(&work, "store");
    veth("fs0", "fs1", 9_000);
    let capture = Capture::start(&["--store", &store], &["fs0"]);
    let mut unread = Growing::piped(&store, &["--every", "1s"], EACH);
    let mut given_up = Growing::piped(&store, &["--every", "1s"], EACH);
    let queries: Vec<(&str, Growing)> = (0..20)
        .map(|n| {
            let query = [COUNT, REFERENCE[0], REFERENCE[1]][n % 3];
            let every = if n % 2 == 0 { "never" } else { "1s" };
            (query, Growing::start(&store, &["--every", every], query))
        })
        .collect();
    // Capture comes first.
    assert_eq!(nice(unread.child().id()), 19);
    let file = root().join("tests/captures/bittorrent/bittorrent.pcap");
    let options = ["--pps", "3000", "--loop", "1000000", "--duration", "6"];
    let sent = tcpreplay("fs1", &options, &[file.as_path()]);
    let arrived = sent.packets - lost_by_veth("fs1");
    wait_for_packets(&store, arrived);
    queries.iter().for_each(|(_, growing)| growing.interrupt());
    for (query, growing) in queries {
        let live = growing.wait().answer();
        assert_same(&live, &of_files(&store, query), query);
    }
    // Much more than a pipe holds was to be printed, and it has waited since.
    assert!(arrived > 10_000, "{arrived}");
    assert!(unread.child().try_wait().unwrap().is_none());
    // Told once, it still has to print what there is; told twice, it does not.
    given_up.interrupt();
    std::thread::sleep(Duration::from_millis(300));
    assert!(given_up.child().try_wait().unwrap().is_none());
    given_up.interrupt();
    let ended = given_up.wait();
    assert_eq!(ended.code, Some(130), "{}", ended.said);
    assert!(ended.said.contains("interrupted"), "{}", ended.said);
    let statistics = capture.stop().statistics("fs0");
    assert_eq!((statistics.stored, statistics.dropped), (arrived, 0));
    // Once it is read, nothing is missing: what it had not read yet is in the store.
    let mut text = String::new();
    let mut stdout = unread.child().stdout.take().unwrap();
    stdout.read_to_string(&mut text).unwrap();
    let ended = unread.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let rows = text.lines().filter(|line| line.contains('\t')).count() as u64 - 1;
    assert_eq!(rows, arrived, "{}", ended.said);
    say(&format!(
        "20 live queries over {arrived} packets, none lost"
    ));
}

#[test]
fn an_agent_that_ends_ends_its_queries_with_their_answers() {
    if !alone(&an_agent_that_ends_ends_its_queries_with_their_answers) {
        return;
    }
    let work = folder();
    let store = path(&work, "store");
    veth("fs0", "fs1", 9_000);
    let no_writer = |store: &str| {
        let output = command(&["query", "--live", "--store", store, COUNT]).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(output.stdout.is_empty());
        assert!(said.contains("no agent writes to"), "{said}");
        assert!(said.contains("start one (flowsift capture"), "{said}");
    };
    let capture = Capture::start(&["--store", &store], &["fs0"]);
    // A store without packets yet is one that packets come to.
    let growing = Growing::start(&store, &["--every", "never"], COUNT);
    let past = Growing::start(&store, &["--last", "1h", "--every", "never"], COUNT);
    let for_a_time = Growing::start(&store, &["--every", "never", "--duration", "1s"], COUNT);
    let nothing = for_a_time.wait();
    assert_eq!(nothing.code, Some(0), "{}", nothing.said);
    assert!(
        nothing.printed.starts_with("count\tbytes\n"),
        "{}",
        nothing.printed
    );
    let file = root().join("tests/captures/bittorrent/bittorrent.pcap");
    let sent = tcpreplay("fs1", &["--pps", "2000"], &[file.as_path()]).packets;
    std::thread::sleep(Duration::from_millis(50));
    let statistics = capture.stop().statistics("fs0");
    assert_eq!((statistics.stored, statistics.dropped), (sent, 0));
    let expected = of_store(&store, COUNT);
    assert!(
        expected[1].starts_with(&format!("{sent}\t")),
        "{expected:?}"
    );
    for growing in [growing, past] {
        let ended = growing.wait();
        assert_eq!(ended.answer(), expected, "{}", ended.said);
        let told = "note: the agent says: capture ended";
        assert!(ended.said.contains(told), "{}", ended.said);
    }
    no_writer(&store);
    assert!(Path::new(&store).join("pcap/fs0").is_dir());
}
