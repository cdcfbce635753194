//! Packets of a store as one capture file, in the order of their times.

use std::{collections::VecDeque, io::Write, path::Path};

use super::{CaptureFile, Error, Filter, Skipped, Snapshot, records::SNAPLEN};
use crate::{
    capfile::{
        FrameReader, Warning,
        stream::{Format, StreamWriter},
        write::WriteError,
    },
    frame::LinkType,
};

/// What was written.
#[derive(Debug, Default)]
pub struct Exported {
    /// Packets written.
    pub packets: u64,
    /// Damage in the files read.
    pub warnings: Vec<Warning>,
    /// Files that could not be read.
    pub skipped: Vec<Skipped>,
}

/// Why packets were not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] Error),
    /// The output refused.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes the packets asked for as pcap, or as pcapng if pcap cannot hold them (several link
/// types). Sources are merged by time; within a source packets stay in the order of writing.
pub fn export(
    store: &Path,
    filter: &Filter<'_>,
    output: impl Write,
) -> Result<Exported, ExportError> {
    let snapshot = Snapshot::take(store, filter)?;
    let format = format(&snapshot);
    let mut exported = Exported {
        skipped: snapshot.skipped,
        ..Exported::default()
    };
    let mut streams: Vec<Stream> = Vec::new();
    for file in snapshot.files {
        match streams.last_mut() {
            Some(stream) if stream.source == file.source => stream.files.push_back(file),
            _ => streams.push(Stream::new(file)),
        }
    }
    let times = filter.times_ns.unwrap_or((i64::MIN, i64::MAX));
    let mut writer = StreamWriter::new(format, output)?;
    for stream in &mut streams {
        stream.next(&mut exported)?;
    }
    loop {
        let waiting = streams.iter_mut().filter(|stream| stream.frame.is_some());
        let Some(stream) = waiting.min_by_key(|stream| stream.frame.as_ref().map(|f| f.time_ns))
        else {
            break;
        };
        if let Some(frame) = &stream.frame
            && (times.0..times.1).contains(&frame.time_ns)
        {
            let link_type = frame.link_type;
            writer.write_frame(frame.time_ns, frame.wire_len, link_type, &frame.data)?;
            exported.packets += 1;
        }
        stream.next(&mut exported)?;
    }
    writer.finish()?;
    Ok(exported)
}

/// Known before the first packet, so that nothing has to be kept until the last. An export of no
/// file is an empty pcap of link type Ethernet.
fn format(snapshot: &Snapshot) -> Format {
    let first = snapshot.files.first();
    let link_type = first.map_or(LinkType(1), |file| file.link_type);
    let fits = |file: &CaptureFile| file.link_type == link_type && file.snaplen <= SNAPLEN;
    match snapshot.files.iter().all(fits) {
        true => Format::Pcap(link_type),
        false => Format::Pcapng,
    }
}

/// A frame that waits for its turn.
struct Waiting {
    time_ns: i64,
    wire_len: u32,
    link_type: LinkType,
    data: Vec<u8>,
}

impl Waiting {
    const NONE: Self = Self {
        time_ns: 0,
        wire_len: 0,
        link_type: LinkType(0),
        data: Vec::new(),
    };
}

/// The frames of a source.
struct Stream {
    source: std::sync::Arc<super::Source>,
    files: VecDeque<CaptureFile>,
    reader: Option<FrameReader>,
    frame: Option<Waiting>,
}

impl Stream {
    fn new(file: CaptureFile) -> Self {
        Self {
            source: std::sync::Arc::clone(&file.source),
            files: VecDeque::from([file]),
            reader: None,
            frame: None,
        }
    }

    /// Moves to the next frame, or to the end.
    fn next(&mut self, exported: &mut Exported) -> Result<(), Error> {
        let mut waiting = self.frame.take().unwrap_or(Waiting::NONE);
        loop {
            if let Some(reader) = &mut self.reader {
                if let Some(frame) = reader.next_frame() {
                    waiting.time_ns = frame.time_ns.unwrap_or(0);
                    waiting.wire_len = frame.wire_len;
                    waiting.link_type = frame.link_type;
                    waiting.data.clear();
                    waiting.data.extend_from_slice(frame.data);
                    self.frame = Some(waiting);
                    return Ok(());
                }
                exported.warnings.extend_from_slice(reader.warnings());
                self.reader = None;
            }
            let Some(file) = self.files.pop_front() else {
                return Ok(());
            };
            match file.input() {
                Ok(input) => self.reader = Some(input.open()?),
                Err(e) => exported.skipped.push(Skipped {
                    path: file.path,
                    reason: e.to_string(),
                }),
            }
        }
    }
}
