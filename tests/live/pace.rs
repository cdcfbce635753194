//! A live query under load: it costs no packet, its memory does not grow, and its windows are
//! printed soon after they end.
//!
//! `FLOWSIFT_LONG=1` runs it for ten minutes, at four fifths of the rate that loses nothing.

use std::io::{BufRead as _, BufReader};
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent_probe::{Pair, Program, Rate, frame, send};

use crate::growing::Growing;
use crate::program::Capture;
use crate::room::{alone, folder, path, say};

/// One row a window.
const QUERY: &str = "tag=pcap packet frame.Len | count | table -nt count";

/// How long after its end a window may be printed.
const SOON: Duration = Duration::from_secs(2);

fn is_long() -> bool {
    std::env::var_os("FLOWSIFT_LONG").is_some_and(|value| value == "1")
}

/// Sends for a time; frames that arrived and frames that were sent.
fn load(pair: &Pair, rate: Rate, time: Duration) -> u64 {
    let (program, frame) = (Program::sender().unwrap(), frame(128));
    let sent = send(&program, &frame, pair, rate, |sent| {
        match sent.took < time {
            true => u64::MAX,
            false => 0,
        }
    });
    sent.unwrap().frames
}

/// A rate that a capture alone takes without a loss, in frames a second.
fn lossless(pair: &Pair, store: &str) -> f64 {
    let mut rate = 400_000.0;
    loop {
        let capture = Capture::start(&["--store", store], &["fs0"]);
        let sent = load(pair, Rate::PerSecond(rate), Duration::from_secs(10));
        let statistics = capture.stop().statistics("fs0");
        if statistics.dropped == 0 && statistics.stored == sent {
            return rate;
        }
        rate *= 0.8;
        assert!(rate > 1_000.0, "{statistics:?}");
    }
}

/// The most memory that a process had so far, in KiB.
fn most_memory(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.unwrap().split_whitespace().next();
    number.unwrap().parse().unwrap()
}

/// Nanoseconds since the Unix epoch.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

#[test]
fn a_live_query_under_load_is_prompt_small_and_costs_no_packet() {
    if !alone(&a_live_query_under_load_is_prompt_small_and_costs_no_packet) {
        return;
    }
    let work = folder();
    let store = path(&work, "store");
    let pair = Pair::make("fs0", "fs1", 1_500).unwrap();
    let (rate, time) = match is_long() {
        true => (
            0.8 * lossless(&pair, &path(&work, "before")),
            Duration::from_secs(600),
        ),
        false => (20_000.0, Duration::from_secs(20)),
    };
    // The store stays small, however long it takes.
    let capture = Capture::start(&["--store", &store], &["fs0"]);
    let mut query = Growing::piped(&store, &["--every", "1s"], QUERY);
    let stdout = query.child().stdout.take().unwrap();
    let (output, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            output.send((now(), line.unwrap())).unwrap();
        }
    });
    let process = query.child().id();
    let (sent, half) = std::thread::scope(|scope| {
        let sender = scope.spawn(|| load(&pair, Rate::PerSecond(rate), time));
        std::thread::sleep(time / 2);
        let half = most_memory(process);
        (sender.join().unwrap(), half)
    });
    let whole = most_memory(process);
    query.interrupt();
    let ended = query.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    reader.join().unwrap();
    let lines: Vec<(Duration, String)> = lines.into_iter().collect();
    let statistics = capture.stop().statistics("fs0");
    assert_eq!((statistics.stored, statistics.dropped), (sent, 0));
    // Its state is one number.
    assert!(whole <= half + half / 8, "{half} KiB, then {whole} KiB");
    let place = lines
        .iter()
        .position(|(_, line)| line == "# answer")
        .unwrap();
    let (windows, answer) = lines.split_at(place);
    let numbers = |lines: &[(Duration, String)]| -> Vec<u64> {
        let lines = lines.iter().filter_map(|(_, line)| line.parse().ok());
        lines.collect()
    };
    assert_eq!(numbers(windows).iter().sum::<u64>(), sent);
    assert_eq!(numbers(answer), [sent]);
    let delays: Vec<Duration> = windows
        .iter()
        .filter_map(|(at, line)| {
            let time = line.strip_prefix("# window ")?.strip_suffix(" 1s")?;
            let end: jiff::Timestamp = time.parse().unwrap();
            let end = Duration::from_secs(u64::try_from(end.as_second()).unwrap() + 1);
            // The last windows are closed by the end of the query.
            Some(at.saturating_sub(end))
        })
        .collect();
    assert!(delays.len() as u64 >= time.as_secs(), "{}", delays.len());
    let latest = delays.iter().max().unwrap();
    assert!(*latest <= SOON, "{delays:?}");
    say(&format!(
        "{sent} packets at {rate:.0}/s, none lost; {} windows, each at most {latest:?} after its \
         end; {half} KiB, then {whole} KiB",
        delays.len()
    ));
}
