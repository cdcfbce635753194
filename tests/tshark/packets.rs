//! Network packets to carry: IPv4 with options, IPv6 with extension headers, fragments, ARP, over
//! every transport that has fields.

/// A packet without a link header.
#[derive(Clone)]
pub(crate) struct Packet {
    /// EtherType.
    pub(crate) kind: u16,
    pub(crate) bytes: Vec<u8>,
}

impl Packet {
    /// Protocol number of PPP, if it has one (ARP has none).
    pub(crate) fn ppp(&self) -> Option<u16> {
        match self.kind {
            IPV4 => Some(0x21),
            IPV6 => Some(0x57),
            _ => None,
        }
    }
}

pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const IPV6: u16 = 0x86dd;
pub(crate) const ARP: u16 = 0x0806;

/// Protocol numbers and headers of the transports.
fn transports() -> Vec<(u8, Vec<u8>)> {
    let tcp = |offset: u8, options: &[u8]| {
        let mut header = vec![0x30, 0x39, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, offset << 4, 0x12];
        header.extend([0x20, 0, 0xab, 0xcd, 0, 9]);
        header.extend(options);
        header
    };
    vec![
        (6, tcp(5, &[])),
        (6, tcp(7, &[2, 4, 5, 0xb4, 1, 1, 1, 0])),
        (17, vec![0xc0, 1, 0x23, 0x82, 0, 12, 0x12, 0x34, 1, 2, 3, 4]),
        (
            132,
            vec![0x80, 1, 0x80, 2, 1, 2, 3, 4, 5, 6, 7, 8, 11, 0, 0, 4],
        ),
    ]
}

fn with_icmp(mut transports: Vec<(u8, Vec<u8>)>, protocol: u8, kind: u8) -> Vec<(u8, Vec<u8>)> {
    transports.push((protocol, vec![kind, 0, 0x12, 0x34, 0, 1, 0, 2, 9, 9]));
    transports
}

pub(crate) fn ipv4(options: &[u8], fragment: u16, protocol: u8, body: &[u8]) -> Packet {
    let words = 5 + options.len() / 4;
    let total = u16::try_from(words * 4 + body.len()).unwrap();
    let mut bytes = vec![0x40 | u8::try_from(words).unwrap(), 0x28];
    bytes.extend(total.to_be_bytes());
    bytes.extend([0x12, 0x34]);
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([63, protocol, 0, 0, 10, 1, 2, 3, 192, 0, 2, 9]);
    bytes.extend(options);
    bytes.extend(body);
    Packet { kind: IPV4, bytes }
}

