//! The program's errors, and the exit code that each has.

use std::io;
#[cfg(feature = "engine")]
use std::path::PathBuf;

#[cfg(feature = "engine")]
use crate::render::Error as RenderError;

/// Why the program did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[cfg(feature = "engine")]
    /// The query is wrong; the text is the rendered diagnostics.
    #[error("{0}")]
    Query(String),
    /// The command line is wrong.
    #[error("error: {message}\n  hint: {hint}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to write.
        hint: String,
    },
    #[cfg(feature = "engine")]
    /// A file of the command line could not be used.
    #[error("error: cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The daemon's configuration is wrong; the text says where.
    #[cfg(feature = "capture")]
    #[error("error: {message}")]
    Config {
        /// What is wrong.
        message: String,
        /// What to do about it, where the text does not say it.
        hint: Option<String>,
    },
    /// What a command prints could not be written.
    #[error("error: cannot write the answer: {0}")]
    Output(#[from] io::Error),
    /// The input cannot be read at all.
    #[error("error: {0}")]
    Input(#[from] crate::capfile::Error),
    #[cfg(feature = "engine")]
    /// The query failed while running.
    #[error("error: {0}")]
    Run(#[from] crate::exec::Error),
    #[cfg(feature = "engine")]
    /// The answer could not be written.
    #[error("error: {0}")]
    Render(#[from] RenderError),
    #[cfg(feature = "engine")]
    /// The runtime could not be started.
    #[error("error: cannot start threads: {0}")]
    Runtime(io::Error),
    /// The store cannot be used.
    #[error("error: {0}")]
    Store(#[from] crate::store::Error),
    /// A running capture cannot be asked.
    #[error("error: {0}")]
    Agent(#[from] crate::serve::client::ClientError),
    /// What was to be done with the store failed; the text says what and why.
    #[error("error: {0}")]
    StoreWork(String),
    /// Packets cannot be captured.
    #[cfg(feature = "capture")]
    #[error("error: {message}")]
    Capture {
        /// What failed, and why.
        message: String,
        /// What to do about it, where that is known.
        hint: Option<String>,
    },
    #[cfg(all(feature = "engine", feature = "capture"))]
    /// The capture of a live query did not start; the text is what it said.
    #[error("{0}")]
    OwnCapture(String),
    #[cfg(feature = "engine")]
    /// A live query over a store that nobody writes to.
    #[error("error: no agent writes to {0}")]
    NoWriter(String),
    #[cfg(feature = "engine")]
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// The exit code (an interface: README, "Exit codes").
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            #[cfg(feature = "capture")]
            Self::Config { .. } => 2,
            #[cfg(feature = "engine")]
            Self::Query(_) => 2,
            #[cfg(feature = "engine")]
            Self::Render(RenderError::Unsupported { .. } | RenderError::UnknownFormat { .. }) => 2,
            #[cfg(feature = "engine")]
            Self::Run(crate::exec::Error::Query(_)) => 2,
            #[cfg(feature = "engine")]
            // As a shell reports a process ended by SIGINT.
            Self::Interrupted => 130,
            _ => 1,
        }
    }

    /// Its text without the word that says it is an error.
    #[cfg(feature = "capture")]
    pub(super) fn bare(&self) -> String {
        let text = self.to_string();
        text.strip_prefix("error: ").unwrap_or(&text).to_owned()
    }

    /// What to do about it, where that is known.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Input(error) => error.hint().map(str::to_owned),
            Self::Agent(error) => error.hint(),
            #[cfg(feature = "engine")]
            Self::NoWriter(_) => Some(
                "start one (flowsift capture -i IFACE --store DIR), or ask what is stored without --live"
                    .to_owned(),
            ),
            #[cfg(feature = "engine")]
            Self::Render(error) => error.hint(),
            #[cfg(feature = "capture")]
            Self::Capture { hint, .. } | Self::Config { hint, .. } => hint.clone(),
            _ => None,
        }
    }

    /// Whether the reader of the output went away, which is no error.
    pub(super) fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            #[cfg(feature = "engine")]
            Self::Render(error) => error.is_broken_pipe(),
            _ => false,
        }
    }
}
