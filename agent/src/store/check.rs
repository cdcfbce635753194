//! Whether a store is what it says: every file is read, and compared with what belongs to it.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    Error, Filter, Sidecar,
    layout::{self, FileSet, Kind, Listing},
    loss::Table,
    records::{self, FileHeader, Tail},
    sidecar::{self, Column},
    state,
};
use crate::{
    capfile::{self, Input},
    decode::{Packet, Tuple},
};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Damage in a capture file: packets may be missing.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The name does not say the time of the first packet.
    #[error("its name does not say when its first packet was captured")]
    WrongName,
    /// A sidecar that is not used.
    #[error("{0}")]
    Sidecar(String),
    /// A sidecar whose rows are not the packets of its capture file.
    #[error("row {0} of the sidecar is not what the packet says")]
    WrongRow(u64),
    /// A sidecar without a capture file.
    #[error("it belongs to no capture file")]
    Orphan,
    /// Left by a writer that did not come to its end; the next one puts it in order.
    #[error("a writer that was ended left it; the next start of one recovers it")]
    Left,
    /// Recovery could not make sense of it, or not of all.
    #[error("damaged, and set aside by the start of a writer: no query reads it")]
    Aside,
    /// A damaged loss table.
    #[error("{0} lines of the loss table are damaged")]
    LossTable(u64),
    /// A loss table that the system lost.
    #[error("the loss table is empty: what was lost meanwhile is not known")]
    EmptyLossTable,
    /// Not written by the store.
    #[error("not a file of the store, left alone")]
    Unknown,
    /// The system refused.
    #[error("cannot be read: {0}")]
    Unreadable(String),
}

impl Problem {
    /// Whether something is wrong with what is stored, and not only beside it.
    pub fn is_damage(&self) -> bool {
        !matches!(self, Self::Unknown | Self::Left)
    }
}

/// A problem and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: Problem,
}

/// What a check saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Capture files, and files of tuples alone, read to their end.
    pub files: u64,
    /// Packets in them.
    pub packets: u64,
    /// Tuples of packets that were not stored, in files of their own.
    pub tuples: u64,
    /// Sidecars of which every row was compared with its packet.
    pub sidecars: u64,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
}

/// Checks the sources asked for, and that the store holds nothing else.
pub fn check(store: &Path, filter: &Filter<'_>) -> Result<Checked, Error> {
    let mut checked = Checked::default();
    let (sources, unknown) = layout::sources(store)?;
    for path in unknown {
        checked.find(path, Problem::Unknown);
    }
    for source in sources.into_iter().filter(|source| filter.takes(source)) {
        checked.source(&source.folder(store))?;
    }
    Ok(checked)
}

impl Checked {
    fn find(&mut self, path: PathBuf, problem: Problem) {
        self.findings.push(Finding { path, problem });
    }

    fn source(&mut self, folder: &Path) -> Result<(), Error> {
        let live = state::of_live_writer(folder).is_some();
        let listing = Listing::read(folder)?;
        for path in listing.unknown {
            self.find(path, Problem::Unknown);
        }
        for path in listing.aside {
            self.find(path, Problem::Aside);
        }
        for path in listing.temporary {
            // A sidecar may be in the making at this moment.
            if !live {
                self.find(path, Problem::Left);
            }
        }
        for set in listing.closed.values() {
            self.set(folder, set);
        }
        for (&sequence, kinds) in &listing.active {
            for &kind in kinds.iter().filter(|_| !live) {
                let path = folder.join(layout::active_name(sequence, kind));
                self.find(path, Problem::Left);
            }
        }
        Ok(())
    }

    fn set(&mut self, folder: &Path, set: &FileSet) {
        let path = |kind| set.name.path(folder, kind);
        if set.has(Kind::Counters) {
            match Table::read(&path(Kind::Counters)) {
                Ok(table) if table.samples.is_empty() && table.damaged_lines == 0 => {
                    self.find(path(Kind::Counters), Problem::EmptyLossTable);
                }
                Ok(table) if table.damaged_lines == 0 => {}
                Ok(table) => {
                    let problem = Problem::LossTable(table.damaged_lines);
                    self.find(path(Kind::Counters), problem);
                }
                Err(e) => self.find(path(Kind::Counters), Problem::Unreadable(e.to_string())),
            }
        }
        match (set.packets(), set.has(Kind::Sidecar)) {
            (Some(kind), has_sidecar) => {
                let gone = || !path(Kind::Capture).exists() && !path(Kind::Compressed).exists();
                // Retention may have been faster.
                if let Err(problem) = self.capture(folder, kind, set, has_sidecar)
                    && !gone()
                {
                    self.find(path(kind), problem);
                }
            }
            (None, true) => self.alone(path(Kind::Sidecar), set),
            (None, false) => {}
        }
    }

    /// A table without a capture file.
    fn alone(&mut self, path: PathBuf, set: &FileSet) {
        let table = match Sidecar::open_alone(&path) {
            Ok(Some(table)) => table,
            Ok(None) => return self.find(path, Problem::Orphan),
            // Retention may have been faster.
            Err(_) if !path.exists() => return,
            Err(e) => return self.find(path, Problem::Sidecar(e.to_string())),
        };
        self.files += 1;
        self.tuples += table.packets;
        match table.verify().and_then(|()| first_time(&table)) {
            Ok(first) if first == Some(set.name.time_ns) => {}
            Ok(_) => self.find(path, Problem::WrongName),
            Err(e) => self.find(path, Problem::Sidecar(e.to_string())),
        }
    }

