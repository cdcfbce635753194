//! IPv4 and IPv6 headers, to the transport header behind them.
//!
//! The bytes are read here and not by etherparse: its parsers want whole, consistent headers,
//! while a field of a cut header, or of one whose length lies, is still worth having and tshark
//! shows it.

use etherparse::ip_number;

use super::bytes::{self, from, upto};
use super::packet::{Network, Packet};

/// Notes an IPv4 header and what it carries; a header that contradicts itself is none.
#[inline]
pub(super) fn ipv4<'a>(packet: &mut Packet<'a>, data: &'a [u8]) {
    let (Some(first), Some(total)) = (bytes::u8(data, 0), bytes::u16(data, 2)) else {
        return;
    };
    let header = usize::from(first & 15) * 4;
    let total = usize::from(total);
    if first >> 4 != 4 || header < 20 {
        return;
    }
    // Total length 0: segmentation offload or BIG TCP, the packet is all there is.
    let data = match total {
        0 => data,
        _ if total < header => return,
        _ => upto(data, total),
    };
    packet.network_kind = Network::V4;
    packet.network = data;
    let (Some(fragment), Some(protocol)) = (bytes::u16(data, 6), bytes::u8(data, 9)) else {
        return;
    };
    if fragment & 0x1fff == 0 {
        packet.set_transport(protocol, from(data, header));
    }
}

/// Notes an IPv6 header and what follows its extension headers.
pub(super) fn ipv6<'a>(packet: &mut Packet<'a>, data: &'a [u8]) {
    let (Some(first), Some(length)) = (bytes::u8(data, 0), bytes::u16(data, 4)) else {
        return;
    };
    if first >> 4 != 6 {
        return;
    }
    let length = match length {
        0 => jumbo_length(data).unwrap_or(0),
        _ => usize::from(length),
    };
    let data = upto(data, length.saturating_add(40));
    packet.network_kind = Network::V6;
    packet.network = data;
    let mut last = None;
    for extension in Extensions::new(data) {
        if extension.fragment_offset().is_some_and(|o| o != 0) {
            return;
        }
        last = Some(extension);
    }
    let (protocol, at) = match last {
        None => (bytes::u8(data, 6), 40),
        Some(extension) => (Some(extension.next), extension.end),
    };
    if let Some(protocol) = protocol
        && !is_extension(protocol)
    {
        packet.set_transport(protocol, from(data, at));
    }
}

/// Payload length of a jumbogram (RFC 2675): an option of the hop-by-hop header that stands first.
/// Where there is none, a payload length of 0 is that of an empty payload, as tshark has it, whose
/// bytes behind are padding. (IPv4's total length 0 can mean nothing but offload.)
#[cold]
fn jumbo_length(data: &[u8]) -> Option<usize> {
    const JUMBO: u8 = 0xc2;
    let first = Extensions::new(data).next()?;
    if first.kind != ip_number::IPV6_HEADER_HOP_BY_HOP.0 {
        return None;
    }
    let mut options = from(first.data, 2);
    loop {
        options = match options {
            // Pad1 is the one option without a length (RFC 8200, 4.2).
            [0, rest @ ..] => rest,
            [JUMBO, 4, ..] => {
                let length = bytes::u32(options, 2)?;
                // What 16 bits can say is an error here (RFC 2675, 3).
                return usize::try_from(length).ok().filter(|&l| l > 0xffff);
            }
            [JUMBO, ..] => return None,
            [_, length, ..] => options.get(2 + usize::from(*length)..)?,
            _ => return None,
        };
    }
}

/// Whether an extension header of this number is walked through: those whose next header is in
/// the clear (not ESP) and, as the tables of tshark have it, not behind AH.
fn is_extension(protocol: u8) -> bool {
    const WALKED: [u8; 4] = [
        ip_number::IPV6_HEADER_HOP_BY_HOP.0,
        ip_number::IPV6_ROUTE_HEADER.0,
        ip_number::IPV6_FRAGMENTATION_HEADER.0,
        ip_number::IPV6_DESTINATION_OPTIONS.0,
    ];
    WALKED.contains(&protocol)
}

/// One extension header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extension<'a> {
    /// Its protocol number.
    pub(super) kind: u8,
    /// Its bytes.
    pub(super) data: &'a [u8],
    /// Protocol number of the header behind it.
    pub(super) next: u8,
    /// Offset behind it, from the IPv6 header.
    pub(super) end: usize,
}

impl Extension<'_> {
    /// Fragment offset in units of eight bytes, of a fragment header.
    pub(super) fn fragment_offset(&self) -> Option<u16> {
        (self.kind == ip_number::IPV6_FRAGMENTATION_HEADER.0)
            .then(|| bytes::u16(self.data, 2))
            .flatten()
            .map(|field| field >> 3)
    }
}

/// The extension headers of an IPv6 packet, as long as they are whole.
pub(super) struct Extensions<'a> {
    packet: &'a [u8],
    next: Option<u8>,
    at: usize,
}

impl<'a> Extensions<'a> {
    pub(super) fn new(packet: &'a [u8]) -> Self {
        Self {
            packet,
            next: bytes::u8(packet, 6),
            at: 40,
        }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Extension<'a>;

    fn next(&mut self) -> Option<Extension<'a>> {
        let kind = self.next.take().filter(|&kind| is_extension(kind))?;
        let rest = from(self.packet, self.at);
        let length = if kind == ip_number::IPV6_FRAGMENTATION_HEADER.0 {
            8
        } else {
            (usize::from(bytes::u8(rest, 1)?) + 1) * 8
        };
        let data = rest.get(..length)?;
        let next = bytes::u8(data, 0)?;
        self.at += length;
        self.next = Some(next);
        Some(Extension {
            kind,
            data,
            next,
            end: self.at,
        })
    }
}
