//! The names and types of packet fields, until the decoder's own table takes this place.

use crate::types::EvType;

/// A packet field.
pub(crate) struct FieldSpec {
    /// Layer.
    pub(crate) protocol: &'static str,
    /// Name within the layer.
    pub(crate) name: &'static str,
    /// Type.
    pub(crate) ty: EvType,
}

/// What a spelling means.
pub(crate) struct Found {
    /// Index into [`fields`].
    pub(crate) index: usize,
    /// Name of the value, if the spelling has one of its own.
    pub(crate) name: Option<&'static str>,
    /// Why it is accepted.
    pub(crate) note: Option<&'static str>,
}

macro_rules! table {
    ($($protocol:literal { $($ty:ident: $($name:ident)+;)+ })+) => {
        &[$($($(FieldSpec { protocol: $protocol, name: stringify!($name), ty: EvType::$ty },)+)+)+]
    };
}

static FIELDS: &[FieldSpec] = table! {
    "eth" { Mac: SrcMAC DstMAC MAC; UInt32: Len; UInt16: Type; Bytes: Payload; }
    "dot1q" { UInt16: VLANID Type; UInt8: Priority; Bool: DropEligible; }
    "dot11" { Mac: Address1 Address2 Address3 Address4; UInt8: Type; Bool: ToDS FromDS; Bytes: Payload; }
    "dot11info" { String: SSID; }
    "ipv4" {
        UInt8: Version IHL TOS TTL Protocol Flag; UInt16: Length ID FragOffset Checksum;
        Ipv4: SrcIP DstIP IP; Bytes: Payload; UInt16: SrcPort DstPort Port;
    }
    "ipv6" {
        UInt8: Version TrafficClass NextHeader HopLimit; UInt32: FlowLabel; UInt16: Length;
        Ip: SrcIP DstIP IP; Bytes: Payload; UInt16: SrcPort DstPort Port;
    }
    "tcp" {
        UInt16: SrcPort DstPort Port Window Checksum Urgent; UInt32: SeqNum AckNum;
        UInt8: DataOffset; Bool: SYN ACK FIN RST PSH URG ECE CWR NS; Bytes: Payload;
    }
    "udp" { UInt16: SrcPort DstPort Port Length Checksum; Bytes: Payload; }
    "icmpv4" { UInt8: Type Code; UInt16: Checksum ID Seq; Bytes: Payload; }
    "icmpv6" { UInt8: Type Code; UInt16: Checksum; Bytes: Payload; }
    "modbus" {
        UInt16: Transaction Protocol Length; UInt8: Unit Function; Bool: Exception;
        Bytes: ReqResp Payload;
    }
    "mpls" { UInt32: Label; UInt8: TrafficClass TTL; Bool: StackBottom; Bytes: Payload; }
};

/// Layer and name.
type Name = (&'static str, &'static str);

/// (protocol, spelling) of names that documents use, and what they mean.
const TOLERATED: &[(Name, Name, &str)] = &[
    (
        ("eth", "Length"),
        ("eth", "Len"),
        "eth.Length is read as eth.Len, the wire length",
    ),
    (
        ("dot1q", "Drop"),
        ("dot1q", "DropEligible"),
        "dot1q.Drop is read as dot1q.DropEligible",
    ),
    (
        ("dot11", "SSID"),
        ("dot11info", "SSID"),
        "dot11.SSID is read as dot11info.SSID",
    ),
    (
        ("ipv4", "Flags"),
        ("ipv4", "Flag"),
        "ipv4.Flags is read as ipv4.Flag",
    ),
    (
        ("tcp", "SrcIP"),
        ("ipv4", "SrcIP"),
        "tcp.SrcIP is read as ipv4.SrcIP",
    ),
    (
        ("tcp", "DstIP"),
        ("ipv4", "DstIP"),
        "tcp.DstIP is read as ipv4.DstIP",
    ),
];

/// Every field.
pub(crate) fn fields() -> &'static [FieldSpec] {
    FIELDS
}

fn position(protocol: &str, name: &str) -> Option<usize> {
    FIELDS.iter().position(|f| {
        f.protocol.eq_ignore_ascii_case(protocol) && f.name.eq_ignore_ascii_case(name)
    })
}

/// A field by its name, in any case.
pub(crate) fn find(protocol: &str, name: &str) -> Option<Found> {
    if let Some(index) = position(protocol, name) {
        let ports = matches!(FIELDS.get(index)?.protocol, "ipv4" | "ipv6")
            && FIELDS.get(index)?.name.ends_with("Port");
        return Some(Found {
            index,
            name: None,
            note: ports.then_some("IP has no ports: this is the TCP or UDP port of the packet"),
        });
    }
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let ((_, spelling), (protocol, name), note) = TOLERATED
        .iter()
        .find(|((p, n), _, _)| same(p, protocol) && same(n, name))?;
    Some(Found {
        index: position(protocol, name)?,
        name: Some(spelling),
        note: Some(note),
    })
}

/// Source and destination of a field that means either side.
pub(crate) fn sides(index: usize) -> Option<(usize, usize)> {
    let field = FIELDS.get(index)?;
    let side = |side: &str| position(field.protocol, &format!("{side}{}", field.name));
    matches!(field.name, "IP" | "Port" | "MAC").then_some((side("Src")?, side("Dst")?))
}

/// The name that differs least.
pub(crate) fn nearest(protocol: &str, name: &str) -> Option<String> {
    let typed = format!("{protocol}.{name}");
    let names: Vec<String> = FIELDS
        .iter()
        .map(|f| format!("{}.{}", f.protocol, f.name))
        .collect();
    super::report::nearest(&typed, names.iter().map(String::as_str)).map(str::to_owned)
}
