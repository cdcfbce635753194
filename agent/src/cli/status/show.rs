//! The status for people, in 80 columns.

use std::fmt::Write as _;

use super::View;
use crate::serve::protocol::{Hello, Interface, Report};
use crate::store::usage::{Usage, Used};
use crate::text;

/// Columns of a tag, at most: a longer one is cut.
const TAG: usize = 10;

pub(super) fn text(view: &View) -> String {
    let mut out = String::new();
    match &view.agent {
        Ok((hello, report)) => {
            running(&mut out, view, hello, report);
            disk(&mut out, view);
            let listeners = &report.subscribers;
            let _ = writeln!(
                out,
                "socket: {} of {} connections, {} cut off, {} refused",
                listeners.now, listeners.max, listeners.cut_off, listeners.refused
            );
        }
        Err(reason) => {
            let _ = writeln!(out, "{reason}");
            stopped(&mut out, &view.usage);
            disk(&mut out, view);
        }
    }
    out
}

fn running(out: &mut String, view: &View, hello: &Hello, report: &Report) {
    let up = view.now_ns.saturating_sub(hello.started_ns);
    let _ = writeln!(
        out,
        "flowsift {}, process {}, up {}, into {}",
        hello.version,
        hello.pid,
        span(up),
        view.store
    );
    let stored = match report.complete_until_ns {
        0 => "nothing is stored yet".to_owned(),
        until => format!(
            "all is stored up to {} ago",
            span(view.now_ns.saturating_sub(until))
        ),
    };
    let _ = writeln!(
        out,
        "{stored}; the fullest ring is {:.0} % full\n",
        report.ring_fill * 100.0
    );
    let _ = writeln!(
        out,
        "{:<15} {:<TAG$} {:<8} {:>9} {:>10} {:>11} {:>10}",
        "interface", "tag", "mode", "packets/s", "bytes/s", "seen", "lost"
    );
    for interface in &report.interfaces {
        line(out, interface);
    }
    for (count, what) in [
        (
            report.unconfigured,
            "packets passed while an interface was attached or detached",
        ),
        (
            report.malformed,
            "records of a wrong length: please report this",
        ),
    ] {
        if count > 0 {
            let _ = writeln!(out, "  {count} {what}");
        }
    }
}

fn line(out: &mut String, interface: &Interface) {
    let counts = &interface.counts;
    let _ = writeln!(
        out,
        "{:<15} {:<TAG$} {:<8} {:>9} {:>10} {:>11} {:>10}",
        interface.name,
        cut(&interface.tag),
        interface.mode,
        count(interface.packets_per_second.round() as u64),
        text::size(interface.bytes_per_second.round() as u64),
        count(counts.seen),
        count(counts.lost()),
    );
    let all = counts
        .dropped
        .iter()
        .map(|(why, count)| ("lost", why, count));
    let left_out = counts.left_out.iter();
    let all = all.chain(left_out.map(|(why, count)| ("left out", why, count)));
    for (what, why, count) in all.filter(|(_, _, count)| **count > 0) {
        let _ = writeln!(out, "  {what}: {count} {why}");
    }
    if counts.cut > 0 {
        let _ = writeln!(out, "  cut to the snap length: {}", counts.cut);
    }
}

/// What the loss tables said last.
fn stopped(out: &mut String, usage: &Usage) {
    let written = usage.sources.iter().filter(|used| used.written).count();
    if written > 0 {
        let _ = writeln!(
            out,
            "but {written} sources are being written, by a process that has no socket"
        );
    }
    if usage.sources.is_empty() {
        return out.push('\n');
    }
    let _ = writeln!(
        out,
        "\n{:<15} {:<TAG$} {:<20} {:>10} {:>10} {:>10}",
        "interface", "tag", "last counted", "seen", "stored", "lost"
    );
    for Used { source, last, .. } in &usage.sources {
        let counted = last.map_or_else(|| "never".to_owned(), |last| seconds(last.time_ns));
        let counts = last.map(|last| last.counts).unwrap_or_default();
        let _ = writeln!(
            out,
            "{:<15} {:<TAG$} {counted:<20} {:>10} {:>10} {:>10}",
            source.interface,
            cut(&source.tag),
            count(counts.seen),
            count(counts.stored),
            count(counts.lost()),
        );
    }
}

fn disk(out: &mut String, view: &View) {
    let usage = &view.usage;
    let oldest = usage.oldest_ns().map_or_else(String::new, |oldest| {
        let age = span(view.now_ns.saturating_sub(oldest));
        format!(", oldest packet {} ({age} ago)", seconds(oldest))
    });
    let _ = writeln!(
        out,
        "\nstore: {} in {} files{oldest}",
        text::size(usage.bytes()),
        usage.files()
    );
    let _ = writeln!(
        out,
        "disk: {} free of {}",
        text::size(usage.free_bytes),
        text::size(usage.total_bytes)
    );
}

