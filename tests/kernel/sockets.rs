//! Capture by packet sockets: the same packets as by XDP, losses counted, privileges, refusals.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use flowsift::capture::{
    Arrival, RingShape, RingSocket, SocketCounters, SocketRings, SocketSource, SocketWish,
};
use flowsift::store::loss::Reason;

use crate::frames::{captures, each_ethernet_frame, manifest};
use crate::namespace::{
    Sender, has_socket, has_xdp, inside, interface, ip, veth, wait_for_queue, wait_until,
};
use crate::program::{
    NOBODY, capture, counted, datagram, field, frame, said, sender, signal, start_until, stored,
};
use crate::refused::{copy, output_of, set_capabilities};
use crate::support::{ALL, say, say_skipped, skip};

/// Of `PATH` and `capture`'s options.
const SOCKETS: &str = "--source packet-socket";

fn has_one() -> bool {
    has_socket("fs0")
}

/// `fs0` of both kinds.
fn has_both() -> bool {
    has_xdp("fs0") && has_one()
}

/// Time, length on the wire and bytes of each packet of a file.
fn packets(file: &Path) -> Vec<(i64, u32, Vec<u8>)> {
    let mut all = Vec::new();
    let read = each_ethernet_frame(file, |frame| {
        all.push((frame.time_ns.unwrap(), frame.wire_len, frame.data.to_vec()));
    });
    assert!(read);
    all
}

/// A datagram with tags, from the outermost to the innermost.
fn with_tags(tags: &[(u16, u16)]) -> Vec<u8> {
    let mut frame = datagram(53);
    let bytes = tags
        .iter()
        .flat_map(|(kind, control)| [kind.to_be_bytes(), control.to_be_bytes()])
        .flatten();
    frame.splice(12..12, bytes.collect::<Vec<_>>());
    frame
}

/// Frames of many kinds, with tags and without.
fn frames() -> Vec<Vec<u8>> {
    let mut unknown = datagram(1);
    unknown[12..14].copy_from_slice(&[0x88, 0xb5]);
    let mut others = datagram(1);
    others[0..6].copy_from_slice(&[2, 9, 9, 9, 9, 9]);
    let mut long = datagram(1);
    long.resize(1514, 0x33);
    let mut long_and_tagged = with_tags(&[(0x8100, 7)]);
    long_and_tagged.resize(1518, 0x44);
    vec![
        datagram(53),
        frame(6, ([10, 9, 0, 1], 80), ([10, 9, 0, 2], 1024)),
        with_tags(&[(0x8100, 5)]),
        with_tags(&[(0x8100, 0xe000)]),
        with_tags(&[(0x88a8, 0x6064)]),
        with_tags(&[(0x88a8, 100), (0x8100, 200)]),
        with_tags(&[(0x8100, 1), (0x8100, 2), (0x8100, 3)]),
        unknown,
        others,
        long,
        long_and_tagged,
        datagram(1)[..14].to_vec(),
    ]
}

#[test]
fn sockets_store_what_xdp_stores() {
    if !inside() {
        return;
    }
    let sender = sender();
    let folder = tempfile::tempdir().unwrap();
    for snaplen in ["0", "64", "17"] {
        let file = |source: &str| folder.path().join(format!("{source}{snaplen}.pcap"));
        let mut both = Vec::new();
        for source in ["xdp", "packet-socket"] {
            let options = format!(
                "-i fs0 -s {snaplen} --source {source} -w {}",
                file(source).display()
            );
            both.push(start_until(
                &mut capture(&options),
                match source {
                    "xdp" => || has_xdp("fs0"),
                    _ => has_both,
                },
            ));
        }
        for frame in frames() {
            sender.send(&frame).unwrap();
        }
        let mut cuts = Vec::new();
        for (child, _) in both {
            signal(child.id(), libc::SIGINT);
            let said = said(&child.wait_with_output().unwrap(), 0);
            assert!(
                said.contains("fs0: 12 packets seen, 12 stored, 0 dropped\n"),
                "{said}"
            );
            let cut = said
                .lines()
                .find(|line| line.contains("cut to the snap length"));
            cuts.push(cut.map(str::to_owned));
        }
        assert_eq!(cuts[0], cuts[1]);
        assert_eq!(cuts[0].is_some(), snaplen != "0", "{cuts:?}");
        let (xdp, socket) = (packets(&file("xdp")), packets(&file("packet-socket")));
        assert_eq!(socket.len(), frames().len());
        for ((xdp, socket), sent) in xdp.iter().zip(&socket).zip(frames()) {
            assert_eq!((xdp.1, &xdp.2), (socket.1, &socket.2), "{sent:x?}");
            assert_eq!(socket.1 as usize, sent.len());
            let kept = match snaplen.parse().unwrap() {
                0 => sent.len(),
                bytes => sent.len().min(bytes),
            };
            assert_eq!(socket.2, sent[..kept]);
            // Both are of the moment of receipt, by the wall clock.
            assert!(
                xdp.0.abs_diff(socket.0) < 1_000_000_000,
                "{} {}",
                xdp.0,
                socket.0
            );
        }
    }
}

