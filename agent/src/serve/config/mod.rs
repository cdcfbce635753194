//! The daemon's configuration file: every key, its default, and what may be wrong with it.

mod error;
mod read;
mod section;
mod sections;
#[cfg(test)]
mod tests;
mod value;

use std::fmt::Write as _;

use serde::Deserialize;

pub use error::{ConfigError, Problem};
use section::{Key, Section};
pub use sections::{Capture, Limits, Log, Metrics, Socket, Store};
pub use value::{
    Age, Attach, Compression, FileMode, Interface, Journal, Level, Listen, Origin, Path, RingSize,
    Size, Text, Whole,
};

/// Where it is read from unless something else is said.
pub const PATH: &str = "/etc/flowsift/flowsift.toml";

/// All that the daemon is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What is captured.
    pub capture: Capture,
    /// Where packets are kept.
    pub store: Store,
    /// The socket on which it is asked.
    pub socket: Socket,
    /// Bounds of a query.
    pub limits: Limits,
    /// Counters for a monitoring system.
    pub metrics: Metrics,
    /// What it tells of itself.
    pub log: Log,
}

/// The sections in the order of the file.
const SECTIONS: &[Section] = &[
    Capture::SECTION,
    Store::SECTION,
    Socket::SECTION,
    Limits::SECTION,
    Metrics::SECTION,
    Log::SECTION,
];

/// The file with every key: what it means, and its default as a comment.
#[must_use]
pub fn documented() -> String {
    let mut text = String::from(
        "# The configuration of `flowsift agent`. Each key stands here with its default, or, where it\n\
         # has none, with an example. Check a changed file with `flowsift agent --check-config`, and\n\
         # have it read with `systemctl reload flowsift` (SIGHUP).\n",
    );
    for section in SECTIONS {
        let _ = writeln!(text);
        comment(&mut text, section.about);
        let _ = writeln!(text, "[{}]", section.name);
        for key in section.keys {
            let _ = writeln!(text);
            comment(&mut text, key.docs);
            let kind = if key.has_default {
                "Default"
            } else {
                "No default; for example"
            };
            let _ = writeln!(text, "# {kind}:\n#{} = {}", key.name, key.text);
        }
    }
    text
}

fn comment(text: &mut String, lines: &[&str]) {
    for line in lines {
        let _ = writeln!(text, "{}", format!("#{line}").trim_end());
    }
}

/// A key that differs between two configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its section and name: `store.keep_age`.
    pub key: String,
    /// Whether it counts at once when the file is read again.
    pub live: bool,
}

impl Config {
    /// The keys that `new` has otherwise.
    #[must_use]
    pub fn changed(&self, new: &Self) -> Vec<Changed> {
        let sections = [
            (Capture::SECTION, self.capture.differing(&new.capture)),
            (Store::SECTION, self.store.differing(&new.store)),
            (Socket::SECTION, self.socket.differing(&new.socket)),
            (Limits::SECTION, self.limits.differing(&new.limits)),
            (Metrics::SECTION, self.metrics.differing(&new.metrics)),
            (Log::SECTION, self.log.differing(&new.log)),
        ];
        let changed = |(section, keys): (Section, Vec<&'static Key>)| -> Vec<Changed> {
            let named = |key: &Key| Changed {
                key: format!("{}.{}", section.name, key.name),
                live: key.live,
            };
            keys.into_iter().map(named).collect()
        };
        sections.into_iter().flat_map(changed).collect()
    }

    /// Takes over from `new` what counts at once.
    pub fn adopt(&mut self, new: &Self) {
        self.capture.adopt(&new.capture);
        self.store.adopt(&new.store);
        self.socket.adopt(&new.socket);
        self.limits.adopt(&new.limits);
        self.metrics.adopt(&new.metrics);
        self.log.adopt(&new.log);
    }
}
