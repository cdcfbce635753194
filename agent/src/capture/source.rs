//! Where packets come from: the kernel program's rings, or packet sockets. What stands behind
//! gets the same records and counters of either.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use agent_common::InterfaceCounters;

use super::attach::Attachment;
use super::config::{InterfaceConfig, Mode, Note};
use super::counters::{Counters, CountersError};
use super::interfaces::Interface;
use super::program::{MapFds, Program};
use super::refusal::AttachError;
use super::rings::{Drained, PacketRecord, PacketRings};
use super::socket::{HELD_BACK, RingShape, SocketCounters, SocketRings, SocketSource};

/// The privileged side.
pub enum Source {
    /// The kernel program.
    Xdp(Box<Program>),
    /// Packet sockets.
    Sockets(SocketSource),
}

/// An interface from which packets come, until it is dropped; from a socket, as long as anybody
/// has it.
pub enum Attached {
    /// The kernel program is on it.
    Xdp(Attachment),
    /// It has a socket, which is its reader's.
    Socket,
}

/// What attaching gave.
pub struct AttachedTo {
    /// To be kept.
    pub attached: Attached,
    /// How packets come.
    pub mode: Mode,
    /// What the user should be told.
    pub notes: Vec<Note>,
    /// What the reader needs of this interface.
    pub socket: Option<OwnedFd>,
}

impl From<Program> for Source {
    fn from(program: Program) -> Self {
        Self::Xdp(Box::new(program))
    }
}

impl From<SocketSource> for Source {
    fn from(sockets: SocketSource) -> Self {
        Self::Sockets(sockets)
    }
}

impl Source {
    /// Has packets come from an interface; with `egress`, by the kernel program, also those that
    /// are sent.
    ///
    /// # Errors
    /// If that is not possible there.
    pub fn attach(
        &mut self,
        interface: &Interface,
        config: InterfaceConfig,
        mode: Mode,
        egress: bool,
    ) -> Result<AttachedTo, AttachError> {
        match self {
            Self::Xdp(program) => {
                let mut attachment = program.attach(interface, config, mode)?;
                if egress {
                    program.attach_egress(&mut attachment)?;
                }
                Ok(AttachedTo {
                    mode: attachment.mode(),
                    notes: attachment.notes().to_vec(),
                    attached: Attached::Xdp(attachment),
                    socket: None,
                })
            }
            Self::Sockets(sockets) => Ok(AttachedTo {
                socket: Some(sockets.open(interface, config)?),
                attached: Attached::Socket,
                mode: Mode::PacketSocket,
                notes: vec![Note::Socket],
            }),
        }
    }
}

/// What the reader is given at its start.
pub enum Feed {
    /// The kernel program's maps.
    Xdp(MapFds),
    /// Sockets come with news of their interfaces; they are like this.
    Sockets {
        /// Their rings.
        shape: RingShape,
        /// Bytes kept of a packet.
        snaplen: u32,
    },
}

impl From<MapFds> for Feed {
    fn from(fds: MapFds) -> Self {
        Self::Xdp(fds)
    }
}

/// The reader's side: packets.
pub enum PacketSource {
    /// Of the kernel program's rings.
    Xdp(PacketRings),
    /// Of sockets.
    Sockets(SocketRings),
}

impl PacketSource {
    /// Hands over what is there, but not more than about `max` packets; never waits.
    pub fn drain(&mut self, max: usize, take: impl FnMut(PacketRecord<'_>)) -> Drained {
        match self {
            Self::Xdp(rings) => rings.drain(max, take),
            Self::Sockets(sockets) => sockets.drain(max, take),
        }
    }

    /// Waits until much has come or the time is over; see [`super::WAIT`].
    ///
    /// # Errors
    /// If the kernel does not let wait.
    pub fn wait(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Xdp(rings) => rings.wait(timeout),
            Self::Sockets(sockets) => sockets.wait(timeout),
        }
    }

    /// Whether times of its records are wall-clock time already, not monotonic.
    #[must_use]
    pub const fn has_wall_time(&self) -> bool {
        matches!(self, Self::Sockets(_))
    }

    /// How long a packet may lie where it cannot be read yet.
    #[must_use]
    pub const fn held_back(&self) -> Duration {
        match self {
            Self::Xdp(_) => Duration::ZERO,
            Self::Sockets(_) => HELD_BACK,
        }
    }

    /// No more is wanted. The kernel program is taken off by who attached it; sockets are their
    /// reader's.
    pub fn stop(&mut self) {
        if let Self::Sockets(sockets) = self {
            sockets.stop();
        }
    }

    /// Whether nothing is left to read, once it is stopped.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self {
            Self::Xdp(rings) => rings.fill().all(|fill| fill.unread_bytes == 0),
            Self::Sockets(sockets) => sockets.is_over(),
        }
    }
}

/// The reader's side: what the kernel counted.
pub enum SourceCounters {
    /// The kernel program.
    Xdp(Counters),
    /// Sockets.
    Sockets(Arc<SocketCounters>),
}

impl SourceCounters {
    /// The counters of an interface, by its slot.
    ///
    /// # Errors
    /// If there is no such slot, or the kernel does not give them.
    pub fn read(&self, slot: u32) -> Result<InterfaceCounters, CountersError> {
        match self {
            Self::Xdp(counters) => counters.read(slot),
            Self::Sockets(counters) => counters
                .read(slot)
                .ok_or(CountersError::NoSuchSlot { slot }),
        }
    }

    /// Packets of interfaces that were not configured, which sockets do not have.
    ///
    /// # Errors
    /// If the kernel does not give them.
    pub fn unconfigured(&self) -> Result<u64, CountersError> {
        match self {
            Self::Xdp(counters) => counters.unconfigured(),
            Self::Sockets(_) => Ok(0),
        }
    }
}
