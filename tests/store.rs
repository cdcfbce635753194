//! `flowsift import`, `flowsift store` and queries over what they made.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{capture, run};

const CAPTURE: &str = "bittorrent/small_torrent_mse.pcap";
const QUERY: &str = "tag=pcap packet ipv4.SrcIP tcp.DstPort | stats count by SrcIP DstPort \
                     | sort by count desc SrcIP asc DstPort asc | table SrcIP DstPort count";

/// Files below a folder that end so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_str().unwrap().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

/// A store with one capture, and its path as text.
fn imported() -> (tempfile::TempDir, String) {
    let store = tempfile::tempdir().unwrap();
    let path = store.path().to_str().unwrap().to_owned();
    let output = run(&["import", "--store", &path, &capture(CAPTURE)]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    (store, path)
}

fn packets(file: &str) -> Vec<u8> {
    let query = "tag=pcap packet frame.Len | sort by time asc | hex";
    run(&["query", "-r", file, "--format", "tsv", query]).stdout
}

#[test]
fn what_is_imported_is_listed_checked_and_exported() {
    let (_folder, store) = imported();
    let listed = run(&["store", "ls", "--store", &store]);
    let rows = listed.rows();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0][..4], ["pcap", "import", "pcap", "1"]);
    assert_eq!(rows[0][6], "0");
    let checked = run(&["store", "check", "--store", &store]);
    assert_eq!(checked.code, Some(0), "{}", checked.text());
    let expected = format!("{} packets in 1 files, 1 sidecars compared", rows[0][5]);
    assert!(checked.text().contains(&expected), "{}", checked.text());
    let out = format!("{store}/../exported-{}.pcap", std::process::id());
    let exported = run(&["store", "export", "--store", &store, "-w", &out]);
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    assert_eq!(packets(&out), packets(&capture(CAPTURE)));
    fs::remove_file(out).unwrap();
}

#[test]
fn a_query_over_the_store_is_the_query_over_the_file() {
    let (_folder, store) = imported();
    let format = ["--format", "tsv", "--from", "2000-01-01", QUERY];
    let from_file = run(&[&["query", "-r", &capture(CAPTURE)], &format[..]].concat());
    let query = || run(&[&["query", "--store", &store], &format[..]].concat());
    assert!(from_file.rows().len() > 10);
    assert_eq!(query().text(), from_file.text());
    for sidecar in files(Path::new(&store), ".parquet") {
        fs::write(&sidecar, "damaged").unwrap();
        assert_eq!(query().text(), from_file.text());
        fs::remove_file(&sidecar).unwrap();
        assert_eq!(query().text(), from_file.text());
    }
}

#[test]
fn damage_is_found_and_sidecars_are_made_again() {
    let (_folder, store) = imported();
    let sidecar = files(Path::new(&store), ".parquet").remove(0);
    fs::write(&sidecar, "damaged").unwrap();
    let check = || run(&["store", "check", "--store", &store]);
    let damaged = check();
    assert_eq!(damaged.code, Some(3));
    assert!(
        damaged.text().contains("is damaged: it is too short"),
        "{}",
        damaged.text()
    );
    let again = run(&["store", "reindex", "--store", &store]);
    assert!(
        again.text().starts_with("1 sidecars made of "),
        "{}",
        again.text()
    );
    assert_eq!(check().code, Some(0));
}

#[test]
fn a_stored_file_that_cannot_be_read_is_damage_of_the_answer() {
    let (_folder, store) = imported();
    let file = files(Path::new(&store), ".pcap").remove(0);
    fs::write(&file, "not what the store writes").unwrap();
    let asked = [
        "query",
        "--store",
        &store,
        "--from",
        "2000-01-01",
        "--strict",
    ];
    let answer = run(&[&asked, &["--format", "json", QUERY][..]].concat());
    assert_eq!(answer.code, Some(3), "{}", answer.stderr);
    let reason = "it does not start as a capture file of the store does";
    let warning = format!("warning: {}: {reason}\n", file.display());
    assert!(answer.stderr.contains(&warning), "{}", answer.stderr);
    let json: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    let damaged = &json["missed"]["damaged"][0];
    assert_eq!(damaged["file"], file.to_str().unwrap());
    assert_eq!(
        (&damaged["reason"], &damaged["offset"]),
        (&reason.into(), &0.into())
    );
}

