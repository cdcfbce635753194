//! The documented file against the keys, and a refusal of each key with its text.

use std::collections::BTreeSet;
use std::path::Path as FilePath;

use proptest::prelude::*;

use super::*;

/// Each key with values that it does not take, and what is said of them.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "capture.interfaces",
        "\"eth0\"",
        "invalid type: string \"eth0\", expected a sequence",
    ),
    (
        "capture.interfaces",
        "[3]",
        "invalid type: integer `3`, expected an interface such as \"eth0\", a pattern such as \"lan*\", or either with a tag, \"eth0=uplink\"",
    ),
    (
        "capture.interfaces",
        "[\"eth0\", \"a b\"]",
        "invalid value: string \"a b\", expected an interface such as",
    ),
    (
        "capture.interfaces",
        "[\"eth0=\"]",
        "invalid value: string \"eth0=\", expected an interface such as",
    ),
    (
        "capture.interfaces",
        "[\"a[b\"]",
        "invalid value: string \"a[b\", expected an interface such as",
    ),
    (
        "capture.source",
        "\"sockets\"",
        "invalid value: string \"sockets\", expected \"auto\", \"xdp\" or \"packet-socket\"",
    ),
    (
        "capture.promiscuous",
        "\"no\"",
        "invalid type: string \"no\", expected a boolean",
    ),
    (
        "capture.mode",
        "\"fast\"",
        "invalid value: string \"fast\", expected \"auto\", \"native\" or \"generic\"",
    ),
    (
        "capture.mode",
        "1",
        "invalid type: integer `1`, expected \"auto\", \"native\" or \"generic\"",
    ),
    (
        "capture.egress",
        "0",
        "invalid type: integer `0`, expected a boolean",
    ),
    (
        "capture.packets",
        "\"yes\"",
        "invalid type: string \"yes\", expected a boolean",
    ),
    (
        "capture.snaplen",
        "65536",
        "invalid value: integer `65536`, expected a whole number from 0 to 65535",
    ),
    (
        "capture.snaplen",
        "-1",
        "invalid value: integer `-1`, expected a whole number from 0 to 65535",
    ),
    (
        "capture.snaplen",
        "\"96\"",
        "invalid type: string \"96\", expected a whole number from 0 to 65535",
    ),
    (
        "capture.filter",
        "\" \"",
        "invalid value: string \" \", expected text",
    ),
    (
        "capture.filter",
        "true",
        "invalid type: boolean `true`, expected text",
    ),
    (
        "capture.packet_ring",
        "\"63MiB\"",
        "invalid value: string \"63MiB\", expected a size that is a power of two from \"1MiB\" to \"16GiB\", such as \"64MiB\"",
    ),
    (
        "capture.packet_ring",
        "\"512KiB\"",
        "invalid value: string \"512KiB\", expected a size that is a power of two",
    ),
    (
        "capture.tuple_ring",
        "16",
        "invalid type: integer `16`, expected a size that is a power of two",
    ),
    (
        "capture.tuple_ring",
        "\"32GiB\"",
        "invalid value: string \"32GiB\", expected a size that is a power of two",
    ),
    (
        "capture.user",
        "1000",
        "invalid type: integer `1000`, expected text",
    ),
    (
        "store.path",
        "\"data\"",
        "invalid value: string \"data\", expected an absolute path",
    ),
    (
        "store.path",
        "3",
        "invalid type: integer `3`, expected an absolute path",
    ),
    (
        "store.file_size",
        "\"256 parsecs\"",
        "invalid value: string \"256 parsecs\", expected a size such as \"512MiB\", of at least \"1MiB\"",
    ),
    (
        "store.file_size",
        "\"1kB\"",
        "invalid value: string \"1kB\", expected a size such as",
    ),
    (
        "store.file_time",
        "\"0s\"",
        "invalid value: string \"0s\", expected a time above zero such as \"90s\", \"10m\", \"36h\", \"30d\" or \"2w\"",
    ),
    (
        "store.compress",
        "\"zstd:23\"",
        "invalid value: string \"zstd:23\", expected \"zstd\", \"zstd:LEVEL\" with a level from 1 to 22, or \"none\"",
    ),
    (
        "store.compress",
        "3",
        "invalid type: integer `3`, expected \"zstd\"",
    ),
    (
        "store.keep_age",
        "\"3 years\"",
        "invalid value: string \"3 years\", expected a time above zero such as",
    ),
    (
        "store.keep_age",
        "30",
        "invalid type: integer `30`, expected a time above zero such as",
    ),
    (
        "store.keep_size",
        "\"200\"",
        "invalid value: string \"200\", expected a size such as \"512MiB\" or \"20GB\"",
    ),
    (
        "store.keep_free",
        "1.5",
        "invalid type: floating point `1.5`, expected a size such as",
    ),
    (
        "socket.enabled",
        "1",
        "invalid type: integer `1`, expected a boolean",
    ),
    (
        "socket.mode",
        "660",
        "invalid type: integer `660`, expected permissions as octal digits in text, such as \"0660\"",
    ),
    (
        "socket.mode",
        "\"0680\"",
        "invalid value: string \"0680\", expected permissions as octal digits",
    ),
    (
        "socket.mode",
        "\"7777\"",
        "invalid value: string \"7777\", expected permissions as octal digits",
    ),
    (
        "socket.group",
        "[]",
        "invalid type: sequence, expected text",
    ),
    (
        "socket.max_subscribers",
        "0",
        "invalid value: integer `0`, expected a whole number from 1 to 1024",
    ),
    (
        "limits.memory",
        "\"1kB\"",
        "invalid value: string \"1kB\", expected a size such as \"512MiB\", of at least \"1MiB\"",
    ),
    (
        "limits.time",
        "60",
        "invalid type: integer `60`, expected a time above zero such as",
    ),
    (
        "limits.rows",
        "0",
        "invalid value: integer `0`, expected a whole number from 1 to 1000000000000",
    ),
    (
        "metrics.listen",
        "\"localhost\"",
        "invalid value: string \"localhost\", expected an address and a port such as \"127.0.0.1:9750\" or \"[::1]:9750\"",
    ),
    (
        "metrics.listen",
        "9750",
        "invalid type: integer `9750`, expected an address and a port",
    ),
    (
        "metrics.allow_remote",
        "\"no\"",
        "invalid type: string \"no\", expected a boolean",
    ),
    (
        "log.level",
        "\"loud\"",
        "invalid value: string \"loud\", expected \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
    ),
    (
        "log.journal",
        "true",
        "invalid type: boolean `true`, expected \"auto\", \"yes\" or \"no\"",
    ),
];

fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    match Config::parse(FilePath::new("test.toml"), text) {
        Ok(config) => Ok(config),
        Err(ConfigError::Wrong { problems, .. }) => Err(problems),
        Err(error) => panic!("{error}"),
    }
}

fn keys() -> impl Iterator<Item = (&'static Section, &'static Key)> {
    SECTIONS
        .iter()
        .flat_map(|section| section.keys.iter().map(move |key| (section, key)))
}

#[test]
fn every_key_refuses_what_it_does_not_take() {
    for (key, value, message) in REFUSED {
        let (section, name) = key.split_once('.').unwrap();
        let problems = parse(&format!("[{section}]\n{name} = {value}\n")).unwrap_err();
        let [problem] = problems.as_slice() else {
            panic!("{key} = {value}: {problems:?}");
        };
        assert!(problem.message.contains(message), "{key}: {problem}");
        assert_eq!(problem.key.as_deref(), Some(*key), "{value}");
        assert_eq!(problem.line, 2, "{problem}");
        assert!(problem.column > name.len(), "{problem}");
    }
    let tried: BTreeSet<&str> = REFUSED.iter().map(|(key, ..)| *key).collect();
    let all: BTreeSet<String> = keys()
        .map(|(section, key)| format!("{}.{}", section.name, key.name))
        .collect();
    assert_eq!(tried, all.iter().map(String::as_str).collect());
}

#[test]
fn the_documented_file_says_every_key_and_the_defaults() {
    let text = documented();
    assert_eq!(parse(&text), Ok(Config::default()), "all of it is comments");
    // A comment is "# words", a key "#name = value".
    let uncomment = |wanted: &dyn Fn(&Key) -> bool| -> String {
        let mut section = "";
        let lines = text.lines().filter_map(|line| {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']');
                return Some(line);
            }
            let setting = line
                .strip_prefix('#')
                .filter(|rest| !rest.is_empty() && !rest.starts_with(' '))?;
            let name = setting.split(" = ").next().unwrap();
            let (_, key) = keys()
                .find(|(of, key)| of.name == section && key.name == name)
                .unwrap();
            wanted(key).then_some(setting)
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(
        parse(&uncomment(&|key| key.has_default)),
        Ok(Config::default())
    );
    let all = parse(&uncomment(&|_| true)).unwrap();
    let without: Vec<String> = keys()
        .filter(|(_, key)| !key.has_default)
        .map(|(section, key)| format!("{}.{}", section.name, key.name))
        .collect();
    let changed = Config::default().changed(&all);
    let changed: Vec<&str> = changed.iter().map(|changed| changed.key.as_str()).collect();
    assert_eq!(changed, without, "an example sets its key");
    assert!(keys().all(|(_, key)| !key.docs.is_empty()));
}

#[test]
fn the_file_that_is_installed_is_the_documented_one() {
    let path = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/dist/flowsift.toml");
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1") {
        std::fs::write(&path, documented()).unwrap();
    }
    let installed = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        installed,
        documented(),
        "UPDATE_EXPECT=1 writes {}",
        path.display()
    );
}

