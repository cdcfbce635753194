//! The layers of one frame, as slices of its bytes.

use etherparse::ip_number::{DCCP, SCTP, TCP, UDP, UDP_LITE};

use super::bytes;
use super::linktype;
use super::network::Extensions;
use super::walk::{Next, walk};
use crate::frame::{Frame, LinkType};

/// Which network header a packet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    None,
    V4,
    V6,
}

/// A layer at which bytes can start (`packetlayer`, `packet -e`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A frame, from its link header on.
    Frame,
    /// Ethernet.
    Ethernet,
    /// 802.1Q tag control information.
    Dot1q,
    /// 802.11.
    Dot11,
    /// A label stack entry.
    Mpls,
    /// ARP.
    Arp,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// ICMP.
    Icmpv4,
    /// ICMPv6.
    Icmpv6,
    /// GRE.
    Gre,
    /// VXLAN.
    Vxlan,
    /// Modbus/TCP.
    Modbus,
}

impl Layer {
    /// The layer of a protocol name of the field table.
    pub fn of_protocol(protocol: &str) -> Option<Self> {
        const NAMES: &[(&str, Layer)] = &[
            ("eth", Layer::Ethernet),
            ("dot1q", Layer::Dot1q),
            ("dot11", Layer::Dot11),
            ("dot11info", Layer::Dot11),
            ("mpls", Layer::Mpls),
            ("arp", Layer::Arp),
            ("ipv4", Layer::Ipv4),
            ("ipv6", Layer::Ipv6),
            ("tcp", Layer::Tcp),
            ("udp", Layer::Udp),
            ("sctp", Layer::Sctp),
            ("icmpv4", Layer::Icmpv4),
            ("icmpv6", Layer::Icmpv6),
            ("gre", Layer::Gre),
            ("vxlan", Layer::Vxlan),
            ("modbus", Layer::Modbus),
        ];
        NAMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(protocol))
            .map(|&(_, layer)| layer)
    }
}

/// The layers of one frame. A layer is the bytes from its header to the end of the packet that
/// holds it (padding cut off); an absent one is empty, so that reading a field of it gives
/// nothing.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The frame that holds the packet, for what the capture says of it.
    pub(super) frame: Frame<'a>,
    /// Where the bytes started.
    pub(super) base: Layer,
    pub(super) network_kind: Network,
    /// Protocol of `transport`.
    pub(super) protocol: u8,
    /// The outermost Ethernet header.
    pub(super) ethernet: &'a [u8],
    pub(super) dot11: &'a [u8],
    /// Whether the MAC header of `dot11` takes a multiple of four bytes.
    pub(super) dot11_padded: bool,
    /// The outermost VLAN tag, from its tag control information on.
    pub(super) vlan: &'a [u8],
    /// The first label stack entry.
    pub(super) mpls: &'a [u8],
    pub(super) arp: &'a [u8],
    /// The outermost IP header.
    pub(super) network: &'a [u8],
    /// What follows the IP header and its extension headers; empty in a fragment that is not the
    /// first.
    pub(super) transport: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The layers of a frame, down to the transport header behind the outermost IP header.
    #[inline]
    pub fn decode(frame: &Frame<'a>) -> Self {
        let mut packet = Self::empty(*frame, Layer::Frame);
        let first = match frame.link_type {
            LinkType(1) => Next::Ethernet(frame.data),
            other => linktype::first(other, frame.data),
        };
        walk(&mut packet, first);
        packet
    }

    /// The layers of bytes that start with the header of a layer, such as the payload of a
    /// tunnel.
    pub fn start_at(layer: Layer, data: &'a [u8]) -> Self {
        let frame = Frame {
            time_ns: None,
            wire_len: u32::try_from(data.len()).unwrap_or(u32::MAX),
            link_type: LinkType(1),
            interface: "",
            offset: 0,
            data,
        };
        let mut packet = Self::empty(frame, layer);
        match layer {
            Layer::Frame | Layer::Ethernet => walk(&mut packet, Next::Ethernet(data)),
            Layer::Dot1q => walk(&mut packet, Next::Vlan(data)),
            Layer::Dot11 => walk(&mut packet, Next::Dot11(data)),
            Layer::Mpls => walk(&mut packet, Next::Mpls(data)),
            Layer::Arp => packet.arp = data,
            Layer::Ipv4 => walk(&mut packet, Next::Ipv4(data)),
            Layer::Ipv6 => walk(&mut packet, Next::Ipv6(data)),
            Layer::Tcp => packet.set_transport(TCP.0, data),
            Layer::Udp => packet.set_transport(UDP.0, data),
            Layer::Sctp => packet.set_transport(SCTP.0, data),
            Layer::Icmpv4 => packet.set_transport(etherparse::ip_number::ICMP.0, data),
            Layer::Icmpv6 => packet.set_transport(etherparse::ip_number::IPV6_ICMP.0, data),
            Layer::Gre => packet.set_transport(etherparse::ip_number::GRE.0, data),
            // Found through `base`: they have no place of their own in a packet.
            Layer::Vxlan | Layer::Modbus => {}
        }
        packet
    }

    pub(super) fn empty(frame: Frame<'a>, base: Layer) -> Self {
        Self {
            frame,
            base,
            network_kind: Network::None,
            protocol: 0,
            ethernet: &[],
            dot11: &[],
            dot11_padded: false,
            vlan: &[],
            mpls: &[],
            arp: &[],
            network: &[],
            transport: &[],
        }
    }

    #[inline]
    pub(super) fn set_transport(&mut self, protocol: u8, data: &'a [u8]) {
        self.protocol = protocol;
        self.transport = data;
    }

    /// The transport header if it is of this protocol, else nothing.
    #[inline]
    pub(super) fn transport_of(&self, protocol: u8) -> &'a [u8] {
        if self.protocol == protocol {
            self.transport
        } else {
            &[]
        }
    }

    /// The network header if it is of this family, else nothing.
    #[inline]
    pub(super) fn network_of(&self, kind: Network) -> &'a [u8] {
        if self.network_kind == kind {
            self.network
        } else {
            &[]
        }
    }

    /// Source and destination port of a transport that has them.
    #[inline]
    pub(super) fn ports(&self) -> Option<(u16, u16)> {
        let protocol = self.protocol;
        if ![TCP.0, UDP.0, SCTP.0, DCCP.0, UDP_LITE.0].contains(&protocol) {
            return None;
        }
        let [a, b, c, d] = bytes::array(self.transport, 0)?;
        Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
    }

    /// Whether it is a fragment other than the first, which has no ports.
    pub fn is_later_fragment(&self) -> bool {
        match self.network_kind {
            Network::None => false,
            Network::V4 => bytes::u16(self.network, 6).is_some_and(|field| field & 0x1fff != 0),
            Network::V6 => Extensions::new(self.network).any(|extension| {
                extension
                    .fragment_offset()
                    .is_some_and(|offset| offset != 0)
            }),
        }
    }
}
