//! Snapshots while a writer goes on, and what they leave out.

use super::*;
use crate::store::testing::{Folder, NOW, block};
use crate::store::{SourceWriter, WriterOptions, sidecar};

fn count(file: &CaptureFile) -> usize {
    let mut reader = file.input().unwrap().open().unwrap();
    let mut count = 0;
    while reader.next_frame().is_some() {
        count += 1;
    }
    assert_eq!(reader.warnings(), []);
    count
}

#[test]
fn a_snapshot_stays_what_it_was_while_the_writer_goes_on() {
    let folder = Folder::new();
    let (mut writer, _) = SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
    writer.append(&block(NOW, 10));
    writer.rotate();
    writer.append(&block(NOW + 1_000_000_000, 20));
    let before = Snapshot::take(folder.store(), &Filter::default()).unwrap();
    let total = |snapshot: &Snapshot| snapshot.files.iter().map(count).sum::<usize>();
    assert_eq!(total(&before), 30);
    writer.append(&block(NOW, 5));
    assert_eq!(total(&before), 30);
    writer.rotate();
    writer.append(&block(NOW, 7));
    let (_, stats, error) = writer.close(NOW);
    assert!(error.is_none());
    assert_eq!(stats.stored, 42);
    // The active file has another name by now, and is still the same 20 packets.
    assert_eq!(total(&before), 30);
    let after = Snapshot::take(folder.store(), &Filter::default()).unwrap();
    assert_eq!(total(&after), 42);
    assert!(after.files.iter().all(|file| !file.active));
    let sequences: Vec<u64> = after.files.iter().map(|file| file.sequence).collect();
    assert_eq!(sequences, [1, 2, 3]);
    fs::remove_file(&after.files[0].path).unwrap();
    assert!(matches!(after.files[0].input(), Err(Error::Removed(_))));
}

#[test]
fn what_a_dead_writer_left_is_read_up_to_its_last_whole_record() {
    let folder = Folder::new();
    let (mut writer, _) = SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
    writer.append(&block(NOW, 10));
    drop(writer);
    let path = folder.path().join(active_name(1, Kind::Capture));
    let file = fs::File::options().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length - 1).unwrap();
    let snapshot = Snapshot::take(folder.store(), &Filter::default()).unwrap();
    assert_eq!(snapshot.files.len(), 1);
    assert_eq!(count(&snapshot.files[0]), 9);
}

#[test]
fn files_without_packets_in_the_range_are_left_out_if_a_sidecar_says_so() {
    let folder = Folder::new();
    let (mut writer, _) = SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
    for n in 0..3 {
        writer.append(&block(NOW + n * 1_000_000_000, 10));
        writer.rotate();
    }
    let (closed, ..) = writer.close(NOW);
    let paths: Vec<&PathBuf> = closed.iter().filter_map(|c| c.path.as_ref()).collect();
    let found = |from, to| {
        let filter = Filter {
            times_ns: Some((from, to)),
            ..Filter::default()
        };
        let snapshot = Snapshot::take(folder.store(), &filter).unwrap();
        snapshot
            .files
            .iter()
            .map(|f| f.sequence)
            .collect::<Vec<_>>()
    };
    assert_eq!(found(0, 1), [1, 2, 3]);
    for path in &paths[..2] {
        sidecar::build(path, 100).unwrap();
    }
    assert_eq!(found(0, 1), [3]);
    // The last packet of the first file, and the moment before its first.
    assert_eq!(found(NOW + 9_000, NOW + 9_001), [1, 3]);
    assert_eq!(found(NOW - 5, NOW), [3]);
    assert_eq!(found(NOW + 9_001, NOW + 1_000_000_001), [2, 3]);
    fs::write(paths[1].with_extension("parquet"), "damaged").unwrap();
    assert_eq!(found(0, 1), [2, 3]);
}

#[test]
fn only_the_sources_asked_for() {
    let store = tempfile::tempdir().unwrap();
    for folder in ["pcap/lan0", "pcap/wan0=wan", "old/lan0"] {
        let folder = store.path().join(folder);
        let (mut writer, _) = SourceWriter::open(&folder, WriterOptions::default(), NOW).unwrap();
        writer.append(&block(NOW, 1));
        writer.close(NOW);
    }
    let names = |filter: &Filter<'_>| {
        let snapshot = Snapshot::take(store.path(), filter).unwrap();
        let name = |f: CaptureFile| format!("{}/{}", f.source.well, f.source.interface);
        snapshot.files.into_iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(
        names(&Filter::default()),
        ["old/lan0", "pcap/lan0", "pcap/wan0"]
    );
    let tags = ["pcap".to_owned()];
    let filter = Filter {
        tags: Some(&tags),
        ..Filter::default()
    };
    assert_eq!(names(&filter), ["pcap/lan0"]);
    let interfaces = ["lan0".to_owned()];
    let filter = Filter {
        interfaces: Some(&interfaces),
        ..Filter::default()
    };
    assert_eq!(names(&filter), ["old/lan0", "pcap/lan0"]);
    assert!(Snapshot::take(&store.path().join("no"), &Filter::default()).is_err());
}
