//! The privilege split with real processes: what a confined worker can do, and what it cannot.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use flowsift::capture::guard::explain::Environment;
use flowsift::capture::guard::{self, Confinement, GuardNote, Sandbox, User};
use flowsift::capture::split::{self, Message, ParentEnd, Received, WorkerEnd};
use flowsift::capture::{Counters, PacketRings, Program, TupleRings};

use crate::counters::DATAGRAM;
use crate::namespace::wait_until;
use crate::support::{ALL, Kernel, ROOMY, skip, test_name};

/// Set in the processes that a test starts, to the folder that they work in.
const FOLDER: &str = "FLOWSIFT_TEST_FOLDER";
/// And the user that the worker is to become.
const USER: &str = "FLOWSIFT_TEST_USER";

const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_confined_worker_does_its_work_and_nothing_else() {
    confined("root");
}

#[test]
fn a_confined_worker_may_be_another_user() {
    confined("nobody");
}

/// This function is run by three processes: the test's, the privileged part, and its worker.
fn confined(user: &str) {
    if let Some(worker) = split::worker().unwrap() {
        return alone(|| be_confined(worker, user));
    }
    if let Some(folder) = std::env::var_os(FOLDER) {
        return be_privileged(Path::new(&folder), user);
    }
    if Kernel::load(ROOMY).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = again(folder.path(), user);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    // The worker renamed it to this, inside what it may write.
    let written = fs::read(folder.path().join("store/kept")).unwrap();
    assert_eq!(written, b"packets");
}

/// Does something in a copy of this process, without the thread that the test harness has besides.
fn alone(work: impl FnOnce()) {
    // SAFETY: the harness's thread only waits, and holds no lock that is needed here.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        // SAFETY: ends the copy at once.
        unsafe { libc::_exit(done.is_err().into()) }
    }
    let mut status = -1;
    // SAFETY: writes the status.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
}

/// Runs this test of this binary again, alone.
fn again(folder: &Path, user: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &test_name(), "--nocapture"])
        .env(FOLDER, folder)
        .env(USER, user)
        .output()
        .unwrap()
}

fn be_privileged(folder: &Path, user: &str) {
    let mut kernel = Kernel::configured(ROOMY, ALL).unwrap();
    kernel.run(&DATAGRAM, 7).unwrap();
    let store = folder.join("store");
    fs::create_dir(&store).unwrap();
    if user == "nobody" {
        fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        chown(&store, Some(65_534), Some(65_534)).unwrap();
    }
    // SAFETY: a copy of a descriptor that is not closed at exec: it must not reach the worker.
    assert!(unsafe { libc::dup(0) } > 2);
    let fds = kernel.program.map_fds().unwrap();
    let worker = split::spawn_worker(&[
        ("tuples0", fds.tuples[0].as_fd()),
        ("packets0", fds.packets[0].as_fd()),
        ("counters", fds.counters.as_fd()),
    ])
    .unwrap();
    attach_with_little();
    let said = conversation(&worker);
    assert!(worker.finish().unwrap().success());
    let expected = [
        "descriptors 7",
        "notes []",
        "CapInh 0000000000000000",
        "CapPrm 0000000000000000",
        "CapEff 0000000000000000",
        "CapBnd 0000000000000000",
        "CapAmb 0000000000000000",
        "NoNewPrivs 1",
        "Seccomp 2",
        if user == "nobody" {
            "Uid 65534\t65534\t65534\t65534"
        } else {
            "Uid 0\t0\t0\t0"
        },
        "because this process lacks CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF",
        "7 tuples, 7 packets, 7 seen",
        "execve EPERM",
        "bpf load refused",
        "bpf map create EPERM",
        "bpf map update EPERM",
        "ptrace EPERM",
        "internet socket EPERM",
        "executable memory EPERM",
        "signal to the parent EPERM",
        "spawn refused",
        "read outside EACCES",
        "write outside EACCES",
        "unix socket inside Ok",
        "write inside Ok",
        "thread Ok",
    ];
    if said.iter().any(|text| text.contains("NoLandlock")) {
        skip("this kernel has no Landlock, so files outside are not looked at");
        let about_files = |text: &&str| text.contains("outside") || text.contains("notes");
        let rest = |text: &&str| !about_files(text);
        let said: Vec<_> = said.iter().map(String::as_str).filter(rest).collect();
        let expected: Vec<_> = expected.into_iter().filter(rest).collect();
        return assert_eq!(said, expected);
    }
    assert_eq!(said, expected);
}

