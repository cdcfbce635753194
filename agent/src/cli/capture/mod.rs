//! `flowsift capture`: from interfaces to a store, or to one pcap stream, by two processes.
//!
//! ```text
//! parent (capabilities, kernel program or sockets) ==messages== worker (no privileges, rings, files)
//! ```

mod job;
mod offer;
mod parent;
mod refused;
mod report;
mod self_test;
mod session;
mod source;
mod worker;

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

use super::args::CaptureArgs;
use super::error::Error;
use super::signals::is_ignored;
use crate::capture::filter::{Filter, FilterError};
use crate::capture::guard::{self, GuardError, User, UserError};
use crate::capture::split::{self, SplitError};
use crate::capture::{self, CountersError};
use crate::frame::LinkType;
use crate::record::{AttacherError, WorkerError, WriteError};
use crate::serve::metrics::MetricsError;
pub(super) use job::{Job, adopt, interfaces, retention};
pub(super) use parent::{Overseer, Update, run as run_parent};
pub(super) use report::statistics;
pub(super) use source::Contradiction;
pub(super) use worker::{Configure, Teller, run as run_worker};

/// A snap length of all that a packet record can hold.
const WHOLE_PACKET: u32 = 65_535;

/// Of Ethernet frames: all that is captured.
const ETHERNET: LinkType = LinkType(1);

/// Captures until it is stopped; the exit code.
pub(super) fn run(args: &CaptureArgs) -> Result<u8, Error> {
    if args.list_interfaces {
        return list_interfaces();
    }
    let job = Job::from(args);
    source::check(&job, args.self_test)?;
    if args.self_test {
        return self_test::run(&job);
    }
    match split::worker()? {
        Some(end) => {
            let signals = Signals::register(Hangup::Stops)?;
            let counted = job.no_pcap && job.store.is_none();
            let reporter = report::Reporter::new(job.quiet, counted, &signals.report);
            worker::run(&job, end, signals, reporter)
        }
        None => {
            let signals = Signals::register(Hangup::Stops)?;
            match args.end_with {
                Some(process) => parent::run(&job, signals, &mut parent::Starter { process }),
                None => parent::run(&job, signals, &mut parent::Alone),
            }
        }
    }
}

fn list_interfaces() -> Result<u8, Error> {
    let interfaces = capture::list().map_err(|error| failed(&error, None))?;
    let mut out = io::stdout().lock();
    for interface in interfaces {
        let kind = if interface.ethernet {
            ""
        } else {
            "\tnot Ethernet: cannot be captured"
        };
        writeln!(out, "{}{kind}", interface.name)?;
    }
    Ok(0)
}

/// What `SIGHUP` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hangup {
    /// The terminal is gone: stop.
    Stops,
    /// Read the configuration again.
    Reloads,
}

/// Flags that signals set.
pub(super) struct Signals {
    pub(super) stop: Arc<AtomicBool>,
    pub(super) report: Arc<AtomicBool>,
    pub(super) reload: Arc<AtomicBool>,
}

impl Signals {
    /// The first Ctrl-C stops capture in order, the second ends the process.
    pub(super) fn register(hangup: Hangup) -> Result<Self, Error> {
        let signals = Self {
            stop: Arc::default(),
            report: Arc::default(),
            reload: Arc::default(),
        };
        // Of its own: what the other process says sets `stop`, too, and a signal that reaches both
        // processes is not the second one where it comes behind that.
        let signalled = Arc::default();
        let register = || -> io::Result<()> {
            if hangup == Hangup::Reloads {
                flag::register(SIGHUP, Arc::clone(&signals.reload))?;
            }
            for signal in [SIGINT, SIGTERM, SIGHUP] {
                if signal == SIGHUP && hangup == Hangup::Reloads {
                    continue;
                }
                // nohup(1) means it.
                if signal == SIGHUP && is_ignored(signal) {
                    continue;
                }
                flag::register_conditional_shutdown(signal, 130, Arc::clone(&signalled))?;
                flag::register(signal, Arc::clone(&signalled))?;
                flag::register(signal, Arc::clone(&signals.stop))?;
            }
            flag::register(SIGUSR1, Arc::clone(&signals.report))?;
            Ok(())
        };
        register().map_err(|error| Error::Capture {
            message: format!("cannot listen to signals: {error}"),
            hint: None,
        })?;
        Ok(signals)
    }
}

