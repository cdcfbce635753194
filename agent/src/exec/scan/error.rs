//! Why a scan fails; damage inside a file is no failure, and stands in the report.

use datafusion::common::DataFusionError;

use crate::capfile;

/// A scan that cannot give its answer.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// A file cannot be opened.
    #[error(transparent)]
    Capture(#[from] capfile::Error),
    /// The parts of a divided file do not meet: the answer would not be that of the whole file.
    #[error("the parts of {file} do not meet; it has to be read unsplit")]
    SplitMissed {
        /// Name of the input.
        file: String,
    },
}

impl From<ScanError> for DataFusionError {
    fn from(error: ScanError) -> Self {
        Self::External(Box::new(error))
    }
}

/// Whether a query failed only because a file had been divided: it is to be run again with
/// [`super::ScanOptions::split`] off (and a fresh report).
pub fn split_missed(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::External(cause) => matches!(
            cause.downcast_ref::<ScanError>(),
            Some(ScanError::SplitMissed { .. })
        ),
        _ => false,
    }
}
