//! The kernel program: loaded with its rings, and told what is wanted of which interface.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent_common::TupleEvent;
use agent_common::config::{INTERFACE_ENTRIES, MAX_SHARDS, names};
use aya::maps::{Array, ArrayOfMaps, MapData, MapError};
use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfError, EbpfLoader};

use super::{cpus, ring};

/// The object that `cargo xtask ebpf` built and `cargo xtask ebpf --check` ties to its sources.
const OBJECT: &[u8] = aya::include_bytes_aligned!("../../../agent-ebpf/flowsift-xdp.o");

/// The largest ring: the largest power of two that the kernel takes as a map's size.
pub const MAX_RING_BYTES: u32 = 1 << 31;

/// Rings of each kind that are made by default, at most.
pub const MAX_RINGS: u32 = 8;

/// `BPF_MAP_TYPE_RINGBUF`.
const RING_MAP: u32 = 27;

/// How often the verifier is asked again after a signal, as libbpf does.
const LOAD_ATTEMPTS: u32 = 5;

/// Bytes that a tuple takes in its ring, with the ring's header.
const TUPLE_RING_BYTES: u64 = 8 + size_of::<TupleEvent>() as u64;

/// How the program is loaded. Sizes are rounded up to a power of two and whole pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of each tuple ring. A record takes 64.
    pub tuple_ring_bytes: u32,
    /// Bytes of each packet ring; zero for none, and then no interface can have packets wanted. A
    /// record takes 72 and its class of packet length (`agent_common::packet::CLASSES`).
    pub packet_ring_bytes: u32,
    /// Rings of each kind, rounded up to a power of two, at most 64. Packets of one CPU always go
    /// through the same ring, so more than there are CPUs help nothing.
    pub shards: u32,
}

impl Default for Settings {
    /// A ring of each kind for every CPU up to eight: 4 MiB of tuples, 16 MiB of packets each.
    fn default() -> Self {
        let cpus = u32::try_from(cpus::online()).unwrap_or(MAX_RINGS);
        Self {
            tuple_ring_bytes: 4 << 20,
            packet_ring_bytes: 16 << 20,
            shards: cpus.min(MAX_RINGS).next_power_of_two(),
        }
    }
}

/// What keeps the program from being loaded.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The process may not.
    #[error("cannot load the kernel program: the kernel does not let this process ({0})")]
    Permission(#[source] io::Error),
    /// The kernel has no BPF, or not the map or program type.
    #[error("cannot load the kernel program: kernel {kernel} has no {what} ({error})")]
    Unsupported {
        /// The kernel's version.
        kernel: String,
        /// What it lacks.
        what: &'static str,
        /// The kernel's reason.
        error: io::Error,
    },
    /// There is no memory for a ring.
    #[error("cannot create a ring of {bytes} bytes: {error}")]
    Ring {
        /// Its size.
        bytes: u32,
        /// Why not.
        error: MapError,
    },
    /// The verifier refuses the program: a defect of ours, or a kernel before 5.18.
    #[error("kernel {kernel} refuses the kernel program ({error})\n{log}")]
    Refused {
        /// The kernel's version.
        kernel: String,
        /// The kernel's reason.
        error: io::Error,
        /// The end of the verifier's log.
        log: String,
    },
    /// The object in this program is not as it should be.
    #[error("cannot use the kernel program: {0}")]
    Object(#[from] EbpfError),
    /// A map cannot be used.
    #[error("cannot use the kernel program's map {name}: {error}")]
    Map {
        /// Its name.
        name: &'static str,
        /// Why not.
        error: MapError,
    },
    /// The kernel side cannot say what it goes by.
    #[error("cannot read what the kernel program says of itself: {0}")]
    Facts(#[source] io::Error),
    /// A descriptor cannot be copied.
    #[error("cannot copy a map's descriptor: {0}")]
    Descriptor(#[source] io::Error),
}

impl ProgramError {
    /// What to do about it, where that is known.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Permission(_) => Some(
                "run as root, or with the capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; \
                 inside a container they must be granted from outside",
            ),
            Self::Unsupported { .. } | Self::Refused { .. } => {
                Some("the kernel program needs Linux 5.18 or later")
            }
            Self::Ring { .. } => Some("smaller or fewer rings need less memory"),
            _ => None,
        }
    }
}

/// Descriptors of the maps that are read; whoever has them needs no capability to do so.
#[derive(Debug)]
pub struct MapFds {
    /// For [`super::TupleRings::from_fds`].
    pub tuples: Vec<OwnedFd>,
    /// For [`super::PacketRings::from_fds`]; empty if there are no packet rings.
    pub packets: Vec<OwnedFd>,
    /// For [`super::Counters::from_fd`].
    pub counters: OwnedFd,
}

/// The loaded program. Attachments do not keep it: when it is dropped they go on, but their
/// rings have no new readers.
pub struct Program {
    pub(super) ebpf: Ebpf,
    tuples: Vec<MapData>,
    packets: Vec<MapData>,
    pub(super) interfaces: Interfaces,
}

