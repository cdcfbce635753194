//! The privileged part: attaches to interfaces, follows them, starts the worker and ends with it. It touches no packet and no file.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::process::{ExitStatusExt as _, parent_id};
use std::process::ExitStatus;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::super::error::Error;
use super::source::{self, Started};
use super::{Job, Signals, check_user, filter, worker};
use crate::capture::guard;
use crate::capture::split::{self, Message, ParentEnd, PassedFd, Received, SplitError};
use crate::capture::{MAX_RING_BYTES, MapFds, Settings as RingSettings};
use crate::record::{Attacher, AttacherError, Change, Wanted};
use crate::text;

/// The tag of packets whose interface was given without one.
const DEFAULT_TAG: &str = "pcap";

/// How long a signal or the worker may wait for an answer.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Attaches, and captures until the worker ends; its exit code.
pub(in crate::cli) fn run(
    job: &Job,
    signals: Signals,
    overseer: &mut dyn Overseer,
) -> Result<u8, Error> {
    worker::check(job)?;
    filter(job)?;
    check_user(job)?;
    // Before the worker, so that nothing is made or overwritten where it cannot start.
    let Started {
        attacher,
        changes,
        fds,
    } = source::start(job, overseer)?;
    let worker = match fds {
        Some(fds) => {
            let worker = spawn(&fds, overseer.passes())?;
            guard::keep_attaching()?;
            worker
        }
        None => {
            let worker = split::spawn_worker(&overseer.passes())?;
            guard::keep_sockets()?;
            worker
        }
    };
    let mut parent = Parent {
        attacher,
        worker,
        signals,
        overseer,
        stopping: false,
        detached: false,
        unwatched: false,
    };
    // A worker that is gone, or speaks no sense, is over: its end says what there is to say.
    let _ = parent.send(changes).and_then(|()| parent.serve());
    parent.attacher.detach();
    exit_code(parent.worker.finish()?)
}

/// Who stands beside the parent: is told what happens, and says what is wanted.
pub(in crate::cli) trait Overseer {
    /// What the worker is passed, by name.
    fn passes(&self) -> Vec<(&str, BorrowedFd<'_>)> {
        Vec::new()
    }

    /// Capture starts otherwise than it was meant to.
    fn warn(&mut self, warning: &str) {
        eprintln!("warning: {warning}");
    }

    /// Interfaces came or went.
    fn changed(&mut self, _changes: &[Change]) {}

    /// The worker says that it works.
    fn working(&mut self) {}

    /// Some twenty times a second; what is wanted from now on, if that is something else.
    fn turn(&mut self, _signals: &Signals) -> Option<Update> {
        None
    }

    /// What it wanted is done.
    fn updated(&mut self) {}

    /// Capture is to stop.
    fn stopping(&mut self) {}
}

/// What is wanted from now on.
pub(in crate::cli) struct Update {
    /// The interfaces, each `IFACE[=TAG]`.
    pub(in crate::cli) wanted: Vec<String>,
    /// What the worker is told.
    pub(in crate::cli) configured: Message,
}

/// Nobody.
pub(super) struct Alone;

impl Overseer for Alone {}

/// The process that started this one for itself: where it ends, however, capture does.
pub(super) struct Starter {
    pub(super) process: u32,
}

impl Overseer for Starter {
    fn turn(&mut self, signals: &Signals) -> Option<Update> {
        if parent_id() != self.process {
            signals.stop.store(true, Relaxed);
        }
        None
    }
}

struct Parent<'a> {
    attacher: Attacher,
    worker: ParentEnd,
    signals: Signals,
    overseer: &'a mut dyn Overseer,
    /// The worker was told to stop.
    stopping: bool,
    detached: bool,
    /// The last look at the interfaces failed, which is said.
    unwatched: bool,
}

impl Parent<'_> {
    /// Follows interfaces, signals and the worker until the latter is done or gone.
    fn serve(&mut self) -> Result<(), SplitError> {
        loop {
            if self.listen()? {
                return Ok(());
            }
            if self.signals.stop.load(Relaxed) && !self.stopping {
                self.stopping = true;
                self.overseer.stopping();
                self.worker.send(&Message::Stop)?;
            }
            if self.signals.report.swap(false, Relaxed) {
                self.worker.send(&Message::Statistics)?;
            }
            if self.detached {
                continue;
            }
            // Once it is to stop, nothing else is wanted.
            let update = (!self.stopping).then(|| self.overseer.turn(&self.signals));
            if let Some(update) = update.flatten() {
                self.update(update)?;
            }
            let changes = match self.attacher.poll(LOOK_INTERVAL) {
                Ok(changes) => {
                    self.unwatched = false;
                    changes
                }
                Err(error) => {
                    std::thread::sleep(LOOK_INTERVAL);
                    // Said once, not at each look.
                    let said = std::mem::replace(&mut self.unwatched, true);
                    match said {
                        true => Vec::new(),
                        false => vec![Change::Note(error.to_string())],
                    }
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
                Received::Message(Message::Free { slot }) if !self.detached => {
                    let changes = self.attacher.free(slot);
                    let note = |error: AttacherError| vec![Change::Note(error.to_string())];
                    self.send(changes.unwrap_or_else(note))?;
                }
                Received::Message(Message::Working) => self.overseer.working(),
                Received::Message(Message::Done) | Received::Closed => return Ok(true),
                // Nothing else is the worker's to say.
                Received::Message(_) | Received::WithFd(..) => {}
                Received::Nothing => return Ok(false),
            }
        }
    }

    fn update(&mut self, update: Update) -> Result<(), SplitError> {
        let Update { wanted, configured } = update;
        let wanted = wanted.iter().map(|text| self::wanted(text)).collect();
        let changes = match self.attacher.want(wanted) {
            Ok(changes) => changes,
            Err(error) => vec![Change::Note(format!("the interfaces stay: {error}"))],
        };
        self.send(changes)?;
        self.worker.send(&configured)?;
        self.overseer.updated();
        Ok(())
    }

    fn send(&mut self, changes: Vec<Change>) -> Result<(), SplitError> {
        self.overseer.changed(&changes);
        changes
            .into_iter()
            .try_for_each(|change| match message(change) {
                (message, Some(socket)) => self.worker.send_with(&message, socket.as_fd()),
                (message, None) => self.worker.send(&message),
            })
    }
}

