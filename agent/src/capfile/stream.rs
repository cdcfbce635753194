//! Writing a capture file whose format is known before: it goes to the output as it comes.

use std::io::{BufWriter, Write};
use std::time::Duration;

use pcap_file::pcap::PcapWriter;

use super::write::{BUFFER, Pcapng, WriteError, pcap_header, pcap_packet};
use crate::frame::LinkType;

/// What a capture file is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Pcap with nanoseconds: frames of one link type, of at most 262144 bytes, dated from 1970 to
    /// 2106.
    Pcap(LinkType),
    /// Pcapng, with an interface per link type.
    Pcapng,
}

/// Writes frames in a format.
pub struct StreamWriter<W: Write> {
    inner: Inner<W>,
}

enum Inner<W: Write> {
    Pcap(LinkType, PcapWriter<BufWriter<W>>),
    Pcapng(Pcapng, W),
}

impl<W: Write> StreamWriter<W> {
    /// Writes to `out`, which needs no buffer of its own.
    ///
    /// # Errors
    /// If the output refuses.
    pub fn new(format: Format, out: W) -> Result<Self, WriteError> {
        let inner = match format {
            Format::Pcap(link_type) => {
                let out = BufWriter::with_capacity(BUFFER, out);
                let writer = PcapWriter::with_header(out, pcap_header(link_type));
                Inner::Pcap(link_type, writer.map_err(WriteError::pcap)?)
            }
            Format::Pcapng => Inner::Pcapng(Pcapng::new()?, out),
        };
        Ok(Self { inner })
    }

    /// Appends a frame: `time_ns` in nanoseconds since 1970, `wire_len` in bytes.
    ///
    /// # Errors
    /// If the output refuses, or the format cannot hold the frame.
    pub fn write_frame(
        &mut self,
        time_ns: i64,
        wire_len: u32,
        link_type: LinkType,
        data: &[u8],
    ) -> Result<(), WriteError> {
        let time = Duration::from_nanos(time_ns.max(0).cast_unsigned());
        match &mut self.inner {
            Inner::Pcap(of, writer) => {
                let packet = pcap_packet(time, wire_len, data).filter(|_| *of == link_type);
                let packet = packet.ok_or(WriteError::NoPcap)?;
                writer.write_raw_packet(&packet).map_err(WriteError::pcap)?;
                Ok(())
            }
            Inner::Pcapng(pcapng, out) => {
                pcapng.write(time, wire_len, link_type, data)?;
                pcapng.hand_over(out, BUFFER)
            }
        }
    }

    /// Completes the file.
    ///
    /// # Errors
    /// If the output refuses.
    pub fn finish(self) -> Result<(), WriteError> {
        match self.inner {
            Inner::Pcap(_, writer) => writer.into_inner().flush().map_err(WriteError::Output),
            Inner::Pcapng(mut pcapng, mut out) => {
                pcapng.hand_over(&mut out, 1)?;
                out.flush().map_err(WriteError::Output)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capfile::{Input, write};

    const ETHERNET: LinkType = LinkType(1);

    #[test]
    fn the_file_is_that_of_a_writer_that_did_not_know() {
        for (format, links) in [(Format::Pcap(ETHERNET), [1, 1]), (Format::Pcapng, [1, 113])] {
            let (mut streamed, mut spooled) = (Vec::new(), write::PcapWriter::new(Vec::new()));
            let mut writer = StreamWriter::new(format, &mut streamed).unwrap();
            for (n, link) in links.into_iter().enumerate() {
                let (time, data) = (1_500_000_000_000_000_001 + n as i64, vec![n as u8; 60]);
                let link = LinkType(link);
                writer.write_frame(time, 99, link, &data).unwrap();
                spooled.write_frame(Some(time), 99, link, &data).unwrap();
            }
            writer.finish().unwrap();
            assert_eq!(streamed, spooled.finish().unwrap(), "{format:?}");
        }
    }

    #[test]
    fn what_was_said_wrongly_is_refused() {
        let mut writer = StreamWriter::new(Format::Pcap(ETHERNET), Vec::new()).unwrap();
        let long = vec![0; 300_000];
        for (link, data) in [(113, &[0_u8; 4][..]), (1, &long)] {
            let refused = writer.write_frame(0, 4, LinkType(link), data).unwrap_err();
            assert!(matches!(refused, WriteError::NoPcap), "{refused}");
        }
    }

    #[test]
    fn frames_reach_the_output_before_the_end() {
        let (reading, writing) = std::io::pipe().unwrap();
        let reader = std::thread::spawn(move || {
            let mut start = [0; 24];
            std::io::Read::read_exact(&mut &reading, &mut start).unwrap();
            (reading, start)
        });
        let mut writer = StreamWriter::new(Format::Pcap(ETHERNET), writing).unwrap();
        for _ in 0..BUFFER / 60 {
            writer.write_frame(0, 60, ETHERNET, &[0; 60]).unwrap();
        }
        let (_reading, start) = reader.join().unwrap();
        let input = Input::from_bytes("start", start.to_vec());
        assert!(input.open().unwrap().warnings().is_empty());
    }
}
