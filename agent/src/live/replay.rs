//! Stored packets played again: by their times, at a speed, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Error, Feed, Step};
use crate::capfile::{FrameReader, Input, Warning};
use crate::exec::live::Bit;
use crate::exec::scan::OFFSET_BITS;
use crate::frame::{Frame, LinkType};
use crate::frames::Frames;

/// Packets and bytes that are put in the order of time before they are played: disorder within
/// these limits changes nothing.
const AHEAD_PACKETS: usize = 1 << 17;
const AHEAD_BYTES: usize = 64 << 20;

/// Packets and bytes of a bit.
const BIT_PACKETS: usize = 1 << 14;
const BIT_BYTES: usize = 8 << 20;

/// The time of packets without one that stand before all that have one: they are due at once.
const NO_TIME: i64 = i64::MIN;

/// How fast time goes by in a replay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times as fast as it was.
    Times(f64),
    /// As fast as it can be read.
    Max,
}

/// What is no speed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no speed: write 1x, 10x, 0.5x or max")]
pub struct SpeedError(String);

impl FromStr for Speed {
    type Err = SpeedError;

    fn from_str(text: &str) -> Result<Self, SpeedError> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let number = text.strip_suffix('x').unwrap_or(text);
        match number.parse::<f64>() {
            Ok(times) if times.is_finite() && (1e-6..=1e9).contains(&times) => {
                Ok(Self::Times(times))
            }
            _ => Err(SpeedError(text.to_owned())),
        }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(times) => write!(f, "{times}x"),
            Self::Max => f.write_str("max"),
        }
    }
}

/// A replay of capture files.
pub struct Replay {
    tag: Arc<str>,
    speed: Speed,
    /// Not opened yet, latest first packet first.
    waiting: Vec<Waiting>,
    open: Vec<Open>,
    /// Packets ahead, oldest first.
    ahead: BinaryHeap<Reverse<Held>>,
    ahead_bytes: usize,
    /// Wall clock and packet time at the first packet that has a time.
    started: Option<(Instant, i64)>,
    /// Disorder beyond what is put in order does not take back what was said to be complete.
    complete_until_ns: i64,
    warnings: Vec<Warning>,
}

struct Waiting {
    first_ns: i64,
    number: u64,
    input: Input,
}

struct Open {
    number: u64,
    reader: FrameReader,
    /// Time of its last packet: files are read side by side.
    at_ns: i64,
}

/// A packet ahead; ordered by time, then place.
struct Held {
    time_ns: i64,
    place: u64,
    has_time: bool,
    wire_len: u32,
    link_type: LinkType,
    interface: Arc<str>,
    data: Box<[u8]>,
}

impl Replay {
    /// A replay of these files; their packets carry the tag.
    ///
    /// # Errors
    /// If a file cannot be opened or is no capture.
    pub fn new(inputs: &[Input], tag: &str, speed: Speed) -> Result<Self, Error> {
        let mut waiting = Vec::new();
        for (number, input) in (0u64..).zip(inputs) {
            let first = input.open()?.next_frame().and_then(|frame| frame.time_ns);
            waiting.push(Waiting {
                first_ns: first.unwrap_or(NO_TIME),
                number,
                input: input.clone(),
            });
        }
        waiting.sort_by_key(|file| Reverse((file.first_ns, file.number)));
        Ok(Self {
            tag: tag.into(),
            speed,
            waiting,
            open: Vec::new(),
            ahead: BinaryHeap::new(),
            ahead_bytes: 0,
            started: None,
            complete_until_ns: NO_TIME,
            warnings: Vec::new(),
        })
    }

