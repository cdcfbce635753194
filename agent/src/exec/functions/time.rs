//! Functions of times, with Go's layouts.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

use super::text::{one, two};
use super::value::Value;
use super::{Entry, strict};

pub(super) const FUNCTIONS: &[Entry] = &[
    strict("parse_time", |_, v| {
        two(v, |text, layout| {
            let text = text.text();
            let layout = layout.text();
            let time = if layout.is_empty() {
                guess(&text)
            } else {
                parse(&text, &layout)
            };
            time.map_or(Value::Null, Value::Time)
        })
    }),
    strict("format_time", |_, v| {
        two(v, |time, layout| format(time, &layout.text()))
    }),
    strict("to_duration", |_, v| {
        one(v, |v| {
            crate::lang::time::parse_duration_ns(v.text().trim())
                .map_or(Value::Null, Value::Duration)
        })
    }),
    strict("unix", |_, v| {
        one(v, |v| {
            v.as_int()
                .map_or(Value::Null, |t| Value::Int(t.div_euclid(1_000_000_000)))
        })
    }),
];

/// Go's layout elements and what chrono calls them; longer ones first.
const ELEMENTS: &[(&str, &str)] = &[
    ("January", "%B"),
    ("Monday", "%A"),
    (".000000000", "%.9f"),
    (".999999999", "%.f"),
    (".000000", "%.6f"),
    ("Z07:00", "%:z"),
    ("-07:00", "%:z"),
    ("-0700", "%z"),
    (".000", "%.3f"),
    ("2006", "%Y"),
    ("002", "%j"),
    ("Jan", "%b"),
    ("Mon", "%a"),
    ("MST", "UTC"),
    ("_2", "%e"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
    ("%", "%%"),
];

/// A Go layout as a chrono format.
fn chrono_format(layout: &str) -> String {
    let mut format = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        let element = ELEMENTS
            .iter()
            .find_map(|(go, chrono)| rest.strip_prefix(go).map(|after| (*chrono, after)));
        if let Some((chrono, after)) = element {
            format.push_str(chrono);
            rest = after;
        } else {
            format.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    format
}

fn parse(text: &str, layout: &str) -> Option<i64> {
    let format = chrono_format(layout);
    let text = text.trim();
    let time = DateTime::parse_from_str(text, &format)
        .map(|time| time.with_timezone(&Utc))
        .or_else(|_| NaiveDateTime::parse_from_str(text, &format).map(|time| time.and_utc()))
        .or_else(|_| {
            NaiveDate::parse_from_str(text, &format)
                .map(|day| day.and_time(Default::default()).and_utc())
        });
    time.ok()?.timestamp_nanos_opt()
}

/// The time that a text names in a common notation; UTC unless it says otherwise.
pub(super) fn guess(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) =
        DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc2822(text))
    {
        return time.timestamp_nanos_opt();
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let whole = text
            .parse::<i64>()
            .ok()
            .and_then(|s| s.checked_mul(1_000_000_000));
        return whole.or_else(|| Value::Float((seconds * 1e9).round()).as_int());
    }
    [
        "2006-01-02T15:04:05.999999999",
        "2006-01-02 15:04:05.999999999",
        "2006-01-02 15:04",
        "2006-01-02",
        "2006/01/02 15:04:05",
        "Mon Jan _2 15:04:05 2006",
        "02/Jan/2006:15:04:05 -0700",
    ]
    .into_iter()
    .find_map(|layout| parse(text, layout))
}

fn format<'a>(time: &Value<'a>, layout: &str) -> Value<'a> {
    let Some(ns) = time.as_int() else {
        return Value::Null;
    };
    if layout.is_empty() {
        return Value::string(crate::text::time(ns));
    }
    let time: DateTime<Utc> = DateTime::from_timestamp_nanos(ns);
    Value::string(time.format(&chrono_format(layout)).to_string())
}
