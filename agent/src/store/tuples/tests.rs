use std::io::Write as _;

use super::*;
use crate::decode::tuple::marks;
use crate::store::{
    Error, Filter, RecordBlock, Snapshot, SourceWriter, WriterOptions, check,
    layout::{Kind, active_name},
    reindex, sidecar,
    testing::{Folder, NOW},
    writer::Content,
};

/// A tuple of each kind: IPv4 with and without ports, IPv6, none.
fn example(n: usize) -> Tuple {
    let mapped = |last| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last];
    let plain = Tuple {
        time_ns: Some(NOW + n as i64 * 1_000),
        source: None,
        destination: None,
        source_port: None,
        destination_port: None,
        protocol: None,
        tcp_flags: None,
        vlan: None,
        marks: marks::ETHERNET,
        wire_len: 60 + n as u32 % 1_400,
        captured_len: 0,
        link_type: LinkType(1),
    };
    match n % 4 {
        0 => Tuple {
            source: Some(mapped(n as u8)),
            destination: Some(mapped(7)),
            source_port: Some(n as u16),
            destination_port: Some(443),
            protocol: Some(6),
            tcp_flags: Some(0),
            vlan: Some(0),
            marks: marks::ETHERNET | marks::IPV4 | marks::TRANSPORT,
            ..plain
        },
        1 => Tuple {
            source: Some([n as u8; 16]),
            destination: Some([0xfe; 16]),
            marks: marks::ETHERNET | marks::IPV6 | marks::LATER_FRAGMENT,
            vlan: Some(4_095),
            ..plain
        },
        2 => Tuple {
            source: Some(mapped(1)),
            destination: Some(mapped(2)),
            protocol: Some(1),
            marks: marks::ETHERNET | marks::IPV4,
            ..plain
        },
        _ => plain,
    }
}

fn block(from: usize, count: usize) -> RecordBlock {
    let mut block = RecordBlock::default();
    (from..from + count).for_each(|n| block.push_tuple(&example(n)));
    block
}

fn options() -> WriterOptions {
    WriterOptions {
        content: Content::Tuples,
        ..WriterOptions::default()
    }
}

/// The tuples of a store by its tables, as `example` numbers them.
fn stored(folder: &Folder) -> Vec<Tuple> {
    let snapshot = Snapshot::take(folder.store(), &Filter::default()).unwrap();
    assert!(snapshot.skipped.is_empty(), "{:?}", snapshot.skipped);
    let mut tuples = Vec::new();
    for file in &snapshot.files {
        assert!(file.tuples_alone);
        let table = file.open_tuples().unwrap();
        table.verify().unwrap();
        for group in 0..table.groups() {
            let column = |column| table.numbers(group, column).unwrap();
            let address = |column| table.addresses(group, column).unwrap();
            use sidecar::Column as C;
            let (times, offsets) = (table.times(group).unwrap(), table.offsets(group).unwrap());
            let (source, destination) = (address(C::Source), address(C::Destination));
            let (sport, dport) = (column(C::SourcePort), column(C::DestinationPort));
            let (protocol, flags) = (column(C::Protocol), column(C::TcpFlags));
            let (vlan, mark) = (column(C::Vlan), column(C::Marks));
            let (wire, captured) = (column(C::WireLength), column(C::CapturedLength));
            for row in 0..table.rows(group) {
                assert_eq!(captured.get(row), Some(0));
                assert_eq!(offsets.get(row).unwrap() % TUPLE_RECORD as u64, 0);
                tuples.push(Tuple {
                    time_ns: times.get(row),
                    source: source.get(row),
                    destination: destination.get(row),
                    source_port: sport.get(row).map(|v| v as u16),
                    destination_port: dport.get(row).map(|v| v as u16),
                    protocol: protocol.get(row).map(|v| v as u8),
                    tcp_flags: flags.get(row).map(|v| v as u8),
                    vlan: vlan.get(row).map(|v| v as u16),
                    marks: mark.get(row).unwrap() as u16,
                    wire_len: wire.get(row).unwrap(),
                    captured_len: 0,
                    link_type: table.link_type.unwrap(),
                });
            }
        }
    }
    tuples
}

fn examples(count: usize) -> Vec<Tuple> {
    (0..count).map(example).collect()
}

#[test]
fn a_record_gives_back_its_tuple_and_a_changed_bit_does_not() {
    for n in 0..8 {
        let bytes = record(&example(n));
        assert_eq!(tuple(&bytes, LinkType(1)), Some(example(n)));
        for bit in 0..TUPLE_RECORD * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(tuple(&changed, LinkType(1)), None, "{n} {bit}");
        }
    }
    assert_eq!(tuple(&[0; TUPLE_RECORD], LinkType(1)), None);
    assert_eq!(link_type(&header(LinkType(1))), Some(LinkType(1)));
    assert_eq!(link_type(&record(&example(0))), None);
}

