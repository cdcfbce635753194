//! Which stored tuples an answer does not have, for people: on standard error.

use std::collections::BTreeSet;

use crate::exec::scan::ScanReport;
use crate::missed::Unanswered;
use crate::text;

/// Files that are named one by one.
const FILES_LISTED: usize = 5;

/// Prints it; whether there are any.
pub(super) fn print(report: &ScanReport) -> bool {
    let unanswered = report.unanswered();
    for line in lines(&unanswered) {
        eprintln!("{line}");
    }
    let lost = report.tuples_lost();
    for damage in &lost {
        eprintln!("warning: {damage}");
    }
    !unanswered.is_empty() || !lost.is_empty()
}

fn lines(unanswered: &[Unanswered]) -> Vec<String> {
    if unanswered.is_empty() {
        return Vec::new();
    }
    let packets: u64 = unanswered.iter().map(|file| file.packets).sum();
    let fields: BTreeSet<&str> = unanswered
        .iter()
        .flat_map(|file| file.fields.iter().map(String::as_str))
        .collect();
    let fields = Vec::from_iter(fields).join(", ");
    let times = unanswered.iter().filter_map(|file| file.times_ns);
    let span = times.reduce(|(a, b), (c, d)| (a.min(c), b.max(d)));
    let span = span.map_or_else(String::new, |(first, last)| {
        format!(" from {} to {}", text::time(first), text::time(last))
    });
    let mut lines = vec![format!(
        "warning: up to {packets} packets{span} are not in the answer: only their tuples were \
         stored (capture --no-pcap), and the query needs {fields}"
    )];
    for file in unanswered.iter().take(FILES_LISTED) {
        lines.push(format!("warning: {}: {} tuples", file.file, file.packets));
    }
    if unanswered.len() > FILES_LISTED {
        let more = unanswered.len() - FILES_LISTED;
        lines.push(format!("warning: and {more} more files of tuples alone"));
    }
    lines.push(
        "note: tuples have the time, addresses, ports, IPv4 protocol, TCP flags, VLAN and length; \
         ask for these, or capture without --no-pcap"
            .to_owned(),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_span_and_fields_are_named() {
        let file = |name: &str, packets, times_ns, fields: &[&str]| Unanswered {
            file: name.to_owned(),
            packets,
            times_ns,
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        };
        assert_eq!(lines(&[]), [""; 0]);
        let files = [
            file("a", 3, Some((0, 5_000_000_000)), &["tcp.Payload"]),
            file("b", 4, Some((1_000_000_000, 9_000_000_000)), &["ipv4.TTL"]),
        ];
        let said = lines(&files);
        assert_eq!(said.len(), 4);
        let first = &said[0];
        assert!(
            first.starts_with("warning: up to 7 packets from 1970-01-01"),
            "{first}"
        );
        assert!(first.ends_with("needs ipv4.TTL, tcp.Payload"), "{first}");
        assert!(first.contains("00:00:09"), "{first}");
        assert_eq!(said[2], "warning: b: 4 tuples");
        let many: Vec<Unanswered> = (0..8)
            .map(|n| file(&n.to_string(), 1, None, &["x"]))
            .collect();
        assert!(lines(&many).contains(&"warning: and 3 more files of tuples alone".to_owned()));
    }
}
