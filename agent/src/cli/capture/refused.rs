//! Why the kernel refuses the program or its attachment, with what to do.

use super::super::error::Error;
use super::failed;
use crate::capture::guard::explain::{Environment, Reason};
use crate::capture::{AttachError, ProgramError};

impl From<ProgramError> for Error {
    fn from(error: ProgramError) -> Self {
        let by_place = matches!(
            error,
            ProgramError::Permission(_)
                | ProgramError::Unsupported { .. }
                | ProgramError::Refused { .. }
        );
        let hint = error.hint().map(str::to_owned);
        explained(&error, by_place, hint)
    }
}

impl From<AttachError> for Error {
    fn from(error: AttachError) -> Self {
        let hint = error.hint().map(str::to_owned);
        match error {
            AttachError::Program(error) => error.into(),
            error => explained(
                &error,
                matches!(error, AttachError::Permission { .. }),
                hint,
            ),
        }
    }
}

/// `by_place`: whether the reason may lie in where and as whom this process runs.
fn explained(error: &dyn std::error::Error, by_place: bool, hint: Option<String>) -> Error {
    if !by_place {
        return failed(error, hint);
    }
    let mut reasons = Environment::read().reasons();
    if hint.is_some() {
        reasons.retain(|reason| *reason != Reason::Unknown);
    }
    if reasons.is_empty() {
        return failed(error, hint);
    }
    let because: Vec<_> = reasons
        .iter()
        .map(|reason| format!("\n  because {reason}"))
        .collect();
    let hints: Vec<_> = reasons.iter().flat_map(Reason::hints).collect();
    Error::Capture {
        message: format!("{error}{}", because.concat()),
        hint: Some(hints.join("\n        ")),
    }
}
