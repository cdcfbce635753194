//! One connection: what it asked for, what it was told, and its bounded queue.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::protocol::{Commit, LONGEST_REQUEST, Message, PROTOCOL, Request, Want};
use super::status::Agent;

/// How long it may take to say what it wants, and to take the last that it is told.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What a connection is about.
#[derive(Debug)]
enum State {
    /// It has not asked for anything yet.
    New { since: Instant, asked: Vec<u8> },
    /// It is told of commits.
    Listening(Told),
    /// What is in its queue is the last.
    Ending { since: Instant },
    /// It can be closed.
    Over,
}

/// What it was told last.
#[derive(Debug, Default)]
struct Told {
    commits: Vec<(u32, Commit)>,
    reports: u64,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Subscriber {
    stream: UnixStream,
    /// Who it is, for the user.
    name: String,
    state: State,
    queue: Vec<u8>,
    /// The queue begins within a line.
    within: bool,
    /// Bytes that the queue may have.
    room: usize,
    /// Its side of the connection says nothing more.
    silent: bool,
    /// It was cut off: what it did not take did not fit.
    cut_off: bool,
    /// The same, until somebody has taken note of it.
    pub(super) cut_off_now: bool,
}

impl Subscriber {
    pub(super) fn new(stream: UnixStream, name: String, room: usize, now: Instant) -> Self {
        Self {
            stream,
            name,
            state: State::New {
                since: now,
                asked: Vec::new(),
            },
            queue: Vec::new(),
            within: false,
            room,
            silent: false,
            cut_off: false,
            cut_off_now: false,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Whether something waits for room in the socket.
    pub(super) fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub(super) fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening(_))
    }

    /// Closes it without a word: nobody is there any more.
    pub(super) fn gone(&mut self) {
        self.state = State::Over;
    }

    /// Takes what it says.
    pub(super) fn read(&mut self, agent: &Agent, now: Instant) {
        let mut buffer = [0; LONGEST_REQUEST];
        let count = match self.stream.read(&mut buffer) {
            Ok(0) => {
                self.silent = true;
                // Who ends before asking is gone; who has asked may still listen.
                if matches!(self.state, State::New { .. }) {
                    self.gone();
                }
                return;
            }
            Ok(count) => count,
            Err(error) if is_for_later(&error) => return,
            Err(_) => return self.gone(),
        };
        let State::New { asked, .. } = &mut self.state else {
            if self.is_listening() {
                self.end("one request a connection", now);
            }
            return;
        };
        asked.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let line = memchr::memchr(b'\n', asked).and_then(|end| asked.get(..end));
        match line {
            Some(line) => {
                let request = request(line);
                self.answer(request, agent, now);
            }
            None if asked.len() >= LONGEST_REQUEST => {
                self.refuse(
                    format!("a request has at most {LONGEST_REQUEST} bytes"),
                    now,
                );
            }
            None => {}
        }
    }

    fn answer(&mut self, request: Result<Want, String>, agent: &Agent, now: Instant) {
        match request {
            Err(reason) => self.refuse(reason, now),
            Ok(Want::Status) => {
                self.push(&Message::Hello(agent.hello(&agent.commits())), now);
                self.push(&Message::Status(Box::new(agent.status())), now);
                if !self.cut_off {
                    self.state = State::Ending { since: now };
                }
            }
            Ok(Want::Commits) => {
                let commits = agent.commits();
                self.push(&Message::Hello(agent.hello(&commits)), now);
                if !self.cut_off {
                    self.state = State::Listening(Told {
                        commits,
                        reports: 0,
                    });
                }
            }
        }
    }

    /// Tells what is new since the last time. `complete_until_ns` is from before the commits were
    /// looked at.
    pub(super) fn tell(
        &mut self,
        agent: &Agent,
        complete_until_ns: i64,
        commits: &[(u32, Commit)],
        now: Instant,
    ) {
        let State::Listening(told) = &mut self.state else {
            return;
        };
        let mut messages: Vec<Message> = Vec::new();
        let fresh = commits
            .iter()
            .filter(|commit| !told.commits.contains(commit));
        messages.extend(fresh.map(|(_, commit)| Message::Commit(commit.clone())));
        told.commits = commits.to_vec();
        if complete_until_ns > 0 {
            messages.push(Message::CompleteUntilNs(complete_until_ns));
        }
        let reported = agent.reported();
        if std::mem::replace(&mut told.reports, reported) != reported {
            messages.extend(agent.losses().into_iter().map(Message::Loss));
        }
        for message in messages {
            self.push(&message, now);
        }
    }

    /// Says the last: it is told nothing more.
    pub(super) fn end(&mut self, reason: &str, now: Instant) {
        if !matches!(self.state, State::Ending { .. } | State::Over) {
            self.push(&Message::End(reason.to_owned()), now);
            self.state = State::Ending { since: now };
        }
    }

    fn refuse(&mut self, reason: String, now: Instant) {
        self.push(&Message::Refused(reason), now);
        self.state = State::Ending { since: now };
    }

    fn push(&mut self, message: &Message, now: Instant) {
        if self.cut_off {
            return;
        }
        let line = message.line();
        if self.queue.len() + line.len() > self.room {
            return self.cut(now);
        }
        self.queue.extend_from_slice(line.as_bytes());
    }

    /// Drops what is queued, but for the end of a line of which the beginning is sent.
    fn cut(&mut self, now: Instant) {
        let reason = format!(
            "this subscriber reads too slowly: {} bytes waited for it; connect again",
            self.queue.len()
        );
        let rest = match memchr::memchr(b'\n', &self.queue) {
            Some(end) if self.within => end + 1,
            _ => 0,
        };
        self.queue.truncate(rest);
        let line = Message::End(reason).line();
        self.queue.extend_from_slice(line.as_bytes());
        (self.cut_off, self.cut_off_now) = (true, true);
        self.state = State::Ending { since: now };
    }

    /// Sends what the socket takes now; never waits.
    pub(super) fn send(&mut self) {
        while !self.queue.is_empty() {
            match self.stream.write(&self.queue) {
                Ok(count) => {
                    let mut sent = self.queue.drain(..count);
                    self.within = sent.next_back() != Some(b'\n');
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_for_later(&error) => return,
                Err(_) => return self.gone(),
            }
        }
        if matches!(self.state, State::Ending { .. }) {
            self.gone();
        }
    }

    /// Ends what takes too long.
    pub(super) fn look_at_time(&mut self, now: Instant) {
        match &self.state {
            State::New { since, .. } if now.duration_since(*since) >= PATIENCE => {
                self.refuse("nothing was asked for in time".to_owned(), now);
            }
            State::Ending { since } if now.duration_since(*since) >= PATIENCE => self.gone(),
            _ => {}
        }
    }
}

fn request(line: &[u8]) -> Result<Want, String> {
    let request: Request = serde_json::from_slice(line).map_err(|error| {
        format!("not a request ({error}); say {{\"hello\":{PROTOCOL},\"want\":\"commits\"}}")
    })?;
    match request.hello {
        PROTOCOL => Ok(request.want),
        other => Err(format!(
            "this agent (version {}) speaks protocol {PROTOCOL}, not {other}",
            env!("CARGO_PKG_VERSION")
        )),
    }
}

pub(super) fn is_for_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
