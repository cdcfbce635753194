//! The daemon's worker: logs what the recorder tells, and takes over a new configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::args::AgentArgs;
use super::super::capture::{self, Configure, Hangup, Job, Signals, Teller, statistics};
use super::super::error::Error;
use super::log::{self, Volume};
use super::parent::log_error;
use super::passed::{NAME, Passed};
use crate::capture::Mode;
use crate::capture::split::WorkerEnd;
use crate::record::{SharedRetention, Status};
use crate::serve::config::Config;
use crate::serve::options::SharedOptions;

/// Captures until it is told to stop; the exit code.
pub(super) fn run(args: &AgentArgs, mut end: WorkerEnd) -> Result<u8, Error> {
    let (passed, text) = take(&mut end)?;
    let config = Config::parse(&args.config, &text)?;
    let volume = log::start(&config.log)?;
    let job = Job::from(&config);
    let signals = Signals::register(Hangup::Reloads)?;
    let told = Told {
        modes: BTreeMap::new(),
        report: std::sync::Arc::clone(&signals.report),
        takeover: Some(Takeover {
            path: args.config.clone(),
            passed,
            volume,
            retention: job.retention(),
            socket: job.socket(),
        }),
    };
    let result = capture::run_worker(&job, end, signals, told);
    Ok(result.unwrap_or_else(|error| {
        log_error(&error);
        error.exit_code()
    }))
}

fn take(end: &mut WorkerEnd) -> Result<(Passed, String), Error> {
    let failed = |reason: String| Error::Capture {
        message: format!("the privileged process passed no configuration: {reason}"),
        hint: None,
    };
    let fd = end
        .take(NAME)
        .ok_or_else(|| failed("no descriptor".to_owned()))?;
    Passed::take(fd).map_err(|error| failed(error.to_string()))
}

/// The recorder's words in the log.
struct Told {
    /// How each interface was captured when it was last said.
    modes: BTreeMap<String, Option<Mode>>,
    /// Set by `SIGUSR1`.
    report: std::sync::Arc<std::sync::atomic::AtomicBool>,
    takeover: Option<Takeover>,
}

impl Teller for Told {
    fn note(&mut self, note: &str) {
        tracing::warn!("{note}");
    }

    fn status(&mut self, status: &Status) {
        // Interfaces come and go for as long as the machine runs.
        let known = |name: &String| status.interfaces.values().any(|state| state.name == *name);
        self.modes.retain(|name, _| known(name));
        for state in status.interfaces.values() {
            let before = self.modes.insert(state.name.clone(), state.mode);
            if let (Some(mode), None | Some(None)) = (state.mode, before) {
                tracing::info!("{}: captured, tag {}, {mode} mode", state.name, state.tag);
            }
        }
        if self
            .report
            .swap(false, std::sync::atomic::Ordering::Relaxed)
        {
            tell(status);
        }
    }

    fn finish(&mut self, status: &Status) {
        tell(status);
    }

    fn configure(&mut self) -> Configure {
        match self.takeover.take() {
            Some(takeover) => Box::new(move |offset, bytes| takeover.run(offset, bytes)),
            None => Box::new(|_, _| {}),
        }
    }
}

fn tell(status: &Status) {
    // The daemon always has a store.
    for line in statistics(status, false).lines() {
        tracing::info!("{line}");
    }
}

/// What a new configuration changes in this process.
struct Takeover {
    path: PathBuf,
    passed: Passed,
    volume: Volume,
    retention: SharedRetention,
    socket: Option<SharedOptions>,
}

impl Takeover {
    fn run(&self, offset: u64, bytes: u64) {
        let read = self.passed.read(offset, bytes);
        let config = read
            .map_err(|error| error.to_string())
            .and_then(|text| Config::parse(&self.path, &text).map_err(|error| error.to_string()));
        match config {
            Ok(config) => {
                self.volume.set(config.log.level);
                self.retention.set(capture::retention(&config));
                if let Some(socket) = &self.socket {
                    capture::adopt(socket, &config);
                }
            }
            // The parent has read it, so this is a defect of ours.
            Err(error) => tracing::error!("the new configuration does not arrive: {error}"),
        }
    }
}
