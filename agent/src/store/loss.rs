//! The loss table of a source: counter samples beside each capture file, as tab-separated lines.
//!
//! Counters grow from the start of a run; a new run starts at zero and has another `run`. Each
//! table begins with what its first difference is to: zero where a run begins, else the last
//! sample of the table before it. So it can be read alone.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use super::spans::{Span, Spans};

/// Bytes in which the first or the last line of a table surely is whole.
const ENDS: usize = 4_096;

/// Why a packet was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The kernel's ring had no room.
    RingFull,
    /// The queue to the writer had no room.
    QueueFull,
    /// The disk, or the quota, is full.
    DiskFull,
    /// The disk failed in another way.
    IoError,
    /// Longer than any reader takes.
    TooLong,
    /// The capture filter said no.
    Filter,
    /// The agent's own traffic.
    Own,
}

impl Reason {
    /// Number of reasons.
    pub const COUNT: usize = Self::ALL.len();
    /// All of them, in the order of the table's columns.
    pub const ALL: [Self; 7] = [
        Self::RingFull,
        Self::QueueFull,
        Self::DiskFull,
        Self::IoError,
        Self::TooLong,
        Self::Filter,
        Self::Own,
    ];

    /// The name of its column.
    pub fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::QueueFull => "queue_full",
            Self::DiskFull => "disk_full",
            Self::IoError => "io_error",
            Self::TooLong => "too_long",
            Self::Filter => "filter",
            Self::Own => "own",
        }
    }

    /// Whether a packet was lost, and not left out on purpose.
    pub fn is_loss(self) -> bool {
        !matches!(self, Self::Filter | Self::Own)
    }
}

/// Counters since the start of a run, or differences of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that the interface received.
    pub seen: u64,
    /// Packets in the capture files.
    pub stored: u64,
    /// Bytes of their records, record headers included.
    pub bytes: u64,
    /// Stored packets of which bytes were left out (snap length).
    pub cut: u64,
    /// Packets not stored, in the order of [`Reason::ALL`].
    pub dropped: [u64; Reason::COUNT],
}

impl Counts {
    /// Packets not stored for a reason.
    pub fn dropped(&self, reason: Reason) -> u64 {
        let at = Reason::ALL.iter().position(|r| *r == reason);
        at.and_then(|at| self.dropped.get(at)).copied().unwrap_or(0)
    }

    /// Counts a packet, or several, as not stored.
    pub fn drop_packets(&mut self, reason: Reason, packets: u64) {
        let counts = self.dropped.iter_mut().zip(Reason::ALL);
        for (count, _) in counts.filter(|(_, r)| *r == reason) {
            *count += packets;
        }
    }

    /// Packets lost, for all reasons that are losses.
    pub fn lost(&self) -> u64 {
        let counts = Reason::ALL.iter().zip(self.dropped);
        counts.filter(|(r, _)| r.is_loss()).map(|(_, n)| n).sum()
    }

    fn values(&self) -> impl Iterator<Item = u64> {
        let first = [self.seen, self.stored, self.bytes, self.cut];
        first.into_iter().chain(self.dropped)
    }

    fn from_values(values: &[u64]) -> Option<Self> {
        let (first, dropped) = values.split_first_chunk::<4>()?;
        let [seen, stored, bytes, cut] = *first;
        Some(Self {
            seen,
            stored,
            bytes,
            cut,
            dropped: dropped.try_into().ok()?,
        })
    }

    fn combine(&self, other: &Self, operation: fn(u64, u64) -> u64) -> Self {
        let pairs = self.values().zip(other.values());
        let values: Vec<u64> = pairs.map(|(a, b)| operation(a, b)).collect();
        Self::from_values(&values).unwrap_or_default()
    }

    /// What was counted since an earlier sample of the same run.
    pub fn since(&self, earlier: &Self) -> Self {
        self.combine(earlier, u64::saturating_sub)
    }

    /// The sum of two differences.
    pub fn plus(&self, other: &Self) -> Self {
        self.combine(other, u64::saturating_add)
    }
}

