use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::store::{
    CaptureFile, Filter, Retention, Snapshot, SourceWriter, WriterOptions, check,
    layout::Listing,
    list, recover, reindex, retention, sidecar,
    testing::{Folder, NOW, block},
};

/// A source with closed files of so many packets.
fn written(counts: &[usize]) -> (Folder, Vec<PathBuf>) {
    let folder = Folder::in_memory();
    let (mut writer, _) = SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
    for (n, count) in (0..).zip(counts) {
        writer.append(&block(NOW + n * 1_000_000_000, *count));
        writer.rotate();
    }
    let (closed, _, error) = writer.close(NOW);
    assert!(error.is_none());
    let paths = closed.into_iter().filter_map(|file| file.path).collect();
    (folder, paths)
}

/// Offsets and data of all packets.
fn packets(file: &CaptureFile) -> Vec<(u64, Vec<u8>)> {
    let mut reader = file.input().unwrap().open().unwrap();
    let mut packets = Vec::new();
    while let Some(frame) = reader.next_frame() {
        packets.push((frame.offset, frame.data.to_vec()));
    }
    assert_eq!(reader.warnings(), []);
    packets
}

fn all(folder: &Folder) -> Vec<(u64, Vec<u8>)> {
    let snapshot = Snapshot::take(folder.store(), &Filter::default()).unwrap();
    assert!(snapshot.skipped.is_empty(), "{:?}", snapshot.skipped);
    snapshot.files.iter().flat_map(packets).collect()
}

