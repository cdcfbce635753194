//! The figures of a running capture in the text format of Prometheus (exposition format 0.0.4).
//!
//! Names have base units; labels are interfaces and reasons, never addresses of packets.

use std::fmt::{Display, Write as _};

use super::protocol::{GONE, Interface, LEFT, Report};
use crate::store::usage::Usage;

/// Reasons for which packets can be lost, each with a line of its own from the start: a counter
/// that appears with its first loss has no rate.
const LOST: [&str; 3] = ["ring_full", "disk_full", "io_error"];

/// The same of packets that were not wanted.
const LEFT_OUT: [&str; 3] = ["filter", "own", "beyond_count"];

/// The figures; those of the store where there is one.
pub(super) fn text(report: &Report, started_ns: i64, usage: Option<&Usage>) -> String {
    let mut out = Text(String::new());
    out.one(
        "flowsift_build_info",
        Kind::Gauge,
        "The running version, as a label; the value is 1.",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1,
    );
    out.gauge(
        "flowsift_start_time_seconds",
        "When the capture began, since 1970.",
        seconds(started_ns),
    );
    let by_name = by_name(&report.interfaces);
    interfaces(&mut out, &by_name);
    lost(&mut out, &by_name, report.tuples);
    out.counter(
        "flowsift_capture_packets_unconfigured_total",
        "Packets that passed while an interface was attached or detached.",
        report.unconfigured,
    );
    out.gauge(
        "flowsift_ring_fill_ratio",
        "Share of the fullest ring that is used.",
        report.ring_fill,
    );
    store(&mut out, report, usage);
    let listeners = &report.subscribers;
    out.gauge(
        "flowsift_socket_subscribers",
        "Connections to the socket.",
        listeners.now,
    );
    out.counter(
        "flowsift_socket_subscribers_cut_off_total",
        "Connections that were cut off because they read too slowly.",
        listeners.cut_off,
    );
    out.counter(
        "flowsift_socket_subscribers_refused_total",
        "Connections that were refused.",
        listeners.refused,
    );
    out.0
}

/// One of each name: an interface that is captured under another tag than before is counted anew,
/// but a series must be there once.
fn by_name(interfaces: &[Interface]) -> Vec<Interface> {
    let mut all: Vec<Interface> = Vec::new();
    for interface in interfaces {
        match all.iter_mut().find(|other| other.name == interface.name) {
            Some(first) => {
                first.counts.add(&interface.counts);
                // What is captured goes before what is gone, and that before what was left.
                if first.mode == LEFT || first.mode == GONE && interface.mode != LEFT {
                    first.mode.clone_from(&interface.mode);
                }
            }
            None => all.push(interface.clone()),
        }
    }
    all
}

fn interfaces(out: &mut Text, interfaces: &[Interface]) {
    let name = "flowsift_capture_interface_up";
    out.head(
        name,
        Kind::Gauge,
        "Whether packets of the interface are captured now.",
    );
    // One that is not wanted any more is no reason for an alarm.
    for interface in interfaces.iter().filter(|it| it.mode != LEFT) {
        let up = u64::from(interface.mode != GONE);
        out.value(name, &[("interface", &interface.name)], up);
    }
    type Figure = (&'static str, &'static str, fn(&Interface) -> u64);
    let figures: [Figure; 5] = [
        (
            "flowsift_capture_packets_seen_total",
            "Packets that came.",
            |interface| interface.counts.seen,
        ),
        (
            "flowsift_capture_bytes_seen_total",
            "Their bytes on the wire.",
            |interface| interface.counts.seen_bytes,
        ),
        (
            "flowsift_capture_packets_stored_total",
            "Packets that were written.",
            |interface| interface.counts.stored,
        ),
        (
            "flowsift_capture_bytes_stored_total",
            "Bytes of their records, record headers included.",
            |interface| interface.counts.stored_bytes,
        ),
        (
            "flowsift_capture_packets_cut_total",
            "Packets that were written without all of their bytes.",
            |interface| interface.counts.cut,
        ),
    ];
    for (name, help, value) in figures {
        out.head(name, Kind::Counter, help);
        for interface in interfaces {
            out.value(name, &[("interface", &interface.name)], value(interface));
        }
    }
}