/// The counters at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Wall clock, in nanoseconds since 1970.
    pub time_ns: i64,
    /// The run that counts: the wall clock at its start, in nanoseconds since 1970.
    pub run: i64,
    /// Counters since the start of the run.
    pub counts: Counts,
}

/// First line of a table.
pub(super) fn header() -> String {
    let columns = ["time_ns", "run", "seen", "stored", "bytes", "cut"];
    let reasons = Reason::ALL.iter().map(|r| r.name());
    let columns: Vec<&str> = columns.into_iter().chain(reasons).collect();
    format!("{}\n", columns.join("\t"))
}

impl Sample {
    /// The sample as a line of the table.
    pub(super) fn line(&self) -> String {
        let mut line = format!("{}\t{}", self.time_ns, self.run);
        for value in self.counts.values() {
            line.push_str(&format!("\t{value}"));
        }
        line.push('\n');
        line
    }

    fn parse(line: &str) -> Option<Self> {
        let mut cells = line.split('\t');
        let (time_ns, run) = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
        let values: Vec<u64> = cells.map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self {
            time_ns,
            run,
            counts: Counts::from_values(&values)?,
        })
    }
}

/// A table as read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The samples in the order of writing.
    pub samples: Vec<Sample>,
    /// Whole lines that are no samples; a cut last line is not among them.
    pub damaged_lines: u64,
    /// Length of the whole lines, in bytes.
    pub(super) whole_bytes: u64,
}

impl Table {
    /// Reads a table; a file that is not there is an empty one.
    pub fn read(path: &Path) -> io::Result<Self> {
        let bytes = match fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        Ok(Self::from_bytes(&bytes))
    }

    /// The first and the last sample of a table, without reading what is between.
    pub(super) fn ends(path: &Path) -> io::Result<Option<(Sample, Sample)>> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let read = |at: u64| -> io::Result<Vec<u8>> {
            let rest = usize::try_from(length.saturating_sub(at)).unwrap_or(usize::MAX);
            let mut bytes = vec![0; rest.min(ENDS)];
            file.read_exact_at(&mut bytes, at)?;
            Ok(bytes)
        };
        let first = Self::from_bytes(&read(0)?).samples.first().copied();
        let tail = read(length.saturating_sub(ENDS as u64))?;
        let last = Self::from_bytes(&tail).samples.last().copied();
        Ok(first.zip(last))
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let whole = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        let text = String::from_utf8_lossy(bytes.get(..whole).unwrap_or_default());
        let mut table = Self {
            whole_bytes: whole as u64,
            ..Self::default()
        };
        let header = header();
        for line in text.lines().filter(|line| *line != header.trim_end()) {
            match Sample::parse(line) {
                Some(sample) => table.samples.push(sample),
                None => table.damaged_lines += 1,
            }
        }
        table
    }
}

/// Appends samples to a table.
#[derive(Debug)]
pub(super) struct Writer {
    file: File,
}

impl Writer {
    /// Creates the table with the sample that its first difference is to.
    pub(super) fn create(path: &Path, base: &Sample) -> io::Result<Self> {
        let mut writer = Self {
            file: File::options().append(true).create(true).open(path)?,
        };
        writer.write(&(header() + &base.line()))?;
        Ok(writer)
    }

    /// The file, for who brings it to the disk.
    pub(super) fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    pub(super) fn append(&mut self, sample: &Sample) -> io::Result<()> {
        self.write(&sample.line())
    }

    /// Writes lines, or leaves no part of them.
    fn write(&mut self, text: &str) -> io::Result<()> {
        let before = self.file.metadata()?.len();
        self.file.write_all(text.as_bytes()).inspect_err(|_| {
            // What stays of a line that cannot be cut is a damaged line, which readers count.
            let _ = self.file.set_len(before);
        })
    }
}

/// What was counted in a span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// The sum of the differences.
    pub counts: Counts,
    /// Times between two runs, in nanoseconds since 1970: nothing was seen.
    pub gaps_ns: Vec<(i64, i64)>,
    /// When packets were lost.
    pub losses: Spans,
}

