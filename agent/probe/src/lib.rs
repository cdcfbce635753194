//! What capture is measured with: a network of a thread's own, and a sender faster than a card.
//!
//! The self-test, the benchmark and tests send with the same program, so that their figures can
//! be compared. All of it needs root; nothing of it outlives the threads that use it.

mod bpf;
mod netlink;
mod network;
mod pace;

pub use bpf::{Program, frame};
pub use network::{Pair, enter};
pub use pace::{Rate, Sent, send};
