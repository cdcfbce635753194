//! Times and durations as people write them: `-1h`, `5m50s`, `2026-01-31 12:00`, `END-1h`.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use thiserror::Error;

/// Why a text is no time or duration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TimeError {
    /// Nothing was given.
    #[error("the time is empty")]
    Empty,
    /// No known form.
    #[error(
        "'{0}' is not a time: expected a duration such as -1h, a date such as 2026-01-31 or \
         2026-01-31T12:00:00Z, seconds since 1970, now, or START, END or NOW plus or minus a duration"
    )]
    Time(String),
    /// No known form.
    #[error(
        "'{0}' is not a duration: expected numbers with units ns us ms s m h d w y, such as 1h30m"
    )]
    Duration(String),
    /// Beyond what 64 bits of nanoseconds hold (about 292 years).
    #[error("'{0}' is out of range: times are nanoseconds between the years 1677 and 2262")]
    Range(String),
    /// START or END where only now is known.
    #[error("'{0}' is relative to the other bound, which is not known here")]
    Anchor(String),
}

/// What a relative time counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The instant at which the query starts.
    Now,
    /// The query's `start`.
    Start,
    /// The query's `end`.
    End,
}

/// A time as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instant {
    /// Nanoseconds since the Unix epoch.
    Absolute(i64),
    /// Nanoseconds after the anchor (negative: before).
    Relative(Anchor, i64),
}

/// Nanoseconds per unit; a day is 24 hours and a year 365 days.
const UNITS: [(&str, i64); 11] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
    ("y", 31_536_000_000_000_000),
];

/// Forms of absolute times without a zone, which are UTC.
const DATE_TIMES: [&str; 6] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M",
];

/// Forms of dates, which mean their midnight in UTC.
const DATES: [&str; 2] = ["%Y-%m-%d", "%Y/%m/%d"];

/// Nanoseconds of a duration: numbers, with fractions if need be, each with a unit, after an
/// optional sign: `90s`, `1h30m`, `-1h`, `1.5d`. A bare `0` is one too.
///
/// # Errors
/// If the text is no duration or exceeds 64 bits of nanoseconds.
pub fn parse_duration_ns(text: &str) -> Result<i64, TimeError> {
    let trimmed = text.trim();
    let (negative, mut rest) = match trimmed.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let wrong = || TimeError::Duration(text.to_owned());
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (value, after) = duration_part(rest).ok_or_else(wrong)?;
        total = total.saturating_add(value);
        rest = after;
    }
    let signed = if negative { -total } else { total };
    i64::try_from(signed).map_err(|_| TimeError::Range(text.to_owned()))
}

/// Nanoseconds of the first number with its unit, and what follows.
fn duration_part(text: &str) -> Option<(i128, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = rest
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let unit = i128::from(unit);
    let mut value = if whole.is_empty() {
        0
    } else {
        // So many digits are out of range whatever the unit.
        whole
            .parse::<i64>()
            .map_or(i128::from(u64::MAX), i128::from)
    };
    value = value.saturating_mul(unit);
    let mut scale = unit;
    for digit in fraction.bytes() {
        scale /= 10;
        value += i128::from(digit - b'0') * scale;
    }
    Some((value, rest))
}

fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// An instant as the constraints `start` and `end` and the command line take it: `-1h`, `now`,
/// `NOW-1h`, `END-1h`, RFC 3339, `2026-01-31`, `2026-01-31 12:00` (UTC without a zone), or seconds
/// since the Unix epoch.
///
/// # Errors
/// If the text has no such form or is out of range.
pub fn parse_instant(text: &str) -> Result<Instant, TimeError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(TimeError::Empty);
    }
    for (word, anchor) in [
        ("now", Anchor::Now),
        ("start", Anchor::Start),
        ("end", Anchor::End),
    ] {
        let head = text.get(..word.len());
        if head.is_some_and(|head| head.eq_ignore_ascii_case(word)) {
            return relative(text, word.len(), anchor);
        }
    }
    if let Some(time) = absolute(text) {
        return time.map(Instant::Absolute);
    }
    match parse_duration_ns(text) {
        Ok(offset) => Ok(Instant::Relative(Anchor::Now, offset)),
        Err(TimeError::Range(text)) => Err(TimeError::Range(text)),
        Err(_) => Err(TimeError::Time(text.to_owned())),
    }
}

/// Nanoseconds since the Unix epoch of an instant, given now.
///
/// # Errors
/// If the text is no time, is out of range, or is relative to START or END.
pub fn parse_time(text: &str, now_ns: i64) -> Result<i64, TimeError> {
    match parse_instant(text)? {
        Instant::Absolute(time) => Ok(time),
        Instant::Relative(Anchor::Now, offset) => now_ns
            .checked_add(offset)
            .ok_or_else(|| TimeError::Range(text.to_owned())),
        Instant::Relative(..) => Err(TimeError::Anchor(text.to_owned())),
    }
}

/// `NOW`, `NOW-1h`, `END + 5m`: `offset` is where the anchor's word ends.
fn relative(text: &str, offset: usize, anchor: Anchor) -> Result<Instant, TimeError> {
    let wrong = || TimeError::Time(text.to_owned());
    let rest = text.get(offset..).unwrap_or("").trim_start();
    if rest.is_empty() {
        return Ok(Instant::Relative(anchor, 0));
    }
    let Some(sign @ ('-' | '+')) = rest.chars().next() else {
        return Err(wrong());
    };
    let magnitude = rest.get(1..).unwrap_or("").trim_start();
    if magnitude.starts_with(['-', '+']) {
        return Err(wrong());
    }
    let value = match parse_duration_ns(magnitude) {
        Ok(value) => value,
        Err(TimeError::Range(_)) => return Err(TimeError::Range(text.to_owned())),
        Err(_) => return Err(wrong()),
    };
    let signed = if sign == '-' { -value } else { value };
    Ok(Instant::Relative(anchor, signed))
}

