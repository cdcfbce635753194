//! Scales: ticks that people would choose, and the text on them.

use chrono::{DateTime, Utc};

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The value axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    /// Lowest value shown.
    pub(super) min: f64,
    /// Highest value shown.
    pub(super) max: f64,
    /// Values with a label, ascending.
    pub(super) ticks: Vec<f64>,
}

impl Scale {
    /// A scale over values from `low` to `high`, and zero, with about `ticks` labels.
    pub(super) fn new(low: f64, high: f64, ticks: usize) -> Self {
        let low = if low.is_finite() { low.min(0.0) } else { 0.0 };
        let high = if high.is_finite() { high.max(0.0) } else { 0.0 };
        // A span that cannot be divided any more counts as none.
        let high = if high - low > 1e-300 { high } else { low + 1.0 };
        let step = nice_step((high / 2.0 - low / 2.0) / ticks.max(1) as f64 * 2.0);
        if !step.is_finite() || step <= 0.0 {
            return Self {
                min: low,
                max: high,
                ticks: vec![low, high],
            };
        }
        let (first, last) = ((low / step).floor(), (high / step).ceil());
        let count = (last - first).clamp(1.0, 100.0) as usize;
        let at = |n: f64| (n * step).clamp(f64::MIN, f64::MAX);
        Self {
            min: at(first),
            max: at(last),
            ticks: (0..=count).map(|n| at(first + n as f64)).collect(),
        }
    }

    /// Where a value lies, from 0 (lowest) to 1 (highest).
    pub(super) fn position(&self, value: f64) -> f64 {
        // Halves, so that the span of two large values stays finite.
        let span = self.max / 2.0 - self.min / 2.0;
        ((value / 2.0 - self.min / 2.0) / span).clamp(0.0, 1.0)
    }

    /// The labels of the ticks, with one unit prefix for all of them.
    pub(super) fn labels(&self) -> Vec<String> {
        let largest = self.min.abs().max(self.max.abs());
        let step = match self.ticks.as_slice() {
            [a, b, ..] => (b - a).abs(),
            _ => largest,
        };
        self.ticks
            .iter()
            .map(|&tick| with_prefix(tick, largest, step))
            .collect()
    }
}

/// The smallest of 1, 2, 2.5, 5 times a power of ten that is not below `least`.
fn nice_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// A number in the unit prefix that suits `largest`, with the digits that `step` needs.
fn with_prefix(value: f64, largest: f64, step: f64) -> String {
    const PREFIXES: [(f64, &str); 10] = [
        (1e18, "E"),
        (1e15, "P"),
        (1e12, "T"),
        (1e9, "G"),
        (1e6, "M"),
        (1e3, "k"),
        (1e0, ""),
        (1e-3, "m"),
        (1e-6, "µ"),
        (1e-9, "n"),
    ];
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-9..1e21).contains(&largest) {
        return format!("{value:.1e}");
    }
    let (unit, prefix) = PREFIXES
        .into_iter()
        .find(|(unit, _)| largest >= unit * (1.0 - 1e-9))
        // Fractions read better than thousandths: 0.25, not 250m.
        .map(|found| {
            if found.1 == "m" && step >= 1e-2 * (1.0 - 1e-9) {
                (1.0, "")
            } else {
                found
            }
        })
        .unwrap_or((1.0, ""));
    let scaled = value / unit;
    let step = step / unit;
    let digits = (0..6)
        .find(|&digits| {
            let shown = step * 10f64.powi(digits);
            (shown - shown.round()).abs() < 1e-6 * shown
        })
        .unwrap_or(6) as usize;
    format!("{scaled:.digits$}{prefix}")
}

/// A label on the time axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TimeTick {
    /// Nanoseconds since the Unix epoch.
    pub(super) time_ns: i64,
    /// Its text, in UTC.
    pub(super) label: String,
}

/// Ticks from `start` to `end` (nanoseconds), at most `most` of them, on round times.
pub(super) fn time_ticks(start: i64, end: i64, most: usize) -> Vec<TimeTick> {
    let span = i128::from(end) - i128::from(start);
    let step = time_step(span, most.max(1));
    let first = i128::from(start).div_euclid(step) * step;
    let mut ticks = Vec::new();
    let mut time = if first < i128::from(start) {
        first + step
    } else {
        first
    };
    while time <= i128::from(end) && ticks.len() < most.max(1) {
        if let Ok(time_ns) = i64::try_from(time) {
            ticks.push(TimeTick {
                time_ns,
                label: time_label(time_ns, step),
            });
        }
        time += step;
    }
    ticks
}

fn time_step(span: i128, most: usize) -> i128 {
    let below_second = (0..9).flat_map(|power| {
        let unit = 10i64.pow(power);
        [unit, 2 * unit, 5 * unit]
    });
    let units = [(SECOND, 60), (MINUTE, 60), (HOUR, 24)];
    let clock = units.into_iter().flat_map(|(unit, whole)| {
        [1, 2, 3, 5, 6, 10, 12, 15, 30]
            .into_iter()
            // Hours of the day are not counted in fives or tens.
            .filter(move |n| {
                *n < whole && whole % n == 0 && !(whole == 60 && [3, 6, 12].contains(n))
            })
            .map(move |n| n * unit)
    });
    let days = [1, 2, 7, 14, 30, 90, 365].into_iter().map(|n| n * DAY);
    let longest = 365 * i128::from(DAY);
    below_second
        .chain(clock)
        .chain(days)
        .map(i128::from)
        .find(|step| span / step < most as i128)
        .unwrap_or_else(|| longest * (span / longest / most as i128 + 1))
}

