//! Reading a sidecar: its facts, what a row group can hold, and chosen columns of it.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use parquet::{
    bloom_filter::Sbbf,
    column::reader::ColumnReaderImpl,
    data_type::{DataType, FixedLenByteArrayType, Int32Type, Int64Type},
    errors::{ParquetError, Result as ParquetResult},
    file::{
        metadata::{ParquetMetaData, RowGroupMetaData},
        serialized_reader::SerializedPageReader,
        statistics::Statistics,
    },
};

use super::{
    Column, Error,
    chunks::Chunks,
    footer::{Facts, footer},
    key,
    write::ranges,
};
use crate::{frame::LinkType, store::state::crc};

/// What the values of a column of a row group lie between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounds<T> {
    /// No row has a value.
    Nothing,
    /// The lowest and the highest, both there.
    Within(T, T),
    /// Not said.
    Unknown,
}

/// The values of a column of a row group, one per row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values<T> {
    /// The value, or the type's zero where there is none.
    pub values: Vec<T>,
    /// Whether there is one; empty if every row has one.
    pub known: Vec<bool>,
}

impl<T: Copy> Values<T> {
    /// The value of a row.
    pub fn get(&self, row: usize) -> Option<T> {
        let value = self.values.get(row).copied()?;
        match self.known.get(row) {
            Some(false) => None,
            _ => Some(value),
        }
    }
}

/// An open sidecar, valid for its capture file; or a table of tuples alone.
#[derive(Debug)]
pub struct Sidecar {
    path: PathBuf,
    file: File,
    metadata: Arc<ParquetMetaData>,
    /// Check sum of each place of [`ranges`], by row group and column.
    checks: Vec<Vec<Vec<u32>>>,
    /// First row of each row group.
    first_rows: Vec<u64>,
    /// Whether it is all that was stored: no capture file belongs to it, and its captured lengths
    /// are none.
    pub alone: bool,
    /// Packets of the capture file: rows.
    pub packets: u64,
    /// Lowest and highest time, in nanoseconds since 1970; `None` without packets.
    pub times_ns: Option<(i64, i64)>,
    /// Link type of all packets; `None` without packets.
    pub link_type: Option<LinkType>,
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_path_buf();
    |source| Error::Io {
        action: "open",
        path,
        source,
    }
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(failed(path))
}

impl Sidecar {
    /// Opens the sidecar of a capture file that has `capture_bytes` bytes.
    ///
    /// # Errors
    /// [`Error::Damaged`] and [`Error::Stale`]: the capture file is to be read itself.
    pub fn open(path: &Path, capture_bytes: u64) -> Result<Self, Error> {
        Self::prove(open(path)?, path, |facts| facts.check(path, capture_bytes))
    }

    /// Opens a table that has no capture file; `None` if it surely is the sidecar of one that is
    /// gone.
    ///
    /// # Errors
    /// [`Error::Damaged`], and [`Error::Stale`] for a table of another version: what it is is not
    /// known, so that it must not be removed.
    pub fn open_alone(path: &Path) -> Result<Option<Self>, Error> {
        let sidecar = Self::prove(open(path)?, path, |facts| facts.check_version(path))?;
        Ok(Some(sidecar).filter(|sidecar| sidecar.alone))
    }

    /// A table of tuples alone that has no name of its own.
    pub(super) fn of_file(file: File, path: &Path) -> Result<Self, Error> {
        Self::prove(file, path, |facts| facts.check_version(path))
    }

