//! Loads the committed object, reads its ring and its counters, or says why it cannot.

use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;

use agent_common::{Counter, TupleEvent};
use aya::maps::{PerCpuArray, RingBuf};
use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};

/// The object as it is committed, which `cargo xtask ebpf --check` ties to its sources.
const OBJECT: &[u8] = aya::include_bytes_aligned!("../../agent-ebpf/flowsift-xdp.o");

const EPERM: i32 = 1;
const ENOSYS: i32 = 38;

const PROGRAM: &str = "flowsift_tuples";

/// The program, loaded into the kernel, and its maps.
pub(crate) struct Kernel {
    pub(crate) ebpf: Ebpf,
    ring: RingBuf<aya::maps::MapData>,
    counters: PerCpuArray<aya::maps::MapData, u64>,
}

impl Kernel {
    /// The loaded program; `None`, after saying why, where this machine does not let us.
    pub(crate) fn load(ring_bytes: u32) -> Option<Self> {
        if let Some(reason) = obstacle() {
            skip(&reason);
            return None;
        }
        let mut ebpf = EbpfLoader::new()
            .map_max_entries("TUPLES", ring_bytes)
            .load(OBJECT)
            .unwrap_or_else(|error| panic!("the object does not load: {error:?}"));
        let ring = RingBuf::try_from(ebpf.take_map("TUPLES").unwrap()).unwrap();
        let counters = PerCpuArray::try_from(ebpf.take_map("COUNTERS").unwrap()).unwrap();
        let mut kernel = Self {
            ebpf,
            ring,
            counters,
        };
        if let Err(error) = kernel.program().load() {
            panic!("the verifier refuses the program: {error:?}");
        }
        Some(kernel)
    }

    pub(crate) fn program(&mut self) -> &mut Xdp {
        self.ebpf.program_mut(PROGRAM).unwrap().try_into().unwrap()
    }

    /// Runs the program over one frame, `repeat` times, and gives its verdict.
    pub(crate) fn run(&mut self, frame: &[u8], repeat: u32) -> io::Result<u32> {
        let options = TestRunOptions {
            data_in: Some(frame),
            repeat,
            ..TestRunOptions::new()
        };
        match self.program().test_run(options) {
            Ok(result) => Ok(result.return_value),
            Err(aya::programs::ProgramError::SyscallError(error)) => Err(error.io_error),
            Err(error) => panic!("test run: {error:?}"),
        }
    }

    /// All records that the ring holds now.
    pub(crate) fn drain(&mut self) -> Vec<TupleEvent> {
        let mut events = Vec::new();
        while let Some(record) = self.ring.next() {
            events.push(TupleEvent::from_bytes(&record).expect("a record is one tuple event"));
        }
        events
    }

    /// The counter's sum over all CPUs.
    pub(crate) fn count(&self, counter: Counter) -> u64 {
        self.counters.get(&counter.index(), 0).unwrap().iter().sum()
    }
}

/// What keeps this process from loading a program, if anything.
fn obstacle() -> Option<String> {
    let uid = std::fs::metadata("/proc/self").map_or(u32::MAX, |process| process.uid());
    if uid != 0 {
        return Some(format!("not root (uid {uid})"));
    }
    // EPERM: no CAP_BPF, as in a container. ENOSYS: a kernel without BPF.
    match EbpfLoader::new().load(OBJECT) {
        Err(aya::EbpfError::MapError(aya::maps::MapError::CreateError { io_error, .. }))
            if io_error
                .raw_os_error()
                .is_some_and(|code| matches!(code, EPERM | ENOSYS)) =>
        {
            Some(format!(
                "the kernel lets this process create no BPF map: {io_error}"
            ))
        }
        _ => None,
    }
}

/// Says why a test does nothing, or fails it where the kernel must be usable.
pub(crate) fn skip(reason: &str) {
    let required = std::env::var_os("FLOWSIFT_REQUIRE_KERNEL").is_some_and(|value| value == "1");
    assert!(!required, "FLOWSIFT_REQUIRE_KERNEL=1, but {reason}");
    say_skipped(reason);
}

/// Says why a test does nothing, past the test harness's capture of its output.
pub(crate) fn say_skipped(reason: &str) {
    let test = std::thread::current()
        .name()
        .unwrap_or("a kernel test")
        .to_owned();
    let _ = writeln!(io::stderr(), "SKIPPED {test}: {reason}");
}