    /// Reads ahead until there is enough, or nothing left.
    fn read_ahead(&mut self) -> Result<(), Error> {
        while self.ahead.len() < AHEAD_PACKETS && self.ahead_bytes < AHEAD_BYTES {
            let behind = self.open.iter().map(|file| file.at_ns).min();
            // A file is opened when the others have come to its first packet.
            let due = self
                .waiting
                .last()
                .is_some_and(|next| behind.is_none_or(|behind| next.first_ns <= behind));
            if due && let Some(next) = self.waiting.pop() {
                self.open.push(Open {
                    number: next.number,
                    reader: next.input.open()?,
                    at_ns: next.first_ns,
                });
                continue;
            }
            let places = self.open.iter().enumerate();
            let Some((place, _)) = places.min_by_key(|(_, file)| (file.at_ns, file.number)) else {
                return Ok(());
            };
            let Some(file) = self.open.get_mut(place) else {
                return Ok(());
            };
            match file.reader.next_frame() {
                Some(frame) => {
                    let time_ns = frame.time_ns.unwrap_or(file.at_ns);
                    let held = Held::new(frame, time_ns, file.number);
                    file.at_ns = file.at_ns.max(time_ns);
                    self.ahead_bytes += held.data.len();
                    self.ahead.push(Reverse(held));
                }
                None => {
                    let file = self.open.swap_remove(place);
                    self.warnings.extend_from_slice(file.reader.warnings());
                }
            }
        }
        Ok(())
    }

    /// The time up to which packets are due now.
    fn clock(&mut self, next_ns: i64) -> i64 {
        if next_ns > NO_TIME {
            self.started
                .get_or_insert_with(|| (Instant::now(), next_ns));
        }
        match (self.speed, self.started) {
            (Speed::Max, _) => i64::MAX,
            (Speed::Times(_), None) => NO_TIME,
            (Speed::Times(times), Some((start, start_ns))) => {
                let gone = start.elapsed().as_secs_f64() * times * 1e9;
                // Saturates: a year at a million times is within.
                start_ns.saturating_add(gone as i64)
            }
        }
    }

    /// How long until a packet of this time is due.
    fn until(&self, time_ns: i64) -> Duration {
        match (self.speed, self.started) {
            (Speed::Times(times), Some((start, start_ns))) => {
                let after = time_ns.saturating_sub(start_ns).max(0) as f64 / 1e9 / times;
                Duration::try_from_secs_f64(after)
                    .unwrap_or(Duration::MAX)
                    .saturating_sub(start.elapsed())
            }
            _ => Duration::ZERO,
        }
    }
}

impl Feed for Replay {
    fn next(&mut self, timeout: Duration) -> Result<Step, Error> {
        self.read_ahead()?;
        let mut step = Step::default();
        let Some(Reverse(first)) = self.ahead.peek() else {
            step.over = true;
            return Ok(step);
        };
        let first_ns = first.time_ns;
        self.clock(first_ns);
        std::thread::sleep(self.until(first_ns).min(timeout));
        let due_ns = self.clock(first_ns);
        let mut frames = Frames::default();
        while let Some(Reverse(next)) = self.ahead.peek()
            && next.time_ns <= due_ns
            && frames.len() < BIT_PACKETS
            && frames.size_bytes() < BIT_BYTES
        {
            if let Some(Reverse(held)) = self.ahead.pop() {
                self.ahead_bytes -= held.data.len();
                frames.push(held.frame());
            }
        }
        if let Some(Reverse(next)) = self.ahead.peek() {
            let complete_ns = next.time_ns.min(due_ns);
            self.complete_until_ns = self.complete_until_ns.max(complete_ns);
            step.complete_until_ns =
                (self.complete_until_ns > NO_TIME).then_some(self.complete_until_ns);
        }
        if !frames.is_empty() {
            step.bits.push(Bit::Frames {
                frames: Arc::new(frames),
                tag: Arc::clone(&self.tag),
            });
        }
        Ok(step)
    }

    /// What is not due yet has not arrived.
    fn stop(&mut self) {
        self.ahead.clear();
        self.open.clear();
        self.waiting.clear();
    }

    fn warnings(&self) -> Vec<Warning> {
        let open = self.open.iter().flat_map(|file| file.reader.warnings());
        self.warnings.iter().chain(open).cloned().collect()
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("speed", &self.speed)
            .field("ahead", &self.ahead.len())
            .finish_non_exhaustive()
    }
}

impl Held {
    fn new(frame: Frame<'_>, time_ns: i64, file: u64) -> Self {
        Self {
            time_ns,
            place: file << OFFSET_BITS | frame.offset,
            has_time: frame.time_ns.is_some(),
            wire_len: frame.wire_len,
            link_type: frame.link_type,
            interface: frame.interface.into(),
            data: frame.data.into(),
        }
    }

