//! Where packets come from: what `--source` says, and the fall-back to packet sockets.

use super::super::args::{AttachMode, CaptureSource};
use super::super::error::Error;
use super::{Job, Overseer, kernel_snaplen, parent};
use crate::capture::guard::capabilities::{self, NET_RAW};
use crate::capture::guard::explain::Environment;
use crate::capture::{
    AttachError, MapFds, Mode, Program, ProgramError, RingShape, SocketSource, SocketWish, Source,
};
use crate::record::{Attacher, AttacherError, Change, What};

/// What the parent works with.
pub(super) struct Started {
    pub(super) attacher: Attacher,
    pub(super) changes: Vec<Change>,
    /// The kernel program's maps; `None` with sockets.
    pub(super) fds: Option<MapFds>,
}

/// What only the kernel program does, asked for with packet sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Contradiction {
    /// The flag that asks for it.
    pub(in crate::cli) flag: &'static str,
    /// The key of the configuration that does.
    pub(in crate::cli) key: &'static str,
    /// What it has to do with the kernel program.
    pub(in crate::cli) why: &'static str,
}

impl Contradiction {
    const fn new(flag: &'static str, key: &'static str, why: &'static str) -> Self {
        Self { flag, key, why }
    }

    /// The first there is.
    pub(in crate::cli) fn find(job: &Job) -> Option<Self> {
        if job.source != CaptureSource::PacketSocket {
            return None;
        }
        if job.no_pcap {
            let why = "whose tuples are made by the kernel program";
            Some(Self::new("--no-pcap", "capture.packets", why))
        } else if job.mode != AttachMode::Auto {
            let why = "which says where the kernel program runs";
            Some(Self::new("--mode", "capture.mode", why))
        } else if job.egress {
            let why = "which is a part of the kernel program";
            Some(Self::new("--egress", "capture.egress", why))
        } else {
            None
        }
    }
}

/// Refuses flags that contradict each other.
pub(super) fn check(job: &Job, self_test: bool) -> Result<(), Error> {
    let self_test = (self_test && job.source == CaptureSource::PacketSocket)
        .then(|| Contradiction::new("--self-test", "", "which measures the kernel program"));
    match Contradiction::find(job).or(self_test) {
        None => Ok(()),
        Some(Contradiction { flag, why, .. }) => Err(Error::Usage {
            message: format!("{flag}, {why}, cannot be used with --source packet-socket"),
            hint: "leave out one of them".to_owned(),
        }),
    }
}

/// The ring of each interface's socket.
pub(super) fn shape(job: &Job) -> RingShape {
    RingShape::of(job.packet_ring)
}

/// Attaches to the interfaces in the way that is asked for, or that is possible.
pub(super) fn start(job: &Job, overseer: &mut dyn Overseer) -> Result<Started, Error> {
    if job.source == CaptureSource::PacketSocket {
        return sockets(job);
    }
    let refusal = match xdp(job)? {
        Ok(started) => return Ok(started),
        Err(refusal) => refusal,
    };
    // Who names a mode, or wants tuples alone, means the kernel program.
    let could = job.source == CaptureSource::Auto
        && job.mode == AttachMode::Auto
        && !(job.no_pcap || job.egress)
        && refusal.lets_try_sockets();
    if could && capabilities::held().is_ok_and(|held| held.has(NET_RAW)) {
        overseer.warn(&warning(&refusal));
        return sockets(job);
    }
    let error = Error::from(refusal);
    Err(if job.no_pcap || job.egress {
        error
    } else {
        with_hint(error)
    })
}

/// What XDP is refused by.
enum Refusal {
    Program(ProgramError),
    Attach(AttachError),
}