/// What is not in the store. Each loss stands there once: of packets the rings' and the writer's,
/// and beside them what tuples were lost; without packets, all of it is of tuples.
fn lost(out: &mut Text, interfaces: &[Interface], tuples: bool) {
    let ring = if tuples { "tuple" } else { "packet" };
    let name = "flowsift_capture_packets_dropped_total";
    out.head(
        name,
        Kind::Counter,
        "Packets (or tuples) that were lost, by the ring that they came by.",
    );
    for Interface {
        name: interface,
        counts,
        ..
    } in interfaces
    {
        for reason in LOST {
            let labels = [
                ("interface", interface.as_str()),
                ("ring", ring),
                ("reason", reason),
            ];
            out.value(
                name,
                &labels,
                counts.dropped.get(reason).copied().unwrap_or(0),
            );
        }
        if !tuples {
            let labels = [
                ("interface", interface.as_str()),
                ("ring", "tuple"),
                ("reason", "ring_full"),
            ];
            out.value(name, &labels, counts.tuples_dropped);
        }
    }
    let name = "flowsift_capture_packets_left_out_total";
    out.head(name, Kind::Counter, "Packets that were not wanted.");
    for Interface {
        name: interface,
        counts,
        ..
    } in interfaces
    {
        for reason in LEFT_OUT {
            let labels = [("interface", interface.as_str()), ("reason", reason)];
            out.value(
                name,
                &labels,
                counts.left_out.get(reason).copied().unwrap_or(0),
            );
        }
    }
}

fn store(out: &mut Text, report: &Report, usage: Option<&Usage>) {
    out.counter(
        "flowsift_store_bytes_written_total",
        "Bytes written to files of packets.",
        report.bytes_written,
    );
    let Some(usage) = usage else {
        return;
    };
    out.gauge(
        "flowsift_store_complete_until_timestamp_seconds",
        "All packets up to this time are in the store, or counted as lost.",
        seconds(report.complete_until_ns),
    );
    out.gauge(
        "flowsift_store_segments",
        "Files of packets.",
        usage.files(),
    );
    out.gauge("flowsift_store_bytes", "Bytes of all files.", usage.bytes());
    out.gauge(
        "flowsift_store_free_bytes",
        "Free bytes of the file system.",
        usage.free_bytes,
    );
    if let Some(oldest) = usage.oldest_ns() {
        out.gauge(
            "flowsift_store_oldest_packet_timestamp_seconds",
            "Time of the first packet of the oldest file.",
            seconds(oldest),
        );
    }
}