#[test]
fn what_finds_no_room_in_a_socket_ring_is_counted() {
    if !inside() {
        return;
    }
    let sender = sender();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let options = format!(
        "-i fs0 {SOCKETS} --packet-ring 8192 --store {}",
        store.display()
    );
    let (child, worker) = start_until(&mut capture(&options), has_one);
    let mut long = datagram(53);
    long.resize(1514, 0x33);
    // Twelve times what the ring holds, while nobody reads it.
    signal(worker, libc::SIGSTOP);
    for _ in 0..2000 {
        sender.send(&long).unwrap();
    }
    signal(worker, libc::SIGCONT);
    signal(child.id(), libc::SIGINT);
    let said = said(&child.wait_with_output().unwrap(), 0);
    let (counted, damaged) = counted(&store, "fs0");
    let kept = stored(&store) as u64;
    assert_eq!(
        (counted.seen, counted.stored, damaged),
        (2000, kept, 0),
        "{said}"
    );
    let lost = counted.dropped(Reason::RingFull);
    // The kernel closes a block after its time whether it is full or not, so a slow machine keeps
    // fewer than the ring has room for.
    assert!(lost > 1000 && kept > 0, "{said}");
    assert_eq!(kept + lost, 2000);
    let line = format!("fs0: 2000 packets seen, {kept} stored, {lost} dropped\n");
    assert!(said.contains(&line), "{said}");
    let reason = format!("  {lost} dropped: the socket ring was full\n");
    assert!(said.contains(&reason), "{said}");
    assert!(!said.contains("please report"), "{said}");
}

#[test]
fn what_a_ring_holds_at_the_end_is_read_however_long_that_takes() {
    if !inside() {
        return;
    }
    let sender = sender();
    let shape = RingShape::of(1 << 20);
    let source = SocketSource::new(SocketWish {
        shape,
        promiscuous: false,
    });
    let socket = source.open(&interface("fs0"), ALL).unwrap();
    let socket = RingSocket::map(ALL.slot, socket, shape, 65_535).unwrap();
    let (arrivals, arriving) = mpsc::channel();
    let counters = Arc::<SocketCounters>::default();
    let mut rings = SocketRings::new(arriving, Arc::clone(&counters));
    arrivals.send(Arrival::Socket(socket)).unwrap();
    for _ in 0..200 {
        sender.send(&datagram(1)).unwrap();
    }
    rings.stop();
    // As behind a disk that is slow.
    let mut read = 0;
    while !rings.is_over() {
        std::thread::sleep(Duration::from_millis(300));
        read += rings.drain(20, |_| {}).records;
    }
    assert_eq!(read, 200);
    assert_eq!(counters.read(ALL.slot).unwrap().seen, 200);
}

#[test]
fn only_what_is_received_is_captured() {
    if !inside() {
        return;
    }
    let sender = sender();
    let ours = Sender::new(&interface("fs0"));
    let (child, _) = start_until(
        &mut capture(&format!("-i fs0 {SOCKETS} -w /dev/null")),
        has_one,
    );
    for _ in 0..3 {
        ours.send(&datagram(1)).unwrap();
    }
    sender.send(&datagram(2)).unwrap();
    signal(child.id(), libc::SIGINT);
    let said = said(&child.wait_with_output().unwrap(), 0);
    assert!(
        said.contains("fs0: 1 packets seen, 1 stored, 0 dropped\n"),
        "{said}"
    );
}

#[test]
fn interfaces_are_promiscuous_unless_that_is_not_wanted() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    for (option, count) in [("", 1), (" -p", 0)] {
        let options = format!("-i fs0 {SOCKETS} -w /dev/null{option}");
        let (child, _) = start_until(&mut capture(&options), has_one);
        let shown = ip("-d -o link show fs0");
        assert!(shown.contains(&format!(" promiscuity {count} ")), "{shown}");
        signal(child.id(), libc::SIGINT);
        said(&child.wait_with_output().unwrap(), 0);
        assert!(ip("-d -o link show fs0").contains(" promiscuity 0 "));
    }
}

