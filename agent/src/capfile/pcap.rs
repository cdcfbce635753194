//! The pcap format: file header, record headers, and finding the next record after damage.
//!
//! Formats: draft-ietf-opsawg-pcap; the "modified" one of A. Kuznetzov's libpcap patches as
//! libpcap's `sf-pcap.c` describes it.

use super::{
    damage::{Damage, Problem},
    reader::Record,
    window::Window,
};
use crate::frame::LinkType;

/// Length of the file header, in bytes.
pub(super) const FILE_HEADER: usize = 24;
/// Captured bytes of a record: libpcap's `MAXIMUM_SNAPLEN`, which tshark has too.
const MAX_LENGTH: u32 = 262_144;
/// The same where a link type carries longer messages (libpcap's `max_snaplen_for_dlt`).
pub(super) const MAX_MESSAGE: u32 = 128 << 20;
/// D-Bus, Linux USB (two forms), USBPcap, EBHSCR.
const MESSAGE_LINK_TYPES: [u16; 5] = [231, 189, 220, 249, 279];
/// Record headers in a row that make a place believable after damage.
const CHAIN: usize = 4;
/// Bytes on the wire that a record found by search may claim; Linux's largest merged segment is
/// half of it (`GSO_MAX_SIZE`).
const MAX_WIRE: u32 = 1 << 20;
/// Seconds that a record found by search may be away from one that is known: 20 years.
const MAX_TIME_DISTANCE: u32 = 20 * 365 * 86_400;
/// Times before 1973 are taken for "no clock" and not compared with.
const FIRST_REAL_TIME: u32 = 100_000_000;

/// Which of the two length fields of a record header is first (libpcap, `lengths_swapped`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    /// Before version 2.3.
    WireFirst,
    /// Version 2.3: some writers did one, some the other; the smaller is the captured one.
    SmallerIsCaptured,
}

/// What the file header says, and where the reader is.
#[derive(Clone, Debug)]
pub(super) struct Pcap {
    big_endian: bool,
    /// Nanoseconds in a unit of the second time field.
    unit_ns: u32,
    /// Length of a record header, in bytes.
    pub(super) record_header: usize,
    lengths: Lengths,
    link_type: LinkType,
    /// Largest accepted number of captured bytes in a record.
    limit: u32,
    /// Seconds of the record last read, to compare with after damage.
    seconds: u32,
}

/// A record header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    seconds: u32,
    fraction: u32,
    pub(super) captured: u32,
    wire: u32,
}

/// Magic number, as the first four bytes: byte order, unit, record header length.
fn magic(start: &[u8]) -> Option<(bool, u32, usize)> {
    Some(match start.first_chunk::<4>()? {
        [0xd4, 0xc3, 0xb2, 0xa1] => (false, 1_000, 16),
        [0xa1, 0xb2, 0xc3, 0xd4] => (true, 1_000, 16),
        [0x4d, 0x3c, 0xb2, 0xa1] => (false, 1, 16),
        [0xa1, 0xb2, 0x3c, 0x4d] => (true, 1, 16),
        [0x34, 0xcd, 0xb2, 0xa1] => (false, 1_000, 24),
        [0xa1, 0xb2, 0xcd, 0x34] => (true, 1_000, 24),
        _ => return None,
    })
}

/// Whether a file that starts so is a pcap file.
pub(super) fn is_pcap(start: &[u8]) -> bool {
    magic(start).is_some()
}