fn seconds(ns: i64) -> f64 {
    ns as f64 / 1e9
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escape(value)));
        let labels = labels.collect::<Vec<_>>().join(",");
        let _ = match labels.is_empty() {
            true => writeln!(self.0, "{name} {value}"),
            false => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }

    fn one(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        labels: &[(&str, &str)],
        value: impl Display,
    ) {
        self.head(name, kind, help);
        self.value(name, labels, value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.one(name, Kind::Gauge, help, &[], value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.one(name, Kind::Counter, help, &[], value);
    }
}

/// A label's value between its quotes.
fn escape(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    escaped.replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn report() -> Report {
        let mut lan0 = Interface {
            name: "lan0".to_owned(),
            mode: "native".to_owned(),
            ..Interface::default()
        };
        lan0.counts.seen = 12;
        lan0.counts.stored = 9;
        lan0.counts.dropped.insert("disk_full".to_owned(), 2);
        lan0.counts.left_out.insert("own".to_owned(), 1);
        let odd = Interface {
            name: "a\"b\\c".to_owned(),
            mode: "gone".to_owned(),
            ..Interface::default()
        };
        Report {
            interfaces: vec![lan0, odd],
            ring_fill: 0.5,
            bytes_written: 900,
            ..Report::default()
        }
    }

    #[test]
    fn the_text_has_names_types_and_values() {
        let text = text(&report(), 1_500_000_000, None);
        for line in [
            "# TYPE flowsift_capture_packets_seen_total counter",
            "flowsift_capture_packets_seen_total{interface=\"lan0\"} 12",
            "flowsift_capture_packets_stored_total{interface=\"lan0\"} 9",
            "flowsift_capture_packets_dropped_total{interface=\"lan0\",ring=\"packet\",reason=\"disk_full\"} 2",
            "flowsift_capture_packets_dropped_total{interface=\"lan0\",ring=\"tuple\",reason=\"ring_full\"} 0",
            "flowsift_capture_packets_left_out_total{interface=\"lan0\",reason=\"own\"} 1",
            "flowsift_capture_interface_up{interface=\"a\\\"b\\\\c\"} 0",
            "flowsift_ring_fill_ratio 0.5",
            "flowsift_start_time_seconds 1.5",
            "flowsift_store_bytes_written_total 900",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        assert!(!text.contains("flowsift_store_segments"));
        let mut again = report();
        let mut lan0 = again.interfaces[0].clone();
        lan0.tag = "other".to_owned();
        again.interfaces[0].mode = GONE.to_owned();
        again.interfaces.push(lan0);
        let text = super::text(&again, 0, None);
        for line in [
            "flowsift_capture_packets_seen_total{interface=\"lan0\"} 24",
            "flowsift_capture_packets_left_out_total{interface=\"lan0\",reason=\"own\"} 2",
            "flowsift_capture_interface_up{interface=\"lan0\"} 1",
        ] {
            assert_eq!(
                text.lines().filter(|other| *other == line).count(),
                1,
                "{text}"
            );
        }
        // Not wanted any more: no alarm, and its counters stay.
        again.interfaces[1].mode = LEFT.to_owned();
        let text = super::text(&again, 0, None);
        assert!(!text.contains("interface_up{interface=\"a"), "{text}");
        assert!(text.contains("packets_seen_total{interface=\"a"), "{text}");
        let usage = Usage {
            free_bytes: 7,
            ..Usage::default()
        };
        let text = super::text(&report(), 0, Some(&usage));
        assert!(text.contains("\nflowsift_store_segments 0\n"));
        assert!(text.contains("\nflowsift_store_free_bytes 7\n"));
    }

    #[test]
    fn a_lost_tuple_is_counted_once_where_no_packets_are_stored() {
        let mut report = report();
        report.tuples = true;
        let lan0 = &mut report.interfaces[0].counts;
        lan0.dropped.insert("ring_full".to_owned(), 5);
        lan0.tuples_dropped = 5;
        let text = text(&report, 0, None);
        let of = "flowsift_capture_packets_dropped_total{interface=\"lan0\",ring=";
        let lines: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix(of))
            .collect();
        assert_eq!(
            lines,
            [
                "\"tuple\",reason=\"ring_full\"} 5",
                "\"tuple\",reason=\"disk_full\"} 2",
                "\"tuple\",reason=\"io_error\"} 0",
            ]
        );
    }

    /// The grammar of the format, line by line: each family once, its head before its values.
    #[test]
    fn the_text_is_of_the_format() {
        let text = text(&report(), 0, Some(&Usage::default()));
        assert!(text.ends_with('\n'));
        let (mut families, mut series) = (BTreeSet::new(), BTreeSet::new());
        let mut lines = text.lines().peekable();
        while let Some(head) = lines.next() {
            let (name, help) = head
                .strip_prefix("# HELP ")
                .unwrap()
                .split_once(' ')
                .unwrap();
            assert!(
                help.ends_with('.') && families.insert(name.to_owned()),
                "{head}"
            );
            let kind = lines.next().unwrap();
            let kind = kind.strip_prefix(&format!("# TYPE {name} ")).unwrap();
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                let (of, value) = line.rsplit_once(' ').unwrap();
                assert_eq!(of.split('{').next(), Some(name));
                assert!(
                    value.parse::<f64>().is_ok() && series.insert(of.to_owned()),
                    "{line}"
                );
            }
        }
        assert!(families.len() > 12);
    }
}
