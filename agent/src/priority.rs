//! The scheduling priority of a thread.

/// Adds to the calling thread's nice value; threads that it starts inherit it. Failure leaves the
/// priority as it was, which costs time only.
pub(crate) fn lower(nice: i32) {
    // SAFETY: takes numbers; `0` is the calling thread (Linux: nice values are per thread).
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, nice);
    }
}
