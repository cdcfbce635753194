//! Charts in every format, on small answers.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray};
use unicode_width::UnicodeWidthStr;

use crate::missed::{LossSpan, SourceMissed};
use crate::render::testing::{Answer, ips, render};
use crate::render::{Format, RenderOptions};
use crate::shape::{ChartShape, Shape};
use crate::types::EvType;

/// 2016-02-14 17:12:00 UTC.
const START: i64 = 1_455_469_920_000_000_000;
const BIN: i64 = 10_000_000_000;

/// (bin, category, other, key, value).
type Row<'a> = (i64, &'a str, bool, Option<&'a str>, i64);

fn chart(bins: usize, categories: &[&str], rows: &[Row<'_>]) -> Answer {
    let times = rows.iter().map(|row| START + row.0 * BIN);
    let times: ArrayRef = Arc::new(Int64Array::from_iter_values(times));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1)));
    let others: Vec<bool> = rows.iter().map(|row| row.2).collect();
    let others: ArrayRef = Arc::new(BooleanArray::from(others));
    let keys = ips(&rows.iter().map(|row| row.3).collect::<Vec<_>>());
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.4)));
    let shape = Shape::Chart(ChartShape {
        start_ns: START,
        bin_ns: BIN,
        bins,
        window_ns: 1_000_000_000,
        keys: 1,
        categories: categories.iter().map(|&name| name.to_owned()).collect(),
    });
    Answer::new(
        shape,
        vec![
            ("time", EvType::Time, times),
            ("category", EvType::String, names),
            ("other", EvType::Bool, others),
            ("SrcIP", EvType::Ip, keys),
            ("count", EvType::Int64, values),
        ],
    )
}

/// A gap in the first series, an IPv6 host, an absent key, the others.
const SAMPLE: fn() -> Answer = || {
    let (a, b) = (Some("10.0.0.1"), Some("fe80::1"));
    chart(
        6,
        &["count"],
        &[
            (0, "count", false, a, 10),
            (1, "count", false, a, 20),
            (3, "count", false, a, 40),
            (4, "count", false, a, 30),
            (0, "count", true, None, 1),
            (2, "count", false, b, 15),
            (5, "count", false, None, 5),
        ],
    )
};

const NAMES: [&str; 4] = ["10.0.0.1", "fe80::1", "(none)", "other"];

fn size(width: usize, height: usize) -> RenderOptions {
    RenderOptions {
        width,
        height,
        ..RenderOptions::default()
    }
}

#[test]
fn terminal() {
    assert_eq!(
        SAMPLE().text(Format::Table, size(50, 16)),
        "\
count, 2016-02-14 17:12:00 to 17:13:00 UTC, 10s a…
40 ┤                          A⠒⢄⡀
   │                             ⠈⠒⢄⡀
   │                                ⠈⠒A
   │
   │
20 ┤         ⡠⠔A
   │     ⢀⡠⠒⠉          B
   │    A⠁
   │                                         C
 0 ┤    +
   └┬──────────────────────┬─────────────────────┬
    17:12:00           17:12:30           17:13:00
A 10.0.0.1  100   C (none)      5
B fe80::1    15   + other       1
"
    );
}

/// Packets lost in a second of the second bin, nothing captured in the fourth and fifth.
fn with_losses(mut answer: Answer) -> Answer {
    let second = 1_000_000_000;
    answer.missed.sources = vec![SourceMissed {
        known_ns: Some((START, START + 6 * BIN)),
        losses: vec![LossSpan {
            from_ns: START + BIN,
            to_ns: START + BIN + second,
            packets: 1_234,
        }],
        gaps_ns: vec![(START + 3 * BIN, START + 5 * BIN)],
        ..SourceMissed::default()
    }];
    answer
}

