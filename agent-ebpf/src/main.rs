//! The XDP program: what is wanted of a packet goes into rings, and the packet always goes on.
#![no_std]
#![no_main]
// Opened to this crate alone by RUSTC_BOOTSTRAP (`cargo xtask ebpf`): inline assembly for BPF.
#![feature(asm_experimental_arch)]

mod clamp;
mod maps;
mod observe;
mod packet;
mod parse;
mod rings;
mod words;

use aya_ebpf::bindings::xdp_action::XDP_PASS;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;

/// `frags`: also frames of several buffers (jumbo MTU), since kernel 5.18.
#[xdp(frags)]
pub fn flowsift_xdp(ctx: XdpContext) -> u32 {
    observe::observe(&ctx);
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
