//! A live query of the built program: started, followed, ended, and its answers.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::pcap;
use crate::program::command;
use crate::room::wait_until;

/// Longer than any end takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The reference query as a table and as a chart, in orders of their own.
pub(crate) const REFERENCE: [&str; 2] = [
    "tag=pcap packet ipv4.DstIP !~ 10.0.0.0/8 ipv4.SrcIP tcp.DstPort | require DstPort \
     | count by SrcIP,DstIP,DstPort | count by SrcIP | sort by count desc SrcIP asc \
     | table -nt SrcIP count",
    "tag=pcap packet ipv4.DstIP !~ 10.0.0.0/8 ipv4.SrcIP tcp.DstPort | require DstPort \
     | count by SrcIP,DstIP,DstPort | count by SrcIP,DstIP,DstPort | chart count by SrcIP limit 20",
];

/// A live query that runs.
pub(crate) struct Growing {
    child: Child,
    /// What it prints and says goes to files: a pipe that nobody reads would stop it.
    output: tempfile::TempDir,
}

/// How it ended.
pub(crate) struct Grown {
    pub(crate) code: Option<i32>,
    pub(crate) printed: String,
    pub(crate) said: String,
}

impl Growing {
    /// `flowsift query --live --store STORE ARGUMENTS QUERY`, following the store on return.
    pub(crate) fn start(store: &str, arguments: &[&str], query: &str) -> Self {
        let output = tempfile::tempdir().unwrap();
        let stdout = File::create(output.path().join("stdout")).unwrap();
        Self::spawn(store, arguments, query, output, stdout.into())
    }

    /// One whose standard output is a pipe that the test reads, or does not.
    pub(crate) fn piped(store: &str, arguments: &[&str], query: &str) -> Self {
        let output = tempfile::tempdir().unwrap();
        Self::spawn(store, arguments, query, output, Stdio::piped())
    }

    fn spawn(
        store: &str,
        arguments: &[&str],
        query: &str,
        output: tempfile::TempDir,
        stdout: Stdio,
    ) -> Self {
        wait_for_agent(store);
        let stderr = File::create(output.path().join("stderr")).unwrap();
        let child = command(&["query", "--live", "--store", store, "--format", "tsv"])
            .args(arguments)
            .arg(query)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut growing = Self { child, output };
        // It knows where it starts once it has the thread that follows.
        wait_until("a query that follows", || {
            let ended = growing.child.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", growing.read("stderr"));
            growing.threads().iter().any(|name| name == "feed")
        });
        growing
    }

    fn threads(&self) -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let names = tasks.into_iter().flatten().flatten();
        let names = names.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.map(|name| name.trim().to_owned()).collect()
    }

    fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.output.path().join(name)).unwrap_or_default();
        String::from_utf8(bytes).unwrap()
    }

    /// What it has printed so far.
    pub(crate) fn printed(&self) -> String {
        self.read("stdout")
    }

    /// The running process.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Asks it to end, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        let process = i32::try_from(self.child.id()).unwrap();
        // SAFETY: signals a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(process, libc::SIGINT) }, 0);
    }

    /// Waits until it ends.
    pub(crate) fn wait(mut self) -> Grown {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "{}", self.read("stderr"));
            std::thread::sleep(Duration::from_millis(5));
        };
        let said = self.read("stderr");
        assert!(!said.contains("panicked at"), "{said}");
        Grown {
            code: status.code(),
            printed: self.read("stdout"),
            said,
        }
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Grown {
    /// The lines of the answer over all, of a query that ended well.
    pub(crate) fn answer(&self) -> Vec<String> {
        assert_eq!(self.code, Some(0), "{}", self.said);
        assert!(!self.said.contains("warning: "), "{}", self.said);
        let whole = match self.printed.split_once("# answer\n") {
            Some((_, whole)) => whole,
            None => &self.printed,
        };
        sorted(whole)
    }
}

/// The lines that the program prints for arguments; it must end well.
pub(crate) fn asked(arguments: &[&str]) -> Vec<String> {
    let output = command(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    assert!(!said.contains("warning: "), "{arguments:?}: {said}");
    sorted(&String::from_utf8(output.stdout).unwrap())
}

/// The header and the rows: of rows of the same window none has to be the first.
fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if let Some(rows) = lines.get_mut(1..) {
        rows.sort_unstable();
    }
    lines
}

/// The answer over the last hour of a store.
pub(crate) fn of_store(store: &str, query: &str) -> Vec<String> {
    asked(&["query", "--store", store, "--format", "tsv", query])
}

/// The packets that a store has, by its files' queries.
pub(crate) fn packets(store: &str) -> u64 {
    let count = "tag=* packet frame.Len | count | table -nt count";
    let lines = of_store(store, count);
    lines.get(1).map_or(0, |count| count.parse().unwrap())
}

/// Waits until a store is served: its interfaces are attached to before it is made.
pub(crate) fn wait_for_agent(store: &str) {
    let socket = Path::new(store).join("agent.sock");
    wait_until("a store that is served", || socket.exists());
}

/// Waits until a store has so many packets.
pub(crate) fn wait_for_packets(store: &str, count: u64) {
    wait_until(&format!("{count} packets"), || packets(store) >= count);
    assert_eq!(packets(store), count);
}

/// The stored capture files, as arguments.
pub(crate) fn stored_files(store: &str) -> Vec<String> {
    let files = pcap::files(Path::new(store), "pcap");
    let paths = files.iter().map(|path| path.to_str().unwrap().to_owned());
    paths.flat_map(|path| ["-r".to_owned(), path]).collect()
}

/// Fails with the first rows that differ, of answers that may be long.
pub(crate) fn assert_same(got: &[String], expected: &[String], what: &str) {
    let differs = |(got, expected): (&String, &String)| got != expected;
    let place = got.iter().zip(expected).position(differs);
    if place.is_some() || got.len() != expected.len() {
        let place = place.unwrap_or(got.len().min(expected.len()));
        let part = |lines: &[String]| {
            lines
                .iter()
                .skip(place)
                .take(5)
                .cloned()
                .collect::<Vec<_>>()
        };
        panic!(
            "{what}: {} and {} lines, from {place} on {:#?} instead of {:#?}",
            got.len(),
            expected.len(),
            part(got),
            part(expected)
        );
    }
}

/// The answer over the stored capture files.
pub(crate) fn of_files(store: &str, query: &str) -> Vec<String> {
    let files = stored_files(store);
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    asked(&[&["query"], &files[..], &["--format", "tsv", query]].concat())
}

/// The answer over a store; of a chart, over a minute from the first packet on, so that its bars
/// are a second wide as those of the files.
pub(crate) fn of_store_as_of_files(store: &str, query: &str) -> Vec<String> {
    if !query.contains("| chart ") {
        return of_store(store, query);
    }
    let first = pcap::stored(Path::new(store)).first().unwrap().time_ns / 1_000_000_000;
    let (from, to) = (first.to_string(), (first + 60).to_string());
    let range = ["--from", &from, "--to", &to];
    asked(
        &[
            &["query", "--store", store],
            &range[..],
            &["--format", "tsv", query],
        ]
        .concat(),
    )
}
