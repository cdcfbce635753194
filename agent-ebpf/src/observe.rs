//! One packet: its configuration, its tuple, its records, its counters.

use core::mem::MaybeUninit;

use agent_common::config::{INTERFACE_ENTRIES, wants};
use agent_common::counter::UNCONFIGURED;
use agent_common::{InterfaceCounters, TupleEvent};
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;

use crate::frame::Frame;
use crate::maps::{COUNTERS, INTERFACES};
use crate::parse::{self, Stop, Walk};
use crate::rings;
use crate::words;

/// Hands on what is wanted of the packet and counts what became of it.
#[inline(always)]
pub(crate) fn observe(frame: &mut impl Frame) {
    let interface = frame.interface();
    let entry = INTERFACES.get(interface & (INTERFACE_ENTRIES - 1));
    let Some(config) = entry.filter(|config| config.interface == interface) else {
        if let Some(counters) = counters(UNCONFIGURED) {
            counters.seen += 1;
        }
        return;
    };
    let Some(counters) = counters(config.slot) else {
        return;
    };
    // SAFETY: the helper has no arguments and no conditions.
    let time_ns = unsafe { bpf_ktime_get_ns() };
    let wire_len = frame.wire_len();
    let mut place = MaybeUninit::uninit();
    let event = words::begin(&mut place, time_ns, wire_len, config.slot);
    counters.seen += 1;
    counters.seen_bytes += u64::from(wire_len);
    if let Err(stop) = walk(frame, wire_len, event) {
        *stopped(counters, stop) += 1;
    }
    let flags = config.flags;
    let in_ring =
        flags & wants::PACKETS != 0 && rings::emit_packet(frame, event, config.snaplen, counters);
    if flags & wants::TUPLES == 0 {
        return;
    }
    if in_ring && flags & wants::JOINED != 0 {
        counters.tuple_emitted += 1;
    } else {
        rings::emit_tuple(event, counters);
    }
}

/// Walks the headers where they usually are; where they go on elsewhere, once more from the start:
/// what the first walk has learnt, the second one learns again.
#[inline(always)]
fn walk(frame: &mut impl Frame, wire_len: u32, event: &mut TupleEvent) -> Walk {
    let walked = parse::walk(frame, event);
    if let Err(Stop::TooShort) = walked
        && let Some(mut headers) = frame.scattered(wire_len)
    {
        return parse::walk(&mut headers, event);
    }
    walked
}

/// This CPU's counters of a slot.
#[inline(always)]
fn counters(slot: u32) -> Option<&'static mut InterfaceCounters> {
    // SAFETY: the value is this CPU's and lives as long as the programs. Both stay on their CPU and
    // run with soft interrupts off, so neither is entered there while the other or itself runs, and
    // they ask once per packet.
    COUNTERS
        .get_ptr_mut(slot)
        .map(|counters| unsafe { &mut *counters })
}

#[inline(always)]
fn stopped(counters: &mut InterfaceCounters, stop: Stop) -> &mut u64 {
    match stop {
        Stop::TooShort => &mut counters.too_short,
        Stop::NotIp => &mut counters.not_ip,
        Stop::Fragment => &mut counters.fragment,
        Stop::TooManyHeaders => &mut counters.too_many_headers,
    }
}
