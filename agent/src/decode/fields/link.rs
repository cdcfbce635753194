//! Fields of link layers: Ethernet, VLAN, 802.11, MPLS, ARP.

use std::borrow::Cow;

use super::{FieldSpec, FieldValue, bit, field, mac, payload, uint};
use crate::decode::bytes::{self, from};
use crate::decode::dot11;
use crate::decode::packet::Packet;
use crate::types::EvType::{Bool, Bytes, Ipv4, Mac, String, UInt8, UInt16, UInt32};

pub(super) static FIELDS: &[FieldSpec] = &[
    field("eth", "SrcMAC", Mac, "source address", |p| {
        mac(p.ethernet, 6)
    }),
    field("eth", "DstMAC", Mac, "destination address", |p| {
        mac(p.ethernet, 0)
    }),
    field("eth", "MAC", Mac, "address of either side", |p| {
        mac(p.ethernet, 6)
    })
    .either("SrcMAC", "DstMAC"),
    field(
        "eth",
        "Len",
        UInt32,
        "bytes of the frame on the wire",
        |p| (!p.ethernet.is_empty()).then_some(FieldValue::UInt(u64::from(p.frame.wire_len))),
    )
    .alias(&[("eth", "Length")]),
    field(
        "eth",
        "Type",
        UInt16,
        "EtherType, or length if below 1501",
        |p| uint(bytes::u16(p.ethernet, 12)),
    ),
    field(
        "eth",
        "Payload",
        Bytes,
        "what follows the Ethernet header",
        |p| payload(p.ethernet, Some(14)),
    ),
    field(
        "dot1q",
        "VLANID",
        UInt16,
        "VLAN of the outermost tag",
        |p| vlan_id(p.vlan),
    ),
    field(
        "dot1q",
        "Priority",
        UInt8,
        "priority of the outermost tag",
        |p| uint(bytes::u8(p.vlan, 0).map(|b| b >> 5)),
    ),
    field(
        "dot1q",
        "DropEligible",
        Bool,
        "drop eligible bit of the outermost tag",
        |p| bit(p.vlan, 0, 0x10),
    )
    .alias(&[("dot1q", "Drop")]),
    field(
        "dot1q",
        "Type",
        UInt16,
        "EtherType behind the outermost tag",
        |p| uint(bytes::u16(p.vlan, 2)),
    )
    .alias(&[("dot1q", "VType")]),
    field(
        "dot1q",
        "InnerVLANID",
        UInt16,
        "VLAN of the innermost of several tags",
        |p| vlan_id(inner_vlan(p)),
    ),
    field(
        "dot1q",
        "InnerPriority",
        UInt8,
        "priority of the innermost of several tags",
        |p| uint(bytes::u8(inner_vlan(p), 0).map(|b| b >> 5)),
    ),
    field(
        "dot1q",
        "InnerType",
        UInt16,
        "EtherType behind the innermost of several tags",
        |p| uint(bytes::u16(inner_vlan(p), 2)),
    ),
    field("dot1q", "Depth", UInt8, "number of tags", |p| {
        let depth = vlan_tags(p).count();
        (depth > 0).then_some(FieldValue::UInt(depth.min(255) as u64))
    }),
    field(
        "dot11",
        "Type",
        UInt8,
        "0 management, 1 control, 2 data",
        |p| uint(bytes::u8(p.dot11, 0).map(|b| b >> 2 & 3)),
    ),
    field("dot11", "Subtype", UInt8, "subtype", |p| {
        uint(bytes::u8(p.dot11, 0).map(|b| b >> 4))
    }),
    field("dot11", "ToDS", Bool, "to the distribution system", |p| {
        bit(p.dot11, 1, 1)
    }),
    field(
        "dot11",
        "FromDS",
        Bool,
        "from the distribution system",
        |p| bit(p.dot11, 1, 2),
    ),
    field("dot11", "Address1", Mac, "receiver", |p| mac(p.dot11, 4)),
    field("dot11", "Address2", Mac, "transmitter", |p| {
        dot11_address(p, 10)
    }),
    field("dot11", "Address3", Mac, "third address", |p| {
        dot11_address(p, 16)
    }),
    field(
        "dot11",
        "Address4",
        Mac,
        "fourth address, between access points",
        |p| (bytes::u8(p.dot11, 1)? & 3 == 3).then(|| dot11_address(p, 24))?,
    ),
    field("dot11", "Payload", Bytes, "frame body", |p| {
        dot11::body(p).map(FieldValue::Bytes)
    }),
    field(
        "dot11info",
        "SSID",
        String,
        "network name that a management frame states",
        ssid,
    )
    .alias(&[("dot11", "SSID")]),
    field("mpls", "Label", UInt32, "first label", |p| {
        uint(bytes::u32(p.mpls, 0).map(|e| e >> 12))
    }),
    field(
        "mpls",
        "TrafficClass",
        UInt8,
        "traffic class of the first label",
        |p| uint(bytes::u8(p.mpls, 2).map(|b| b >> 1 & 7)),
    ),
    field(
        "mpls",
        "StackBottom",
        Bool,
        "whether the first label is the last",
        |p| bit(p.mpls, 2, 1),
    ),
    field(
        "mpls",
        "TTL",
        UInt8,
        "time to live of the first label",
        |p| uint(bytes::u8(p.mpls, 3)),
    ),
    field(
        "mpls",
        "Payload",
        Bytes,
        "what follows the first label",
        |p| payload(p.mpls, Some(4)),
    ),
    field("arp", "HardwareType", UInt16, "1 Ethernet", |p| {
        uint(bytes::u16(p.arp, 0))
    }),
    field(
        "arp",
        "ProtocolType",
        UInt16,
        "EtherType of the addresses",
        |p| uint(bytes::u16(p.arp, 2)),
    ),
    field("arp", "Operation", UInt16, "1 request, 2 reply", |p| {
        uint(bytes::u16(p.arp, 6))
    }),
    field(
        "arp",
        "SenderMAC",
        Mac,
        "hardware address of the sender",
        |p| arp_mac(p, 0),
    ),
    field("arp", "SenderIP", Ipv4, "IPv4 address of the sender", |p| {
        arp_ip(p, 0)
    }),
    field(
        "arp",
        "TargetMAC",
        Mac,
        "hardware address of the target",
        |p| arp_mac(p, 1),
    ),
    field("arp", "TargetIP", Ipv4, "IPv4 address of the target", |p| {
        arp_ip(p, 1)
    }),
];

