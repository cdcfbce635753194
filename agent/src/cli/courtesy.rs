//! Capture comes first: a query over a store gives way while the rings of a capture that writes to
//! it fill up.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::exec::scan::Pause;
use crate::priority;
use crate::store::fill::Watch;

/// A ring this full makes queries wait.
const FULL: f64 = 0.25;
/// How often it is looked whether it has emptied.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Longest wait before the query works on for a while, so that it always comes to an end.
const LONGEST: Duration = Duration::from_secs(2);
/// How long it then works at least.
const WORK: Duration = Duration::from_millis(50);
/// Longest wait in all; from then on the query only has its low priority.
const IN_ALL: Duration = Duration::from_secs(60);
/// Waits that are not worth telling.
const UNTOLD: Duration = Duration::from_millis(100);
/// Nice value of a query beside a capture: the lowest priority.
const NICE: i32 = 19;

/// Makes the threads of a query wait.
pub(super) struct Courtesy {
    state: Mutex<State>,
}

struct State {
    watch: Watch,
    /// Not to wait before then.
    working_until: Option<Instant>,
    waited: Duration,
}

impl Courtesy {
    /// For a query over a store. Where a capture writes to it, the calling thread, and with it
    /// all that it starts, gets the lowest priority.
    pub(super) fn new(store: &Path) -> Arc<Self> {
        let mut watch = Watch::new(store);
        if watch.is_live() {
            priority::lower(NICE);
        }
        Arc::new(Self {
            state: Mutex::new(State {
                watch,
                working_until: None,
                waited: Duration::ZERO,
            }),
        })
    }

    /// What the scan calls between two rounds of packets.
    pub(super) fn pause(self: &Arc<Self>) -> Pause {
        let courtesy = Arc::clone(self);
        Pause::new(move || courtesy.give_way())
    }

    /// Waits while a ring is too full. One thread looks, and the others wait for it.
    fn give_way(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, mut waited) = (Instant::now(), false);
        if state.waited >= IN_ALL || state.working_until.is_some_and(|until| now < until) {
            return;
        }
        while state.watch.fullest().is_some_and(|share| share > FULL) {
            waited = true;
            if now.elapsed() >= LONGEST {
                state.working_until = Some(Instant::now() + WORK);
                break;
            }
            thread::sleep(LOOK_EVERY);
        }
        // Looking alone takes no time that counts, but is done very often.
        if waited {
            state.waited += now.elapsed();
        }
    }

    /// What is to be said of it.
    pub(super) fn note(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = state.waited.as_secs_f64();
        if state.waited < UNTOLD {
            return None;
        }
        Some(if state.waited >= IN_ALL {
            format!(
                "gave way for {seconds:.1} s to the capture that writes to this store, and then no more"
            )
        } else {
            format!("gave way for {seconds:.1} s to the capture that writes to this store")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    use super::*;
    use crate::store::fill::Publisher;

    /// Publishes a share every 10 ms until it is told to stop.
    fn publishing(
        mut publisher: Publisher,
        share: f64,
        stop: Arc<AtomicBool>,
    ) -> thread::JoinHandle<Publisher> {
        thread::spawn(move || {
            while !stop.load(SeqCst) {
                publisher.publish(share).unwrap();
                thread::sleep(Duration::from_millis(10));
            }
            publisher
        })
    }

    #[test]
    fn a_full_ring_makes_a_query_wait_and_an_empty_one_lets_it_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut publisher = Publisher::create(folder.path()).unwrap();
        publisher.publish(0.9).unwrap();
        let courtesy = Courtesy::new(folder.path());
        let (full, gone_on) = (Arc::new(AtomicBool::new(false)), AtomicBool::new(false));
        let capture = publishing(publisher, 0.9, Arc::clone(&full));
        let pause = courtesy.pause();
        thread::scope(|scope| {
            scope.spawn(|| {
                pause.wait();
                gone_on.store(true, SeqCst);
            });
            thread::sleep(Duration::from_millis(400));
            assert!(!gone_on.load(SeqCst), "it did not wait");
            full.store(true, SeqCst);
            let mut publisher = capture.join().unwrap();
            publisher.publish(0.2).unwrap();
            let fell = Instant::now();
            while !gone_on.load(SeqCst) {
                // Well before the capture would count as dead.
                assert!(
                    fell.elapsed() < Duration::from_millis(300),
                    "it still waits"
                );
                thread::sleep(Duration::from_millis(1));
            }
        });
        let note = courtesy.note().unwrap();
        assert!(note.starts_with("gave way for 0."), "{note}");
    }

    #[test]
    fn a_ring_that_stays_full_stops_nobody_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let publisher = Publisher::create(folder.path()).unwrap();
        let courtesy = Courtesy::new(folder.path());
        let stop = Arc::new(AtomicBool::new(false));
        let capture = publishing(publisher, 1.0, Arc::clone(&stop));
        thread::sleep(Duration::from_millis(50));
        let start = Instant::now();
        courtesy.give_way();
        let waited = start.elapsed();
        assert!((LONGEST..LONGEST * 2).contains(&waited), "{waited:?}");
        // And then it works for a while.
        let start = Instant::now();
        courtesy.give_way();
        assert!(start.elapsed() < WORK);
        stop.store(true, SeqCst);
        capture.join().unwrap();
    }

    #[test]
    fn without_a_capture_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let courtesy = Courtesy::new(folder.path());
        courtesy.give_way();
        assert_eq!(courtesy.note(), None);
        drop(Publisher::create(folder.path()).unwrap());
        courtesy.give_way();
        assert_eq!(courtesy.note(), None);
    }
}
