//! The other side of the socket: asks a running agent for what it commits, or how it is.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::protocol::{
    Hello, Message, PROTOCOL, ProtocolError, Report, Request, SOCKET_NAME, Want,
};

/// How long an agent may take for its first line.
const PATIENCE: Duration = Duration::from_secs(5);

/// A line that is longer than this is none of ours.
const LONGEST_LINE: usize = 1 << 20;

/// Why there is no answer of an agent.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no agent serves the store: {} {what}", socket.display())]
    NoAgent {
        /// The socket.
        socket: PathBuf,
        /// What is there instead.
        what: &'static str,
    },
    /// The file's permissions.
    #[error("not allowed to open {}: {source}", socket.display())]
    Permission {
        /// The socket.
        socket: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The agent's word.
    #[error("the agent at {} refuses: {reason}", socket.display())]
    Refused {
        /// The socket.
        socket: PathBuf,
        /// Why.
        reason: String,
    },
    /// The agent is of another time.
    #[error("the agent at {} (version {version}) speaks protocol {theirs}, this program {PROTOCOL}", socket.display())]
    Version {
        /// The socket.
        socket: PathBuf,
        /// The agent's version.
        version: String,
        /// Its protocol.
        theirs: u32,
    },
    /// It says nothing.
    #[error("the agent at {} does not answer", socket.display())]
    Silent {
        /// The socket.
        socket: PathBuf,
    },
    /// It ended without a word, as when it is killed.
    #[error("the agent at {} is gone", socket.display())]
    Gone {
        /// The socket.
        socket: PathBuf,
    },
    /// It says something else.
    #[error("the agent at {}: {source}", socket.display())]
    Protocol {
        /// The socket.
        socket: PathBuf,
        /// What.
        source: ProtocolError,
    },
    /// The system refuses.
    #[error("cannot talk to the agent at {}: {source}", socket.display())]
    Io {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ClientError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoAgent { .. } => {
                "start one: flowsift capture -i IFACE --store DIR; what is stored already can be \
                 asked without"
                    .to_owned()
            }
            Self::Permission { .. } => {
                "run this as root, as the agent's user, or as a member of the group that the \
                 socket belongs to"
                    .to_owned()
            }
            Self::Version { theirs, .. } if *theirs < PROTOCOL => {
                "restart the agent, so that it runs the installed version".to_owned()
            }
            Self::Version { .. } => "use the flowsift that the agent runs".to_owned(),
            Self::Silent { .. } => {
                "see what it does: journalctl, or strace -f -p its pid".to_owned()
            }
            Self::Refused { .. } | Self::Gone { .. } | Self::Protocol { .. } | Self::Io { .. } => {
                return None;
            }
        })
    }
}

/// A connection on which the agent has said its hello.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    stream: UnixStream,
    /// What came and was not given yet.
    pending: Vec<u8>,
    hello: Hello,
}

/// What came of waiting.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// A message.
    Message(Message),
    /// The time is over.
    Timeout,
    /// The agent closed the connection.
    Closed,
}

impl Client {
    /// Connects to the agent of a store.
    ///
    /// # Errors
    /// If there is none, or it does not answer as it should.
    pub fn connect(store: &Path, want: Want) -> Result<Self, ClientError> {
        let socket = store.join(SOCKET_NAME);
        let stream = UnixStream::connect(&socket).map_err(|source| refused(&socket, source))?;
        let mut client = Self {
            socket,
            stream,
            pending: Vec::new(),
            hello: Hello::default(),
        };
        client.ask(want)?;
        client.hello = client.first()?;
        Ok(client)
    }

    fn ask(&mut self, want: Want) -> Result<(), ClientError> {
        let request = Request {
            hello: PROTOCOL,
            want,
        };
        let mut line = serde_json::to_string(&request).unwrap_or_default();
        line.push('\n');
        match self.stream.write_all(line.as_bytes()) {
            // Whoever is refused is told so before it has asked: that can still be read.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(|source| self.failed(source)),
        }
    }

    fn first(&mut self) -> Result<Hello, ClientError> {
        let socket = self.socket.clone();
        match self.next(PATIENCE)? {
            Next::Message(Message::Hello(hello)) if hello.protocol == PROTOCOL => Ok(hello),
            Next::Message(Message::Hello(hello)) => Err(ClientError::Version {
                socket,
                version: hello.version,
                theirs: hello.protocol,
            }),
            Next::Message(Message::Refused(reason) | Message::End(reason)) => {
                Err(ClientError::Refused { socket, reason })
            }
            Next::Message(_) | Next::Timeout => Err(ClientError::Silent { socket }),
            Next::Closed => Err(ClientError::Gone { socket }),
        }
    }

