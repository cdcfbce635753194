//! As many open files as the system allows: a store has thousands.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files to the highest that may be set without privileges.
///
/// The usual one of 1024 is for programs that call `select`, which this one does not. If it cannot
/// be raised, a query that needs more says so.
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}
