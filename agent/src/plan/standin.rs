//! Stands in for the table of packet fields until it exists.
use crate::types::EvType;
pub(crate) struct FieldSpec {
    pub(crate) protocol: &'static str,
    pub(crate) name: &'static str,
    pub(crate) ty: EvType,
    pub(crate) doc: &'static str,
    pub(crate) either: Option<(u16, u16)>,
}
pub(crate) struct Found {
    pub(crate) index: usize,
}
const fn f(protocol: &'static str, name: &'static str, ty: EvType) -> FieldSpec {
    FieldSpec {
        protocol,
        name,
        ty,
        doc: "",
        either: None,
    }
}
const fn e(protocol: &'static str, name: &'static str, ty: EvType, a: u16, b: u16) -> FieldSpec {
    FieldSpec {
        protocol,
        name,
        ty,
        doc: "",
        either: Some((a, b)),
    }
}
static F: &[FieldSpec] = &[
    f("ipv4", "SrcIP", EvType::Ipv4),
    f("ipv4", "DstIP", EvType::Ipv4),
    e("ipv4", "IP", EvType::Ipv4, 0, 1),
    f("ipv6", "SrcIP", EvType::Ip),
    f("ipv6", "DstIP", EvType::Ip),
    e("ipv6", "IP", EvType::Ip, 3, 4),
    f("tcp", "SrcPort", EvType::UInt16),
    f("tcp", "DstPort", EvType::UInt16),
    e("tcp", "Port", EvType::UInt16, 6, 7),
    f("udp", "SrcPort", EvType::UInt16),
    f("udp", "DstPort", EvType::UInt16),
    e("udp", "Port", EvType::UInt16, 9, 10),
    f("tcp", "Payload", EvType::Bytes),
    f("udp", "Payload", EvType::Bytes),
    f("ipv4", "Length", EvType::UInt16),
    f("ipv4", "Protocol", EvType::UInt8),
    f("eth", "SrcMAC", EvType::Mac),
    f("eth", "DstMAC", EvType::Mac),
    e("eth", "MAC", EvType::Mac, 16, 17),
    f("eth", "Len", EvType::UInt32),
    f("tcp", "RST", EvType::Bool),
];
pub(crate) fn fields() -> &'static [FieldSpec] {
    F
}
pub(crate) fn find(p: &str, n: &str) -> Option<Found> {
    F.iter()
        .position(|f| f.protocol.eq_ignore_ascii_case(p) && f.name.eq_ignore_ascii_case(n))
        .map(|index| Found { index })
}
pub(crate) fn nearest(p: &str, n: &str) -> Option<String> {
    let _ = (p, n);
    None
}
