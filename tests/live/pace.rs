//! A live query under load: it costs no packet, its memory does not grow, and its windows are
//! printed soon after they end.
//!
//! `FLOWSIFT_LONG=1` runs it for ten minutes, at four fifths of the rate that loses nothing.

use std::io::{BufRead as _, BufReader};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent_probe::{Pair, Program, Rate, frame, send};

use crate::growing::Growing;
use crate::program::Capture;
use crate::room::{alone, folder, path, say};

/// One row a window, which says whether all packets are there.
const COUNT: &str = "tag=pcap packet frame.Len | count | table -nt count";

/// The reference query as a table. What is sent has 65,536 sources.
const REFERENCE: &str = "tag=pcap packet ipv4.DstIP !~ 10.0.0.0/8 ipv4.SrcIP tcp.DstPort \
     | count by SrcIP,DstIP,DstPort | count by SrcIP | sort by count desc | limit 20 \
     | table -nt SrcIP count";

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
    let capture = Capture::start(&["--store", &store, "--keep-size", "2GB"], &["fs0"]);
    let count = Watched::start(&store, COUNT);
    let reference = Watched::start(&store, REFERENCE);
    let (sent, halves) = std::thread::scope(|scope| {
        let sender = scope.spawn(|| load(&pair, Rate::PerSecond(rate), time));
        std::thread::sleep(time / 2);
        let halves = [&count, &reference].map(Watched::most_memory);
        (sender.join().unwrap(), halves)
    });
    let wholes = [&count, &reference].map(Watched::most_memory);
    let (count, reference) = (count.end(), reference.end());
    let statistics = capture.stop().statistics("fs0");
    assert_eq!((statistics.stored, statistics.dropped), (sent, 0));
    for (half, whole) in halves.iter().zip(&wholes) {
        assert!(*whole <= half + half / 4, "{half} KiB, then {whole} KiB");
    }
    let numbers = |lines: &[Line]| -> Vec<u64> {
        let lines = lines.iter().filter_map(|(_, line)| line.parse().ok());
        lines.collect()
    };
    assert_eq!(numbers(count.answer()), [sent], "{}", count.said);
    let shown: u64 = numbers(count.windows()).iter().sum();
    assert_eq!(
        shown,
        sent,
        "in windows; {}\n{:?}",
        count.said,
        count.delays()
    );
    let rows = reference
        .answer()
        .iter()
        .filter(|(_, line)| line.contains('\t'));
    assert_eq!(rows.count(), 1 + 20, "{:?}", reference.answer());
    for printed in [&count, &reference] {
        let delays = printed.delays();
        assert!(delays.len() as u64 >= time.as_secs(), "{}", delays.len());
        let latest = delays.iter().max().unwrap();
        assert!(*latest <= SOON, "{delays:?}");
        say(&format!(
            "{sent} packets at {rate:.0}/s, none lost; {} windows, each at most {latest:?} after \
             its end; {halves:?} KiB, then {wholes:?} KiB",
            delays.len()
        ));
    }
}

/// When a line was printed, and what it says.
type Line = (Duration, String);

/// A live query whose lines are read as they come.
struct Watched {
    query: Growing,
    process: u32,
    lines: JoinHandle<Vec<Line>>,
}

impl Watched {
    fn start(store: &str, text: &str) -> Self {
        let mut query = Growing::piped(store, &["--every", "1s"], text);
        let stdout = query.child().stdout.take().unwrap();
        let lines = std::thread::spawn(move || {
            let lines = BufReader::new(stdout).lines();
            lines.map(|line| (now(), line.unwrap())).collect()
        });
        Self {
            process: query.child().id(),
            query,
            lines,
        }
    }

    /// The most memory that it had so far, in KiB.
    fn most_memory(&self) -> u64 {
        most_memory(self.process)
    }

    fn end(self) -> Printed {
        self.query.interrupt();
        let ended = self.query.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        Printed {
            lines: self.lines.join().unwrap(),
            said: ended.said,
        }
    }
}

/// What a query printed: windows, and the answer over all.
struct Printed {
    lines: Vec<Line>,
    said: String,
}

impl Printed {
    fn answer_at(&self) -> usize {
        let is_answer = |(_, line): &Line| line == "# answer";
        self.lines.iter().position(is_answer).unwrap()
    }

    fn windows(&self) -> &[Line] {
        &self.lines[..self.answer_at()]
    }

    fn answer(&self) -> &[Line] {
        &self.lines[self.answer_at()..]
    }

    /// How long after its end each window was printed; the last are closed by the query's end.
    fn delays(&self) -> Vec<Duration> {
        let delay = |(at, line): &Line| {
            let time = line.strip_prefix("# window ")?.strip_suffix(" 1s")?;
            let start: jiff::Timestamp = time.parse().unwrap();
            let end = Duration::from_secs(u64::try_from(start.as_second()).unwrap() + 1);
            Some(at.saturating_sub(end))
        };
        self.windows().iter().filter_map(delay).collect()
    }
}
