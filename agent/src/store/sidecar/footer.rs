//! The metadata at the end of a sidecar: whether it is whole, and of which capture file.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::{CHECK, Column, Error, MARK, TAIL, VERSION, key, write::ranges};
use crate::store::{catalog::closed_name, state::crc};

/// Reads and proves the metadata at the end of a file.
pub(super) fn footer(file: &File, length: u64) -> Result<ParquetMetaData, String> {
    let short = || "it is too short".to_owned();
    let failed = |e: std::io::Error| e.to_string();
    let mut tail = [0; TAIL];
    let tail_at = length.checked_sub(TAIL as u64).ok_or_else(short)?;
    file.read_exact_at(&mut tail, tail_at).map_err(failed)?;
    let [a, b, c, d, magic @ ..] = tail;
    if magic != *b"PAR1" {
        return Err("it does not end as a Parquet file does".to_owned());
    }
    let metadata = u64::from(u32::from_le_bytes([a, b, c, d]));
    let with_check = metadata + CHECK as u64;
    let start = tail_at.checked_sub(with_check).ok_or_else(short)?;
    let mut bytes = vec![0; usize::try_from(with_check).map_err(|e| e.to_string())?];
    file.read_exact_at(&mut bytes, start).map_err(failed)?;
    let (check, metadata) = bytes.split_at_checked(CHECK).ok_or_else(short)?;
    if check != [MARK, crc(metadata).to_le_bytes()].concat() {
        return Err("the check sum of its metadata is wrong".to_owned());
    }
    ParquetMetaDataReader::decode_metadata(metadata).map_err(|e| e.to_string())
}

/// The key/value metadata.
pub(super) struct Facts<'a> {
    all: Vec<(&'a str, &'a str)>,
}

impl<'a> Facts<'a> {
    pub(super) fn read(metadata: &'a ParquetMetaData) -> Self {
        let pairs = metadata.file_metadata().key_value_metadata();
        let pair = |kv: &'a parquet::file::metadata::KeyValue| {
            Some((kv.key.as_str(), kv.value.as_deref()?))
        };
        Self {
            all: pairs.into_iter().flatten().filter_map(pair).collect(),
        }
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.all.iter().find(|(k, _)| *k == key).map(|(_, v)| *v)
    }

    pub(super) fn number<N: std::str::FromStr>(&self, key: &str) -> Option<N> {
        self.text(key)?.parse().ok()
    }

    /// Whether no capture file belongs to it.
    pub(super) fn is_alone(&self) -> bool {
        self.text(key::TUPLES_ALONE).is_some()
    }

    /// Whether it is of this version.
    pub(super) fn check_version(&self, path: &Path) -> Result<(), Error> {
        if self.number(key::VERSION) == Some(VERSION) {
            return Ok(());
        }
        let found = self.text(key::VERSION).unwrap_or("none");
        Err(Error::Stale {
            path: path.to_path_buf(),
            reason: format!("its version is {found}, not {VERSION}"),
        })
    }

    /// Whether it is of this version and of this capture file.
    pub(super) fn check(&self, path: &Path, capture_bytes: u64) -> Result<(), Error> {
        let stale = |reason: String| Error::Stale {
            path: path.to_path_buf(),
            reason,
        };
        self.check_version(path)?;
        if self.is_alone() {
            return Err(stale("it is of packets that were not stored".to_owned()));
        }
        let bytes: Option<u64> = self.number(key::CAPTURE_BYTES);
        if bytes != Some(capture_bytes) {
            return Err(stale(format!(
                "it is of a capture file of {} bytes, which has {capture_bytes}",
                bytes.unwrap_or_default()
            )));
        }
        let sequence = closed_name(path).map(|name| name.sequence);
        match sequence.is_some() && self.number(key::SEQUENCE) == sequence {
            true => Ok(()),
            false => Err(stale("it is of another capture file".to_owned())),
        }
    }

    /// The check sums, by row group and column.
    pub(super) fn checks(&self, metadata: &ParquetMetaData) -> Result<Vec<Vec<Vec<u32>>>, String> {
        let text = self.text(key::CHECKS).unwrap_or_default();
        let mut sums = text.split(',').map(|sum| u32::from_str_radix(sum, 16));
        let mut of = |places: usize| -> Result<Vec<u32>, String> {
            let missing = || "check sums are missing".to_owned();
            (0..places)
                .map(|_| sums.next().and_then(Result::ok).ok_or_else(missing))
                .collect()
        };
        let groups = metadata.row_groups().iter();
        groups
            .map(|group| match group.num_columns() == Column::ALL.len() {
                true => group
                    .columns()
                    .iter()
                    .map(|c| of(ranges(c).len()))
                    .collect(),
                false => Err("it has other columns".to_owned()),
            })
            .collect()
    }
}