fn time_label(time_ns: i64, step: i128) -> String {
    let time: DateTime<Utc> = DateTime::from_timestamp_nanos(time_ns);
    let day = i128::from(DAY);
    if step >= day || (step >= i128::from(MINUTE) && i128::from(time_ns).rem_euclid(day) == 0) {
        let format = if step >= day { "%Y-%m-%d" } else { "%m-%d" };
        return time.format(format).to_string();
    }
    if step >= i128::from(MINUTE) {
        return time.format("%H:%M").to_string();
    }
    let mut label = time.format("%H:%M:%S").to_string();
    if step < i128::from(SECOND) {
        let digits = 9 - step.ilog10() as usize;
        let fraction = format!("{:09}", i128::from(time_ns).rem_euclid(i128::from(SECOND)));
        label.push('.');
        label.push_str(fraction.get(..digits).unwrap_or(&fraction));
    }
    label
}

/// The span of a chart in words: `2016-02-14 17:12:40 to 17:20:00 UTC`.
pub(super) fn span_text(start: i64, end: i64) -> String {
    let at = |ns| -> DateTime<Utc> { DateTime::from_timestamp_nanos(ns) };
    let clock = |ns: i64| {
        let fraction = match (ns.rem_euclid(SECOND), ns.rem_euclid(1_000_000)) {
            (0, _) => "",
            (_, 0) => "%.3f",
            _ => "%.9f",
        };
        at(ns).format(&format!("%H:%M:%S{fraction}")).to_string()
    };
    let date = |ns| at(ns).format("%Y-%m-%d").to_string();
    let until = if date(start) == date(end) {
        clock(end)
    } else {
        format!("{} {}", date(end), clock(end))
    };
    format!("{} {} to {until} UTC", date(start), clock(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let cases: [(f64, f64, usize, &[&str]); 9] = [
            (3.0, 97.0, 5, &["0", "20", "40", "60", "80", "100"]),
            (
                0.0,
                2300.0,
                5,
                &["0", "0.5k", "1.0k", "1.5k", "2.0k", "2.5k"],
            ),
            (0.0, 0.73, 4, &["0", "0.2", "0.4", "0.6", "0.8"]),
            (-12.0, 5.0, 4, &["-15", "-10", "-5", "0", "5"]),
            (0.0, 0.0, 4, &["0", "0.25", "0.50", "0.75", "1.00"]),
            (7.0, 7.0, 2, &["0", "5", "10"]),
            (0.0, 4.2e9, 3, &["0", "2G", "4G", "6G"]),
            (0.0, 0.0042, 3, &["0", "2m", "4m", "6m"]),
            (f64::INFINITY, f64::NEG_INFINITY, 1, &["0", "1"]),
        ];
        for (low, high, ticks, expected) in cases {
            let scale = Scale::new(low, high, ticks);
            assert_eq!(scale.labels(), expected, "{low} to {high}");
        }
    }

    #[test]
    fn extreme_values_stay_on_the_scale() {
        for (low, high) in [
            (f64::MIN, f64::MAX),
            (0.0, f64::MIN_POSITIVE),
            (0.0, 5e-324),
            (-1e300, 1.0),
        ] {
            let scale = Scale::new(low, high, 5);
            for value in [low, high, 0.0] {
                let position = scale.position(value);
                assert!((0.0..=1.0).contains(&position), "{low} {high}: {position}");
            }
            assert!(scale.labels().iter().all(|label| label.len() < 12));
        }
    }

    fn labels(start: &str, end: &str, most: usize) -> Vec<String> {
        let ns = |text: &str| {
            DateTime::parse_from_rfc3339(text)
                .unwrap()
                .timestamp_nanos_opt()
                .unwrap()
        };
        time_ticks(ns(start), ns(end), most)
            .into_iter()
            .map(|tick| tick.label)
            .collect()
    }

    #[test]
    fn times() {
        assert_eq!(
            labels("2016-02-14T17:12:47Z", "2016-02-14T17:13:30Z", 5),
            ["17:12:50", "17:13:00", "17:13:10", "17:13:20", "17:13:30"]
        );
        assert_eq!(
            labels("2016-02-14T17:12:47Z", "2016-02-14T18:13:30Z", 5),
            ["17:15", "17:30", "17:45", "18:00"]
        );
        assert_eq!(
            labels("2016-02-14T17:12:47Z", "2016-02-15T13:13:30Z", 5),
            ["18:00", "02-15", "06:00", "12:00"]
        );
        assert_eq!(
            labels("2016-02-14T17:12:47Z", "2016-02-19T13:13:30Z", 5),
            [
                "2016-02-15",
                "2016-02-16",
                "2016-02-17",
                "2016-02-18",
                "2016-02-19"
            ]
        );
        assert_eq!(
            labels("2016-02-14T17:12:47.1Z", "2016-02-14T17:12:47.6Z", 3),
            ["17:12:47.2", "17:12:47.4", "17:12:47.6"]
        );
        assert!((1..=4).contains(&time_ticks(i64::MIN, i64::MAX, 4).len()));
        assert_eq!(time_ticks(5, 5, 4).len(), 1);
    }

    #[test]
    fn spans() {
        let day = 1_455_469_920 * SECOND;
        assert_eq!(
            span_text(day, day + MINUTE),
            "2016-02-14 17:12:00 to 17:13:00 UTC"
        );
        assert_eq!(
            span_text(day + 500_000_000, day + DAY),
            "2016-02-14 17:12:00.500 to 2016-02-15 17:12:00 UTC"
        );
    }
}