    fn frame(&self) -> Frame<'_> {
        Frame {
            time_ns: self.has_time.then_some(self.time_ns),
            wire_len: self.wire_len,
            link_type: self.link_type,
            interface: &self.interface,
            offset: self.place,
            data: &self.data,
        }
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time_ns, self.place).cmp(&(other.time_ns, other.place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pcap of packets by millisecond.
    fn input(times_ms: &[u32]) -> Input {
        let mut bytes = Vec::new();
        for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 1] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        for time in times_ms {
            for word in [time / 1000, time % 1000 * 1_000_000, 4, 60] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
            bytes.extend_from_slice(&time.to_le_bytes());
        }
        Input::from_bytes("test.pcap", bytes)
    }

    /// Times in milliseconds in the order of playing, until it is over.
    fn played(replay: &mut Replay) -> Vec<i64> {
        let mut times = Vec::new();
        loop {
            let step = replay.next(Duration::from_millis(5)).unwrap();
            for bit in &step.bits {
                let Bit::Frames { frames, .. } = bit else {
                    panic!("{bit:?}");
                };
                times.extend(frames.times().map(|time| time.unwrap() / 1_000_000));
            }
            if let (Some(until), Some(last)) = (step.complete_until_ns, times.last()) {
                assert!(until >= last * 1_000_000, "{until} {last}");
            }
            if step.over {
                return times;
            }
        }
    }

    #[test]
    fn packets_of_several_files_come_in_the_order_of_time() {
        let inputs = [input(&[10, 30, 20, 90]), input(&[5, 25, 1000]), input(&[])];
        let mut replay = Replay::new(&inputs, "pcap", Speed::Max).unwrap();
        assert_eq!(played(&mut replay), [5, 10, 20, 25, 30, 90, 1000]);
        assert_eq!(replay.warnings().len(), 0);
    }

    #[test]
    fn a_speed_divides_the_time() {
        let inputs = [input(&[0, 100, 400])];
        for (speed, expected_ms) in [(Speed::Times(2.0), 200), (Speed::Times(8.0), 50)] {
            let mut replay = Replay::new(&inputs, "pcap", speed).unwrap();
            let started = Instant::now();
            assert_eq!(played(&mut replay), [0, 100, 400]);
            // Never early; how late depends on the machine.
            assert!(started.elapsed() >= Duration::from_millis(expected_ms));
        }
    }

    /// A pcapng of Simple Packet Blocks, which have no time, and Enhanced ones by millisecond.
    fn pcapng(times_ms: &[Option<u32>]) -> Input {
        let mut bytes = Vec::new();
        let mut block = |kind: u32, words: &[u32]| {
            let length = 12 + 4 * words.len() as u32;
            for word in [kind, length].iter().chain(words).chain([&length]) {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        };
        block(0x0a0d_0d0a, &[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]);
        block(1, &[1, 65_535]);
        for time in times_ms {
            match time {
                None => block(3, &[4, 0]),
                Some(time) => block(6, &[0, 0, time * 1000, 4, 4, 0]),
            }
        }
        Input::from_bytes("test.pcapng", bytes)
    }

    /// The clock would else begin three centuries before the first packet.
    #[test]
    fn packets_without_a_time_are_due_with_those_before_them() {
        let times = [None, None, Some(0), None, Some(300), None];
        let mut replay = Replay::new(&[pcapng(&times)], "pcap", Speed::Times(2.0)).unwrap();
        let started = Instant::now();
        let mut played = Vec::new();
        loop {
            let step = replay.next(Duration::from_millis(5)).unwrap();
            for bit in &step.bits {
                let Bit::Frames { frames, .. } = bit else {
                    panic!("{bit:?}");
                };
                played.extend(frames.times().map(|time| time.map(|time| time / 1_000_000)));
            }
            assert!(step.complete_until_ns.is_none_or(|until| until >= 0));
            if step.over {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{played:?}");
        }
        assert_eq!(played, times.map(|time| time.map(i64::from)));
        assert!(started.elapsed() >= Duration::from_millis(150));
    }

    #[test]
    fn speeds() {
        assert_eq!("10x".parse(), Ok(Speed::Times(10.0)));
        assert_eq!("0.5".parse(), Ok(Speed::Times(0.5)));
        assert_eq!("max".parse(), Ok(Speed::Max));
        for wrong in ["", "x", "-1x", "0x", "fast", "nan", "inf"] {
            assert!(wrong.parse::<Speed>().is_err(), "{wrong}");
        }
    }
}
