//! Tests of the kernel program on the running kernel: they need root and BPF.
//!
//! `cargo test -p flowsift --no-default-features --features capture --test kernel`. Where
//! the kernel cannot be used, each test says SKIPPED and why; `FLOWSIFT_REQUIRE_KERNEL=1`
//! makes that a failure.
#![expect(clippy::unwrap_used, reason = "a panic is a test's failure")]

mod attach;
mod captures;
mod churn;
mod clock;
mod confined;
mod counters;
mod daemon;
mod decoded;
mod egress;
mod filter;
mod frames;
mod namespace;
mod pressure;
mod process;
mod program;
mod rate;
mod refused;
mod replay;
mod scattered;
mod self_test;
mod served;
mod service;
mod sockets;
mod support;
mod watch;
mod wire;
