//! What a hook shows of a frame: all that the walk, the rings and the counters need of it.

use core::arch::asm;
use core::marker::PhantomData;

/// Words of the longest header that is read at once, that of IPv6.
pub(crate) const HEADER_WORDS: usize = 5;

/// The headers of a frame, read in one way.
pub(crate) trait Headers {
    /// Control information of the outermost VLAN tag, where that is on the wire but not among the
    /// bytes that [`Headers::header`] reads.
    fn tag_beside(&self) -> Option<u16>;

    /// The `N` bytes at `offset`, if the frame has them.
    fn header<const N: usize>(&mut self, offset: usize) -> Option<Header<'_, N>>;
}

/// A frame as one hook shows it.
pub(crate) trait Frame: Headers {
    /// Index of the interface that it came in by or leaves by.
    fn interface(&self) -> u32;

    /// Bytes that it has on the wire, without its check sequence.
    fn wire_len(&self) -> u32;

    /// The headers of this frame of so many bytes, read in a slower way, where the usual one does
    /// not see all of it.
    fn scattered(&self, wire_len: u32) -> Option<impl Headers>;

    /// Copies the first `len` bytes as they are on the wire; `false` where that is not possible.
    ///
    /// # Safety
    ///
    /// `to` must be valid for writes of `N` bytes and aligned to 8, and `len` must be a bound that
    /// the verifier sees, 1 to `N` (`clamp`).
    unsafe fn copy<const N: usize>(&self, to: *mut u8, len: u64) -> bool;
}

/// `N` bytes of a frame.
#[derive(Clone, Copy)]
pub(crate) struct Header<'a, const N: usize> {
    start: *const u8,
    frame: PhantomData<&'a [u8; N]>,
}

/// Reads a word of a type at a constant place. In assembly, because headers are not aligned: from
/// unaligned memory LLVM reads byte by byte for BPF, which has had no need of that since 4.19.
macro_rules! load {
    ($header:expr, $ty:literal, $bytes:literal) => {{
        const { assert!(AT + $bytes <= N) };
        let value: u64;
        // SAFETY: `AT .. AT + bytes` lies in the `N` bytes of the header, which whoever made it
        // vouched for; the machine reads words from any address.
        unsafe {
            asm!(
                concat!("{value} = *(", $ty, " *)({start} + {at})"),
                value = lateout(reg) value,
                start = in(reg) $header.start,
                at = const AT,
                options(pure, readonly, nostack),
            );
        }
        value
    }};
}

impl<const N: usize> Header<'_, N> {
    /// # Safety
    ///
    /// The `N` bytes from `start` on must be readable, and stay as they are for the lifetime.
    #[inline(always)]
    pub(crate) const unsafe fn new(start: *const u8) -> Self {
        Self {
            start,
            frame: PhantomData,
        }
    }

    #[inline(always)]
    pub(crate) const fn start(self) -> *const u8 {
        self.start
    }

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
