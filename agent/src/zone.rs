//! Time zones by their IANA names, from the system's database.

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use thiserror::Error;

/// Why there is no zone of a name.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ZoneError {
    /// The system has no zones at all.
    #[error(
        "time zone {0} cannot be read: the system has no time zone database (/usr/share/zoneinfo, or TZDIR)"
    )]
    NoDatabase(String),
    /// The database has no such zone.
    #[error("unknown time zone {0}")]
    Unknown(String),
}

/// The rules of a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A zone's clock at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offset {
    /// Seconds east of UTC.
    pub seconds: i32,
    /// What the zone calls it: `CEST`, or `-03` where it has no name.
    pub abbreviation: String,
}

impl Zone {
    /// The zone of an IANA name in any case, such as `Europe/Berlin`. UTC needs no database.
    pub fn find(name: &str) -> Result<Self, ZoneError> {
        find_in(jiff::tz::db(), name)
    }

    /// The clock of the zone at an instant in nanoseconds since the Unix epoch.
    pub fn offset(&self, time_ns: i64) -> Offset {
        let info = self.0.to_offset_info(timestamp(time_ns));
        Offset {
            seconds: info.offset().seconds(),
            abbreviation: info.abbreviation().to_owned(),
        }
    }

    /// The instant of a local time, given as the nanoseconds that it would be in UTC.
    ///
    /// Of a local time that a clock shows twice the first is meant; one that a clock skips is
    /// counted on from before the skip (RFC 5545, 3.3.5). `None` outside of what 64 bits hold.
    pub fn instant(&self, local_ns: i64) -> Option<i64> {
        let local = TimeZone::UTC.to_datetime(timestamp(local_ns));
        let instant = self.0.to_timestamp(local).ok()?;
        i64::try_from(instant.as_nanosecond()).ok()
    }
}

/// The names of all zones.
pub fn names() -> Vec<String> {
    let names = jiff::tz::db().available();
    names.map(|name| name.as_str().to_owned()).collect()
}

fn find_in(database: &TimeZoneDatabase, name: &str) -> Result<Zone, ZoneError> {
    if ["UTC", "Z"]
        .iter()
        .any(|utc| utc.eq_ignore_ascii_case(name))
    {
        return Ok(Zone(TimeZone::UTC));
    }
    if database.is_definitively_empty() {
        return Err(ZoneError::NoDatabase(name.to_owned()));
    }
    database
        .get(name)
        .map(Zone)
        .map_err(|_| ZoneError::Unknown(name.to_owned()))
}

/// The instants of 64 bits lie within those of the database, which go to the year 9999.
fn timestamp(time_ns: i64) -> Timestamp {
    Timestamp::from_nanosecond(time_ns.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    /// Seconds since the epoch as nanoseconds.
    const fn at(seconds: i64) -> i64 {
        seconds * 1_000_000_000
    }

    fn zone(name: &str) -> Option<Zone> {
        if names().is_empty() {
            eprintln!("SKIPPED: the system has no time zone database");
            return None;
        }
        Some(Zone::find(name).unwrap())
    }

    #[test]
    fn clocks_change() {
        let Some(berlin) = zone("europe/berlin") else {
            return;
        };
        let shown = |time_ns| {
            let offset = berlin.offset(time_ns);
            format!("{} {}", offset.seconds, offset.abbreviation)
        };
        // 2024-03-31T01:00:00Z and 2024-10-27T01:00:00Z.
        let (spring, autumn) = (at(1_711_846_800), at(1_729_990_800));
        assert_eq!(shown(spring - 1), "3600 CET");
        assert_eq!(shown(spring), "7200 CEST");
        assert_eq!(shown(autumn - 1), "7200 CEST");
        assert_eq!(shown(autumn), "3600 CET");
        // 02:30 does not exist in spring: half an hour after the change, 03:30.
        assert_eq!(
            berlin.instant(spring + HOUR + HOUR / 2),
            Some(spring + HOUR / 2)
        );
        // 02:30 comes twice in autumn: the first one.
        assert_eq!(
            berlin.instant(autumn + HOUR + HOUR / 2),
            Some(autumn - HOUR / 2)
        );
        assert_eq!(berlin.instant(autumn + 2 * HOUR), Some(autumn + HOUR));
    }

    #[test]
    fn half_hours_and_the_end_of_time() {
        let Some(zone) = zone("Australia/Lord_Howe") else {
            return;
        };
        // 2024-01-01 and 2024-07-01: half an hour of summer time.
        assert_eq!(zone.offset(at(1_704_067_200)).seconds, 39_600);
        assert_eq!(zone.offset(at(1_719_792_000)).seconds, 37_800);
        for time in [i64::MIN, i64::MAX] {
            assert!(zone.offset(time).seconds.abs() < 86_400);
        }
        assert_eq!(zone.instant(i64::MIN), None);
    }

    #[test]
    fn utc_needs_no_database_and_other_zones_do() {
        let none = TimeZoneDatabase::none();
        assert_eq!(find_in(&none, "utc").unwrap().instant(5), Some(5));
        let error = find_in(&none, "Europe/Berlin").unwrap_err();
        assert_eq!(error, ZoneError::NoDatabase("Europe/Berlin".to_owned()));
        assert!(error.to_string().contains("no time zone database"));
    }

    #[test]
    fn unknown_zones() {
        if zone("UTC").is_none() {
            return;
        }
        for name in ["Europe/Berln", "", "../../etc/passwd", "+01:00"] {
            let error = ZoneError::Unknown(name.to_owned());
            assert_eq!(Zone::find(name), Err(error));
        }
    }
}
