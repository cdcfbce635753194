//! Protocol numbers, header sizes, and how far the kernel program walks.

/// EtherType of IPv4 (IEEE 802 numbers, IANA).
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// IEEE 802.1Q customer tag.
pub const ETHERTYPE_VLAN: u16 = 0x8100;
/// IEEE 802.1ad service tag.
pub const ETHERTYPE_QINQ: u16 = 0x88a8;

/// Offset of the EtherType in an Ethernet frame.
pub const ETHERTYPE_OFFSET: usize = 12;
/// Bytes of a VLAN tag.
pub const VLAN_TAG_BYTES: usize = 4;
/// VLAN tags that the kernel program steps over.
pub const MAX_VLAN_TAGS: usize = 4;

/// Bytes of an IPv4 header without options (RFC 791).
pub const IPV4_HEADER_BYTES: usize = 20;
/// Bytes of the fixed IPv6 header (RFC 8200).
pub const IPV6_HEADER_BYTES: usize = 40;
/// Bytes of the IPv6 fragment header.
pub const FRAGMENT_HEADER_BYTES: usize = 8;
/// IPv6 extension headers that the kernel program steps over.
pub const MAX_IPV6_EXTENSIONS: usize = 6;

/// IPv6 hop-by-hop options (RFC 8200).
pub const PROTOCOL_HOP_BY_HOP: u8 = 0;
/// TCP.
pub const PROTOCOL_TCP: u8 = 6;
/// UDP.
pub const PROTOCOL_UDP: u8 = 17;
/// DCCP (RFC 4340).
pub const PROTOCOL_DCCP: u8 = 33;
/// IPv6 routing header (RFC 8200).
pub const PROTOCOL_ROUTING: u8 = 43;
/// IPv6 fragment header (RFC 8200).
pub const PROTOCOL_FRAGMENT: u8 = 44;
/// IPv6 destination options (RFC 8200).
pub const PROTOCOL_DESTINATION_OPTIONS: u8 = 60;
/// SCTP (RFC 9260).
pub const PROTOCOL_SCTP: u8 = 132;
/// UDP-Lite (RFC 3828).
pub const PROTOCOL_UDP_LITE: u8 = 136;

/// Whether the protocol's header starts with a source and a destination port of 16 bits each.
#[inline(always)]
#[must_use]
pub const fn has_ports(protocol: u8) -> bool {
    matches!(
        protocol,
        PROTOCOL_TCP | PROTOCOL_UDP | PROTOCOL_UDP_LITE | PROTOCOL_SCTP | PROTOCOL_DCCP
    )
}

/// Whether this IPv6 next header is an extension with its length, in units of 8 bytes
/// beyond the first 8, in its second byte.
///
/// The fragment header has a fixed length; all others, such as authentication and mobility,
/// count as the end of the walk, as in the user-space decoder.
#[inline(always)]
#[must_use]
pub const fn is_ipv6_extension(next_header: u8) -> bool {
    matches!(
        next_header,
        PROTOCOL_HOP_BY_HOP | PROTOCOL_ROUTING | PROTOCOL_DESTINATION_OPTIONS
    )
}

/// The IPv4-mapped IPv6 address `::ffff:a.b.c.d` (RFC 4291, 2.5.5.2).
#[inline(always)]
#[must_use]
pub const fn map_ipv4(address: [u8; 4]) -> [u8; 16] {
    let [a, b, c, d] = address;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}
