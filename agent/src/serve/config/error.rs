//! What is wrong with a configuration file, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What it says is wrong.
    #[error("{}", lines(path, problems))]
    Wrong {
        /// Its path.
        path: PathBuf,
        /// All that is wrong, in the order of the file.
        problems: Vec<Problem>,
    },
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its line, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
    /// The key, with its section.
    pub key: Option<String>,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

fn lines(path: &std::path::Path, problems: &[Problem]) -> String {
    let line = |problem: &Problem| format!("{}:{problem}", path.display());
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}
