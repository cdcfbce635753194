//! Compressing a capture file into frames.

use std::io::{self, BufRead, BufReader, Read, Write};

use zstd::bulk::Compressor;

use super::{FRAME, table::Table};

/// Bytes of a pcap file's and a record's header, and most bytes of a packet that the end of a
/// frame waits for.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
const LONGEST: usize = 256 << 10;

/// Compresses a pcap file (little-endian, as the store writes them) at a zstd level. Frames end
/// between packets; where none can be made out they end anywhere, so that any bytes come back as
/// they were. Gives the bytes written.
///
/// # Errors
/// If reading or writing fails, or the level is none of zstd's.
pub fn compress(input: impl Read, output: &mut impl Write, level: i32) -> io::Result<u64> {
    let mut compressor = Compressor::new(level)?;
    compressor.include_checksum(true)?;
    let mut input = BufReader::with_capacity(FRAME, input);
    let mut table = Table::default();
    let mut pending = Vec::with_capacity(FRAME + RECORD_HEADER + LONGEST);
    let mut compressed = Vec::new();
    let mut written = 0;
    let mut is_first = true;
    loop {
        fill(&mut input, &mut pending)?;
        if pending.is_empty() {
            break;
        }
        // The file's header is a frame of its own: little to decode for whoever opens many
        // files, and damage to the first packets costs no others.
        let end = match std::mem::take(&mut is_first) {
            true => pending.len().min(FILE_HEADER),
            false => end(&pending),
        };
        let frame = pending.get(..end).unwrap_or_default();
        compressed.clear();
        compressed.reserve(zstd::zstd_safe::compress_bound(end));
        compressor.compress_to_buffer(frame, &mut compressed)?;
        output.write_all(&compressed)?;
        written += compressed.len() as u64;
        // Both fit: `end` is at most the capacity of `pending`.
        table.push(compressed.len() as u32, end as u32);
        pending.drain(..end);
    }
    let table = table.to_bytes()?;
    output.write_all(&table)?;
    Ok(written + table.len() as u64)
}

/// Fills `pending` up to its capacity, or to the end of the input.
fn fill(input: &mut impl BufRead, pending: &mut Vec<u8>) -> io::Result<()> {
    let room = FRAME + RECORD_HEADER + LONGEST;
    let wanted = room.saturating_sub(pending.len()) as u64;
    input.by_ref().take(wanted).read_to_end(pending)?;
    Ok(())
}

/// Where a frame of these bytes ends: behind as many whole packets as fit, but at least one.
fn end(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Some(header) = bytes.get(end..end + RECORD_HEADER) {
        let captured = header.get(8..).and_then(|rest| rest.first_chunk());
        let captured = captured.map_or(0, |length| u32::from_le_bytes(*length)) as usize;
        let next = end.saturating_add(RECORD_HEADER).saturating_add(captured);
        if captured > LONGEST || next > bytes.len() || next > FRAME && end > 0 {
            break;
        }
        end = next;
    }
    match end {
        0 => bytes.len().min(FRAME),
        end => end,
    }
}
