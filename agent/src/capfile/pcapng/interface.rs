//! Interface descriptions of pcapng: link type, snapshot length, name, and the clock of its times.

use super::{Problem, read_u16, read_u32};
use crate::frame::LinkType;

const END_OF_OPTIONS: u16 = 0;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;
const NANOSECONDS: i128 = 1_000_000_000;

/// An interface of a section.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    pub(super) link_type: LinkType,
    /// Bytes kept of a packet; 0 for no limit.
    pub(super) snaplen: u32,
    /// if_name, else its number.
    pub(super) name: Box<str>,
    pub(super) clock: Clock,
}

impl Interface {
    /// Reads the body of an Interface Description Block (draft, 4.2). A damaged one still gives
    /// an interface, of what could be read.
    pub(super) fn parse(
        body: &[u8],
        big_endian: bool,
        number: usize,
    ) -> (Self, Result<(), Problem>) {
        let mut interface = Self {
            link_type: LinkType(read_u16(body, 0, big_endian)),
            snaplen: read_u32(body, 4, big_endian),
            name: number.to_string().into(),
            clock: Clock::default(),
        };
        let Some(list) = body.get(8..) else {
            return (interface, Err(Problem::ShortBlock("interface description")));
        };
        let (mut resolution, mut offset_s) = (6, 0);
        let result = options(
            list,
            big_endian,
            "interface description",
            |code, value| match (code, value) {
                (IF_NAME, [_, ..]) => {
                    let name = String::from_utf8_lossy(value);
                    interface.name = name.trim_end_matches('\0').into();
                }
                (IF_TSRESOL, [value, ..]) => resolution = *value,
                (IF_TSOFFSET, [_, _, _, _, _, _, _, _]) => {
                    let [first, second] =
                        [0, 4].map(|at| u64::from(read_u32(value, at, big_endian)));
                    let (high, low) = if big_endian {
                        (first, second)
                    } else {
                        (second, first)
                    };
                    offset_s = (high << 32 | low).cast_signed();
                }
                _ => {}
            },
        );
        interface.clock = Clock::new(resolution, offset_s);
        (interface, result)
    }
}

/// Calls `found` with each option's code and value, up to the end of the list (draft, 3.5).
pub(super) fn options(
    mut list: &[u8],
    big_endian: bool,
    block: &'static str,
    mut found: impl FnMut(u16, &[u8]),
) -> Result<(), Problem> {
    while let Some((head, rest)) = list.split_first_chunk::<4>() {
        let [code, length] = [0, 2].map(|at| read_u16(head, at, big_endian));
        if code == END_OF_OPTIONS {
            break;
        }
        let Some(value) = rest.get(..usize::from(length)) else {
            return Err(Problem::OptionLength { block, length });
        };
        found(code, value);
        list = rest
            .get(usize::from(length).next_multiple_of(4)..)
            .unwrap_or_default();
    }
    Ok(())
}

/// How the times of an interface become nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    unit: Unit,
    offset_ns: i128,
}

/// Length of a clock's unit.
#[derive(Clone, Copy, Debug)]
enum Unit {
    /// So many nanoseconds.
    Nanoseconds(i128),
    /// So many make a nanosecond.
    PerNanosecond(u64),
    /// 2^n make a second.
    BinaryPerSecond(u32),
}

impl Default for Clock {
    /// Microseconds (draft, 4.2, if_tsresol).
    fn default() -> Self {
        Self::new(6, 0)
    }
}

impl Clock {
    /// From if_tsresol, whose top bit selects powers of two, and if_tsoffset in seconds.
    fn new(resolution: u8, offset_s: i64) -> Self {
        let exponent = u32::from(resolution & 0x7f);
        let unit = if resolution & 0x80 != 0 {
            Unit::BinaryPerSecond(exponent)
        } else if exponent <= 9 {
            Unit::Nanoseconds(10_i128.pow(9 - exponent))
        } else {
            // A unit too short for the power makes every time less than a nanosecond.
            Unit::PerNanosecond(10_u64.checked_pow(exponent - 9).unwrap_or(u64::MAX))
        };
        let offset_ns = i128::from(offset_s) * NANOSECONDS;
        Self { unit, offset_ns }
    }

    /// A time in nanoseconds since 1970, or the nearest that 64 bits hold.
    #[inline]
    pub(super) fn nanoseconds(&self, time: u64) -> Result<i64, i64> {
        // 64 bits of time and 30 of factor stay far inside 127.
        let ns = self.offset_ns
            + match self.unit {
                Unit::Nanoseconds(factor) => i128::from(time) * factor,
                Unit::PerNanosecond(divisor) => i128::from(time / divisor),
                Unit::BinaryPerSecond(bits) => (i128::from(time) * NANOSECONDS) >> bits,
            };
        i64::try_from(ns).map_err(|_| if ns > 0 { i64::MAX } else { i64::MIN })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks() {
        for (resolution, offset, time, expected) in [
            (6, 0, 1_500_000, Ok(1_500_000_000)),
            (0, 0, 3, Ok(3_000_000_000)),
            (9, 0, 7, Ok(7)),
            (9, 10, 7, Ok(10_000_000_007)),
            (6, -2, 1, Ok(-1_999_999_000)),
            (12, 0, 7_999, Ok(7)),
            (0x7f, 0, u64::MAX - 1, Ok(0)),
            (0x80, 0, 2, Ok(2_000_000_000)),
            (0x80 | 10, 0, 512, Ok(500_000_000)),
            (0xff, 0, u64::MAX, Ok(0)),
            (0, 0, u64::MAX, Err(i64::MAX)),
            (6, 0, u64::MAX, Err(i64::MAX)),
            (9, i64::MIN, 0, Err(i64::MIN)),
            (9, 0, i64::MAX as u64, Ok(i64::MAX)),
        ] {
            let clock = Clock::new(resolution, offset);
            assert_eq!(
                clock.nanoseconds(time),
                expected,
                "{resolution} {offset} {time}"
            );
        }
    }
}
