//! What the programs go by, as they read it: said once, where somebody asks, by a program of its
//! own, so that there is no line of it in those that see packets.

use aya_ebpf::programs::XdpContext;
use aya_log_ebpf::debug;

use crate::maps::{PACKET_WAKE_BYTES, SHARD_MASK, TUPLE_WAKE_RECORDS};

#[inline(always)]
pub(crate) fn say(ctx: &XdpContext) {
    debug!(
        ctx,
        "{} rings of each kind; the reader is woken each {} tuples and each {} bytes of packets",
        SHARD_MASK.load() + 1,
        TUPLE_WAKE_RECORDS.load(),
        PACKET_WAKE_BYTES.load()
    );
}
