//! The one way to packet memory: headers whose bounds were checked, read in whole words.

use core::arch::asm;

use aya_ebpf::programs::XdpContext;

use crate::clamp::up_to;

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

/// The longest packet that [`Packet::copy_short`] copies.
pub(crate) const SHORT: usize = 128;

impl Packet {
    /// Copies the first `len` bytes, 8 to [`SHORT`], by whole words; `false` where they are not
    /// all in the first buffer, or not as many as that.
    ///
    /// For a packet of a hundred bytes the helper that copies takes longer than the copying.
    ///
    /// # Safety
    ///
    /// `to` must be valid for writes of [`SHORT`] bytes.
    #[inline(always)]
    pub(crate) unsafe fn copy_short(&self, to: *mut u8, len: usize) -> bool {
        // SAFETY: every block lies in the first `len` bytes, which is what the caller vouches for.
        unsafe { self.copy_blocks(to, len) }.is_some()
    }

    #[inline(always)]
    unsafe fn copy_blocks(&self, to: *mut u8, len: usize) -> Option<()> {
        // SAFETY: as the caller's; the places of the blocks add up to at most `len`.
        unsafe {
            if len >= SHORT {
                return self.copy_block::<SHORT>(to, 0);
            }
            let mut at = 0;
            if len & 64 != 0 {
                self.copy_block::<64>(to, at)?;
                at += 64;
            }
            if len & 32 != 0 {
                self.copy_block::<32>(to, at)?;
                at += 32;
            }
            if len & 16 != 0 {
                self.copy_block::<16>(to, at)?;
                at += 16;
            }
            if len & 8 != 0 {
                self.copy_block::<8>(to, at)?;
            }
            // The rest with the last of what is copied already.
            self.copy_block::<8>(to, up_to::<{ SHORT - 8 }>(len.checked_sub(8)?))
        }
    }

    #[inline(always)]
    unsafe fn copy_block<const N: usize>(&self, to: *mut u8, at: usize) -> Option<()> {
        let block = self.header::<N>(at)?;
        for word in 0..N / 8 {
            // SAFETY: the words lie in the block; the machine writes them to any address.
            unsafe {
                asm!(
                    "{value} = *(u64 *)({from} + 0)",
                    "*(u64 *)({to} + 0) = {value}",
                    value = out(reg) _,
                    from = in(reg) block.0.add(word * 8),
                    to = in(reg) to.add(at + word * 8),
                    options(nostack),
                );
            }
        }
        Some(())
    }
}