/// The privileged part keeps three capabilities, which are enough to load and run a program.
fn attach_with_little() {
    guard::keep_attaching().unwrap();
    let [_, permitted, effective, bounding, ..] = &status()[..] else {
        panic!("too few lines");
    };
    // CAP_NET_ADMIN (12), CAP_PERFMON (38), CAP_BPF (39).
    for text in [permitted, effective, bounding] {
        assert!(text.ends_with(" 000000c000001000"), "{text}");
    }
    let mut kernel = Kernel::configured(ROOMY, ALL).unwrap();
    kernel.run(&DATAGRAM, 3).unwrap();
    assert_eq!(kernel.drain().len(), 3);
}

/// What the worker says until it is done.
fn conversation(worker: &ParentEnd) -> Vec<String> {
    let mut said = Vec::new();
    loop {
        match worker.receive(LONG).unwrap() {
            Received::Message(Message::Note(text)) => said.push(text),
            Received::Message(Message::Detach) => worker.send(&Message::Detached).unwrap(),
            Received::Message(Message::Done) => return said,
            other => panic!("{other:?} after {said:#?}"),
        }
    }
}

fn be_confined(mut worker: WorkerEnd, user: &str) {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let store = folder.join("store");
    // One of them reads the folder.
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().count() - 1;
    let user = (user == "nobody").then(|| User::find(user).unwrap());
    let notes = guard::enter(&Confinement {
        user: user.as_ref(),
        sandbox: Sandbox {
            readable: vec!["/proc".into()],
            writable: vec![store.clone()],
        },
    });
    let worker_says = |text: String| worker.send(&Message::Note(text)).unwrap();
    worker_says(format!("descriptors {descriptors}"));
    // Landlock of Linux 6.1 has all that this test looks at.
    let mut notes = notes.unwrap();
    notes.retain(|note| !matches!(note, GuardNote::OldLandlock(_)));
    worker_says(format!("notes {notes:?}"));
    for text in status() {
        worker_says(text);
    }
    let reasons = Environment::read().reasons();
    worker_says(format!("because {}", reasons[0]));
    let read = read_maps(&mut worker);
    let attempts = forbidden(&folder).into_iter().chain(allowed(&store));
    for text in std::iter::once(read).chain(attempts) {
        worker.send(&Message::Note(text)).unwrap();
    }
    worker.send(&Message::Detach).unwrap();
    let answer = worker.receive(LONG).unwrap();
    assert_eq!(answer, Received::Message(Message::Detached));
    worker.send(&Message::Done).unwrap();
}

fn status() -> Vec<String> {
    let text = fs::read_to_string("/proc/thread-self/status").unwrap();
    let fields = [
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
        "Uid",
    ];
    let value = |field: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
        format!("{field} {}", line.unwrap())
    };
    fields.map(value).to_vec()
}

fn read_maps(worker: &mut WorkerEnd) -> String {
    let counters = Counters::from_fd(worker.take("counters").unwrap()).unwrap();
    let seen = counters.read(ALL.slot).unwrap().seen;
    let (mut tuples, mut packets) = (0, 0);
    TupleRings::from_fds(worker.take_all("tuples"))
        .unwrap()
        .drain(100, |_| tuples += 1);
    PacketRings::from_fds(worker.take_all("packets"))
        .unwrap()
        .drain(100, |packet| {
            assert_eq!(packet.data, DATAGRAM);
            packets += 1;
        });
    format!("{tuples} tuples, {packets} packets, {seen} seen")
}

/// What must fail, and how it did.
fn forbidden(folder: &Path) -> Vec<String> {
    let none = std::ptr::null::<libc::c_char>();
    let nothing = [0_u64; 16];
    let tell = |what: &str, result: libc::c_long| {
        let error = io::Error::last_os_error();
        format!("{what} {}", outcome(result >= 0, &error))
    };
    let bpf = |command: libc::c_int| {
        // SAFETY: reads 128 bytes of zeros, which name no memory.
        unsafe { libc::syscall(libc::SYS_bpf, command, nothing.as_ptr(), 128) }
    };
    // SAFETY: were it allowed, it would replace this process, which the parent would notice.
    let execve = unsafe { libc::execve(c"/bin/true".as_ptr(), &raw const none, &raw const none) };
    let mut said = vec![tell("execve", execve.into())];
    let load = Program::load(&ROOMY).is_err();
    said.push(format!("bpf load {}", if load { "refused" } else { "Ok" }));
    said.push(tell("bpf map create", bpf(0)));
    said.push(tell("bpf map update", bpf(2)));
    // SAFETY: asks to be traced; touches no memory.
    said.push(tell("ptrace", unsafe {
        libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0)
    }));
    // SAFETY: makes a descriptor; touches no memory.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0) };
    said.push(tell("internet socket", socket.into()));
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping anywhere.
    let mapping = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
    said.push(tell("executable memory", mapping as libc::c_long));
    // SAFETY: signal 0 only asks.
    said.push(tell(
        "signal to the parent",
        unsafe { libc::kill(libc::getppid(), 0) }.into(),
    ));
    let spawned = Command::new("/bin/true").spawn().is_ok();
    said.push(format!("spawn {}", if spawned { "Ok" } else { "refused" }));
    let file = |what: &str, result: io::Result<()>| {
        let error = result.as_ref().err().map(|error| error.raw_os_error());
        let error = io::Error::from_raw_os_error(error.flatten().unwrap_or(0));
        format!("{what} {}", outcome(result.is_ok(), &error))
    };
    said.push(file("read outside", fs::read("/etc/passwd").map(drop)));
    said.push(file(
        "write outside",
        fs::write(folder.join("outside"), "x"),
    ));
    said
}

