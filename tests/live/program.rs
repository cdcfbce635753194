//! The built program: started, waited for, stopped, and what it said at its end.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::room::{has_socket, has_xdp, path, root, wait_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_flowsift");

/// Longer than any end takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program with arguments, in an environment that does not depend on who runs the tests.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(root());
    command.env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

/// A capture that runs.
pub(crate) struct Capture {
    child: Child,
    /// What it says goes to a file: a pipe that nobody reads would stop it.
    said: tempfile::TempDir,
}

impl Capture {
    /// `flowsift capture ARGUMENTS`, attached to the interfaces when this returns.
    pub(crate) fn start(arguments: &[&str], interfaces: &[&str]) -> Self {
        let mut command = command(&["capture"]);
        for interface in interfaces {
            command.args(["-i", interface]);
        }
        command.args(arguments).stdout(Stdio::null());
        Self::spawn(command, interfaces)
    }

    /// Starts a prepared command and waits until it is attached; of `IFACE=TAG`, to IFACE.
    pub(crate) fn spawn(mut command: Command, interfaces: &[&str]) -> Self {
        let said = tempfile::tempdir().unwrap();
        command.stderr(File::create(said.path().join("stderr")).unwrap());
        // Beside XDP a socket may be another program's.
        let by_sockets = command.get_args().any(|word| word == "packet-socket");
        let is_attached = if by_sockets { has_socket } else { has_xdp };
        let child = command.spawn().unwrap();
        let mut capture = Self { child, said };
        for interface in interfaces {
            let name = interface.split('=').next().unwrap();
            wait_until(&format!("attached to {name}"), || {
                let ended = capture.child.try_wait().unwrap();
                assert!(ended.is_none(), "{ended:?}: {}", capture.said());
                is_attached(name)
            });
        }
        capture
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        let bytes = std::fs::read(path(&self.said, "stderr")).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Stops it as Ctrl-C does.
    pub(crate) fn stop(self) -> Ended {
        self.signal(libc::SIGINT);
        self.wait()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: i32) {
        let process = i32::try_from(self.child.id()).unwrap();
        // SAFETY: signals a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(process, signal) }, 0);
    }

    /// Waits until it ends.
    pub(crate) fn wait(mut self) -> Ended {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "no end: {}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        };
        let said = self.said();
        assert!(!said.contains("panicked at"), "{said}");
        Ended {
            code: status.code(),
            said,
        }
    }

    /// The running process.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a capture ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
}

/// What it said of an interface.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    pub(crate) seen: u64,
    pub(crate) stored: u64,
    pub(crate) dropped: u64,
    /// Packets by what became of them.
    pub(crate) parts: BTreeMap<String, u64>,
}

impl Ended {
    /// The statistics of an interface, after a check that they add up.
    pub(crate) fn statistics(&self, interface: &str) -> Statistics {
        assert_eq!(self.code, Some(0), "{}", self.said);
        assert!(!self.said.contains("please report"), "{}", self.said);
        let start = format!("{interface}: ");
        let mut lines = self
            .said
            .lines()
            .skip_while(|line| !(line.starts_with(&start) && line.contains("packets seen")));
        let first = lines.next().unwrap_or_else(|| panic!("{}", self.said));
        let numbers: Vec<u64> = first
            .split([' ', ','])
            .filter_map(|word| word.parse().ok())
            .collect();
        let [seen, stored, dropped] = numbers[..] else {
            panic!("{first}")
        };
        let parts = lines
            .map_while(|line| line.strip_prefix("  ")?.split_once(' '))
            .map(|(count, what)| (what.to_owned(), count.parse().unwrap()))
            .collect();
        let statistics = Statistics {
            seen,
            stored,
            dropped,
            parts,
        };
        let left_out = statistics.part("capture filter") + statistics.part("asked for");
        assert_eq!(seen, stored + dropped + left_out, "{}", self.said);
        statistics
    }
}

impl Statistics {
    /// Packets of the parts whose description contains this.
    pub(crate) fn part(&self, what: &str) -> u64 {
        let parts = self.parts.iter().filter(|(name, _)| name.contains(what));
        parts.map(|(_, count)| count).sum()
    }
}
