//! `bench gen`: writes the synthetic capture, and beside it the answer of the reference query.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::answer;
use super::frames::{Addresses, FrameBuilder, Packet, Transport};
use super::prng::Prng;
use super::traffic::Traffic;
use crate::Result;

/// Changing the traffic means another capture: count this up, and `bench query` writes it anew.
const SEED: u64 = 1;

/// 2026-01-31 12:00:00 UTC, in microseconds.
const START_US: u64 = 1_769_860_800_000_000;

/// The capture lasts an hour, however many packets it has.
const DURATION_US: u64 = 3_600_000_000;

/// What was written.
pub(crate) struct Summary {
    packets: u64,
    bytes: u64,
    tuples: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} packets, {} bytes, {} distinct (SrcIP, DstIP, DstPort) in the reference query",
            self.packets, self.bytes, self.tuples
        )
    }
}

/// Where the true answer of the capture `file` is kept.
pub(crate) fn answer_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".answer.tsv");
    name.into()
}

/// Writes `file` and its answer. The answer comes last and so says that the capture is whole.
pub(crate) fn write_capture(file: &Path, packets: u64) -> Result<Summary> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let stored_answer = answer_path(file);
    if stored_answer.exists() {
        fs::remove_file(&stored_answer)?;
    }
    let out = File::create(file).map_err(|e| format!("cannot write {}: {e}", file.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, out);
    let mut truth = Truth::default();
    let bytes = write_packets(&mut out, packets, &mut truth)?;
    out.flush()?;
    fs::write(stored_answer, answer::render_tsv(&truth.table()))?;
    Ok(Summary {
        packets,
        bytes,
        tuples: truth.tuples.len(),
    })
}

fn write_packets(out: &mut impl Write, packets: u64, truth: &mut Truth) -> Result<u64> {
    let mut prng = Prng::new(SEED);
    let mut builder = FrameBuilder::new(|| prng.next_u64());
    let mut traffic = Traffic::new(SEED + 1);
    let mut clock = Clock::new(packets);
    out.write_all(&file_header())?;
    let mut bytes = 24;
    for _ in 0..packets {
        let packet = traffic.next_packet();
        truth.observe(&packet);
        let salt = prng.next_u64() as u32;
        let frame = builder.build(&packet, salt);
        out.write_all(&record_header(clock.tick(&mut prng), frame.len() as u32))?;
        out.write_all(frame)?;
        bytes += 16 + frame.len() as u64;
    }
    Ok(bytes)
}

/// Strictly increasing times, unevenly spaced, over about [`DURATION_US`].
struct Clock {
    now_us: u64,
    /// Twice the mean step.
    span_us: u32,
}

impl Clock {
    fn new(packets: u64) -> Self {
        let span = (2 * DURATION_US / packets.max(1)).clamp(2, u64::from(u32::MAX));
        Self {
            now_us: START_US,
            span_us: span as u32,
        }
    }

    fn tick(&mut self, prng: &mut Prng) -> u64 {
        self.now_us += 1 + u64::from(prng.below(self.span_us - 1));
        self.now_us
    }
}

/// pcap, little endian, microseconds, Ethernet (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html>).
fn file_header() -> [u8; 24] {
    let mut header = [0; 24];
    header[0..4].copy_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
    header[4..6].copy_from_slice(&2u16.to_le_bytes());
    header[6..8].copy_from_slice(&4u16.to_le_bytes());
    header[16..20].copy_from_slice(&262_144u32.to_le_bytes());
    header[20..24].copy_from_slice(&1u32.to_le_bytes());
    header
}

fn record_header(time_us: u64, len: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[0..4].copy_from_slice(&((time_us / 1_000_000) as u32).to_le_bytes());
    header[4..8].copy_from_slice(&((time_us % 1_000_000) as u32).to_le_bytes());
    header[8..12].copy_from_slice(&len.to_le_bytes());
    header[12..16].copy_from_slice(&len.to_le_bytes());
    header
}

/// The answer, kept from what was meant to be written, not from the bytes.
#[derive(Default)]
struct Truth {
    tuples: HashSet<(Ipv4Addr, Ipv4Addr, u16)>,
}

impl Truth {
    fn observe(&mut self, packet: &Packet) {
        let (Addresses::V4(source, destination), Transport::Tcp(_)) =
            (packet.addresses, packet.transport)
        else {
            return;
        };
        if destination.octets()[0] != 10 {
            self.tuples
                .insert((source, destination, packet.destination_port));
        }
    }

    fn table(&self) -> Vec<answer::Row> {
        let mut counts: HashMap<Ipv4Addr, u64> = HashMap::new();
        for (source, ..) in &self.tuples {
            *counts.entry(*source).or_default() += 1;
        }
        answer::top(counts.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_increase_strictly_and_span_an_hour() {
        let mut prng = Prng::new(3);
        let mut clock = Clock::new(10_000);
        let times: Vec<_> = (0..10_000).map(|_| clock.tick(&mut prng)).collect();
        assert!(times.is_sorted_by(|a, b| a < b));
        let minutes = (times[9_999] - START_US) / 60_000_000;
        assert!((57..63).contains(&minutes), "{minutes} minutes");
    }

    #[test]
    fn the_same_capture_every_time() {
        let write = || {
            let mut bytes = Vec::new();
            write_packets(&mut bytes, 500, &mut Truth::default()).unwrap();
            bytes
        };
        let bytes = write();
        assert_eq!(bytes, write());
        assert_eq!(bytes[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
    }
}
