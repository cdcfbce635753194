//! What a running agent stores, as it stores it; and the past of a query that goes on live.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::part::Part;
use super::{Error, Feed, Step};
use crate::capfile::{Input, Warning};
use crate::exec::live::Bit;
use crate::exec::scan::ScanFile;
use crate::serve::client::{Client, Next};
use crate::serve::protocol::Message;
use crate::store::Tail;
use crate::store::tail::{Committed, Content};
use crate::wall;

/// How often the store is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How long a packet may be on its way from the interface to the file that is read here: blocks
/// that do not fill are written after 0.2 s.
const SETTLE: Duration = Duration::from_millis(800);

/// How long before now a window of the past may still be met by packets that are on their way.
const SEAM: Duration = Duration::from_secs(5);

/// A store that is being written to.
#[derive(Debug)]
pub struct Following {
    tail: Tail,
    store: String,
    /// The agent that writes it, which says what it has committed; without one, the files say it.
    agent: Option<Client>,
    /// Up to when the agent has committed everything.
    committed_until_ns: Option<i64>,
    /// When it was listened to last.
    heard: Option<Instant>,
    /// What was committed and is not read yet.
    pending: Vec<Committed>,
    /// What is read now.
    reading: Option<Part>,
    /// What the user should be told with the next step.
    notes: Vec<String>,
    /// Sequence and number of the file that is read of each source: orders the packets of
    /// different files.
    files: BTreeMap<String, (u64, u64)>,
    /// Files so far.
    numbers: u64,
    warnings: Vec<Warning>,
    looked: Option<Instant>,
    had_writers: bool,
    /// Up to when the last look has found everything.
    settled_ns: Option<i64>,
    /// Set once it is told to end: what is on its way then still arrives.
    stop_at: Option<Instant>,
    /// The last look was the last: whoever goes on writing is not waited for.
    ends: bool,
}

impl Following {
    /// Follows a store, by the word of the agent that writes it where it gives it.
    pub fn new(store: &Path, tail: Tail, agent: Option<Client>) -> Self {
        let is_served = agent.is_some();
        Self {
            tail,
            agent,
            committed_until_ns: None,
            store: store.display().to_string(),
            heard: None,
            pending: Vec::new(),
            reading: None,
            notes: Vec::new(),
            files: BTreeMap::new(),
            numbers: 0,
            warnings: Vec::new(),
            looked: None,
            had_writers: is_served,
            settled_ns: None,
            stop_at: None,
            ends: false,
        }
    }

    /// The number of a file among those read: the last one of its source, or a new one.
    fn number(&mut self, committed: &Committed) -> u64 {
        let folder = format!("{}/{}", committed.source.well, committed.source.interface);
        match self.files.get(&folder) {
            Some((sequence, number)) if *sequence == committed.sequence => *number,
            _ => {
                let number = self.numbers;
                self.numbers += 1;
                self.files.insert(folder, (committed.sequence, number));
                number
            }
        }
    }

