//! Writers: rotation, locks, times, counters, a full disk.

use super::*;
use crate::store::records::FILE_HEADER;
use crate::store::testing::{Folder, NOW, block, packets_of};

const HOUR: i64 = 3_600_000_000_000;

fn open(folder: &Folder, options: WriterOptions) -> SourceWriter {
    SourceWriter::open(folder.path(), options, NOW).unwrap().0
}

#[test]
fn two_writers_never_share_a_source() {
    let folder = Folder::new();
    let first = open(&folder, WriterOptions::default());
    let second = SourceWriter::open(folder.path(), WriterOptions::default(), NOW);
    assert!(matches!(second, Err(Error::Locked(_))));
    drop(first);
    open(&folder, WriterOptions::default());
}

#[test]
fn files_are_rotated_by_size() {
    let folder = Folder::new();
    let options = WriterOptions {
        rotate_bytes: 10_000,
        ..WriterOptions::default()
    };
    let mut writer = open(&folder, options);
    let mut expected = Vec::new();
    for n in 0..20 {
        assert_eq!(
            writer.append(&block(NOW + n * 100_000, 30)),
            Outcome::Stored
        );
        expected.push(block(NOW + n * 100_000, 30).bytes().to_vec());
    }
    let (closed, stats, error) = writer.close(NOW);
    assert!(error.is_none());
    assert_eq!((stats.stored, closed.len()), (600, 7));
    let mut bytes = Vec::new();
    for file in &closed {
        let file = std::fs::read(file.path.as_ref().unwrap()).unwrap();
        assert!(file.len() <= 10_000);
        bytes.extend_from_slice(&file[FILE_HEADER..]);
    }
    assert_eq!(bytes, expected.concat());
    let first = folder.closed(1, NOW);
    assert_eq!(closed[0].path.as_ref(), Some(&first));
    assert_eq!(packets_of(&first).len(), 90);
}

#[test]
fn files_are_rotated_by_time_on_the_clock_also_idle() {
    let folder = Folder::new();
    let mut writer = open(&folder, WriterOptions::default());
    writer.append(&block(NOW, 1));
    writer.tick(NOW + HOUR - 1);
    assert!(folder.path().join("active-000001.pcap").exists());
    writer.tick(NOW + HOUR);
    assert!(!folder.path().join("active-000002.pcap").exists());
    // Idle hours make no files.
    writer.tick(NOW + 9 * HOUR);
    // The clock goes back an hour: another file, nothing lost.
    writer.append(&block(NOW, 1));
    writer.tick(NOW - 1);
    writer.append(&block(NOW, 1));
    let (closed, stats, _) = writer.close(NOW);
    assert_eq!((closed.len(), stats.stored), (3, 3));
}

#[test]
fn packets_dated_1970_and_2106_are_kept_and_named() {
    let folder = Folder::new();
    let mut writer = open(&folder, WriterOptions::default());
    let mut block = RecordBlock::default();
    block.push(-5, 60, &[1; 60]);
    block.push(i64::MAX, 60, &[2; 60]);
    writer.append(&block);
    let (closed, stats, _) = writer.close(NOW);
    assert_eq!(stats.clamped, 2);
    let path = closed[0].path.clone().unwrap();
    assert_eq!(path, folder.closed(1, 0));
    let times: Vec<i64> = packets_of(&path).iter().map(|p| p.0).collect();
    assert_eq!(times, [0, (1 << 32) * 1_000_000_000 - 1]);
}

#[test]
fn a_longer_packet_or_another_link_type_starts_a_file_that_says_so() {
    let folder = Folder::new();
    let mut writer = open(&folder, WriterOptions::default());
    writer.append(&block(NOW, 1));
    let mut long = RecordBlock::default();
    long.push(NOW, 300_000, &vec![7; 300_000]);
    writer.append(&long);
    writer.set_link_type(LinkType(101));
    writer.append(&block(NOW, 1));
    let (closed, ..) = writer.close(NOW);
    let headers: Vec<FileHeader> = closed
        .iter()
        .map(|file| File::open(file.path.as_ref().unwrap()).unwrap())
        .map(|file| FileHeader::read(&file).unwrap().unwrap())
        .collect();
    let found: Vec<(u16, u32)> = headers.iter().map(|h| (h.link_type.0, h.snaplen)).collect();
    assert_eq!(found, [(1, SNAPLEN), (1, 128 << 20), (101, SNAPLEN)]);
    assert_eq!(
        packets_of(closed[1].path.as_ref().unwrap())[0].1.len(),
        300_000
    );
}

#[test]
fn counters_go_with_their_file_and_each_table_can_be_read_alone() {
    let folder = Folder::new();
    let mut writer = open(&folder, WriterOptions::default());
    let zero = Sample {
        time_ns: NOW,
        run: NOW - 5,
        ..Sample::default()
    };
    let mut sample = zero;
    writer.append(&block(NOW, 3));
    sample.time_ns += 1;
    sample.counts.seen = 3;
    writer.record(&sample);
    writer.rotate();
    let second = Sample {
        time_ns: NOW + 9,
        ..sample
    };
    writer.record(&second);
    let (closed, ..) = writer.close(NOW + 10);
    let read = |n: usize| {
        let path = closed[n].name.path(folder.path(), Kind::Counters);
        loss::Table::read(&path).unwrap().samples
    };
    assert_eq!(read(0), [zero, sample]);
    assert_eq!(read(1), [sample, second]);
    assert_eq!(closed[1].path, None);
}

/// A small file system of its own; `None` where this user may not mount.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(folder.path())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("SKIPPED: a full disk needs root to mount a small tmpfs");
            return None;
        }
        Some(Self { folder })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg(self.folder.path())
            .status();
    }
}

#[test]
fn a_full_disk_drops_whole_blocks_counts_them_and_goes_on() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let folder = disk.folder.path().join("pcap/lan0");
    let options = WriterOptions {
        rotate_bytes: 50_000,
        ..WriterOptions::default()
    };
    let (mut writer, _) = SourceWriter::open(&folder, options, NOW).unwrap();
    let (mut stored, mut dropped) = (0, 0);
    let mut removed = false;
    let mut stored_after = 0;
    for n in 0..200 {
        match writer.append(&block(NOW + n * 1_000_000, 33)) {
            Outcome::Stored => {
                stored += 33;
                stored_after += u64::from(removed);
            }
            Outcome::Dropped(reason) => {
                assert_eq!(reason, Reason::DiskFull);
                dropped += 33;
            }
        }
        writer.tick(NOW + n * 5_000_000_000);
        if n == 150 {
            // Space comes back.
            let first = writer.take_closed().remove(0);
            let path = first.path.unwrap();
            stored -= packets_of(&path).len() as u64;
            std::fs::remove_file(path).unwrap();
            removed = true;
        }
    }
    let (_, stats, _) = writer.close(NOW);
    assert!(dropped > 0 && stored_after > 0);
    assert_eq!(stats.disk_full, dropped);
    assert_eq!(stats.stored + stats.disk_full, 200 * 33);
    let snapshot = crate::store::Snapshot::take(disk.folder.path(), &Default::default()).unwrap();
    let mut found = 0;
    for file in &snapshot.files {
        let mut reader = file.input().unwrap().open().unwrap();
        while reader.next_frame().is_some() {
            found += 1;
        }
        assert_eq!(reader.warnings(), []);
    }
    assert_eq!(found, stored);
}
