//! `GET /metrics` over HTTP/1.1: one thread, one request a connection, everything bounded.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use super::exposition;
use super::status::Agent;
use crate::store::usage::Usage;

/// Bytes of a request's head, at most.
const LONGEST_HEAD: usize = 8 << 10;

/// Time of a question, and of an answer, at most: others wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// How old the figures of the store's files may be; looking at them again takes at most a
/// twentieth of the time.
const USAGE_AGE: Duration = Duration::from_secs(10);

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for metrics: {source}")]
pub struct MetricsError {
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub source: io::Error,
}

/// An address on which nobody is answered yet.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

/// The thread that answers; ended by [`Metrics::stop`].
#[derive(Debug)]
pub struct Metrics {
    wake: UnixStream,
    thread: JoinHandle<()>,
}

/// `ADDRESS:PORT`, or a port alone: of this machine only.
///
/// # Errors
/// What is wrong with it.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if let Ok(port) = port.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse()
        .map_err(|_| "not an address and port such as 127.0.0.1:9750 or [::1]:9750".to_owned())
}

impl Listener {
    /// Listens, before this process gives up what that needs.
    ///
    /// # Errors
    /// If the address is in use, or not of this machine.
    pub fn bind(address: SocketAddr) -> Result<Self, MetricsError> {
        let bind = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bind().map_err(|source| MetricsError { address, source })
    }

    /// Where it is, with the port that the system chose if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts to answer with the figures of this agent, and of its store if it has one.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn serve(self, agent: Arc<Agent>, store: Option<&Path>) -> io::Result<Metrics> {
        let (wake, woken) = UnixStream::pair()?;
        let mut answering = Answering {
            listener: self.listener,
            agent,
            store: store.map(Path::to_owned),
            usage: None,
        };
        let thread = thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || answering.run(&woken))?;
        Ok(Metrics { wake, thread })
    }
}

impl Metrics {
    /// Ends the thread; who is being answered is waited for.
    pub fn stop(self) {
        drop(self.wake);
        // A thread that failed has answered its last.
        let _ = self.thread.join();
    }
}

struct Answering {
    listener: TcpListener,
    agent: Arc<Agent>,
    store: Option<PathBuf>,
    /// Until when it is good, and what it is.
    usage: Option<(Instant, Usage)>,
}