    /// Hears what the agent says for so long, and all that it has said by then; or waits where
    /// there is none. An agent cuts off who leaves its messages lying.
    fn listen(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Some(agent) = &mut self.agent else {
                return std::thread::sleep(left);
            };
            let gone = match agent.next(left) {
                Ok(Next::Timeout) => {
                    self.heard = Some(Instant::now());
                    return;
                }
                Ok(Next::Message(Message::CompleteUntilNs(until_ns))) => {
                    self.committed_until_ns = Some(until_ns);
                    None
                }
                Ok(Next::Message(Message::End(reason))) => {
                    Some(format!("the agent says: {reason}"))
                }
                Ok(Next::Message(_)) => None,
                Ok(Next::Closed) => Some(format!("the agent of {} is gone", self.store)),
                Err(error) => Some(error.to_string()),
            };
            if let Some(note) = gone {
                // The files go on telling what there is, as far as anybody writes them.
                self.notes.push(note);
                self.agent = None;
            }
        }
    }

    /// Looks for what was committed since the last time.
    fn look(&mut self) -> Result<(), Error> {
        let looked = Instant::now();
        self.looked = Some(looked);
        let complete_ns = match &self.agent {
            Some(_) => self.committed_until_ns,
            None => Some(wall::now_ns().saturating_sub(wall::nanos(SETTLE))),
        };
        let news = self.tail.look()?;
        self.notes.extend(news.skipped);
        let gone = news.removed.into_iter();
        self.notes
            .extend(gone.map(|what| format!("{what}: removed by retention before it was read")));
        if news.writers == 0 && !self.had_writers {
            return Err(Error::NoWriter(self.store.clone()));
        }
        // The agent ended in order: what it wrote last has been read by now.
        let ended = news.writers == 0 && self.agent.is_none();
        self.ends =
            ended && news.committed.is_empty() || self.stop_at.is_some_and(|at| looked >= at);
        self.had_writers = true;
        self.pending = news.committed;
        self.pending.reverse();
        self.settled_ns = complete_ns;
        Ok(())
    }

    /// Takes up the next of what was committed: tuples come at once, packets bit by bit.
    fn open(&mut self, committed: &Committed, step: &mut Step) -> Result<(), Error> {
        let number = self.number(committed);
        if let Some(table) = committed.table()? {
            let path = committed.path.clone();
            let input = Input::from_path(path, table.length());
            step.bits.push(Bit::Tuples {
                file: Box::new(ScanFile {
                    input: input.with_interface(&committed.source.interface),
                    tag: committed.source.tag.as_str().into(),
                    stored: true,
                    sidecar: None,
                    tuples: Some(table),
                }),
                number,
            });
            return Ok(());
        }
        let Content::Packets(input) = &committed.content else {
            return Ok(());
        };
        match Part::open(input, committed, number) {
            Err(Error::Input(error)) if error.is_missing() => self.notes.push(format!(
                "{}: removed by retention before it was read",
                input.name()
            )),
            part => self.reading = Some(part?),
        }
        Ok(())
    }

    /// Reads a bit of what is read now.
    fn read(&mut self, step: &mut Step) {
        let Some(part) = &mut self.reading else {
            return;
        };
        step.bits.extend(part.next());
        if part.is_over() {
            self.warnings.extend_from_slice(part.warnings());
            self.reading = None;
        }
    }

    /// Whether all that was found has been given.
    fn is_read(&self) -> bool {
        self.pending.is_empty() && self.reading.is_none()
    }
}

impl Feed for Following {
    fn next(&mut self, timeout: Duration) -> Result<Step, Error> {
        let mut step = Step::default();
        if self.is_read() {
            let since = self.looked.map_or(LOOK_INTERVAL, |looked| looked.elapsed());
            self.listen(LOOK_INTERVAL.saturating_sub(since).min(timeout));
            self.look()?;
        } else {
            self.hear();
        }
        if self.reading.is_none()
            && let Some(committed) = self.pending.pop()
        {
            self.open(&committed, &mut step)?;
        }
        self.read(&mut step);
        if self.is_read() {
            step.complete_until_ns = self.settled_ns;
            step.over = self.ends;
        }
        step.notes.append(&mut self.notes);
        Ok(step)
    }

    fn hear(&mut self) {
        let is_due = self.heard.is_none_or(|at| at.elapsed() >= LOOK_INTERVAL);
        if is_due && self.agent.is_some() {
            self.listen(Duration::ZERO);
        }
    }

    fn stop(&mut self) {
        self.stop_at.get_or_insert_with(|| Instant::now() + SETTLE);
    }

    fn warnings(&self) -> Vec<Warning> {
        let reading = self.reading.iter().flat_map(Part::warnings);
        self.warnings.iter().chain(reading).cloned().collect()
    }
}

