//! The socket, the status and the metrics of a capture that runs, as others see them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use flowsift::serve::client::{Client, Next};
use flowsift::serve::protocol::{Message, Report, SOCKET_NAME, Want};

use crate::namespace::{Sender, inside, interface, ip, veth, wait_until};
use crate::program::{NOBODY, PROGRAM, capture, said, signal, text};
use crate::support::say;

/// Interfaces that send: enough to fill the queue of one who does not read in some seconds.
const MANY: usize = 16;

/// How many listen at once.
const LISTENERS: usize = 20;

/// Bytes of each packet: with its record header, what the file grows by.
const FRAME: usize = 60;

/// Starts a capture whose socket is there when this returns. What it says goes to a file: a pipe
/// that nobody reads would stop it.
fn start(arguments: &str, folder: &Path) -> Child {
    let mut command = capture(arguments);
    command.stderr(fs::File::create(folder.join("stderr")).unwrap());
    let mut child = command.spawn().unwrap();
    wait_until(|| {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "{}", words(folder));
        Client::status(&folder.join("store")).is_ok()
    });
    child
}

fn words(folder: &Path) -> String {
    fs::read_to_string(folder.join("stderr")).unwrap()
}

/// Ends it as Ctrl-C does; what it said.
fn stop(mut child: Child, folder: &Path) -> String {
    signal(child.id(), libc::SIGINT);
    let status = child.wait().unwrap();
    let said = words(folder);
    assert!(status.success(), "{said}");
    said
}

pub(crate) fn status(store: &Path) -> Report {
    Client::status(store).unwrap().1
}

/// What a listener was told from its first to its last line.
#[derive(Default)]
struct Told {
    lengths: BTreeMap<String, u64>,
    complete_until_ns: i64,
    seen: BTreeMap<String, u64>,
    end: String,
}

fn listen(mut client: Client) -> Told {
    let mut told = Told::default();
    loop {
        match client.next(Duration::from_secs(60)).unwrap() {
            Next::Message(Message::Commit(commit)) => {
                let last = told.lengths.insert(commit.interface, commit.length);
                assert!(commit.sequence == 1 && last.is_none_or(|last| last < commit.length));
            }
            Next::Message(Message::CompleteUntilNs(until)) => told.complete_until_ns = until,
            Next::Message(Message::Loss(loss)) => {
                assert_eq!(loss.counts.lost(), 0);
                told.seen.insert(loss.interface, loss.counts.seen);
            }
            Next::Message(Message::End(reason)) => told.end = reason,
            Next::Closed => return told,
            other => panic!("{other:?}"),
        }
    }
}

/// Values of the metrics by their series.
fn metrics(address: &str) -> (String, BTreeMap<String, f64>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    let lines = body.lines().filter(|line| !line.starts_with('#'));
    let values = lines.map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.parse().unwrap())
    });
    (body.to_owned(), values.collect())
}