    /// What the agent said first.
    #[must_use]
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The next message, waiting for at most this long. Kinds that this program does not know are
    /// passed over.
    ///
    /// # Errors
    /// If what comes is no message, or the system refuses.
    pub fn next(&mut self, timeout: Duration) -> Result<Next, ClientError> {
        let until = Instant::now() + timeout;
        loop {
            while let Some(line) = self.take_line() {
                match Message::parse(line.trim_end()) {
                    Ok(Some(message)) => return Ok(Next::Message(message)),
                    Ok(None) => {}
                    Err(source) => {
                        return Err(ClientError::Protocol {
                            socket: self.socket.clone(),
                            source,
                        });
                    }
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.read(left) {
                Ok(0) => return Ok(Next::Closed),
                Ok(_) => {}
                Err(error) if is_timeout(&error) && left.is_zero() => return Ok(Next::Timeout),
                Err(error) if is_timeout(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The agent was killed while something of ours was on its way to it.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(Next::Closed);
                }
                Err(source) => return Err(self.failed(source)),
            }
        }
    }

    /// Asks an agent how it is.
    ///
    /// # Errors
    /// As [`Self::connect`] and [`Self::next`] have them.
    pub fn status(store: &Path) -> Result<(Hello, Report), ClientError> {
        let mut client = Self::connect(store, Want::Status)?;
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let socket = client.socket.clone();
            match client.next(left)? {
                Next::Message(Message::Status(report)) => return Ok((client.hello, *report)),
                Next::Message(Message::End(reason)) => {
                    return Err(ClientError::Refused { socket, reason });
                }
                Next::Message(_) => {}
                Next::Timeout => return Err(ClientError::Silent { socket }),
                Next::Closed => return Err(ClientError::Gone { socket }),
            }
        }
    }

    fn take_line(&mut self) -> Option<String> {
        let end = memchr::memchr(b'\n', &self.pending)?;
        let line: Vec<u8> = self.pending.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line).into_owned())
    }

    fn read(&mut self, wait: Duration) -> io::Result<usize> {
        // A timeout of zero would be none at all.
        let wait = wait.max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(wait))?;
        let mut buffer = [0; 16 << 10];
        let count = self.stream.read(&mut buffer)?;
        self.pending
            .extend_from_slice(buffer.get(..count).unwrap_or_default());
        if self.pending.len() > LONGEST_LINE && !self.pending.contains(&b'\n') {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a line without an end",
            ));
        }
        Ok(count)
    }

    fn failed(&self, source: io::Error) -> ClientError {
        ClientError::Io {
            socket: self.socket.clone(),
            source,
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn refused(socket: &Path, source: io::Error) -> ClientError {
    let socket = socket.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => ClientError::NoAgent {
            socket,
            what: "is not there",
        },
        io::ErrorKind::ConnectionRefused => ClientError::NoAgent {
            socket,
            what: "was left by one that ended",
        },
        io::ErrorKind::PermissionDenied => ClientError::Permission { socket, source },
        _ => ClientError::Io { socket, source },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// What becomes of a connection to somebody who says these words.
    fn connect(words: &'static str) -> Result<Client, ClientError> {
        let store = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(store.path().join(SOCKET_NAME)).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(words.as_bytes()).unwrap();
            let mut asked = [0; 100];
            let count = stream.read(&mut asked).unwrap();
            String::from_utf8(asked[..count].to_vec()).unwrap()
        });
        let result = Client::connect(store.path(), Want::Commits);
        assert_eq!(
            server.join().unwrap(),
            "{\"hello\":1,\"want\":\"commits\"}\n"
        );
        result
    }

    #[test]
    fn messages_come_until_the_agent_closes() {
        let mut client = connect(
            "{\"hello\":{\"protocol\":1,\"version\":\"1.2\",\"pid\":7}}\n{\"news\":1}\n\
             {\"complete_until_ns\":5}\n{\"end\":\"over\"}\n",
        )
        .unwrap();
        assert_eq!(
            (client.hello().pid, client.hello().limits),
            (7, Default::default())
        );
        let wait = Duration::from_secs(5);
        let mut next = || client.next(wait).unwrap();
        assert_eq!(next(), Next::Message(Message::CompleteUntilNs(5)));
        assert_eq!(next(), Next::Message(Message::End("over".to_owned())));
        assert_eq!(next(), Next::Closed);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let said = |result: Result<Client, ClientError>| result.unwrap_err().to_string();
        assert!(said(connect("{\"refused\":\"too many\"}\n")).ends_with("refuses: too many"));
        assert!(said(connect("{\"hello\":{\"protocol\":9}}\n")).contains("speaks protocol 9"));
        assert!(said(connect("SSH-2.0\n")).contains("'SSH-2.0' is no message"));
        assert!(said(connect("")).ends_with("is gone"));

        let store = tempfile::tempdir().unwrap();
        let connect = || Client::connect(store.path(), Want::Status);
        let error = connect().unwrap_err();
        assert!(
            error.to_string().ends_with("agent.sock is not there"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("flowsift capture"));
        drop(UnixListener::bind(store.path().join(SOCKET_NAME)).unwrap());
        let error = connect().unwrap_err();
        assert!(
            error.to_string().ends_with("left by one that ended"),
            "{error}"
        );
    }

    #[test]
    fn waiting_ends() {
        let store = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(store.path().join(SOCKET_NAME)).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"{\"hello\":{\"protocol\":1}}\n").unwrap();
            stream
        });
        let mut client = Client::connect(store.path(), Want::Commits).unwrap();
        let _open = server.join().unwrap();
        let started = Instant::now();
        assert_eq!(
            client.next(Duration::from_millis(30)).unwrap(),
            Next::Timeout
        );
        assert!(started.elapsed() >= Duration::from_millis(30));
    }
}
