//! The one way to packet memory: bounds-checked reads.

use core::ptr;

use aya_ebpf::programs::XdpContext;

/// No header that is walked starts behind this: 4 tags and 6 extension headers of at
/// most 2048 bytes. A constant bound lets the verifier add an offset to a packet pointer.
const MAX_OFFSET: usize = 0x3fff;

/// The first buffer of a frame; all headers are in it.
pub(crate) struct Packet<'a>(&'a XdpContext);

impl<'a> Packet<'a> {
    #[inline(always)]
    pub(crate) fn new(ctx: &'a XdpContext) -> Self {
        Self(ctx)
    }

    /// The `N` bytes at `offset`, if the packet has them.
    ///
    /// Never one alone: LLVM makes `start + 1 > end` into `start >= end`, of which the verifier
    /// learns nothing (`find_good_pkt_pointers`, 6.18).
    #[inline(always)]
    pub(crate) fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        const { assert!(N >= 2) };
        if offset > MAX_OFFSET {
            return None;
        }
        let start = self.0.data() + offset;
        if start + N > self.0.data_end() {
            return None;
        }
        // SAFETY: `start .. start + N` lies in the packet, as just compared, and an array of
        // bytes has neither alignment nor invalid values.
        Some(unsafe { ptr::read(start as *const [u8; N]) })
    }

    /// A number of 16 bits in network order.
    #[inline(always)]
    pub(crate) fn u16(&self, offset: usize) -> Option<u16> {
        self.bytes(offset).map(u16::from_be_bytes)
    }
}