/// Where there is one, a parser that is not ours has no fault to find.
fn check_by_promtool(text: &str) {
    let tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut tool) = tool else {
        return say("promtool is not installed: metrics are parsed by this test alone");
    };
    tool.stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn all_that_is_captured_is_told_and_who_does_not_read_costs_nothing() {
    if !inside() {
        return;
    }
    ip("link set lo up");
    let names: Vec<String> = (0..MANY).map(|at| format!("sa{at}")).collect();
    let senders: Vec<Sender> = names
        .iter()
        .map(|near| {
            let far = near.replace("sa", "sb");
            veth(near, &far, 1500);
            Sender::new(&interface(&far))
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let arguments = format!("-i sa* --metrics 0 --store {}", store.display());
    let child = start(&arguments, folder.path());
    wait_until(|| status(&store).interfaces.len() == MANY);

    let clients = (0..LISTENERS).map(|_| Client::connect(&store, Want::Commits).unwrap());
    let clients: Vec<Client> = clients.collect();
    let listeners: Vec<_> = clients
        .into_iter()
        .map(|client| std::thread::spawn(move || listen(client)))
        .collect();
    let mut slow = UnixStream::connect(store.join(SOCKET_NAME)).unwrap();
    slow.write_all(b"{\"hello\":1,\"want\":\"commits\"}\n")
        .unwrap();

    let frame = [0x11; FRAME];
    let started = Instant::now();
    let mut sent = 0;
    while status(&store).subscribers.cut_off == 0 {
        for _ in 0..4 {
            senders
                .iter()
                .for_each(|sender| sender.send(&frame).unwrap());
            sent += 1;
            std::thread::sleep(Duration::from_millis(25));
        }
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "it was not cut off"
        );
    }
    say(&format!(
        "cut off after {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    let all = MANY as u64 * sent;
    let last_sent = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let last_sent = last_sent.as_nanos() as i64;
    wait_until(|| {
        let report = status(&store);
        let stored: u64 = report.interfaces.iter().map(|one| one.counts.stored).sum();
        stored == all && report.complete_until_ns > last_sent
    });

    // Who was cut off is given some seconds for the last line.
    wait_until(|| status(&store).subscribers.now == LISTENERS as u64 + 1);
    let said_so_far = words(folder.path());
    assert!(
        said_so_far.contains("reads too slowly and was cut off"),
        "{said_so_far}"
    );
    let address = said_so_far
        .split("http://")
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let (exposed, values) = metrics(address);
    check_by_promtool(&exposed);
    for name in &names {
        let of =
            |what: &str| values[&format!("flowsift_capture_{what}_total{{interface=\"{name}\"}}")];
        assert_eq!(of("packets_seen") as u64, sent);
        assert_eq!(of("packets_stored") as u64, sent);
        assert_eq!(of("bytes_seen") as u64, sent * FRAME as u64);
        assert_eq!(of("bytes_stored") as u64, sent * (16 + FRAME as u64));
        assert_eq!(
            values[&format!("flowsift_capture_interface_up{{interface=\"{name}\"}}")],
            1.0
        );
    }
    let dropped = values
        .iter()
        .filter(|(series, _)| series.contains("packets_dropped_total{"));
    assert_eq!(dropped.map(|(_, value)| *value).sum::<f64>(), 0.0);
    assert_eq!(values["flowsift_store_segments"] as usize, MANY);
    assert_eq!(
        values["flowsift_store_bytes_written_total"] as u64,
        all * (16 + FRAME as u64)
    );
    assert_eq!(values["flowsift_socket_subscribers"] as usize, LISTENERS);
    assert_eq!(values["flowsift_socket_subscribers_cut_off_total"], 1.0);

    let said = stop(child, folder.path());
    for name in &names {
        let line = format!("{name}: {sent} packets seen, {sent} stored, 0 dropped");
        assert!(said.contains(&line), "{said}");
    }
    let length = 24 + sent * (16 + FRAME as u64);
    for listener in listeners {
        let told = listener.join().unwrap();
        let expected = |value: u64| names.iter().map(|name| (name.clone(), value)).collect();
        assert_eq!(told.lengths, expected(length));
        assert_eq!(told.seen, expected(sent));
        assert!(told.complete_until_ns > last_sent);
        assert_eq!(told.end, "capture ended");
    }
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(rest.starts_with(b"{\"hello\"") && !store.join(SOCKET_NAME).exists());
}

/// `flowsift status` with these arguments, as a user.
fn ask(store: &Path, more: &[&str], user: u32) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(["status", "--store"]).arg(store).args(more);
    command.uid(user).gid(user).output().unwrap()
}

#[test]
fn the_status_is_told_to_who_may_ask_and_without_a_capture_by_the_store() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    open(folder.path(), 0o755);
    let child = start(
        &format!("-i fs0 --store {}", store.display()),
        folder.path(),
    );
    let sender = Sender::new(&interface("fs1"));
    (0..7).for_each(|_| sender.send(&[0x22; FRAME]).unwrap());
    wait_until(|| {
        let report = status(&store);
        report
            .interfaces
            .first()
            .is_some_and(|one| one.counts.stored == 7)
    });

    let shown = text(&ask(&store, &[], 0).stdout);
    let first = shown.lines().next().unwrap();
    assert!(
        first.starts_with("flowsift ") && first.ends_with(&format!("into {}", store.display()))
    );
    let line = shown.lines().find(|line| line.starts_with("fs0 ")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, tag, mode, _, _, _, seen, lost] = words[..] else {
        panic!("{shown}")
    };
    assert_eq!(
        (tag, mode, seen, lost),
        ("pcap", "native", "7", "0"),
        "{shown}"
    );
    assert!(
        shown.contains("socket: 1 of 32 connections, 0 cut off, 0 refused"),
        "{shown}"
    );
    assert!(
        shown.lines().skip(1).all(|line| line.chars().count() <= 80),
        "{shown}"
    );
    say(&shown);

    let json = ask(&store, &["--format", "json"], 0);
    assert_eq!(json.status.code(), Some(0));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["running"], true);
    assert_eq!(json["status"]["interfaces"][0]["stored"], 7);
    assert_eq!(json["agent"]["sources"][0]["length"], 24 + 7 * (16 + FRAME));
    assert_eq!(json["sources"][0]["written"], true);
    assert_eq!(json["disk"]["files"], 1);

    // Nobody: by the file's mode, and where that lets everybody in, by the agent itself.
    let socket = store.join(SOCKET_NAME);
    let mode = fs::metadata(&socket).unwrap();
    assert_eq!((mode.mode() & 0o777, mode.uid()), (0o660, 0));
    let refused = said(&ask(&store, &[], NOBODY), 1);
    assert!(
        refused.contains("not allowed to open") && refused.contains("agent.sock"),
        "{refused}"
    );
    assert!(refused.contains("hint: run this as root"), "{refused}");
    open(&socket, 0o666);
    let refused = said(&ask(&store, &[], NOBODY), 1);
    assert!(
        refused.contains("of user 65534 may not listen: root, the agent's user 0"),
        "{refused}"
    );
    wait_until(|| {
        fs::read_to_string(folder.path().join("stderr"))
            .unwrap()
            .contains("was refused")
    });

    // Taken away, it is made again, by a process without privileges.
    fs::remove_file(&socket).unwrap();
    wait_until(|| Client::status(&store).is_ok());
    assert_eq!(status(&store).subscribers.refused, 1);
    assert_eq!(fs::metadata(&socket).unwrap().mode() & 0o777, 0o660);

    let said = stop(child, folder.path());
    assert!(
        said.contains("agent.sock was removed or replaced, and is made again"),
        "{said}"
    );
    assert!(
        said.contains("fs0: 7 packets seen, 7 stored, 0 dropped"),
        "{said}"
    );
    let gone = ask(&store, &[], 0);
    let shown = text(&gone.stdout);
    assert_eq!(gone.status.code(), Some(3), "{shown}");
    assert!(shown.starts_with("no agent serves the store: "), "{shown}");
    let line = shown.lines().find(|line| line.starts_with("fs0 ")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(
        (words[1], &words[3..]),
        ("pcap", &["7", "7", "0"][..]),
        "{shown}"
    );
    say(&shown);
}

#[test]
fn a_capture_as_another_user_makes_its_socket_again() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    let folder = tempfile::tempdir().unwrap();
    let permissions = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path(), permissions).unwrap();
    let store = folder.path().join("store");
    let arguments = format!("-i fs0 -Z nobody --store {}", store.display());
    let child = start(&arguments, folder.path());
    let socket = store.join(SOCKET_NAME);
    let owner = || fs::metadata(&socket).unwrap().uid();
    assert_eq!(owner(), NOBODY);
    assert_eq!(ask(&store, &[], NOBODY).status.code(), Some(0));
    fs::remove_file(&socket).unwrap();
    wait_until(|| Client::status(&store).is_ok());
    assert_eq!(owner(), NOBODY);
    assert_eq!(ask(&store, &[], NOBODY).status.code(), Some(0));
    // Killed, it leaves a socket that the next one replaces.
    let mut child = child;
    let worker = Client::status(&store).unwrap().0.pid;
    signal(worker, libc::SIGKILL);
    assert!(!child.wait().unwrap().success());
    let gone = ask(&store, &[], 0);
    assert_eq!(gone.status.code(), Some(3));
    assert!(text(&gone.stdout).contains("was left by one that ended"));
    let child = start(&arguments, folder.path());
    stop(child, folder.path());
    assert!(!socket.exists());
}

