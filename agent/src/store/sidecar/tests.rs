//! Sidecars have the decoder's values, of every capture, and are used only when whole.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;
use crate::capfile::{Input, discover};
use crate::decode::{self, Packet, Tuple, tuple};
use crate::frame::{Frame, LinkType};
use crate::store::testing::{Folder, NOW, block, captures};
use crate::store::{Outcome, RecordBlock, SourceWriter, WriterOptions};

/// The tuple of a row, from all columns.
fn row(sidecar: &Sidecar, columns: &Columns, at: usize) -> (Tuple, u64) {
    let number = |column: Column| columns.numbers[&column].get(at);
    let small = |column| number(column).map(|n| u8::try_from(n).unwrap());
    let port = |column| number(column).map(|n| u16::try_from(n).unwrap());
    let tuple = Tuple {
        time_ns: columns.times.get(at),
        source: columns.source.get(at),
        destination: columns.destination.get(at),
        source_port: port(Column::SourcePort),
        destination_port: port(Column::DestinationPort),
        protocol: small(Column::Protocol),
        tcp_flags: small(Column::TcpFlags),
        vlan: port(Column::Vlan),
        marks: port(Column::Marks).unwrap(),
        wire_len: number(Column::WireLength).unwrap(),
        captured_len: number(Column::CapturedLength).unwrap(),
        link_type: sidecar.link_type.unwrap(),
    };
    (tuple, columns.offsets.get(at).unwrap())
}

struct Columns {
    times: Values<i64>,
    offsets: Values<u64>,
    source: Values<[u8; 16]>,
    destination: Values<[u8; 16]>,
    numbers: std::collections::HashMap<Column, Values<u32>>,
}

impl Columns {
    fn read(sidecar: &Sidecar, group: usize) -> Self {
        let others = Column::ALL.iter().filter(|column| {
            let other = [Column::Source, Column::Destination];
            !column.grows() && !other.contains(column)
        });
        Self {
            times: sidecar.times(group).unwrap(),
            offsets: sidecar.offsets(group).unwrap(),
            source: sidecar.addresses(group, Column::Source).unwrap(),
            destination: sidecar.addresses(group, Column::Destination).unwrap(),
            numbers: others
                .map(|&column| (column, sidecar.numbers(group, column).unwrap()))
                .collect(),
        }
    }
}

/// The Bloom filters of some of the packets: each look reads one from the disk.
fn check_filters(sidecar: &Sidecar, group: usize, tuple: &Tuple) {
    for (column, address) in [
        (Column::Source, tuple.source),
        (Column::Destination, tuple.destination),
    ] {
        let may = |address| sidecar.may_have_address(group, column, &address).unwrap();
        assert!(address.is_none_or(may));
    }
    let may = |port| {
        let may = sidecar.may_have_port(group, Column::DestinationPort, port);
        may.unwrap()
    };
    assert!(tuple.destination_port.is_none_or(may));
}

fn check_bounds(sidecar: &Sidecar, group: usize, tuple: &Tuple) {
    let Bounds::Within(min, max) = sidecar.time_bounds(group) else {
        panic!("no bounds of times");
    };
    assert!((min..=max).contains(&tuple.time_ns.unwrap()));
    for (column, address) in [
        (Column::Source, tuple.source),
        (Column::Destination, tuple.destination),
    ] {
        let Some(address) = address else { continue };
        let Bounds::Within(min, max) = sidecar.address_bounds(group, column) else {
            panic!("no bounds of addresses");
        };
        assert!((min..=max).contains(&address));
    }
    if let Some(port) = tuple.destination_port {
        let Bounds::Within(min, max) = sidecar.number_bounds(group, Column::DestinationPort) else {
            panic!("no bounds of ports");
        };
        assert!((min..=max).contains(&u64::from(port)));
    }
}

/// Every covered field has the same value from the tuple as from the packet.
fn check_fields(packet: &Packet<'_>, tuple: &Tuple) {
    for (index, spec) in decode::fields().iter().enumerate() {
        if let Some(covered) = tuple::covered(u16::try_from(index).unwrap()) {
            let name = (spec.protocol, spec.name);
            assert_eq!(covered.extract(tuple), (spec.extract)(packet), "{name:?}");
        }
    }
}

