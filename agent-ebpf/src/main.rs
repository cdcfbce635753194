//! The programs: what is wanted of a packet goes into rings, and the packet always goes on.
#![no_std]
#![no_main]
// Opened to this crate alone by RUSTC_BOOTSTRAP (`cargo xtask ebpf`): inline assembly for BPF.
#![feature(asm_experimental_arch)]

mod clamp;
mod facts;
mod frame;
mod maps;
mod observe;
mod parse;
mod received;
mod rings;
mod scattered;
mod sent;
mod words;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::TC_ACT_UNSPEC;
use aya_ebpf::bindings::xdp_action::XDP_PASS;
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};

/// What comes in.
///
/// `frags`: also frames of several buffers (jumbo MTU), since kernel 5.18.
#[xdp(frags)]
pub fn flowsift_xdp(ctx: XdpContext) -> u32 {
    observe::observe(&mut received::Received::new(&ctx));
    XDP_PASS
}

/// What this machine sends itself. What it forwards was to be seen where it came in.
#[classifier]
pub fn flowsift_tcx(ctx: TcContext) -> i32 {
    let mut sent = sent::Sent::new(ctx.as_ptr().cast());
    if !sent.is_forwarded() {
        observe::observe(&mut sent);
    }
    // As TCX_NEXT: whatever else is attached decides.
    TC_ACT_UNSPEC
}

/// Loaded and run once, on no packet, where somebody asks for details.
#[xdp]
pub fn flowsift_facts(ctx: XdpContext) -> u32 {
    facts::say(&ctx);
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
