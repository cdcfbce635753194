//! Link headers and encapsulations to carry packets in, for each link type.

use super::packets::{IPV4, IPV6, Packet};
use super::rare;

type Frame = Vec<u8>;

pub(super) fn join(head: &[u8], rest: &[u8]) -> Frame {
    [head, rest].concat()
}

fn typed(head: &[u8], kind: u16, rest: &[u8]) -> Frame {
    [head, &kind.to_be_bytes(), rest].concat()
}

pub(super) fn ethernet(kind: u16, rest: &[u8]) -> Frame {
    // Addresses of known makers: by them tshark tells a frame behind MPLS.
    typed(
        &[0, 0x1b, 0x21, 0, 0, 1, 0, 0x1b, 0x21, 0, 0, 2],
        kind,
        rest,
    )
}

/// An 802.3 frame: a length in the place of the EtherType.
fn with_length(rest: &[u8]) -> Frame {
    ethernet(u16::try_from(rest.len()).unwrap(), rest)
}

fn snap(organisation: [u8; 3], kind: u16, rest: &[u8]) -> Frame {
    let mut head = vec![0xaa, 0xaa, 3];
    head.extend(organisation);
    typed(&head, kind, rest)
}

pub(super) fn rfc1042(packet: &Packet) -> Frame {
    snap([0; 3], packet.kind, &packet.bytes)
}

/// PPP with its protocol field whole, behind a head; nothing of a packet that PPP cannot carry.
pub(super) fn ppp(head: &[u8], packet: &Packet) -> Option<Frame> {
    Some(typed(head, packet.ppp()?, &packet.bytes))
}

fn ppp_variants(packet: &Packet) -> Vec<Frame> {
    let Some(number) = packet.ppp() else {
        return vec![];
    };
    let short = u8::try_from(number).unwrap();
    let whole = ethernet(packet.kind, &packet.bytes);
    vec![
        // Another control byte; an EtherType; bridging; multilink, whole and the first part.
        typed(&[0xff, 0x13], number, &packet.bytes),
        typed(&[0xff, 3], packet.kind, &packet.bytes),
        join(&[0xff, 3, 0, 0x31, 0, 1], &whole),
        typed(&[0xff, 3, 0, 0x3d, 0xc0, 0, 0, 1], number, &packet.bytes),
        typed(&[0xff, 3, 0, 0x3d, 0x80, 0, 0, 2], number, &packet.bytes),
        join(&[0xff, 3, 0, 0x4b], &rfc1042(packet)),
        typed(&[0xff, 3], number, &packet.bytes),
        typed(&[], number, &packet.bytes),
        join(&[0xff, 3, short], &packet.bytes),
        join(&[short], &packet.bytes),
    ]
}

fn pppoe(packet: &Packet) -> Option<Frame> {
    let body = ppp(&[], packet)?;
    let length = u16::try_from(body.len()).unwrap();
    Some(typed(&[0x11, 0, 0, 7], length, &body))
}

pub(super) fn is_ip(packet: &Packet) -> bool {
    packet.ppp().is_some()
}

/// VLAN tags over a packet, the outermost first.
fn tagged(tags: &[u16], packet: &Packet) -> Frame {
    let mut rest = packet.bytes.clone();
    let mut kind = packet.kind;
    for (tag, id) in tags
        .iter()
        .zip(1_u8..)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
    {
        rest = typed(&[0x60, id], kind, &rest);
        kind = *tag;
    }
    ethernet(kind, &rest)
}

fn label_stack(depth: u8, rest: &[u8]) -> Frame {
    let entries = (1..=depth).flat_map(|n| [0, 1, n << 4 | 4 | u8::from(n == depth), 60 + n]);
    join(&entries.collect::<Vec<u8>>(), rest)
}

