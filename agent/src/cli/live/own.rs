//! A live query that captures by itself: a capture into a store of its own, which is followed as
//! any other and is gone with the query.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::super::args::QueryArgs;
use super::super::error::Error;
use super::stops::Stops;
use crate::capfile::Warning;
use crate::live::{self, Feed, Following, Step};
use crate::serve::client::Client;
use crate::serve::protocol::Want;
use crate::store::Tail;
use crate::store::tail::Wants;
use crate::wall;

/// What is kept of the packets while the query is behind, and the size of a file of it.
const KEPT: &str = "512MiB";
const FILE: &str = "64MiB";

/// What the folders of such captures begin with.
const NAME: &str = "flowsift-live-";

/// How long the capture may take to start.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

/// A capture of our own.
pub(super) struct OwnCapture {
    child: Child,
    /// What it says.
    said: Receiver<String>,
    store: Folder,
    following: Following,
    /// It was told to end: a second time would not let it end in order.
    stopped: bool,
}

impl OwnCapture {
    /// Starts capturing from the interfaces of the command line.
    ///
    /// # Errors
    /// If it cannot be started: in its own words.
    pub(super) fn start(args: &QueryArgs, wants: Wants, stops: &Stops) -> Result<Self, Error> {
        let store = Folder::create(args.answer.temp_dir.as_deref())?;
        let program = std::env::current_exe().map_err(Error::Runtime)?;
        let mut command = Command::new(program);
        command
            .arg("capture")
            .arg("--quiet")
            .arg("--store")
            .arg(&store.0);
        command.args(["--keep-size", KEPT, "-C", FILE]);
        // Ctrl-C is this process's to hear, which ends the capture in order; so is its own end.
        command.process_group(0);
        command.args(["--end-with", &std::process::id().to_string()]);
        for interface in &args.interface {
            command.arg("-i").arg(interface);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Error::Runtime)?;
        let (tell, said) = channel();
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || {
                let lines = BufReader::new(stderr).lines();
                for line in lines.map_while(Result::ok) {
                    if tell.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let agent = connect(&mut child, &said, &store.0, stops)?;
        let tail = Tail::new(&store.0, wants, Some(&Default::default()))?;
        let following = Following::new(&store.0, tail, Some(agent));
        Ok(Self {
            child,
            said,
            store,
            following,
            stopped: false,
        })
    }

    pub(super) fn store(&self) -> &Path {
        &self.store.0
    }
}

/// Waits until the capture answers.
fn connect(
    child: &mut Child,
    said: &Receiver<String>,
    store: &Path,
    stops: &Stops,
) -> Result<Client, Error> {
    let started = Instant::now();
    loop {
        if let Ok(agent) = Client::connect(store, Want::Commits) {
            return Ok(agent);
        }
        if stops.said() > 0 {
            let _ = kill_process(Pid::from_child(child), Signal::INT);
            let _ = child.wait();
            return Err(Error::Interrupted);
        }
        let ended = child.try_wait().map_err(Error::Runtime)?;
        if ended.is_some() || started.elapsed() > PATIENCE {
            // It is over: its last words come, and then the end of them.
            let _ = child.kill();
            let words: Vec<String> = said.iter().collect();
            return Err(Error::OwnCapture(match words.is_empty() {
                true => "error: the capture of this query did not start".to_owned(),
                false => words.join("\n"),
            }));
        }
        std::thread::sleep(LOOK);
    }
}

impl Feed for OwnCapture {
    fn next(&mut self, timeout: Duration) -> Result<Step, live::Error> {
        let mut step = self.following.next(timeout)?;
        step.notes.extend(self.said.try_iter());
        if step.over {
            // Its last words: what it counted.
            let _ = self.child.wait();
            step.notes.extend(self.said.iter());
        }
        Ok(step)
    }

    fn hear(&mut self) {
        self.following.hear();
    }

    fn stop(&mut self) {
        // It ends in order, and the store's end is then the query's.
        if !std::mem::replace(&mut self.stopped, true)
            && let Ok(None) = self.child.try_wait()
        {
            let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        }
    }

    fn warnings(&self) -> Vec<Warning> {
        self.following.warnings()
    }
}

impl Drop for OwnCapture {
    fn drop(&mut self) {
        self.stop();
        let _ = self.child.wait();
    }
}

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn create(parent: Option<&Path>) -> Result<Self, Error> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        remove_left(&parent);
        let path = parent.join(format!("{NAME}{}-{}", std::process::id(), wall::now_ns()));
        // Packets are nobody else's business, and a folder that is there already is not ours.
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|source| Error::File {
                action: "make the folder of the packets",
                path: path.clone(),
                source,
            })?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes what queries left that were killed. A capture that runs answers; one that starts has a
/// young folder.
fn remove_left(parent: &Path) {
    let user = rustix::process::geteuid().as_raw();
    let is_old = |metadata: &fs::Metadata| {
        let age = metadata.modified().ok().and_then(|at| at.elapsed().ok());
        age.is_some_and(|age| age > PATIENCE * 3)
    };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(NAME) {
            continue;
        }
        // Of the entry itself, not of what it may lead to.
        let is_ours = entry
            .metadata()
            .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == user && is_old(&metadata));
        let path = entry.path();
        if is_ours && Client::connect(&path, Want::Commits).is_err() {
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_dir_all(&path);
        }
    }
}
