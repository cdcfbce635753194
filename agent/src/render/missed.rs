//! What an answer missed, as JSON.
//!
//! `"missed":{"from","to","sources":[{"interface","tag","known_from","known_to","seen","stored",
//! "lost","cut","dropped":{REASON:N},"losses":[{"from","to","packets"}],"gaps":[{"from","to"}],
//! "damaged_lines"}],"cut","damaged":[{"file","offset","reason","places"}],"removed":[FILE],
//! "unanswered":[{"file","packets","from","to","fields":[FIELD]}],
//! "undecoded":[{"link_type","packets"}],"portless_fragments"}`. All keys are always there; times
//! are RFC 3339, `null` where not bounded or not known.

use super::escape;
use crate::missed::{Missed, SourceMissed, Unanswered};
use crate::text;

/// Appends a comma and the member `missed` of a JSON object.
pub(super) fn write_json(missed: &Missed, out: &mut String) {
    out.push_str(",\n\"missed\":{\"from\":");
    time(missed.from_ns, out);
    out.push_str(",\"to\":");
    time(missed.to_ns, out);
    out.push_str(",\n\"sources\":");
    list(&missed.sources, out, source);
    out.push_str(&format!(",\n\"cut\":{},\"damaged\":", missed.cut));
    list(&missed.damaged, out, |damage, out| {
        out.push_str("{\"file\":");
        escape::json(&damage.file, out);
        out.push_str(&format!(",\"offset\":{},\"reason\":", damage.offset));
        escape::json(&damage.reason, out);
        out.push_str(&format!(",\"places\":{}}}", damage.places));
    });
    out.push_str(",\"removed\":");
    list(&missed.removed, out, |file, out| escape::json(file, out));
    out.push_str(",\"unanswered\":");
    list(&missed.unanswered, out, unanswered);
    out.push_str(",\"undecoded\":");
    list(&missed.undecoded, out, |(link_type, packets), out| {
        out.push_str(&format!(
            "{{\"link_type\":{link_type},\"packets\":{packets}}}"
        ));
    });
    out.push_str(&format!(
        ",\"portless_fragments\":{}}}",
        missed.portless_fragments
    ));
}

fn unanswered(tuples: &Unanswered, out: &mut String) {
    out.push_str("{\"file\":");
    escape::json(&tuples.file, out);
    out.push_str(&format!(",\"packets\":{},\"from\":", tuples.packets));
    time(tuples.times_ns.map(|(from, _)| from), out);
    out.push_str(",\"to\":");
    time(tuples.times_ns.map(|(_, to)| to), out);
    out.push_str(",\"fields\":");
    list(Vec::from_iter(&tuples.fields), out, |field, out| {
        escape::json(field, out)
    });
    out.push('}');
}

fn source(source: &SourceMissed, out: &mut String) {
    out.push_str("\n{\"interface\":");
    escape::json(&source.interface, out);
    out.push_str(",\"tag\":");
    escape::json(&source.tag, out);
    out.push_str(",\"known_from\":");
    time(source.known_ns.map(|(from, _)| from), out);
    out.push_str(",\"known_to\":");
    time(source.known_ns.map(|(_, to)| to), out);
    for (name, count) in [
        ("seen", source.seen),
        ("stored", source.stored),
        ("lost", source.lost),
        ("cut", source.cut),
    ] {
        out.push_str(&format!(",\"{name}\":{count}"));
    }
    out.push_str(",\"dropped\":{");
    for (n, (reason, packets)) in source.dropped.iter().enumerate() {
        let comma = if n > 0 { "," } else { "" };
        out.push_str(&format!("{comma}\"{reason}\":{packets}"));
    }
    out.push_str("},\"losses\":");
    list(&source.losses, out, |span, out| {
        out.push_str("{\"from\":");
        time(Some(span.from_ns), out);
        out.push_str(",\"to\":");
        time(Some(span.to_ns), out);
        out.push_str(&format!(",\"packets\":{}}}", span.packets));
    });
    out.push_str(",\"gaps\":");
    list(&source.gaps_ns, out, |(from, to), out| {
        out.push_str("{\"from\":");
        time(Some(*from), out);
        out.push_str(",\"to\":");
        time(Some(*to), out);
        out.push('}');
    });
    out.push_str(&format!(",\"damaged_lines\":{}}}", source.damaged_lines));
}

fn time(nanoseconds: Option<i64>, out: &mut String) {
    match nanoseconds {
        Some(nanoseconds) => escape::json(&text::time(nanoseconds), out),
        None => out.push_str("null"),
    }
}

fn list<T>(items: impl IntoIterator<Item = T>, out: &mut String, write: impl Fn(T, &mut String)) {
    out.push('[');
    for (n, item) in items.into_iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::missed::{Damage, LossSpan};

    #[test]
    fn all_that_is_missed_is_in_the_block() {
        let source = SourceMissed {
            interface: "lan\"0".to_owned(),
            tag: "pcap".to_owned(),
            known_ns: Some((0, 3_000_000_000)),
            seen: 10,
            stored: 7,
            lost: 2,
            cut: 1,
            dropped: vec![("ring_full", 2), ("filter", 1)],
            losses: vec![LossSpan {
                from_ns: 1_000_000_000,
                to_ns: 2_000_000_000,
                packets: 2,
            }],
            gaps_ns: vec![(3_000_000_000, 5_000_000_000)],
            damaged_lines: 4,
        };
        let missed = Missed {
            from_ns: Some(0),
            to_ns: None,
            sources: vec![source.clone(), source],
            cut: 5,
            damaged: vec![Damage {
                file: "x.pcap".to_owned(),
                offset: 24,
                reason: "zero bytes".to_owned(),
                places: 2,
            }],
            removed: vec!["y.pcap".to_owned(), "z.pcap".to_owned()],
            unanswered: vec![Unanswered {
                file: "t.parquet".to_owned(),
                packets: 8,
                times_ns: Some((1_000_000_000, 2_000_000_000)),
                fields: ["ipv4.TTL".to_owned(), "tcp.Payload".to_owned()].into(),
            }],
            undecoded: vec![(147, 3)],
            portless_fragments: 6,
        };
        let mut text = String::from("{\"rows\":[]");
        write_json(&missed, &mut text);
        text.push('}');
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let at = |second: u32| format!("1970-01-01T00:00:0{second}.000000000Z");
        let source = serde_json::json!({
            "interface": "lan\"0", "tag": "pcap", "known_from": at(0), "known_to": at(3),
            "seen": 10, "stored": 7, "lost": 2, "cut": 1,
            "dropped": {"ring_full": 2, "filter": 1},
            "losses": [{"from": at(1), "to": at(2), "packets": 2}],
            "gaps": [{"from": at(3), "to": at(5)}],
            "damaged_lines": 4,
        });
        let expected = serde_json::json!({
            "from": at(0), "to": null, "sources": [source, source], "cut": 5,
            "damaged": [{"file": "x.pcap", "offset": 24, "reason": "zero bytes", "places": 2}],
            "removed": ["y.pcap", "z.pcap"],
            "unanswered": [{
                "file": "t.parquet", "packets": 8, "from": at(1), "to": at(2),
                "fields": ["ipv4.TTL", "tcp.Payload"],
            }],
            "undecoded": [{"link_type": 147, "packets": 3}],
            "portless_fragments": 6,
        });
        assert_eq!(json["missed"], expected);
    }
}