fn over_ethernet(packet: &Packet) -> Vec<Frame> {
    let mut frames = vec![ethernet(packet.kind, &packet.bytes)];
    for tag in [0x8100, 0x88a8, 0x9100] {
        frames.extend((1..=5).map(|depth| tagged(&vec![tag; depth], packet)));
    }
    frames.push(tagged(&[0x88a8, 0x8100], packet));
    frames.push(tagged(&[0x9100, 0x8100], packet));
    frames.extend(over_mpls(packet));
    frames.extend(over_llc(packet));
    let inner = typed(&[], packet.kind, &packet.bytes);
    let whole = ethernet(packet.kind, &packet.bytes);
    for (kind, head) in [
        // VN-Tag, E-TAG, HSR, R-TAG, Cisco MetaData.
        (0x8926, &[0, 1, 0, 2][..]),
        (0x893f, &[0, 0, 0x10, 1, 0, 0]),
        (0x892f, &[0, 52, 0, 1]),
        (0xf1c1, &[0, 0, 0, 1]),
        (0x8909, &[1, 1, 0, 1, 0, 16]),
    ] {
        frames.push(ethernet(kind, &join(head, &inner)));
    }
    // I-TAG and transparent Ethernet bridging: a frame in the frame.
    frames.push(ethernet(0x88e7, &join(&[0, 0, 0, 1], &whole)));
    frames.push(ethernet(0x6558, &whole));
    // MACsec without encryption: check value behind; then with the channel in the tag.
    let check = [0x5a; 16];
    let macsec = |head: &[u8]| [head, &inner, &check].concat();
    frames.push(ethernet(0x88e5, &macsec(&[0, 0, 0, 0, 0, 1])));
    let channel = [0x20, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0, 1];
    frames.push(ethernet(0x88e5, &macsec(&channel)));
    frames.extend(over_nsh(packet));
    frames.extend(over_fabric(packet));
    if let Some(session) = pppoe(packet) {
        frames.push(ethernet(0x8864, &session));
        let mut other_code = session.clone();
        other_code[1] = 9;
        frames.push(ethernet(0x8864, &other_code));
        let tagged_session = Packet {
            kind: 0x8864,
            bytes: session,
        };
        frames.push(tagged(&[0x8100, 0x8100], &tagged_session));
    }
    frames
}

fn over_mpls(packet: &Packet) -> Vec<Frame> {
    let mut frames = Vec::new();
    if is_ip(packet) {
        for depth in 1..=3 {
            frames.push(ethernet(0x8847, &label_stack(depth, &packet.bytes)));
        }
        frames.push(ethernet(0x8848, &label_stack(1, &packet.bytes)));
        let labelled = Packet {
            kind: 0x8847,
            bytes: label_stack(2, &packet.bytes),
        };
        frames.push(tagged(&[0x8100], &labelled));
    }
    // A pseudo-wire with control word, and without one.
    let whole = ethernet(packet.kind, &packet.bytes);
    frames.push(ethernet(0x8847, &label_stack(1, &join(&[0; 4], &whole))));
    frames.push(ethernet(0x8847, &label_stack(1, &whole)));
    frames
}

fn over_llc(packet: &Packet) -> Vec<Frame> {
    let whole = ethernet(packet.kind, &packet.bytes);
    let mut frames = vec![
        with_length(&rfc1042(packet)),
        with_length(&snap([0, 0, 0xf8], packet.kind, &packet.bytes)),
        with_length(&snap([0, 0x80, 0xc2], 7, &join(&[0, 0], &whole))),
        ethernet(0x8870, &rfc1042(packet)),
    ];
    if packet.kind == IPV4 {
        frames.push(with_length(&join(&[6, 6, 3], &packet.bytes)));
    }
    frames
}

/// Meshes, fabrics and time stamps: batman-adv of two versions, TRILL, FabricPath, ISL, Arista.
fn over_fabric(packet: &Packet) -> Vec<Frame> {
    let whole = ethernet(packet.kind, &packet.bytes);
    let inner = typed(&[], packet.kind, &packet.bytes);
    let mut frames = Vec::new();
    for (kind, length, start) in [
        (0x4305, 10, &[0x40, 15][..]),
        (0x4305, 18, &[0x42, 15]),
        (0x4305, 14, &[1, 15]),
        (0x4305, 10, &[3, 14]),
        // A version that tshark does not read.
        (0x4305, 10, &[0x40, 16]),
        (0x22f3, 6, &[0, 1]),
        (0x22f3, 14, &[0, 0x81]),
        (0x8903, 2, &[0, 0x40]),
    ] {
        let head = header(length, &[(0, start)]);
        // tshark takes the last four bytes behind FabricPath for a check sequence.
        frames.push(ethernet(kind, &[&head[..], &whole, &[0; 4]].concat()));
    }
    for (length, version) in [(12, 0x10), (10, 0x20), (10, 0x30)] {
        let head = header(length, &[(0, &[0, 1, 0, version])]);
        frames.push(ethernet(0xd28b, &join(&head, &inner)));
    }
    let length = u16::try_from(12 + whole.len() + 4).unwrap().to_be_bytes();
    for first in [1, 0x0c] {
        let head: &[(usize, &[u8])] = &[
            (0, &[first, 0, 0x0c, 0, 0, 0]),
            (6, &[0, 0x1b, 0x21, 0, 0, 2]),
            (12, &length),
            (14, &[0xaa, 0xaa, 3, 0, 0, 0x0c]),
        ];
        frames.push([&header(26, head)[..], &whole, &[1, 2, 3, 4]].concat());
    }
    frames
}

