//! The place of a measurement: a namespace, a wire, a sender, and a recorder's process.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use agent_probe::{Pair, Program, Rate, Sent, frame, send};

use super::memory;
use super::recorders::Recorder;
use crate::Result;

/// Until a recorder that was started listens.
const SETTLE: Duration = Duration::from_millis(1_200);

/// Until what was sent has arrived and was read: tcpdump looks at its buffer once a second, and
/// leaves there what it has not read when it is asked to end.
const ARRIVE: Duration = Duration::from_millis(1_500);

/// How long a recorder may take to end.
const END: Duration = Duration::from_secs(30);

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// The wire and the sender.
pub(super) struct Lab {
    pub(super) program: PathBuf,
    pair: Pair,
    sender: Program,
    scratch: tempdir::Folder,
}

/// What became of the frames of one run.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) sent: Sent,
    /// Frames that arrived on the interface; the wire's own queue may lose some.
    pub(super) arrived: u64,
    /// What the recorder printed; `None` if it did not end when it was asked to.
    pub(super) printed: Option<String>,
    /// Memory of the recorder's processes that is no ring, in bytes, over time.
    pub(super) memory: Vec<u64>,
}

impl Outcome {
    /// The last words of a recorder that is to end.
    pub(super) fn last_words(&self) -> Result<&str> {
        Ok(self.printed.as_deref().ok_or("the capture did not end")?)
    }
}

impl Lab {
    /// Moves this process to a network of its own.
    pub(super) fn open(program: PathBuf) -> Result<Self> {
        let describe =
            |what: &str, e: std::io::Error| format!("cannot {what}: {e} (it needs root)");
        agent_probe::enter().map_err(|e| describe("make a network namespace", e))?;
        // The recorders and the sender alike come before what else the machine does.
        // SAFETY: touches no memory; a refusal changes nothing.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -10) };
        Ok(Self {
            program,
            pair: Pair::make("bench0", "bench1", 9000)
                .map_err(|e| describe("make a veth pair", e))?,
            sender: Program::sender().map_err(|e| describe("load the sender", e))?,
            scratch: tempdir::Folder::new()?,
        })
    }

    /// Starts the recorder, sends frames of `bytes` bytes, ends it.
    pub(super) fn run(
        &self,
        recorder: &Recorder,
        rate: Rate,
        frames: u64,
        bytes: u16,
    ) -> Result<Outcome> {
        let folder = self.store();
        fs::create_dir_all(&folder)?;
        let log = self.scratch.path().join("log");
        let mut child = self.start(recorder, &folder, &log)?;
        std::thread::sleep(SETTLE);
        let before = self.pair.arrived()?;
        let (mut memory, mut looked) = (Vec::new(), Instant::now());
        let sent = send(&self.sender, &frame(bytes), &self.pair, rate, |sent| {
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                memory.push(memory::anonymous_bytes(child.id()));
            }
            frames - sent.frames
        })?;
        std::thread::sleep(ARRIVE);
        let arrived = self.pair.arrived()? - before;
        let printed = match stop(&mut child, recorder.signal)? {
            true => Some(fs::read_to_string(&log)?),
            false => {
                eprintln!("{} did not end: killed, and not counted", recorder.name);
                None
            }
        };
        fs::remove_dir_all(&folder)?;
        Ok(Outcome {
            sent,
            arrived,
            printed,
            memory,
        })
    }

    /// Where a recorder writes to while it runs.
    pub(super) fn store(&self) -> PathBuf {
        self.scratch.path().join("out")
    }

    fn start(&self, recorder: &Recorder, folder: &Path, log: &Path) -> Result<Child> {
        let log = File::create(log)?;
        let mut command = match recorder.program {
            Some(program) => Command::new(program),
            None => Command::new(&self.program),
        };
        for name in recorder.folders {
            fs::create_dir(folder.join(name))?;
        }
        let meant = |word: &str| -> Option<OsString> {
            Some(match word {
                "IFACE" => self.pair.near.clone().into(),
                "STORE" => folder.as_os_str().to_owned(),
                "FILE" => folder.join("file.pcap").into_os_string(),
                _ => return None,
            })
        };
        let arguments = recorder.arguments.iter().map(|argument| {
            let (option, word) = argument.split_once('=').unwrap_or(("", argument));
            match meant(word) {
                Some(word) if option.is_empty() => word,
                Some(word) => {
                    let mut whole = OsString::from(format!("{option}="));
                    whole.push(word);
                    whole
                }
                None => (*argument).into(),
            }
        });
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}", recorder.name).into())
    }
}

/// Ends the recorder; whether it did.
fn stop(child: &mut Child, signal: libc::c_int) -> Result<bool> {
    let pid = libc::pid_t::try_from(child.id())?;
    // SAFETY: touches no memory; the process is our child, which nobody has waited for.
    unsafe { libc::kill(pid, signal) };
    let asked = Instant::now();
    while child.try_wait()?.is_none() {
        if asked.elapsed() > END {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(true)
}

mod tempdir {
    //! A folder that goes when its value does.

    use std::io;
    use std::path::{Path, PathBuf};

    pub(super) struct Folder(PathBuf);

    impl Folder {
        pub(super) fn new() -> io::Result<Self> {
            let name = format!("flowsift-bench-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path)?;
            Ok(Self(path))
        }

        pub(super) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            // What stays is in the folder for what may be removed.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