#[test]
fn a_filter_a_count_and_the_ssh_session_are_as_with_xdp() {
    if !inside() {
        return;
    }
    let sender = sender();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.pcap");
    let options = format!(
        "-i fs0 {SOCKETS} -s 20 -c 3 -w {} udp dst port 53",
        file.display()
    );
    let (child, _) = start_until(&mut capture(&options), has_one);
    for _ in 0..5 {
        sender.send(&datagram(53)).unwrap();
        sender.send(&datagram(54)).unwrap();
    }
    let ended = said(&child.wait_with_output().unwrap(), 0);
    assert!(ended.contains("3 stored, 0 dropped"), "{ended}");
    assert!(ended.contains("  3 cut to the snap length"), "{ended}");
    let cut = packets(&file);
    assert_eq!(cut.len(), 3);
    assert!(
        cut.iter()
            .all(|(_, wire, data)| (*wire, data.len()) == (60, 20))
    );
    let (client, server) = (([10, 9, 0, 2], 40_000), ([10, 9, 0, 1], 22));
    let mut command = capture(&format!("-i fs0 {SOCKETS} -w - -q"));
    command.env("SSH_CONNECTION", "10.9.0.2 40000 10.9.0.1 22");
    let (child, _) = start_until(&mut command, has_one);
    for packet in [
        frame(6, client, server),
        frame(6, server, client),
        datagram(1),
    ] {
        sender.send(&packet).unwrap();
    }
    signal(child.id(), libc::SIGINT);
    let output = child.wait_with_output().unwrap();
    let ended = said(&output, 0);
    assert!(
        ended.contains("fs0: 3 packets seen, 1 stored, 0 dropped\n"),
        "{ended}"
    );
    assert!(
        ended.contains("  2 left out: the agent's own connections\n"),
        "{ended}"
    );
    assert_eq!(output.stdout.len(), 24 + 16 + 60);
}

#[test]
fn an_interface_that_comes_back_gets_a_socket_again() {
    if !inside() {
        return;
    }
    let mut sender = sender();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.pcap");
    let options = format!("-i fs0 {SOCKETS} -w {}", file.display());
    let (child, _) = start_until(&mut capture(&options), has_one);
    sender.send(&datagram(1)).unwrap();
    // Switched off and on, it is the same one.
    ip("link set fs0 down");
    ip("link set fs0 up");
    wait_for_queue("fs1");
    wait_until(has_one);
    sender.send(&datagram(2)).unwrap();
    ip("link delete fs0");
    veth("fs0", "fs1", 1500);
    wait_until(has_one);
    sender = Sender::new(&interface("fs1"));
    sender.send(&datagram(3)).unwrap();
    signal(child.id(), libc::SIGINT);
    let said = said(&child.wait_with_output().unwrap(), 0);
    let gone = said.find("note: fs0: gone; capture goes on when it is back\n");
    let back = said.find("note: fs0: back\n");
    assert!(gone.is_some() && gone < back, "{said}");
    assert!(
        said.contains("fs0: 3 packets seen, 3 stored, 0 dropped\n"),
        "{said}"
    );
    let ports: Vec<u8> = packets(&file).iter().map(|(_, _, data)| data[37]).collect();
    assert_eq!(ports, [1, 2, 3]);
}

#[test]
fn the_end_of_the_privileged_process_stops_sockets_too() {
    if !inside() {
        return;
    }
    let sender = sender();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.pcap");
    let options = format!("-i fs0 {SOCKETS} -w {}", file.display());
    let (mut child, worker) = start_until(&mut capture(&options), has_one);
    // CAP_NET_RAW (13), and nothing.
    for (process, capabilities) in [
        (child.id(), "0000000000002000"),
        (worker, "0000000000000000"),
    ] {
        // The worker may be faster than the parent, which gives up its own behind its start.
        wait_until(|| field(process, "NoNewPrivs") == "1");
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            assert_eq!(field(process, set), capabilities, "{set}");
        }
    }
    for _ in 0..10 {
        sender.send(&datagram(1)).unwrap();
    }
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("fs0: 10 packets seen, 10 stored, 0 dropped\n"),
        "{said}"
    );
    assert!(said.contains("the privileged process is gone"), "{said}");
    assert_eq!(stored(&file), 10);
    wait_until(|| !has_one());
}

