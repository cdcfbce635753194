//! The log: lines on standard error, with the time, or with the priority that the journal reads.

use std::fmt;
use std::io;
use std::os::fd::AsFd as _;
use std::os::linux::fs::MetadataExt as _;

use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

use super::super::error::Error;
use crate::serve::config::{Journal, Level, Log};

/// Changes how much is told.
#[derive(Clone)]
pub(super) struct Volume(reload::Handle<LevelFilter, Registry>);

impl Volume {
    /// From now on.
    pub(super) fn set(&self, level: Level) {
        // Fails only where the subscriber is gone, which lives as long as the process.
        let _ = self.0.reload(filter(level));
    }
}

/// Starts the log of this process; once.
pub(super) fn start(log: &Log) -> Result<Volume, Error> {
    let journal = match log.journal {
        Journal::Auto => goes_to_journal(std::env::var("JOURNAL_STREAM").ok().as_deref()),
        Journal::Yes => true,
        Journal::No => false,
    };
    let (filter, handle) = reload::Layer::new(filter(log.level));
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Lines { journal })
        .with_ansi(false)
        .with_writer(io::stderr);
    let started = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
    started.map_err(|error| Error::Capture {
        message: format!("cannot start the log: {error}"),
        hint: None,
    })?;
    Ok(Volume(handle))
}

const fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}

/// Whether standard error is the journal's stream, which `JOURNAL_STREAM` names by device and
/// inode (systemd.exec(5)): the variable alone may be inherited.
fn goes_to_journal(stream: Option<&str>) -> bool {
    let Some((device, inode)) = stream.and_then(|stream| stream.split_once(':')) else {
        return false;
    };
    let error = io::stderr();
    let file = error.as_fd().try_clone_to_owned().map(std::fs::File::from);
    let found = file.and_then(|file| file.metadata());
    found.is_ok_and(|found| {
        device.parse() == Ok(found.st_dev()) && inode.parse() == Ok(found.st_ino())
    })
}

struct Lines {
    journal: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        let mut text = String::new();
        context.format_fields(Writer::new(&mut text), event)?;
        if !self.journal {
            SystemTime.format_time(&mut writer)?;
            return writeln!(writer, " {level:>5} {text}");
        }
        // Each line is an entry of its own there.
        for line in text.lines() {
            writeln!(writer, "<{}>{line}", priority(level))?;
        }
        Ok(())
    }
}

/// As sd-daemon(3) and syslog(3) number them.
fn priority(level: tracing::Level) -> u8 {
    match level {
        tracing::Level::ERROR => 3,
        tracing::Level::WARN => 4,
        tracing::Level::INFO => 6,
        tracing::Level::DEBUG | tracing::Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged in the two forms.
    fn logged(journal: bool, tell: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let lines = tracing_subscriber::fmt::layer()
            .event_format(Lines { journal })
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry()
            .with(filter(Level::Info))
            .with(lines);
        tracing::subscriber::with_default(subscriber, tell);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_journal_gets_a_priority_for_each_line() {
        let text = logged(true, || {
            tracing::warn!("one\ntwo");
            tracing::info!(packets = 3, "three");
            tracing::debug!("not this");
            tracing::error!("four");
        });
        assert_eq!(text, "<4>one\n<4>two\n<6>three packets=3\n<3>four\n");
    }

    #[test]
    fn others_get_the_time() {
        let text = logged(false, || tracing::warn!("one"));
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.contains('T'), "{text}");
        assert_eq!(rest, " WARN one\n");
    }

    #[test]
    fn the_variable_alone_is_no_journal() {
        assert!(!goes_to_journal(None));
        assert!(!goes_to_journal(Some("1:2")));
        assert!(!goes_to_journal(Some("x")));
    }
}
