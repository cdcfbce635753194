//! Wells: folders with their tags and their retention, from `well.toml`.

use std::{collections::BTreeMap, fs, io, path::Path, time::Duration};

use serde::Deserialize;

use super::{
    Compress, Error, Source,
    layout::{WELL_FILE, entries, unescape, well_of},
};

/// How long packets of a well are kept; without any limit, for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Files closed longer ago than this go.
    pub max_age: Option<Duration>,
    /// The oldest files go while the well has more bytes than this.
    pub max_size: Option<u64>,
    /// The oldest files go while the file system has fewer free bytes than this.
    pub min_free: Option<u64>,
}

/// A well's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Well {
    /// Tags whose packets it keeps.
    pub tags: Vec<String>,
    /// How long it keeps them.
    pub retention: Retention,
    /// How its closed capture files are kept.
    pub compress: Compress,
}

/// `well.toml` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WellFile {
    tags: Option<Vec<String>>,
    compress: Option<String>,
    #[serde(default)]
    retention: RetentionFile,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetentionFile {
    max_age: Option<String>,
    max_size: Option<String>,
    min_free: Option<String>,
}

impl Well {
    /// Reads the text of a `well.toml`; a well without `tags` has the tag of its own name.
    fn parse(name: &str, text: &str) -> Result<Self, String> {
        let file: WellFile = toml::from_str(text).map_err(|e| e.to_string())?;
        let tags = file.tags.unwrap_or_else(|| vec![name.to_owned()]);
        if tags.iter().any(String::is_empty) {
            return Err("a tag is empty".to_owned());
        }
        let RetentionFile {
            max_age,
            max_size,
            min_free,
        } = file.retention;
        let retention = Retention {
            max_age: max_age.map(|text| parse_age(&text)).transpose()?,
            max_size: max_size.map(|text| parse_size(&text)).transpose()?,
            min_free: min_free.map(|text| parse_size(&text)).transpose()?,
        };
        let compress = file.compress.map(|text| Compress::parse(&text));
        Ok(Self {
            tags,
            retention,
            compress: compress.transpose()?.unwrap_or_default(),
        })
    }
}

/// All wells of a store, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wells {
    wells: BTreeMap<String, Well>,
}

impl Wells {
    /// Reads the wells of a store; a folder without `well.toml` is a well with the tag of its
    /// own name that keeps packets for ever.
    pub fn read(store: &Path) -> Result<Self, Error> {
        let mut wells = BTreeMap::new();
        for (path, name, is_folder) in entries(store)? {
            let Some(name) = well_of(&name).filter(|_| is_folder) else {
                continue;
            };
            let file = path.join(WELL_FILE);
            let text = match fs::read_to_string(&file) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
                other => other.map_err(Error::io("read", &file))?,
            };
            let well =
                Well::parse(&name, &text).map_err(|reason| Error::Well { path: file, reason })?;
            wells.insert(name, well);
        }
        Ok(Self { wells })
    }

    /// The wells and their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Well)> {
        self.wells.iter().map(|(name, well)| (name.as_str(), well))
    }

    /// How the well of a file of the store keeps its capture files.
    pub fn compress_of(&self, store: &Path, file: &Path) -> Compress {
        let below = file.strip_prefix(store).ok();
        let well = below
            .and_then(|below| below.iter().next()?.to_str())
            .and_then(unescape)
            .and_then(|name| self.get(&name));
        well.map_or(Compress::Off, |well| well.compress)
    }

    /// A well by its name.
    pub fn get(&self, name: &str) -> Option<&Well> {
        self.wells.get(name)
    }

    /// Where packets of an interface and a tag go: to the well that has the tag, else to one of
    /// the tag's name.
    pub fn source(&self, interface: &str, tag: &str) -> Result<Source, Error> {
        let mut having = self
            .iter()
            .filter(|(_, well)| well.tags.iter().any(|t| t == tag));
        let well = match (having.next(), having.next()) {
            (Some((first, _)), Some((second, _))) => {
                return Err(Error::AmbiguousTag {
                    tag: tag.to_owned(),
                    first: first.to_owned(),
                    second: second.to_owned(),
                });
            }
            (Some((name, _)), None) => name,
            (None, _) => tag,
        };
        let source = Source {
            well: well.to_owned(),
            interface: interface.to_owned(),
            tag: tag.to_owned(),
        };
        source.check()?;
        Ok(source)
    }
}

/// A number and a unit: `90m`, `36h`, `30d`, `2w`, `45s`.
pub fn parse_age(text: &str) -> Result<Duration, String> {
    let units = [
        ("s", 1),
        ("m", 60),
        ("h", 3_600),
        ("d", 86_400),
        ("w", 604_800),
    ];
    quantity(text, &units)
        .map(Duration::from_secs)
        .ok_or_else(|| format!("{text:?} is no age: write a number and one of s, m, h, d, w"))
}

/// A number and a unit: `500MB` (10^6 bytes), `20GiB` (2^30 bytes).
pub fn parse_size(text: &str) -> Result<u64, String> {
    let units = [
        ("B", 1),
        ("kB", 1_000),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    quantity(text, &units).ok_or_else(|| {
        format!(
            "{text:?} is no size: write a number and one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB"
        )
    })
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_goes_to_the_well_that_has_it() {
        let store = tempfile::tempdir().unwrap();
        let write = |well: &str, text: Option<&str>| {
            fs::create_dir_all(store.path().join(well)).unwrap();
            if let Some(text) = text {
                fs::write(store.path().join(well).join("well.toml"), text).unwrap();
            }
        };
        write("bare", None);
        write(
            "long",
            Some(
                "tags = ['lan', 'wan']\ncompress = 'zstd:9'\n[retention]\nmax_age = '30d'\nmax_size = '2GiB'\n",
            ),
        );
        let wells = Wells::read(store.path()).unwrap();
        let retention = wells.get("long").unwrap().retention;
        assert_eq!(retention.max_age, Some(Duration::from_secs(2_592_000)));
        assert_eq!(retention.max_size, Some(2 << 30));
        assert_eq!(retention.min_free, None);
        assert_eq!(wells.get("long").unwrap().compress, Compress::Zstd(9));
        assert_eq!(wells.get("bare").unwrap().compress, Compress::Off);
        for (tag, well) in [("lan", "long"), ("bare", "bare"), ("new", "new")] {
            assert_eq!(wells.source("i", tag).unwrap().well, well);
        }
        assert!(matches!(wells.source("", "lan"), Err(Error::EmptyName(_))));
        write("other", Some("tags = ['lan']"));
        let wells = Wells::read(store.path()).unwrap();
        let error = wells.source("i", "lan").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot choose a well for the tag lan: long and other both have it"
        );
    }

    #[test]
    fn what_a_well_file_must_not_say() {
        for (text, reason) in [
            ("tag = 'x'", "unknown field `tag`"),
            ("tags = ['']", "a tag is empty"),
            ("compress = 'gzip'", "is no compression: write none, zstd"),
            ("compress = 'zstd:23'", "is no compression"),
            ("[retention]\nmax_age = '3 years'", "is no age"),
            ("[retention]\nmax_size = '3'", "is no size"),
            ("[retention]\nmin_free = '99999999TiB'", "is no size"),
            ("[retention]\nmax_packets = '3'", "unknown field"),
        ] {
            let error = Well::parse("w", text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn quantities() {
        assert_eq!(parse_size("20 MB"), Ok(20_000_000));
        assert_eq!(parse_age("90m"), Ok(Duration::from_secs(5_400)));
        assert!(parse_age("d").is_err() && parse_size("-1B").is_err());
    }
}
