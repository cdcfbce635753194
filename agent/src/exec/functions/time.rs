//! Functions of times, with Go's layouts.

use chrono::format::{Parsed, StrftimeItems};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, SecondsFormat, Utc};

use super::text::{one, two};
use super::value::Value;
use super::{Context, Entry, Prepared, strict};
use crate::zone::{Offset, Zone};

pub(super) const FUNCTIONS: &[Entry] = &[
    strict("parse_time", |context, v| {
        two(v, |text, layout| {
            let text = text.text();
            let layout = layout.text();
            let time = if layout.is_empty() {
                guess_in(&text, zone(context))
            } else {
                parse(&text, &layout, zone(context))
            };
            time.map_or(Value::Null, Value::Time)
        })
    }),
    strict("format_time", |context, v| {
        two(v, |time, layout| {
            format(time, &layout.text(), zone(context))
        })
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

/// The zone of a call; `None`: UTC.
fn zone(context: &Context) -> Option<&Zone> {
    match &context.prepared {
        Prepared::Zone(zone) => Some(zone),
        _ => None,
    }
}

/// Go's layout elements and what chrono calls them; longer ones first.
const ELEMENTS: &[(&str, &str)] = &[
    ("January", "%B"),
    ("Monday", "%A"),
    (".000000000", "%.9f"),
    (".999999999", "%.f"),
    (".000000", "%.6f"),
    (".000", "%.3f"),
    ("2006", "%Y"),
    ("002", "%j"),
    ("Jan", "%b"),
    ("Mon", "%a"),
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

/// Go's elements for the offset of a zone, what stands between its hours and minutes (`None`: no
/// minutes), and how chrono reads it; longer ones first. The letter Z is written where the offset
/// is zero, and nothing of chrono's is like that.
const OFFSETS: &[(&str, Option<&str>, &str)] = &[
    ("Z07:00", Some(":"), "%#z"),
    ("-07:00", Some(":"), "%:z"),
    ("Z0700", Some(""), "%#z"),
    ("-0700", Some(""), "%z"),
    ("Z07", None, "%#z"),
    ("-07", None, "%#z"),
];

/// Go's element for the abbreviation of a zone, which chrono does not know.
const ZONE_NAME: &str = "MST";

/// A Go layout as a chrono format to read times with or, given the offset of the clock, to write
/// one with.
fn chrono_format(layout: &str, clock: Option<&Offset>) -> String {
    let mut format = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        let offset = OFFSETS
            .iter()
            .find_map(|offset| Some((offset, rest.strip_prefix(offset.0)?)));
        let element = ELEMENTS
            .iter()
            .find_map(|(go, chrono)| Some((*chrono, rest.strip_prefix(go)?)));
        if let Some(((go, between, read), after)) = offset {
            match clock {
                Some(clock) if clock.seconds == 0 && go.starts_with('Z') => format.push('Z'),
                Some(clock) => format.push_str(&offset_text(clock.seconds, *between)),
                None => format.push_str(read),
            }
            rest = after;
        } else if let Some(after) = rest.strip_prefix(ZONE_NAME) {
            // An abbreviation names no zone for certain: that of UTC is read, others are not.
            format.push_str(clock.map_or("UTC", |clock| &clock.abbreviation));
            rest = after;
        } else if let Some((chrono, after)) = element {
            format.push_str(chrono);
            // As in Go, a text may have a fraction of which the layout says nothing.
            let seconds = matches!(chrono, "%S" | "%-S");
            if clock.is_none() && seconds && ![".0", ".9"].iter().any(|f| after.starts_with(f)) {
                format.push_str("%.f");
            }
            rest = after;
        } else {
            format.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    format
}

/// An offset in hours and, where something stands between, minutes.
fn offset_text(seconds: i32, between: Option<&str>) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.unsigned_abs() / 60;
    let hours = minutes / 60;
    match between {
        Some(between) => format!("{sign}{hours:02}{between}{:02}", minutes % 60),
        None => format!("{sign}{hours:02}"),
    }
}

/// A time in a layout; one that says no offset is a local one of the zone.
fn parse(text: &str, layout: &str, zone: Option<&Zone>) -> Option<i64> {
    let format = chrono_format(layout, None);
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_str(text, &format) {
        return time.timestamp_nanos_opt();
    }
    let local = NaiveDateTime::parse_from_str(text, &format).or_else(|_| {
        NaiveDate::parse_from_str(text, &format).map(|day| day.and_time(Default::default()))
    });
    let local = local.ok().or_else(|| time_of_day(text, &format))?;
    let local = local.and_utc().timestamp_nanos_opt()?;
    // A text with the abbreviation is one of UTC.
    match zone.filter(|_| !layout.contains(ZONE_NAME)) {
        Some(zone) => zone.instant(local),
        None => Some(local),
    }
}

/// A time of no day, as one of the first day of 1970: the year 0, which is Go's, has no place in
/// 64 bits of nanoseconds.
fn time_of_day(text: &str, format: &str) -> Option<NaiveDateTime> {
    let mut read = Parsed::new();
    chrono::format::parse(&mut read, text, StrftimeItems::new(format)).ok()?;
    let of_a_day = read.year().is_some()
        || read.year_mod_100().is_some()
        || read.month().is_some()
        || read.day().is_some()
        || read.ordinal().is_some()
        || read.weekday().is_some()
        || read.offset().is_some();
    if of_a_day {
        return None;
    }
    let time = read.to_naive_time().ok()?;
    Some(NaiveDate::default().and_time(time))
}

/// The time that a text names in a common notation; UTC unless it says otherwise.
pub(super) fn guess(text: &str) -> Option<i64> {
    guess_in(text, None)
}

/// The time that a text names in a common notation; of the zone unless it says otherwise.
fn guess_in(text: &str, zone: Option<&Zone>) -> Option<i64> {
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
    .find_map(|layout| parse(text, layout, zone))
}

/// A time in a layout, as the clocks of the zone show it.
fn format<'a>(time: &Value<'a>, layout: &str, zone: Option<&Zone>) -> Value<'a> {
    let Some(ns) = time.as_int() else {
        return Value::Null;
    };
    let utc: DateTime<Utc> = DateTime::from_timestamp_nanos(ns);
    let offset = zone.map_or_else(
        || Offset {
            seconds: 0,
            abbreviation: "UTC".to_owned(),
        },
        |zone| zone.offset(ns),
    );
    // No clock is a day off.
    let Some(clock) = FixedOffset::east_opt(offset.seconds) else {
        return Value::Null;
    };
    let local = utc.with_timezone(&clock);
    if !layout.is_empty() {
        let format = chrono_format(layout, Some(&offset));
        return Value::string(local.format(&format).to_string());
    }
    Value::string(match zone {
        Some(_) => local.to_rfc3339_opts(SecondsFormat::Nanos, true),
        None => crate::text::time(ns),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> Option<Zone> {
        if crate::zone::names().is_empty() {
            eprintln!("SKIPPED: the system has no time zone database");
            return None;
        }
        Some(Zone::find("Europe/Berlin").unwrap())
    }

    #[test]
    fn times_of_a_zone_are_written() {
        let Some(zone) = berlin() else { return };
        let cases = [
            (
                1_711_846_799,
                "2006-01-02 15:04:05 MST",
                "2024-03-31 01:59:59 CET",
            ),
            (
                1_711_846_800,
                "2006-01-02 15:04:05 MST",
                "2024-03-31 03:00:00 CEST",
            ),
            (1_729_990_799, "15:04:05 -0700", "02:59:59 +0200"),
            (1_729_990_800, "15:04:05 -07:00", "02:00:00 +01:00"),
            (1_729_990_800, "", "2024-10-27T02:00:00.000000000+01:00"),
            (-1_750_000_000, "MST %!% 2006", "CET %!% 1914"),
        ];
        for (seconds, layout, expected) in cases {
            let time = Value::Time(seconds * 1_000_000_000);
            let shown = format(&time, layout, Some(&zone));
            assert_eq!(shown, Value::string(expected), "{layout}");
        }
        let utc = format(&Value::Time(0), "15:04 MST -0700", None);
        assert_eq!(utc, Value::string("00:00 UTC +0000"));
    }

    #[test]
    fn offsets_and_the_letter_z_are_written() {
        let east = Offset {
            seconds: 19_800,
            abbreviation: "IST".to_owned(),
        };
        let west = Offset {
            seconds: -34_200,
            abbreviation: "X".to_owned(),
        };
        let none = Offset {
            seconds: 0,
            abbreviation: "UTC".to_owned(),
        };
        for (layout, in_east, in_west, in_none) in [
            ("Z07:00", "+05:30", "-09:30", "Z"),
            ("Z0700", "+0530", "-0930", "Z"),
            ("Z07", "+05", "-09", "Z"),
            ("-07:00", "+05:30", "-09:30", "+00:00"),
            ("-0700", "+0530", "-0930", "+0000"),
            ("-07", "+05", "-09", "+00"),
        ] {
            let written = [&east, &west, &none].map(|clock| chrono_format(layout, Some(clock)));
            assert_eq!(written, [in_east, in_west, in_none], "{layout}");
        }
    }

    #[test]
    fn layouts_are_read() {
        const RFC_3339: &str = "2006-01-02T15:04:05Z07:00";
        let ms = |text, layout| parse(text, layout, None).map(|ns| ns / 1_000_000);
        for (text, layout, expected) in [
            ("2009-02-13T23:31:30Z", RFC_3339, Some(1_234_567_890_000)),
            (
                "2009-02-14T00:31:30+01:00",
                RFC_3339,
                Some(1_234_567_890_000),
            ),
            ("2009-02-13T23:31:30.25Z", RFC_3339, Some(1_234_567_890_250)),
            ("2009-02-13T23:31:30", RFC_3339, None),
            (
                "2009-02-13 23:31:30.250",
                "2006-01-02 15:04:05.000",
                Some(1_234_567_890_250),
            ),
            (
                "2009-02-13 21:31:30 -02",
                "2006-01-02 15:04:05 -07",
                Some(1_234_567_890_000),
            ),
            (
                "2009-02-13 23:31:30 UTC",
                "2006-01-02 15:04:05 MST",
                Some(1_234_567_890_000),
            ),
            // A time of no day is one of the first, a day without its year is none.
            ("3:04PM", "3:04PM", Some(54_240_000)),
            ("00:00:01", "15:04:05", Some(1_000)),
            ("Feb 13 23:31:30", "Jan _2 15:04:05", None),
        ] {
            assert_eq!(ms(text, layout), expected, "{text} {layout}");
        }
    }

    #[test]
    fn times_of_a_zone_are_read() {
        let Some(zone) = berlin() else { return };
        let cases = [
            ("2024-07-01 12:00:00", "", 1_719_828_000),
            ("2024-01-01 12:00:00", "", 1_704_106_800),
            ("2024-07-01", "", 1_719_784_800),
            // An offset counts more than the zone, and a number of seconds has none.
            ("2024-07-01T12:00:00Z", "", 1_719_835_200),
            ("1719835200", "", 1_719_835_200),
            (
                "12:00 01.07.2024 UTC",
                "15:04 02.01.2006 MST",
                1_719_835_200,
            ),
            ("12:00 01.07.2024", "15:04 02.01.2006", 1_719_828_000),
            // Skipped in spring, twice in autumn.
            ("2024-03-31 02:30:00", "", 1_711_848_600),
            ("2024-10-27 02:30:00", "", 1_729_989_000),
        ];
        for (text, layout, expected) in cases {
            let read = if layout.is_empty() {
                guess_in(text, Some(&zone))
            } else {
                parse(text, layout, Some(&zone))
            };
            assert_eq!(read, Some(expected * 1_000_000_000), "{text}");
        }
    }
}