/// IPv6 with extension headers, each its number and its bytes, of which the first is filled in.
pub(crate) fn ipv6(extensions: &[(u8, &[u8])], protocol: u8, body: &[u8]) -> Packet {
    let numbers = extensions.iter().map(|extension| extension.0);
    let mut numbers = numbers.chain([protocol]);
    let mut rest = Vec::new();
    let first = numbers.next().unwrap();
    for ((_, bytes), next) in extensions.iter().zip(numbers) {
        rest.push(next);
        rest.extend(&bytes[1..]);
    }
    rest.extend(body);
    let mut bytes = vec![0x6b, 0xa1, 0x23, 0x45];
    bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
    bytes.extend([first, 61]);
    for last in [1, 2] {
        bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    bytes.extend(rest);
    Packet { kind: IPV6, bytes }
}

pub(crate) fn arp() -> Packet {
    let mut bytes = vec![0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 7, 10, 0, 0, 1];
    bytes.extend([0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    Packet { kind: ARP, bytes }
}

/// One packet of each kind, to be carried by everything.
pub(crate) fn few() -> Vec<Packet> {
    let udp = &transports()[2];
    vec![
        ipv4(&[], 0x4000, 6, &transports()[0].1),
        ipv4(&[1, 1, 1, 0], 0, udp.0, &udp.1),
        ipv6(&[], udp.0, &udp.1),
        ipv6(&[(0, &[0, 0, 1, 4, 0, 0, 0, 0])], 6, &transports()[0].1),
        arp(),
    ]
}

/// Every kind of packet.
pub(crate) fn all() -> Vec<Packet> {
    let mut packets = few();
    packets.extend(all_ipv4());
    packets.extend(all_ipv6());
    packets
}

fn all_ipv4() -> Vec<Packet> {
    // Router alert, record route, a loose source route that is not used up, the longest header.
    let options: [&[u8]; 5] = [
        &[],
        &[0x94, 4, 0, 0],
        &[7, 7, 4, 1, 2, 3, 4, 0],
        &[131, 7, 4, 203, 0, 113, 5, 0],
        &[1; 40],
    ];
    // Whole, reserved bit, first fragment, later fragments.
    let fragments = [0, 0x4000, 0x8000, 0x2000, 0x2005, 0x0007, 0x1fff];
    let mut packets = Vec::new();
    for (protocol, body) in with_icmp(transports(), 1, 8) {
        for options in options {
            packets.push(ipv4(options, 0, protocol, &body));
        }
        for fragment in fragments {
            packets.push(ipv4(&[], fragment, protocol, &body));
        }
        // Total length 0, as segmentation offload leaves it.
        let mut offloaded = ipv4(&[], 0, protocol, &body);
        offloaded.bytes[2..4].fill(0);
        packets.push(offloaded);
    }
    // GRE with checksum, key, sequence number, and all of them.
    for (flags, words) in [
        (0x00, 0),
        (0x80, 1),
        (0x20, 1),
        (0x10, 1),
        (0x30, 2),
        (0xb0, 3),
    ] {
        let mut gre = vec![flags, 0, 8, 0];
        gre.extend((0..words * 4).map(|n| n + 1));
        gre.extend(ipv4(&[], 0, 6, &transports()[0].1).bytes);
        packets.push(ipv4(&[], 0, 47, &gre));
    }
    packets
}

fn all_ipv6() -> Vec<Packet> {
    let hop: (u8, &[u8]) = (0, &[0, 0, 5, 2, 0, 0, 1, 0]);
    let destination: (u8, &[u8]) = (60, &[0, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let routing: (u8, &[u8]) = (
        43,
        &[
            0, 2, 4, 0, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
        ],
    );
    let fragment = |field: [u8; 2]| vec![0, 0, field[0], field[1], 0, 0, 0xca, 0xfe];
    let (atomic, first, later) = (fragment([0, 0]), fragment([0, 1]), fragment([0, 0x29]));
    let chains: Vec<Vec<(u8, &[u8])>> = vec![
        vec![],
        vec![hop],
        vec![destination],
        vec![routing],
        vec![(44, &atomic)],
        vec![(44, &first)],
        vec![(44, &later)],
        vec![hop, destination, routing, (44, &atomic), destination],
        vec![routing, (44, &later)],
        // No next header; AH, mobility, HIP and shim6, which are not walked through.
        vec![(59, &[0; 8])],
        vec![(
            51,
            &[
                0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
            ],
        )],
        vec![(140, &[0, 0, 0x80, 0, 0, 0, 0, 1])],
    ];
    let mut packets = Vec::new();
    for (protocol, body) in with_icmp(transports(), 58, 128) {
        for chain in &chains {
            packets.push(ipv6(chain, protocol, &body));
        }
        packets.extend(without_payload_length(protocol, &body));
    }
    packets
}

/// Payload length 0, which is that of a jumbogram only where an option says its length.
fn without_payload_length(protocol: u8, body: &[u8]) -> Vec<Packet> {
    let chains: [&[(u8, &[u8])]; 9] = [
        &[],
        &[(0, &[0, 0, 5, 2, 0, 0, 1, 0])],
        &[(60, &[0, 0, 0xc2, 4, 0, 2, 0, 0])],
        &[(0, &[0, 0, 0xc2, 4, 0, 2, 0, 0])],
        // Too short for a jumbogram; the option's length is wrong.
        &[(0, &[0, 0, 0xc2, 4, 0, 0, 0xff, 0xff])],
        &[(0, &[0, 0, 0xc2, 2, 0, 2, 0, 0])],
        // Behind Pad1 and PadN; before another header.
        &[(0, &[0, 1, 0, 1, 1, 0, 0xc2, 4, 0, 2, 0, 0, 0, 0, 0, 0])],
        &[
            (0, &[0, 0, 0xc2, 4, 0, 2, 0, 0]),
            (60, &[0, 0, 1, 4, 0, 0, 0, 0]),
        ],
        &[(44, &[0; 8])],
    ];
    let packets = chains.iter().map(|chain| ipv6(chain, protocol, body));
    packets
        .map(|mut packet| {
            packet.bytes[4..6].fill(0);
            packet
        })
        .collect()
}
