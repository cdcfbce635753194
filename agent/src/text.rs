//! The text form of values: the one place that turns an address or a time into text.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, SecondsFormat, Utc};

/// Dotted text of an IPv4 address in host byte order.
pub fn ipv4(address: u32) -> String {
    Ipv4Addr::from(address).to_string()
}

/// Text of a 16-byte address (RFC 5952); an IPv4-mapped one reads as IPv4, and an IPv4-compatible
/// one (RFC 4291, 2.5.5.1) ends dotted, as glibc and so tshark write it.
pub fn ip(address: [u8; 16]) -> String {
    let v6 = Ipv6Addr::from(address);
    if let Some(v4) = v6.to_ipv4_mapped() {
        return v4.to_string();
    }
    match v6.to_bits() {
        bits @ 0x1_0000..=0xffff_ffff => format!("::{}", Ipv4Addr::from(bits as u32)),
        _ => v6.to_string(),
    }
}

/// Colon-separated lower-case hex of the low 48 bits.
pub fn mac(address: u64) -> String {
    let b = address.to_be_bytes();
    format!(
        "{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}",
        b[2], b[3], b[4], b[5], b[6], b[7]
    )
}

/// RFC 3339 in UTC with nanoseconds.
pub fn time(nanoseconds: i64) -> String {
    let time: DateTime<Utc> = DateTime::from_timestamp_nanos(nanoseconds);
    time.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

/// A duration as Go writes it: `1h2m3.5s`, `250ms`, `0s`.
pub fn duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let ns = nanoseconds.unsigned_abs();
    let fraction = |value: u64, unit: u64| {
        let mut text = (value / unit).to_string();
        if !value.is_multiple_of(unit) {
            let digits = unit.ilog10() as usize;
            let _ = write!(text, ".{:0digits$}", value % unit);
            text.truncate(text.trim_end_matches('0').len());
        }
        text
    };
    let body = match ns {
        0 => return "0s".to_owned(),
        1..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(ns, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(ns, 1_000_000)),
        _ => {
            let (hours, rest) = (ns / 3_600_000_000_000, ns % 3_600_000_000_000);
            let (minutes, rest) = (rest / 60_000_000_000, rest % 60_000_000_000);
            let mut text = String::new();
            if hours > 0 {
                let _ = write!(text, "{hours}h");
            }
            if hours > 0 || minutes > 0 {
                let _ = write!(text, "{minutes}m");
            }
            let _ = write!(text, "{}s", fraction(rest, 1_000_000_000));
            text
        }
    };
    format!("{sign}{body}")
}

/// A number with as many digits as it needs to be read back the same.
pub fn float(value: f64) -> String {
    value.to_string()
}

/// Bytes as text: what is UTF-8 stays, other bytes become U+FFFD.
pub fn bytes(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// A size for people, in decimal units: `1.5 kB`.
pub fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut units = ["kB", "MB", "GB", "TB", "PB", "EB"].into_iter();
    let mut unit = "B";
    while value >= 999.95
        && let Some(larger) = units.next()
    {
        value /= 1000.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(ipv4(0x0a00_0001), "10.0.0.1");
        assert_eq!(mac(0x0011_2233_4455), "00:11:22:33:44:55");
        assert_eq!(
            ip(Ipv4Addr::new(1, 2, 3, 4).to_ipv6_mapped().octets()),
            "1.2.3.4"
        );
        assert_eq!(
            ip("fe80::1".parse::<Ipv6Addr>().unwrap().octets()),
            "fe80::1"
        );
        for (address, text) in [
            ("::1.2.3.4", "::1.2.3.4"),
            ("::1:0", "::0.1.0.0"),
            ("::ffff", "::ffff"),
            ("::", "::"),
            ("::1:102:304", "::1:102:304"),
        ] {
            let address = address.parse::<Ipv6Addr>().unwrap();
            assert_eq!(ip(address.octets()), text);
        }
    }

    #[test]
    fn times_and_durations() {
        assert_eq!(
            time(1_455_469_967_246_718_000),
            "2016-02-14T17:12:47.246718000Z"
        );
        assert_eq!(duration(0), "0s");
        assert_eq!(duration(1_500), "1.5µs");
        assert_eq!(duration(-250_000_000), "-250ms");
        assert_eq!(duration(3_723_500_000_000), "1h2m3.5s");
    }

    #[test]
    fn sizes_for_people() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1_500), "1.5 kB");
        assert_eq!(size(999_960), "1.0 MB");
        assert_eq!(size(1_300_000_000), "1.3 GB");
        assert_eq!(size(u64::MAX), "18.4 EB");
    }
}
