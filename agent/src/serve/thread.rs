//! The loop of the socket's thread: accepts, tells, cuts off, and looks after the socket's file.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_socket_send_buffer_size;

use super::peer::Peer;
use super::protocol::Message;
use super::socket::{Listener, ServeError};
use super::status::Agent;
use super::subscriber::{Subscriber, is_for_later};

/// How often who listens is told what is new.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// How often the socket's file is looked at, and how long it rests when nobody can be accepted.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Notes of one kind come no more often.
const NOTE_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Serving {
    listener: Listener,
    agent: Arc<Agent>,
    tell: SyncSender<String>,
    subscribers: Vec<Subscriber>,
    /// No connection is taken before.
    accept_after: Instant,
    looked: Instant,
    told: Instant,
    /// The socket's file is not ours any more, which has been said.
    lost: bool,
    noted_refusal: Option<Instant>,
    /// The user that this process runs as.
    own: u32,
    /// Its group, where that is not root's.
    own_group: Option<u32>,
}

impl Serving {
    pub(super) fn new(listener: Listener, agent: Arc<Agent>, tell: SyncSender<String>) -> Self {
        let now = Instant::now();
        Self {
            listener,
            agent,
            tell,
            subscribers: Vec::new(),
            accept_after: now,
            looked: now,
            told: now,
            lost: false,
            noted_refusal: None,
            own: rustix::process::geteuid().as_raw(),
            own_group: Some(rustix::process::getegid().as_raw()).filter(|group| *group != 0),
        }
    }

    /// Serves until the other end of `woken` is closed; `ended` has the reason then.
    pub(super) fn run(mut self, woken: &UnixStream, ended: &Receiver<String>) {
        while !self.wait(woken) {
            self.round(Instant::now());
        }
        let reason = ended.try_recv();
        let reason = reason.unwrap_or_else(|_| "the agent ended".to_owned());
        let now = Instant::now();
        self.news(now);
        for subscriber in &mut self.subscribers {
            subscriber.end(&reason, now);
        }
        // What a socket takes at once, it has; nobody is waited for at the end of a capture.
        self.subscribers.iter_mut().for_each(Subscriber::send);
    }

