//! What can go wrong while an answer is shown.

use std::io;

use datafusion::arrow::error::ArrowError;
use parquet::errors::ParquetError;

use super::format::Format;
use crate::capfile::write::WriteError;
use crate::types::EvType;

/// Why an answer could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The output did not take the bytes.
    #[error("cannot write the answer: {0}")]
    Write(#[from] io::Error),
    /// No such format.
    #[error("unknown format `{name}`")]
    UnknownFormat {
        /// As written.
        name: String,
    },
    /// The format does not suit the answer.
    #[error("format {format} cannot show {answer}")]
    Unsupported {
        /// The format asked for.
        format: Format,
        /// The answer, as a noun phrase.
        answer: &'static str,
        /// What to do instead.
        hint: String,
    },
    /// A batch does not have the columns of the answer.
    #[error("cannot show {answer} of {found} columns, it needs {needed}")]
    Columns {
        /// The answer, as a noun phrase.
        answer: &'static str,
        /// Columns that there are.
        found: usize,
        /// Columns that there must be, in words.
        needed: &'static str,
    },
    /// A column is not stored as its type says.
    #[error("cannot read column `{column}` as {ty}: {source}")]
    Column {
        /// Its name.
        column: String,
        /// Its type.
        ty: EvType,
        /// Why.
        source: ArrowError,
    },
    /// Arrow refused.
    #[error("cannot write arrow: {0}")]
    Arrow(ArrowError),
    /// Parquet refused.
    #[error("cannot write parquet: {0}")]
    Parquet(ParquetError),
    /// A capture file could not be written.
    #[error(transparent)]
    Capture(WriteError),
    /// The plot could not be drawn.
    #[error("cannot draw the {what}: {reason}")]
    Draw {
        /// What was drawn.
        what: &'static str,
        /// Why it failed, in the words of the plotting crate.
        reason: String,
    },
}

impl Error {
    /// Whether the reader of the output went away, which ends a program quietly.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unsupported { hint, .. } => Some(hint.clone()),
            Self::UnknownFormat { .. } => {
                let names: Vec<_> = Format::ALL.iter().map(|f| f.name()).collect();
                Some(format!("formats are {}", names.join(", ")))
            }
            _ => None,
        }
    }
}

/// Arrow hides an I/O error behind its own; a broken pipe has to stay one.
impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, io) => Self::Write(io),
            other => Self::Arrow(other),
        }
    }
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Output(io) => Self::Write(io),
            other => Self::Capture(other),
        }
    }
}

impl From<ParquetError> for Error {
    fn from(error: ParquetError) -> Self {
        Self::Parquet(error)
    }
}
