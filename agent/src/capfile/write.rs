//! Writing capture files: pcap as long as it can hold the frames, else pcapng.

use std::{
    borrow::Cow,
    io::{self, BufWriter, Seek, Write},
    time::Duration,
};

use pcap_file::{
    DataLink, Endianness,
    pcap::{PcapHeader, PcapTsResolution, PcapWriteError, RawPcapPacket},
    pcapng::{
        PcapNgWriter,
        blocks::{
            enhanced_packet::EnhancedPacketBlock,
            interface_description::{
                InterfaceDescriptionBlock, InterfaceDescriptionOption, InterfaceTsResolution,
            },
        },
    },
};
use tempfile::{SpooledData, SpooledTempFile};

use super::{Error, Input, source::Store};
use crate::frame::LinkType;

/// Snapshot length stated in the files, the one of tcpdump and dumpcap; longer frames go to pcapng.
const SNAPLEN: u32 = 262_144;
/// Bytes of pcap kept in memory until it is known that the file stays pcap.
const SPOOL_MEMORY: usize = 16 << 20;
/// Bytes handed to the output at a time.
pub(super) const BUFFER: usize = 64 << 10;
const ETHERNET: LinkType = LinkType(1);

type PcapSpool = pcap_file::pcap::PcapWriter<BufWriter<SpooledTempFile>>;

/// Why a capture could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The output refused; its kind tells a closed pipe from a full disk.
    #[error("cannot write the capture: {0}")]
    Output(#[source] io::Error),
    /// The temporary file refused.
    #[error("cannot keep the capture in a temporary file: {0}")]
    Temporary(String),
    /// A frame that does not belong into the file.
    #[error("a frame does not fit into the pcap that is written")]
    NoPcap,
}

impl WriteError {
    /// What the library says of an output.
    pub(super) fn pcap(error: PcapWriteError) -> Self {
        match error {
            PcapWriteError::Io(error) | PcapWriteError::FieldWriteFailed(_, error) => {
                Self::Output(error)
            }
            PcapWriteError::Validation(_) => Self::NoPcap,
        }
    }
}

fn temporary(error: impl std::fmt::Display) -> WriteError {
    WriteError::Temporary(error.to_string())
}

/// Writes frames as a capture file: little-endian pcap with nanoseconds, or pcapng with an
/// interface per link type if frames of several link types come, a time that pcap cannot hold
/// (after 2106), or more than 262144 bytes.
///
/// Which one is known only at the end, so a pcap is spooled (in memory, then in an unlinked
/// temporary file) and reaches the output in [`Self::finish`].
pub struct PcapWriter<W: Write> {
    out: W,
    /// `None` before the first frame.
    pcap: Option<(LinkType, PcapSpool)>,
    pcapng: Option<Pcapng>,
}

impl<W: Write> PcapWriter<W> {
    /// Writes to `out`, which needs no buffer of its own.
    pub fn new(out: W) -> Self {
        Self {
            out,
            pcap: None,
            pcapng: None,
        }
    }

    /// Appends a frame. `time_ns` is in nanoseconds since 1970, none is written as 0, as is one
    /// before 1970, which no format holds; `wire_len` is in bytes.
    pub fn write_frame(
        &mut self,
        time_ns: Option<i64>,
        wire_len: u32,
        link_type: LinkType,
        data: &[u8],
    ) -> Result<(), WriteError> {
        let time = Duration::from_nanos(time_ns.unwrap_or(0).max(0).cast_unsigned());
        if self.pcapng.is_none() {
            let same = self
                .pcap
                .as_ref()
                .is_none_or(|(first, _)| *first == link_type);
            if let (true, Some(packet)) = (same, pcap_packet(time, wire_len, data)) {
                return self.write_pcap(link_type, &packet);
            }
            self.switch()?;
        }
        if let Some(pcapng) = &mut self.pcapng {
            pcapng.write(time, wire_len, link_type, data)?;
            pcapng.hand_over(&mut self.out, BUFFER)?;
        }
        Ok(())
    }