/// The files of a store as the past of a live query, from a time on.
pub fn past(files: Vec<ScanFile>, from_ns: i64) -> Bit {
    let until_ns = wall::now_ns();
    Bit::Files {
        files,
        from_ns,
        seam_ns: until_ns.saturating_sub(wall::nanos(SEAM)),
        until_ns,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::ops::Range;
    use std::os::unix::net::UnixListener;

    use super::super::part::BIT_BYTES;
    use super::*;
    use crate::serve::protocol::{SOCKET_NAME, Want};
    use crate::store::{RecordBlock, SourceWriter, WriterOptions};

    fn packet() -> RecordBlock {
        let mut block = RecordBlock::default();
        block.push(wall::now_ns(), 60, &[7; 60]);
        block
    }

    /// A store with a source, and who follows it.
    fn followed() -> (tempfile::TempDir, SourceWriter, Tail) {
        let store = tempfile::tempdir().unwrap();
        let source = store.path().join("pcap/lan0");
        std::fs::create_dir_all(&source).unwrap();
        let (writer, _) =
            SourceWriter::open(&source, WriterOptions::default(), wall::now_ns()).unwrap();
        let tail = Tail::new(store.path(), Box::new(|_| true), None).unwrap();
        (store, writer, tail)
    }

    /// Whoever takes it may be slow, and memory has its limits.
    #[test]
    fn what_was_written_meanwhile_comes_bit_by_bit() {
        let (store, mut writer, tail) = followed();
        let mut following = Following::new(store.path(), tail, None);
        let mut block = RecordBlock::default();
        let written = 3 * BIT_BYTES / 1500;
        for _ in 0..written {
            block.clear();
            block.push(wall::now_ns(), 1500, &[7; 1500]);
            writer.append(&block);
        }
        let (mut read, mut steps) = (0, 0);
        loop {
            let step = following.next(Duration::ZERO).unwrap();
            let sizes = step.bits.iter().map(|bit| match bit {
                Bit::Frames { frames, .. } => (frames.len(), frames.size_bytes()),
                bit => panic!("{bit:?}"),
            });
            let (packets, bytes) = sizes.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
            assert!(bytes < BIT_BYTES + 2000, "{bytes}");
            (read, steps) = (read + packets, steps + 1);
            // Only then is there nothing that comes before.
            assert_eq!(step.complete_until_ns.is_some(), read == written, "{read}");
            if read == written {
                break;
            }
        }
        assert!(steps >= 3, "{steps}");
        assert!(writer.close(wall::now_ns()).2.is_none());
    }

    /// What an agent says of these times.
    fn complete(times: Range<i64>) -> Vec<u8> {
        let lines = times.map(|until_ns| format!("{{\"complete_until_ns\":{until_ns}}}\n"));
        lines.collect::<String>().into_bytes()
    }

    /// An agent cuts off who leaves messages lying.
    #[test]
    fn all_that_the_agent_said_is_heard_at_each_look_and_meanwhile() {
        let (store, writer, tail) = followed();
        let listener = UnixListener::bind(store.path().join(SOCKET_NAME)).unwrap();
        let agent = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"{\"hello\":{\"protocol\":1}}\n").unwrap();
            stream.write_all(&complete(0..100)).unwrap();
            stream
        });
        let client = Client::connect(store.path(), Want::Commits).unwrap();
        let mut agent = agent.join().unwrap();
        let mut following = Following::new(store.path(), tail, Some(client));
        let step = following.next(Duration::ZERO).unwrap();
        assert_eq!(step.complete_until_ns, Some(99));
        // Nobody takes what it gave.
        agent.write_all(&complete(100..200)).unwrap();
        std::thread::sleep(LOOK_INTERVAL);
        following.hear();
        assert_eq!(following.committed_until_ns, Some(199));
        assert!(writer.close(wall::now_ns()).2.is_none());
    }

    #[test]
    fn it_ends_though_the_writer_goes_on_and_misses_nothing_before() {
        let (store, mut writer, tail) = followed();
        let mut following = Following::new(store.path(), tail, None);
        let (mut before, mut written, mut read) = (0, 0, 0);
        let mut told = None;
        let start = Instant::now();
        loop {
            // Each look finds another packet.
            writer.append(&packet());
            written += 1;
            if told.is_none() && written == 5 {
                following.stop();
                (told, before) = (Some(Instant::now()), written);
            }
            let step = following.next(LOOK_INTERVAL).unwrap();
            for bit in &step.bits {
                let Bit::Frames { frames, .. } = bit else {
                    panic!("{bit:?}");
                };
                read += frames.len();
            }
            if step.over {
                break;
            }
            assert!(start.elapsed() < SETTLE * 20, "no end");
        }
        assert!(told.unwrap().elapsed() >= SETTLE);
        assert!(
            before <= read && read <= written,
            "{before} {read} {written}"
        );
        let (_, _, error) = writer.close(wall::now_ns());
        assert!(error.is_none());
    }
}