fn over_nsh(packet: &Packet) -> Vec<Frame> {
    let header = |next| [0, 2, 2, next, 0, 0, 1, 255];
    let whole = ethernet(packet.kind, &packet.bytes);
    let mut frames = vec![ethernet(0x894f, &join(&header(3), &whole))];
    match packet.kind {
        IPV4 => frames.push(ethernet(0x894f, &join(&header(1), &packet.bytes))),
        IPV6 => frames.push(ethernet(0x894f, &join(&header(2), &packet.bytes))),
        _ => {}
    }
    frames
}

fn station(last: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, last]
}

/// The MAC header of an 802.11 data frame, of which the two lowest flags are the direction.
fn wireless_header(control: u8, flags: u8, quality: &[u8]) -> Frame {
    let mut header = vec![control, flags, 0, 0];
    for last in 1..=3 {
        header.extend(station(last));
    }
    header.extend([0x10, 0]);
    if flags & 3 == 3 {
        header.extend(station(4));
    }
    header.extend(quality);
    header
}

/// Headers and bodies of 802.11 data frames: every direction, with quality of service, an HT
/// field, aggregated, of a mesh.
fn wireless_parts(packet: &Packet) -> Vec<(Frame, Frame)> {
    let body = rfc1042(packet);
    let mut parts = Vec::new();
    for direction in 0..=3 {
        for (control, order, quality) in [
            (0x08, 0, &[][..]),
            (0x88, 0, &[5, 0]),
            (0x88, 0x80, &[5, 0, 0, 0, 0, 0]),
        ] {
            let header = wireless_header(control, direction | order, quality);
            parts.push((header, body.clone()));
        }
        let length = u16::try_from(body.len()).unwrap();
        let aggregated = typed(&[station(1), station(2)].concat(), length, &body);
        parts.push((wireless_header(0x88, direction, &[0x85, 0]), aggregated));
    }
    for (direction, addresses) in [(2, 0), (2, 1), (3, 0), (3, 2)] {
        let mut control = vec![addresses, 31, 1, 0, 0, 0];
        control.extend((0..addresses).flat_map(|n| station(7 + n)));
        let header = wireless_header(0x88, direction, &[5, 1]);
        parts.push((header, join(&control, &body)));
    }
    parts
}

fn over_wireless(packet: &Packet) -> Vec<Frame> {
    let parts = wireless_parts(packet);
    let mut frames: Vec<Frame> = parts.iter().map(|(head, body)| join(head, body)).collect();
    let body = rfc1042(packet);
    // Ethernet in the place of LLC, and padding before it; a first fragment; another protocol.
    for (direction, addresses) in [
        (0, [1, 2]),
        (1, [3, 9]),
        (2, [9, 3]),
        (3, [3, 4]),
        (2, [8, 9]),
    ] {
        let ethernet = addresses.map(station).concat();
        let ethernet = typed(&ethernet, packet.kind, &packet.bytes);
        frames.push(join(&wireless_header(8, direction, &[]), &ethernet));
    }
    frames.push([&wireless_header(8, 2, &[])[..], &[0, 0], &body].concat());
    frames.push(join(&wireless_header(8, 6, &[]), &body));
    frames.push(join(&wireless_header(9, 2, &[]), &body));
    frames
}

fn over_radiotap(packet: &Packet) -> Vec<Frame> {
    let heads: [&[u8]; 4] = [
        &[0, 0, 8, 0, 0, 0, 0, 0],
        &[0, 0, 9, 0, 2, 0, 0, 0, 0],
        // Time, then flags that say that a check sequence follows the frame.
        &[0, 0, 17, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x10],
        // A second presence word.
        &[0, 0, 13, 0, 2, 0, 0, 0x80, 0, 0, 0, 0, 0x10],
    ];
    let mut frames = Vec::new();
    for head in heads {
        let checked = head.len() > 9;
        for frame in over_wireless(packet) {
            let mut frame = join(head, &frame);
            if checked {
                frame.extend([1, 2, 3, 4]);
            }
            frames.push(frame);
        }
    }
    // The MAC header padded to a multiple of four bytes.
    for (mut header, body) in wireless_parts(packet) {
        header.resize(header.len().next_multiple_of(4), 0);
        frames.push([&[0, 0, 9, 0, 2, 0, 0, 0, 0x20], &header[..], &body].concat());
    }
    frames
}