    /// Completes the file and gives the output back, flushed. Without any frame it is an empty
    /// pcap of link type Ethernet.
    pub fn finish(mut self) -> Result<W, WriteError> {
        if let Some(pcapng) = &mut self.pcapng {
            pcapng.hand_over(&mut self.out, 1)?;
        } else {
            let spool = match self.pcap.take() {
                Some((_, spool)) => spool,
                None => pcap_spool(ETHERNET)?,
            };
            let mut spool = spool.into_inner().into_inner().map_err(temporary)?;
            spool.rewind().map_err(temporary)?;
            io::copy(&mut spool, &mut self.out).map_err(WriteError::Output)?;
        }
        self.out.flush().map_err(WriteError::Output)?;
        Ok(self.out)
    }

    fn write_pcap(
        &mut self,
        link_type: LinkType,
        packet: &RawPcapPacket<'_>,
    ) -> Result<(), WriteError> {
        let spool = match &mut self.pcap {
            Some((_, spool)) => spool,
            empty @ None => &mut empty.insert((link_type, pcap_spool(link_type)?)).1,
        };
        spool.write_raw_packet(packet).map_err(temporary)?;
        Ok(())
    }

    /// From pcap to pcapng: what was written so far is read back.
    fn switch(&mut self) -> Result<(), WriteError> {
        let mut pcapng = Pcapng::new()?;
        if let Some((_, spool)) = self.pcap.take() {
            let spool = spool.into_inner().into_inner().map_err(temporary)?;
            let mut reader = reread(spool).map_err(temporary)?;
            while let Some(frame) = reader.next_frame() {
                let time = Duration::from_nanos(frame.time_ns.unwrap_or(0).max(0).cast_unsigned());
                pcapng.write(time, frame.wire_len, frame.link_type, frame.data)?;
                pcapng.hand_over(&mut self.out, BUFFER)?;
            }
        }
        self.pcapng = Some(pcapng);
        Ok(())
    }
}

fn reread(spool: SpooledTempFile) -> Result<super::FrameReader, Error> {
    let store = match spool.into_inner() {
        SpooledData::InMemory(bytes) => Store::memory(bytes.into_inner()),
        SpooledData::OnDisk(file) => Store::open(file, u64::MAX),
    };
    Input::from_store("the frames written so far", store, 0).open()
}

/// The packet as pcap holds it, if pcap can.
pub(super) fn pcap_packet(time: Duration, wire_len: u32, data: &[u8]) -> Option<RawPcapPacket<'_>> {
    let incl_len = u32::try_from(data.len()).ok().filter(|n| *n <= SNAPLEN)?;
    Some(RawPcapPacket {
        ts_sec: u32::try_from(time.as_secs()).ok()?,
        ts_frac: time.subsec_nanos(),
        incl_len,
        orig_len: wire_len,
        data: Cow::Borrowed(data),
    })
}

fn pcap_spool(link_type: LinkType) -> Result<PcapSpool, WriteError> {
    let spool = BufWriter::new(tempfile::spooled_tempfile(SPOOL_MEMORY));
    PcapSpool::with_header(spool, pcap_header(link_type)).map_err(temporary)
}

pub(super) fn pcap_header(link_type: LinkType) -> PcapHeader {
    PcapHeader {
        snaplen: SNAPLEN,
        datalink: DataLink::from(u32::from(link_type.0)),
        ts_resolution: PcapTsResolution::NanoSecond,
        endianness: Endianness::Little,
        ..PcapHeader::default()
    }
}

/// A pcapng being written, into a buffer that is handed over now and then.
pub(super) struct Pcapng {
    writer: PcapNgWriter<Vec<u8>>,
    /// Link types of the interfaces, in their order.
    interfaces: Vec<LinkType>,
}

impl Pcapng {
    pub(super) fn new() -> Result<Self, WriteError> {
        Ok(Self {
            writer: PcapNgWriter::with_endianness(Vec::new(), Endianness::Little)
                .map_err(temporary)?,
            interfaces: Vec::new(),
        })
    }

