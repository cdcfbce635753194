//! Builds small captures.

/// A pcap record: time in seconds, wire length above the captured one.
pub(super) fn record(seconds: u32, data: &[u8]) -> Vec<u8> {
    let length = data.len() as u32;
    [seconds, 7, length, length + 1]
        .iter()
        .flat_map(|field| field.to_le_bytes())
        .chain(data.iter().copied())
        .collect()
}

/// Little-endian, microseconds, Ethernet.
pub(super) fn file_header() -> Vec<u8> {
    let fields = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1];
    fields
        .iter()
        .flat_map(|field| field.to_le_bytes())
        .collect()
}

/// An Enhanced Packet Block, time in seconds.
pub(super) fn epb(seconds: u64, data: &[u8]) -> Vec<u8> {
    let padded = data.len().next_multiple_of(4);
    let (length, micro) = (32 + padded as u32, seconds * 1_000_000);
    let captured = data.len() as u32;
    let head = [
        6,
        length,
        0,
        (micro >> 32) as u32,
        micro as u32,
        captured,
        captured,
    ];
    let mut block: Vec<u8> = head
        .iter()
        .flat_map(|field: &u32| field.to_le_bytes())
        .collect();
    block.extend(data);
    block.resize(28 + padded, 0);
    block.extend(length.to_le_bytes());
    block
}

/// An Ethernet interface without a limit.
pub(super) fn idb() -> Vec<u8> {
    let fields = [1_u32, 20, 1, 0, 20];
    fields
        .iter()
        .flat_map(|field| field.to_le_bytes())
        .collect()
}

/// A section of unknown length.
pub(super) fn shb() -> Vec<u8> {
    let fields = [0x0a0d_0d0a_u32, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28];
    fields
        .iter()
        .flat_map(|field| field.to_le_bytes())
        .collect()
}
