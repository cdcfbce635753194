//! A bound that the verifier sees, in the very register that is then used.

use core::arch::asm;

/// `value` if it is in `1..=MAX`, else the nearest bound.
///
/// In assembly, because LLVM compares a copy of a length and hands the other to the helper, whose
/// bounds the verifier then does not know; and by `>`, because 6.1 learns nothing from `!= 0`.
#[inline(always)]
pub(crate) fn clamp<const MAX: usize>(value: u64) -> u64 {
    let mut bounded = value;
    // SAFETY: both jumps stay in the block, which touches nothing but its one register.
    unsafe {
        asm!(
            "if {value} > 0 goto +1",
            "{value} = 1",
            "if {value} < {end} goto +1",
            "{value} = {max}",
            value = inout(reg) bounded,
            end = const MAX + 1,
            max = const MAX,
            options(pure, nomem, nostack),
        );
    }
    bounded
}

/// `value` if it is at most `MAX`, else zero; see [`clamp`].
#[inline(always)]
pub(crate) fn up_to<const MAX: usize>(value: usize) -> usize {
    let mut bounded = value;
    // SAFETY: as in `clamp`.
    unsafe {
        asm!(
            "if {value} < {end} goto +1",
            "{value} = 0",
            value = inout(reg) bounded,
            end = const MAX + 1,
            options(pure, nomem, nostack),
        );
    }
    bounded
}

/// `value - SUB`, at least one; where `value` is at most some bound, the verifier knows that this
/// is at most so much less. See [`clamp`].
#[inline(always)]
pub(crate) fn less<const SUB: usize>(value: u64) -> u64 {
    let mut rest = value;
    // SAFETY: as in `clamp`.
    unsafe {
        asm!(
            "if {value} > {sub} goto +1",
            "{value} = {next}",
            "{value} -= {sub}",
            value = inout(reg) rest,
            sub = const SUB,
            next = const SUB + 1,
            options(pure, nomem, nostack),
        );
    }
    rest
}
