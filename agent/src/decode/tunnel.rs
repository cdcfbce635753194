//! The packet that a packet carries.

use etherparse::ip_number::{GRE, IPV4, IPV6, UDP};

use super::bytes::{self, from};
use super::packet::{Network, Packet};
use super::walk::{Next, walk};

impl<'a> Packet<'a> {
    /// The packet that this one carries: IP in IP, GRE (and ERSPAN), EtherIP, MPLS in IP, VXLAN,
    /// Geneve, GTP-U, Teredo. Its `frame` fields are those of the outer frame.
    pub fn inner(&self) -> Option<Self> {
        let next = self.carried()?;
        let mut packet = Self::empty(self.frame, self.base);
        walk(&mut packet, next);
        (packet.network_kind != Network::None || !packet.arp.is_empty()).then_some(packet)
    }

    fn carried(&self) -> Option<Next<'a>> {
        let data = self.transport;
        match self.protocol {
            _ if data.is_empty() => None,
            p if p == IPV4.0 => Some(Next::Ipv4(data)),
            p if p == IPV6.0 => Some(Next::Ipv6(data)),
            p if p == GRE.0 => gre(data),
            // EtherIP (RFC 3378): two bytes of version.
            97 => Some(Next::Ethernet(from(data, 2))),
            // MPLS in IP (RFC 4023).
            137 => Some(Next::Mpls(data)),
            p if p == UDP.0 => udp(data),
            _ => None,
        }
    }

    /// The VXLAN header (RFC 7348).
    pub(super) fn vxlan(&self) -> &'a [u8] {
        if self.base == super::Layer::Vxlan {
            return self.frame.data;
        }
        match self.udp_payload_of(&[4789, 8472]) {
            Some(data) => data,
            None => &[],
        }
    }

    fn udp_payload_of(&self, ports: &[u16]) -> Option<&'a [u8]> {
        let udp = self.transport_of(UDP.0);
        let to = bytes::u16(udp, 2)?;
        ports.contains(&to).then(|| from(udp, 8))
    }
}

/// What a GRE packet carries (RFC 2784, RFC 2890, RFC 7637 for bridged Ethernet).
fn gre(data: &[u8]) -> Option<Next<'_>> {
    let (flags, protocol) = (bytes::u16(data, 0)?, bytes::u16(data, 2)?);
    let rest = from(data, gre_header(data)?);
    match protocol {
        // ERSPAN type II has a sequence number, type I none and no header of its own.
        0x88be if flags & 0x1000 != 0 => Some(Next::Ethernet(from(rest, 8))),
        0x88be => Some(Next::Ethernet(rest)),
        0x22eb => {
            let optional = bytes::u8(rest, 11)? & 1 == 1;
            Some(Next::Ethernet(from(rest, if optional { 20 } else { 12 })))
        }
        // WCCP version 2 puts four bytes before the packet, version 1 none.
        0x883e if rest.first()? >> 4 == 4 => Some(Next::Ipv4(rest)),
        0x883e => Some(Next::Ipv4(from(rest, 4))),
        _ => Some(Next::EtherType(protocol, rest)),
    }
}

/// Length of a GRE header: its flags say which words are there.
pub(super) fn gre_header(data: &[u8]) -> Option<usize> {
    let flags = bytes::u16(data, 0)?;
    let mut length = 4;
    // Checksum or routing, key, sequence; acknowledgement in version 1 (RFC 2637).
    for present in [
        flags & 0xc000 != 0,
        flags & 0x2000 != 0,
        flags & 0x1000 != 0,
        flags & 0x0080 != 0 && flags & 7 == 1,
    ] {
        length += if present { 4 } else { 0 };
    }
    if flags & 0x4000 != 0 {
        // Source route entries (RFC 1701): family, offset, length; the last is all zero.
        loop {
            let (family, size) = (bytes::u16(data, length)?, bytes::u8(data, length + 3)?);
            length += 4 + usize::from(size);
            if family == 0 && size == 0 {
                break;
            }
        }
    }
    Some(length)
}

fn udp(data: &[u8]) -> Option<Next<'_>> {
    let (source, to) = (bytes::u16(data, 0)?, bytes::u16(data, 2)?);
    let payload = from(data, 8);
    match to {
        4789 | 8472 => Some(Next::Ethernet(from(payload, 8))),
        6081 => geneve(payload),
        2152 => gtp_user(payload),
        6635 => Some(Next::Mpls(payload)),
        _ if to == 3544 || source == 3544 => teredo(payload),
        _ => None,
    }
}

/// Geneve (RFC 8926): options in words, protocol.
fn geneve(data: &[u8]) -> Option<Next<'_>> {
    let options = usize::from(bytes::u8(data, 0)? & 0x3f) * 4;
    Some(Next::EtherType(
        bytes::u16(data, 2)?,
        from(data, 8 + options),
    ))
}

/// GTP-U (3GPP TS 29.281): a G-PDU, behind the optional word and extension headers.
fn gtp_user(data: &[u8]) -> Option<Next<'_>> {
    const G_PDU: u8 = 255;
    let flags = bytes::u8(data, 0)?;
    if flags >> 4 != 3 || bytes::u8(data, 1)? != G_PDU {
        return None;
    }
    if flags & 7 == 0 {
        return Some(Next::Ip(from(data, 8)));
    }
    let mut at = 12;
    let mut next = bytes::u8(data, 11)?;
    while flags & 4 != 0 && next != 0 {
        let length = usize::from(bytes::u8(data, at)?) * 4;
        if length == 0 {
            return None;
        }
        at += length;
        next = bytes::u8(data, at - 1)?;
    }
    Some(Next::Ip(from(data, at)))
}

/// Teredo (RFC 4380, 5.1.1): perhaps authentication, perhaps an origin indication, then IPv6.
fn teredo(data: &[u8]) -> Option<Next<'_>> {
    let mut rest = data;
    if bytes::u16(rest, 0)? == 1 {
        let (id, value) = (bytes::u8(rest, 2)?, bytes::u8(rest, 3)?);
        rest = from(rest, 13 + usize::from(id) + usize::from(value));
    }
    if bytes::u16(rest, 0)? == 0 {
        rest = from(rest, 8);
    }
    (rest.first()? >> 4 == 6).then_some(Next::Ipv6(rest))
}