fn over_family(packet: &Packet, little: bool, big: bool, head: &[u8]) -> Vec<Frame> {
    let families: &[u32] = match packet.kind {
        IPV4 => &[2],
        IPV6 => &[24, 28, 30],
        _ => &[],
    };
    let mut frames = Vec::new();
    for family in families {
        let orders = [(little, family.to_le_bytes()), (big, family.to_be_bytes())];
        for (_, order) in orders.iter().filter(|(wanted, _)| *wanted) {
            frames.push([order, head, &packet.bytes].concat());
        }
    }
    frames
}

pub(super) fn over_frame_relay(packet: &Packet) -> Vec<Frame> {
    let mut frames = vec![
        typed(&[0x18, 0x41], packet.kind, &packet.bytes),
        [
            &[0x18, 0x41, 3, 0, 0x80, 0, 0, 0],
            &packet.kind.to_be_bytes()[..],
            &packet.bytes,
        ]
        .concat(),
    ];
    let number = match packet.kind {
        IPV4 => 0xcc,
        IPV6 => 0x8e,
        _ => return frames,
    };
    let whole = ethernet(packet.kind, &packet.bytes);
    frames.push(join(&[0x18, 0x41, 3, 0x80, 0, 0x80, 0xc2, 0, 7], &whole));
    frames.push(join(&[0x18, 0x41, 3, number], &packet.bytes));
    frames.push(join(&[0x18, 0x40, 0x41, 3, number], &packet.bytes));
    frames.push(join(&[0x18, 0x40, 0x40, 0x41, 3, number], &packet.bytes));
    frames.extend(ppp(&[0x18, 0x41, 3, 0xcf], packet));
    frames
}

fn over_nflog(packet: &Packet) -> Vec<Frame> {
    let family = match packet.kind {
        IPV4 => 2,
        IPV6 => 10,
        _ => return vec![],
    };
    let length = u16::try_from(4 + packet.bytes.len()).unwrap();
    // A prefix of three bytes, padded, before the payload; tshark wants the file's byte order.
    let prefix = [family, 0, 0, 0, 7, 0, 10, 0, b'a', b'b', 0, 0];
    vec![[&prefix[..], &length.to_le_bytes(), &[9, 0], &packet.bytes].concat()]
}

/// Hardware types, protocols and what they carry, of Linux cooked frames.
fn cooked_parts(packet: &Packet) -> Vec<(u16, u16, Frame)> {
    let whole = ethernet(packet.kind, &packet.bytes);
    let mut parts = vec![
        (1, packet.kind, packet.bytes.clone()),
        (1, 3, whole.clone()),
        (1, 4, rfc1042(packet)),
        (803, packet.kind, packet.bytes.clone()),
        (778, 0x88be, whole.clone()),
        (778, 0x6558, whole),
        (824, packet.kind, packet.bytes.clone()),
    ];
    parts.extend(ppp(&[0xff, 3], packet).map(|frame| (1, 7, frame)));
    parts.extend(ppp(&[], packet).map(|frame| (778, 0x880b, frame)));
    let over_radio = over_radiotap(packet).into_iter().take(1);
    parts.extend(over_radio.map(|frame| (803, 4, frame)));
    if is_ip(packet) {
        let relayed = over_frame_relay(packet).into_iter();
        parts.extend(relayed.map(|frame| (770, 0, frame)));
    }
    parts
}

fn cooked(packet: &Packet) -> Vec<Frame> {
    let frame = |(hardware, protocol, body): (u16, u16, Frame)| {
        let address = [0, 6, 2, 0, 0, 0, 0, 2, 0, 0];
        let head = [&[0, 0], &hardware.to_be_bytes()[..], &address].concat();
        typed(&head, protocol, &body)
    };
    cooked_parts(packet).into_iter().map(frame).collect()
}