#[test]
fn times_without_packets_are_marked_in_the_terminal() {
    let text = with_losses(SAMPLE()).text(Format::Table, size(50, 16));
    let end = "\
   └┬──────────────────────┬─────────────────────┬
           ▓▓              ░░░░░░░░░░░░░░░░
    17:12:00           17:12:30           17:13:00
A 10.0.0.1  100   C (none)      5
B fe80::1    15   + other       1
░ nothing captured (20s)   ▓ packets lost (1234)
";
    assert!(text.ends_with(end), "{text}");
    for (width, height) in [(80, 24), (40, 24), (80, 16), (20, 10)] {
        let text = with_losses(SAMPLE()).text(Format::Table, size(width, height));
        assert!(
            text.lines().count() < height.max(13),
            "{width}x{height}:\n{text}"
        );
        if width >= 40 {
            let widest = text.lines().map(UnicodeWidthStr::width).max();
            assert!(widest <= Some(width), "{width}x{height}:\n{text}");
        }
    }
    let single = chart(1, &["count"], &[(0, "count", false, Some("::1"), 8)]);
    let text = with_losses(single).text(Format::Table, size(60, 24));
    assert!(
        !text.contains("packets lost"),
        "no loss in its one bin: {text}"
    );
}

#[test]
fn times_without_packets_are_shaded_in_pictures() {
    let plain = render(SAMPLE, Format::Svg);
    let answer = with_losses(SAMPLE());
    let svg = answer.text(Format::Svg, RenderOptions::default());
    let html = answer.text(Format::Html, RenderOptions::default());
    // Each as a band and as the sample of its legend entry.
    for (colour, name, value) in [
        ("#FCD6D0", "packets lost", "1234"),
        ("#E2E4E8", "nothing captured", "20s"),
    ] {
        assert_eq!(plain.matches(colour).count(), 0);
        assert_eq!(svg.matches(colour).count(), 2, "{name}");
        assert!(svg.contains(name) && svg.contains(value), "{name}");
        assert!(
            html.contains(&format!("</i>{name}</td><td>{value}</td>")),
            "{name}"
        );
    }
}

#[test]
fn rows() {
    assert_eq!(
        render(SAMPLE, Format::Tsv),
        "time\tseries\tvalue\n\
         2016-02-14T17:12:00.000000000Z\t10.0.0.1\t10\n\
         2016-02-14T17:12:10.000000000Z\t10.0.0.1\t20\n\
         2016-02-14T17:12:30.000000000Z\t10.0.0.1\t40\n\
         2016-02-14T17:12:40.000000000Z\t10.0.0.1\t30\n\
         2016-02-14T17:12:00.000000000Z\tother\t1\n\
         2016-02-14T17:12:20.000000000Z\tfe80::1\t15\n\
         2016-02-14T17:12:50.000000000Z\t(none)\t5\n"
    );
    let json: serde_json::Value = serde_json::from_str(&render(SAMPLE, Format::Json)).unwrap();
    let first = serde_json::json!(
        {"time": "2016-02-14T17:12:00.000000000Z", "series": "10.0.0.1", "value": 10}
    );
    assert_eq!(json["rows"][0], first);
    assert!(render(SAMPLE, Format::Csv).starts_with("time,series,value\r\n"));
}

#[test]
fn categories_name_series_where_there_are_several() {
    let key = Some("10.0.0.1");
    let answer = chart(
        2,
        &["max", "min"],
        &[
            (0, "max", false, key, 9),
            (0, "min", false, key, 2),
            (1, "min", true, None, 1),
        ],
    );
    let text = answer.text(Format::Tsv, RenderOptions::default());
    for name in ["\tmax 10.0.0.1\t9", "\tmin 10.0.0.1\t2", "\tmin other\t1"] {
        assert!(text.contains(name), "{name} in {text}");
    }
}

#[test]
fn every_size_is_kept() {
    let hosts: Vec<String> = (0..23).map(|n| format!("2001:db8::{n:x}")).collect();
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (n, host) in hosts.iter().enumerate() {
        let values = (0..40).map(|bin| (bin, "count", false, Some(host.as_str()), bin * n as i64));
        rows.extend(values);
    }
    rows.push((0, "count", true, None, 1_000_000));
    let many = chart(40, &["count"], &rows);
    let below = chart(
        3,
        &["sum"],
        &[
            (0, "sum", false, None, i64::MIN),
            (1, "sum", false, None, i64::MAX),
        ],
    );
    let constant = chart(
        2,
        &["sum"],
        &[(0, "sum", false, None, 7), (1, "sum", false, None, 7)],
    );
    let single = chart(1, &["sum"], &[(0, "sum", false, Some("::1"), 7)]);
    let answers = [
        many,
        below,
        constant,
        single,
        chart(3, &["sum"], &[]),
        SAMPLE(),
    ];
    for answer in &answers {
        for (width, height) in [(80, 24), (200, 60), (40, 24), (80, 16)] {
            let text = answer.text(Format::Table, size(width, height));
            assert!(text.lines().count() < height, "{width}x{height}:\n{text}");
            let widest = text.lines().map(UnicodeWidthStr::width).max();
            assert!(widest <= Some(width), "{width}x{height}:\n{text}");
        }
    }
}

