//! What leaves the program: records through the ring, and the counters.

use agent_common::{Counter, TupleEvent};
use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{PerCpuArray, RingBuf};

/// Room for 262,144 records, a quarter of a second at a million packets a second. The
/// loader may set another size.
const RING_BYTES: u32 = 16 << 20;

/// A power of two: the reader is woken each time the unread bytes pass a multiple of it.
/// It also looks by itself every few milliseconds, so nothing waits for the mark. Waking it
/// for each record costs more than all the rest of the program.
const WAKE_UP_BYTES: u64 = 64 << 10;

/// Bytes of one record with the ring's header.
const RECORD_BYTES: u64 = 8 + size_of::<TupleEvent>() as u64;

#[map]
static TUPLES: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Counter::COUNT, 0);

/// Adds one. XDP stays on its CPU while it runs, so a plain addition loses nothing.
#[inline(always)]
pub(crate) fn count(counter: Counter) {
    if let Some(value) = COUNTERS.get_ptr_mut(counter.index()) {
        // SAFETY: the kernel gave a pointer to this CPU's value; nobody else writes it.
        unsafe { *value += 1 };
    }
}

/// Hands the record to the ring, or counts that it could not.
#[inline(always)]
pub(crate) fn submit(event: TupleEvent) {
    let Some(mut entry) = TUPLES.reserve::<TupleEvent>(0) else {
        count(Counter::RingFull);
        return;
    };
    entry.write(event);
    entry.submit(wake_up());
    count(Counter::Emitted);
}

#[inline(always)]
fn wake_up() -> u64 {
    let unread = TUPLES.query(u64::from(BPF_RB_AVAIL_DATA));
    let passes_mark = unread & (WAKE_UP_BYTES - 1) < RECORD_BYTES && unread >= WAKE_UP_BYTES;
    u64::from(if passes_mark {
        BPF_RB_FORCE_WAKEUP
    } else {
        BPF_RB_NO_WAKEUP
    })
}
