//! The rings of all shards as one source of records in time order.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;

use agent_common::{PacketHeader, TupleEvent};

use super::clock::monotonic_ns;
use super::ring::{Fill, Ring, RingError, wake_bytes};

/// The longest that [`PacketRings::wait`] should be asked to wait: the kernel program wakes the
/// reader only once much has come, so what trickles in is found by looking.
pub const WAIT: Duration = Duration::from_millis(10);

/// How much later than its time a record may become visible: a record younger than this stays in
/// its ring while another ring might still show an older one.
const SLACK_NS: u64 = 1_000_000;

/// What a drain found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Records handed over.
    pub records: usize,
    /// Records of a length that is not that of a record: a defect of ours.
    pub malformed: u64,
    /// Whether it stopped because it had handed over as many as were asked for.
    pub more: bool,
    /// Where there is `more`: all records up to this time were handed over, but for those that
    /// were put into their ring late.
    pub reached_ns: u64,
}

/// One packet, as it lies in the ring.
#[derive(Clone, Copy, Debug)]
pub struct PacketRecord<'a> {
    /// The interface's slot.
    pub slot: u32,
    /// `CLOCK_MONOTONIC`, in nanoseconds; [`super::Clock`] turns it into wall-clock time. Of a
    /// source that [`super::PacketSource::has_wall_time`], since 1970 UTC.
    pub time_ns: u64,
    /// Bytes that the frame had on the wire, without its check sequence.
    pub wire_len: u32,
    /// The captured bytes, at least one.
    pub data: &'a [u8],
    /// The packet's tuple, where the source knows it.
    pub tuple: Option<TupleEvent>,
}

/// The tuple rings.
pub struct TupleRings(Rings);

/// The packet rings.
pub struct PacketRings(Rings);

impl TupleRings {
    /// Opens the rings of [`super::MapFds::tuples`]; needs no capability.
    pub fn from_fds(fds: Vec<OwnedFd>) -> Result<Self, RingError> {
        Rings::open(fds).map(Self)
    }

    /// Hands over what is there, oldest first, but not more than `max` records; never waits.
    ///
    /// Records of one ring come in the order in which they were reserved; across rings they are
    /// merged by their time, and records younger than a millisecond may stay for the next call.
    pub fn drain(&mut self, max: usize, mut take: impl FnMut(&TupleEvent)) -> Drained {
        self.0.drain(max, |bytes| {
            TupleEvent::from_bytes(bytes)
                .map(|event| take(&event))
                .is_some()
        })
    }

    /// Waits until much has come or the time is over; see [`WAIT`].
    pub fn wait(&self, timeout: Duration) -> io::Result<()> {
        self.0.wait(timeout)
    }

    /// How full each ring is.
    pub fn fill(&self) -> impl Iterator<Item = Fill> {
        self.0.fill()
    }
}

impl PacketRings {
    /// Opens the rings of [`super::MapFds::packets`]; needs no capability.
    pub fn from_fds(fds: Vec<OwnedFd>) -> Result<Self, RingError> {
        Rings::open(fds).map(Self)
    }

    /// As [`TupleRings::drain`]. The bytes are the ring's own: copy what is to be kept.
    pub fn drain(&mut self, max: usize, mut take: impl FnMut(PacketRecord<'_>)) -> Drained {
        self.0.drain(max, |bytes| {
            let record = PacketHeader::from_bytes(bytes).map(|(header, data)| PacketRecord {
                slot: header.tuple.slot,
                time_ns: header.tuple.time_ns,
                wire_len: header.tuple.wire_len,
                data,
                tuple: Some(header.tuple),
            });
            record.map(&mut take).is_some()
        })
    }

    /// Waits until much has come or the time is over; see [`WAIT`].
    pub fn wait(&self, timeout: Duration) -> io::Result<()> {
        self.0.wait(timeout)
    }

    /// How full each ring is.
    pub fn fill(&self) -> impl Iterator<Item = Fill> {
        self.0.fill()
    }
}

/// Rings whose records all start with their time.
struct Rings {
    rings: Vec<Ring>,
    /// The time of each ring's oldest record, where it has one.
    heads: Vec<Option<u64>>,
    watch: OwnedFd,
}

impl Rings {
    fn open(fds: Vec<OwnedFd>) -> Result<Self, RingError> {
        let rings = fds
            .into_iter()
            .map(Ring::open)
            .collect::<Result<Vec<_>, _>>()?;
        let watch = watch(&rings).map_err(RingError::Watch)?;
        Ok(Self {
            heads: vec![None; rings.len()],
            rings,
            watch,
        })
    }

    /// `take` says whether the record was one.
    fn drain(&mut self, max: usize, mut take: impl FnMut(&[u8]) -> bool) -> Drained {
        let mut drained = Drained::default();
        // Before the rings are looked at: what is older than this was visible when they were.
        let settled_ns = monotonic_ns().saturating_sub(SLACK_NS);
        for (ring, head) in self.rings.iter_mut().zip(&mut self.heads) {
            *head = ring.peek().map(time_of);
        }
        while let Some((oldest, time_ns)) = self.oldest() {
            if drained.records == max {
                drained.more = true;
                break;
            }
            if time_ns > settled_ns && self.heads.contains(&None) {
                break;
            }
            let ring = &mut self.rings[oldest];
            if ring.peek().is_some_and(&mut take) {
                drained.records += 1;
            } else {
                drained.malformed += 1;
            }
            drained.reached_ns = time_ns;
            ring.release();
            self.heads[oldest] = ring.peek().map(time_of);
        }
        self.rings.iter_mut().for_each(Ring::publish);
        drained
    }

    /// The ring with the oldest record, and the record's time.
    fn oldest(&self) -> Option<(usize, u64)> {
        let times = self.heads.iter().enumerate();
        times
            .filter_map(|(at, head)| Some((at, (*head)?)))
            .min_by_key(|(_, time_ns)| *time_ns)
    }

    fn fill(&self) -> impl Iterator<Item = Fill> {
        self.rings.iter().map(Ring::fill)
    }

    fn wait(&self, timeout: Duration) -> io::Result<()> {
        let passed_mark =
            |fill: Fill| fill.unread_bytes as u64 >= wake_bytes(fill.size_bytes as u32);
        // A notification of what is still unread may have been used up by an earlier wait.
        if self.fill().any(passed_mark) {
            return Ok(());
        }
        let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 8];
        // SAFETY: the kernel writes at most as many events as there is room for.
        let found = unsafe {
            libc::epoll_wait(
                self.watch.as_raw_fd(),
                events.as_mut_ptr(),
                events.len() as i32,
                millis,
            )
        };
        match found {
            0.. => Ok(()),
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
                error => Err(error),
            },
        }
    }
}

/// Both kinds of record start with their time; one that is too short for it is taken at once, and
/// counted as malformed.
fn time_of(record: &[u8]) -> u64 {
    record
        .first_chunk()
        .map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

/// An edge-triggered watch: a ring is "readable" as soon as it has one record, but the kernel
/// program sends an edge only once much has come.
fn watch(rings: &[Ring]) -> io::Result<OwnedFd> {
    // SAFETY: creates a descriptor and touches no memory.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if epoll < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor.
    let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
    for ring in rings {
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | libc::EPOLLET) as u32,
            u64: 0,
        };
        // SAFETY: both descriptors are open, and the event is only read.
        let result = unsafe {
            libc::epoll_ctl(
                epoll.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                ring.fd().as_raw_fd(),
                &raw mut event,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(epoll)
}
