//! Sizes and durations on the command line: `64MiB`, `100MB`; `90s`, `10m`.

#[cfg(any(feature = "engine", feature = "capture"))]
use std::time::Duration;

#[cfg(any(feature = "engine", feature = "capture"))]
use crate::lang::time::parse_duration_ns;

/// A length of time above zero.
#[cfg(any(feature = "engine", feature = "capture"))]
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let ns = parse_duration_ns(text).map_err(|error| error.to_string())?;
    match u64::try_from(ns) {
        Ok(ns) if ns > 0 => Ok(Duration::from_nanos(ns)),
        _ => Err("more than no time is needed".to_owned()),
    }
}

/// Bytes from `64MiB`, `64M`, `100MB`, `1GiB` or a plain number.
#[cfg(any(feature = "engine", feature = "capture"))]
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => {
            return Err(format!(
                "unknown unit '{unit}'; use KiB, MiB, GiB, KB, MB or GB"
            ));
        }
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "expected a size such as 512MiB".to_owned())?;
    number
        .checked_mul(factor)
        .ok_or_else(|| "too large".to_owned())
}

/// Memory for a query: less than a mebibyte is of no use.
#[cfg(feature = "engine")]
pub(super) fn parse_memory(text: &str) -> Result<usize, String> {
    match parse_size(text)? {
        bytes if bytes >= 1 << 20 => usize::try_from(bytes).map_err(|_| "too large".to_owned()),
        _ => Err("at least 1MiB is needed".to_owned()),
    }
}

#[cfg(all(test, any(feature = "engine", feature = "capture")))]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("2g"), Ok(2 << 30));
        assert_eq!(parse_size("100MB"), Ok(100_000_000));
        assert_eq!(parse_size("4194304"), Ok(4 << 20));
        assert_eq!(parse_size("12"), Ok(12));
        assert!(parse_size("5parsecs").is_err());
        assert!(parse_size("99999999999999999999").is_err());
    }
}