/// The configurations in the kernel, shared with the attachments, which remove theirs.
#[derive(Clone)]
pub(super) struct Interfaces(Arc<Mutex<Configured>>);

pub(super) struct Configured {
    map: Array<MapData, Value>,
    /// Interface index to slot.
    pub(super) slots: BTreeMap<u32, u32>,
}

/// An interface's configuration as the map has it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Value(pub(super) agent_common::InterfaceConfig);

// SAFETY: four numbers without padding (asserted where it is declared), and any bits are valid.
unsafe impl aya::Pod for Value {}

impl Value {
    /// The entry of no interface, by whose slot nothing is wanted.
    pub(super) fn unwanted(slot: u32) -> Self {
        Self(agent_common::InterfaceConfig {
            slot,
            ..agent_common::InterfaceConfig::default()
        })
    }
}

impl Configured {
    /// Writes the entry of an interface, by its index.
    pub(super) fn set(&mut self, index: u32, value: Value) -> Result<(), MapError> {
        self.map.set(index % INTERFACE_ENTRIES, value, 0)
    }
}

impl Interfaces {
    pub(super) fn lock(&self) -> MutexGuard<'_, Configured> {
        // Nothing panics while it is held, and each entry stands for itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Program {
    /// Loads the program and makes its rings. It does nothing until it is attached.
    pub fn load(settings: &Settings) -> Result<Self, ProgramError> {
        let shards = settings.shards.clamp(1, MAX_SHARDS).next_power_of_two();
        let tuple_bytes = ring::size_bytes(settings.tuple_ring_bytes);
        let packet_bytes = ring::size_bytes(settings.packet_ring_bytes);
        let (mask, tuple_wake, packet_wake) = (
            shards - 1,
            ring::wake_bytes(tuple_bytes) / TUPLE_RING_BYTES,
            ring::wake_bytes(packet_bytes),
        );
        let mut ebpf = EbpfLoader::new()
            .override_global(names::SHARD_MASK, &mask, true)
            .override_global(names::TUPLE_WAKE_RECORDS, &tuple_wake, true)
            .override_global(names::PACKET_WAKE_BYTES, &packet_wake, true)
            .load(OBJECT)
            .map_err(explain)?;
        let packet_shards = if settings.packet_ring_bytes == 0 {
            0
        } else {
            shards
        };
        let tuples = make_rings(&mut ebpf, names::TUPLE_RINGS, tuple_bytes, shards)?;
        let packets = make_rings(&mut ebpf, names::PACKET_RINGS, packet_bytes, packet_shards)?;
        let interfaces = Array::try_from(take(&mut ebpf, names::INTERFACES)?);
        let map = interfaces.map_err(|error| ProgramError::Map {
            name: names::INTERFACES,
            error,
        })?;
        let slots = BTreeMap::new();
        let mut program = Self {
            ebpf,
            tuples,
            packets,
            interfaces: Interfaces(Arc::new(Mutex::new(Configured { map, slots }))),
        };
        let xdp = program.xdp()?;
        verified(|| xdp.load())?;
        Ok(program)
    }

    /// The maps to read from. They live for as long as the program or a descriptor does.
    pub fn map_fds(&self) -> Result<MapFds, ProgramError> {
        let copies = |maps: &[MapData]| maps.iter().map(copy_fd).collect::<Result<_, _>>();
        let counters = self.ebpf.map(names::COUNTERS);
        let Some(aya::maps::Map::PerCpuArray(counters)) = counters else {
            return Err(missing(names::COUNTERS));
        };
        Ok(MapFds {
            tuples: copies(&self.tuples)?,
            packets: copies(&self.packets)?,
            counters: copy_fd(counters)?,
        })
    }

    /// Whether there are packet rings.
    #[must_use]
    pub fn has_packet_rings(&self) -> bool {
        !self.packets.is_empty()
    }

    /// Runs the program `repeat` times over a frame that no interface received: it counts as one
    /// of interface 1, the loopback interface. Gives the verdict and the time per run.
    ///
    /// # Errors
    ///
    /// Frames of less than 14 bytes, or more than the kernel's buffers hold; `Interrupted` where a
    /// signal came before the last of several runs.
    pub fn test_run(&mut self, frame: &[u8], repeat: u32) -> io::Result<(u32, Duration)> {
        self.run_test(TestRunOptions {
            data_in: Some(frame),
            repeat,
            ..TestRunOptions::new()
        })
    }

    /// As [`Program::test_run`], once, over a frame of which no more than `first` bytes lie in its
    /// first buffer; the verdict.
    ///
    /// # Errors
    ///
    /// `InvalidInput` also where the kernel cannot do that yet.
    pub fn test_run_scattered(&mut self, frame: &[u8], first: u32) -> io::Result<u32> {
        // `struct xdp_md`: where the data begin and end, and four numbers of no matter here.
        let mut context = [0; 24];
        context[4..8].copy_from_slice(&first.to_ne_bytes());
        let result = self.run_test(TestRunOptions {
            data_in: Some(frame),
            ctx_in: Some(&context),
            ..TestRunOptions::new()
        });
        result.map(|(verdict, _)| verdict)
    }