#[test]
fn what_there_is_not_is_refused_with_the_nearest() {
    for (text, line, column, key, message, hint) in [
        (
            "[capture]\nsnaplne = 3",
            2,
            1,
            "capture.snaplne",
            "no such key",
            "did you mean snaplen?",
        ),
        (
            "[capture]\nx = 3",
            2,
            1,
            "capture.x",
            "no such key",
            "there are: interfaces, source,",
        ),
        (
            "\n[store]\n  level = 3",
            3,
            3,
            "store.level",
            "no such key",
            "[log] has one of this name",
        ),
        (
            "[stroe]\npath = '/x'",
            1,
            2,
            "stroe",
            "no such section",
            "did you mean [store]?",
        ),
        (
            "[zzz]",
            1,
            2,
            "zzz",
            "no such section",
            "there are: [capture], [store]",
        ),
        (
            "snaplen = 3",
            1,
            1,
            "snaplen",
            "outside a section",
            "below [capture]",
        ),
        (
            "capture = 3",
            1,
            11,
            "capture",
            "expected struct Capture",
            "",
        ),
    ] {
        let problems = parse(text).unwrap_err();
        let [problem] = problems.as_slice() else {
            panic!("{text}: {problems:?}");
        };
        assert_eq!(
            (problem.line, problem.column),
            (line, column),
            "{text}: {problem}"
        );
        assert_eq!(problem.key.as_deref(), Some(key), "{text}");
        assert!(problem.message.contains(message), "{text}: {problem}");
        let said = problem.hint.clone().unwrap_or_default();
        assert!(said.contains(hint), "{text}: {problem}");
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once_in_order() {
    let text = "[log]\nlevel = 'loud'\n[capture]\nsnaplen = 'x'\nfoo = 1\nmode = 3\n";
    let error = Config::parse(FilePath::new("/etc/x.toml"), text)
        .unwrap_err()
        .to_string();
    let starts: Vec<&str> = error
        .lines()
        .filter(|line| !line.starts_with("  hint"))
        .map(|line| line.splitn(5, ':').take(4).last().unwrap())
        .collect();
    assert_eq!(
        starts,
        [
            " log.level",
            " capture.snaplen",
            " capture.foo",
            " capture.mode"
        ]
    );
    assert!(
        error.starts_with("/etc/x.toml:2:9: log.level: invalid value: string \"loud\""),
        "{error}"
    );
}

#[test]
fn what_is_no_toml_is_said_with_its_place() {
    for (text, line, column) in [
        ("[capture\n", 1, 9),
        ("[log]\nlevel = \"info\n", 2, 14),
        ("[log]\nlevel = \"info\"\nlevel = \"warn\"\n", 3, 1),
    ] {
        let problems = parse(text).unwrap_err();
        assert_eq!(
            (problems[0].line, problems[0].column),
            (line, column),
            "{}",
            problems[0]
        );
    }
}

#[test]
fn keys_may_contradict_each_other() {
    let problems = parse("[metrics]\nlisten = '0.0.0.0:9750'\n").unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "2:10: metrics.listen: other machines reach this address, and they are not asked who they \
         are\n  hint: write 127.0.0.1, or allow it with allow_remote = true"
    );
    assert!(parse("[metrics]\nlisten = '0.0.0.0:9750'\nallow_remote = true\n").is_ok());
    assert!(parse("[metrics]\nlisten = '[::1]:9750'\n").is_ok());
    let problems = parse("[capture]\nfilter = 'udp'\npackets = false\n").unwrap_err();
    assert_eq!(problems[0].key.as_deref(), Some("capture.filter"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(FilePath::new("/nowhere/flowsift.toml")).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("cannot read the configuration /nowhere/flowsift.toml: No such file"),
        "{text}"
    );
}

#[test]
fn changes_tell_whether_they_count_at_once() {
    let old = parse("[store]\nkeep_age = '30d'\n").unwrap();
    let new = parse("[store]\nkeep_age = '20d'\npath = '/data'\n[log]\nlevel = 'warn'\n").unwrap();
    let changed = old.changed(&new);
    let told: Vec<(&str, bool)> = changed
        .iter()
        .map(|it| (it.key.as_str(), it.live))
        .collect();
    assert_eq!(
        told,
        [
            ("store.path", false),
            ("store.keep_age", true),
            ("log.level", true)
        ]
    );
    assert_eq!(old.changed(&old), []);
    let mut adopted = old.clone();
    adopted.adopt(&new);
    let left: Vec<String> = adopted.changed(&new).into_iter().map(|it| it.key).collect();
    assert_eq!(left, ["store.path"]);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_a_place_in_it(
        parts in prop::collection::vec(prop::sample::select(vec![
            "[capture]", "[store]", "[[log]]", "log", "snaplen", "mode", "path", " = ", ".", "\n",
            "\"", "'", "3", "\"/a\"", "{", "}", "[", "]", ",", "#", "\u{e9}", "true", "x", "inf",
        ]), 0..24)
    ) {
        let text = parts.concat();
        if let Err(problems) = parse(&text) {
            prop_assert!(!problems.is_empty());
            let lines = text.split('\n').count();
            for problem in problems {
                prop_assert!((1..=lines).contains(&problem.line), "{problem}");
            }
        }
    }
}
