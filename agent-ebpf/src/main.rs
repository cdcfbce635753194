//! The XDP program: one record per packet, and the packet always goes on.
#![no_std]
#![no_main]

mod emit;
mod packet;
mod parse;

use agent_common::{Counter, TupleEvent};
use aya_ebpf::bindings::xdp_action::XDP_PASS;
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_xdp_get_buff_len};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;

use crate::packet::Packet;

/// `frags`: also frames of several buffers (jumbo MTU), since kernel 5.18.
#[xdp(frags)]
pub fn flowsift_tuples(ctx: XdpContext) -> u32 {
    emit::count(Counter::Seen);
    let mut event = TupleEvent {
        // SAFETY: the helper has no arguments and no conditions.
        time_ns: unsafe { bpf_ktime_get_ns() },
        // SAFETY: the pointer is the context that the kernel gave us. `data_end - data` would be
        // the length of the first buffer only.
        wire_len: unsafe { bpf_xdp_get_buff_len(ctx.ctx) } as u32,
        interface: ctx.ingress_ifindex() as u32,
        ..TupleEvent::default()
    };
    if let Err(stop) = parse::walk(&Packet::new(&ctx), &mut event) {
        emit::count(stop);
    }
    emit::submit(event);
    XDP_PASS
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Never reached: the verifier refuses a program with an endless loop, so a panic
    // path that the compiler left in shows when the object is loaded.
    loop {}
}

/// What the kernel checks before it lends a program its GPL-only helpers.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
