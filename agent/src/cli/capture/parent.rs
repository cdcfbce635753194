//! The privileged part: loads the kernel program, keeps it attached, starts the worker and ends
//! with it. It touches no packet and no file.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::super::args::{AttachMode, CaptureArgs};
use super::super::error::Error;
use super::{Signals, WHOLE_PACKET, filter, snaplen, user, worker};
use crate::capture::guard;
use crate::capture::split::{self, Message, ParentEnd, Received, SplitError};
use crate::capture::{MapFds, Mode, Program, Settings as RingSettings};
use crate::record::{Attacher, Change, Wanted, What};

/// The tag of packets whose interface was given without one.
const DEFAULT_TAG: &str = "pcap";

/// How long a signal or the worker may wait for an answer.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Attaches, and captures until the worker ends; its exit code.
pub(super) fn run(args: &CaptureArgs) -> Result<u8, Error> {
    worker::check(args)?;
    filter(args)?;
    user(args)?;
    let signals = Signals::register()?;
    let mut program = Program::load(&ring_settings(args))?;
    if args.egress {
        program.load_egress()?;
    }
    let fds = program.map_fds()?;
    let wanted = args.interface.iter().map(|text| wanted(text)).collect();
    // Before the worker, so that nothing is made or overwritten where it cannot start.
    let (attacher, changes) = Attacher::start(program, wanted, what(args))?;
    let worker = spawn(&fds)?;
    drop(fds);
    guard::keep_attaching()?;
    let mut parent = Parent {
        attacher,
        worker,
        signals,
        stopping: false,
        detached: false,
    };
    // A worker that is gone, or speaks no sense, is over: its end says what there is to say.
    let _ = parent.send(changes).and_then(|()| parent.serve());
    parent.attacher.detach();
    exit_code(parent.worker.finish()?)
}

struct Parent {
    attacher: Attacher,
    worker: ParentEnd,
    signals: Signals,
    /// The worker was told to stop.
    stopping: bool,
    detached: bool,
}

impl Parent {
    /// Follows interfaces, signals and the worker until the latter is done or gone.
    fn serve(&mut self) -> Result<(), SplitError> {
        loop {
            if self.listen()? {
                return Ok(());
            }
            if self.signals.stop.load(Relaxed) && !self.stopping {
                self.stopping = true;
                self.worker.send(&Message::Stop)?;
            }
            if self.signals.report.swap(false, Relaxed) {
                self.worker.send(&Message::Statistics)?;
            }
            if self.detached {
                continue;
            }
            let changes = match self.attacher.poll(LOOK_INTERVAL) {
                Ok(changes) => changes,
                Err(error) => {
                    std::thread::sleep(LOOK_INTERVAL);
                    vec![Change::Note(error.to_string())]
                }
            };
            self.send(changes)?;
        }
    }

    /// Does what the worker asks; whether it is at its end.
    fn listen(&mut self) -> Result<bool, SplitError> {
        loop {
            // Once nothing is attached, there is nothing else to wait for.
            let timeout = if self.detached {
                LOOK_INTERVAL
            } else {
                Duration::ZERO
            };
            match self.worker.receive(timeout)? {
                Received::Message(Message::Detach) => {
                    self.attacher.detach();
                    self.detached = true;
                    self.worker.send(&Message::Detached)?;
                }
                Received::Message(Message::Done) | Received::Closed => return Ok(true),
                // Nothing else is the worker's to say.
                Received::Message(_) => {}
                Received::Nothing => return Ok(false),
            }
        }
    }

    fn send(&self, changes: Vec<Change>) -> Result<(), SplitError> {
        changes
            .into_iter()
            .try_for_each(|change| self.worker.send(&message(change)))
    }
}

fn message(change: Change) -> Message {
    match change {
        Change::Attached {
            slot,
            name,
            tag,
            mode,
        } => Message::Interface {
            slot,
            mode,
            name,
            tag,
        },
        Change::Gone { slot, name } => Message::Gone { slot, name },
        Change::Note(note) => Message::Note(note),
    }
}

/// Starts the worker with the maps under the names by which [`worker::map_fds`] finds them.
fn spawn(fds: &MapFds) -> Result<ParentEnd, SplitError> {
    let number = |prefix: &str, fds: &[_]| -> Vec<String> {
        (0..fds.len()).map(|at| format!("{prefix}{at}")).collect()
    };
    let tuples = number(worker::TUPLES, &fds.tuples);
    let packets = number(worker::PACKETS, &fds.packets);
    let names = tuples.iter().chain(&packets).map(String::as_str);
    let rings = fds.tuples.iter().chain(&fds.packets);
    let mut named: Vec<(&str, BorrowedFd<'_>)> = names.zip(rings.map(|fd| fd.as_fd())).collect();
    named.push((worker::COUNTERS, fds.counters.as_fd()));
    split::spawn_worker(&named)
}

fn exit_code(status: ExitStatus) -> Result<u8, Error> {
    match (status.code(), status.signal()) {
        // What a process gives to exit is a byte.
        (Some(code), _) => Ok(u8::try_from(code).unwrap_or(1)),
        (None, signal) => Err(Error::Capture {
            message: format!(
                "the process that writes was ended by signal {}; capture is over, and what it had \
                 not written yet is lost",
                signal.unwrap_or_default()
            ),
            hint: Some("the next capture into a store repairs what this one left open".to_owned()),
        }),
    }
}

fn what(args: &CaptureArgs) -> What {
    What {
        // A filter sees whole packets, as tcpdump's does; the worker cuts them then.
        snaplen: if args.filter.is_empty() {
            snaplen(args)
        } else {
            WHOLE_PACKET
        },
        mode: match args.mode {
            AttachMode::Auto => Mode::Auto,
            AttachMode::Native => Mode::Native,
            AttachMode::Generic => Mode::Generic,
        },
        packets: !args.no_pcap,
        egress: args.egress,
    }
}

/// `IFACE` or `IFACE=TAG`.
pub(super) fn wanted(text: &str) -> Wanted {
    let (pattern, tag) = text.split_once('=').unwrap_or((text, DEFAULT_TAG));
    Wanted {
        pattern: pattern.to_owned(),
        tag: tag.to_owned(),
    }
}

/// The sizes given are of all rings of a kind together.
pub(super) fn ring_settings(args: &CaptureArgs) -> RingSettings {
    let shards = RingSettings::default().shards;
    let each = |all: u64| u32::try_from(all / u64::from(shards)).unwrap_or(1 << 30);
    RingSettings {
        tuple_ring_bytes: each(args.tuple_ring),
        packet_ring_bytes: if args.no_pcap {
            0
        } else {
            each(args.packet_ring)
        },
        shards,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_may_have_a_tag() {
        let with = |pattern: &str, tag: &str| Wanted {
            pattern: pattern.to_owned(),
            tag: tag.to_owned(),
        };
        assert_eq!(wanted("lan*"), with("lan*", "pcap"));
        assert_eq!(wanted("lan0=inside"), with("lan0", "inside"));
    }

    #[test]
    fn the_workers_end_is_the_programs() {
        assert_eq!(exit_code(ExitStatus::from_raw(3 << 8)).unwrap(), 3);
        let killed = exit_code(ExitStatus::from_raw(9)).unwrap_err();
        assert!(killed.to_string().contains("signal 9"), "{killed}");
        assert_eq!(killed.exit_code(), 1);
    }
}
