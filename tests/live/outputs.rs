//! Outputs beside the store: a stream that other tools read, files in turn, an end by time.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::pcap::{self, Packet};
use crate::program::{Capture, command};
use crate::room::{alone, folder, path, root, veth};
use crate::sender::tcpreplay;

fn sample() -> PathBuf {
    root().join("tests/captures/bittorrent/bittorrent.pcap")
}

fn data(packets: &[Packet]) -> Vec<&[u8]> {
    packets.iter().map(|packet| &packet.data[..]).collect()
}

/// `capture -c COUNT -w -` into the standard input of a tool; what the tool printed.
fn streamed(count: usize, mut tool: Command) -> String {
    let mut tool = tool
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let count = count.to_string();
    let mut capture = command(&["capture", "-i", "fs0", "-c", &count, "-w", "-"]);
    capture.stdout(tool.stdin.take().unwrap());
    let capture = Capture::spawn(capture, &["fs0"]);
    tcpreplay("fs1", &["--pps", "20000"], &[&sample()]);
    let ended = capture.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let output = tool.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn other_tools_read_the_stream() {
    if !alone(&other_tools_read_the_stream) {
        return;
    }
    let work = folder();
    veth("fs0", "fs1", 9_000);
    let sent = pcap::read(&sample());
    let sent = sent.get(..100).unwrap();
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-r", "-", "-T", "fields", "-e", "frame.len"]);
    let lengths: Vec<String> = sent.iter().map(|p| p.data.len().to_string()).collect();
    let printed = streamed(sent.len(), tshark);
    assert_eq!(printed.lines().collect::<Vec<_>>(), lengths);
    let copy = path(&work, "copy.pcap");
    let mut tcpdump = Command::new("tcpdump");
    tcpdump.args(["-r", "-", "-w", &copy, "-Z", "root"]);
    streamed(sent.len(), tcpdump);
    assert_eq!(data(&pcap::read(Path::new(&copy))), data(sent));
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Files of a million bytes, at most so many, by this program and by tcpdump at the same time.
fn files_in_turn(at_most: &str) -> (Vec<Packet>, BTreeSet<String>) {
    let work = folder();
    let (ours, theirs) = (work.path().join("ours"), work.path().join("theirs"));
    for folder in [&ours, &theirs] {
        std::fs::create_dir(folder).unwrap();
    }
    let named = |folder: &Path| folder.join("x.pcap").to_str().unwrap().to_owned();
    let mut tcpdump = Command::new("tcpdump")
        .args(["-i", "fs0", "-B", "16384", "-Z", "root"])
        .args(["-C", "1", "-W", at_most, "-w", &named(&theirs)])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(tcpdump.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("listening on") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "tcpdump ended");
    }
    let ours_path = named(&ours);
    let capture = Capture::start(&["-C", "1", "-W", at_most, "-w", &ours_path], &["fs0"]);
    let loops = 3_500_000 / std::fs::metadata(sample()).unwrap().len() + 1;
    let loops = loops.to_string();
    let sent = tcpreplay("fs1", &["--mbps", "80", "--loop", &loops], &[&sample()]);
    let statistics = capture.stop().statistics("fs0");
    assert_eq!(statistics.stored, sent.packets);
    // SAFETY: signals a child that has not been waited for.
    unsafe { libc::kill(tcpdump.id().try_into().unwrap(), libc::SIGINT) };
    std::io::copy(&mut said, &mut std::io::sink()).unwrap();
    assert!(tcpdump.wait().unwrap().success());
    assert_eq!(names(&ours), names(&theirs), "-W {at_most}");
    let mut packets = Vec::new();
    for name in names(&ours) {
        let file = ours.join(&name);
        let length = std::fs::metadata(&file).unwrap().len();
        assert!(length < 1_010_000, "{name} has {length} bytes");
        packets.extend(pcap::read(&file));
    }
    (packets, names(&ours))
}

#[test]
fn files_by_size_have_the_names_that_tcpdump_gives() {
    if !alone(&files_by_size_have_the_names_that_tcpdump_gives) {
        return;
    }
    veth("fs0", "fs1", 9_000);
    let sent = pcap::read(&sample());
    let (all, files) = files_in_turn("12");
    assert!(files.len() > 3, "{files:?}");
    // In the order of their names the files are what was sent, again and again.
    assert!(all.len() > sent.len());
    for (n, packet) in all.iter().enumerate() {
        assert_eq!(packet.data, sent[n % sent.len()].data, "packet {n}");
    }
    // The oldest is overwritten.
    let (some, files) = files_in_turn("2");
    assert_eq!(files.len(), 2);
    assert!(some.len() < all.len());
}

#[test]
fn a_capture_ends_when_its_time_is_over() {
    if !alone(&a_capture_ends_when_its_time_is_over) {
        return;
    }
    let work = folder();
    veth("fs0", "fs1", 9_000);
    let store = path(&work, "store");
    let start = Instant::now();
    let capture = Capture::start(&["--store", &store, "--duration", "3s"], &["fs0"]);
    let sent = tcpreplay("fs1", &["--pps", "5000", "--limit", "1000"], &[&sample()]);
    let ended = capture.wait();
    let lasted = start.elapsed();
    let expected = Duration::from_millis(2_900)..Duration::from_secs(20);
    assert!(expected.contains(&lasted), "{lasted:?}");
    assert_eq!(ended.statistics("fs0").stored, sent.packets);
}