/// Nanoseconds of an absolute time; `None` if the text is none.
fn absolute(text: &str) -> Option<Result<i64, TimeError>> {
    let out_of_range = || TimeError::Range(text.to_owned());
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return epoch(text).map(|time| time.ok_or_else(out_of_range));
    }
    let zoned = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_rfc2822(text))
        .ok()
        .map(|time| time.to_utc());
    let time = zoned.or_else(|| {
        let with_time = DATE_TIMES
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
        let time = with_time.or_else(|| {
            let date = DATES
                .iter()
                .find_map(|form| NaiveDate::parse_from_str(text, form).ok());
            date.and_then(|date| date.and_hms_opt(0, 0, 0))
        });
        time.map(|time| time.and_utc())
    });
    time.map(|time| time.timestamp_nanos_opt().ok_or_else(out_of_range))
}

/// Nanoseconds of seconds since the Unix epoch; the inner `None` means out of range.
fn epoch(text: &str) -> Option<Option<i64>> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if seconds.is_empty() || fraction.contains('.') {
        return None;
    }
    let nanoseconds = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(9)
        .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let seconds: Option<i64> = seconds.parse().ok();
    let whole = seconds.and_then(|seconds| seconds.checked_mul(1_000_000_000));
    Some(whole.and_then(|whole| whole.checked_add(nanoseconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;
    const NOON: i64 = 1_769_860_800 * S; // 2026-01-31T12:00:00Z

    #[test]
    fn durations() {
        for (text, expected) in [
            ("0", 0),
            ("5ns", 5),
            ("7us", 7_000),
            ("7µs", 7_000),
            ("250ms", 250_000_000),
            ("30s", 30 * S),
            ("5m50s", 350 * S),
            ("1h30m", 5_400 * S),
            ("-1h", -3_600 * S),
            ("+2d", 172_800 * S),
            ("1w", 604_800 * S),
            ("1y", 31_536_000 * S),
            ("1.5h", 5_400 * S),
            (".5s", S / 2),
        ] {
            assert_eq!(parse_duration_ns(text), Ok(expected), "{text}");
        }
        for text in ["", "-", "5", "h", "5x", "1h30", "1 h", "--1h", "1.h.", "5M"] {
            let error = TimeError::Duration(text.to_owned());
            assert_eq!(parse_duration_ns(text), Err(error), "{text}");
        }
        for text in ["300y", "99999999999999999999s", "-300y"] {
            let error = TimeError::Range(text.to_owned());
            assert_eq!(parse_duration_ns(text), Err(error), "{text}");
        }
    }

    #[test]
    fn absolute_times() {
        for (text, expected) in [
            ("2026-01-31T12:00:00Z", NOON),
            ("2026-01-31T12:00:00.5Z", NOON + S / 2),
            ("2026-01-31T13:00:00+01:00", NOON),
            ("2026-01-31 12:00:00Z", NOON),
            ("2026-01-31T12:00:00", NOON),
            ("2026-01-31 12:00:00.000000001", NOON + 1),
            ("2026-01-31 12:00", NOON),
            ("2026/01/31 12:00", NOON),
            ("2026-01-31", NOON - 43_200 * S),
            ("Sat, 31 Jan 2026 12:00:00 +0000", NOON),
            ("1769860800", NOON),
            ("1769860800.25", NOON + S / 4),
            ("0", 0),
        ] {
            assert_eq!(
                parse_instant(text),
                Ok(Instant::Absolute(expected)),
                "{text}"
            );
        }
        for text in [
            "2026-13-01",
            "yesterday",
            "2026",
            "12:00",
            "1.2.3",
            "NOW*2",
            "nowhere",
        ] {
            let expected = match text {
                "2026" => Ok(Instant::Absolute(2_026 * S)),
                _ => Err(TimeError::Time(text.to_owned())),
            };
            assert_eq!(parse_instant(text), expected, "{text}");
        }
        for text in ["3000-01-01", "99999999999999"] {
            assert_eq!(
                parse_instant(text),
                Err(TimeError::Range(text.to_owned())),
                "{text}"
            );
        }
        assert_eq!(parse_instant("  "), Err(TimeError::Empty));
    }

    #[test]
    fn relative_times() {
        use Anchor::{End, Now, Start};
        for (text, anchor, offset) in [
            ("-1h", Now, -3_600 * S),
            ("now", Now, 0),
            ("NOW-90s", Now, -90 * S),
            ("END - 1h", End, -3_600 * S),
            ("Start+1m", Start, 60 * S),
        ] {
            assert_eq!(
                parse_instant(text),
                Ok(Instant::Relative(anchor, offset)),
                "{text}"
            );
        }
        assert_eq!(parse_time("-1h", NOON), Ok(NOON - 3_600 * S));
        assert_eq!(parse_time("now", NOON), Ok(NOON));
        assert_eq!(
            parse_time("END-1h", NOON),
            Err(TimeError::Anchor("END-1h".to_owned()))
        );
        assert_eq!(
            parse_time("-1h", i64::MIN),
            Err(TimeError::Range("-1h".to_owned()))
        );
        assert!(parse_instant("NOW--1h").is_err());
    }
}
