//! Packets by packet sockets (`packet(7)`, TPACKET_V3), where the kernel program cannot be used.
//!
//! The privileged part opens a socket per interface (`open.rs`); who has its descriptor maps its
//! ring and reads it without a capability (`ring.rs`), several as one source (`sockets.rs`).

mod filter;
mod open;
mod ring;
mod sockets;

use std::time::Duration;

pub use open::{SocketSource, SocketWish};
pub use ring::RingSocket;
pub use sockets::{Arrival, SocketCounters, SocketRings};

/// The longest that a packet waits for the block that it is in to be full, in milliseconds.
const BLOCK_MILLIS: u32 = 10;

/// How long it waits at most where the block does not fill: the kernel looks at a block twice
/// before it gives it, and its timer counts in ticks of up to 10 ms, of which one may be added.
pub(super) const HELD_BACK: Duration = Duration::from_millis(4 * BLOCK_MILLIS as u64);

/// A block holds the longest packet there is, with its headers.
const LEAST_BLOCK_BYTES: u64 = 128 << 10;
const MOST_BLOCK_BYTES: u64 = 1 << 20;

/// How a socket's ring is divided; whoever maps it must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingShape {
    /// Bytes of a block, a power of two and whole pages.
    pub block_bytes: u32,
    /// Number of blocks, at least two.
    pub blocks: u32,
}

impl RingShape {
    /// The shape of a ring of about so many bytes, 256 KiB at least.
    #[must_use]
    pub fn of(bytes: u64) -> Self {
        let block = (bytes / 32).clamp(LEAST_BLOCK_BYTES, MOST_BLOCK_BYTES);
        let block = block.next_power_of_two();
        // The kernel counts a ring's bytes in 32 bits.
        let blocks = (bytes / block).clamp(2, (1 << 31) / block);
        Self {
            block_bytes: block as u32,
            blocks: blocks as u32,
        }
    }

    /// Bytes of the whole ring.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.block_bytes as usize * self.blocks as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_has_two_blocks_at_least_and_each_holds_any_packet() {
        let shape = |bytes| {
            let RingShape {
                block_bytes,
                blocks,
            } = RingShape::of(bytes);
            (block_bytes, blocks)
        };
        assert_eq!(shape(0), (128 << 10, 2));
        assert_eq!(shape(8192), (128 << 10, 2));
        assert_eq!(shape(1 << 20), (128 << 10, 8));
        assert_eq!(shape(64 << 20), (1 << 20, 64));
        assert_eq!(shape(u64::MAX), (1 << 20, 2048));
        assert_eq!(RingShape::of(64 << 20).bytes(), 64 << 20);
    }
}
