//! The daemon's parent: reads the configuration again, and tells the service manager how it goes.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::super::args::AgentArgs;
use super::super::capture::{self, Job, Overseer, Signals, Update};
use super::super::error::Error;
use super::log::{self, Volume};
use super::passed::{NAME, Passed};
use crate::capture::split::Message;
use crate::record::Change;
use crate::serve::config::Config;
use crate::serve::notify::Notifier;

/// Captures until it is stopped; the exit code.
pub(super) fn run(
    args: &AgentArgs,
    (text, config): (&str, Config),
    job: &Job,
    signals: Signals,
) -> Result<u8, Error> {
    let failed = |what: &str, error: &dyn std::error::Error| Error::Capture {
        message: format!("{what}: {error}"),
        hint: None,
    };
    let volume = log::start(&config.log)?;
    let notifier = Notifier::from_env().map_err(|error| failed("cannot start", &error))?;
    let passed = Passed::new(text)
        .map_err(|error| failed("cannot pass the configuration to the worker", &error))?;
    tracing::info!(
        "flowsift {} starts with {}",
        env!("CARGO_PKG_VERSION"),
        args.config.display()
    );
    let mut daemon = Daemon {
        path: args.config.clone(),
        config,
        passed,
        volume,
        notifier,
        interfaces: BTreeMap::new(),
        ready: false,
        heard: None,
    };
    let result = capture::run_parent(job, signals, &mut daemon);
    match &result {
        Ok(0) => tracing::info!("ended; all that was captured is written"),
        Ok(code) => tracing::error!("ended with exit code {code}"),
        Err(error) => log_error(error),
    }
    // Said above, in the log's form.
    Ok(result.unwrap_or_else(|error| error.exit_code()))
}

/// An error with what to do about it.
pub(super) fn log_error(error: &Error) {
    let text = error.bare();
    match error.hint() {
        Some(hint) => tracing::error!("{text}\n  hint: {hint}"),
        None => tracing::error!("{text}"),
    }
}

struct Daemon {
    path: PathBuf,
    /// What counts: after a reload, the new values of those keys that need no restart.
    config: Config,
    passed: Passed,
    volume: Volume,
    notifier: Notifier,
    /// Attached to now: names by slot.
    interfaces: BTreeMap<u32, String>,
    ready: bool,
    /// When the worker was heard last.
    heard: Option<Instant>,
}

impl Overseer for Daemon {
    fn passes(&self) -> Vec<(&str, BorrowedFd<'_>)> {
        vec![(NAME, self.passed.as_fd())]
    }

    fn warn(&mut self, warning: &str) {
        tracing::warn!("{warning}");
    }

    fn changed(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Attached { slot, name, .. } => {
                    self.interfaces.insert(*slot, name.clone());
                }
                Change::Gone { slot, .. } | Change::Left { slot, .. } => {
                    self.interfaces.remove(slot);
                }
                Change::Note(_) => {}
            }
        }
        if self.ready && !changes.is_empty() {
            self.notifier.status(&self.status());
        }
    }

    fn working(&mut self) {
        if !std::mem::replace(&mut self.ready, true) {
            self.notifier.ready(&self.status());
        }
        let now = Instant::now();
        // The worker says it once a second: what it says stands for both processes.
        let due = self.notifier.watchdog().map(|limit| limit / 4);
        let is_due = |wait: Duration| self.heard.is_none_or(|heard| now - heard >= wait);
        if due.is_some_and(is_due) {
            self.heard = Some(now);
            self.notifier.alive();
        }
    }

    fn turn(&mut self, signals: &Signals) -> Option<Update> {
        // A worker that starts takes all that was passed for the first text: until it works, the
        // signal stays unheard.
        if !self.ready || !signals.reload.swap(false, Relaxed) {
            return None;
        }
        self.notifier.reloading();
        let update = self.reload();
        if update.is_none() {
            self.updated();
        }
        update
    }

    fn updated(&mut self) {
        self.notifier.ready(&self.status());
    }

    fn stopping(&mut self) {
        self.notifier.stopping();
        tracing::info!("stopping: what the rings hold is written first");
    }
}

impl Daemon {
    /// Reads the configuration again; `None`, after saying why, where all stays as it is.
    fn reload(&mut self) -> Option<Update> {
        let new = match self.read_again() {
            Ok(new) => new,
            Err(error) => {
                log_error(&error);
                tracing::error!("the former configuration stays in force");
                return None;
            }
        };
        let (text, new) = new;
        let changed = self.config.changed(&new);
        for change in changed.iter().filter(|change| !change.live) {
            tracing::warn!(
                "{}: changed in {}, which counts after a restart only",
                change.key,
                self.path.display()
            );
        }
        let live: Vec<&str> = changed
            .iter()
            .filter(|change| change.live)
            .map(|change| change.key.as_str())
            .collect();
        let configured = match self.passed.add(&text) {
            Ok((offset, bytes)) => Message::Configured { offset, bytes },
            Err(error) => {
                tracing::error!("cannot pass the configuration to the worker: {error}");
                return None;
            }
        };
        self.config.adopt(&new);
        self.volume.set(self.config.log.level);
        match live.as_slice() {
            [] => tracing::info!("{} was read again", self.path.display()),
            keys => tracing::info!(
                "{} was read again; new: {}",
                self.path.display(),
                keys.join(", ")
            ),
        }
        Some(Update {
            wanted: capture::interfaces(&self.config),
            configured,
        })
    }

    fn read_again(&self) -> Result<(String, Config), Error> {
        let (text, new) = Config::load(&self.path)?;
        super::check(&self.path, &new, &Job::from(&new))?;
        Ok((text, new))
    }

    fn status(&self) -> String {
        let names: Vec<&str> = self.interfaces.values().map(String::as_str).collect();
        match names.as_slice() {
            [] => "Waiting for an interface to capture from".to_owned(),
            names => format!("Capturing from {}", names.join(", ")),
        }
    }
}
