//! A received frame whose headers are not all in its first buffer: read by the kernel's helper,
//! because only that buffer can be pointed into.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::generated::bpf_xdp_load_bytes;
use aya_ebpf::programs::XdpContext;

use crate::frame::{HEADER_WORDS, Header, Headers};

/// The headers of a frame of several buffers.
pub(crate) struct Scattered {
    ctx: *mut xdp_md,
    /// The header that was read last. Words, because the verifier wants the stack to be read
    /// aligned, as all fields of headers are to the header's start.
    header: MaybeUninit<[u64; HEADER_WORDS]>,
}

impl Scattered {
    #[inline(always)]
    pub(crate) const fn new(ctx: &XdpContext) -> Self {
        Self {
            ctx: ctx.ctx,
            header: MaybeUninit::uninit(),
        }
    }
}

impl Headers for Scattered {
    #[inline(always)]
    fn tag_beside(&self) -> Option<u16> {
        None
    }

    #[inline(always)]
    fn header<const N: usize>(&mut self, offset: usize) -> Option<Header<'_, N>> {
        const { assert!(N <= HEADER_WORDS * 8) };
        let to: *mut u8 = self.header.as_mut_ptr().cast();
        // SAFETY: there is room for `N` bytes, and the borrow of `self` keeps them as they are.
        unsafe {
            let read = bpf_xdp_load_bytes(self.ctx, offset as u32, to.cast(), N as u32);
            (read == 0).then(|| Header::new(to))
        }
    }
}
