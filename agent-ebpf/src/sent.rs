//! A frame on its way out (tcx): read by the kernel's helper, because much of it may lie in pages
//! that cannot be pointed into.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::bpf_skb_load_bytes;

use agent_common::net::{ETHERTYPE_OFFSET, VLAN_TAG_BYTES};

use crate::clamp::less;
use crate::frame::{Frame, HEADER_WORDS, Header, Headers};

/// Where the bytes behind a VLAN tag are on the wire.
const BEHIND_TAG: usize = ETHERTYPE_OFFSET + VLAN_TAG_BYTES;

/// A frame to be sent.
pub(crate) struct Sent {
    skb: *mut __sk_buff,
    /// The header that was read last. Words, because the verifier wants the stack to be read
    /// aligned, as all fields of headers are to the header's start.
    header: MaybeUninit<[u64; HEADER_WORDS]>,
}

/// Reads a field of the context, each by itself: the verifier knows no wider reading.
macro_rules! field {
    ($skb:expr, $name:ident) => {
        // SAFETY: the pointer is the context that the kernel gave us, and it has the field.
        unsafe { (&raw const (*$skb).$name).read_volatile() }
    };
}

impl Sent {
    #[inline(always)]
    pub(crate) const fn new(skb: *mut __sk_buff) -> Self {
        Self {
            skb,
            header: MaybeUninit::uninit(),
        }
    }

    /// Whether it came in by an interface, where it was to be seen already.
    #[inline(always)]
    pub(crate) fn is_forwarded(&self) -> bool {
        field!(self.skb, ingress_ifindex) != 0
    }

    /// Whether the card, or what stands for it, is still to put a VLAN tag into the frame.
    #[inline(always)]
    fn has_tag_beside(&self) -> bool {
        field!(self.skb, vlan_present) != 0
    }

    /// The four bytes of that tag, as they lie in the frame on the wire.
    #[inline(always)]
    fn tag_in_memory(&self) -> u32 {
        // In network order already.
        let protocol = field!(self.skb, vlan_proto) as u16;
        let control = (field!(self.skb, vlan_tci) as u16).to_be();
        u32::from(control) << 16 | u32::from(protocol)
    }

    #[inline(always)]
    unsafe fn load(&self, offset: usize, to: *mut u8, len: u64) -> bool {
        // SAFETY: the caller's: `to` is valid for writes of `len` bytes.
        unsafe { bpf_skb_load_bytes(self.skb.cast(), offset as u32, to.cast(), len as u32) == 0 }
    }
}

impl Headers for Sent {
    #[inline(always)]
    fn tag_beside(&self) -> Option<u16> {
        self.has_tag_beside()
            .then(|| field!(self.skb, vlan_tci) as u16)
    }

    #[inline(always)]
    fn header<const N: usize>(&mut self, offset: usize) -> Option<Header<'_, N>> {
        const { assert!(N <= HEADER_WORDS * 8) };
        let to: *mut u8 = self.header.as_mut_ptr().cast();
        // SAFETY: there is room for `N` bytes, and the borrow of `self` keeps them as they are.
        unsafe { self.load(offset, to, N as u64).then(|| Header::new(to)) }
    }
}

impl Frame for Sent {
    #[inline(always)]
    fn interface(&self) -> u32 {
        field!(self.skb, ifindex)
    }

    #[inline(always)]
    fn wire_len(&self) -> u32 {
        let tag = if self.has_tag_beside() {
            VLAN_TAG_BYTES as u32
        } else {
            0
        };
        field!(self.skb, len) + tag
    }

    /// The usual way sees all of it.
    #[inline(always)]
    fn scattered(&self, _wire_len: u32) -> Option<impl Headers> {
        None::<Self>
    }

    #[inline(always)]
    unsafe fn copy<const N: usize>(&self, to: *mut u8, len: u64) -> bool {
        const { assert!(N > BEHIND_TAG) };
        // SAFETY: the caller vouches for `to` and `len`; with a tag, the addresses, the tag and
        // what is behind it lie one behind the other in the first `max(len, 17)` bytes.
        unsafe {
            if !self.has_tag_beside() {
                return self.load(0, to, len);
            }
            to.add(ETHERTYPE_OFFSET)
                .cast::<u32>()
                .write_volatile(self.tag_in_memory());
            self.load(0, to, ETHERTYPE_OFFSET as u64)
                && self.load(
                    ETHERTYPE_OFFSET,
                    to.add(BEHIND_TAG),
                    less::<BEHIND_TAG>(len),
                )
        }
    }
}
