//! What the worker reads, opened: the kernel program's maps, or sockets as they come.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc;

use super::WorkerError;
use crate::capture::split::PassedFd;
use crate::capture::{
    Arrival, Counters, Feed, PacketRings, PacketSource, RingShape, RingSocket, SocketCounters,
    SocketRings, SourceCounters, TupleRings,
};

/// To look at how full the rings are.
pub(super) enum PacketFills {
    /// The packet rings a second time.
    Xdp(Option<PacketRings>),
    /// The tuple rings a second time, where there are no others.
    Tuples(TupleRings),
    Sockets(Arc<SocketCounters>),
}

/// The way of sockets to the thread that reads them.
pub(super) struct SocketFeed(Option<Sockets>);

struct Sockets {
    shape: RingShape,
    snaplen: u32,
    arrivals: mpsc::Sender<Arrival>,
}

/// What is read, by the thread of each kind of record, and beside them.
pub(super) struct Opened {
    pub(super) packets: Option<PacketSource>,
    pub(super) tuples: Option<TupleRings>,
    pub(super) counters: SourceCounters,
    pub(super) fills: PacketFills,
    pub(super) sockets: SocketFeed,
}

impl Opened {
    pub(super) fn open(feed: Feed) -> Result<Self, WorkerError> {
        let fds = match feed {
            Feed::Sockets { shape, snaplen } => return Ok(Self::sockets(shape, snaplen)),
            Feed::Xdp(fds) => fds,
        };
        let copies = |fds: &[OwnedFd]| {
            let copies = fds.iter().map(OwnedFd::try_clone);
            copies.collect::<Result<Vec<_>, _>>()
        };
        let fills = match fds.packets.is_empty() {
            true => {
                let copies = copies(&fds.tuples).map_err(WorkerError::Copy)?;
                PacketFills::Tuples(TupleRings::from_fds(copies)?)
            }
            false => {
                let rings = copies(&fds.packets).ok().map(PacketRings::from_fds);
                PacketFills::Xdp(rings.transpose()?)
            }
        };
        let packets = (!fds.packets.is_empty()).then(|| PacketRings::from_fds(fds.packets));
        Ok(Self {
            packets: packets.transpose()?.map(PacketSource::Xdp),
            tuples: Some(TupleRings::from_fds(fds.tuples)?),
            counters: SourceCounters::Xdp(Counters::from_fd(fds.counters)?),
            fills,
            sockets: SocketFeed(None),
        })
    }

    fn sockets(shape: RingShape, snaplen: u32) -> Self {
        let counters = Arc::<SocketCounters>::default();
        let (arrivals, arriving) = mpsc::channel();
        let rings = SocketRings::new(arriving, Arc::clone(&counters));
        Self {
            packets: Some(PacketSource::Sockets(rings)),
            tuples: None,
            counters: SourceCounters::Sockets(Arc::clone(&counters)),
            fills: PacketFills::Sockets(counters),
            sockets: SocketFeed(Some(Sockets {
                shape,
                snaplen,
                arrivals,
            })),
        }
    }
}

impl PacketFills {
    pub(super) fn fullest(&self) -> f64 {
        match self {
            Self::Xdp(rings) => {
                let fills = rings.iter().flat_map(PacketRings::fill);
                fills.map(|fill| fill.share()).fold(0.0, f64::max)
            }
            Self::Tuples(rings) => rings.fill().map(|fill| fill.share()).fold(0.0, f64::max),
            Self::Sockets(counters) => counters.fill(),
        }
    }
}

impl SocketFeed {
    pub(super) const fn is_used(&self) -> bool {
        self.0.is_some()
    }

    /// Has the socket of a slot's interface read.
    pub(super) fn add(&self, slot: u32, socket: PassedFd) -> Result<(), String> {
        let Some(sockets) = &self.0 else {
            return Err("a socket came that was not asked for".to_owned());
        };
        let fd = socket.into_fd().map_err(|error| error.to_string())?;
        let mapped = RingSocket::map(slot, fd, sockets.shape, sockets.snaplen);
        let mapped = mapped.map_err(|error| error.to_string())?;
        let sent = sockets.arrivals.send(Arrival::Socket(mapped));
        sent.map_err(|_| "the thread that reads packets is gone".to_owned())
    }

    /// Has it read to its end, and let go.
    pub(super) fn gone(&self, slot: u32) {
        if let Some(sockets) = &self.0 {
            // A thread that is gone reads nothing.
            let _ = sockets.arrivals.send(Arrival::Gone(slot));
        }
    }
}