fn cut(tag: &str) -> String {
    match tag.chars().count() > TAG {
        true => tag.chars().take(TAG - 1).chain(['…']).collect(),
        false => tag.to_owned(),
    }
}

/// A count in nine columns at most.
fn count(count: u64) -> String {
    match count {
        0..1_000_000_000 => count.to_string(),
        1_000_000_000..1_000_000_000_000 => format!("{:.2}e9", count as f64 / 1e9),
        _ => format!("{:.2}e12", count as f64 / 1e12),
    }
}

/// RFC 3339, without fractions.
fn seconds(time_ns: i64) -> String {
    text::time(
        time_ns
            .div_euclid(1_000_000_000)
            .saturating_mul(1_000_000_000),
    )
    .replace(".000000000", "")
}

/// A duration of which nobody wants to know all.
fn span(ns: i64) -> String {
    let seconds = ns.max(0) / 1_000_000_000;
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{:.1}s", ns.max(0) as f64 / 1e9),
        (0, 0, _) => format!("{minutes}m{rest}s"),
        (0, _, _) => format!("{hours}h{minutes}m"),
        _ => format!("{days}d{hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::protocol::Subscribers;
    use crate::store::Source;
    use crate::store::loss::{self, Counts, Reason};

    const NOW: i64 = 1_700_000_000_000_000_000;

    fn view(agent: Result<(Hello, Report), String>) -> View {
        let mut counts = Counts {
            seen: 1_000,
            stored: 990,
            ..Counts::default()
        };
        counts.drop_packets(Reason::DiskFull, 10);
        let used = Used {
            source: Source {
                well: "pcap".to_owned(),
                interface: "lan0".to_owned(),
                tag: "a-very-long-tag".to_owned(),
            },
            files: 421,
            bytes: 12_345_678_901,
            oldest_ns: Some(NOW - 90_061_000_000_000),
            written: false,
            last: Some(loss::Sample {
                time_ns: NOW - 5_000_000_000,
                run: 1,
                counts,
            }),
        };
        View {
            store: "/var/lib/flowsift".to_owned(),
            agent,
            usage: Usage {
                sources: vec![used],
                free_bytes: 1_200_000_000_000,
                total_bytes: 2_000_000_000_000,
            },
            now_ns: NOW,
        }
    }

    #[test]
    fn a_running_capture_in_80_columns() {
        let hello = Hello {
            version: "0.1.0".to_owned(),
            pid: 4_242,
            started_ns: NOW - 3_725_000_000_000,
            ..Hello::default()
        };
        let mut lan0 = Interface {
            name: "enp0s31f6.vlan0".to_owned(),
            tag: "a-very-long-tag".to_owned(),
            mode: "generic".to_owned(),
            packets_per_second: 123_456_789.4,
            bytes_per_second: 1_234_567_890.0,
            ..Interface::default()
        };
        lan0.counts.seen = 98_765_432_101;
        lan0.counts.dropped.insert("ring_full".to_owned(), 1_200);
        lan0.counts.left_out.insert("own".to_owned(), 7);
        lan0.counts.cut = 3;
        let report = Report {
            complete_until_ns: NOW - 250_000_000,
            interfaces: vec![lan0],
            ring_fill: 0.125,
            subscribers: Subscribers {
                now: 2,
                max: 32,
                cut_off: 1,
                refused: 3,
            },
            ..Report::default()
        };
        let text = text(&view(Ok((hello, report))));
        assert_eq!(
            text,
            "\
flowsift 0.1.0, process 4242, up 1h2m, into /var/lib/flowsift
all is stored up to 0.2s ago; the fullest ring is 12 % full

interface       tag        mode     packets/s    bytes/s        seen       lost
enp0s31f6.vlan0 a-very-lo… generic  123456789     1.2 GB     98.77e9       1200
  lost: 1200 ring_full
  left out: 7 own
  cut to the snap length: 3

store: 12.3 GB in 421 files, oldest packet 2023-11-13T21:12:19Z (1d1h ago)
disk: 1.2 TB free of 2.0 TB
socket: 2 of 32 connections, 1 cut off, 3 refused
"
        );
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }

    #[test]
    fn a_store_that_nobody_writes() {
        let text = text(&view(Err(
            "no agent serves the store: it is not there".to_owned()
        )));
        assert_eq!(
            text,
            "\
no agent serves the store: it is not there

interface       tag        last counted               seen     stored       lost
lan0            a-very-lo… 2023-11-14T22:13:15Z       1000        990         10

store: 12.3 GB in 421 files, oldest packet 2023-11-13T21:12:19Z (1d1h ago)
disk: 1.2 TB free of 2.0 TB
"
        );
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }

    #[test]
    fn spans() {
        let seconds = [0, 59, 61, 3_600, 90_000];
        let spans = seconds.map(|seconds| span(seconds * 1_000_000_000));
        assert_eq!(spans, ["0.0s", "59.0s", "1m1s", "1h0m", "1d1h"]);
        assert_eq!(span(-5), "0.0s");
    }
}
