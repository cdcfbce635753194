//! The packet sockets of all interfaces as one source, also those that come and go.

use std::io;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use agent_common::InterfaceCounters;
use agent_common::config::SLOTS;

use super::super::rings::{Drained, PacketRecord};
use super::RingSocket;

/// What happens to the sockets that are read.
pub enum Arrival {
    /// One more. Another one of the same slot is over.
    Socket(RingSocket),
    /// The interface with this slot is gone.
    Gone(u32),
}

/// What was counted of each slot since the start.
#[derive(Debug)]
pub struct SocketCounters {
    slots: Vec<Cells>,
    /// The fullest ring's share, in thousandths.
    fill: AtomicU64,
}

#[derive(Debug, Default)]
struct Cells {
    seen: AtomicU64,
    dropped: AtomicU64,
    read: AtomicU64,
    wire_bytes: AtomicU64,
    captured_bytes: AtomicU64,
    snapped: AtomicU64,
}

impl Default for SocketCounters {
    fn default() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Cells::default()).collect(),
            fill: AtomicU64::new(0),
        }
    }
}

impl SocketCounters {
    /// The counters of a slot, as the kernel program would have them; nothing is known of the
    /// bytes of packets that were dropped. `None`: there is no such slot.
    #[must_use]
    pub fn read(&self, slot: u32) -> Option<InterfaceCounters> {
        let cells = self.slots.get(slot as usize)?;
        let read = cells.read.load(Relaxed);
        Some(InterfaceCounters {
            seen: cells.seen.load(Relaxed),
            seen_bytes: cells.wire_bytes.load(Relaxed),
            tuple_emitted: read,
            packet_emitted: read,
            packet_emitted_bytes: cells.captured_bytes.load(Relaxed),
            packet_dropped: cells.dropped.load(Relaxed),
            snapped: cells.snapped.load(Relaxed),
            ..InterfaceCounters::default()
        })
    }

    /// The fullest ring's share, 0 to 1.
    #[must_use]
    pub fn fill(&self) -> f64 {
        self.fill.load(Relaxed) as f64 / 1000.0
    }
}

/// All sockets.
pub struct SocketRings {
    sockets: Vec<RingSocket>,
    arrivals: Receiver<Arrival>,
    counters: Arc<SocketCounters>,
}

impl SocketRings {
    /// None, until some arrive.
    #[must_use]
    pub const fn new(arrivals: Receiver<Arrival>, counters: Arc<SocketCounters>) -> Self {
        Self {
            sockets: Vec::new(),
            arrivals,
            counters,
        }
    }

    /// Hands over what is there, but not more than `max` packets; never waits. Packets of one
    /// interface come in their order; between interfaces there is none.
    pub fn drain(&mut self, max: usize, mut take: impl FnMut(PacketRecord<'_>)) -> Drained {
        self.arrive();
        let mut all = Drained::default();
        // So that a busy interface does not keep others waiting until their rings are full.
        let each = max / self.sockets.len().max(1) + 1;
        let mut fill = 0.0_f64;
        for socket in &mut self.sockets {
            fill = fill.max(socket.fill());
            let before = socket.read;
            let drained = socket.drain(each, &mut take);
            all.records += drained.records;
            all.malformed += drained.malformed;
            // Of those that have more, the one that is behind the most.
            if drained.more {
                all.reached_ns = match all.more {
                    true => all.reached_ns.min(drained.reached_ns),
                    false => drained.reached_ns,
                };
                all.more = true;
            }
            let Some(cells) = self.counters.slots.get(socket.slot() as usize) else {
                continue;
            };
            // After the ring was read, so that never more was read than seen.
            let counted = socket.statistics().unwrap_or_default();
            let now = socket.read;
            for (cell, by) in [
                (&cells.seen, counted.seen),
                (&cells.dropped, counted.dropped),
                (&cells.read, now.packets - before.packets),
                (&cells.wire_bytes, now.wire_bytes - before.wire_bytes),
                (
                    &cells.captured_bytes,
                    now.captured_bytes - before.captured_bytes,
                ),
                (&cells.snapped, now.snapped - before.snapped),
            ] {
                cell.fetch_add(by, Relaxed);
            }
        }
        self.sockets.retain(|socket| !socket.is_over());
        self.counters.fill.store((fill * 1000.0) as u64, Relaxed);
        all
    }

    /// Waits until there is a block to read or the time is over.
    pub fn wait(&self, timeout: Duration) -> io::Result<()> {
        let mut polls: Vec<libc::pollfd> = self
            .sockets
            .iter()
            // A stopped one has blocks that come when their time is over, and errors at once.
            .filter(|socket| !socket.is_stopped())
            .map(|socket| libc::pollfd {
                fd: socket.raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            })
            .collect();
        let time = libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(timeout.subsec_nanos().cast_signed()),
        };
        let count = polls.len() as libc::nfds_t;
        // SAFETY: as many structures as the count says; the time lives until the call returns.
        let found = unsafe { libc::ppoll(polls.as_mut_ptr(), count, &raw const time, ptr::null()) };
        if found < 0 {
            return match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
                error => Err(error),
            };
        }
        for poll in polls
            .iter()
            .filter(|poll| poll.revents & libc::POLLERR != 0)
        {
            let failed = self.sockets.iter().find(|it| it.raw_fd() == poll.fd);
            failed.into_iter().for_each(RingSocket::clear_error);
        }
        Ok(())
    }

    /// Nothing enters the rings from here on.
    pub fn stop(&mut self) {
        self.arrive();
        self.sockets.iter_mut().for_each(RingSocket::stop);
    }

    /// Whether all were stopped and read to their end.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.sockets.is_empty()
    }

    fn arrive(&mut self) {
        while let Ok(arrival) = self.arrivals.try_recv() {
            let slot = match &arrival {
                Arrival::Socket(socket) => socket.slot(),
                Arrival::Gone(slot) => *slot,
            };
            let old = self.sockets.iter_mut().filter(|it| it.slot() == slot);
            old.for_each(RingSocket::stop);
            if let Arrival::Socket(socket) = arrival {
                self.sockets.push(socket);
            }
        }
    }
}
