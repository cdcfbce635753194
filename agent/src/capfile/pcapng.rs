//! The pcapng format (draft-ietf-opsawg-pcapng): blocks, sections, and the next block after damage.

mod interface;

use self::interface::Interface;
use super::{
    damage::{Damage, Problem},
    pcap::{MAX_MESSAGE, read_u32},
    reader::Record,
    window::Window,
};
use crate::frame::LinkType;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// Largest accepted block, in bytes: the largest packet and room for its options.
const MAX_BLOCK: u32 = MAX_MESSAGE + (1 << 20);
/// A block that passes the end of the file is taken for the usual cut up to this length.
const USUAL_BLOCK: u32 = 1 << 20;
/// Longest block that is believed where none was expected: a packet of tshark's largest length,
/// and room for its options.
pub(super) const LONGEST_SEARCHED: usize = 288 << 10;
/// Interfaces that are kept of a section; a machine with more is not known.
const MAX_INTERFACES: usize = 65_536;

/// Whether a file that starts so is a pcapng file: the type of its first block, which reads the
/// same in both byte orders.
pub(super) fn is_pcapng(start: &[u8]) -> bool {
    start.starts_with(&SECTION_HEADER.to_be_bytes())
}

/// State of the current section.
#[derive(Clone, Debug)]
pub(super) struct Pcapng {
    big_endian: bool,
    /// Whether the version of the section is known; else its blocks are skipped.
    readable: bool,
    interfaces: Vec<Interface>,
    /// Number of sections and interfaces begun so far.
    changes: u64,
}

/// A block in view, and how it lies there.
#[derive(Clone, Copy)]
struct Block {
    kind: u32,
    /// Bytes from its type up to its trailing length.
    body_end: usize,
    /// Bytes up to the next block.
    total: usize,
}

/// A packet of a block in view.
struct Packet {
    /// Index of its interface, which exists.
    interface: usize,
    /// In units of the interface's clock.
    time: Option<u64>,
    wire: u32,
    /// Where its bytes start in the block.
    start: usize,
    captured: usize,
}

/// Why there is no block where one should be.
enum Bad {
    /// The source has fewer bytes than the block; `usual` if the rest of its header is believable.
    Cut {
        usual: bool,
    },
    Damaged(Problem),
}

impl Pcapng {
    pub(super) fn new() -> Self {
        Self {
            big_endian: false,
            readable: true,
            interfaces: Vec::new(),
            changes: 0,
        }
    }

    /// Number of blocks so far that change how packet blocks are read.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Name of an interface of the current section.
    pub(super) fn interface_name(&self, index: usize) -> &str {
        self.interfaces.get(index).map_or("", |i| &i.name)
    }

    /// The next good packet.
    #[inline]
    pub(super) fn next(&mut self, window: &mut Window, damage: &mut Damage) -> Option<Record> {
        loop {
            if window.at_stop() || !window.ensure(1) {
                return None;
            }
            let offset = window.offset();
            let block = match self.block(window) {
                Ok(block) => block,
                Err(bad) => {
                    if !self.recover(bad, window, damage) {
                        return None;
                    }
                    continue;
                }
            };
            match self.packet(block, window) {
                Ok(Some(packet)) => return Some(self.take(packet, block, offset, window, damage)),
                Ok(None) => {}
                Err(problem) => damage.report(offset, problem),
            }
            window.consume(block.total);
        }
    }

    /// Moves the window behind a packet's block.
    #[inline]
    fn take(
        &self,
        packet: Packet,
        block: Block,
        offset: u64,
        window: &mut Window,
        damage: &mut Damage,
    ) -> Record {
        let interface = self.interfaces.get(packet.interface);
        let time_ns = match (packet.time, interface) {
            (Some(time), Some(interface)) => {
                Some(interface.clock.nanoseconds(time).unwrap_or_else(|nearest| {
                    damage.report(offset, Problem::TimeRange);
                    nearest
                }))
            }
            _ => None,
        };
        Record {
            time_ns,
            wire_len: packet.wire,
            link_type: interface.map_or(LinkType(0), |i| i.link_type),
            interface: Some(packet.interface),
            offset,
            data: window.take(packet.start, packet.captured, block.total),
        }
    }

    /// Brings the block at the window's start in view and checks its frame.
    #[inline]
    fn block(&self, window: &mut Window) -> Result<Block, Bad> {
        let Some(head) = window.peek::<12>().copied() else {
            return Err(Bad::Cut { usual: true });
        };
        let (kind, big_endian) = self.kind(&head).map_err(Bad::Damaged)?;
        let length = read_u32(&head, 4, big_endian);
        if !(12..=MAX_BLOCK).contains(&length) {
            return Err(Bad::Damaged(Problem::BlockLength(length)));
        }
        // Lengths must be multiples of four; some writers state the length without the padding.
        let total = length.next_multiple_of(4) as usize;
        if !window.ensure(total) {
            let usual = is_known(kind) && length <= USUAL_BLOCK;
            return Err(Bad::Cut { usual });
        }
        let last = read_u32(window.bytes(), total - 4, big_endian);
        if last != length {
            let first = length;
            return Err(Bad::Damaged(Problem::BlockTrailer { first, last }));
        }
        Ok(Block {
            kind,
            body_end: total - 4,
            total,
        })
    }

