//! Names there and back, and folders that are none of the store's.

use super::*;

fn source(well: &str, interface: &str, tag: &str) -> Source {
    Source {
        well: well.to_owned(),
        interface: interface.to_owned(),
        tag: tag.to_owned(),
    }
}

#[test]
fn sources_and_folders_are_the_same_thing() {
    let store = Path::new("/s");
    for (source, folder) in [
        (source("pcap", "lan0", "pcap"), "/s/pcap/lan0"),
        (source("pcap", "lan0", "lan"), "/s/pcap/lan0=lan"),
        (source("a/b", "..", "x=y"), "/s/a%2Fb/%2E.=x%3Dy"),
        (source("é", "eth0.5", "é"), "/s/%C3%A9/eth0.5"),
    ] {
        let path = source.folder(store);
        assert_eq!(path, Path::new(folder));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(Source::parse(&source.well, name), Some(source));
    }
    let taken = source("lost+found", "lan0", "pcap").check().unwrap_err();
    assert!(
        taken.to_string().contains("a well named lost+found"),
        "{taken}"
    );
    for name in ["", "=x", "x=", "lan0=pcap", "a%2fb", ".x", "%zz", "a=b=c"] {
        assert_eq!(Source::parse("pcap", name), None, "{name}");
    }
    assert!(source("", "a", "b").check().is_err());
}

#[test]
fn a_store_may_be_the_root_of_a_file_system_and_its_wells_on_others() {
    let (store, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(store.path().join("lost+found/lan0")).unwrap();
    fs::create_dir_all(other.path().join("lan0")).unwrap();
    std::os::unix::fs::symlink(other.path(), store.path().join("pcap")).unwrap();
    std::os::unix::fs::symlink(store.path(), other.path().join("wan0")).unwrap();
    let (found, unknown) = sources(store.path()).unwrap();
    let expected = ["lan0", "wan0"].map(|interface| source("pcap", interface, "pcap"));
    assert_eq!((found, unknown), (expected.to_vec(), Vec::new()));
    let listing = Listing::read(&store.path().join("pcap/wan0")).unwrap();
    assert!(listing.closed.is_empty() && listing.active.is_empty());
}

#[test]
fn file_names_are_parsed_strictly() {
    let name = ClosedName {
        time_ns: 1_795_543_200_000_000_042,
        sequence: 42,
    };
    let text = "20261124T180000.000000042Z-000042.pcap";
    assert_eq!(name.file_name(Kind::Capture), text);
    assert_eq!(
        name.path(Path::new("/i"), Kind::Capture),
        Path::new("/i/2026/11/24").join(text)
    );
    assert_eq!(ClosedName::parse(text), Some((name, Kind::Capture)));
    let long = ClosedName {
        time_ns: 0,
        sequence: 12_345_678,
    };
    let text = long.file_name(Kind::Sidecar);
    assert_eq!(text, "19700101T000000.000000000Z-12345678.parquet");
    assert_eq!(ClosedName::parse(&text), Some((long, Kind::Sidecar)));
    for wrong in [
        "20261124T180000.000000042Z-42.pcap",
        "20261124T180000.000000042Z-000042.pcapng",
        "20261124T180000.00000042Z-000042.pcap",
        "20261324T180000.000000042Z-000042.pcap",
        "20261124T180000.000000042Z-000042.pcap.tmp",
        "20261124T180000.000000042-000042.pcap",
        "20261124T180000.000000042Z--00042.pcap",
    ] {
        assert_eq!(ClosedName::parse(wrong), None, "{wrong}");
    }
    assert_eq!(
        parse_active("active-000043.pcap"),
        Some((43, Kind::Capture))
    );
    assert_eq!(parse_active("active-43.pcap"), None);
    assert_eq!(parse_active("active-+00043.pcap"), None);
}