#[test]
fn tuples_are_read_while_they_are_written_and_when_they_are_closed() {
    let folder = Folder::in_memory();
    let (mut writer, _) = SourceWriter::open(folder.path(), options(), NOW).unwrap();
    writer.append(&block(0, 100));
    assert_eq!(stored(&folder), examples(100));
    let before = Snapshot::take(folder.store(), &Filter::default()).unwrap();
    writer.append(&block(100, 50));
    writer.rotate();
    writer.append(&block(150, 7));
    assert_eq!(stored(&folder).len(), 157);
    let (closed, stats, error) = writer.close(NOW);
    assert!(error.is_none());
    assert_eq!((stats.stored, closed.len()), (157, 2));
    assert_eq!(stored(&folder), examples(157));
    assert!(!folder.path().join(active_name(1, Kind::Tuples)).exists());
    // What was being written then is still those 100.
    assert_eq!(before.files[0].open_tuples().unwrap().packets, 100);
    assert!(matches!(
        before.files[0].input(),
        Err(Error::TuplesAlone(_))
    ));
    // The next run goes on, recovers nothing and removes nothing.
    let (writer, report) = SourceWriter::open(folder.path(), options(), NOW).unwrap();
    assert_eq!(report, []);
    drop(writer);
    assert_eq!(stored(&folder), examples(157));
    let checked = check::check(folder.store(), &Filter::default()).unwrap();
    assert_eq!((checked.findings, checked.tuples), (Vec::new(), 157));
    let done = reindex::reindex(folder.store(), &Filter::default(), true, 100).unwrap();
    assert_eq!((done.alone, done.made.len(), done.failed.len()), (2, 0, 0));
    assert_eq!(stored(&folder), examples(157));
    let mut pcap = Vec::new();
    let exported =
        crate::store::export::export(folder.store(), &Filter::default(), &mut pcap).unwrap();
    assert_eq!((exported.packets, exported.skipped.len()), (0, 2));
    assert!(
        exported.skipped[0].reason.contains("only their tuples"),
        "{exported:?}"
    );
}

#[test]
fn a_file_is_closed_by_size_and_by_time() {
    let folder = Folder::in_memory();
    let options = WriterOptions {
        rotate_bytes: 64 * 101,
        ..options()
    };
    let (mut writer, _) = SourceWriter::open(folder.path(), options, NOW).unwrap();
    for n in 0..5 {
        writer.append(&block(n * 50, 50));
    }
    writer.tick(NOW + 3_600_000_000_000);
    writer.append(&block(250, 3));
    let (closed, ..) = writer.close(NOW);
    assert_eq!(closed.len(), 4);
    assert_eq!(stored(&folder), examples(253));
}

#[test]
fn a_file_without_tuples_leaves_nothing() {
    let folder = Folder::in_memory();
    let (mut writer, _) = SourceWriter::open(folder.path(), options(), NOW).unwrap();
    writer.record(&crate::store::loss::Sample {
        time_ns: NOW,
        run: NOW,
        counts: crate::store::loss::Counts::default(),
    });
    let (closed, _, error) = writer.close(NOW);
    assert!(error.is_none());
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].path, None);
    assert_eq!(stored(&folder), []);
}

/// What a dead writer leaves at every length of its last 4 KiB: the whole records, no more.
#[test]
fn every_cut_of_an_active_file_gives_its_whole_records() {
    let folder = Folder::in_memory();
    let (mut writer, _) = SourceWriter::open(folder.path(), options(), NOW).unwrap();
    writer.append(&block(0, 100));
    let active = folder.path().join(active_name(1, Kind::Tuples));
    let bytes = std::fs::read(&active).unwrap();
    assert_eq!(bytes.len(), 101 * TUPLE_RECORD);
    drop(writer);
    for cut in 0..=4_096 {
        let length = bytes.len() - cut;
        let folder = Folder::in_memory();
        let active = folder.path().join(active_name(1, Kind::Tuples));
        std::fs::write(&active, &bytes[..length]).unwrap();
        let whole = length / TUPLE_RECORD - 1;
        let ends = ends(&File::open(&active).unwrap(), LinkType(1), length as u64).unwrap();
        let expected = Ends {
            end: ((whole + 1) * TUPLE_RECORD) as u64,
            first_ns: Some(NOW),
        };
        assert_eq!(ends, expected, "cut by {cut}");
        // A table takes its time to be made: of every length around the ends of records.
        if !matches!(cut % 1_024, 0 | 1 | 63 | 64 | 65) {
            continue;
        }
        let before = stored(&folder);
        assert_eq!(before, examples(whole), "cut by {cut}");
        let (writer, report) = SourceWriter::open(folder.path(), options(), NOW).unwrap();
        assert_eq!(
            report.len(),
            if length.is_multiple_of(TUPLE_RECORD) {
                1
            } else {
                2
            },
            "{report:?}"
        );
        drop(writer);
        assert!(!active.exists());
        assert_eq!(stored(&folder), before, "cut by {cut}");
    }
}

