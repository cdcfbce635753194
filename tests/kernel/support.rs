//! Loads the program and opens what it writes, or says why it cannot.

use std::io::{self, Write as _};

use agent_common::{InterfaceCounters, TupleEvent};
use flowsift::capture::{
    Counters, Interface, InterfaceConfig, PacketRings, Program, ProgramError, Settings, TupleRings,
};

/// XDP_PASS of `enum xdp_action`.
pub(crate) const PASS: u32 = 2;

/// What is wanted in most tests: everything, in slot 5, which is not what a forgotten slot is.
pub(crate) const ALL: InterfaceConfig = InterfaceConfig {
    slot: 5,
    snaplen: 0,
    packets: true,
    tuples: true,
    joined: false,
};

/// One ring of each kind, large enough for all that a test writes before it reads.
pub(crate) const ROOMY: Settings = Settings {
    tuple_ring_bytes: 1 << 20,
    packet_ring_bytes: 4 << 20,
    shards: 1,
};

/// The program, loaded into the kernel, and its maps.
pub(crate) struct Kernel {
    pub(crate) program: Program,
    pub(crate) tuples: TupleRings,
    pub(crate) packets: PacketRings,
    pub(crate) counters: Counters,
}

/// A packet record, copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) slot: u32,
    pub(crate) time_ns: u64,
    pub(crate) wire_len: u32,
    pub(crate) data: Vec<u8>,
    pub(crate) tuple: TupleEvent,
}

impl Kernel {
    /// The loaded program; `None`, after saying why, where this machine does not let us.
    pub(crate) fn load(settings: Settings) -> Option<Self> {
        let program = match Program::load(&settings) {
            Ok(program) => program,
            Err(error @ (ProgramError::Permission(_) | ProgramError::Unsupported { .. })) => {
                skip(&error.to_string());
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let fds = program.map_fds().unwrap();
        Some(Self {
            program,
            tuples: TupleRings::from_fds(fds.tuples).unwrap(),
            packets: PacketRings::from_fds(fds.packets).unwrap(),
            counters: Counters::from_fd(fds.counters).unwrap(),
        })
    }

    /// As [`Kernel::load`], and configured for [`Kernel::run`].
    pub(crate) fn configured(settings: Settings, config: InterfaceConfig) -> Option<Self> {
        let kernel = Self::load(settings)?;
        kernel.program.configure(&loopback(), config).unwrap();
        Some(kernel)
    }

    /// Runs the program over one frame, `repeat` times: one by one, because a signal may end a
    /// call that has several left.
    pub(crate) fn run(&mut self, frame: &[u8], repeat: u32) -> io::Result<()> {
        for _ in 0..repeat {
            let (verdict, _) = self.program.test_run(frame, 1)?;
            assert_eq!(verdict, PASS);
        }
        Ok(())
    }

    /// All tuples that the rings hold now.
    pub(crate) fn drain(&mut self) -> Vec<TupleEvent> {
        let mut events = Vec::new();
        let drained = self.tuples.drain(usize::MAX, |event| events.push(*event));
        assert_eq!((drained.malformed, drained.more), (0, false));
        events
    }

    /// All packets that the rings hold now.
    pub(crate) fn drain_packets(&mut self) -> Vec<Packet> {
        let mut packets = Vec::new();
        let drained = self.packets.drain(usize::MAX, |record| {
            packets.push(Packet {
                slot: record.slot,
                time_ns: record.time_ns,
                wire_len: record.wire_len,
                data: record.data.to_vec(),
                tuple: record.tuple.unwrap(),
            });
        });
        assert_eq!((drained.malformed, drained.more), (0, false));
        packets
    }

    /// The counters of a slot, after a check that they add up.
    pub(crate) fn counters(&self, slot: u32) -> InterfaceCounters {
        self.counters.read(slot).unwrap()
    }

    /// Packets of interfaces without configuration.
    pub(crate) fn unconfigured(&self) -> u64 {
        self.counters.unconfigured().unwrap()
    }
}

/// The interface that the kernel says test runs come from.
pub(crate) fn loopback() -> Interface {
    let listed = flowsift::capture::list().unwrap();
    listed.into_iter().find(|it| it.index == 1).unwrap()
}

/// Says why a test does nothing, or fails it where the kernel must be usable.
pub(crate) fn skip(reason: &str) {
    let required = std::env::var_os("FLOWSIFT_REQUIRE_KERNEL").is_some_and(|value| value == "1");
    assert!(!required, "FLOWSIFT_REQUIRE_KERNEL=1, but {reason}");
    say_skipped(reason);
}

/// Says why a test does nothing, past the test harness's capture of its output.
pub(crate) fn say_skipped(reason: &str) {
    say(&format!("SKIPPED {}: {reason}", test_name()));
}

/// Reports past the test harness's capture of its output.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The test that this thread runs.
pub(crate) fn test_name() -> String {
    std::thread::current()
        .name()
        .unwrap_or("a kernel test")
        .to_owned()
}