fn outcome(succeeded: bool, error: &io::Error) -> String {
    match error.raw_os_error() {
        _ if succeeded => "Ok".to_owned(),
        Some(libc::EPERM) => "EPERM".to_owned(),
        Some(libc::EACCES) => "EACCES".to_owned(),
        _ => error.to_string(),
    }
}

/// What the worker is there for.
fn allowed(store: &Path) -> Vec<String> {
    let write = || -> io::Result<()> {
        fs::create_dir(store.join("well"))?;
        let new = store.join("well/new");
        fs::write(&new, "packets")?;
        let file = fs::File::options().append(true).open(&new)?;
        file.set_len(3)?;
        file.sync_all()?;
        fs::write(&new, "packets")?;
        fs::rename(&new, store.join("kept"))?;
        assert_eq!(fs::read_dir(store.join("well"))?.count(), 0);
        fs::remove_dir(store.join("well"))
    };
    let tell = |what: &str, result: Result<(), String>| match result {
        Ok(()) => format!("{what} Ok"),
        Err(error) => format!("{what} {error}"),
    };
    let socket = UnixListener::bind(store.join("socket"));
    let thread = std::thread::Builder::new()
        .name("reader".to_owned())
        .spawn(|| std::thread::sleep(Duration::from_millis(1)));
    let thread = thread.map(|thread| thread.join().unwrap());
    vec![
        tell(
            "unix socket inside",
            socket.map(drop).map_err(|error| error.to_string()),
        ),
        tell("write inside", write().map_err(|error| error.to_string())),
        tell("thread", thread.map_err(|error| error.to_string())),
    ]
}

#[test]
fn who_has_no_capabilities_is_confined_all_the_same() {
    if Kernel::load(ROOMY).is_none() {
        return;
    }
    alone(|| {
        // SAFETY: becomes another user; touches no memory.
        assert_eq!(unsafe { libc::setresuid(65_534, 65_534, 65_534) }, 0);
        let notes = guard::enter(&Confinement::default()).unwrap();
        assert!(notes.contains(&GuardNote::BoundingSet), "{notes:?}");
        if notes.contains(&GuardNote::NoLandlock) {
            skip("this kernel has no Landlock, so files outside are not looked at");
        } else {
            let error = fs::read("/etc/passwd").unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EACCES));
        }
        assert!(Program::load(&ROOMY).is_err());
    });
}

#[test]
fn each_side_sees_the_end_of_the_other() {
    if let Some(worker) = split::worker().unwrap() {
        let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
        // The first worker ends at once, the second when its parent has ended.
        if fs::File::create_new(folder.join("first")).is_ok() {
            return;
        }
        assert_eq!(worker.receive(LONG).unwrap(), Received::Closed);
        return fs::write(folder.join("drained"), "").unwrap();
    }
    if std::env::var_os(FOLDER).is_some() {
        let first = split::spawn_worker(&[]).unwrap();
        assert_eq!(first.receive(LONG).unwrap(), Received::Closed);
        assert!(first.send(&Message::Stop).is_err());
        assert!(first.finish().unwrap().success());
        let second = split::spawn_worker(&[]).unwrap();
        assert_eq!(
            second.receive(Duration::from_millis(200)).unwrap(),
            Received::Nothing
        );
        // SAFETY: ends this process as a crash would.
        unsafe { libc::_exit(42) };
    }
    let folder = tempfile::tempdir().unwrap();
    let output = again(folder.path(), "root");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(42), "{text}");
    wait_until(|| folder.path().join("drained").exists());
}