/// The filter of the trailing words; `None` if there are none.
pub(super) fn filter(job: &Job) -> Result<Option<Filter>, Error> {
    if job.filter.is_empty() {
        return Ok(None);
    }
    let expression = job.filter.join(" ");
    let filter = Filter::compile(&expression, ETHERNET, WHOLE_PACKET);
    filter.map(Some).map_err(|error| match error {
        FilterError::Libpcap(_) => failed(&error, Some(error.hint().to_owned())),
        FilterError::Expression { .. } | FilterError::Program { .. } => Error::Usage {
            hint: error.hint().to_owned(),
            message: error.to_string(),
        },
    })
}

/// The user of `-Z`.
pub(super) fn user(job: &Job) -> Result<Option<User>, Error> {
    let user = job.user.as_deref().map(User::find).transpose();
    user.map_err(|error| match error {
        UserError::Unknown(_) => Error::Usage {
            message: error.to_string(),
            hint: "name one that getent passwd lists".to_owned(),
        },
        error => failed(&error, None),
    })
}

/// Refuses a user whom the worker could not become. Not where a configuration is only checked:
/// who checks it is not who runs with it.
fn check_user(job: &Job) -> Result<(), Error> {
    let user = user(job)?;
    user.map_or(Ok(()), |user| user.check())
        .map_err(|error| Error::Usage {
            message: error.to_string(),
            hint: "start it as root or as that user, or leave the user out (-Z, capture.user)"
                .to_owned(),
        })
}

/// The group that may use the socket.
pub(super) fn group(job: &Job) -> Result<Option<u32>, Error> {
    let group = job.socket_group.as_deref().map(guard::find_group);
    group.transpose().map_err(|error| match error {
        UserError::UnknownGroup(_) => Error::Usage {
            message: error.to_string(),
            hint: "name one that getent group lists".to_owned(),
        },
        error => failed(&error, None),
    })
}

fn snaplen(job: &Job) -> u32 {
    match job.snaplen {
        0 => WHOLE_PACKET,
        bytes => bytes.min(WHOLE_PACKET),
    }
}

/// What the kernel is told: a filter sees whole packets, as tcpdump's does; the worker cuts them
/// then.
fn kernel_snaplen(job: &Job) -> u32 {
    if job.filter.is_empty() {
        snaplen(job)
    } else {
        WHOLE_PACKET
    }
}

fn failed(error: &dyn std::error::Error, hint: Option<String>) -> Error {
    Error::Capture {
        message: error.to_string(),
        hint,
    }
}

impl From<AttacherError> for Error {
    fn from(error: AttacherError) -> Self {
        let hint = error.hint();
        match error {
            AttacherError::Attach(error) => error.into(),
            error => failed(&error, hint),
        }
    }
}

/// Errors that say all themselves.
macro_rules! without_hint {
    ($($error:ty),+) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                failed(&error, None)
            }
        })+
    };
}

without_hint!(
    CountersError,
    GuardError,
    MetricsError,
    SplitError,
    WorkerError,
    WriteError
);

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    #[test]
    fn a_signal_behind_the_word_of_the_other_process_is_the_first_one() {
        let signals = Signals::register(Hangup::Stops).unwrap();
        // As the worker does it when it is told.
        signals.stop.store(true, Relaxed);
        // SAFETY: the signal has a handler.
        assert_eq!(unsafe { libc::raise(SIGTERM) }, 0);
        assert!(signals.stop.load(Relaxed));
    }
}