#[test]
fn a_daemon_offers_what_its_configuration_says() {
    if !inside() {
        return;
    }
    ip("link set lo up");
    veth("fs0", "fs1", 1500);
    let folder = tempfile::tempdir().unwrap();
    let enter = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path(), enter).unwrap();
    let store = folder.path().join("store");
    let file = folder.path().join("flowsift.toml");
    let configure = |max: u32| {
        let text = format!(
            "[capture]\ninterfaces = ['fs0']\n[store]\npath = {store:?}\n\
             [socket]\ngroup = 'nogroup'\nmode = '0664'\nmax_subscribers = {max}\n\
             [limits]\nmemory = '1MiB'\ntime = '5s'\nrows = {max}\n\
             [metrics]\nlisten = '127.0.0.1:0'\n"
        );
        fs::write(&file, text).unwrap();
    };
    configure(7);
    let mut command = Command::new(PROGRAM);
    command.args(["agent", "--config"]).arg(&file);
    command.env_remove("JOURNAL_STREAM").stdin(Stdio::null());
    command.stderr(fs::File::create(folder.path().join("stderr")).unwrap());
    let mut child = command.spawn().unwrap();
    wait_until(|| {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "{}", words(folder.path()));
        Client::status(&store).is_ok()
    });
    let (hello, report) = Client::status(&store).unwrap();
    let limits = hello.limits;
    assert_eq!(
        (limits.memory, limits.time, limits.rows),
        (Some(1 << 20), Some(5_000), Some(7))
    );
    assert_eq!(report.subscribers.max, 7);
    let socket = fs::metadata(store.join(SOCKET_NAME)).unwrap();
    assert_eq!(
        (socket.mode() & 0o777, socket.uid(), socket.gid()),
        (0o664, 0, 65_534)
    );
    // A member of the group, but neither root nor the daemon's user.
    assert_eq!(ask(&store, &[], NOBODY).status.code(), Some(0));
    wait_until(|| words(folder.path()).contains("http://"));
    let said = words(folder.path());
    let address = said
        .split("http://")
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    assert!(metrics(address).1.contains_key("flowsift_store_segments"));

    configure(3);
    signal(child.id(), libc::SIGHUP);
    wait_until(|| status(&store).subscribers.max == 3);
    assert_eq!(Client::status(&store).unwrap().0.limits.rows, Some(3));
    let said = stop(child, folder.path());
    assert!(
        said.contains("limits.rows") && said.contains("socket.max_subscribers"),
        "{said}"
    );
}
