//! The ssh session that this process was started from, whose packets its output would multiply.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt as _;

use super::Job;
use crate::record::Connection;

/// Set by sshd: the client's address and port, and the server's.
const VARIABLE: &str = "SSH_CONNECTION";

/// Processes between this one and the login shell, at most.
const MAX_ANCESTORS: usize = 32;

/// The session's connection, where what is printed goes through it.
pub(super) fn own(job: &Job) -> Option<Connection> {
    let stream = job.write.as_deref() == Some("-".as_ref()) && leaves(&io::stdout());
    let status = !job.quiet && io::stderr().is_terminal();
    if job.own || !(stream || status) {
        return None;
    }
    let here = std::env::var(VARIABLE).ok();
    // sudo takes the variable away from what it starts.
    parse(&here.or_else(of_ancestors)?)
}

/// Whether what is written there may be sent on: not so to a file or to nowhere.
fn leaves(output: &impl AsFd) -> bool {
    let file = output.as_fd().try_clone_to_owned().map(fs::File::from);
    let kind = file.and_then(|file| file.metadata());
    kind.is_ok_and(|kind| kind.file_type().is_fifo() || kind.file_type().is_socket())
        || output.as_fd().is_terminal()
}

fn of_ancestors() -> Option<String> {
    let mut process = std::os::unix::process::parent_id();
    for _ in 0..MAX_ANCESTORS {
        if process <= 1 {
            return None;
        }
        let variables = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        if let Some(value) = variable(&variables) {
            return Some(value);
        }
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        process = status
            .lines()
            .find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())?;
    }
    None
}

/// The value in what `/proc/PID/environ` has: `NAME=VALUE`, each ended by a zero byte.
fn variable(environment: &[u8]) -> Option<String> {
    let mut variables = environment.split(|byte| *byte == 0);
    variables.find_map(|text| {
        let text = std::str::from_utf8(text).ok()?;
        let value = text.strip_prefix(VARIABLE)?.strip_prefix('=')?;
        Some(value.to_owned())
    })
}

fn parse(value: &str) -> Option<Connection> {
    let mut words = value.split_whitespace();
    let mut end = || -> Option<SocketAddr> {
        // An address of the link has its interface behind it, which packets do not tell.
        let address = words.next()?.split('%').next()?.parse().ok()?;
        Some(SocketAddr::new(address, words.next()?.parse().ok()?))
    };
    let there = end()?;
    Some(Connection {
        here: end()?,
        there: Some(there),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_of_sshd_is_read() {
        let found = parse("192.0.2.9 40000 192.0.2.1 22").unwrap();
        assert_eq!(found.here, "192.0.2.1:22".parse().unwrap());
        assert_eq!(found.there, "192.0.2.9:40000".parse().ok());
        let found = parse("fe80::9%lan0 40000 fe80::1%lan0 22").unwrap();
        assert_eq!(found.here, "[fe80::1]:22".parse().unwrap());
        for wrong in ["", "192.0.2.9", "192.0.2.9 x 192.0.2.1 22", "a b c d"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn it_is_found_in_an_environment() {
        let environment = b"A=1\0XSSH_CONNECTION=no\0SSH_CONNECTION=a 1 b 2\0Z=\0";
        assert_eq!(variable(environment).as_deref(), Some("a 1 b 2"));
        assert_eq!(variable(b"A=1\0"), None);
    }

    #[test]
    fn what_is_written_to_a_file_stays_here() {
        assert!(!leaves(&tempfile::tempfile().unwrap()));
        let (reader, _writer) = io::pipe().unwrap();
        assert!(leaves(&reader));
    }
}