    /// Waits for something to do; whether it is the end. Failures to wait cost a pause.
    fn wait(&mut self, woken: &UnixStream) -> bool {
        let now = Instant::now();
        let accepts = now >= self.accept_after;
        let mut watched = vec![PollFd::new(woken, PollFlags::IN)];
        let listener = match accepts {
            true => PollFlags::IN,
            false => PollFlags::empty(),
        };
        watched.push(PollFd::new(&self.listener.listener, listener));
        for subscriber in &self.subscribers {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, !subscriber.is_silent());
            flags.set(PollFlags::OUT, subscriber.has_queue());
            watched.push(PollFd::from_borrowed_fd(subscriber.stream().as_fd(), flags));
        }
        let timeout = match self.subscribers.is_empty() {
            true => LOOK_EVERY,
            false => TELL_EVERY.saturating_sub(now.duration_since(self.told)),
        };
        let timeout = Timespec::try_from(timeout).ok();
        if poll(&mut watched, timeout.as_ref()).is_err_and(|error| error != rustix::io::Errno::INTR)
        {
            std::thread::sleep(TELL_EVERY);
        }
        let found: Vec<PollFlags> = watched.iter().map(PollFd::revents).collect();
        drop(watched);
        let mut found = found.into_iter();
        let over = found.next().is_some_and(|flags| !flags.is_empty());
        let connected = found.next().is_some_and(|flags| !flags.is_empty());
        let now = Instant::now();
        for (subscriber, flags) in self.subscribers.iter_mut().zip(found) {
            if flags.contains(PollFlags::IN) {
                subscriber.read(&self.agent, now);
            } else if flags.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                subscriber.gone();
            }
        }
        if connected && !over {
            self.accept(now);
        }
        over
    }

    fn round(&mut self, now: Instant) {
        if now.duration_since(self.told) >= TELL_EVERY {
            self.told = now;
            self.news(now);
        }
        for subscriber in &mut self.subscribers {
            subscriber.look_at_time(now);
            subscriber.send();
        }
        let slow = self.subscribers.iter_mut().filter_map(|subscriber| {
            std::mem::take(&mut subscriber.cut_off_now).then(|| subscriber.name().to_owned())
        });
        for name in slow.collect::<Vec<_>>() {
            self.agent.listeners.cut_off.fetch_add(1, Relaxed);
            self.note(format!(
                "the subscriber {name} reads too slowly and was cut off; capture is not concerned"
            ));
        }
        self.subscribers.retain(|subscriber| !subscriber.is_over());
        self.count();
        if now.duration_since(self.looked) >= LOOK_EVERY {
            self.looked = now;
            self.look_after_file();
        }
    }

    /// Tells all who listen what is new.
    fn news(&mut self, now: Instant) {
        if !self.subscribers.iter().any(Subscriber::is_listening) {
            return;
        }
        // In this order: the commits then include all that the time is about.
        let complete_until_ns = self.agent.complete_until_ns();
        let commits = self.agent.commits();
        for subscriber in &mut self.subscribers {
            subscriber.tell(&self.agent, complete_until_ns, &commits, now);
        }
    }

    fn accept(&mut self, now: Instant) {
        loop {
            match self.listener.listener.accept() {
                Ok((stream, _)) => self.admit(stream, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_for_later(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // Out of descriptors, say: the connection waits, and so does this.
                    self.accept_after = now + LOOK_EVERY;
                    return self.note_refusal(format!("no connection can be taken: {error}"), now);
                }
            }
        }
    }

    fn admit(&mut self, stream: UnixStream, now: Instant) {
        let options = self.listener.place.options.get();
        let prepared = stream.set_nonblocking(true).and_then(|()| {
            // So that what waits for one who does not read is bounded in the kernel, too.
            set_socket_send_buffer_size(&stream, options.queue_bytes)?;
            Peer::of(&stream)
        });
        let refused = match &prepared {
            Err(error) => Some(format!("the system does not say who it is: {error}")),
            Ok(peer) => peer
                .admit(self.own, options.group.or(self.own_group))
                .err()
                .or_else(|| {
                    let full = self.subscribers.len() >= options.max_subscribers;
                    full.then(|| {
                        format!(
                            "{} subscribers are connected, which is all that are allowed \
                         (max_subscribers)",
                            options.max_subscribers
                        )
                    })
                }),
        };
        match (refused, prepared) {
            (None, Ok(peer)) => {
                let name = format!("process {} of user {}", peer.pid, peer.uid);
                let subscriber = Subscriber::new(stream, name, options.queue_bytes, now);
                self.subscribers.push(subscriber);
                self.count();
            }
            (reason, _) => {
                let reason = reason.unwrap_or_default();
                self.agent.listeners.refused.fetch_add(1, Relaxed);
                let line = Message::Refused(reason.clone()).line();
                // A new socket has room for a line; and who does not read it knows it is over.
                let _ = io::Write::write(&mut &stream, line.as_bytes());
                self.note_refusal(format!("a subscriber was refused: {reason}"), now);
            }
        }
    }

    /// Puts the socket back where somebody has removed or replaced its file: who is connected
    /// notices nothing, but nobody else could come.
    fn look_after_file(&mut self) {
        let place = &self.listener.place;
        if place.identity() == Some(self.listener.identity) {
            return;
        }
        match place.bind(None) {
            Ok((listener, identity)) => {
                let path = place.path.display();
                let note = format!("{path} was removed or replaced, and is made again");
                self.listener.listener = listener;
                self.listener.identity = identity;
                self.lost = false;
                self.note(note);
            }
            Err(error) => {
                if !std::mem::replace(&mut self.lost, true) {
                    self.note(lost(&error));
                }
            }
        }
    }

    fn count(&self) {
        let now = self.subscribers.len() as u64;
        self.agent.listeners.now.store(now, Relaxed);
    }

    fn note_refusal(&mut self, note: String, now: Instant) {
        let due = |last: Instant| now.duration_since(last) >= NOTE_EVERY;
        if self.noted_refusal.is_none_or(due) {
            self.noted_refusal = Some(now);
            self.note(note);
        }
    }

    fn note(&self, note: String) {
        // Nobody takes them, or there are many: the counters have all.
        let _ = self.tell.try_send(note);
    }
}

fn lost(error: &ServeError) -> String {
    format!("nobody can ask this agent any more, which goes on capturing: {error}")
}