fn vlan_id<'a>(tag: &[u8]) -> Option<FieldValue<'a>> {
    uint(bytes::u16(tag, 0).map(|tci| tci & 0xfff))
}

/// The tags of a packet, each from its tag control information on, the outermost first.
fn vlan_tags<'a>(packet: &Packet<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let first = Some(packet.vlan).filter(|tag| !tag.is_empty());
    std::iter::successors(first, |tag| match bytes::u16(tag, 2)? {
        0x8100 | 0x88a8 | 0x9100 => Some(from(tag, 4)),
        _ => None,
    })
}

fn inner_vlan<'a>(packet: &Packet<'a>) -> &'a [u8] {
    vlan_tags(packet).skip(1).last().unwrap_or_default()
}

/// An address of a management or data frame; control frames have other layouts.
fn dot11_address<'a>(packet: &Packet<'a>, at: usize) -> Option<FieldValue<'a>> {
    let control = bytes::u8(packet.dot11, 0)?;
    (control >> 2 & 3 != 1).then(|| mac(packet.dot11, at))?
}

/// The SSID element (IEEE 802.11, 9.4.2.2) behind the fixed fields of the management frame.
fn ssid<'a>(packet: &Packet<'a>) -> Option<FieldValue<'a>> {
    let control = bytes::u8(packet.dot11, 0)?;
    if control & 0x0c != 0 {
        return None;
    }
    let fixed = match control >> 4 {
        // Association request; reassociation request; probe request; probe response and beacon.
        0 => 4,
        2 => 10,
        4 => 0,
        5 | 8 => 12,
        _ => return None,
    };
    let mut rest = dot11::body(packet)?.get(fixed..)?;
    while let [kind, length, elements @ ..] = rest {
        let (value, after) = elements.split_at_checked(usize::from(*length))?;
        if *kind == 0 {
            return Some(FieldValue::String(bytes_text(value)));
        }
        rest = after;
    }
    None
}

fn bytes_text(value: &[u8]) -> Cow<'_, str> {
    std::string::String::from_utf8_lossy(value)
}

/// The hardware address of the sender (0) or target (1), where the hardware has MAC addresses:
/// Ethernet and IEEE 802.
fn arp_mac<'a>(packet: &Packet<'a>, side: usize) -> Option<FieldValue<'a>> {
    let [hardware, protocol] = bytes::array(packet.arp, 4)?;
    let at = 8 + side * (usize::from(hardware) + usize::from(protocol));
    let is_mac = hardware == 6 && matches!(bytes::u16(packet.arp, 0)?, 1 | 6);
    is_mac.then(|| mac(packet.arp, at))?
}

/// The protocol address of the sender (0) or target (1), where it is IPv4.
fn arp_ip<'a>(packet: &Packet<'a>, side: usize) -> Option<FieldValue<'a>> {
    let [hardware, protocol] = bytes::array(packet.arp, 4)?;
    let hardware = usize::from(hardware);
    let at = 8 + hardware + side * (hardware + usize::from(protocol));
    let is_ipv4 = protocol == 4 && bytes::u16(packet.arp, 2)? == 0x0800;
    is_ipv4.then(|| bytes::u32(packet.arp, at).map(FieldValue::Ipv4))?
}
