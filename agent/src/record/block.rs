//! A run of pcap records in memory: what travels from the rings to the disk.

/// Bytes of a pcap record's header.
pub(super) const RECORD_HEADER: usize = 16;

/// Bytes of a full block. A write of a megabyte costs the disk no more than a small one.
pub(super) const BLOCK_BYTES: usize = 1 << 20;

const NANOSECONDS: i64 = 1_000_000_000;

/// Whole records of a little-endian pcap file with nanoseconds.
#[derive(Debug, Default)]
pub struct RecordBlock {
    bytes: Vec<u8>,
    packets: u32,
}

impl RecordBlock {
    /// An empty block that takes [`BLOCK_BYTES`] without growing.
    pub fn new() -> Self {
        // The record that fills a block may pass its end.
        Self {
            bytes: Vec::with_capacity(BLOCK_BYTES + (1 << 16) + RECORD_HEADER),
            packets: 0,
        }
    }

    /// Adds a packet. `time_ns` is since 1970 UTC.
    pub fn push(&mut self, time_ns: i64, wire_len: u32, data: &[u8]) {
        let seconds = u32::try_from(time_ns.div_euclid(NANOSECONDS)).unwrap_or(u32::MAX);
        let nanoseconds = u32::try_from(time_ns.rem_euclid(NANOSECONDS)).unwrap_or(0);
        let captured = u32::try_from(data.len()).unwrap_or(u32::MAX);
        for field in [seconds, nanoseconds, captured, wire_len] {
            self.bytes.extend_from_slice(&field.to_le_bytes());
        }
        self.bytes.extend_from_slice(data);
        self.packets += 1;
    }

    /// The records, one behind the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of records.
    pub fn packets(&self) -> u32 {
        self.packets
    }

    /// Makes it empty, keeping its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.packets = 0;
    }
}
