//! What can go wrong while a query runs, by who can do something about it.

use datafusion::common::DataFusionError;
use thiserror::Error;

use super::scan::split_missed;

/// Why a query gave no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The query asks for something that cannot be computed.
    #[error("the query cannot run: {0}")]
    Query(String),
    /// The input cannot be read.
    #[error("cannot read the input: {0}")]
    Data(String),
    /// The memory limit or the temporary disk space does not suffice.
    #[error("out of memory within the limit: {stage}")]
    Resources {
        /// What asked for memory, in the engine's words.
        stage: String,
        /// What to do about it.
        hint: String,
    },
    /// A file that was divided among threads turned out damaged or different at the place: the
    /// query is to be run again with [`super::RunOptions::split`] off.
    #[error("a file was divided at a place that does not hold: {0}")]
    SplitMissed(String),
    /// A mistake in the program.
    #[error("internal error of the engine: {0}")]
    Internal(String),
}

impl Error {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Resources { hint, .. } => Some(hint),
            _ => None,
        }
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        if split_missed(&error) {
            return Self::SplitMissed(error.find_root().to_string());
        }
        match error.find_root() {
            DataFusionError::ResourcesExhausted(stage) => Self::Resources {
                stage: stage.clone(),
                hint: "narrow the time range or filter earlier, group by fewer or coarser keys, \
                       or raise the memory limit"
                    .to_owned(),
            },
            DataFusionError::IoError(error) => Self::Data(error.to_string()),
            DataFusionError::External(error) => Self::Data(error.to_string()),
            DataFusionError::Execution(message) => Self::Data(message.clone()),
            other => Self::Internal(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exhausted_memory_is_found_below_its_context() {
        let error = DataFusionError::ResourcesExhausted("GroupedHashAggregate".to_owned());
        let error = Error::from(error.context("while spilling"));
        assert!(
            matches!(&error, Error::Resources { stage, .. } if stage == "GroupedHashAggregate")
        );
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("memory limit"))
        );
    }
}
