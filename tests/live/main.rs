//! Live capture, judged from outside: the built program between two ends of a veth pair.
//!
//! `cargo test -p flowsift --test live`. Needs root, a kernel that takes BPF, and tcpreplay;
//! where one is missing each test says SKIPPED and why, and `FLOWSIFT_REQUIRE_KERNEL=1` makes
//! that a failure. `FLOWSIFT_LONG=1` kills the program 200 times instead of 20, and
//! sends to a live query for ten minutes.
#![expect(clippy::unwrap_used, reason = "a panic is a test's failure")]

mod captures;
mod courtesy;
mod crowd;
#[path = "../support/cut.rs"]
mod cut;
mod follow;
mod full;
mod growing;
mod interfaces;
mod killed;
mod loss;
mod outputs;
mod own;
mod pace;
mod pcap;
mod program;
mod queries;
mod room;
mod seam;
mod sender;
mod tuples;
