//! What a running agent stores, as it stores it; and the past of a query that goes on live.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Error, Feed, Step};
use crate::capfile::{Input, Warning};
use crate::exec::live::Bit;
use crate::exec::scan::{OFFSET_BITS, ScanFile};
use crate::frames::Frames;
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

/// Bytes of packets of a bit.
const BIT_BYTES: usize = 8 << 20;

/// A store that is being written to.
#[derive(Debug)]
pub struct Following {
    tail: Tail,
    store: String,
    /// The agent that writes it, which says what it has committed; without one, the files say it.
    agent: Option<Client>,
    /// Up to when the agent has committed everything.
    committed_until_ns: Option<i64>,
    /// What was committed and is not read yet.
    pending: Vec<Committed>,
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
            pending: Vec::new(),
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

    /// Hears what the agent says for so long, or waits where there is none.
    fn listen(&mut self, wait: Duration, step: &mut Step) {
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Some(agent) = &mut self.agent else {
                return std::thread::sleep(left);
            };
            let gone = match agent.next(left) {
                Ok(Next::Timeout) => return,
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
                step.notes.push(note);
                self.agent = None;
            } else if left.is_zero() {
                return;
            }
        }
    }

    fn read(&mut self, committed: &Committed, step: &mut Step) -> Result<(), Error> {
        let number = self.number(committed);
        let tag: Arc<str> = committed.source.tag.as_str().into();
        if let Some(table) = committed.table()? {
            let path = committed.path.clone();
            let input = Input::from_path(path, table.length());
            step.bits.push(Bit::Tuples {
                file: Box::new(ScanFile {
                    input: input.with_interface(&committed.source.interface),
                    tag,
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
        let part = match input.records(committed.range.clone()) {
            Err(error) if error.is_missing() => {
                step.notes.push(format!(
                    "{}: removed by retention before it was read",
                    input.name()
                ));
                return Ok(());
            }
            part => part?,
        };
        let mut reader = part.open()?;
        let mut frames = Frames::default();
        let bit = |frames| Bit::Frames {
            frames: Arc::new(frames),
            tag: Arc::clone(&tag),
        };
        while let Some(mut frame) = reader.next_frame() {
            // A file that is compressed by now is read from its start.
            if frame.offset < committed.range.start {
                continue;
            }
            frame.offset |= number << OFFSET_BITS;
            frames.push(frame);
            if frames.size_bytes() >= BIT_BYTES {
                step.bits.push(bit(std::mem::take(&mut frames)));
            }
        }
        if !frames.is_empty() {
            step.bits.push(bit(frames));
        }
        self.warnings.extend_from_slice(reader.warnings());
        Ok(())
    }
}

impl Feed for Following {
    fn next(&mut self, timeout: Duration) -> Result<Step, Error> {
        let mut step = Step::default();
        if self.pending.is_empty() {
            let since = self.looked.map_or(LOOK_INTERVAL, |looked| looked.elapsed());
            self.listen(LOOK_INTERVAL.saturating_sub(since).min(timeout), &mut step);
            let looked = Instant::now();
            self.looked = Some(looked);
            let complete_ns = match &self.agent {
                Some(_) => self.committed_until_ns,
                None => Some(wall::now_ns().saturating_sub(wall::nanos(SETTLE))),
            };
            let news = self.tail.look()?;
            step.notes.extend(news.skipped);
            let gone = news.removed.into_iter();
            step.notes.extend(
                gone.map(|what| format!("{what}: removed by retention before it was read")),
            );
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
        }
        if let Some(committed) = self.pending.pop() {
            self.read(&committed, &mut step)?;
        }
        if self.pending.is_empty() {
            step.complete_until_ns = self.settled_ns;
            step.over = self.ends;
        }
        Ok(step)
    }

    fn stop(&mut self) {
        self.stop_at.get_or_insert_with(|| Instant::now() + SETTLE);
    }

    fn warnings(&self) -> Vec<Warning> {
        self.warnings.clone()
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
    use super::*;
    use crate::store::{RecordBlock, SourceWriter, WriterOptions};

    fn packet() -> RecordBlock {
        let mut block = RecordBlock::default();
        block.push(wall::now_ns(), 60, &[7; 60]);
        block
    }

    /// It would else go on for as long as there is traffic.
    #[test]
    fn it_ends_though_the_writer_goes_on_and_misses_nothing_before() {
        let store = tempfile::tempdir().unwrap();
        let source = store.path().join("pcap/lan0");
        std::fs::create_dir_all(&source).unwrap();
        let (mut writer, _) =
            SourceWriter::open(&source, WriterOptions::default(), wall::now_ns()).unwrap();
        let tail = Tail::new(store.path(), Box::new(|_| true), None).unwrap();
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