#[test]
fn without_bpf_sockets_are_used_with_a_warning_or_not_at_all() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    let (folder, program) = copy();
    // CAP_NET_RAW alone.
    if !set_capabilities(&program, 1 << 13, 0) {
        return say_skipped("the file system keeps no capabilities of files");
    }
    let file = folder.path().join("x.pcap");
    let run = |options: &[&str], code| {
        let mut command = std::process::Command::new(&program);
        command.args(["capture", "-i", "fs0", "--duration", "100ms"]);
        command.args(options);
        // Tuples go to no pcap file.
        if options != ["--no-pcap"] {
            command.arg("-w").arg(&file);
        }
        said(
            &output_of({
                command.uid(NOBODY).gid(NOBODY);
                command
            }),
            code,
        )
    };
    let warned = run(&[], 0);
    assert!(
        warned.starts_with("warning: cannot load the kernel program: "),
        "{warned}"
    );
    for expected in [
        "\n  because this process lacks CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF\n",
        "\n  CAPTURING BY PACKET SOCKETS INSTEAD, ",
        "\nfs0: 0 packets seen, 0 stored, 0 dropped\n",
    ] {
        assert!(warned.contains(expected), "{warned}");
    }
    assert!(file.exists());
    let meant = run(&["--source", "packet-socket"], 0);
    assert!(!meant.contains("warning"), "{meant}");
    fs::remove_file(&file).unwrap();
    for options in [
        &["--source", "xdp"][..],
        &["--mode", "native"],
        &["--no-pcap"],
        &["--egress"],
    ] {
        let refused = run(options, 1);
        assert!(
            refused.starts_with("error: cannot load the kernel program: "),
            "{refused}"
        );
        assert!(!refused.contains("warning"), "{refused}");
        assert_eq!(
            refused.contains("--source packet-socket"),
            !matches!(options, ["--no-pcap" | "--egress"]),
            "{refused}"
        );
        assert!(!file.exists());
    }
}

#[test]
fn who_lacks_the_capability_for_sockets_learns_so() {
    // SAFETY: reads a number of this process.
    if unsafe { libc::geteuid() } != 0 {
        return skip("not root, so that nobody else can be become");
    }
    let (_folder, program) = copy();
    let run = |source: &str| {
        let mut command = std::process::Command::new(&program);
        command.args(["capture", "-i", "lo", "-w", "/dev/null", "--source", source]);
        command.uid(NOBODY).gid(NOBODY);
        said(&output_of(command), 1)
    };
    let refused = run("packet-socket");
    let expected = format!(
        "error: cannot capture on lo: the kernel does not let this process have a packet socket \
         (Operation not permitted (os error 1))\n  because this process lacks CAP_NET_RAW\n  \
         hint: run it with sudo\n        or give the program what it needs: sudo setcap \
         cap_net_raw+ep {}\n",
        program.display()
    );
    assert!(refused.starts_with(&expected), "{refused}");
    // Where neither is possible, both ways are named.
    let refused = run("auto");
    assert!(refused.contains("because this process lacks CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF"));
    let hint = "\n        or capture by packet sockets, which need CAP_NET_RAW alone: --source \
                packet-socket\n";
    assert!(refused.ends_with(hint), "{refused}");
}

#[test]
fn options_of_xdp_are_refused_with_sockets() {
    for (option, expected) in [
        ("--no-pcap", "error: --no-pcap, whose tuples"),
        ("--mode native", "error: --mode, which says where"),
        (
            "--egress",
            "error: --egress, which is a part of the kernel program,",
        ),
    ] {
        // Tuples go to no pcap file.
        let target = match option {
            "--no-pcap" => "",
            _ => "-w /dev/null",
        };
        let output = capture(&format!("-i lo {SOCKETS} {option} {target}"))
            .output()
            .unwrap();
        let said = said(&output, 2);
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn every_frame_of_the_captures_is_stored_as_it_was_sent() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 65_535);
    let sender = Sender::new(&interface("fs1"));
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("x.pcap");
    let options = format!("-i fs0 {SOCKETS} -w {}", file.display());
    let (child, _) = start_until(&mut capture(&options), has_one);
    let captures = captures();
    let (mut sent, mut files) = (Vec::new(), 0);
    for name in manifest(&captures) {
        let before = sent.len();
        each_ethernet_frame(&captures.join(&name), |frame| {
            // What a packet socket sends, and a packet record holds.
            if (14..=65_535).contains(&frame.data.len()) {
                sender.send(frame.data).unwrap();
                sent.push(frame.data.to_vec());
            }
        });
        files += u32::from(sent.len() > before);
    }
    signal(child.id(), libc::SIGINT);
    let said = said(&child.wait_with_output().unwrap(), 0);
    let count = sent.len();
    let line = format!("fs0: {count} packets seen, {count} stored, 0 dropped\n");
    assert!(said.contains(&line), "{said}");
    let stored = packets(&file);
    assert_eq!(stored.len(), count);
    for (at, ((_, wire, stored), sent)) in stored.iter().zip(&sent).enumerate() {
        assert_eq!((*wire as usize, stored), (sent.len(), sent), "packet {at}");
    }
    assert!(files > 30 && count > 5_000, "{count} frames");
    say(&format!(
        "packet sockets: {count} frames of {files} captures stored as sent"
    ));
}