impl Loss {
    /// Sums the differences of samples in the order of writing, over the span from `from_ns`
    /// (inclusive) to `to_ns` (exclusive). A difference that only partly lies in the span counts
    /// whole: the span is widened to the next samples.
    pub fn over(samples: &[Sample], from_ns: i64, to_ns: i64) -> Self {
        let mut loss = Self::default();
        let touches = |a: i64, b: i64| a.min(b) < to_ns && a.max(b) >= from_ns;
        let mut last: Option<&Sample> = None;
        for sample in samples {
            match last {
                Some(before) if !touches(before.time_ns, sample.time_ns) => {}
                Some(before) if before.run == sample.run => {
                    let counted = sample.counts.since(&before.counts);
                    loss.counts = loss.counts.plus(&counted);
                    loss.losses.add(Span {
                        from_ns: before.time_ns.min(sample.time_ns),
                        to_ns: before.time_ns.max(sample.time_ns),
                        packets: counted.lost(),
                    });
                }
                Some(before) => loss.gaps_ns.push((before.time_ns, sample.time_ns)),
                None => {}
            }
            last = Some(sample);
        }
        loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(time_ns: i64, run: i64, seen: u64, ring_full: u64) -> Sample {
        let mut counts = Counts {
            seen,
            stored: seen - ring_full,
            bytes: seen * 100,
            ..Counts::default()
        };
        counts.drop_packets(Reason::RingFull, ring_full);
        Sample {
            time_ns,
            run,
            counts,
        }
    }

    #[test]
    fn a_cut_last_line_is_ignored_and_others_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.counters");
        assert_eq!(Table::read(&path).unwrap(), Table::default());
        let samples = [sample(10, 1, 5, 0), sample(20, 1, 9, 2)];
        let mut writer = Writer::create(&path, &samples[0]).unwrap();
        writer.append(&samples[1]).unwrap();
        assert_eq!(Table::read(&path).unwrap().samples, samples);
        let whole = fs::read(&path).unwrap();
        let second = whole.len() - samples[1].line().len();
        for cut in 0..whole.len() {
            let table = Table::from_bytes(&whole[..cut]);
            let expected = usize::from(cut >= second);
            assert_eq!(table.samples, samples[..expected], "cut at {cut}");
            assert_eq!(table.damaged_lines, 0);
        }
        let damaged = [&whole[..], b"1\t2\tx\n"].concat();
        assert_eq!(Table::from_bytes(&damaged).damaged_lines, 1);
    }

    #[test]
    fn differences_are_summed_over_the_span_and_runs() {
        let samples = [
            sample(100, 100, 0, 0),
            sample(200, 100, 10, 1),
            sample(300, 100, 30, 4),
            // The agent was away from 300 to 500.
            sample(500, 500, 0, 0),
            sample(600, 500, 7, 7),
        ];
        let all = Loss::over(&samples, 0, 1_000);
        assert_eq!(all.counts.seen, 37);
        assert_eq!(all.counts.dropped(Reason::RingFull), 11);
        assert_eq!(all.counts.lost(), 11);
        assert_eq!(all.gaps_ns, [(300, 500)]);
        let losses = all.losses.list().iter();
        let losses: Vec<_> = losses.map(|s| (s.from_ns, s.to_ns, s.packets)).collect();
        assert_eq!(losses, [(100, 300, 4), (500, 600, 7)]);
        let part = Loss::over(&samples, 250, 260);
        assert_eq!((part.counts.seen, part.counts.stored), (20, 17));
        assert_eq!(part.gaps_ns, []);
        assert_eq!(Loss::over(&samples, 700, 800), Loss::default());
    }

    #[test]
    fn what_was_left_out_on_purpose_is_no_loss() {
        let mut counts = Counts::default();
        for (n, reason) in Reason::ALL.into_iter().enumerate() {
            counts.drop_packets(reason, 1 << n);
        }
        assert_eq!(counts.dropped, [1, 2, 4, 8, 16, 32, 64]);
        assert_eq!(counts.lost(), 31);
    }
}
