//! Records into the rings: the tuple alone, and the tuple with the packet's bytes.

use agent_common::packet::CLASSES;
use agent_common::{InterfaceCounters, PacketHeader, TupleEvent};
use aya_ebpf::bindings::{BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated::bpf_get_smp_processor_id;

use crate::clamp::clamp;
use crate::frame::Frame;
use crate::maps::{
    PACKET_RINGS, PACKET_WAKE_BYTES, Ring, Rings, SHARD_MASK, TUPLE_RINGS, TUPLE_WAKE_RECORDS,
};
use crate::words;

/// The ring's own header of each record (`BPF_RINGBUF_HDR_SZ`).
const RING_HEADER_BYTES: u64 = 8;

/// A packet record of a class.
#[repr(C)]
struct PacketRecord<const N: usize> {
    header: PacketHeader,
    data: [u8; N],
}

/// Hands the tuple to this CPU's ring, or counts that it could not.
#[inline(always)]
pub(crate) fn emit_tuple(event: &TupleEvent, counters: &mut InterfaceCounters) {
    let entry = shard(&TUPLE_RINGS).and_then(|ring| ring.reserve_untyped::<TupleEvent>(0));
    let Some(mut entry) = entry else {
        counters.tuple_dropped += 1;
        return;
    };
    // SAFETY: the entry is reserved for us, and the ring aligns to 8 bytes.
    unsafe { words::copy(event, entry.as_mut_ptr()) };
    // Counted first: whoever has read a record finds it counted.
    counters.tuple_emitted += 1;
    entry.submit(wake_up(
        counters.tuple_emitted & (TUPLE_WAKE_RECORDS.load() - 1) == 0,
    ));
}

/// Hands the packet to this CPU's ring, or counts that it could not and gives `false`.
#[inline(always)]
pub(crate) fn emit_packet(
    frame: &impl Frame,
    event: &TupleEvent,
    snaplen: u32,
    counters: &mut InterfaceCounters,
) -> bool {
    let captured = u64::from(event.wire_len.min(snaplen));
    let Some(ring) = shard(&PACKET_RINGS) else {
        counters.packet_dropped += 1;
        return false;
    };
    let in_ring = match captured as usize {
        ..=128 => copy::<{ CLASSES[0] }>(ring, frame, event, captured, counters),
        ..=256 => copy::<{ CLASSES[1] }>(ring, frame, event, captured, counters),
        ..=512 => copy::<{ CLASSES[2] }>(ring, frame, event, captured, counters),
        ..=1024 => copy::<{ CLASSES[3] }>(ring, frame, event, captured, counters),
        ..=1536 => copy::<{ CLASSES[4] }>(ring, frame, event, captured, counters),
        ..=2048 => copy::<{ CLASSES[5] }>(ring, frame, event, captured, counters),
        ..=4096 => copy::<{ CLASSES[6] }>(ring, frame, event, captured, counters),
        ..=9216 => copy::<{ CLASSES[7] }>(ring, frame, event, captured, counters),
        ..=16_384 => copy::<{ CLASSES[8] }>(ring, frame, event, captured, counters),
        ..=32_768 => copy::<{ CLASSES[9] }>(ring, frame, event, captured, counters),
        _ => copy::<{ CLASSES[10] }>(ring, frame, event, captured, counters),
    };
    if !in_ring {
        counters.packet_dropped += 1;
    }
    in_ring
}

/// Copies the first `captured` bytes, at most `N`, into a record of the class.
#[inline(always)]
fn copy<const N: usize>(
    ring: &Ring,
    frame: &impl Frame,
    event: &TupleEvent,
    captured: u64,
    counters: &mut InterfaceCounters,
) -> bool {
    let Some(mut entry) = ring.reserve_untyped::<PacketRecord<N>>(0) else {
        return false;
    };
    let captured = clamp::<N>(captured);
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved for us and as large as its type; `captured` is at most `N`.
    let copied = unsafe {
        words::copy(event, &raw mut (*record).header.tuple);
        (&raw mut (*record).header.captured_len).write(captured as u32);
        (&raw mut (*record).header.reserved).write(0);
        let data = &raw mut (*record).data;
        frame.copy::<N>(data.cast(), captured)
    };
    if !copied {
        entry.discard(u64::from(BPF_RB_NO_WAKEUP));
        return false;
    }
    counters.packet_emitted += 1;
    counters.packet_emitted_bytes += captured;
    if captured < u64::from(event.wire_len) {
        counters.snapped += 1;
    }
    let before = counters.packet_ring_bytes;
    let after = before + RING_HEADER_BYTES + size_of::<PacketRecord<N>>() as u64;
    counters.packet_ring_bytes = after;
    let mark = PACKET_WAKE_BYTES.load();
    entry.submit(wake_up((before ^ after) & mark.wrapping_neg() != 0));
    true
}

/// The ring of this CPU.
#[inline(always)]
fn shard(rings: &Rings) -> Option<&Ring> {
    // SAFETY: the helper has no arguments and no conditions.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    rings.get(cpu & SHARD_MASK.load())
}

/// Wakes the reader only each time that so much has been put into the ring. It also looks by
/// itself every few milliseconds, so nothing waits for the mark. Waking it for each record costs
/// more than all the rest of the program, and so does asking the ring how full it is.
#[inline(always)]
fn wake_up(passes_mark: bool) -> u64 {
    u64::from(if passes_mark {
        BPF_RB_FORCE_WAKEUP
    } else {
        BPF_RB_NO_WAKEUP
    })
}