/// Compares the sidecar of a capture file with the decoder's view of each of its packets.
fn compare(capture: &Path) -> u64 {
    let length = fs::metadata(capture).unwrap().len();
    let sidecar = Sidecar::open(&capture.with_extension("parquet"), length).unwrap();
    sidecar.verify().unwrap();
    let file = fs::File::open(capture).unwrap();
    let input = Input::from_file("capture", file, length);
    let mut reader = input.open().unwrap();
    let mut count = 0;
    for group in 0..sidecar.groups() {
        assert_eq!(sidecar.first_row(group), count);
        let columns = Columns::read(&sidecar, group);
        for at in 0..sidecar.rows(group) {
            let frame = reader.next_frame().unwrap();
            let packet = Packet::decode(&frame);
            let expected = (Tuple::of(&packet), frame.offset);
            let found = row(&sidecar, &columns, at);
            assert_eq!(found, expected, "packet {count}");
            check_fields(&packet, &found.0);
            check_bounds(&sidecar, group, &found.0);
            if count % 16 == 0 {
                check_filters(&sidecar, group, &found.0);
            }
            count += 1;
        }
    }
    assert!(reader.next_frame().is_none());
    assert_eq!(count, sidecar.packets);
    count
}

/// Stores the frames of a capture, one file per run of a link type; gives the files.
fn store_capture(folder: &Folder, path: &Path) -> (u64, Vec<PathBuf>) {
    let spec = path.to_str().unwrap().to_owned();
    let mut reader = discover(&[spec]).unwrap().remove(0).open().unwrap();
    let options = WriterOptions {
        rotate_bytes: u64::MAX,
        ..WriterOptions::default()
    };
    let (mut writer, _) = SourceWriter::open(folder.path(), options, NOW).unwrap();
    let mut block = RecordBlock::default();
    let mut packets = 0;
    while let Some(frame) = reader.next_frame() {
        writer.set_link_type(frame.link_type);
        block.clear();
        block.push(frame.time_ns.unwrap_or(0), frame.wire_len, frame.data);
        assert_eq!(writer.append(&block), Outcome::Stored);
        packets += 1;
    }
    let (closed, ..) = writer.close(NOW);
    let paths = closed.into_iter().filter_map(|file| file.path).collect();
    (packets, paths)
}

#[test]
fn sidecars_have_the_values_of_the_decoder_for_every_capture() {
    let (mut files, mut total) = (0, 0);
    for path in captures() {
        let folder = Folder::in_memory();
        let (packets, stored) = store_capture(&folder, &path);
        let mut found = 0;
        for capture in stored {
            let made = build(&capture, 1_000).unwrap();
            assert_eq!(made.length, fs::metadata(&made.path).unwrap().len());
            found += compare(&capture);
        }
        assert_eq!(found, packets, "{}", path.display());
        files += 1;
        total += packets;
    }
    eprintln!("{files} captures, {total} packets");
    assert!(files > 0 && total > 0);
}

/// A closed capture file of so many packets.
fn closed(folder: &Folder, packets: usize) -> PathBuf {
    let (mut writer, _) = SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
    writer.append(&block(NOW, packets));
    writer.close(NOW).0[0].path.clone().unwrap()
}

#[test]
fn every_truncation_and_every_changed_byte_is_noticed() {
    let folder = Folder::in_memory();
    let capture = closed(&folder, 40);
    let made = build(&capture, 16).unwrap();
    let length = fs::metadata(&capture).unwrap().len();
    let bytes = fs::read(&made.path).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(&made.path, bytes).unwrap();
        let opened = Sidecar::open(&made.path, length);
        opened.and_then(|sidecar| sidecar.verify()).is_err()
    };
    assert!(!refused(&bytes));
    for cut in bytes.len().saturating_sub(4_096)..bytes.len() {
        assert!(refused(&bytes[..cut]), "cut at {cut}");
    }
    // The magic number at the start is the only part that nothing reads.
    for at in 4..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(refused(&changed), "changed at {at}");
    }
}