    fn prove(
        file: File,
        path: &Path,
        check: impl FnOnce(&Facts<'_>) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let length = file.metadata().map_err(failed(path))?.len();
        let damaged = |reason: String| Error::Damaged {
            path: path.to_path_buf(),
            reason,
        };
        let metadata = footer(&file, length).map_err(damaged)?;
        let facts = Facts::read(&metadata);
        check(&facts)?;
        let checks = facts.checks(&metadata).map_err(damaged)?;
        let rows = |group: &RowGroupMetaData| u64::try_from(group.num_rows()).unwrap_or(0);
        let first_rows = metadata.row_groups().iter().scan(0, |next, group| {
            let first = *next;
            *next += rows(group);
            Some(first)
        });
        let first_rows: Vec<u64> = first_rows.collect();
        let packets = metadata.row_groups().iter().map(rows).sum();
        if facts.number(key::PACKETS) != Some(packets) {
            return Err(damaged("its rows are not as many as it says".to_owned()));
        }
        let times = facts.number(key::MIN_TIME).zip(facts.number(key::MAX_TIME));
        Ok(Self {
            path: path.to_path_buf(),
            file,
            checks,
            first_rows,
            alone: facts.is_alone(),
            packets,
            times_ns: times,
            link_type: facts.number(key::LINK_TYPE).map(LinkType),
            metadata: Arc::new(metadata),
        })
    }

    /// Its path, or that of the active file whose tuples it has.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    /// Number of row groups.
    pub fn groups(&self) -> usize {
        self.metadata.num_row_groups()
    }

    /// Number of rows of a row group.
    pub fn rows(&self, group: usize) -> usize {
        self.group(group)
            .and_then(|group| usize::try_from(group.num_rows()).ok())
            .unwrap_or(0)
    }

    /// Number of the rows before a row group.
    pub fn first_row(&self, group: usize) -> u64 {
        self.first_rows.get(group).copied().unwrap_or(self.packets)
    }

    /// Bytes that reading a column of a row group takes.
    pub fn column_bytes(&self, group: usize, column: Column) -> u64 {
        self.group(group)
            .map_or(0, |group| group.column(column.index()).byte_range().1)
    }

    /// Times of a row group.
    pub fn time_bounds(&self, group: usize) -> Bounds<i64> {
        self.bounds(group, Column::Time, |statistics| match statistics {
            Statistics::Int64(s) => s.min_opt().copied().zip(s.max_opt().copied()),
            _ => None,
        })
    }

    /// Numbers of a row group, of any column but time and addresses.
    pub fn number_bounds(&self, group: usize, column: Column) -> Bounds<u64> {
        self.bounds(group, column, |statistics| match statistics {
            Statistics::Int32(s) => {
                let number = |n: &i32| u64::from(n.cast_unsigned());
                s.min_opt().map(number).zip(s.max_opt().map(number))
            }
            Statistics::Int64(s) => {
                let number = |n: &i64| n.cast_unsigned();
                s.min_opt().map(number).zip(s.max_opt().map(number))
            }
            _ => None,
        })
    }

    /// Addresses of a row group, ordered by their bytes.
    pub fn address_bounds(&self, group: usize, column: Column) -> Bounds<[u8; 16]> {
        self.bounds(group, column, |statistics| {
            let bytes = |b: Option<&[u8]>| <[u8; 16]>::try_from(b?).ok();
            bytes(statistics.min_bytes_opt()).zip(bytes(statistics.max_bytes_opt()))
        })
    }

    fn bounds<T>(
        &self,
        group: usize,
        column: Column,
        read: impl FnOnce(&Statistics) -> Option<(T, T)>,
    ) -> Bounds<T> {
        let Some(group) = self.group(group) else {
            return Bounds::Nothing;
        };
        let Some(statistics) = group.column(column.index()).statistics() else {
            return Bounds::Unknown;
        };
        let rows = u64::try_from(group.num_rows()).ok();
        match read(statistics) {
            Some((min, max)) => Bounds::Within(min, max),
            None if rows.is_some() && statistics.null_count_opt() == rows => Bounds::Nothing,
            None => Bounds::Unknown,
        }
    }

    /// Whether an address can be in a row group; `true` may be wrong, `false` is not.
    pub fn may_have_address(
        &self,
        group: usize,
        column: Column,
        address: &[u8; 16],
    ) -> Result<bool, Error> {
        let filter = self.bloom(group, column)?;
        Ok(filter.is_none_or(|filter| filter.check(&address[..])))
    }

    /// Whether a port can be in a row group; `true` may be wrong, `false` is not.
    pub fn may_have_port(&self, group: usize, column: Column, port: u16) -> Result<bool, Error> {
        let filter = self.bloom(group, column)?;
        Ok(filter.is_none_or(|filter| filter.check(&i32::from(port))))
    }

    fn bloom(&self, group: usize, column: Column) -> Result<Option<Sbbf>, Error> {
        let Some(bytes) = self.part(group, column, 1)? else {
            return Ok(None);
        };
        let filter = Sbbf::from_bytes(&bytes.1);
        filter.map(Some).map_err(|e| self.damaged(&e))
    }

    /// Reads the times of a row group.
    pub fn times(&self, group: usize) -> Result<Values<i64>, Error> {
        self.read::<Int64Type, i64>(group, Column::Time, |time| *time)
    }

    /// Reads the offsets of the packets' records in the capture file.
    pub fn offsets(&self, group: usize) -> Result<Values<u64>, Error> {
        self.read::<Int64Type, u64>(group, Column::Offset, |offset| offset.cast_unsigned())
    }

    /// Reads a column of addresses of a row group.
    pub fn addresses(&self, group: usize, column: Column) -> Result<Values<[u8; 16]>, Error> {
        self.read::<FixedLenByteArrayType, _>(group, column, |address| {
            <[u8; 16]>::try_from(address.data()).unwrap_or_default()
        })
    }

    /// Reads a column of a row group that is neither of times nor of addresses nor of offsets.
    pub fn numbers(&self, group: usize, column: Column) -> Result<Values<u32>, Error> {
        self.read::<Int32Type, _>(group, column, |number| number.cast_unsigned())
    }

    fn read<T: DataType, V: Copy + Default>(
        &self,
        group: usize,
        column: Column,
        convert: impl Fn(&T::T) -> V,
    ) -> Result<Values<V>, Error> {
        let metadata = self.group(group);
        let (Some(metadata), Some((start, bytes))) = (metadata, self.part(group, column, 0)?)
        else {
            let reason = format!("it has no row group {group}");
            return Err(self.damaged(&reason));
        };
        let descriptor = self
            .metadata
            .file_metadata()
            .schema_descr()
            .column(column.index());
        if descriptor.physical_type() != T::get_physical_type() {
            return Err(self.damaged(&format!("the column {} is of another type", column.name())));
        }
        let rows = self.rows(group);
        let decode = || -> ParquetResult<Values<V>> {
            let chunk = Arc::new(Chunks::of(start, bytes));
            let chunk_metadata = metadata.column(column.index());
            let pages = SerializedPageReader::new(chunk, chunk_metadata, rows, None)?;
            let optional = descriptor.max_def_level() > 0;
            let mut reader = ColumnReaderImpl::<T>::new(descriptor, Box::new(pages));
            let (mut levels, mut values) = (Vec::new(), Vec::new());
            let mut read = 0;
            while read < rows {
                let levels = optional.then_some(&mut levels);
                let (records, ..) = reader.read_records(rows - read, levels, None, &mut values)?;
                if records == 0 {
                    let reason = format!("{read} rows instead of {rows}");
                    return Err(ParquetError::General(reason));
                }
                read += records;
            }
            Ok(spread(&values, &levels, convert))
        };
        decode().map_err(|e| self.damaged(&e))
    }

    /// What the footer says, for other readers of [`Self::chunks`].
    pub fn metadata(&self) -> &Arc<ParquetMetaData> {
        &self.metadata
    }

    /// Reads and proves the bytes of columns of a row group.
    pub fn chunks(
        &self,
        group: usize,
        columns: impl IntoIterator<Item = Column>,
    ) -> Result<Chunks, Error> {
        let mut chunks = Chunks::default();
        for column in columns {
            if let Some((start, bytes)) = self.part(group, column, 0)? {
                chunks.push(start, bytes);
            }
        }
        Ok(chunks)
    }

    /// The error of a table that is not what it says.
    pub fn damaged(&self, reason: &dyn std::fmt::Display) -> Error {
        Error::Damaged {
            path: self.path.clone(),
            reason: reason.to_string(),
        }
    }

    fn group(&self, group: usize) -> Option<&RowGroupMetaData> {
        self.metadata.row_groups().get(group)
    }

    /// Reads one of the places of a column of a row group, and proves it.
    fn part(&self, group: usize, column: Column, at: usize) -> Result<Option<(u64, Bytes)>, Error> {
        let place = self
            .group(group)
            .and_then(|group| ranges(group.column(column.index())).get(at).copied());
        let Some((start, length)) = place else {
            return Ok(None);
        };
        let checks = self.checks.get(group).and_then(|g| g.get(column.index()));
        let check = checks.and_then(|checks| checks.get(at)).copied();
        let length = usize::try_from(length).map_err(|e| self.damaged(&e))?;
        let mut bytes = vec![0; length];
        let read = self.file.read_exact_at(&mut bytes, start);
        read.map_err(|e| self.damaged(&e))?;
        if check != Some(crc(&bytes)) {
            let reason = format!("the check sum of {} is wrong", column.name());
            return Err(self.damaged(&reason));
        }
        Ok(Some((start, Bytes::from(bytes))))
    }

    /// Reads and proves everything.
    pub fn verify(&self) -> Result<(), Error> {
        for group in 0..self.groups() {
            for column in Column::ALL {
                self.part(group, column, 0)?;
                self.part(group, column, 1)?;
            }
        }
        Ok(())
    }
}

/// Puts the values that are there in their rows.
fn spread<T, V: Copy + Default>(
    values: &[T],
    levels: &[i16],
    convert: impl Fn(&T) -> V,
) -> Values<V> {
    if levels.is_empty() || values.len() == levels.len() {
        return Values {
            values: values.iter().map(convert).collect(),
            known: Vec::new(),
        };
    }
    let mut rest = values.iter();
    let known: Vec<bool> = levels.iter().map(|&level| level > 0).collect();
    let value = |&known: &bool| match known {
        true => rest.next().map(&convert).unwrap_or_default(),
        false => V::default(),
    };
    Values {
        values: known.iter().map(value).collect(),
        known,
    }
}
