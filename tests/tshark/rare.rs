//! Frames of the link types that are seldom met: old networks, capture cards, Juniper's routers.

use super::links::{ethernet, header, is_ip, join, over_frame_relay, ppp, rfc1042};
use super::packets::{IPV4, IPV6, Packet};

type Frame = Vec<u8>;

const ADDRESSES: [u8; 12] = [0, 0x1b, 0x21, 0, 0, 1, 0, 0x1b, 0x21, 0, 0, 2];

/// The frames of a link type that carry a packet; none where it cannot.
pub(super) fn frames(link: u16, packet: &Packet) -> Vec<Frame> {
    let llc = rfc1042(packet);
    match link {
        3 | 202 => over_ax25(link, packet),
        6 => over_token_ring(packet),
        7 | 129 => over_arcnet(link, packet),
        10 => vec![[&[0x50], &ADDRESSES[..], &llc].concat()],
        // There is IPv4 alone.
        16 | 18 | 19 if packet.kind == IPV4 => vec![packet.bytes.clone()],
        122 => vec![join(&header(16, &[]), &llc)],
        123 => {
            let lane = [
                &[1, 0, 0, 40, 0, 7],
                &ethernet(packet.kind, &packet.bytes)[..],
            ]
            .concat();
            vec![join(&[2, 0, 0, 40], &llc), lane]
        }
        128 => over_tzsp(packet),
        130 | 131 | 135 | 137 | 167 | 178..=181 => over_juniper(link, packet),
        197 => over_erf(packet),
        226 => over_ipnet(packet),
        259 => {
            let whole = ethernet(packet.kind, &packet.bytes);
            let preamble: [&[u8]; 2] = [
                &[0x55, 0xd5, 0x55, 0x55, 0, 1, 0],
                &[0x55, 0x55, 0xd5, 0x55, 0x55, 0, 0, 0],
            ];
            preamble.iter().map(|head| join(head, &whole)).collect()
        }
        _ => vec![],
    }
}

fn over_ax25(link: u16, packet: &Packet) -> Vec<Frame> {
    if packet.kind != IPV4 {
        return vec![];
    }
    let station = |last: u8| [0x96, 0x70, 0x9a, 0x9a, 0x9e, 0x40, 0x60 | last];
    let command: &[u8] = if link == 202 { &[0] } else { &[] };
    let direct = [station(0), station(1)].concat();
    let repeated = [station(0), station(0), station(0), station(1)].concat();
    let mut frames = Vec::new();
    for addresses in [direct, repeated] {
        for head in [[3, 0xcc], [0x42, 0xcc], [3, 0xf0]] {
            frames.push([command, &addresses[..], &head, &packet.bytes].concat());
        }
    }
    frames
}

fn over_token_ring(packet: &Packet) -> Vec<Frame> {
    let llc = rfc1042(packet);
    let mut routed = ADDRESSES;
    routed[6] |= 0x80;
    vec![
        [&[0x10, 0x40], &ADDRESSES[..], &llc].concat(),
        [
            &[0x10, 0x40],
            &routed[..],
            &[6, 0x30, 0, 0x11, 0, 0x20],
            &llc,
        ]
        .concat(),
        // Ring management.
        [&[0x10, 0], &ADDRESSES[..], &llc].concat(),
    ]
}

fn over_arcnet(link: u16, packet: &Packet) -> Vec<Frame> {
    let offset: &[u8] = if link == 129 { &[0, 0] } else { &[] };
    let heads: &[&[u8]] = match packet.kind {
        IPV4 => &[
            &[0xf0],
            &[0xd4, 0, 0, 1],
            &[0xd4, 0xff, 0xff, 0xff, 0, 0, 0, 1],
        ],
        IPV6 => &[&[0xc4, 0, 0, 1]],
        _ => &[],
    };
    let frame = |head: &&[u8]| [&[1, 2], offset, head, &packet.bytes].concat();
    heads.iter().map(frame).collect()
}

