//! The privilege split: this executable a second time, as a worker that gets descriptors.
//!
//! ```text
//! parent (attaches) ==socketpair, one message a datagram== worker (reads rings, writes files)
//! ```
//!
//! Each side sees the end of the other as the end of the channel. No shell is run, and nothing is
//! inherited but what is named.

mod channel;
mod message;

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use channel::Channel;
pub use channel::{PassedFd, Received};
pub use message::{Message, MessageError};

/// Names the worker's descriptors: `channel=3,counters=4`.
const VARIABLE: &str = "FLOWSIFT_WORKER";

/// The name of the worker's end of the channel.
const CHANNEL: &str = "channel";

/// Why there are not two processes, or they cannot talk.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// There is no channel.
    #[error("cannot make the channel to the worker: {0}")]
    Channel(#[source] io::Error),
    /// The worker cannot be started.
    #[error("cannot start the worker (/proc/self/exe again): {0}")]
    Spawn(#[source] io::Error),
    /// The name of a descriptor has a character that the environment variable gives a meaning to.
    #[error("cannot pass a descriptor under the name '{0}'")]
    Name(String),
    /// The environment variable is not what a parent of ours sets.
    #[error("cannot be a worker: {VARIABLE}={value} {reason}")]
    NoWorker {
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nothing can be sent.
    #[error("cannot send '{message}' to the other part: {error}")]
    Send {
        /// What.
        message: String,
        /// Why not.
        error: io::Error,
    },
    /// Nothing can be received.
    #[error("cannot receive from the other part: {0}")]
    Receive(#[source] io::Error),
    /// What was received is no message: a defect of ours.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The worker's end cannot be waited for.
    #[error("cannot wait for the worker: {0}")]
    Wait(#[source] io::Error),
}

/// The privileged part's end.
#[derive(Debug)]
pub struct ParentEnd {
    channel: Channel,
    child: Child,
}

/// The worker's end.
#[derive(Debug)]
pub struct WorkerEnd {
    channel: Channel,
    fds: BTreeMap<String, OwnedFd>,
}

/// Starts this executable again with the same arguments; there, [`worker`] gives the other end
/// and copies of `fds` by name.
///
/// # Errors
/// If it cannot be started.
pub fn spawn_worker(fds: &[(&str, BorrowedFd<'_>)]) -> Result<ParentEnd, SplitError> {
    let (ours, theirs) = Channel::pair().map_err(SplitError::Channel)?;
    let mut value = format!("{CHANNEL}={}", theirs.as_raw_fd());
    for (name, fd) in fds {
        if name.is_empty() || *name == CHANNEL || name.contains(['=', ',']) {
            return Err(SplitError::Name((*name).to_owned()));
        }
        value.push_str(&format!(",{name}={}", fd.as_raw_fd()));
    }
    let passed: Vec<RawFd> = std::iter::once(theirs.as_raw_fd())
        .chain(fds.iter().map(|(_, fd)| fd.as_raw_fd()))
        .collect();
    let mut arguments = env::args_os();
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(
            arguments
                .next()
                .unwrap_or_else(|| OsString::from("flowsift")),
        )
        .args(arguments)
        .env(VARIABLE, value);
    // SAFETY: between fork and exec only close_range and fcntl are called, which are
    // async-signal-safe and allocate nothing.
    unsafe {
        command.pre_exec(move || pass_only(&passed));
    }
    let child = command.spawn().map_err(SplitError::Spawn)?;
    Ok(ParentEnd {
        channel: ours,
        child,
    })
}

/// The worker's end, where this process is one that [`spawn_worker`] started; once.
///
/// # Errors
/// If the environment says so, but the descriptors are not there.
pub fn worker() -> Result<Option<WorkerEnd>, SplitError> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let Some(value) = env::var_os(VARIABLE) else {
        return Ok(None);
    };
    let value = value.to_string_lossy();
    let wrong = |reason| SplitError::NoWorker {
        value: value.clone().into_owned(),
        reason,
    };
    let numbers = parse(&value).ok_or_else(|| wrong("is not a list of descriptors"))?;
    if !numbers.values().all(|number| is_open(*number)) {
        return Err(wrong("names descriptors that are not open"));
    }
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(wrong("was used before"));
    }
    let own = |(name, number)| -> io::Result<(String, OwnedFd)> {
        // SAFETY: it is open, it was passed for us alone, and it is taken only once.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        set_close_on_exec(number, true)?;
        Ok((name, fd))
    };
    let fds: io::Result<BTreeMap<String, OwnedFd>> = numbers.into_iter().map(own).collect();
    let mut fds = fds.map_err(SplitError::Channel)?;
    let channel = fds.remove(CHANNEL).ok_or_else(|| wrong("has no channel"))?;
    let channel = Channel::from_fd(channel).ok_or_else(|| wrong("names no channel"))?;
    Ok(Some(WorkerEnd { channel, fds }))
}

impl ParentEnd {
    /// Sends a message; an error of [`io::ErrorKind::BrokenPipe`] if the worker is gone.
    ///
    /// # Errors
    /// If it cannot be sent.
    pub fn send(&self, message: &Message) -> Result<(), SplitError> {
        self.channel.send(message, None)
    }

    /// As [`ParentEnd::send`], with a descriptor that the worker gets a copy of.
    ///
    /// # Errors
    /// If it cannot be sent.
    pub fn send_with(&self, message: &Message, fd: BorrowedFd<'_>) -> Result<(), SplitError> {
        self.channel.send(message, Some(fd))
    }

    /// Waits for a message for at most this long.
    ///
    /// # Errors
    /// If the channel fails.
    pub fn receive(&self, timeout: Duration) -> Result<Received, SplitError> {
        self.channel.receive(timeout)
    }

    /// Closes the channel and waits for the worker's end.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn finish(self) -> Result<ExitStatus, SplitError> {
        let Self { channel, mut child } = self;
        drop(channel);
        child.wait().map_err(SplitError::Wait)
    }
}

impl WorkerEnd {
    /// A descriptor by the name that the parent gave it; once.
    pub fn take(&mut self, name: &str) -> Option<OwnedFd> {
        self.fds.remove(name)
    }

    /// All descriptors `PREFIX0`, `PREFIX1`, ... in their order.
    pub fn take_all(&mut self, prefix: &str) -> Vec<OwnedFd> {
        (0..)
            .map_while(|number: u32| self.take(&format!("{prefix}{number}")))
            .collect()
    }

    /// Sends a message; an error of [`io::ErrorKind::BrokenPipe`] if the parent is gone.
    ///
    /// # Errors
    /// If it cannot be sent.
    pub fn send(&self, message: &Message) -> Result<(), SplitError> {
        self.channel.send(message, None)
    }

    /// Waits for a message for at most this long.
    ///
    /// # Errors
    /// If the channel fails.
    pub fn receive(&self, timeout: Duration) -> Result<Received, SplitError> {
        self.channel.receive(timeout)
    }
}

/// `NAME=NUMBER,...`, each name and number once, none of the standard descriptors.
fn parse(value: &str) -> Option<BTreeMap<String, RawFd>> {
    let mut numbers = BTreeMap::new();
    for part in value.split(',') {
        let (name, number) = part.split_once('=')?;
        let number: RawFd = number.parse().ok().filter(|number| *number > 2)?;
        let twice = numbers.values().any(|other| *other == number);
        if name.is_empty() || twice || numbers.insert(name.to_owned(), number).is_some() {
            return None;
        }
    }
    Some(numbers)
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: asks for flags; any number is allowed.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// In the child: closes all at exec but the standard descriptors and `passed`.
fn pass_only(passed: &[RawFd]) -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: changes flags of this process's descriptors and touches no memory.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, flags) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    passed
        .iter()
        .try_for_each(|fd| set_close_on_exec(*fd, false))
}

fn set_close_on_exec(fd: RawFd, on: bool) -> io::Result<()> {
    let flags = if on { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: changes a flag of a descriptor and touches no memory.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, flags) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_descriptors_is_read_with_care() {
        let read = parse("channel=3,tuples0=4").unwrap();
        assert_eq!(read.get("channel"), Some(&3));
        assert_eq!(read.get("tuples0"), Some(&4));
        for wrong in [
            "",
            "channel",
            "channel=1",
            "a=3,a=4",
            "a=3,b=3",
            "=3",
            "a=-1",
            "a=x",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn this_process_is_no_worker() {
        assert!(worker().unwrap().is_none());
    }

    #[test]
    fn names_with_separators_are_refused() {
        let input = io::stdin();
        let fd = std::os::fd::AsFd::as_fd(&input);
        for name in ["", "channel", "a=b", "a,b"] {
            let error = spawn_worker(&[(name, fd)]).unwrap_err();
            assert!(matches!(error, SplitError::Name(_)), "{error}");
        }
    }
}
