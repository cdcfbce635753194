//! The end of privileges: what a process can no longer do once it has what it needs.
//!
//! ```text
//! user -> capabilities -> no_new_privs -> Landlock -> seccomp -> read back
//! ```
//!
//! Everything here holds for the calling thread and those that it starts, so [`enter`] refuses to
//! work where there is more than one.

pub mod capabilities;
pub mod explain;
mod sandbox;
mod seccomp;
mod user;

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};

pub use capabilities::{CapabilityError, CapabilitySet};
pub use sandbox::{Sandbox, SandboxError};
pub use seccomp::SeccompError;
pub use user::{User, UserError, find_group};

/// Why a process still has privileges.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Capabilities cannot be read or given up.
    #[error(transparent)]
    Capabilities(#[from] CapabilityError),
    /// Another user cannot be become.
    #[error(transparent)]
    User(#[from] UserError),
    /// Landlock refuses the rules.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The filter of system calls is refused.
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    /// `prctl` refuses.
    #[error("cannot set no_new_privs: {0}")]
    NoNewPrivs(#[source] io::Error),
    /// Threads that would keep their privileges.
    #[error("cannot give up privileges: {0} threads run already, which would keep theirs")]
    Threads(usize),
    /// What the kernel says afterwards is not what was asked for.
    #[error("privileges were given up, but {field} in /proc/self/status is {value}")]
    NotEffective {
        /// The line's name.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// The process's own state cannot be read.
    #[error("cannot read {path}: {error}")]
    Status {
        /// Which file.
        path: &'static str,
        /// Why not.
        error: io::Error,
    },
}

/// Less than was asked for, because this kernel has no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardNote {
    /// Landlock is not there.
    #[error(
        "the kernel has no Landlock (or it is not in the lsm= list): files are protected by \
         their permissions alone"
    )]
    NoLandlock,
    /// Landlock is older than its rules.
    #[error("the kernel's Landlock is older than what is asked of it: {0}")]
    OldLandlock(String),
    /// The bounding set stays, which means nothing with no_new_privs.
    #[error("the bounding set of capabilities stays as it is: that needs CAP_SETPCAP")]
    BoundingSet,
}

/// What a process without privileges still needs.
#[derive(Debug, Default)]
pub struct Confinement<'a> {
    /// Who it is from now on; `None`: who it is.
    pub user: Option<&'a User>,
    /// What it may open.
    pub sandbox: Sandbox,
}

/// Gives up everything but what `confinement` names, for good, and reads back that it is gone.
///
/// # Errors
/// If anything is refused or not effective: the process must then end.
pub fn enter(confinement: &Confinement<'_>) -> Result<Vec<GuardNote>, GuardError> {
    let threads = fs::read_dir("/proc/self/task").map_err(|error| GuardError::Status {
        path: "/proc/self/task",
        error,
    })?;
    match threads.count() {
        1 => {}
        more => return Err(GuardError::Threads(more)),
    }
    // Opened while that is allowed; a read of it tells how things are then.
    let mut status = File::open(STATUS).map_err(status_error)?;
    let mut notes = Vec::new();
    let bounding = capabilities::drop_bounding(CapabilitySet::EMPTY)?;
    if !bounding {
        notes.push(GuardNote::BoundingSet);
    }
    if let Some(user) = confinement.user {
        user.become_for_good()?;
    }
    capabilities::limit(CapabilitySet::EMPTY)?;
    no_new_privs()?;
    notes.extend(confinement.sandbox.enter()?);
    seccomp::enter()?;
    verify(&read_again(&mut status)?, bounding)?;
    Ok(notes)
}

/// Keeps what attaching needs and gives up every other capability: for the part that attaches.
/// To be called after [`super::split::spawn_worker`]: a worker that starts with less can neither
/// become another user nor empty its bounding set.
///
/// # Errors
/// If the kernel refuses.
pub fn keep_attaching() -> Result<(), GuardError> {
    keep_only(capabilities::FOR_ATTACHING)
}

/// As [`keep_attaching`], for the part that opens packet sockets.
///
/// # Errors
/// If the kernel refuses.
pub fn keep_sockets() -> Result<(), GuardError> {
    keep_only(capabilities::FOR_SOCKETS)
}

fn keep_only(needed: CapabilitySet) -> Result<(), GuardError> {
    let keep = capabilities::held()?.intersection(needed);
    capabilities::drop_bounding(keep)?;
    capabilities::limit(keep)?;
    no_new_privs()
}

const STATUS: &str = "/proc/thread-self/status";

fn status_error(error: io::Error) -> GuardError {
    GuardError::Status {
        path: STATUS,
        error,
    }
}

fn read_again(status: &mut File) -> Result<String, GuardError> {
    let mut text = String::new();
    status
        .rewind()
        .and_then(|()| status.read_to_string(&mut text))
        .map_err(status_error)?;
    Ok(text)
}

/// Forbids gaining privileges by executing a file, and lets those without any use seccomp.
fn no_new_privs() -> Result<(), GuardError> {
    // SAFETY: sets a flag of this thread and touches no memory.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    if result == 0 {
        Ok(())
    } else {
        Err(GuardError::NoNewPrivs(io::Error::last_os_error()))
    }
}

/// What the lines of `/proc/self/status` must say.
fn verify(status: &str, bounding: bool) -> Result<(), GuardError> {
    const NONE: &str = "0000000000000000";
    let expected = [
        ("CapInh", NONE, true),
        ("CapPrm", NONE, true),
        ("CapEff", NONE, true),
        ("CapBnd", NONE, bounding),
        ("CapAmb", NONE, true),
        ("NoNewPrivs", "1", true),
        ("Seccomp", "2", true),
    ];
    for (field, expected, needed) in expected {
        let value = line(status, field).unwrap_or("missing");
        if needed && value != expected {
            return Err(GuardError::NotEffective {
                field,
                value: value.to_owned(),
            });
        }
    }
    Ok(())
}

/// The value of a line `field:\tvalue`.
fn line<'a>(status: &'a str, field: &str) -> Option<&'a str> {
    let mut lines = status.lines();
    lines.find_map(|line| Some(line.strip_prefix(field)?.strip_prefix(':')?.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE: &str = "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n\
        CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\n\
        NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t2\n";

    #[test]
    fn what_is_left_is_found() {
        assert!(verify(GONE, true).is_ok());
        for (field, value) in [
            ("CapPrm", "0000008000000000"),
            ("CapBnd", "000001fffeffffff"),
            ("NoNewPrivs", "0"),
            ("Seccomp", "0"),
        ] {
            let old = format!("{field}:\t{}\n", line(GONE, field).unwrap());
            let text = GONE.replace(&old, &format!("{field}:\t{value}\n"));
            let error = verify(&text, true).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("privileges were given up, but {field} in /proc/self/status is {value}")
            );
            assert_eq!(verify(&text, false).is_ok(), field == "CapBnd");
        }
        assert!(verify("", true).is_err());
    }

    #[test]
    fn threads_that_would_keep_theirs_are_an_error() {
        // The test harness has a thread beside this one.
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || wait.recv());
        let result = enter(&Confinement::default());
        drop(stop);
        assert!(other.join().unwrap().is_err());
        assert!(
            matches!(result, Err(GuardError::Threads(2..))),
            "{result:?}"
        );
    }
}