fn cooked2(packet: &Packet) -> Vec<Frame> {
    let frame = |(hardware, protocol, body): (u16, u16, Frame)| {
        let address = [0, 6, 2, 0, 0, 0, 0, 2, 0, 0];
        let head = [0, 0, 0, 0, 0, 2];
        let rest = [&head, &hardware.to_be_bytes()[..], &address, &body].concat();
        typed(&[], protocol, &rest)
    };
    cooked_parts(packet).into_iter().map(frame).collect()
}

/// A header of a fixed length with numbers at some offsets.
pub(super) fn header(length: usize, parts: &[(usize, &[u8])]) -> Frame {
    let mut header = vec![0; length];
    for (at, bytes) in parts {
        header[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    header
}

/// A wireless frame behind a fixed head.
fn wireless_behind(head: &[u8], packet: &Packet) -> Vec<Frame> {
    over_wireless(packet)
        .iter()
        .map(|frame| join(head, frame))
        .collect()
}

/// The frames of a link type that carry a packet; none where it cannot.
pub(crate) fn frames(link: u16, packet: &Packet) -> Vec<Frame> {
    let bytes = packet.bytes.as_slice();
    let kind = packet.kind.to_be_bytes();
    match link {
        0 => over_family(packet, true, true, &[]),
        1 => over_ethernet(packet),
        9 | 50 => ppp_variants(packet),
        12 | 14 | 101 if is_ip(packet) => vec![bytes.to_vec()],
        51 => pppoe(packet).into_iter().collect(),
        99 => vec![join(&header(44, &[(6, &kind)]), bytes)],
        100 => vec![rfc1042(packet)],
        // tshark takes all for IPv4.
        106 if packet.kind == IPV4 => vec![bytes.to_vec()],
        // Both have no ARP in tshark.
        104 | 107 if !is_ip(packet) => vec![],
        104 => vec![
            typed(&[0x0f, 0], packet.kind, bytes),
            typed(&[0x8f, 0], packet.kind, bytes),
        ],
        105 => over_wireless(packet),
        107 => over_frame_relay(packet),
        108 => over_family(packet, false, true, &[]),
        109 => {
            // OpenBSD's number for IPv6 alone.
            let mut frames = over_family(packet, true, false, &[0; 8]);
            frames.truncate(1);
            frames
        }
        113 => cooked(packet),
        117 => {
            let family = match packet.kind {
                IPV4 => 2,
                IPV6 => 24,
                _ => return vec![],
            };
            vec![join(&header(64, &[(0, &[61, family])]), bytes)]
        }
        119 => wireless_behind(&header(144, &[(0, &[0x44, 0, 0, 0, 144, 0, 0, 0])]), packet),
        127 => over_radiotap(packet),
        138 => vec![typed(&[1; 16], packet.kind, bytes)],
        163 => {
            let head = header(64, &[(0, &[0x80, 0x21, 0x10, 1, 0, 0, 0, 64])]);
            wireless_behind(&head, packet)
        }
        166 | 204 => ppp(&[0, 0xff, 3], packet)
            .into_iter()
            .chain(ppp(&[1, 0xff, 3], packet))
            .collect(),
        192 => {
            let mut frames = wireless_behind(&[0, 0, 8, 0, 105, 0, 0, 0], packet);
            frames.push(join(
                &[0, 0, 8, 0, 1, 0, 0, 0],
                &ethernet(packet.kind, bytes),
            ));
            frames
        }
        228 if packet.kind == IPV4 => vec![bytes.to_vec()],
        229 if packet.kind == IPV6 => vec![bytes.to_vec()],
        239 => over_nflog(packet),
        240 => {
            let mut frame = join(&[0, 4, 0, 0], &ethernet(packet.kind, bytes));
            frame.extend([1, 2, 3, 4]);
            vec![frame]
        }
        242 => vec![[&[3; 40], &kind[..], &[0, 0], bytes].concat()],
        149 | 258 => {
            let head = |link: u8| header(108, &[(0, &[108]), (4, &[1]), (8, &[link])]);
            let mut frames = vec![join(&head(1), &ethernet(packet.kind, bytes))];
            frames.extend(
                over_family(packet, true, true, &[])
                    .iter()
                    .map(|f| join(&head(0), f)),
            );
            frames
        }
        276 => cooked2(packet),
        11 => frames(100, packet),
        13 => frames(109, packet),
        112 => frames(104, packet),
        _ => rare::frames(link, packet),
    }
}
