//! `flowsift capture`: from interfaces to a store, or to one pcap stream.

mod report;

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

use super::args::{AttachMode, CaptureArgs};
use super::error::Error;
use crate::capture::{self, Mode, Program, ProgramError, Settings as RingSettings};
use crate::record::{
    self, Attacher, AttacherError, Change, Division, Link, Output, Settings, StoreOptions,
    StoreOutput, Stream, Telling, Wanted, What, WorkerError, WriteError,
};
use crate::store::Retention;
use report::Reporter;

/// The tag of packets whose interface was given without one.
const DEFAULT_TAG: &str = "pcap";

/// A snap length of all that a packet record can hold.
const WHOLE_PACKET: u32 = 65_535;

/// Captures until it is stopped; the exit code.
pub(super) fn run(args: &CaptureArgs) -> Result<u8, Error> {
    if args.list_interfaces {
        return list_interfaces();
    }
    let signals = Signals::register()?;
    let output = open_output(args)?;
    let program = Program::load(&ring_settings(args))?;
    let fds = program.map_fds()?;
    let what = What {
        snaplen: snaplen(args),
        mode: match args.mode {
            AttachMode::Auto => Mode::Auto,
            AttachMode::Native => Mode::Native,
            AttachMode::Generic => Mode::Generic,
        },
        packets: !args.no_pcap,
    };
    let wanted = args.interface.iter().map(|text| wanted(text)).collect();
    let (attacher, changes) = Attacher::start(program, wanted, what)?;
    let mut link = Direct { attacher, changes };
    let settings = Settings {
        keep: None,
        count: args.count,
        duration: args.duration,
        snaplen: snaplen(args),
        stop: Arc::clone(&signals.stop),
    };
    let mut reporter = Reporter::new(args.quiet, &signals.report);
    let status = record::run(
        &mut link,
        fds,
        output,
        settings,
        &mut |telling| match telling {
            Telling::Note(note) => reporter.note(note),
            Telling::Status(status) => reporter.status(status),
        },
    )?;
    reporter.finish(&status);
    Ok(0)
}

/// Flags that signals set.
struct Signals {
    stop: Arc<AtomicBool>,
    report: Arc<AtomicBool>,
}

impl Signals {
    /// The first Ctrl-C stops capture in order, the second ends the process.
    fn register() -> Result<Self, Error> {
        let signals = Self {
            stop: Arc::default(),
            report: Arc::default(),
        };
        let register = || -> io::Result<()> {
            for signal in [SIGINT, SIGTERM] {
                flag::register_conditional_shutdown(signal, 130, Arc::clone(&signals.stop))?;
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

/// Both parts in one process.
struct Direct {
    attacher: Attacher,
    changes: Vec<Change>,
}

impl Link for Direct {
    fn changes(&mut self, timeout: Duration) -> Option<Vec<Change>> {
        let mut changes = std::mem::take(&mut self.changes);
        match self.attacher.poll(timeout) {
            Ok(more) => changes.extend(more),
            Err(error) => {
                changes.push(Change::Note(error.to_string()));
                std::thread::sleep(timeout);
            }
        }
        Some(changes)
    }

    fn detach(&mut self) {
        self.attacher.detach();
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

fn open_output(args: &CaptureArgs) -> Result<Box<dyn Output>, Error> {
    let division = Division {
        bytes: args.file_size,
        time: args.file_time,
        count: args.file_count,
    };
    match (&args.write, &args.store) {
        (Some(path), _) => Ok(Box::new(Stream::create(path, division, snaplen(args))?)),
        (None, Some(store)) => {
            let options = StoreOptions {
                file_bytes: args.file_size,
                file_time: args.file_time,
                retention: Retention {
                    max_age: args.keep_age,
                    max_size: args.keep_size,
                    min_free: args.keep_free,
                },
            };
            Ok(Box::new(StoreOutput::open(store, options)?))
        }
        (None, None) => Err(Error::Usage {
            message: "nowhere to write to".to_owned(),
            hint: "name a store or a file: --store DIR or -w FILE".to_owned(),
        }),
    }
}

fn snaplen(args: &CaptureArgs) -> u32 {
    match args.snaplen {
        0 => WHOLE_PACKET,
        bytes => bytes.min(WHOLE_PACKET),
    }
}

/// `IFACE` or `IFACE=TAG`.
fn wanted(text: &str) -> Wanted {
    let (pattern, tag) = text.split_once('=').unwrap_or((text, DEFAULT_TAG));
    Wanted {
        pattern: pattern.to_owned(),
        tag: tag.to_owned(),
    }
}

/// The sizes given are of all rings of a kind together.
fn ring_settings(args: &CaptureArgs) -> RingSettings {
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

fn failed(error: &dyn std::error::Error, hint: Option<String>) -> Error {
    Error::Capture {
        message: error.to_string(),
        hint,
    }
}

impl From<ProgramError> for Error {
    fn from(error: ProgramError) -> Self {
        failed(&error, error.hint().map(str::to_owned))
    }
}

impl From<AttacherError> for Error {
    fn from(error: AttacherError) -> Self {
        failed(&error, error.hint())
    }
}

impl From<WorkerError> for Error {
    fn from(error: WorkerError) -> Self {
        failed(&error, None)
    }
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        failed(&error, None)
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
}