#[test]
fn retention_removes_what_the_well_says() {
    let (folder, store) = imported();
    let prune = || run(&["store", "prune", "--store", &store]);
    assert_eq!(prune().text(), "");
    let well = folder.path().join("pcap/well.toml");
    fs::write(&well, "[retention]\nmax_size = '1kB'\n").unwrap();
    let pruned = prune();
    assert!(pruned.text().contains("the well had more than max_size"));
    assert_eq!(files(folder.path(), ".pcap"), Vec::<PathBuf>::new());
    fs::write(&well, "[retention]\nmax_days = 3\n").unwrap();
    let wrong = prune();
    assert_eq!(wrong.code, Some(1));
    assert!(
        wrong.stderr.contains("unknown field `max_days`"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn a_compressed_file_is_ordinary_zstd_and_the_same_capture() {
    let (_raw, raw_store) = imported();
    let raw = fs::read(&files(Path::new(&raw_store), ".pcap")[0]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().to_str().unwrap();
    fs::create_dir(folder.path().join("pcap")).unwrap();
    fs::write(
        folder.path().join("pcap/well.toml"),
        "compress = 'zstd:1'\n",
    )
    .unwrap();
    let output = run(&["import", "--store", store, &capture(CAPTURE)]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(files(folder.path(), ".pcap"), Vec::<PathBuf>::new());
    let found = files(folder.path(), ".pcap.zst");
    assert_eq!(found.len(), 1);
    let file = found[0].to_str().unwrap();
    for args in [&["zstd", "-dcq", file][..], &["zstdcat", file]] {
        match std::process::Command::new(args[0])
            .args(&args[1..])
            .output()
        {
            Ok(output) => assert!(output.stdout == raw, "{args:?}"),
            Err(e) => eprintln!("SKIPPED: no {}: {e}", args[0]),
        }
    }
    // Named as any file.
    assert_eq!(packets(file), packets(&capture(CAPTURE)));
    let ls = |store: &str| -> Vec<String> {
        let output = run(&["store", "ls", "--store", store]);
        output.rows()[0]
            .iter()
            .map(|cell| (*cell).to_owned())
            .collect()
    };
    let (compressed, plain) = (ls(store), ls(&raw_store));
    assert_eq!(compressed[5..], plain[5..]);
    let bytes = |row: &[String]| row[4].parse::<u64>().unwrap();
    assert!(bytes(&compressed) < bytes(&plain));
    let checked = run(&["store", "check", "--store", store]);
    assert_eq!(checked.code, Some(0), "{}", checked.text());
    let export = |store: &str| run(&["store", "export", "--store", store, "-w", "-"]).stdout;
    assert!(export(store) == export(&raw_store));
}

/// A store, and a compressed file in it that has more than a frame.
fn compressed() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().to_str().unwrap();
    let captures = capture("bittorrent");
    let output = run(&["import", "--compress", "zstd", "--store", store, &captures]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let path = files(folder.path(), ".pcap.zst").remove(0);
    (folder, path)
}

#[test]
fn packets_picked_by_a_sidecar_are_those_of_the_damaged_file() {
    let (folder, path) = compressed();
    let store = folder.path().to_str().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    // The time to live is not in the sidecar, the address is.
    let query = "tag=pcap packet ipv4.SrcIP ~ 10.0.0.0/8 ipv4.TTL frame.Len \
                 | stats count sum(Len) as bytes by SrcIP TTL | sort by SrcIP TTL \
                 | table -nt SrcIP TTL count bytes";
    let ask = || run(&["query", "--store", store, "--from", "1970-01-01", query]);
    let whole = ask();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&path, &bytes).unwrap();
    let damaged = ask();
    for sidecar in files(folder.path(), ".parquet") {
        fs::remove_file(sidecar).unwrap();
    }
    let alone = ask();
    for output in [&damaged, &alone] {
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        let place = format!("{}: at byte ", path.display());
        assert!(output.stderr.contains(&place), "{}", output.stderr);
    }
    assert_eq!(damaged.rows(), alone.rows());
    assert_ne!(damaged.rows(), whole.rows());
    assert!(!damaged.rows().is_empty());
}

#[test]
fn a_damaged_compressed_file_is_named_and_read_as_far_as_it_is_good() {
    let (folder, path) = compressed();
    let store = folder.path().to_str().unwrap();
    let whole = fs::read(&path).unwrap();
    let count = || {
        let query = "tag=pcap count | table -nt count";
        let output = run(&["query", "--store", store, "--from", "1970-01-01", query]);
        let count = output
            .rows()
            .first()
            .map_or(0, |row| row[0].parse::<u64>().unwrap());
        (count, output.stderr)
    };
    let (all, _) = count();
    // In the table, and in the last frame.
    for (cut, lost) in [(5, false), (3_000, true)] {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let (some, notes) = count();
        assert_eq!(some < all, lost, "{some} of {all}");
        assert!(some > 0, "{notes}");
        assert!(
            notes.contains(&format!("{}: at byte ", path.display())) || !lost,
            "{notes}"
        );
        let checked = run(&["store", "check", "--store", store]);
        assert_eq!(checked.code, Some(3), "{}", checked.text());
        assert!(
            checked.text().contains(".pcap.zst: damaged: "),
            "{}",
            checked.text()
        );
    }
    let wrong = run(&[
        "import",
        "--compress",
        "lz4",
        "--store",
        store,
        &capture(CAPTURE),
    ]);
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.stderr.contains("is no compression"),
        "{}",
        wrong.stderr
    );
}
