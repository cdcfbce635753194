//! A store from end to end: every capture imported, listed, checked, indexed and exported.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    Error, Filter, RecordBlock, Snapshot, SourceWriter, WriterOptions, check, export, import, list,
    reindex::reindex,
    testing::{Folder, NOW, block, captures},
};
use crate::capfile::{FrameReader, Input, discover};
use crate::frame::LinkType;
use crate::store::layout::Kind;

/// Link type, time, bytes on the wire, and the captured bytes.
type Packet = (u16, i64, u32, Vec<u8>);

fn read(reader: &mut FrameReader, packets: &mut Vec<Packet>) {
    while let Some(frame) = reader.next_frame() {
        packets.push((
            frame.link_type.0,
            frame.time_ns.unwrap_or(0),
            frame.wire_len,
            frame.data.to_vec(),
        ));
    }
}

fn input(path: &Path) -> Input {
    let spec = path.to_str().unwrap().to_owned();
    discover(&[spec]).unwrap().remove(0)
}

fn stored(store: &Path) -> Vec<Packet> {
    let mut packets = Vec::new();
    let snapshot = Snapshot::take(store, &Filter::default()).unwrap();
    assert!(snapshot.skipped.is_empty());
    for file in &snapshot.files {
        let mut reader = file.input().unwrap().open().unwrap();
        read(&mut reader, &mut packets);
        assert_eq!(reader.warnings(), []);
    }
    packets
}

/// Packets by link type, in their order.
fn by_link_type(packets: &[Packet]) -> BTreeMap<u16, Vec<&Packet>> {
    let mut sorted: BTreeMap<u16, Vec<&Packet>> = BTreeMap::new();
    for packet in packets {
        sorted.entry(packet.0).or_default().push(packet);
    }
    sorted
}

fn shm() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

#[test]
fn import_and_export_keep_every_packet_of_every_capture() {
    let mut total = 0;
    for path in captures() {
        let name = path.display().to_string();
        let input = input(&path);
        let mut original = Vec::new();
        read(&mut input.open().unwrap(), &mut original);
        // What pcap cannot hold is counted, and compared as it is kept.
        let latest = (1_i64 << 32) * 1_000_000_000 - 1;
        let clamped = original
            .iter()
            .filter(|p| !(0..=latest).contains(&p.1))
            .count();
        for packet in &mut original {
            packet.1 = packet.1.clamp(0, latest);
        }
        let store = shm();
        let imported = import::import(store.path(), "old", &[input], None).unwrap();
        assert_eq!(imported.packets, original.len() as u64, "{name}");
        assert_eq!(imported.clamped, clamped as u64, "{name}");
        assert!(imported.without_sidecar.is_empty(), "{name}");
        let found = stored(store.path());
        assert_eq!(by_link_type(&found), by_link_type(&original), "{name}");
        let checked = check::check(store.path(), &Filter::default()).unwrap();
        assert_eq!(checked.findings, [], "{name}");
        assert_eq!(checked.packets, original.len() as u64);
        assert_eq!(checked.sidecars, checked.files);
        let mut exported = Vec::new();
        let report = export::export(store.path(), &Filter::default(), &mut exported).unwrap();
        assert_eq!(report.packets, original.len() as u64);
        let mut again = Vec::new();
        let exported = Input::from_bytes("exported", exported);
        read(&mut exported.open().unwrap(), &mut again);
        assert_eq!(again, found, "{name}");
        total += original.len();
    }
    assert!(total > 0);
}

/// A store with two sources, whose packets are dated alternately.
fn two_sources() -> (Folder, PathBuf, PathBuf) {
    let folder = Folder::new();
    let other = folder.store().join("pcap/wan0=wan");
    let mut paths = Vec::new();
    for (n, source) in [folder.path(), &other].into_iter().enumerate() {
        let (mut writer, _) = SourceWriter::open(source, WriterOptions::default(), NOW).unwrap();
        for k in 0..3 {
            let mut block = RecordBlock::default();
            for i in 0..4 {
                let time = NOW + (k * 8 + i * 2 + n as i64) * 1_000;
                block.push(time, 60, &time.to_le_bytes());
            }
            writer.append(&block);
            writer.rotate();
        }
        paths.push(writer.close(NOW).0[0].path.clone().unwrap());
    }
    let second = paths.remove(1);
    (folder, paths.remove(0), second)
}

#[test]
fn export_merges_sources_by_time_and_cuts_to_the_range() {
    let (folder, ..) = two_sources();
    let export = |filter: &Filter<'_>| {
        let mut bytes = Vec::new();
        export::export(folder.store(), filter, &mut bytes).unwrap();
        let mut packets = Vec::new();
        let input = Input::from_bytes("exported", bytes);
        read(&mut input.open().unwrap(), &mut packets);
        let time = |p: Packet| (p.1 - NOW) / 1_000;
        packets.into_iter().map(time).collect::<Vec<i64>>()
    };
    assert_eq!(export(&Filter::default()), (0..24).collect::<Vec<_>>());
    let tags = ["wan".to_owned()];
    let filter = Filter {
        tags: Some(&tags),
        times_ns: Some((NOW + 3_000, NOW + 9_000)),
        ..Filter::default()
    };
    assert_eq!(export(&filter), [3, 5, 7]);
}