/// What the worker is told of it, and the socket that it is given.
fn message(change: Change) -> (Message, Option<PassedFd>) {
    match change {
        Change::Attached {
            slot,
            name,
            tag,
            mode,
            socket,
        } => (
            Message::Interface {
                slot,
                mode,
                name,
                tag,
            },
            socket,
        ),
        Change::Gone { slot, name } => (Message::Gone { slot, name }, None),
        Change::Left { slot, name } => (Message::Left { slot, name }, None),
        Change::Note(note) => (Message::Note(note), None),
    }
}

/// Starts the worker with the maps under the names by which [`worker::map_fds`] finds them.
fn spawn(fds: &MapFds, others: Vec<(&str, BorrowedFd<'_>)>) -> Result<ParentEnd, SplitError> {
    let number = |prefix: &str, fds: &[_]| -> Vec<String> {
        (0..fds.len()).map(|at| format!("{prefix}{at}")).collect()
    };
    let tuples = number(worker::TUPLES, &fds.tuples);
    let packets = number(worker::PACKETS, &fds.packets);
    let names = tuples.iter().chain(&packets).map(String::as_str);
    let rings = fds.tuples.iter().chain(&fds.packets);
    let mut named: Vec<(&str, BorrowedFd<'_>)> = names.zip(rings.map(|fd| fd.as_fd())).collect();
    named.push((worker::COUNTERS, fds.counters.as_fd()));
    named.extend(others);
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

/// `IFACE` or `IFACE=TAG`.
pub(super) fn wanted(text: &str) -> Wanted {
    let (pattern, tag) = text.split_once('=').unwrap_or((text, DEFAULT_TAG));
    Wanted {
        pattern: pattern.to_owned(),
        tag: tag.to_owned(),
    }
}

/// The sizes given are of all rings of a kind together.
pub(super) fn ring_settings(job: &Job) -> RingSettings {
    let shards = RingSettings::default().shards;
    let each = |all: u64| {
        let each = u32::try_from(all / u64::from(shards));
        each.map_or(MAX_RING_BYTES, |bytes| bytes.min(MAX_RING_BYTES))
    };
    RingSettings {
        tuple_ring_bytes: each(job.tuple_ring),
        packet_ring_bytes: if job.no_pcap {
            0
        } else {
            each(job.packet_ring)
        },
        shards,
    }
}

/// What is to be said where rings cannot be as large as was asked for.
pub(super) fn ring_notes(job: &Job, settings: &RingSettings) -> Vec<Change> {
    let most = u64::from(settings.shards) * u64::from(MAX_RING_BYTES);
    let kinds = [("packet", job.packet_ring), ("tuple", job.tuple_ring)];
    let larger = kinds.into_iter().filter(|(_, asked)| *asked > most);
    let note = |(kind, _)| {
        Change::Note(format!(
            "the {kind} rings have {} together: one for each processor, of the {} that the kernel \
             takes at most",
            text::size(most),
            text::size(MAX_RING_BYTES.into())
        ))
    };
    larger.map(note).collect()
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::super::super::args::CaptureArgs;
    use super::*;

    #[test]
    fn rings_are_as_large_as_the_kernel_takes_and_that_is_said() {
        let command = CaptureArgs::augment_args(clap::Command::new("x"));
        let matches = command.get_matches_from(["x", "-i", "lan0", "-w", "-"]);
        let mut args = CaptureArgs::from_arg_matches(&matches).unwrap();
        let shards = RingSettings::default().shards;
        args.packet_ring = 16 << 30;
        let job = Job::from(&args);
        let settings = ring_settings(&job);
        let expected = (16 << 30) / u64::from(shards);
        let expected = expected.min(1 << 31);
        assert_eq!(u64::from(settings.packet_ring_bytes), expected);
        assert_eq!(settings.tuple_ring_bytes, (16 << 20) / shards);
        let is_less = expected * u64::from(shards) < 16 << 30;
        assert_eq!(ring_notes(&job, &settings).len(), usize::from(is_less));
    }

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
