//! The socket with real clients: told, refused, cut off, and found again.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::{Client, ClientError, Next};
use super::options::{Options, SharedOptions};
use super::protocol::{Limits, Message, SOCKET_NAME, Want};
use super::socket::{Listener, ServeError, Server};
use super::status::Agent;
use super::status::tests::after;
use crate::record::Board;
use crate::store::Source;

const LONG: Duration = Duration::from_secs(20);

/// An agent that serves, in a store of its own.
struct Room {
    store: tempfile::TempDir,
    board: Arc<Board>,
    agent: Arc<Agent>,
    server: Server,
    options: SharedOptions,
}

impl Room {
    fn new(options: Options) -> Self {
        let store = tempfile::tempdir().unwrap();
        let board = Arc::<Board>::default();
        for slot in 0..4 {
            let source = Source {
                well: "w".to_owned(),
                interface: format!("lan{slot}"),
                tag: "t".to_owned(),
            };
            board.name(slot, source);
        }
        let options = SharedOptions::new(options);
        let agent = Arc::new(Agent::new(Arc::clone(&board), 77, options.clone()));
        let listener = Listener::bind(store.path(), options.clone(), None).unwrap();
        let server = listener.serve(Arc::clone(&agent)).unwrap();
        Self {
            store,
            board,
            agent,
            server,
            options,
        }
    }

    fn connect(&self, want: Want) -> Result<Client, ClientError> {
        Client::connect(self.store.path(), want)
    }

