//! Which files go, whatever clocks and packets say.

use super::*;
use crate::store::testing::{NOW, block};
use crate::store::{SourceWriter, WriterOptions};

const DAY: Duration = Duration::from_secs(86_400);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(NOW as u64)
}

/// A store with files closed at the given days before now, each of ten packets that are
/// dated as `packet_ns` says.
fn store(sources: &[(&str, &[u64])], packet_ns: i64) -> tempfile::TempDir {
    let store = tempfile::tempdir().unwrap();
    for (source, days) in sources {
        let options = WriterOptions::default();
        let folder = store.path().join("pcap").join(source);
        let (mut writer, _) = SourceWriter::open(&folder, options, NOW).unwrap();
        for days in *days {
            writer.append(&block(packet_ns, 10));
            writer.tick(NOW - (DAY * u32::try_from(*days).unwrap()).as_nanos() as i64);
            writer.rotate();
        }
        writer.append(&block(packet_ns, 10));
        std::mem::forget(writer);
    }
    // Closing is done by another thread.
    let files: usize = sources.iter().map(|(_, days)| days.len()).sum();
    let closed = || -> usize {
        let (found, _) = layout::sources(store.path()).unwrap();
        let listings = found
            .iter()
            .map(|s| Listing::read(&s.folder(store.path())).unwrap());
        listings.map(|listing| listing.closed.len()).sum()
    };
    while closed() < files {
        std::thread::sleep(Duration::from_millis(5));
    }
    store
}

fn enforced(store: &Path, well: &str, retention: &Retention) -> Vec<Removed> {
    let enforced = enforce(store, well, retention, now()).unwrap();
    assert!(enforced.failed.is_empty(), "{:?}", enforced.failed);
    enforced.removed
}

fn names(removed: &[Removed]) -> Vec<String> {
    let name = |r: &Removed| format!("{}-{}", r.source.interface, r.sequence);
    removed.iter().map(name).collect()
}

#[test]
fn by_age_in_the_order_of_closing_whatever_the_packets_say() {
    // Sequence numbers 1, 2, ... of each source.
    let sources: &[(&str, &[u64])] = &[("lan0", &[40, 30, 5]), ("wan0", &[35, 2])];
    for packet_ns in [NOW, 0, 2_150_000_000_000_000_000] {
        let store = store(sources, packet_ns);
        let retention = Retention {
            max_age: Some(DAY * 29),
            ..Retention::default()
        };
        let removed = enforced(store.path(), "pcap", &retention);
        assert_eq!(names(&removed), ["lan0-1", "wan0-1", "lan0-2"]);
        assert!(
            removed
                .iter()
                .all(|r| r.why == Why::Age && !r.path.exists())
        );
        assert_eq!(enforced(store.path(), "pcap", &retention), []);
    }
}

#[test]
fn by_size_the_oldest_first_and_never_what_is_being_written() {
    let store = store(&[("lan0", &[4, 2]), ("wan0", &[3])], NOW);
    let one = Listing::read(&store.path().join("pcap/lan0")).unwrap();
    let path = one.closed[&1]
        .name
        .path(&store.path().join("pcap/lan0"), Kind::Capture);
    let size = fs::metadata(path).unwrap().len();
    let retention = |max_size| Retention {
        max_size: Some(max_size),
        ..Retention::default()
    };
    let enforce = |max| enforced(store.path(), "pcap", &retention(max));
    // Three closed files and two active ones.
    assert_eq!(enforce(5 * size), []);
    let removed = enforce(4 * size);
    assert_eq!(
        (names(&removed), removed[0].bytes),
        (vec!["lan0-1".to_owned()], size)
    );
    assert_eq!(names(&enforce(0)), ["wan0-1", "lan0-2"]);
    assert_eq!(enforce(0), []);
    assert!(store.path().join("pcap/lan0/active-000003.pcap").exists());
    assert!(!store.path().join("pcap/lan0/2026").exists());
}

#[test]
fn by_free_space_and_only_in_its_well() {
    let store = store(&[("lan0", &[4, 2])], NOW);
    let retention = |min_free| Retention {
        min_free: Some(min_free),
        ..Retention::default()
    };
    let enforce = |well, min| enforced(store.path(), well, &retention(min));
    assert_eq!(enforce("other", u64::MAX), []);
    assert_eq!(enforce("pcap", 1), []);
    let removed = enforce("pcap", u64::MAX);
    assert_eq!(names(&removed), ["lan0-1", "lan0-2"]);
    assert!(removed.iter().all(|r| r.why == Why::Free));
}

#[test]
fn a_wrong_modification_time_moves_nothing() {
    let store = store(&[("lan0", &[40, 35, 3, 2])], NOW);
    let folder = store.path().join("pcap/lan0");
    let listing = Listing::read(&folder).unwrap();
    let touch = |sequence: u64, time| {
        let path = listing.closed[&sequence].name.path(&folder, Kind::Capture);
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(time).unwrap();
    };
    // The first in 2100, the third and fourth in 1970.
    touch(1, now() + DAY * 27_000);
    touch(3, SystemTime::UNIX_EPOCH);
    touch(4, SystemTime::UNIX_EPOCH);
    let retention = Retention {
        max_age: Some(DAY * 36),
        ..Retention::default()
    };
    assert_eq!(enforced(store.path(), "pcap", &retention), []);
    let retention = Retention {
        max_age: Some(DAY * 30),
        ..Retention::default()
    };
    // Of the last two it is not known when they were closed.
    let removed = enforced(store.path(), "pcap", &retention);
    assert_eq!(names(&removed), ["lan0-1", "lan0-2"]);
}

/// A machine without a clock of its own starts in 1970, until it has asked others.
#[test]
fn files_closed_before_the_clock_was_set_are_as_old_as_the_next_one() {
    let since_1970 = now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let days = since_1970.as_secs() / DAY.as_secs();
    let store = store(&[("lan0", &[days, days, 3])], NOW);
    let retention = |days| Retention {
        max_age: Some(DAY * days),
        ..Retention::default()
    };
    assert_eq!(enforced(store.path(), "pcap", &retention(4)), []);
    let removed = enforced(store.path(), "pcap", &retention(2));
    assert_eq!(names(&removed), ["lan0-1", "lan0-2", "lan0-3"]);
}

#[test]
fn what_cannot_be_removed_holds_up_nothing() {
    let store = store(&[("lan0", &[40, 35, 33]), ("wan0", &[34])], NOW);
    let folder = store.path().join("pcap/lan0");
    let listing = Listing::read(&folder).unwrap();
    let path = listing.closed[&1].name.path(&folder, Kind::Capture);
    // No privilege removes a folder as if it were a file.
    fs::create_dir(path.with_extension("pcap.zst")).unwrap();
    let retention = Retention {
        max_age: Some(DAY * 30),
        ..Retention::default()
    };
    let enforced = enforce(store.path(), "pcap", &retention, now()).unwrap();
    assert_eq!(names(&enforced.removed), ["lan0-2", "wan0-1", "lan0-3"]);
    let [error] = &enforced.failed[..] else {
        panic!("{:?}", enforced.failed);
    };
    assert!(error.to_string().contains("cannot remove"), "{error}");
}