    pub(super) fn write(
        &mut self,
        time: Duration,
        wire_len: u32,
        link_type: LinkType,
        data: &[u8],
    ) -> Result<(), WriteError> {
        let known = self.interfaces.iter().position(|t| *t == link_type);
        let interface = match known {
            Some(index) => index,
            None => self.add_interface(link_type)?,
        };
        let block = EnhancedPacketBlock {
            interface_id: u32::try_from(interface).unwrap_or(u32::MAX),
            timestamp: time,
            // The format allows no packet that was shorter on the wire than in the file.
            original_len: wire_len.max(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            data: Cow::Borrowed(data),
            options: Vec::new(),
        };
        self.writer.write_pcapng_block(block).map_err(temporary)?;
        Ok(())
    }

    fn add_interface(&mut self, link_type: LinkType) -> Result<usize, WriteError> {
        let nanoseconds = InterfaceTsResolution::NANO;
        let block = InterfaceDescriptionBlock {
            linktype: DataLink::from(u32::from(link_type.0)),
            snaplen: SNAPLEN,
            options: vec![InterfaceDescriptionOption::IfTsResol(nanoseconds)],
        };
        self.writer.write_pcapng_block(block).map_err(temporary)?;
        self.interfaces.push(link_type);
        Ok(self.interfaces.len() - 1)
    }

    /// Writes the buffer out once it has `least` bytes.
    pub(super) fn hand_over(
        &mut self,
        out: &mut impl Write,
        least: usize,
    ) -> Result<(), WriteError> {
        let buffer = self.writer.get_mut();
        if buffer.len() >= least {
            out.write_all(buffer).map_err(WriteError::Output)?;
            buffer.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Owned = (Option<i64>, u32, u16, Vec<u8>);

    fn round_trip(frames: &[Owned]) -> (Vec<u8>, Vec<Owned>) {
        let mut writer = PcapWriter::new(Vec::new());
        for (time, wire, link_type, data) in frames {
            writer
                .write_frame(*time, *wire, LinkType(*link_type), data)
                .unwrap();
        }
        let file = writer.finish().unwrap();
        let mut reader = Input::from_bytes("written", file.clone()).open().unwrap();
        let mut read = Vec::new();
        while let Some(f) = reader.next_frame() {
            read.push((f.time_ns, f.wire_len, f.link_type.0, f.data.to_vec()));
        }
        assert_eq!(reader.warnings(), []);
        (file, read)
    }

    #[test]
    fn one_link_type_makes_a_pcap() {
        let frames = [
            (Some(1_500_000_000_000_000_001), 1_500, 113, vec![1, 2, 3]),
            (Some(0), 1, 113, vec![9]),
        ];
        let (file, read) = round_trip(&frames);
        assert_eq!(read, frames);
        // Magic with nanoseconds, version 2.4, no zone, no accuracy, snapshot length, link type.
        let header = [
            0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 113, 0, 0, 0,
        ];
        assert_eq!(file[..24], header);
        let first = [
            0x00, 0x2f, 0x68, 0x59, 1, 0, 0, 0, 3, 0, 0, 0, 0xdc, 0x05, 0, 0, 1, 2, 3,
        ];
        assert_eq!(file[24..43], first);
        assert_eq!(file.len(), 24 + 19 + 17);
    }

    #[test]
    fn what_pcap_cannot_hold_makes_a_pcapng() {
        let plain = |link_type| {
            (
                Some(5_000_000_007),
                60,
                link_type,
                vec![link_type as u8; 60],
            )
        };
        let late = (Some(4_294_967_296_000_000_001), 4, 1, vec![1, 2, 3, 4]);
        let long = (Some(1), 300_000, 1, vec![7; 300_000]);
        for frames in [
            vec![plain(1), plain(101), plain(1), plain(113)],
            vec![plain(1), late],
            vec![plain(1), long],
        ] {
            let (file, read) = round_trip(&frames);
            assert_eq!(file[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
            assert_eq!(read, frames);
        }
    }

    #[test]
    fn no_frame_makes_an_empty_pcap() {
        let (file, read) = round_trip(&[]);
        assert_eq!((file.len(), read.len()), (24, 0));
    }

    #[test]
    fn a_closed_output_is_told_by_its_kind() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let Err(WriteError::Output(error)) = PcapWriter::new(Closed).finish() else {
            panic!("no error");
        };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