#[test]
fn how_it_is_said() {
    assert_eq!(Compress::parse("zstd"), Ok(Compress::Zstd(3)));
    assert_eq!(Compress::parse("zstd:19"), Ok(Compress::Zstd(19)));
    assert_eq!(Compress::parse("none"), Ok(Compress::Off));
    for text in ["", "gzip", "zstd:", "zstd:0", "zstd:23", "none:1", "zstd:x"] {
        assert!(Compress::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_compressed_file_is_the_same_capture_file() {
    let (folder, paths) = written(&[3_000, 10]);
    let before = Snapshot::take(folder.store(), &Filter::default()).unwrap();
    let expected = all(&folder);
    let made = sidecar::build(&paths[0], 500).unwrap();
    let table = fs::read(&made.path).unwrap();
    let closed = fs::metadata(&paths[0]).unwrap().modified().unwrap();
    let raw = fs::read(&paths[0]).unwrap();
    let done = compress(&paths[0], 3, &|| true).unwrap().unwrap();
    assert_eq!(done.raw_bytes, raw.len() as u64);
    assert_eq!(done.bytes, fs::metadata(&done.path).unwrap().len());
    assert!(done.bytes < done.raw_bytes / 2 && !paths[0].exists());
    assert_eq!(
        fs::metadata(&done.path).unwrap().modified().unwrap(),
        closed
    );
    assert_eq!(
        zstd::decode_all(File::open(&done.path).unwrap()).unwrap(),
        raw
    );
    assert_eq!(compress(&done.path, 3, &|| true).unwrap(), None);
    // A snapshot from before, and one from now.
    let then: Vec<_> = before.files.iter().flat_map(packets).collect();
    assert!(then == expected && all(&folder) == expected);
    // Its sidecar is that of before, and the same when it is made again.
    let again = reindex::reindex(folder.store(), &Filter::default(), true, 500).unwrap();
    assert_eq!((again.made.len(), again.failed.len()), (2, 0));
    assert_eq!(fs::read(&made.path).unwrap(), table);
    let checked = check::check(folder.store(), &Filter::default()).unwrap();
    assert_eq!(checked.findings, []);
    assert_eq!(
        (checked.files, checked.packets, checked.sidecars),
        (2, 3_010, 2)
    );
    let held = list::list(folder.store(), &Filter::default()).unwrap();
    let second = fs::metadata(&paths[1]).unwrap().len();
    assert_eq!(
        (held[0].packets, held[0].capture_bytes),
        (3_010, done.bytes + second)
    );
}

#[test]
fn a_crash_leaves_one_form_that_is_whole() {
    let (folder, paths) = written(&[2_000]);
    let expected = all(&folder);
    let raw = fs::read(&paths[0]).unwrap();
    let done = compress(&paths[0], 1, &|| true).unwrap().unwrap();
    let whole = fs::read(&done.path).unwrap();
    let temporary = PathBuf::from(format!("{}.tmp", done.path.display()));
    let removed_is = |wanted: &[&Path]| {
        let report = recover::recover(folder.path(), NOW).unwrap().0;
        let removed = |path: &&Path| recover::Action::Removed {
            path: path.to_path_buf(),
        };
        assert_eq!(report, wanted.iter().map(removed).collect::<Vec<_>>());
        assert!(all(&folder) == expected);
    };
    removed_is(&[]);
    // While it was written: any part of it may be there.
    fs::remove_file(&done.path).unwrap();
    fs::write(&paths[0], &raw).unwrap();
    for length in [0, 1, 100, whole.len() / 2, whole.len() - 1, whole.len()] {
        fs::write(&temporary, &whole[..length]).unwrap();
        assert!(all(&folder) == expected);
        removed_is(&[&temporary]);
    }
    // Between the rename and the removal.
    fs::write(&done.path, &whole).unwrap();
    assert!(all(&folder) == expected);
    removed_is(&[&paths[0]]);
    // A disk that lost what it said to have written.
    for damaged in [
        whole[..whole.len() - 1].to_vec(),
        vec![0; whole.len()],
        Vec::new(),
        [&whole[..100], &[whole[100] ^ 1], &whole[101..]].concat(),
    ] {
        fs::write(&paths[0], &raw).unwrap();
        fs::write(&done.path, damaged).unwrap();
        removed_is(&[&done.path]);
    }
    // Whole, but of fewer packets.
    fs::write(&paths[0], &raw[..raw.len() / 2]).unwrap();
    compress(&paths[0], 1, &|| true).unwrap().unwrap();
    fs::write(&paths[0], &raw).unwrap();
    removed_is(&[&done.path]);
}

#[test]
fn what_retention_took_does_not_come_back() {
    let (folder, paths) = written(&[100]);
    let compressed = path_of(&paths[0], Kind::Compressed).unwrap();
    let temporary = folder.path().join("x.tmp");
    fs::copy(&paths[0], &temporary).unwrap();
    fs::remove_file(&paths[0]).unwrap();
    assert!(!replace(&paths[0], &temporary, &compressed).unwrap());
    assert!(!compressed.exists() && !temporary.exists());
    assert_eq!(compress(&paths[0], 3, &|| true).unwrap(), None);
}

#[test]
fn retention_counts_and_removes_compressed_files() {
    let (folder, paths) = written(&[2_000, 2_000, 2_000]);
    let raw = fs::metadata(&paths[0]).unwrap().len();
    let total: u64 = paths
        .iter()
        .map(|path| compress(path, 3, &|| true).unwrap().unwrap().bytes)
        .sum();
    assert!(total < raw);
    let limits = |max_size| Retention {
        max_size: Some(max_size),
        ..Retention::default()
    };
    let enforce = |most| {
        let now = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(NOW as u64);
        retention::enforce(folder.store(), "pcap", &limits(most), now)
            .unwrap()
            .removed
    };
    assert_eq!(enforce(total), []);
    let removed = enforce(total - 1);
    assert_eq!(removed.len(), 1);
    assert_eq!(
        Some(&removed[0].path),
        path_of(&paths[0], Kind::Compressed).as_ref()
    );
    assert!(!removed[0].path.exists());
    assert_eq!(Listing::read(folder.path()).unwrap().closed.len(), 2);
}

#[test]
fn damage_is_named_and_what_is_good_is_kept() {
    let (folder, paths) = written(&[6_000]);
    let expected = all(&folder);
    let done = compress(&paths[0], 3, &|| true).unwrap().unwrap();
    sidecar::build(&done.path, 500).unwrap();
    let whole = fs::read(&done.path).unwrap();
    let read = || {
        let snapshot = Snapshot::take(folder.store(), &Filter::default()).unwrap();
        let file = &snapshot.files[0];
        let mut reader = file.input().unwrap().open().unwrap();
        let mut found = 0;
        while let Some(frame) = reader.next_frame() {
            assert_eq!(expected[found], (frame.offset, frame.data.to_vec()));
            found += 1;
        }
        let warning = reader.warnings()[0].to_string();
        (found, warning, file.open_sidecar().unwrap().is_err())
    };
    for cut in [1, 9, 30, 41, 42, 500, whole.len() / 2] {
        fs::write(&done.path, &whole[..whole.len() - cut]).unwrap();
        let (found, warning, stale) = read();
        assert!(warning.starts_with(&format!("{}: at byte ", done.path.display())));
        // All packets are there while only the table is cut; else the sidecar is not of them.
        assert_eq!(stale, found < expected.len(), "{cut}: {found} {warning}");
        let findings = check::check(folder.store(), &Filter::default())
            .unwrap()
            .findings;
        assert_eq!(findings[0].path, done.path);
        assert!(
            findings[0].problem.to_string().starts_with("damaged: "),
            "{findings:?}"
        );
        let exported =
            super::super::export::export(folder.store(), &Filter::default(), io::sink()).unwrap();
        assert_eq!(exported.packets, found as u64);
        assert_eq!(exported.warnings.len(), 1);
    }
}

#[test]
fn whoever_looks_meanwhile_sees_each_file_once() {
    let (folder, paths) = written(&[40; 60]);
    let expected = all(&folder);
    let done = AtomicBool::new(false);
    let looked = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut looked = 0;
            while !done.load(Ordering::Relaxed) {
                assert!(all(&folder) == expected);
                looked += 1;
            }
            looked
        });
        for path in &paths {
            compress(path, 3, &|| true).unwrap().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        looking.join().unwrap()
    });
    assert!(looked > 0);
    assert!(all(&folder) == expected);
}

/// A service that is stopped has minutes, a high level of a large file may take longer.
#[test]
fn without_time_a_file_stays_as_it_is_and_nothing_is_left() {
    let (folder, paths) = written(&[3_000]);
    let before = fs::read(&paths[0]).unwrap();
    let asked = std::cell::Cell::new(0);
    let has_time = || {
        asked.set(asked.get() + 1);
        asked.get() < 2
    };
    assert_eq!(compress(&paths[0], 3, &has_time).unwrap(), None);
    assert!(asked.get() >= 2);
    assert_eq!(fs::read(&paths[0]).unwrap(), before);
    let listing = Listing::read(folder.path()).unwrap();
    assert!(listing.temporary.is_empty());
    assert!(compress(&paths[0], 3, &|| true).unwrap().is_some());
}
