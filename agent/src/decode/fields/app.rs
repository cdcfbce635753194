//! Fields behind the transport and of tunnels: GRE, VXLAN, Modbus. They are located when asked
//! for.

use etherparse::ip_number::{GRE, TCP};

use super::transport::tcp_header;
use super::{FieldSpec, FieldValue, bit, field, payload, uint};
use crate::decode::bytes::{self, from, upto};
use crate::decode::packet::{Layer, Packet};
use crate::decode::tunnel::gre_header;
use crate::types::EvType::{Bool, Bytes, UInt8, UInt16, UInt32};

pub(super) static FIELDS: &[FieldSpec] = &[
    field("gre", "Flags", UInt16, "flags and version", |p| {
        uint(bytes::u16(gre(p), 0))
    }),
    field("gre", "Protocol", UInt16, "EtherType of the payload", |p| {
        uint(bytes::u16(gre(p), 2))
    }),
    field("gre", "Checksum", UInt16, "checksum, where present", |p| {
        (bytes::u16(gre(p), 0)? & 0x8000 != 0).then(|| uint(bytes::u16(gre(p), 4)))?
    }),
    field("gre", "Key", UInt32, "key, where present", |p| {
        gre_word(p, 0x2000, 0xc000)
    }),
    field(
        "gre",
        "Sequence",
        UInt32,
        "sequence number, where present",
        |p| gre_word(p, 0x1000, 0xe000),
    ),
    field("gre", "Payload", Bytes, "what follows the header", |p| {
        payload(gre(p), gre_header(gre(p)))
    }),
    field(
        "vxlan",
        "Flags",
        UInt8,
        "flags; 8: the identifier is valid",
        |p| uint(bytes::u8(p.vxlan(), 0)),
    ),
    field("vxlan", "VNI", UInt32, "network identifier", |p| {
        uint(bytes::u32(p.vxlan(), 4).map(|w| w >> 8))
    }),
    field("vxlan", "Payload", Bytes, "the frame inside", |p| {
        payload(p.vxlan(), Some(8))
    }),
    field(
        "modbus",
        "Transaction",
        UInt16,
        "transaction identifier",
        |p| uint(bytes::u16(modbus(p), 0)),
    ),
    field(
        "modbus",
        "Protocol",
        UInt16,
        "protocol identifier, 0",
        |p| uint(bytes::u16(modbus(p), 2)),
    ),
    field(
        "modbus",
        "Length",
        UInt16,
        "bytes that follow the length",
        |p| uint(bytes::u16(modbus(p), 4)),
    ),
    field("modbus", "Unit", UInt8, "unit identifier", |p| {
        uint(bytes::u8(modbus(p), 6))
    }),
    field(
        "modbus",
        "Function",
        UInt8,
        "function code without the exception bit",
        |p| uint(bytes::u8(modbus(p), 7).map(|b| b & 0x7f)),
    ),
    field(
        "modbus",
        "Exception",
        Bool,
        "whether the reply is an exception",
        |p| bit(modbus(p), 7, 0x80),
    ),
    field("modbus", "ReqResp", Bytes, "addresses and values", |p| {
        let length = usize::from(bytes::u16(modbus(p), 4)?);
        payload(upto(modbus(p), 6 + length), Some(8))
    }),
    field(
        "modbus",
        "Payload",
        Bytes,
        "what follows the message, normally nothing",
        |p| {
            let length = usize::from(bytes::u16(modbus(p), 4)?);
            payload(modbus(p), Some(6 + length))
        },
    ),
];

fn gre<'a>(packet: &Packet<'a>) -> &'a [u8] {
    packet.transport_of(GRE.0)
}

/// An optional word of a GRE header, behind those that the `before` bits announce; checksum and
/// routing share one word (RFC 2784, RFC 2890).
fn gre_word<'a>(packet: &Packet<'a>, present: u16, before: u16) -> Option<FieldValue<'a>> {
    let flags = bytes::u16(gre(packet), 0)?;
    if flags & present == 0 {
        return None;
    }
    let mut at = 4;
    for bits in [0xc000, 0x2000] {
        if flags & before & bits != 0 {
            at += 4;
        }
    }
    uint(bytes::u32(gre(packet), at))
}

/// Modbus over TCP port 502; a segment is read as if it began with a message.
fn modbus<'a>(packet: &Packet<'a>) -> &'a [u8] {
    const PORT: u16 = 502;
    if packet.base == Layer::Modbus {
        return packet.frame.data;
    }
    let tcp = packet.transport_of(TCP.0);
    match (packet.ports(), tcp_header(packet)) {
        (Some((source, to)), Some(header)) if source == PORT || to == PORT => from(tcp, header),
        _ => &[],
    }
}
