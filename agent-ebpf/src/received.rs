//! A frame on the receive path (XDP): read where it lies, its bounds checked, in whole words.

use core::arch::asm;

use aya_ebpf::helpers::generated::{bpf_xdp_get_buff_len, bpf_xdp_load_bytes};
use aya_ebpf::programs::XdpContext;

use crate::clamp::up_to;
use crate::frame::{Frame, Header, Headers};
use crate::scattered::Scattered;

/// No header that is walked starts behind this: 4 tags and 6 extension headers of at
/// most 2048 bytes. A constant bound lets the verifier add an offset to a packet pointer.
const MAX_OFFSET: usize = 0x3fff;

/// The longest frame that is copied word by word.
const SHORT: usize = 128;

/// A received frame.
pub(crate) struct Received<'a> {
    ctx: &'a XdpContext,
    buffer: Buffer,
}

/// The first buffer of a frame. Mostly all headers are in it, but some drivers leave it empty
/// (mlx5 with its striding receive queue), and nothing says that long headers end in it.
struct Buffer {
    start: usize,
    end: usize,
}

impl<'a> Received<'a> {
    #[inline(always)]
    pub(crate) fn new(ctx: &'a XdpContext) -> Self {
        let buffer = Buffer::new(ctx);
        Self { ctx, buffer }
    }
}

impl Headers for Received<'_> {
    /// What a card strips is not to be seen here.
    #[inline(always)]
    fn tag_beside(&self) -> Option<u16> {
        None
    }

    #[inline(always)]
    fn header<const N: usize>(&mut self, offset: usize) -> Option<Header<'_, N>> {
        self.buffer.header(offset)
    }
}

impl Frame for Received<'_> {
    #[inline(always)]
    fn interface(&self) -> u32 {
        self.ctx.ingress_ifindex() as u32
    }

    #[inline(always)]
    fn wire_len(&self) -> u32 {
        // SAFETY: the pointer is the context that the kernel gave us. `data_end - data` would be
        // the length of the first buffer only.
        unsafe { bpf_xdp_get_buff_len(self.ctx.ctx) as u32 }
    }

    #[inline(always)]
    fn scattered(&self, wire_len: u32) -> Option<impl Headers> {
        let Buffer { start, end } = Buffer::new(self.ctx);
        (end - start < wire_len as usize).then(|| Scattered::new(self.ctx))
    }

    #[inline(always)]
    unsafe fn copy<const N: usize>(&self, to: *mut u8, len: u64) -> bool {
        // SAFETY: the caller vouches for `to`, which here is as long as the short copy needs, and
        // for `len`.
        unsafe {
            if N == SHORT && Buffer::new(self.ctx).copy_short(to, len as usize) {
                return true;
            }
            // Reads frames of several buffers too.
            bpf_xdp_load_bytes(self.ctx.ctx, 0, to.cast(), len as u32) == 0
        }
    }
}

impl Buffer {
    #[inline(always)]
    fn new(ctx: &XdpContext) -> Self {
        Self {
            start: ctx.data(),
            end: ctx.data_end(),
        }
    }

    /// The `N` bytes at `offset`, if the buffer has them.
    ///
    /// Never one alone: LLVM makes `start + 1 > end` into `start >= end`, of which the verifier
    /// learns nothing (`find_good_pkt_pointers`, 6.18).
    #[inline(always)]
    fn header<const N: usize>(&self, offset: usize) -> Option<Header<'_, N>> {
        const { assert!(N >= 2) };
        if offset > MAX_OFFSET {
            return None;
        }
        let start = self.start + offset;
        if start + N > self.end {
            return None;
        }
        // SAFETY: the bytes were found to lie in the buffer, which nothing changes while we run.
        Some(unsafe { Header::new(start as *const u8) })
    }

    /// Copies the first `len` bytes, 8 to [`SHORT`], by whole words; `false` where they are not
    /// all in the buffer, or not as many as that.
    ///
    /// For a packet of a hundred bytes the helper that copies takes longer than the copying.
    ///
    /// # Safety
    ///
    /// `to` must be valid for writes of [`SHORT`] bytes.
    #[inline(always)]
    unsafe fn copy_short(&self, to: *mut u8, len: usize) -> bool {
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
                    from = in(reg) block.start().add(word * 8),
                    to = in(reg) to.add(at + word * 8),
                    options(nostack),
                );
            }
        }
        Some(())
    }
}
