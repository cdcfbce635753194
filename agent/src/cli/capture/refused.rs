//! Why the kernel refuses the program or its attachment, with what to do.

use super::super::error::Error;
use super::failed;
use crate::capture::guard::capabilities;
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
            AttachError::SocketPermission { .. } => no_sockets(&error),
            error => explained(
                &error,
                matches!(error, AttachError::Permission { .. }),
                hint,
            ),
        }
    }
}

/// What packet sockets need is one capability, in the user namespace of the network's.
fn no_sockets(error: &AttachError) -> Error {
    let environment = Environment::read();
    if environment.capabilities.has(capabilities::NET_RAW) {
        let hint = "CAP_NET_RAW is there, so a seccomp profile, a security module, or a user \
                    namespace other than the network's may be the reason";
        return failed(error, Some(hint.to_owned()));
    }
    Error::Capture {
        message: format!(
            "{error}\n  because this process lacks {}",
            capabilities::NET_RAW
        ),
        hint: Some(capabilities::how_to_get_sockets(&environment.program).join("\n        ")),
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
