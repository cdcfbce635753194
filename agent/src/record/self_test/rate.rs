//! The highest rate at which every packet is recorded, over a pair of interfaces.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use agent_common::config::MAX_SNAPLEN;
use agent_probe::{Pair, Rate as Speed};

use super::{Plan, SelfTestError, check, temporary};
use crate::capture::{Attachment, InterfaceConfig, Mode, Program, list};
use crate::record::{
    Change, LeftOut, Link, Output, Own, Sample, Settings, Status, StoreOptions, StoreOutput,
    WriteError,
};
use crate::store::RecordBlock;

/// Between what is tried and what is tried next after a loss.
const STEP: f64 = 0.8;
/// Rates that are tried after the first one lost packets.
const TRIES: usize = 10;

/// A rate at which nothing was lost.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Packets a second; zero if packets were lost at each rate that was tried.
    pub packets_per_second: f64,
    /// Whether the sender could not send faster, so that the true value may be higher.
    pub limited_by_sender: bool,
}

/// What became of the frames of one run.
struct Run {
    /// Frames a second that arrived.
    arrived: f64,
    /// Frames a second that were recorded.
    recorded: f64,
    lost: u64,
}

/// As fast as the sender can, and, where that is too fast, slower until nothing is lost.
pub(super) fn highest(
    plan: &Plan<'_>,
    pair: &Pair,
    bytes: u16,
    folder: Option<&Path>,
) -> Result<Rate, SelfTestError> {
    let full = run(plan, pair, bytes, folder, Speed::Full)?;
    if full.lost == 0 {
        return Ok(Rate {
            packets_per_second: full.arrived,
            limited_by_sender: true,
        });
    }
    // More than is recorded under overload may be possible: then the sender leaves more time.
    let mut speed = full.arrived.min(full.recorded * 1.5);
    for _ in 0..TRIES {
        speed *= STEP;
        let tried = run(plan, pair, bytes, folder, Speed::PerSecond(speed))?;
        if tried.lost == 0 {
            return Ok(Rate {
                packets_per_second: tried.arrived,
                limited_by_sender: false,
            });
        }
    }
    Ok(Rate {
        packets_per_second: 0.0,
        limited_by_sender: false,
    })
}

fn run(
    plan: &Plan<'_>,
    pair: &Pair,
    bytes: u16,
    folder: Option<&Path>,
    speed: Speed,
) -> Result<Run, SelfTestError> {
    check(&plan.stop)?;
    let folder = folder.map(temporary).transpose()?;
    let output: Box<dyn Output> = match &folder {
        Some(folder) => Box::new(StoreOutput::open(folder.path(), StoreOptions::default())?),
        None => Box::new(Nothing::default()),
    };
    let mut program = Program::load(&plan.rings)?;
    let fds = program.map_fds()?;
    let mut link = OurLink::attach(&mut program, pair)?;
    let stop = Arc::<AtomicBool>::default();
    let settings = Settings {
        keep: None,
        count: None,
        duration: None,
        snaplen: MAX_SNAPLEN,
        own: Own::default(),
        stop: Arc::clone(&stop),
    };
    thread::scope(|scope| {
        let recorder =
            scope.spawn(move || crate::record::run(&mut link, fds, output, settings, &mut |_| {}));
        let sent = send(plan, pair, bytes, speed);
        stop.store(true, Relaxed);
        let status = recorder.join().map_err(|_| SelfTestError::Panicked)??;
        Ok(Run::new(&status, sent?))
    })
}

fn send(plan: &Plan<'_>, pair: &Pair, bytes: u16, speed: Speed) -> Result<Duration, SelfTestError> {
    let sender =
        agent_probe::Program::sender().map_err(SelfTestError::network("load the sender"))?;
    let frame = agent_probe::frame(bytes);
    let start = Instant::now();
    let left = |_: &agent_probe::Sent| {
        let over = start.elapsed() >= plan.time || plan.stop.load(Relaxed);
        if over { 0 } else { u64::MAX }
    };
    agent_probe::send(&sender, &frame, pair, speed, left)
        .map_err(SelfTestError::network("send frames"))?;
    Ok(start.elapsed())
}

impl Run {
    fn new(status: &Status, took: Duration) -> Self {
        let sum = |count: fn(&Sample) -> u64| -> u64 {
            let interfaces = status.interfaces.values();
            interfaces.map(|state| count(&state.sample)).sum()
        };
        let seconds = took.as_secs_f64();
        Self {
            arrived: sum(|sample| sample.kernel.seen) as f64 / seconds,
            recorded: sum(|sample| sample.recorder.stored) as f64 / seconds,
            lost: sum(Sample::dropped),
        }
    }
}

/// The program on one interface, which neither comes nor goes.
struct OurLink {
    changes: Vec<Change>,
    attachment: Option<Attachment>,
}

impl OurLink {
    fn attach(program: &mut Program, pair: &Pair) -> Result<Self, SelfTestError> {
        let interface = list()?
            .into_iter()
            .find(|interface| interface.name == pair.near)
            .ok_or_else(|| {
                SelfTestError::network("find our interface")(std::io::ErrorKind::NotFound.into())
            })?;
        let config = InterfaceConfig {
            slot: 0,
            snaplen: 0,
            packets: true,
            tuples: true,
            joined: true,
        };
        let attachment = program.attach(&interface, config, Mode::Auto)?;
        Ok(Self {
            changes: vec![Change::Attached {
                slot: 0,
                name: interface.name,
                tag: "self-test".to_owned(),
                mode: attachment.mode(),
                socket: None,
            }],
            attachment: Some(attachment),
        })
    }
}

impl Link for OurLink {
    fn changes(&mut self, timeout: Duration) -> Option<Vec<Change>> {
        if self.changes.is_empty() {
            thread::sleep(timeout);
        }
        Some(std::mem::take(&mut self.changes))
    }

    fn detach(&mut self) {
        self.attachment = None;
    }
}

/// Throws everything away.
#[derive(Default)]
struct Nothing(u64);

impl Output for Nothing {
    fn append(&mut self, _: u32, block: &RecordBlock) -> Result<LeftOut, WriteError> {
        self.0 += block.bytes().len() as u64;
        Ok(LeftOut::default())
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        Ok(())
    }

    fn bytes_written(&self) -> u64 {
        self.0
    }
}
