//! The loop of a live query: packets in, windows closed, answers shown, until there is an end.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::super::args::AnswerArgs;
use super::super::error::Error;
use super::super::{missed, query, unanswered};
use super::stops::Stops;
use super::view::View;
use crate::capfile::Warning;
use crate::exec::live::{Bit, Live};
use crate::exec::scan::ScanReport;
use crate::exec::{Answer, RunOptions};
use crate::live::{self, Feed, Step};
use crate::plan::pipeline::Pipeline;
use crate::wall;

/// Steps that the feed may be ahead of the query: then it waits, and what it follows does not.
const STEPS_AHEAD: usize = 2;

/// How long a feed may wait before it is asked again.
const FEED_WAIT: Duration = Duration::from_millis(100);

/// What the user is told when the clock is set back, the first time.
const SET_BACK: &str = "the clock was set back: windows of the time that comes again come twice, \
                        each with a part of their packets";

/// A live query to run.
pub(super) struct Job<'a> {
    pub(super) pipeline: Pipeline,
    pub(super) options: RunOptions,
    pub(super) answer: &'a AnswerArgs,
    /// Width of the windows where the query has none; `None`: only the last answer is shown.
    pub(super) every: Option<Duration>,
    pub(super) feed: Box<dyn Feed>,
    /// What is there already.
    pub(super) past: Option<Bit>,
    pub(super) duration: Option<Duration>,
    /// Rows that an answer may have.
    pub(super) max_rows: Option<u64>,
    /// The store whose loss belongs to the answer.
    pub(super) store: Option<PathBuf>,
}

/// Runs it to its end; the exit code.
pub(super) fn drive(job: Job<'_>, stops: &Stops) -> Result<u8, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(job.options.partitions)
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let result = runtime.block_on(run(job, stops));
    runtime.shutdown_background();
    result
}

async fn run(job: Job<'_>, stops: &Stops) -> Result<u8, Error> {
    let report = Arc::new(ScanReport::default());
    let window = job.every.unwrap_or(super::DEFAULT_EVERY);
    let window_ns = wall::nanos(window);
    let mut live = Live::new(&job.pipeline, &job.options, window_ns, Arc::clone(&report)).await?;
    if job.store.is_some() {
        live.begin(wall::now_ns());
    }
    if let Some(rows) = job.max_rows {
        live.limit_rows(rows);
    }
    let windows = job.every.is_some();
    let mut view = View::new(job.answer, &job.pipeline, windows, &live, stops.clone());
    let mut source = Source::start(job.feed, job.duration)?;
    let followed = async {
        begin(&mut live, job.past.as_ref(), stops).await?;
        follow(&mut live, &mut view, &mut source, stops).await
    };
    // The user who says it twice does not want to wait for the last packets.
    let followed = unless_twice(stops, followed).await;
    let warnings = source.end();
    if let Err(error) = followed {
        view.leave();
        return Err(error);
    }
    report.add_warnings(&warnings);
    let missed = |answer: &Answer| missed::of(job.store.as_deref(), &job.pipeline, answer);
    let ended = async {
        let last = live.close_until(i64::MAX, view.shows_windows()).await?;
        view.windows(&live, &last).await?;
        view.last(&live, missed).await
    };
    let missed = unless_twice(stops, ended).await?;
    query::notes(&report);
    if live.late_packets() > 0 {
        eprintln!(
            "warning: {} packets came after their window had closed and are not in the answer",
            live.late_packets()
        );
    }
    if live.packets_after_window() > 0 && view.shows_windows() {
        eprintln!(
            "warning: {} packets came after their window was shown; the answer over all has them",
            live.packets_after_window()
        );
    }
    if live.is_cut() {
        let rows = job.max_rows.unwrap_or_default();
        eprintln!("warning: an answer had more than the {rows} rows that the agent allows");
    }
    missed::print(&missed);
    let unanswered = unanswered::print(&report);
    let damaged = !missed.damaged.is_empty() || live.late_packets() > 0 || unanswered;
    Ok(if damaged && job.answer.strict { 3 } else { 0 })
}

/// What comes of it, unless the user wants to end at once.
async fn unless_twice<T>(
    stops: &Stops,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        () = stops.twice() => Err(Error::Interrupted),
        // What was given up half way failed for that reason.
        done = work => match stops.said() {
            0 | 1 => done,
            _ => Err(Error::Interrupted),
        },
    }
}

/// Takes in what is there already. As long as a part of it is missing there is no answer.
async fn begin(live: &mut Live, past: Option<&Bit>, stops: &Stops) -> Result<(), Error> {
    let Some(past) = past else {
        return Ok(());
    };
    tokio::select! {
        biased;
        () = stops.once() => Err(Error::Interrupted),
        taken = live.push(past) => Ok(taken?),
    }
}

