//! The one way to packet memory: headers whose bounds were checked, read in whole words.

use core::arch::asm;

use aya_ebpf::programs::XdpContext;

/// No header that is walked starts behind this: 4 tags and 6 extension headers of at
/// most 2048 bytes. A constant bound lets the verifier add an offset to a packet pointer.
const MAX_OFFSET: usize = 0x3fff;

/// The first buffer of a frame; all headers are in it.
pub(crate) struct Packet {
    start: usize,
    end: usize,
}

/// `N` bytes of a packet.
#[derive(Clone, Copy)]
pub(crate) struct Header<const N: usize>(*const u8);

impl Packet {
    #[inline(always)]
    pub(crate) fn new(ctx: &XdpContext) -> Self {
        Self {
            start: ctx.data(),
            end: ctx.data_end(),
        }
    }

    /// The `N` bytes at `offset`, if the packet has them.
    ///
    /// Never one alone: LLVM makes `start + 1 > end` into `start >= end`, of which the verifier
    /// learns nothing (`find_good_pkt_pointers`, 6.18).
    #[inline(always)]
    pub(crate) fn header<const N: usize>(&self, offset: usize) -> Option<Header<N>> {
        const { assert!(N >= 2) };
        if offset > MAX_OFFSET {
            return None;
        }
        let start = self.start + offset;
        if start + N > self.end {
            return None;
        }
        Some(Header(start as *const u8))
    }
}

/// Reads a word of a type at a constant place. In assembly, because headers are not aligned: from
/// unaligned memory LLVM reads byte by byte for BPF, which has had no need of that since 4.19.
macro_rules! load {
    ($header:expr, $ty:literal, $bytes:literal) => {{
        const { assert!(AT + $bytes <= N) };
        let value: u64;
        // SAFETY: `AT .. AT + bytes` lies in the `N` bytes of the header, which were found to lie
        // in the packet; the machine reads words from any address.
        unsafe {
            asm!(
                concat!("{value} = *(", $ty, " *)({start} + {at})"),
                value = lateout(reg) value,
                start = in(reg) $header.0,
                at = const AT,
                options(pure, readonly, nostack),
            );
        }
        value
    }};
}

impl<const N: usize> Header<N> {
    #[inline(always)]
    pub(crate) fn u8<const AT: usize>(self) -> u8 {
        load!(self, "u8", 1) as u8
    }

    /// A number of 16 bits in network order.
    #[inline(always)]
    pub(crate) fn u16<const AT: usize>(self) -> u16 {
        u16::from_be(load!(self, "u16", 2) as u16)
    }

    /// Four bytes as they lie in memory.
    #[inline(always)]
    pub(crate) fn raw_u32<const AT: usize>(self) -> u32 {
        load!(self, "u32", 4) as u32
    }

    /// Eight bytes as they lie in memory.
    #[inline(always)]
    pub(crate) fn raw_u64<const AT: usize>(self) -> u64 {
        load!(self, "u64", 8)
    }
}
