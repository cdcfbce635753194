//! Work behind a writer, on a thread of its own: sidecars of closed files, retention.

use std::{
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use super::{Error, Wells, retention, retention::Removed, sidecar};

/// Closed files that may wait; what is not taken gets its sidecar by `reindex`.
const QUEUE: usize = 4_096;
/// How often retention looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the thread did.
#[derive(Debug)]
pub enum Event {
    /// Made a sidecar.
    Made(sidecar::Made),
    /// Could not make one; queries read the capture file itself.
    NotMade(sidecar::Error),
    /// Retention removed a file.
    Removed(Removed),
    /// Retention of a well failed; it is tried again.
    Failed(Error),
}

/// The thread.
#[derive(Debug)]
pub struct Maintenance {
    closed: Option<SyncSender<PathBuf>>,
    events: Receiver<Event>,
    thread: Option<JoinHandle<()>>,
}

impl Maintenance {
    /// Starts the thread for a store. Retention runs about once a second.
    pub fn start(store: &Path, wells: &Wells) -> Result<Self, Error> {
        let (closed, queue) = sync_channel(QUEUE);
        let (report, events) = channel();
        let work = Work {
            store: store.to_path_buf(),
            wells: wells.clone(),
            report,
        };
        let thread = thread::Builder::new()
            .name("store-maintain".to_owned())
            .spawn(move || work.run(&queue))
            .map_err(Error::io("start a thread for", store))?;
        Ok(Self {
            closed: Some(closed),
            events,
            thread: Some(thread),
        })
    }

    /// Hands over a closed capture file; `false` if so many wait that it is not taken.
    pub fn closed(&self, capture: PathBuf) -> bool {
        match &self.closed {
            Some(closed) => closed.try_send(capture).is_ok(),
            None => false,
        }
    }

    /// What was done since the last call.
    pub fn events(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }

    /// Makes the sidecars that wait, looks at retention once more, and ends the thread.
    pub fn finish(mut self) -> Vec<Event> {
        self.end();
        self.events()
    }

    fn end(&mut self) {
        self.closed = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.end();
    }
}

struct Work {
    store: PathBuf,
    wells: Wells,
    report: Sender<Event>,
}

impl Work {
    fn run(&self, queue: &Receiver<PathBuf>) {
        let mut looked: Option<SystemTime> = None;
        loop {
            let ended = match queue.recv_timeout(LOOK_EVERY) {
                Ok(capture) => {
                    self.index(&capture);
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            // A clock that goes back must not stop retention.
            let now = SystemTime::now();
            let due = looked.is_none_or(|looked| {
                now.duration_since(looked)
                    .map_or(true, |since| since >= LOOK_EVERY)
            });
            if due || ended {
                looked = Some(now);
                self.retain(now);
            }
            if ended {
                return;
            }
        }
    }

    fn index(&self, capture: &Path) {
        let event = match sidecar::build(capture, sidecar::ROWS_PER_GROUP) {
            Ok(made) => Event::Made(made),
            // Retention was faster.
            Err(_) if !capture.exists() => return,
            Err(e) => Event::NotMade(e),
        };
        let _ = self.report.send(event);
    }

    fn retain(&self, now: SystemTime) {
        match retention::enforce_all(&self.store, &self.wells, now) {
            Ok(removed) => removed.into_iter().for_each(|removed| {
                let _ = self.report.send(Event::Removed(removed));
            }),
            Err(e) => {
                let _ = self.report.send(Event::Failed(e));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{Folder, NOW, block};
    use crate::store::{SourceWriter, WriterOptions};

    #[test]
    fn closed_files_get_sidecars_and_old_ones_go() {
        let folder = Folder::new();
        std::fs::write(
            folder.store().join("pcap/well.toml"),
            "[retention]\nmax_size = '1B'\n",
        )
        .unwrap();
        let wells = Wells::read(folder.store()).unwrap();
        let (mut writer, _) =
            SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
        writer.append(&block(NOW, 10));
        let path = writer.close(NOW).0[0].path.clone().unwrap();
        // Without retention first.
        let maintenance = Maintenance::start(folder.store(), &Wells::default()).unwrap();
        assert!(maintenance.closed(path.clone()));
        let events = maintenance.finish();
        assert!(matches!(&events[..], [Event::Made(made)] if made.packets == 10));
        assert!(path.with_extension("parquet").exists());
        let events = Maintenance::start(folder.store(), &wells).unwrap().finish();
        assert!(matches!(&events[..], [Event::Removed(removed)] if removed.sequence == 1));
        assert!(!path.exists() && !path.with_extension("parquet").exists());
    }
}