#[test]
fn a_header_that_is_not_whole_is_no_file() {
    for length in 0..=TUPLE_RECORD {
        let folder = Folder::in_memory();
        let active = folder.path().join(active_name(1, Kind::Tuples));
        std::fs::write(&active, &header(LinkType(1))[..length]).unwrap();
        assert_eq!(stored(&folder), []);
        SourceWriter::open(folder.path(), options(), NOW).unwrap();
        assert!(!active.exists());
        assert_eq!(stored(&folder), []);
    }
}

#[test]
fn zeros_at_the_end_are_cut_and_damage_is_kept_aside() {
    use crate::store::recover::Action;
    let folder = Folder::in_memory();
    let active = folder.path().join(active_name(1, Kind::Tuples));
    let mut file = File::create(&active).unwrap();
    file.write_all(&header(LinkType(1))).unwrap();
    file.write_all(block(0, 10).bytes()).unwrap();
    file.write_all(&[0; 1_000]).unwrap();
    let (writer, report) = SourceWriter::open(folder.path(), options(), NOW).unwrap();
    drop(writer);
    assert_eq!(
        report[0],
        Action::Cut {
            path: active.clone(),
            bytes: 1_000
        }
    );
    assert_eq!(stored(&folder), examples(10));

    let folder = Folder::in_memory();
    let active = folder.path().join(active_name(1, Kind::Tuples));
    let mut bytes = header(LinkType(1)).to_vec();
    bytes.extend(block(0, 10).bytes());
    bytes[5 * TUPLE_RECORD + 9] ^= 1;
    std::fs::write(&active, &bytes).unwrap();
    let (writer, _) = SourceWriter::open(folder.path(), options(), NOW).unwrap();
    let (closed, _, error) = writer.close(NOW);
    assert!(error.is_none());
    let aside = folder.path().join("damaged-000001.tuples");
    let damaged = Some((aside.clone(), 5 * TUPLE_RECORD as u64));
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].damaged, damaged);
    assert_eq!(std::fs::read(&aside).unwrap(), bytes);
    let mut expected = examples(10);
    expected.remove(4);
    assert_eq!(stored(&folder), expected);
}

#[test]
fn an_orphan_goes_and_what_cannot_be_read_stays() {
    let folder = Folder::in_memory();
    let (mut writer, _) = SourceWriter::open(folder.path(), options(), NOW).unwrap();
    writer.append(&block(0, 10));
    writer.close(NOW);
    let (mut writer, _) = SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
    writer.append(&crate::store::testing::block(NOW + 5, 10));
    let (closed, ..) = writer.close(NOW);
    let capture = closed[0].path.clone().unwrap();
    let orphan = sidecar::build(&capture, 100).unwrap().path;
    std::fs::remove_file(&capture).unwrap();
    // Tuples, of which a byte of the metadata is wrong.
    let tuples = folder.closed(1, NOW).with_extension("parquet");
    let good = std::fs::read(&tuples).unwrap();
    let mut bytes = good.clone();
    let at = bytes.len() - 20;
    bytes[at] ^= 1;
    std::fs::write(&tuples, &bytes).unwrap();
    let (_, report) = SourceWriter::open(folder.path(), options(), NOW).unwrap();
    assert!(!orphan.exists() && tuples.exists(), "{report:?}");
    let snapshot = Snapshot::take(folder.store(), &Filter::default()).unwrap();
    assert_eq!((snapshot.files.len(), snapshot.skipped.len()), (0, 1));
    let checked = check::check(folder.store(), &Filter::default()).unwrap();
    assert_eq!(checked.findings.len(), 1);
    assert!(checked.findings[0].problem.is_damage());
    std::fs::write(&tuples, &good).unwrap();
    assert_eq!(stored(&folder), examples(10));
}

/// Killed between the table's name and the end of what it was made of.
#[test]
fn a_table_is_made_again_while_its_tuples_are_there() {
    let folder = Folder::in_memory();
    let (mut writer, _) = SourceWriter::open(folder.path(), options(), NOW).unwrap();
    writer.append(&block(0, 10));
    let active = folder.path().join(active_name(1, Kind::Tuples));
    let bytes = std::fs::read(&active).unwrap();
    writer.close(NOW);
    std::fs::write(&active, &bytes).unwrap();
    assert_eq!(stored(&folder), examples(10));
    SourceWriter::open(folder.path(), options(), NOW).unwrap();
    assert!(!active.exists());
    assert_eq!(stored(&folder), examples(10));
}