#[test]
fn one_bin_is_bars_and_none_a_sentence() {
    let single = chart(
        1,
        &["count"],
        &[
            (0, "count", false, Some("10.0.0.1"), 8),
            (0, "count", true, None, 4),
        ],
    );
    assert_eq!(
        single.text(Format::Table, size(60, 24)),
        "count, 2016-02-14 17:12:00 to 17:12:10 UTC, 10s a bin\n\
         10.0.0.1 8  ████████████████████████████████████████████████\n\
         other    4  ████████████████████████\n"
    );
    let none = chart(3, &["count"], &[]).text(Format::Table, size(60, 24));
    assert!(none.ends_with("\nno data: no entry reached the chart\n"));
}

#[test]
fn colour_changes_nothing_but_colour() {
    let plain = SAMPLE().text(Format::Table, size(80, 24));
    let options = RenderOptions {
        colour: true,
        ..size(80, 24)
    };
    let coloured = SAMPLE().text(Format::Table, options);
    let mut stripped = String::new();
    for part in coloured.split('\u{1b}') {
        match part.split_once('m') {
            Some((sequence, rest)) if sequence.starts_with('[') => stripped.push_str(rest),
            _ => stripped.push_str(part),
        }
    }
    assert_eq!(stripped, plain);
    assert!(coloured.contains("\u{1b}[38;5;33m"));
}

#[test]
fn pictures() {
    let svg = render(SAMPLE, Format::Svg);
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    let (png, _) = SAMPLE().bytes(Format::Png, RenderOptions::default());
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    // Width and height stand in the header chunk, big-endian.
    assert_eq!(&png[16..24], [0, 0, 0x04, 0xb0, 0, 0, 0x02, 0xa3]);
    let html = render(SAMPLE, Format::Html);
    assert!(html.starts_with("<!DOCTYPE html>") && html.ends_with("</html>\n"));
    assert!(html.contains("</i>10.0.0.1</td><td>100</td>"));
    for text in [&svg, &html] {
        for name in NAMES {
            assert!(text.contains(name), "{name}");
        }
    }
}

#[test]
fn a_gap_is_not_bridged() {
    let svg = render(SAMPLE, Format::Svg);
    // The first series is drawn as two stretches, each of two points.
    let lines = svg.lines().filter(|line| {
        line.starts_with("<polyline")
            && line.contains("#0072B2")
            && line.contains("stroke-width=\"2\"")
    });
    assert_eq!(lines.count(), 2);
}

#[test]
fn hostile_names_are_escaped() {
    let names: ArrayRef = Arc::new(StringArray::from(vec!["<script>\u{1b}[2J&"]));
    let mut answer = chart(2, &["<script>\u{1b}[2J&"], &[(0, "x", false, None, 1)]);
    answer.columns[3].ty = EvType::String;
    let batch = answer.batches.remove(0);
    let mut columns = batch.columns().to_vec();
    columns[3] = names;
    let named = answer.columns.iter().map(|c| c.name.clone()).zip(columns);
    answer.batches = vec![datafusion::arrow::array::RecordBatch::try_from_iter(named).unwrap()];
    for format in [
        Format::Table,
        Format::Svg,
        Format::Html,
        Format::Tsv,
        Format::Json,
    ] {
        let text = answer.text(format, RenderOptions::default());
        assert!(!text.contains('\u{1b}'), "{format}");
        if matches!(format, Format::Svg | Format::Html) {
            assert!(!text.contains("<script>"), "{format}");
            assert!(text.contains("&lt;script&gt;.[2J&amp;"), "{format}");
        }
    }
}