    /// Waits for a note that has this in it.
    fn note(&self, part: &str) -> String {
        let started = Instant::now();
        while started.elapsed() < LONG {
            if let Some(note) = self.server.notes().find(|note| note.contains(part)) {
                return note;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("no note of '{part}'");
    }
}

/// The next message that `pick` takes.
fn wait<T>(client: &mut Client, mut pick: impl FnMut(Message) -> Option<T>) -> T {
    let started = Instant::now();
    while started.elapsed() < LONG {
        match client.next(LONG).unwrap() {
            Next::Message(message) => {
                if let Some(picked) = pick(message) {
                    return picked;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("it did not come");
}

fn committed(client: &mut Client, sequence: u64, length: u64) {
    wait(client, |message| match message {
        Message::Commit(commit) => (commit.sequence, commit.length)
            .eq(&(sequence, length))
            .then_some(()),
        _ => None,
    });
}

#[test]
fn all_who_listen_are_told_what_is_new() {
    let limits = Limits {
        memory: Some(1 << 20),
        ..Limits::default()
    };
    let room = Room::new(Options {
        limits,
        ..Options::default()
    });
    room.board.commit(1, 4, 24, 9);
    let mut clients: Vec<Client> = (0..20)
        .map(|_| room.connect(Want::Commits).unwrap())
        .collect();
    for client in &mut clients {
        let hello = client.hello();
        assert_eq!((hello.pid, hello.started_ns), (std::process::id(), 77));
        assert_eq!((hello.limits, hello.sources.len()), (limits, 4));
        let lan1 = &hello.sources[1];
        assert_eq!((lan1.interface.as_str(), lan1.sequence), ("lan1", 4));
        assert_eq!((lan1.length, lan1.time_ns), (24, 9));
    }
    room.board.commit(2, 1, 100, 10);
    room.board.complete(500);
    room.agent.report(&after(3));
    for client in &mut clients {
        let mut losses = 0;
        let mut commits = Vec::new();
        while losses < 2 || commits.is_empty() {
            wait(client, |message| match message {
                Message::Commit(commit) => {
                    commits.push((commit.interface, commit.sequence, commit.length));
                    Some(())
                }
                Message::Loss(loss) => {
                    losses += 1;
                    let expected = if loss.interface == "lan0" { 300 } else { 0 };
                    assert_eq!(loss.counts.seen, expected);
                    Some(())
                }
                Message::CompleteUntilNs(until) => {
                    // What it is about was told before it.
                    assert_eq!((until, commits.len()), (500, 1));
                    Some(())
                }
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(commits, [("lan2".to_owned(), 1, 100)]);
    }
    let (_, report) = Client::status(room.store.path()).unwrap();
    assert_eq!((report.subscribers.now, report.subscribers.max), (21, 32));
    assert_eq!(report.interfaces[0].counts.seen, 300);
    assert_eq!(report.complete_until_ns, 500);

    room.board.commit(0, 1, 999, 11);
    room.board.complete(600);
    assert!(room.server.stop("enough").is_empty());
    for client in &mut clients {
        let mut rest = Vec::new();
        while let Next::Message(message) = client.next(LONG).unwrap() {
            if matches!(message, Message::Commit(_) | Message::End(_)) {
                rest.push(message);
            }
        }
        let [Message::Commit(last), Message::End(reason)] = &rest[..] else {
            panic!("{rest:?}");
        };
        assert_eq!((last.length, reason.as_str()), (999, "enough"));
    }
    assert!(!room.store.path().join(SOCKET_NAME).exists());
}

#[test]
fn commits_are_told_at_most_ten_times_a_second() {
    let room = Room::new(Options::default());
    let mut client = room.connect(Want::Commits).unwrap();
    let board = Arc::clone(&room.board);
    let writer = std::thread::spawn(move || {
        let started = Instant::now();
        let mut length = 0;
        while started.elapsed() < Duration::from_secs(1) {
            length += 1;
            board.commit(0, 1, length, 0);
            board.complete(length as i64);
            std::thread::sleep(Duration::from_millis(1));
        }
        length
    });
    let (mut commits, mut beats, mut complete) = (Vec::new(), 0, 0);
    while let Next::Message(message) = client.next(Duration::from_millis(400)).unwrap() {
        match message {
            Message::Commit(commit) => commits.push(commit.length),
            Message::CompleteUntilNs(until) => {
                beats += 1;
                complete = until;
                assert!(commits.last().is_some_and(|length| *length as i64 >= until));
            }
            other => panic!("{other:?}"),
        }
        if beats == 30 {
            break;
        }
    }
    let last = writer.join().unwrap();
    assert_eq!((commits.last(), complete), (Some(&last), last as i64));
    assert!((2..=12).contains(&commits.len()), "{commits:?}");
}

#[test]
fn who_does_not_read_is_cut_off_and_nobody_else_notices() {
    let room = Room::new(Options {
        queue_bytes: 4096,
        ..Options::default()
    });
    let mut slow = room.connect(Want::Commits).unwrap();
    let mut quick = room.connect(Want::Commits).unwrap();
    let board = Arc::clone(&room.board);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let writer = std::thread::spawn(move || {
        for length in 1.. {
            (0..4).for_each(|slot| board.commit(slot, 1, length, 0));
            if stopped.recv_timeout(Duration::from_millis(20)).is_ok() {
                break;
            }
        }
    });
    let reader = std::thread::spawn(move || {
        let mut count = 0;
        while let Next::Message(message) = quick.next(LONG).unwrap() {
            match message {
                Message::Commit(_) => count += 1,
                Message::End(reason) => return (count, reason),
                _ => {}
            }
        }
        panic!("no end");
    });
    let note = room.note("too slowly");
    let name = format!("the subscriber process {} of user", std::process::id());
    assert!(note.starts_with(&name), "{note}");
    let mut last = None;
    while let Next::Message(message) = slow.next(LONG).unwrap() {
        last = Some(message);
    }
    // There was time for the last line, as it reads again.
    let Some(Message::End(reason)) = last else {
        panic!("{last:?}");
    };
    assert!(reason.contains("reads too slowly"), "{reason}");
    let listeners = room.agent.status().subscribers;
    assert_eq!((listeners.now, listeners.cut_off), (1, 1));
    stop.send(()).unwrap();
    writer.join().unwrap();
    let _ = room.server.stop("done");
    let (count, reason) = reader.join().unwrap();
    assert!(count > 20, "{count}");
    assert_eq!(reason, "done");
}

#[test]
fn there_are_at_most_so_many() {
    let room = Room::new(Options {
        max_subscribers: 2,
        ..Options::default()
    });
    let first = room.connect(Want::Commits).unwrap();
    let _second = room.connect(Want::Commits).unwrap();
    let error = room.connect(Want::Status).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "2 subscribers are connected, which is all that are allowed (max_subscribers)"
        ),
        "{error}"
    );
    assert!(room.note("was refused").contains("max_subscribers"));
    assert_eq!(room.agent.status().subscribers.refused, 1);
    let limits = Limits {
        rows: Some(5),
        ..Limits::default()
    };
    room.options.change(3, limits);
    let third = room.connect(Want::Commits).unwrap();
    assert_eq!(third.hello().limits, limits);
    assert_eq!(room.agent.status().subscribers.max, 3);
    drop((first, third));
    let started = Instant::now();
    while room.connect(Want::Status).is_err() {
        assert!(started.elapsed() < LONG);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What the agent answers to these bytes, after which this side says nothing more.
fn answer(store: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(store.join(SOCKET_NAME)).unwrap();
    stream.write_all(bytes).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    // Closed by who has not read all, it ends with ECONNRESET.
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn what_is_no_request_is_refused() {
    let room = Room::new(Options::default());
    let refused = |bytes: &[u8]| {
        let line = answer(room.store.path(), bytes);
        let Some(Message::Refused(reason)) = Message::parse(line.trim_end()).unwrap() else {
            panic!("{line}");
        };
        reason
    };
    let reason = refused(b"GET / HTTP/1.1\n");
    assert!(
        reason.contains("say {\"hello\":1,\"want\":\"commits\"}"),
        "{reason}"
    );
    assert!(refused(b"{\"hello\":1}\n").contains("missing field `want`"));
    assert!(refused(b"{\"hello\":2,\"want\":\"commits\"}\n").ends_with("speaks protocol 1, not 2"));
    assert!(refused(&[b'x'; 5_000]).contains("at most 4096 bytes"));
    assert_eq!(answer(room.store.path(), b""), "");

    let status = answer(room.store.path(), b"{\"hello\":1,\"want\":\"status\"}\n");
    assert_eq!(status.lines().count(), 2, "{status}");
    assert!(
        status.starts_with("{\"hello\":{\"protocol\":1,"),
        "{status}"
    );

    let stream = UnixStream::connect(room.store.path().join(SOCKET_NAME)).unwrap();
    (&stream)
        .write_all(b"{\"hello\":1,\"want\":\"commits\"}\n")
        .unwrap();
    let mut lines = BufReader::new(&stream).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("{\"hello\""));
    (&stream).write_all(b"more\n").unwrap();
    assert_eq!(
        lines.last().unwrap(),
        "{\"end\":\"one request a connection\"}"
    );
}

#[test]
fn a_socket_that_is_taken_away_is_made_again() {
    let room = Room::new(Options {
        mode: 0o600,
        ..Options::default()
    });
    let path = room.store.path().join(SOCKET_NAME);
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(), 0o600);
    let mut before = room.connect(Want::Commits).unwrap();
    std::fs::remove_file(&path).unwrap();
    let note = room.note("made again");
    assert_eq!(
        note,
        format!(
            "{} was removed or replaced, and is made again",
            path.display()
        )
    );
    assert_eq!(mode(), 0o600);
    let mut after = room.connect(Want::Commits).unwrap();
    room.board.commit(0, 5, 50, 0);
    committed(&mut before, 5, 50);
    committed(&mut after, 5, 50);

    // What is no socket is somebody's.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "mine").unwrap();
    let note = room.note("nobody can ask");
    assert!(note.ends_with("is no socket, and is left alone"), "{note}");
    room.board.commit(0, 6, 60, 0);
    committed(&mut before, 6, 60);
    std::fs::remove_file(&path).unwrap();
    room.note("made again");
    room.connect(Want::Status).unwrap();
}

#[test]
fn a_store_is_served_by_one() {
    let room = Room::new(Options::default());
    let bind = || Listener::bind(room.store.path(), SharedOptions::default(), None);
    assert!(matches!(bind(), Err(ServeError::Served { .. })));
    room.connect(Want::Status).unwrap();

    let other = tempfile::tempdir().unwrap();
    let path = other.path().join(SOCKET_NAME);
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listener = Listener::bind(other.path(), SharedOptions::default(), None).unwrap();
    assert!(UnixStream::connect(&path).is_ok());
    drop(listener);
    assert!(!path.exists());
    std::fs::write(&path, "mine").unwrap();
    let bound = Listener::bind(other.path(), SharedOptions::default(), None);
    assert!(matches!(bound, Err(ServeError::NoSocket { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
}
