//! Frames as a capture file.

use std::io::Write;

use datafusion::arrow::array::RecordBatch;

use super::Sink;
use super::error::Error;
use super::value;
use crate::capfile::write::PcapWriter;
use crate::frame::LinkType;
use crate::types::OutputColumn;

/// Writes the frames as they were captured.
pub(super) struct Pcap<W: Write> {
    /// Gone once finished.
    writer: Option<PcapWriter<W>>,
    columns: Vec<OutputColumn>,
}

impl<W: Write> Pcap<W> {
    pub(super) fn new(out: W, columns: Vec<OutputColumn>) -> Result<Self, Error> {
        if columns.len() != 4 {
            return Err(Error::Columns {
                answer: "frames",
                found: columns.len(),
                needed: "TIMESTAMP, DATA, WireLength and LinkType",
            });
        }
        Ok(Self {
            writer: Some(PcapWriter::new(out)),
            columns,
        })
    }
}

impl<W: Write> Sink for Pcap<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let values = value::columns(batch, &self.columns, "frames")?;
        let ([time, data, wire_length, link_type], Some(writer)) =
            (values.as_slice(), &mut self.writer)
        else {
            return Ok(());
        };
        for row in 0..batch.num_rows() {
            // An entry without bytes is no frame.
            if data.is_null(row) {
                continue;
            }
            let bytes = data.bytes(row);
            let captured = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let wire_length = wire_length
                .integer(row)
                .and_then(|length| u32::try_from(length).ok())
                .unwrap_or(captured);
            let link_type = link_type
                .integer(row)
                .and_then(|link_type| u16::try_from(link_type).ok())
                .unwrap_or_default();
            let link_type = LinkType(link_type);
            writer.write_frame(time.integer(row), wire_length, link_type, &bytes)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        if let Some(writer) = self.writer.take() {
            writer.finish()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, BinaryArray, Int64Array, UInt16Array, UInt32Array};

    use crate::capfile::Input;
    use crate::render::testing::Answer;
    use crate::render::{Format, RenderOptions};
    use crate::shape::Shape;
    use crate::types::EvType;

    fn frames(link_types: Vec<u16>) -> Vec<(Option<i64>, u32, u16, Vec<u8>)> {
        let times: ArrayRef = Arc::new(Int64Array::from(vec![1_455_469_967_246_718_123, 5]));
        let data: Vec<&[u8]> = vec![b"\x00\x01frame", b"cut"];
        let data: ArrayRef = Arc::new(BinaryArray::from(data));
        let lengths: ArrayRef = Arc::new(UInt32Array::from(vec![7, 1500]));
        let links: ArrayRef = Arc::new(UInt16Array::from(link_types));
        let answer = Answer::new(
            Shape::Pcap,
            vec![
                ("TIMESTAMP", EvType::Time, times),
                ("DATA", EvType::Bytes, data),
                ("WireLength", EvType::UInt32, lengths),
                ("LinkType", EvType::UInt16, links),
            ],
        );
        let (bytes, _) = answer.bytes(Format::Pcap, RenderOptions::default());
        let mut reader = Input::from_bytes("test", bytes).open().unwrap();
        let mut frames = Vec::new();
        while let Some(frame) = reader.next_frame() {
            frames.push((
                frame.time_ns,
                frame.wire_len,
                frame.link_type.0,
                frame.data.to_vec(),
            ));
        }
        assert!(reader.warnings().is_empty());
        frames
    }

    #[test]
    fn frames_are_read_back() {
        for links in [vec![1, 1], vec![1, 113]] {
            assert_eq!(
                frames(links.clone()),
                [
                    (
                        Some(1_455_469_967_246_718_123),
                        7,
                        links[0],
                        b"\x00\x01frame".to_vec()
                    ),
                    (Some(5), 1500, links[1], b"cut".to_vec()),
                ]
            );
        }
    }
}