impl Pcap {
    /// Reads the file header; `None` with a report if it is damaged.
    pub(super) fn open(window: &mut Window, damage: &mut Damage) -> Option<Self> {
        let Some(header) = window.peek::<FILE_HEADER>().copied() else {
            let have = window.bytes().len() as u64;
            let what = "pcap file header";
            damage.report(0, Problem::Cut { what, have });
            return None;
        };
        let (big_endian, unit_ns, record_header) = magic(&header)?;
        let u32_at = |at: usize| read_u32(&header, at, big_endian);
        let (low, high) = (u32_at(4) as u16, (u32_at(4) >> 16) as u16);
        let (major, minor) = if big_endian { (high, low) } else { (low, high) };
        let lengths = match (major, minor) {
            // 543 is what one vendor's libpcap wrote (libpcap, `sf-pcap.c`, and tshark).
            (2, ..3) | (543, _) => Lengths::WireFirst,
            (2, 3) => Lengths::SmallerIsCaptured,
            (2, 4) => Lengths::CapturedFirst,
            (..2, _) => {
                damage.report(4, Problem::PcapVersion { major, minor });
                return None;
            }
            // There is no newer version, so what says so most likely is the last one, with a
            // number of its writer's; tshark reads it.
            _ => {
                damage.report(4, Problem::PcapNewer { major, minor });
                Lengths::CapturedFirst
            }
        };
        // The upper 16 bits hold the length of a frame check sequence and flags (draft, 4).
        let link_type = LinkType((u32_at(20) & 0xffff) as u16);
        window.consume(FILE_HEADER);
        let mut pcap = Self {
            big_endian,
            unit_ns,
            record_header,
            lengths,
            link_type,
            limit: limit(link_type, u32_at(16)),
            seconds: 0,
        };
        pcap.settle_record_header(window);
        Some(pcap)
    }

    /// Some writers had longer record headers under a magic number that they shared (tshark knows
    /// them): an early one of Kuznetzov's and Nokia's under the usual one, a longer one under
    /// Kuznetzov's. Only where the right length leads nowhere and another one to record after
    /// record is it that one.
    fn settle_record_header(&mut self, window: &mut Window) {
        let right = self.record_header;
        let others: &[usize] = match (right, self.unit_ns) {
            (16, 1_000) => &[24, 20],
            (24, _) => &[28],
            _ => return,
        };
        if self.chain(window).is_some() {
            return;
        }
        for &length in others {
            self.record_header = length;
            // One record proves nothing: where a file is cut, its end may be anywhere.
            if self.chain(window).is_some_and(|records| records > 1) {
                return;
            }
        }
        self.record_header = right;
    }

    /// The next good record.
    #[inline]
    pub(super) fn next(&mut self, window: &mut Window, damage: &mut Damage) -> Option<Record> {
        loop {
            if window.at_stop() {
                return None;
            }
            let offset = window.offset();
            let Some(header) = window.peek::<16>().map(|bytes| self.header(bytes)) else {
                self.end(window, damage);
                return None;
            };
            let length = header.captured as usize;
            let total = self.record_header + length;
            if !self.acceptable(header) {
                damage.report(offset, self.reason(header));
                if !self.resynchronise(window) {
                    return None;
                }
                continue;
            }
            if !window.ensure(total) {
                let have = window.bytes().len() as u64;
                let what = "packet record";
                damage.report(offset, Problem::Cut { what, have });
                // A believable header that passes the end is the usual cut; another one is
                // damage in the middle, behind which records may follow.
                if self.plausible(header) || !self.resynchronise(window) {
                    window.consume_all();
                    return None;
                }
                continue;
            }
            self.seconds = header.seconds;
            return Some(Record {
                time_ns: Some(self.time_ns(header)),
                wire_len: header.wire,
                link_type: self.link_type,
                interface: None,
                offset,
                data: window.take(self.record_header, length, total),
            });
        }
    }

    /// Length of the longest record that [`Self::plausible`] takes, in bytes.
    pub(super) fn longest_record(&self) -> usize {
        self.record_header + self.limit.min(MAX_LENGTH) as usize
    }

    /// The end of the file, clean or inside a record header.
    #[cold]
    fn end(&self, window: &mut Window, damage: &mut Damage) {
        let have = window.bytes().len() as u64;
        if have > 0 {
            let what = "record header";
            damage.report(window.offset(), Problem::Cut { what, have });
        }
        window.consume_all();
    }