fn over_tzsp(packet: &Packet) -> Vec<Frame> {
    let whole = ethernet(packet.kind, &packet.bytes);
    let tags: [&[u8]; 3] = [&[1], &[0, 0, 1], &[10, 1, 0xc0, 18, 2, 0, 6, 1]];
    let with = |tags: &&[u8]| [&[1, 0, 0, 1], *tags, &whole].concat();
    tags.iter().map(with).collect()
}

fn over_juniper(link: u16, packet: &Packet) -> Vec<Frame> {
    let mut bodies = Vec::new();
    let number = match packet.kind {
        IPV4 => Some(0xcc),
        IPV6 => Some(0x8e),
        _ => None,
    };
    match link {
        130 => {
            bodies.extend(ppp(&[], packet));
            bodies.extend(ppp(&[0, 0], packet));
        }
        131 => bodies.extend(number.map(|n| join(&[0, 0, 3, n], &packet.bytes))),
        135 | 137 => {
            let cookie = header(if link == 135 { 8 } else { 4 }, &[]);
            bodies.push(join(&cookie, &rfc1042(packet)));
            if let Some(number) = number {
                bodies.push(join(&cookie, &packet.bytes));
                bodies.push([&cookie[..], &[3, number], &packet.bytes].concat());
            }
        }
        167 | 178 => bodies.push(ethernet(packet.kind, &packet.bytes)),
        179 => bodies.extend(ppp(&[0, 0], packet)),
        180 if is_ip(packet) => bodies.extend(over_frame_relay(packet)),
        181 if is_ip(packet) => {
            let kind = packet.kind.to_be_bytes();
            bodies.push([&[0x0f, 0], &kind[..], &packet.bytes].concat());
        }
        _ => {}
    }
    let mut frames = Vec::new();
    for body in &bodies {
        frames.push(join(b"MGC\x01", body));
        frames.push([b"MGC\x80", &[0, 6, 1, 1, 0, 2, 1, 0][..], body].concat());
    }
    let plain = match packet.kind {
        IPV4 => Some(2),
        IPV6 => Some(6),
        _ => None,
    };
    frames.extend(plain.map(|n| [b"MGC\x03", &[n, 0, 0, 0][..], &packet.bytes].concat()));
    frames
}

fn over_erf(packet: &Packet) -> Vec<Frame> {
    let frame = |kind: u8, extensions: &[u8], body: &[u8]| {
        let wire = u16::try_from(body.len()).unwrap().to_be_bytes();
        let whole = 16 + extensions.len() + body.len();
        let whole = u16::try_from(whole).unwrap().to_be_bytes();
        let head: &[(usize, &[u8])] = &[
            (4, &[0, 0, 0, 0x50]),
            (8, &[kind, 4]),
            (10, &whole),
            (14, &wire),
        ];
        [&header(16, head)[..], extensions, body].concat()
    };
    let whole = join(&[0, 0], &ethernet(packet.kind, &packet.bytes));
    let two = [0x83, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
    let mut frames = vec![
        frame(2, &[], &whole),
        frame(0x82, &two[8..], &whole),
        frame(0x82, &two, &whole),
        frame(11, &[], &whole),
    ];
    frames.extend(ppp(&[0xff, 3], packet).map(|body| frame(1, &[], &body)));
    match packet.kind {
        IPV4 => frames.push(frame(22, &[], &packet.bytes)),
        IPV6 => frames.push(frame(23, &[], &packet.bytes)),
        _ => {}
    }
    frames
}

fn over_ipnet(packet: &Packet) -> Vec<Frame> {
    let family = match packet.kind {
        IPV4 => 2,
        IPV6 => 26,
        _ => return vec![],
    };
    let length = u32::try_from(packet.bytes.len()).unwrap().to_be_bytes();
    let head = header(24, &[(0, &[1, family]), (4, &length)]);
    vec![join(&head, &packet.bytes)]
}
