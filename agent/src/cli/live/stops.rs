//! The user's wish to end: once in order, twice at once; and standard output, which nobody may be
//! reading, so that a write to it hears the second wish.

use std::future::pending;
use std::io::{self, Write};

use futures::future::select_all;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::super::signals::is_ignored;

/// A pipe that can take anything takes this much without waiting (`PIPE_BUF`, pipe(7)).
const AT_ONCE: usize = 4096;

/// Between two looks at what the user says, while nobody reads.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Counts SIGINT, SIGTERM and SIGHUP from now on.
#[derive(Clone, Debug)]
pub(super) struct Stops(watch::Receiver<u32>);

impl Stops {
    /// From now on the signals do not end the process. It has a thread of its own, so that what is
    /// done before there is a runtime can be ended, too.
    pub(super) fn listen() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let hangup = SignalKind::hangup();
        let mut signals = vec![
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        ];
        if !is_ignored(hangup.as_raw_value()) {
            signals.push(signal(hangup)?);
        }
        drop(entered);
        let (tell, told) = watch::channel(0);
        let heard = move || {
            runtime.block_on(async {
                loop {
                    let any = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
                    select_all(any).await;
                    tell.send_modify(|stops| *stops += 1);
                }
            })
        };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(heard)?;
        Ok(Self(told))
    }

    /// How often it was said.
    pub(super) fn said(&self) -> u32 {
        *self.0.borrow()
    }

    /// Waits until it is said for the first time.
    pub(super) async fn once(&self) {
        self.at_least(1).await;
    }

    /// Waits until it is said for the second time.
    pub(super) async fn twice(&self) {
        self.at_least(2).await;
    }

    async fn at_least(&self, times: u32) {
        if self
            .0
            .clone()
            .wait_for(|stops| *stops >= times)
            .await
            .is_err()
        {
            // Who tells is gone only with the process.
            pending().await
        }
    }

    /// Standard output, given up when the user says it for the second time.
    pub(super) fn stdout(&self) -> Stdout {
        Stdout(self.clone())
    }
}

/// Standard output without a buffer.
#[derive(Debug)]
pub(super) struct Stdout(Stops);

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = io::stdout().lock();
        loop {
            let mut ready = [PollFd::new(&out, PollFlags::OUT)];
            match poll(&mut ready, Some(&LOOK)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => break,
                Err(error) => return Err(error.into()),
            }
            if self.0.said() >= 2 {
                return Err(io::Error::other("given up: nobody reads it"));
            }
        }
        let written = out.write(&bytes[..bytes.len().min(AT_ONCE)])?;
        out.flush()?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