    /// Reads a record header, of which the modified format's has eight more bytes behind these.
    #[inline]
    pub(super) fn header(&self, bytes: &[u8; 16]) -> Header {
        let [seconds, fraction, third, fourth] =
            [0, 4, 8, 12].map(|at| read_u32(bytes, at, self.big_endian));
        let (captured, wire) = match self.lengths {
            Lengths::CapturedFirst => (third, fourth),
            Lengths::WireFirst => (fourth, third),
            Lengths::SmallerIsCaptured => (third.min(fourth), third.max(fourth)),
        };
        Header {
            seconds,
            fraction,
            captured,
            wire,
        }
    }

    /// Whether the reader takes a header that it meets where one should be. Fields that do no
    /// harm (a fraction above a second, a wire length below the captured one) are left as found.
    #[inline]
    fn acceptable(&self, header: Header) -> bool {
        let zeros =
            header.seconds == 0 && header.fraction == 0 && header.captured == 0 && header.wire == 0;
        header.captured <= self.limit && !zeros
    }

    fn reason(&self, header: Header) -> Problem {
        if header.captured > self.limit {
            Problem::RecordLength {
                length: header.captured,
                limit: self.limit,
            }
        } else {
            Problem::ZeroRecord
        }
    }

    /// Whether a place where a header was not expected looks like one.
    pub(super) fn plausible(&self, header: Header) -> bool {
        let known = self.seconds;
        header.captured > 0
            && header.captured <= self.limit.min(MAX_LENGTH)
            && header.captured <= header.wire
            && header.wire <= MAX_WIRE
            && header.fraction < 1_000_000_000 / self.unit_ns
            && (known < FIRST_REAL_TIME || known.abs_diff(header.seconds) <= MAX_TIME_DISTANCE)
    }

    #[inline]
    fn time_ns(&self, header: Header) -> i64 {
        // At most 2^32 s, which is less than half of what 63 bits of nanoseconds hold.
        i64::from(header.seconds) * 1_000_000_000
            + i64::from(header.fraction) * i64::from(self.unit_ns)
    }

    /// Moves to the next place from which a chain of plausible headers goes out; `false` if the
    /// file has none.
    #[cold]
    fn resynchronise(&self, window: &mut Window) -> bool {
        loop {
            window.consume(1);
            let Some(bytes) = window.peek::<16>() else {
                window.consume_all();
                return false;
            };
            if self.plausible(self.header(bytes)) && self.chain(window).is_some() {
                return true;
            }
        }
    }

    /// How many plausible headers follow one another, of the [`CHAIN`] that do or fewer up to
    /// exactly the end; `None` if they do not.
    fn chain(&self, window: &mut Window) -> Option<usize> {
        let mut at = 0_usize;
        for records in 0..CHAIN {
            if !window.ensure(at + 16) {
                return (at == window.bytes().len()).then_some(records);
            }
            let bytes = window.bytes().get(at..).and_then(<[u8]>::first_chunk);
            let header = bytes.map(|b| self.header(b));
            let header = header.filter(|h| self.plausible(*h))?;
            at += self.record_header + header.captured as usize;
        }
        Some(CHAIN)
    }
}

/// Largest accepted record: what tshark accepts, and more where the file says so.
fn limit(link_type: LinkType, snaplen: u32) -> u32 {
    if MESSAGE_LINK_TYPES.contains(&link_type.0) {
        MAX_MESSAGE
    } else if snaplen <= MAX_MESSAGE {
        snaplen.max(MAX_LENGTH)
    } else {
        MAX_LENGTH
    }
}

/// The 32-bit field at `at`; callers pass offsets within `bytes`.
#[inline]
pub(super) fn read_u32(bytes: &[u8], at: usize, big_endian: bool) -> u32 {
    let field = bytes.get(at..).and_then(<[u8]>::first_chunk);
    let field = field.copied().unwrap_or_default();
    if big_endian {
        u32::from_be_bytes(field)
    } else {
        u32::from_le_bytes(field)
    }
}
