//! Whole records, of packets or of tuples alone, ready to be appended to an active file.

use super::tuples;
use crate::decode::Tuple;

/// Length of a record header, in bytes (draft-ietf-opsawg-pcap, 5).
pub const RECORD_HEADER: usize = 16;
/// Latest time that a pcap record can hold (32 bits of seconds, until 2106), in nanoseconds.
const LATEST_NS: i64 = (1 << 32) * 1_000_000_000 - 1;
/// Longest packet that readers take of any link type.
pub(super) const LONGEST_PACKET: usize = 128 << 20;

/// Records in the order of writing: packets in nanosecond little-endian pcap form, or tuples as
/// [`super::tuples`] has them. A block holds one of the two.
#[derive(Clone, Debug, Default)]
pub struct RecordBlock {
    bytes: Vec<u8>,
    packets: u64,
    first_ns: i64,
    last_ns: i64,
    longest: u32,
    clamped: u64,
    refused: u64,
}

impl RecordBlock {
    /// An empty block with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            ..Self::default()
        }
    }

    /// Adds a packet: its time in nanoseconds since 1970, its bytes on the wire, those captured.
    ///
    /// A time that pcap cannot hold (before 1970, after 2106) becomes the nearest that it can,
    /// counted in [`Self::clamped`]. Data of more than 128 MiB is refused, counted in
    /// [`Self::refused`].
    pub fn push(&mut self, time_ns: i64, wire_len: u32, data: &[u8]) {
        let length = u32::try_from(data.len());
        let Some(captured) = length.ok().filter(|_| data.len() <= LONGEST_PACKET) else {
            self.refused += 1;
            return;
        };
        // A record of zeros alone is read as damage.
        let lowest = i64::from(captured == 0 && wire_len == 0);
        let time = time_ns.clamp(lowest, LATEST_NS);
        self.clamped += u64::from(time != time_ns);
        let (seconds, fraction) = (time / 1_000_000_000, time % 1_000_000_000);
        // Both are in range by the clamp.
        let words = [seconds as u32, fraction as u32, captured, wire_len];
        self.bytes.reserve(RECORD_HEADER + data.len());
        for word in words {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        self.bytes.extend_from_slice(data);
        self.longest = self.longest.max(captured);
        self.count(time);
    }

    /// Adds the tuple of a packet that is not stored itself. Its captured length and link type
    /// are not kept.
    pub fn push_tuple(&mut self, tuple: &Tuple) {
        self.bytes.extend_from_slice(&tuples::record(tuple));
        self.count(tuple.time_ns.unwrap_or_default());
    }

    fn count(&mut self, time_ns: i64) {
        if self.packets == 0 {
            self.first_ns = time_ns;
        }
        self.last_ns = time_ns;
        self.packets += 1;
    }

    /// Empties the block and keeps its memory.
    pub fn clear(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        *self = Self {
            bytes,
            ..Self::default()
        };
    }

    /// The records.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of packets.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Whether there is no packet.
    pub fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// Times of the first and the last packet as written, in nanoseconds since 1970.
    pub fn times_ns(&self) -> Option<(i64, i64)> {
        (!self.is_empty()).then_some((self.first_ns, self.last_ns))
    }

    /// Captured bytes of the longest packet.
    pub fn longest(&self) -> u32 {
        self.longest
    }

    /// Packets whose time was changed to one that pcap can hold.
    pub fn clamped(&self) -> u64 {
        self.clamped
    }

    /// Packets that were not taken, being longer than any reader takes.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_as_pcap_has_them() {
        let mut block = RecordBlock::with_capacity(64);
        block.push(3_000_000_007, 60, &[0xaa, 0xbb]);
        let expected = [3, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0, 60, 0, 0, 0, 0xaa, 0xbb];
        assert_eq!(block.bytes(), expected);
        assert_eq!((block.packets(), block.longest()), (1, 2));
        block.push(i64::MAX, 60, &[1]);
        block.push(-1, 60, &[1]);
        block.push(0, 0, &[]);
        assert_eq!((block.packets(), block.clamped()), (4, 3));
        let latest = u64::from(u32::MAX) * 1_000_000_000 + 999_999_999;
        assert_eq!(block.times_ns(), Some((3_000_000_007, 1)));
        assert_eq!(
            block.bytes()[18..26],
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xc9, 0x9a, 0x3b]
        );
        assert_eq!(latest % 1_000_000_000, 0x3b9a_c9ff);
        block.clear();
        assert!(block.is_empty() && block.bytes().is_empty());
        assert_eq!(block.clamped(), 0);
    }
}