    fn run_test(&mut self, options: TestRunOptions<'_>) -> io::Result<(u32, Duration)> {
        let xdp = self.xdp().map_err(io::Error::other)?;
        match xdp.test_run(options) {
            Ok(result) => Ok((result.return_value, result.duration)),
            Err(aya::programs::ProgramError::SyscallError(error)) => Err(error.io_error),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    pub(super) fn xdp(&mut self) -> Result<&mut Xdp, ProgramError> {
        let program = self
            .ebpf
            .program_mut(names::PROGRAM)
            .ok_or_else(|| missing(names::PROGRAM))?;
        program
            .try_into()
            .map_err(|error| ProgramError::Object(EbpfError::ProgramError(error)))
    }
}

/// Hands a program to the verifier, which gives up where the process has a signal waiting.
pub(super) fn verified(
    mut load: impl FnMut() -> Result<(), aya::programs::ProgramError>,
) -> Result<(), ProgramError> {
    let mut attempts = 0;
    loop {
        let Err(error) = load() else {
            return Ok(());
        };
        attempts += 1;
        let again = matches!(
            &error,
            aya::programs::ProgramError::LoadError { io_error, .. }
                if matches!(io_error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR))
        );
        if !again || attempts == LOAD_ATTEMPTS {
            return Err(explain(EbpfError::ProgramError(error)));
        }
    }
}

/// Makes the rings of one kind and tells the program of them.
fn make_rings(
    ebpf: &mut Ebpf,
    name: &'static str,
    bytes: u32,
    shards: u32,
) -> Result<Vec<MapData>, ProgramError> {
    let wrong = |error| ProgramError::Map { name, error };
    let map = ebpf.map_mut(name).ok_or_else(|| missing(name))?;
    let mut outer: ArrayOfMaps<&mut MapData> = map.try_into().map_err(wrong)?;
    (0..shards)
        .map(|shard| {
            let object = aya_obj::Map::new_from_params(RING_MAP, 0, 0, bytes, 0);
            let ring = MapData::create(object, &format!("flowsift_{shard}"), None)
                .map_err(|error| ProgramError::Ring { bytes, error })?;
            outer.set(shard, &ring, 0).map_err(wrong)?;
            Ok(ring)
        })
        .collect()
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<aya::maps::Map, ProgramError> {
    ebpf.take_map(name).ok_or_else(|| missing(name))
}

/// A name that the object does not have: it and we are not of one build.
pub(super) fn missing(name: &'static str) -> ProgramError {
    ProgramError::Object(EbpfError::MapError(MapError::InvalidName {
        name: name.to_owned(),
    }))
}

fn copy_fd(map: &MapData) -> Result<OwnedFd, ProgramError> {
    map.fd()
        .as_fd()
        .try_clone_to_owned()
        .map_err(ProgramError::Descriptor)
}

/// Sorts the library's errors by their cause.
fn explain(error: EbpfError) -> ProgramError {
    match error {
        EbpfError::MapError(MapError::CreateError { name, io_error }) => {
            explain_syscall(io_error, |error| {
                ProgramError::Object(EbpfError::MapError(MapError::CreateError {
                    name,
                    io_error: error,
                }))
            })
        }
        EbpfError::ProgramError(aya::programs::ProgramError::LoadError {
            io_error,
            verifier_log,
        }) => explain_syscall(io_error, |error| ProgramError::Refused {
            kernel: kernel_version(),
            error,
            log: last_lines(&verifier_log.to_string(), 20),
        }),
        error => ProgramError::Object(error),
    }
}

fn explain_syscall(
    error: io::Error,
    otherwise: impl FnOnce(io::Error) -> ProgramError,
) -> ProgramError {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) if !is_privileged() => ProgramError::Permission(error),
        Some(libc::EPERM) => ProgramError::Permission(error),
        Some(libc::ENOSYS) => ProgramError::Unsupported {
            kernel: kernel_version(),
            what: "BPF",
            error,
        },
        _ => otherwise(error),
    }
}

/// The verifier says EACCES too, but only to those who may load programs.
fn is_privileged() -> bool {
    // SAFETY: has no arguments and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

pub(super) fn kernel_version() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(
        |_| "of unknown version".to_owned(),
        |text| text.trim().to_owned(),
    )
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    let from = lines.len().saturating_sub(count);
    lines.get(from..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_apart() {
        let created = |code| {
            explain(EbpfError::MapError(MapError::CreateError {
                name: "X".into(),
                io_error: io::Error::from_raw_os_error(code),
            }))
        };
        assert!(matches!(created(libc::EPERM), ProgramError::Permission(_)));
        assert!(matches!(
            created(libc::ENOSYS),
            ProgramError::Unsupported { what: "BPF", .. }
        ));
        assert!(matches!(created(libc::ENOMEM), ProgramError::Object(_)));
        assert!(created(libc::EPERM).hint().unwrap().contains("CAP_BPF"));
    }

    #[test]
    fn the_end_of_a_log_is_kept() {
        assert_eq!(last_lines("a\nb\nc", 2), "b\nc");
        assert_eq!(last_lines("a", 2), "a");
    }
}
