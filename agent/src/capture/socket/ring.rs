//! One packet socket's ring, read through its memory, block by block (`linux/if_packet.h`).

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::ring::{Mapping, RingError};
use super::super::rings::{Drained, PacketRecord};
use super::open::bind;
use super::{BLOCK_MILLIS, RingShape, filter};

/// `TP_STATUS_USER`: the block is ours.
const OURS: u32 = 1;
/// `TP_STATUS_KERNEL`: it is the kernel's.
const KERNEL: u32 = 0;
/// Of a packet: there was a tag, and its EtherType is known (`TP_STATUS_VLAN_VALID`, `_TPID_VALID`).
const TAGGED: u32 = 1 << 4;
const TAG_TYPE_KNOWN: u32 = 1 << 6;

/// Offsets in `struct tpacket_block_desc`.
const BLOCK_STATUS: usize = 8;
const BLOCK_PACKETS: usize = 12;
const BLOCK_FIRST: usize = 16;
/// Offsets in `struct tpacket3_hdr`.
const NEXT: usize = 0;
const SECONDS: usize = 4;
const NANOS: usize = 8;
const CAPTURED: usize = 12;
const LENGTH: usize = 16;
const STATUS: usize = 20;
const MAC: usize = 24;
const TAG: usize = 32;
const TAG_TYPE: usize = 36;

const VLAN_TAG_BYTES: usize = agent_common::net::VLAN_TAG_BYTES;

/// After this, the kernel has given us every block that it had begun when it was told to stop.
const GRACE: Duration = Duration::from_millis(100 * BLOCK_MILLIS as u64);

/// The reader's side of a packet socket.
pub struct RingSocket {
    slot: u32,
    socket: OwnedFd,
    map: Mapping,
    shape: RingShape,
    snaplen: usize,
    /// The block that comes next.
    block: usize,
    /// Packets left in that block, and where in it the next one is, once it was looked into.
    place: Option<(u32, usize)>,
    /// The packet with the tag that the kernel took out.
    tagged: Vec<u8>,
    /// What was read.
    pub(super) read: Read,
    /// Packets that the kernel put into the ring.
    accepted: u64,
    stopped: Option<Instant>,
}

/// What was read of a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) packets: u64,
    /// As on the wire.
    pub(super) wire_bytes: u64,
    pub(super) captured_bytes: u64,
    /// Packets that are not whole.
    pub(super) snapped: u64,
}

/// One answer of `PACKET_STATISTICS`: since the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Statistics {
    pub(super) seen: u64,
    pub(super) dropped: u64,
}