impl Refusal {
    /// Whether the reason lies in where this process runs. A hook that another program holds can
    /// be freed, and memory that is short will not do for other rings either.
    const fn lets_try_sockets(&self) -> bool {
        match self {
            Self::Program(error) | Self::Attach(AttachError::Program(error)) => matches!(
                error,
                ProgramError::Permission(_)
                    | ProgramError::Unsupported { .. }
                    | ProgramError::Refused { .. }
            ),
            Self::Attach(error) => matches!(
                error,
                AttachError::Permission { .. } | AttachError::Refused { .. }
            ),
        }
    }

    /// The first line of it: a verifier's log has many.
    fn summary(&self) -> String {
        let text = match self {
            Self::Program(error) => error.to_string(),
            Self::Attach(error) => error.to_string(),
        };
        text.lines().next().unwrap_or_default().to_owned()
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Program(error) => error.into(),
            Refusal::Attach(error) => error.into(),
        }
    }
}

fn warning(refusal: &Refusal) -> String {
    let reasons = Environment::read().reasons();
    let because: Vec<_> = reasons
        .iter()
        .map(|reason| format!("\n  because {reason}"))
        .collect();
    format!(
        "{}{}\n  CAPTURING BY PACKET SOCKETS INSTEAD, which lose packets earlier under \
         load and see segments that the kernel has already merged as one packet; \
         the source xdp makes this an error, the source packet-socket says that it is meant",
        refusal.summary(),
        because.concat(),
    )
}

fn with_hint(error: Error) -> Error {
    const HINT: &str = "or capture by packet sockets, which need CAP_NET_RAW alone: \
                        --source packet-socket";
    match error {
        Error::Capture { message, hint } => Error::Capture {
            message,
            hint: Some(match hint {
                Some(hint) => format!("{hint}\n        {HINT}"),
                None => HINT.trim_start_matches("or ").to_owned(),
            }),
        },
        error => error,
    }
}

/// The outer error is one that another source would have, too.
fn xdp(job: &Job) -> Result<Result<Started, Refusal>, Error> {
    let rings = parent::ring_settings(job);
    let mut program = match Program::load(&rings) {
        Ok(program) => program,
        Err(error) => return Ok(Err(Refusal::Program(error))),
    };
    if job.egress
        && let Err(error) = program.load_egress()
    {
        return Ok(Err(Refusal::Program(error)));
    }
    let fds = program.map_fds()?;
    let facts = if job.verbose {
        program.facts()?
    } else {
        Vec::new()
    };
    match attach(job, program) {
        Ok((attacher, changes)) => Ok(Ok(Started {
            attacher,
            changes: parent::ring_notes(job, &rings)
                .into_iter()
                .chain(facts.into_iter().map(Change::Note))
                .chain(changes)
                .collect(),
            fds: Some(fds),
        })),
        Err(AttacherError::Attach(error)) if !is_sockets_too(&error) => {
            Ok(Err(Refusal::Attach(error)))
        }
        Err(error) => Err(error.into()),
    }
}

const fn is_sockets_too(error: &AttachError) -> bool {
    matches!(
        error,
        AttachError::NotEthernet { .. } | AttachError::Gone { .. } | AttachError::Config { .. }
    )
}

fn sockets(job: &Job) -> Result<Started, Error> {
    let wish = SocketWish {
        shape: shape(job),
        promiscuous: !job.no_promiscuous_mode,
    };
    let (attacher, changes) = attach(job, SocketSource::new(wish))?;
    Ok(Started {
        attacher,
        changes,
        fds: None,
    })
}

fn attach(job: &Job, source: impl Into<Source>) -> Result<(Attacher, Vec<Change>), AttacherError> {
    let wanted = job.interface.iter().map(|text| parent::wanted(text));
    Attacher::start(source, wanted.collect(), what(job), job.absent)
}

fn what(job: &Job) -> What {
    What {
        snaplen: kernel_snaplen(job),
        mode: match job.mode {
            AttachMode::Auto => Mode::Auto,
            AttachMode::Native => Mode::Native,
            AttachMode::Generic => Mode::Generic,
        },
        packets: !job.no_pcap,
        egress: job.egress,
    }
}