/// Until the feed is over, the time is up, or the user has enough.
async fn follow(
    live: &mut Live,
    view: &mut View<'_>,
    source: &mut Source,
    stops: &Stops,
) -> Result<(), Error> {
    let mut resized = signal(SignalKind::window_change()).map_err(Error::Runtime)?;
    let mut stopped = false;
    loop {
        tokio::select! {
            biased;
            () = stops.once(), if !stopped => {
                stopped = true;
                source.stop.store(true, Relaxed);
            }
            _ = resized.recv() => view.refresh(live, true).await?,
            step = source.steps.recv() => match step {
                None => return Ok(()),
                Some(step) => {
                    source.wake();
                    let step = step?;
                    let over = step.over;
                    take(live, view, step).await?;
                    if over {
                        return Ok(());
                    }
                }
            },
        }
    }
}

async fn take(live: &mut Live, view: &mut View<'_>, step: Step) -> Result<(), Error> {
    for note in &step.notes {
        view.note(note);
    }
    for bit in &step.bits {
        live.push(bit).await?;
    }
    if let Some(until_ns) = step.complete_until_ns {
        let was_set_back = live.is_set_back();
        let closed = live.close_until(until_ns, view.shows_windows()).await?;
        view.windows(live, &closed).await?;
        if live.is_set_back() && !was_set_back {
            view.note(SET_BACK);
        }
    }
    view.refresh(live, false).await
}

type Given = Result<Step, live::Error>;

/// Waits until there is room for a step; whom the feed listens to does not wait for that. Gives
/// whether anybody still wants it.
fn hand_over(mut step: Given, output: &mpsc::Sender<Given>, feed: &mut dyn Feed) -> bool {
    loop {
        step = match output.try_send(step) {
            Ok(()) => return true,
            Err(TrySendError::Closed(_)) => return false,
            Err(TrySendError::Full(step)) => step,
        };
        // Whoever makes room says so, maybe before this.
        std::thread::park_timeout(FEED_WAIT);
        feed.hear();
    }
}

/// The thread of the feed.
struct Source {
    steps: mpsc::Receiver<Given>,
    /// Set to end it in order.
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Box<dyn Feed>>>,
    /// What came of it: a feed may hold what the answer still needs.
    feed: Option<Box<dyn Feed>>,
}

impl Source {
    /// Starts it; it ends in order after so much time.
    fn start(mut feed: Box<dyn Feed>, duration: Option<Duration>) -> Result<Self, Error> {
        let until = duration.and_then(|duration| Instant::now().checked_add(duration));
        let (output, steps) = mpsc::channel(STEPS_AHEAD);
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("feed".to_owned())
            .spawn(move || {
                loop {
                    let is_over = until.is_some_and(|until| Instant::now() >= until);
                    if is_over || told.load(Relaxed) {
                        feed.stop();
                    }
                    let step = feed.next(FEED_WAIT);
                    let over = step.as_ref().map_or(true, |step| step.over);
                    if !hand_over(step, &output, feed.as_mut()) || over {
                        return feed;
                    }
                }
            })
            .map_err(Error::Runtime)?;
        Ok(Self {
            steps,
            stop,
            thread: Some(thread),
            feed: None,
        })
    }

    /// Lets it hand over the next step, if it waits for that.
    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Damage that it met. It must not wait for anybody any more.
    fn end(&mut self) -> Vec<Warning> {
        self.stop.store(true, Relaxed);
        self.steps.close();
        while self.steps.try_recv().is_ok() {}
        self.wake();
        let thread = self.thread.take();
        self.feed = thread.and_then(|thread| thread.join().ok());
        let feed = self.feed.as_ref();
        feed.map(|feed| feed.warnings()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    /// Has always more, and somebody who talks to it.
    struct Talked(Arc<AtomicU32>);

    impl Feed for Talked {
        fn next(&mut self, _: Duration) -> Result<Step, live::Error> {
            Ok(Step::default())
        }

        fn hear(&mut self) {
            self.0.fetch_add(1, Relaxed);
        }

        fn stop(&mut self) {}
    }

    #[test]
    fn a_feed_listens_while_nobody_takes_what_it_gave() {
        let heard = Arc::new(AtomicU32::new(0));
        let mut source = Source::start(Box::new(Talked(Arc::clone(&heard))), None).unwrap();
        let started = Instant::now();
        while heard.load(Relaxed) < 3 {
            assert!(started.elapsed() < FEED_WAIT * 100, "never heard");
            std::thread::sleep(FEED_WAIT / 4);
        }
        // Room is taken at once.
        for _ in 0..100 {
            assert!(source.steps.blocking_recv().is_some());
            source.wake();
        }
        let warnings = source.end();
        assert!(warnings.is_empty() && started.elapsed() < FEED_WAIT * 100);
    }
}