    /// Type of a block and the byte order of its lengths.
    #[inline]
    fn kind(&self, head: &[u8; 12]) -> Result<(u32, bool), Problem> {
        let kind = read_u32(head, 0, self.big_endian);
        if kind != SECTION_HEADER {
            return Ok((kind, self.big_endian));
        }
        match (read_u32(head, 8, true), read_u32(head, 8, false)) {
            (BYTE_ORDER_MAGIC, _) => Ok((kind, true)),
            (_, BYTE_ORDER_MAGIC) => Ok((kind, false)),
            _ => Err(Problem::SectionMagic),
        }
    }

    /// The packet of a block, if it has one; else what the block changes is done.
    #[inline]
    fn packet(&mut self, block: Block, window: &Window) -> Result<Option<Packet>, Problem> {
        let bytes = window.bytes().get(..block.body_end).unwrap_or_default();
        match block.kind {
            SECTION_HEADER => self.section(bytes).map(|()| None),
            _ if !self.readable => Ok(None),
            ENHANCED_PACKET => self.enhanced_packet(bytes).map(Some),
            INTERFACE_DESCRIPTION => self.interface(bytes).map(|()| None),
            PACKET => self.obsolete_packet(bytes).map(Some),
            SIMPLE_PACKET => self.simple_packet(bytes).map(Some),
            _ => Ok(None),
        }
    }

    /// Section Header Block (draft, 4.1).
    fn section(&mut self, block: &[u8]) -> Result<(), Problem> {
        self.interfaces.clear();
        self.changes += 1;
        self.readable = false;
        self.big_endian = read_u32(block, 8, true) == BYTE_ORDER_MAGIC;
        let (Some(version), Some(options)) = (block.get(12..16), block.get(24..)) else {
            return Err(Problem::ShortBlock("section header"));
        };
        let [major, minor] = [0, 2].map(|at| read_u16(version, at, self.big_endian));
        // 1.2 is 1.0 under the number that some writers gave it (draft, 4.1).
        if major != 1 || !matches!(minor, 0 | 2) {
            return Err(Problem::SectionVersion { major, minor });
        }
        self.readable = true;
        interface::options(options, self.big_endian, "section header", |_, _| {})
    }