    fn capture(
        &mut self,
        folder: &Path,
        kind: Kind,
        set: &FileSet,
        has_sidecar: bool,
    ) -> Result<(), Problem> {
        let unreadable = |e: io::Error| match e.kind() {
            io::ErrorKind::InvalidData => Problem::Damaged(e.to_string()),
            _ => Problem::Unreadable(e.to_string()),
        };
        let refused = |e: capfile::Error| Problem::Unreadable(e.to_string());
        let path = set.name.path(folder, kind);
        let input = Input::from_forms(
            &path.to_string_lossy(),
            set.name.path(folder, Kind::Capture),
            set.name.path(folder, Kind::Compressed),
            u64::MAX,
            0,
        );
        let facts = input.facts().map_err(refused)?;
        let length = facts.length;
        let mut file = input.bytes().map_err(refused)?;
        let header = FileHeader::read(&mut file).map_err(unreadable)?;
        let header = header.ok_or_else(|| {
            Problem::Damaged("it does not start as a capture file of the store does".to_owned())
        })?;
        let walk = records::walk(&mut file, header, length).map_err(unreadable)?;
        self.files += 1;
        self.packets += walk.packets;
        if walk.tail != Tail::Clean {
            let reason = format!("no whole record at byte {}", walk.end);
            return Err(Problem::Damaged(reason));
        }
        if let Some(reason) = facts.damage {
            return Err(Problem::Damaged(reason));
        }
        if walk.first_ns != Some(set.name.time_ns) {
            self.find(path, Problem::WrongName);
        }
        if has_sidecar {
            let side = set.name.path(folder, Kind::Sidecar);
            let compared = Sidecar::open(&side, length)
                .and_then(|sidecar| compare(&sidecar, &input))
                .map_err(|e| Problem::Sidecar(e.to_string()));
            match compared {
                Ok(None) => self.sidecars += 1,
                Ok(Some(row)) => self.find(side, Problem::WrongRow(row)),
                Err(problem) => self.find(side, problem),
            }
        }
        Ok(())
    }
}

/// The time of the first row, as a name has it.
fn first_time(table: &Sidecar) -> Result<Option<i64>, sidecar::Error> {
    match table.groups() {
        0 => Ok(None),
        _ => Ok(table.times(0)?.get(0).map(|time| time.max(0))),
    }
}

/// The first row that is not what its packet says.
fn compare(sidecar: &Sidecar, input: &Input) -> Result<Option<u64>, sidecar::Error> {
    sidecar.verify()?;
    let mut reader = input.open()?;
    for group in 0..sidecar.groups() {
        let columns = Columns::read(sidecar, group)?;
        for row in 0..sidecar.rows(group) {
            let same = reader.next_frame().is_some_and(|frame| {
                let tuple = Tuple::of(&Packet::decode(&frame));
                columns.row(row) == Some((tuple, frame.offset))
            });
            if !same {
                return Ok(Some(sidecar.first_row(group) + row as u64));
            }
        }
    }
    Ok(reader.next_frame().map(|_| sidecar.packets))
}

/// All columns of a row group.
struct Columns {
    link_type: Option<crate::frame::LinkType>,
    times: sidecar::Values<i64>,
    offsets: sidecar::Values<u64>,
    source: sidecar::Values<[u8; 16]>,
    destination: sidecar::Values<[u8; 16]>,
    source_port: sidecar::Values<u32>,
    destination_port: sidecar::Values<u32>,
    protocol: sidecar::Values<u32>,
    tcp_flags: sidecar::Values<u32>,
    vlan: sidecar::Values<u32>,
    marks: sidecar::Values<u32>,
    wire_length: sidecar::Values<u32>,
    captured_length: sidecar::Values<u32>,
}

impl Columns {
    fn read(sidecar: &Sidecar, group: usize) -> Result<Self, sidecar::Error> {
        Ok(Self {
            link_type: sidecar.link_type,
            times: sidecar.times(group)?,
            offsets: sidecar.offsets(group)?,
            source: sidecar.addresses(group, Column::Source)?,
            destination: sidecar.addresses(group, Column::Destination)?,
            source_port: sidecar.numbers(group, Column::SourcePort)?,
            destination_port: sidecar.numbers(group, Column::DestinationPort)?,
            protocol: sidecar.numbers(group, Column::Protocol)?,
            tcp_flags: sidecar.numbers(group, Column::TcpFlags)?,
            vlan: sidecar.numbers(group, Column::Vlan)?,
            marks: sidecar.numbers(group, Column::Marks)?,
            wire_length: sidecar.numbers(group, Column::WireLength)?,
            captured_length: sidecar.numbers(group, Column::CapturedLength)?,
        })
    }

    /// The tuple of a row and the offset of its packet; `None` if a number has no place in one.
    fn row(&self, at: usize) -> Option<(Tuple, u64)> {
        let short = |values: &sidecar::Values<u32>| -> Option<Option<u16>> {
            values.get(at).map(u16::try_from).transpose().ok()
        };
        let byte = |values: &sidecar::Values<u32>| -> Option<Option<u8>> {
            values.get(at).map(u8::try_from).transpose().ok()
        };
        let tuple = Tuple {
            time_ns: self.times.get(at),
            source: self.source.get(at),
            destination: self.destination.get(at),
            source_port: short(&self.source_port)?,
            destination_port: short(&self.destination_port)?,
            protocol: byte(&self.protocol)?,
            tcp_flags: byte(&self.tcp_flags)?,
            vlan: short(&self.vlan)?,
            marks: short(&self.marks)??,
            wire_len: self.wire_length.get(at)?,
            captured_len: self.captured_length.get(at)?,
            link_type: self.link_type?,
        };
        Some((tuple, self.offsets.get(at)?))
    }
}