impl Answering {
    fn run(&mut self, woken: &UnixStream) {
        loop {
            let mut watched = [
                PollFd::new(woken, PollFlags::IN),
                PollFd::new(&self.listener, PollFlags::IN),
            ];
            if poll(&mut watched, None).is_err_and(|error| error != rustix::io::Errno::INTR) {
                thread::sleep(PATIENCE);
            }
            let [ended, _] = watched.map(|watched| !watched.revents().is_empty());
            if ended {
                return;
            }
            match self.listener.accept() {
                // Who is gone, or too slow, gets nothing; that is theirs to notice.
                Ok((stream, _)) => drop(self.answer(stream)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Out of descriptors, say: no reason to turn in circles.
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    fn answer(&mut self, mut stream: TcpStream) -> io::Result<()> {
        let until = Instant::now() + PATIENCE;
        stream.set_nonblocking(false)?;
        let request = head(&mut stream, until)?;
        let is_head = request.as_ref().is_ok_and(|head| head.starts_with("HEAD "));
        let (status, body) = match request {
            Err(status) => (status, format!("{status}\n")),
            Ok(request) => self.respond(&request),
        };
        // Looking at a large store takes its time, which is not that of who asks.
        let until = Instant::now() + PATIENCE;
        let kind = match status {
            "200 OK" => "text/plain; version=0.0.4; charset=utf-8",
            _ => "text/plain; charset=utf-8",
        };
        let mut answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            body.len()
        );
        if !is_head {
            answer.push_str(&body);
        }
        send(&mut stream, answer.as_bytes(), until)
    }

    /// Status line and body.
    fn respond(&mut self, head: &str) -> (&'static str, String) {
        let mut words = head.lines().next().unwrap_or_default().split(' ');
        let (method, target) = (words.next(), words.next());
        let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
        let (Some(method), Some(target), true, None) = (method, target, is_http, words.next())
        else {
            return (
                "400 Bad Request",
                "this is no HTTP/1.1 request\n".to_owned(),
            );
        };
        if target.split('?').next() != Some("/metrics") {
            return ("404 Not Found", "ask for /metrics\n".to_owned());
        }
        match method {
            "GET" | "HEAD" => ("200 OK", self.figures()),
            _ => ("405 Method Not Allowed", "only GET and HEAD\n".to_owned()),
        }
    }

    fn figures(&mut self) -> String {
        self.look_at_store();
        let usage = self.usage.as_ref().map(|(_, usage)| usage);
        exposition::text(&self.agent.status(), self.agent.started_ns(), usage)
    }

    /// What cannot be read is left out: a figure that is not true is worse.
    fn look_at_store(&mut self) {
        let Some(store) = &self.store else {
            return;
        };
        let now = Instant::now();
        if self.usage.as_ref().is_some_and(|(until, _)| now < *until) {
            return;
        }
        let usage = Usage::of(store).ok();
        let age = USAGE_AGE.max(now.elapsed() * 20);
        self.usage = usage.map(|usage| (Instant::now() + age, usage));
    }
}

/// The request up to its empty line; the inner error is what to answer instead.
fn head(stream: &mut TcpStream, until: Instant) -> io::Result<Result<String, &'static str>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 1024];
    while memchr::memmem::find(&bytes, b"\r\n\r\n").is_none() {
        if bytes.len() > LONGEST_HEAD {
            return Ok(Err("431 Request Header Fields Too Large"));
        }
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => bytes.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Ok(String::from_utf8_lossy(&bytes).into_owned()))
}

fn send(stream: &mut TcpStream, mut bytes: &[u8], until: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left(until)?))?;
        match stream.write(bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    stream.shutdown(std::net::Shutdown::Write)
}

/// What is left of a connection's time.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(io::ErrorKind::TimedOut.into()),
        false => Ok(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::options::SharedOptions;
    use crate::serve::status::tests::after;

    fn ask(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        // Who sends more than is read is reset behind the answer.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn figures_are_given_to_who_asks_for_them_and_nothing_else_to_anybody() {
        let store = tempfile::tempdir().unwrap();
        let agent = Arc::new(Agent::new(Arc::default(), 0, SharedOptions::default()));
        let listener = Listener::bind(parse_address("0").unwrap()).unwrap();
        let address = listener.address();
        assert!(address.ip().is_loopback());
        let taken = Listener::bind(address).unwrap_err().to_string();
        assert!(taken.contains(&address.to_string()), "{taken}");
        let metrics = listener
            .serve(Arc::clone(&agent), Some(store.path()))
            .unwrap();
        // Whoever says nothing keeps the others waiting, but not for long.
        let _silent = TcpStream::connect(address).unwrap();
        agent.report(&after(3));
        let answer = ask(address, b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"));
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
        assert!(body.contains("\nflowsift_capture_packets_seen_total{interface=\"lan0\"} 300\n"));
        assert!(body.contains("\nflowsift_store_segments 0\n"));
        let only_head = ask(address, b"HEAD /metrics HTTP/1.0\r\n\r\n");
        assert!(only_head.starts_with("HTTP/1.1 200 OK\r\n") && only_head.ends_with("\r\n\r\n"));
        let long = [b"GET /".as_slice(), &[b'x'; 20_000]].concat();
        for (request, status) in [
            (b"GET / HTTP/1.1\r\n\r\n".as_slice(), "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
            (b"hello\r\n\r\n", "400"),
            (b"GET /metrics HTTP/2.0\r\n\r\n", "400"),
            (&long, "431"),
        ] {
            let answer = ask(address, request);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
        }
        metrics.stop();
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn a_store_that_is_looked_at_for_long_leaves_time_for_the_answer() {
        let store = tempfile::tempdir().unwrap();
        let folder = store.path().join("pcap/lan0");
        std::fs::create_dir_all(&folder).unwrap();
        // Whoever opens it to read waits for who opens it to write.
        let slow = folder.join("active-000001.pcap");
        let made = std::process::Command::new("mkfifo").arg(&slow).status();
        assert!(made.unwrap().success());
        let agent = Arc::new(Agent::new(Arc::default(), 0, SharedOptions::default()));
        let listener = Listener::bind(parse_address("0").unwrap()).unwrap();
        let address = listener.address();
        let metrics = listener.serve(agent, Some(store.path())).unwrap();
        let writer = thread::spawn(move || {
            thread::sleep(PATIENCE + Duration::from_millis(300));
            std::fs::File::options().write(true).open(slow).map(drop)
        });
        let answer = ask(address, b"GET /metrics HTTP/1.1\r\n\r\n");
        assert!(answer.contains("\nflowsift_store_segments 1\n"), "{answer}");
        writer.join().unwrap().unwrap();
        metrics.stop();
    }

    #[test]
    fn addresses() {
        let of = |text| parse_address(text).map(|address| address.to_string());
        assert_eq!(of("9750"), Ok("127.0.0.1:9750".to_owned()));
        assert_eq!(of(":9750"), Ok("127.0.0.1:9750".to_owned()));
        assert_eq!(of("[::]:9750"), Ok("[::]:9750".to_owned()));
        for wrong in ["", "x", "127.0.0.1", "99999", "localhost:9"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
