//! Records set and copied word by word: for anything longer than a few words LLVM would call a
//! function that goes byte by byte, and take as long as all the rest of the program.

use core::arch::asm;
use core::mem::{MaybeUninit, offset_of};

use agent_common::TupleEvent;

const WORDS: usize = size_of::<TupleEvent>() / size_of::<u64>();

const TIME: usize = offset_of!(TupleEvent, time_ns);
const WIRE_LEN: usize = offset_of!(TupleEvent, wire_len);

const _: () = {
    // The machine is little-endian (`bpfel`), so the slot is the word's upper half.
    assert!(WIRE_LEN.is_multiple_of(8) && offset_of!(TupleEvent, slot) == WIRE_LEN + 4);
    assert!(size_of::<TupleEvent>() == WORDS * size_of::<u64>());
    assert!(align_of::<TupleEvent>() == align_of::<u64>());
};

/// Makes a record of time, wire length and slot, the rest zeros, and keeps LLVM from taking it apart into registers, of which BPF has
/// ten: it would spill them and move them about on every branch of the walk.
#[inline(always)]
pub(crate) fn begin(
    place: &mut MaybeUninit<TupleEvent>,
    time_ns: u64,
    wire_len: u32,
    slot: u32,
) -> &mut TupleEvent {
    let words: *mut u64 = place.as_mut_ptr().cast();
    for at in 0..WORDS {
        let value = match at * size_of::<u64>() {
            TIME => time_ns,
            WIRE_LEN => u64::from(slot) << 32 | u64::from(wire_len),
            _ => 0,
        };
        // SAFETY: a record is so many whole words, aligned as they are.
        unsafe { words.add(at).write_volatile(value) };
    }
    let mut record: *mut TupleEvent = words.cast();
    // A move to itself, because the kernel refuses line information of no instruction at all.
    // SAFETY: changes nothing; the compiler must think that it may change the record.
    unsafe { asm!("{record} = {record}", record = inout(reg) record, options(nostack)) };
    // SAFETY: all of it has been written, and any numbers are a record; the borrow is that of `place`.
    unsafe { &mut *record }
}

/// Copies a record to where there is none yet.
///
/// # Safety
///
/// `to` must be valid for writes of a record and aligned.
#[inline(always)]
pub(crate) unsafe fn copy(from: &TupleEvent, to: *mut TupleEvent) {
    let from: *const u64 = (&raw const *from).cast();
    let to: *mut u64 = to.cast();
    for at in 0..WORDS {
        // SAFETY: both are so many whole words, aligned as they are; the caller vouches for `to`.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
    }
}