impl RingSocket {
    /// Maps the ring of a socket that [`super::SocketSource::open`] opened with a ring of this
    /// shape, for an interface that has this slot; needs no capability.
    ///
    /// # Errors
    /// If it cannot be mapped.
    pub fn map(
        slot: u32,
        socket: OwnedFd,
        shape: RingShape,
        snaplen: u32,
    ) -> Result<Self, RingError> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let map = Mapping::new(socket.as_fd(), shape.bytes(), 0, protection)?;
        Ok(Self {
            slot,
            socket,
            map,
            shape,
            snaplen: snaplen as usize,
            block: 0,
            place: None,
            tagged: Vec::new(),
            read: Read::default(),
            accepted: 0,
            stopped: None,
        })
    }

    pub(super) const fn slot(&self) -> u32 {
        self.slot
    }

    pub(super) fn raw_fd(&self) -> i32 {
        self.socket.as_raw_fd()
    }

    /// Hands over what is there, but not more than `max` packets.
    pub(super) fn drain(&mut self, max: usize, mut take: impl FnMut(PacketRecord<'_>)) -> Drained {
        let mut drained = Drained::default();
        while self.is_ours(self.block) {
            let start = self.block * self.shape.block_bytes as usize;
            let bytes = self.map.bytes();
            let block = bytes.get(start..).unwrap_or_default();
            let block = block
                .get(..self.shape.block_bytes as usize)
                .unwrap_or_default();
            let first = || {
                Some((
                    number(block, BLOCK_PACKETS)?,
                    number(block, BLOCK_FIRST)? as usize,
                ))
            };
            let (mut left, mut at) = self.place.or_else(first).unwrap_or_default();
            while left > 0 {
                if drained.records == max {
                    drained.more = true;
                    self.place = Some((left, at));
                    return drained;
                }
                let header = block.get(at..).unwrap_or_default();
                let Some((packet, next)) = packet(header, self.snaplen, &mut self.tagged) else {
                    // A defect, of which the rest of the block is lost.
                    drained.malformed += u64::from(left);
                    break;
                };
                let (length, captured) = (u64::from(packet.wire_len), packet.data.len() as u64);
                self.read.packets += 1;
                self.read.wire_bytes += length;
                self.read.captured_bytes += captured;
                self.read.snapped += u64::from(captured < length);
                drained.records += 1;
                drained.reached_ns = packet.time_ns;
                take(PacketRecord {
                    slot: self.slot,
                    time_ns: packet.time_ns,
                    wire_len: packet.wire_len,
                    data: packet.data,
                    tuple: None,
                });
                left -= 1;
                at += next;
            }
            self.place = None;
            self.map
                .word(start + BLOCK_STATUS)
                .store(KERNEL, Ordering::Release);
            self.block = (self.block + 1) % self.shape.blocks as usize;
        }
        drained
    }

    fn is_ours(&self, block: usize) -> bool {
        let at = block * self.shape.block_bytes as usize + BLOCK_STATUS;
        // The kernel writes it last of the block.
        self.map.word(at).load(Ordering::Acquire) & OURS != 0
    }

    /// The share of blocks that are to be read, 0 to 1.
    pub(super) fn fill(&self) -> f64 {
        let blocks = self.shape.blocks as usize;
        let ours = (0..blocks).filter(|block| self.is_ours(*block)).count();
        ours as f64 / blocks as f64
    }

    /// What the kernel counted since it was last asked.
    pub(super) fn statistics(&mut self) -> io::Result<Statistics> {
        let mut counts = libc::tpacket_stats_v3 {
            tp_packets: 0,
            tp_drops: 0,
            tp_freeze_q_cnt: 0,
        };
        self.option(libc::SOL_PACKET, libc::PACKET_STATISTICS, &mut counts)?;
        // Those that were dropped are among the packets.
        let (seen, dropped) = (u64::from(counts.tp_packets), u64::from(counts.tp_drops));
        self.accepted += seen.saturating_sub(dropped);
        Ok(Statistics { seen, dropped })
    }

    /// Takes note of an error, as of an interface that was switched off: until then the socket
    /// never lets wait.
    pub(super) fn clear_error(&self) {
        let mut error: libc::c_int = 0;
        let _ = self.option(libc::SOL_SOCKET, libc::SO_ERROR, &mut error);
    }

    fn option<T>(&self, level: i32, option: i32, value: &mut T) -> io::Result<()> {
        let mut length = size_of::<T>() as libc::socklen_t;
        // SAFETY: writes at most `length` bytes into the plain value, whose size that is.
        let result = unsafe {
            libc::getsockopt(
                self.raw_fd(),
                level,
                option,
                std::ptr::from_mut(value).cast(),
                &raw mut length,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Receives nothing from here on; what is in the ring stays.
    pub(super) fn stop(&mut self) {
        if self.stopped.is_some() {
            return;
        }
        self.stopped = Some(Instant::now());
        // Where both fail the interface is gone, and nothing comes. The protocol is one that no
        // packet has; binding waits for packets that are just being handled.
        let _ = filter::take_nothing(self.socket.as_fd());
        let _ = bind(self.socket.as_fd(), 0, libc::ETH_P_802_3);
    }

    pub(super) const fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// Whether it was stopped and all was read that came before. The kernel gives a block that is
    /// not full a little later; what it gave is read, however long that takes.
    pub(super) fn is_over(&self) -> bool {
        self.stopped.is_some_and(|stopped| {
            self.read.packets >= self.accepted
                || stopped.elapsed() > GRACE && !self.is_ours(self.block)
        })
    }
}

/// A packet as it was on the wire.
struct Packet<'a> {
    /// Nanoseconds since 1970 UTC.
    time_ns: u64,
    wire_len: u32,
    data: &'a [u8],
}

/// The packet whose header this begins with, and how far it is to the next one.
fn packet<'a>(
    header: &'a [u8],
    snaplen: usize,
    tagged: &'a mut Vec<u8>,
) -> Option<(Packet<'a>, usize)> {
    let start = usize::from(short(header, MAC)?);
    let captured = number(header, CAPTURED)? as usize;
    let bytes = header.get(start..start.checked_add(captured)?)?;
    let seconds = u64::from(number(header, SECONDS)?);
    let mut packet = Packet {
        time_ns: seconds * 1_000_000_000 + u64::from(number(header, NANOS)?),
        wire_len: number(header, LENGTH)?,
        data: bytes,
    };
    let status = number(header, STATUS)?;
    let addresses = bytes.split_at_checked(agent_common::net::ETHERTYPE_OFFSET);
    if status & TAGGED != 0
        && let Some((addresses, rest)) = addresses
    {
        let kind = match short(header, TAG_TYPE)? {
            kind if status & TAG_TYPE_KNOWN != 0 => kind,
            _ => agent_common::net::ETHERTYPE_VLAN,
        };
        tagged.clear();
        tagged.extend(addresses);
        tagged.extend(kind.to_be_bytes());
        // The upper half is not used.
        tagged.extend((number(header, TAG)? as u16).to_be_bytes());
        tagged.extend(rest);
        packet.wire_len += VLAN_TAG_BYTES as u32;
        packet.data = tagged.get(..snaplen).unwrap_or(tagged);
    }
    Some((packet, number(header, NEXT)? as usize))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with 14 bytes of a frame behind it, of 60 on the wire.
    fn header(status: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [128, 5, 7, 14, 60, status] {
            bytes.extend(u32::to_ne_bytes(word));
        }
        bytes.extend([48_u16, 62].map(u16::to_ne_bytes).concat());
        bytes.extend([0_u32, 0xe005].map(u32::to_ne_bytes).concat());
        bytes.extend(0x88a8_u16.to_ne_bytes());
        bytes.resize(48, 0);
        bytes.extend([1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 0]);
        bytes
    }

    #[test]
    fn a_tag_is_put_back_where_it_was() {
        let mut buffer = Vec::new();
        let plain = header(OURS);
        let (found, next) = packet(&plain, 65_535, &mut buffer).unwrap();
        assert_eq!((found.time_ns, found.wire_len), (5_000_000_007, 60));
        assert_eq!((found.data, next), (&plain[48..], 128));
        let bytes = header(OURS | TAGGED | TAG_TYPE_KNOWN);
        let (found, _) = packet(&bytes, 65_535, &mut buffer).unwrap();
        assert_eq!((found.wire_len, found.data.len()), (64, 18));
        assert_eq!(found.data[12..], [0x88, 0xa8, 0xe0, 5, 8, 0]);
        // Where the kernel does not say of which kind the tag is, it is the usual one.
        let bytes = header(OURS | TAGGED);
        let (found, _) = packet(&bytes, 16, &mut buffer).unwrap();
        assert_eq!(found.data[12..], [0x81, 0, 0xe0, 5]);
    }

    #[test]
    fn what_is_cut_is_no_packet() {
        let bytes = header(OURS);
        for length in 0..bytes.len() {
            assert!(packet(&bytes[..length], 65_535, &mut Vec::new()).is_none());
        }
    }
}