    /// Interface Description Block (draft, 4.2). A damaged one counts all the same, for packet
    /// blocks refer to interfaces by number.
    fn interface(&mut self, block: &[u8]) -> Result<(), Problem> {
        self.changes += 1;
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(Problem::TooManyInterfaces(MAX_INTERFACES));
        }
        let body = block.get(8..).unwrap_or_default();
        let (interface, result) = Interface::parse(body, self.big_endian, self.interfaces.len());
        self.interfaces.push(interface);
        result
    }

    /// Enhanced Packet Block (draft, 4.3).
    #[inline]
    fn enhanced_packet(&self, block: &[u8]) -> Result<Packet, Problem> {
        let Some(head) = block.first_chunk::<28>() else {
            return Err(Problem::ShortBlock("enhanced packet block"));
        };
        self.timed_packet(head, read_u32(head, 8, self.big_endian), block.len())
    }

    /// Packet Block (draft, appendix A): an Enhanced Packet Block but for its interface number.
    fn obsolete_packet(&self, block: &[u8]) -> Result<Packet, Problem> {
        let Some(head) = block.first_chunk::<28>() else {
            return Err(Problem::ShortBlock("packet block"));
        };
        let interface = u32::from(read_u16(head, 8, self.big_endian));
        self.timed_packet(head, interface, block.len())
    }

    #[inline]
    fn timed_packet(
        &self,
        head: &[u8; 28],
        interface: u32,
        block_len: usize,
    ) -> Result<Packet, Problem> {
        let [high, low, captured, wire] =
            [12, 16, 20, 24].map(|at| read_u32(head, at, self.big_endian));
        if captured as usize > block_len - head.len() {
            return Err(Problem::PacketLength(captured));
        }
        Ok(Packet {
            interface: self.known_interface(interface)?,
            time: Some(u64::from(high) << 32 | u64::from(low)),
            wire,
            start: head.len(),
            captured: captured as usize,
        })
    }

    /// Simple Packet Block (draft, 4.4): of the first interface, cut at its snapshot length.
    fn simple_packet(&self, block: &[u8]) -> Result<Packet, Problem> {
        let Some(data) = block.get(12..) else {
            return Err(Problem::ShortBlock("simple packet block"));
        };
        let interface = self.known_interface(0)?;
        let snaplen = match self.interfaces.get(interface).map_or(0, |i| i.snaplen) {
            0 => u32::MAX,
            n => n,
        };
        let wire = read_u32(block, 8, self.big_endian);
        let captured = wire.min(snaplen) as usize;
        if captured > data.len() {
            return Err(Problem::PacketLength(wire.min(snaplen)));
        }
        Ok(Packet {
            interface,
            time: None,
            wire,
            start: 12,
            captured,
        })
    }

    #[inline]
    fn known_interface(&self, number: u32) -> Result<usize, Problem> {
        let index = number as usize;
        if index < self.interfaces.len() {
            Ok(index)
        } else {
            Err(Problem::UnknownInterface(number))
        }
    }

    /// Reports damage and moves to the next block behind it; `false` if there is none.
    #[cold]
    fn recover(&mut self, bad: Bad, window: &mut Window, damage: &mut Damage) -> bool {
        let offset = window.offset();
        let usual_cut = match bad {
            Bad::Damaged(problem) => {
                damage.report(offset, problem);
                false
            }
            Bad::Cut { usual } => {
                let have = window.bytes().len() as u64;
                damage.report(
                    offset,
                    Problem::Cut {
                        what: "block",
                        have,
                    },
                );
                usual
            }
        };
        if usual_cut {
            window.consume_all();
            return false;
        }
        self.resynchronise(window)
    }

    /// Moves to the next place where a block of a known type has equal lengths at its start and
    /// end, and another one, or the end of the file, follows it.
    fn resynchronise(&mut self, window: &mut Window) -> bool {
        let length = window
            .peek::<12>()
            .map_or(0, |head| read_u32(head, 4, self.big_endian));
        // The damage may be inside the block: then its length leads to the next one.
        let skip = length as usize;
        if (12..=USUAL_BLOCK).contains(&length) && window.ensure(skip) && self.chain(window, skip) {
            let is_interface =
                read_u32(window.bytes(), 0, self.big_endian) == INTERFACE_DESCRIPTION;
            if is_interface && self.interfaces.len() < MAX_INTERFACES {
                let (unknown, _) = Interface::parse(&[], self.big_endian, self.interfaces.len());
                self.interfaces.push(unknown);
                self.changes += 1;
            }
            window.consume(skip);
            return true;
        }
        loop {
            window.consume(1);
            if !window.ensure(12) {
                window.consume_all();
                return false;
            }
            if self.chain(window, 0) {
                return true;
            }
        }
    }

    /// Whether two good blocks of known types are at `at`, or one that ends the file.
    fn chain(&self, window: &mut Window, at: usize) -> bool {
        let Some(second) = self.good_block(window, at) else {
            return false;
        };
        if !window.ensure(second + 1) {
            return true;
        }
        self.good_block(window, second).is_some()
    }

    /// Length of the block at `at` if it is believable; its end may lie behind `bytes`.
    pub(super) fn believable_block(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let head = bytes.get(at..)?.first_chunk::<12>()?;
        let (kind, big_endian) = self.kind(head).ok()?;
        let length = read_u32(head, 4, big_endian);
        let total = length as usize;
        let fits = (12..=LONGEST_SEARCHED).contains(&total) && length.is_multiple_of(4);
        if !fits || !is_known(kind) {
            return None;
        }
        let end = at + total;
        let same = end > bytes.len() || read_u32(bytes, end - 4, big_endian) == length;
        same.then_some(total)
    }

    /// Where the block at `at` ends, if it is a good one.
    fn good_block(&self, window: &mut Window, at: usize) -> Option<usize> {
        if !window.ensure(at + 12) {
            return None;
        }
        let end = at + self.believable_block(window.bytes(), at)?;
        // Once more with all of it in view, if it was not.
        (window.ensure(end) && self.believable_block(window.bytes(), at).is_some()).then_some(end)
    }
}

/// Block types of the draft's registry that are in use (11.1), and custom blocks.
fn is_known(kind: u32) -> bool {
    matches!(kind, 1..=10 | 0xbad | 0x4000_0bad | SECTION_HEADER)
}

/// The 16-bit field at `at`; callers pass offsets within `bytes`.
fn read_u16(bytes: &[u8], at: usize, big_endian: bool) -> u16 {
    let field = bytes.get(at..).and_then(<[u8]>::first_chunk);
    let field = field.copied().unwrap_or_default();
    if big_endian {
        u16::from_be_bytes(field)
    } else {
        u16::from_le_bytes(field)
    }
}