#[test]
fn reindex_makes_what_is_missing_or_wrong_and_the_list_counts() {
    let (folder, first, _) = two_sources();
    let store = folder.store();
    let all = Filter::default();
    let listed = |store| list::list(store, &all).unwrap();
    assert_eq!(listed(store)[0].uncounted_files, 3);
    let done = reindex(store, &all, false, 100).unwrap();
    assert_eq!((done.made.len(), done.kept, done.failed.len()), (6, 0, 0));
    fs::write(first.with_extension("parquet"), "not a sidecar").unwrap();
    let done = reindex(store, &all, false, 100).unwrap();
    assert_eq!((done.made.len(), done.kept), (1, 5));
    assert_eq!(reindex(store, &all, true, 100).unwrap().made.len(), 6);
    let held = listed(store);
    let facts: Vec<(&str, u64, u64)> = held
        .iter()
        .map(|held| (held.source.tag.as_str(), held.files, held.packets))
        .collect();
    assert_eq!(facts, [("pcap", 3, 12), ("wan", 3, 12)]);
    assert_eq!(held[1].times_ns, Some((NOW + 1_000, NOW + 23_000)));
    assert_eq!(held[0].uncounted_files, 0);
}

#[test]
fn check_names_everything_that_is_wrong() {
    let (folder, first, second) = two_sources();
    let store = folder.store();
    reindex(store, &Filter::default(), false, 100).unwrap();
    let check = || check::check(store, &Filter::default()).unwrap();
    assert_eq!(check().findings, []);
    let mut bytes = fs::read(&first).unwrap();
    bytes.pop();
    fs::write(&first, bytes).unwrap();
    // The packet's bytes change, and what the decoder says of it with them.
    let mut bytes = fs::read(&second).unwrap();
    bytes[24 + 4] ^= 1;
    fs::write(&second, bytes).unwrap();
    fs::write(folder.path().join("active-000009.pcap"), "x").unwrap();
    fs::write(store.join("readme"), "x").unwrap();
    let orphan = folder.closed(77, NOW).with_extension("parquet");
    fs::copy(second.with_extension("parquet"), &orphan).unwrap();
    let unreadable = folder.closed(78, NOW).with_extension("parquet");
    fs::write(&unreadable, "x").unwrap();
    let found: BTreeMap<PathBuf, String> = check()
        .findings
        .into_iter()
        .map(|f| (f.path, f.problem.to_string()))
        .collect();
    let says = |path: &Path, what: &str| {
        assert!(found[path].contains(what), "{}", found[path]);
    };
    says(&first, "damaged: no whole record");
    says(&second, "its name does not say");
    says(&second.with_extension("parquet"), "row 0");
    says(&folder.path().join("active-000009.pcap"), "a writer");
    says(&store.join("readme"), "not a file of the store");
    says(&orphan, "no capture file");
    says(&unreadable, "damaged");
    assert_eq!(found.len(), 7);
}

/// So that trying again stores no packet twice.
#[test]
fn of_an_import_that_fails_nothing_stays() {
    let folder = Folder::new();
    let good = folder.store().join("good.pcap");
    let mut file = fs::File::create(&good).unwrap();
    let mut writer = crate::capfile::write::PcapWriter::new(&mut file);
    writer
        .write_frame(Some(NOW), 60, LinkType(1), &[1; 60])
        .unwrap();
    writer.finish().unwrap();
    let import = |paths: &[&Path]| {
        let inputs: Vec<Input> = paths.iter().map(|path| input(path)).collect();
        import::import(folder.store(), "pcap", &inputs, None)
    };
    let bad = folder.store().join("bad.pcap");
    fs::write(&bad, fs::read(&good).unwrap()).unwrap();
    let inputs = [input(&good), input(&bad)];
    fs::remove_file(&bad).unwrap();
    let failed = import::import(folder.store(), "pcap", &inputs, None).unwrap_err();
    assert!(failed.to_string().contains("bad.pcap"), "{failed}");
    assert_eq!(stored(folder.store()), []);
    assert_eq!(import(&[&good]).unwrap().packets, 1);
    let first = stored(folder.store());
    // Nor is anything taken of those before.
    import::import(folder.store(), "pcap", &inputs, None).unwrap_err();
    assert_eq!(stored(folder.store()), first);
}

#[test]
fn what_a_killed_import_left_to_do_the_next_one_does() {
    let folder = Folder::new();
    let source = folder.store().join("pcap/import");
    let (mut writer, _) = SourceWriter::open(&source, WriterOptions::default(), NOW).unwrap();
    writer.append(&block(NOW, 3));
    writer.rotate();
    writer.append(&block(NOW + 1_000_000, 4));
    writer.close(NOW);
    let how = Some(crate::store::Compress::Zstd(3));
    let imported = import::import(folder.store(), "pcap", &[], how).unwrap();
    assert_eq!(imported.packets, 0);
    let listing = crate::store::layout::Listing::read(&source).unwrap();
    let kinds = [Kind::Sidecar, Kind::Compressed].map(|kind| {
        let sets = listing.closed.values();
        sets.filter(|set| set.has(kind) && !set.has(Kind::Capture))
            .count()
    });
    assert_eq!(kinds, [2, 2]);
    assert_eq!(stored(folder.store()).len(), 7);
}

#[test]
fn an_import_never_shares_a_file_with_another_writer() {
    let folder = Folder::new();
    let source = folder.store().join("pcap/import");
    let (mut writer, _) = SourceWriter::open(&source, WriterOptions::default(), NOW).unwrap();
    writer.append(&block(NOW, 3));
    let path = folder.store().join("x.pcap");
    let mut export = Vec::new();
    export::export(folder.store(), &Filter::default(), &mut export).unwrap();
    fs::write(&path, export).unwrap();
    let refused = import::import(folder.store(), "pcap", &[input(&path)], None);
    assert!(matches!(
        refused,
        Err(import::ImportError::Store(Error::Locked(_)))
    ));
    writer.close(NOW);
    let imported = import::import(folder.store(), "pcap", &[input(&path)], None).unwrap();
    assert_eq!(imported.packets, 3);
    assert_eq!(stored(folder.store()).len(), 6);
}