#[test]
fn a_sidecar_is_of_one_capture_file_alone() {
    let folder = Folder::in_memory();
    let capture = closed(&folder, 40);
    let made = build(&capture, ROWS_PER_GROUP).unwrap();
    let length = fs::metadata(&capture).unwrap().len();
    assert!(matches!(
        Sidecar::open(&made.path, length + 1),
        Err(Error::Stale { .. })
    ));
    let other = folder.closed(2, NOW).with_extension("parquet");
    fs::copy(&made.path, &other).unwrap();
    assert!(matches!(
        Sidecar::open(&other, length),
        Err(Error::Stale { .. })
    ));
    assert!(matches!(
        Sidecar::open(&made.path.with_extension("none"), length),
        Err(Error::Io { .. })
    ));
}

#[test]
fn a_damaged_capture_file_has_no_sidecar() {
    let folder = Folder::in_memory();
    let capture = closed(&folder, 40);
    let bytes = fs::read(&capture).unwrap();
    fs::write(&capture, &bytes[..bytes.len() - 1]).unwrap();
    let error = build(&capture, ROWS_PER_GROUP).unwrap_err();
    assert!(matches!(error, Error::DamagedCapture { .. }), "{error}");
    let names = fs::read_dir(capture.parent().unwrap()).unwrap().count();
    assert_eq!(names, 1, "nothing may be left over");
}

#[test]
fn a_bloom_filter_says_no_to_what_is_not_there() {
    let folder = Folder::in_memory();
    let (mut writer, _) = SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
    let mut block = RecordBlock::default();
    for n in 0..200_u8 {
        // IPv4 and UDP: 10.0.0.1 to 10.0.1.n, port 53 to 2000 + n.
        let mut data = vec![0; 14];
        data[12..].copy_from_slice(&[8, 0]);
        data.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0]);
        data.extend([10, 0, 0, 1, 10, 0, 1, n]);
        let port = (2_000 + u16::from(n)).to_be_bytes();
        data.extend([0, 53, port[0], port[1], 0, 8, 0, 0]);
        block.push(NOW, 60, &data);
    }
    writer.append(&block);
    let capture = writer.close(NOW).0[0].path.clone().unwrap();
    let made = build(&capture, ROWS_PER_GROUP).unwrap();
    let length = fs::metadata(&capture).unwrap().len();
    let sidecar = Sidecar::open(&made.path, length).unwrap();
    assert_eq!(sidecar.link_type, Some(LinkType(1)));
    assert_eq!(sidecar.times_ns, Some((NOW, NOW)));
    let mapped = |[a, b, c, d]: [u8; 4]| std::net::Ipv4Addr::new(a, b, c, d).to_ipv6_mapped();
    let may = |column, address| {
        let address = mapped(address).octets();
        sidecar.may_have_address(0, column, &address).unwrap()
    };
    assert!(may(Column::Source, [10, 0, 0, 1]) && may(Column::Destination, [10, 0, 1, 77]));
    let wrong = (0..=255)
        .filter(|&n| may(Column::Destination, [10, 0, 7, n]))
        .count();
    assert!(wrong < 30, "{wrong} of 256");
    assert!(
        sidecar
            .may_have_port(0, Column::DestinationPort, 2_007)
            .unwrap()
    );
    let wrong = (0..1_000).filter(|&port| {
        sidecar
            .may_have_port(0, Column::DestinationPort, port)
            .unwrap()
    });
    assert!(wrong.count() < 100);
    assert_eq!(
        sidecar.number_bounds(0, Column::DestinationPort),
        Bounds::Within(2_000, 2_199)
    );
    assert_eq!(sidecar.number_bounds(0, Column::Vlan), Bounds::Nothing);
    assert_eq!(sidecar.number_bounds(0, Column::TcpFlags), Bounds::Nothing);
}

#[test]
fn frames_of_any_link_type_have_a_tuple() {
    for link_type in 0..300 {
        let frame = Frame {
            time_ns: Some(NOW),
            wire_len: 1,
            link_type: LinkType(link_type),
            interface: "",
            offset: 24,
            data: &[0x45],
        };
        let packet = Packet::decode(&frame);
        check_fields(&packet, &Tuple::of(&packet));
    }
}
