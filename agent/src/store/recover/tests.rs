//! Recovery: every truncation, zeros, damage, what is left over.

use super::*;
use crate::store::testing::{Folder, NOW, block, packets_of};
use crate::store::{SourceWriter, WriterOptions};

/// A source whose writer died, and the bytes of its active file.
fn died(blocks: &[(i64, usize)]) -> (Folder, Vec<u8>) {
    let folder = Folder::new();
    let (mut writer, report) =
        SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
    assert_eq!(report, []);
    for &(first, count) in blocks {
        writer.append(&block(first, count));
    }
    drop(writer);
    let active = folder.path().join(active_name(1, Kind::Capture));
    let bytes = fs::read(active).unwrap();
    (folder, bytes)
}

/// Ends of the records.
fn ends(bytes: &[u8]) -> Vec<usize> {
    let mut ends = vec![FILE_HEADER];
    while let Some(length) = bytes
        .get(ends[ends.len() - 1] + 8..)
        .and_then(|b| b.first_chunk())
    {
        ends.push(ends[ends.len() - 1] + 16 + u32::from_le_bytes(*length) as usize);
    }
    ends
}

#[test]
fn every_truncation_of_the_last_bytes_keeps_every_whole_packet() {
    let (folder, bytes) = died(&[(NOW, 40), (NOW + 1_000_000, 60)]);
    let ends = ends(&bytes);
    assert_eq!(ends.last(), Some(&bytes.len()));
    let lowest = bytes.len().saturating_sub(4_096);
    for cut in (0..FILE_HEADER + 1).chain(lowest..=bytes.len()) {
        let source = Folder::in_memory();
        let active = source.path().join(active_name(7, Kind::Capture));
        fs::write(&active, &bytes[..cut]).unwrap();
        let report = recover(source.path(), NOW).unwrap().0;
        assert!(!active.exists());
        let whole = ends
            .iter()
            .filter(|&&end| end <= cut)
            .count()
            .saturating_sub(1);
        let keep = ends[whole];
        let path = source.closed(7, NOW);
        assert_eq!(path.exists(), whole > 0, "cut at {cut}");
        if whole > 0 {
            assert_eq!(fs::read(&path).unwrap(), &bytes[..keep], "cut at {cut}");
            assert_eq!(packets_of(&path).len(), whole);
        }
        let cut_off = report.iter().any(|a| {
            matches!(a, Action::Cut { bytes, .. }
            if *bytes == (cut - keep) as u64)
        });
        assert_eq!(cut_off, cut > keep && cut >= FILE_HEADER, "cut at {cut}");
        assert!(!report.iter().any(|a| matches!(a, Action::Damaged { .. })));
        let again = recover(source.path(), NOW).unwrap().0;
        assert_eq!(again, [], "cut at {cut}");
    }
    drop(folder);
}

#[test]
fn sequence_numbers_go_on_and_zeros_at_the_end_are_cut() {
    let (folder, bytes) = died(&[(NOW, 5)]);
    let active = folder.path().join(active_name(1, Kind::Capture));
    fs::write(&active, [&bytes[..], &[0; 5_000]].concat()).unwrap();
    let (mut writer, report) =
        SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
    let path = folder.closed(1, NOW);
    let expected = [
        Action::Cut {
            path: active,
            bytes: 5_000,
        },
        Action::Closed {
            path: path.clone(),
            packets: 5,
        },
    ];
    assert_eq!(report, expected);
    assert_eq!(fs::read(path).unwrap(), bytes);
    writer.append(&block(NOW, 1));
    assert!(folder.path().join("active-000002.pcap").exists());
    let (closed, ..) = writer.close(NOW);
    assert_eq!(closed[0].name.sequence, 2);
    // Retention took everything; the numbers still go on.
    fs::remove_dir_all(folder.path().join("2026")).unwrap();
    let (mut writer, _) = SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
    writer.append(&block(NOW, 1));
    assert!(folder.path().join("active-000003.pcap").exists());
}

#[test]
fn damage_in_the_middle_cuts_nothing() {
    let (folder, mut bytes) = died(&[(NOW, 50)]);
    let ends = ends(&bytes);
    bytes[ends[10] + 8..ends[10] + 12].copy_from_slice(&[0xff; 4]);
    let active = folder.path().join(active_name(1, Kind::Capture));
    fs::write(&active, &bytes).unwrap();
    let (_, report) = SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
    let path = folder.closed(1, NOW);
    let offset = ends[10] as u64;
    assert_eq!(
        report.last(),
        Some(&Action::Damaged {
            path: path.clone(),
            offset
        })
    );
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(packets_of(&path).len(), 49);
}

#[test]
fn what_was_never_completed_is_removed_and_what_is_foreign_is_kept() {
    let (folder, _) = died(&[(NOW, 1)]);
    drop(SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap());
    let capture = folder.closed(1, NOW);
    let temporary = capture.with_extension("parquet.tmp");
    let orphan = folder.closed(9, NOW).with_extension("parquet");
    let foreign = folder.path().join("notes.txt");
    let aside = folder.path().join("active-000005.pcap");
    let made = crate::store::sidecar::build(&capture, 100).unwrap().path;
    fs::rename(made, &orphan).unwrap();
    // It may be of tuples alone.
    let unreadable = folder.closed(10, NOW).with_extension("parquet");
    for path in [&temporary, &unreadable, &foreign] {
        fs::write(path, "x").unwrap();
    }
    fs::write(&aside, "this is no capture file at all").unwrap();
    let report = recover(folder.path(), NOW).unwrap().0;
    assert_eq!(
        report,
        [
            Action::Removed { path: temporary },
            Action::Removed { path: orphan },
            Action::SetAside {
                path: folder.path().join("damaged-000005.pcap")
            },
        ]
    );
    assert!(foreign.exists() && capture.exists() && unreadable.exists());
    let aside = folder.path().join("damaged-000005.pcap");
    assert_eq!(Listing::read(folder.path()).unwrap().aside, [aside]);
    assert_eq!(recover(folder.path(), NOW).unwrap().0, []);
}

#[test]
fn a_loss_table_is_kept_without_packets_and_its_cut_line_goes() {
    let folder = Folder::new();
    let (mut writer, _) = SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
    let sample = crate::store::loss::Sample {
        time_ns: NOW,
        run: NOW,
        ..Default::default()
    };
    writer.record(&sample);
    drop(writer);
    let table = folder.path().join(active_name(1, Kind::Counters));
    let whole = fs::read(&table).unwrap();
    fs::write(&table, [&whole[..], b"17\t1"].concat()).unwrap();
    recover(folder.path(), NOW).unwrap();
    let closed = folder.closed(1, NOW).with_extension("counters");
    assert_eq!(Table::read(&closed).unwrap().samples, [sample, sample]);
    assert_eq!(fs::read(closed).unwrap(), whole);
    assert!(!folder.path().join(active_name(1, Kind::Capture)).exists());
}
