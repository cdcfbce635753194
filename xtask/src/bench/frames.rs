//! Ethernet frames from what a packet is: the bytes that the generator writes.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Bytes from which payloads are cut; random, as encrypted traffic is.
const PAYLOAD_POOL: usize = 64 * 1024;

/// TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// With the flag byte of the TCP header.
    Tcp(u8),
    Udp,
}

/// Source and destination of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addresses {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

/// One packet to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) addresses: Addresses,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) transport: Transport,
    /// Bytes behind the transport header.
    pub(crate) payload: usize,
    pub(crate) vlan: Option<u16>,
}

/// Builds frames into one buffer.
pub(crate) struct FrameBuilder {
    pool: Vec<u8>,
    frame: Vec<u8>,
}

impl FrameBuilder {
    pub(crate) fn new(mut random: impl FnMut() -> u64) -> Self {
        let pool = (0..PAYLOAD_POOL / 8)
            .flat_map(|_| random().to_le_bytes())
            .collect();
        Self {
            pool,
            frame: Vec::with_capacity(2048),
        }
    }

    /// The frame of `packet`; `salt` chooses its payload and its identification.
    ///
    /// The IPv4 header checksum is right. Transport checksums are zero, as captures of
    /// sent packets show where the card computes them.
    pub(crate) fn build(&mut self, packet: &Packet, salt: u32) -> &[u8] {
        self.frame.clear();
        self.ethernet(packet);
        let transport_len = match packet.transport {
            Transport::Tcp(_) => 20,
            Transport::Udp => 8,
        };
        self.network(packet, transport_len + packet.payload, salt);
        self.transport(packet, salt);
        let start = salt as usize % (PAYLOAD_POOL - 2048);
        self.frame
            .extend(self.pool.iter().skip(start).take(packet.payload));
        &self.frame
    }

    fn ethernet(&mut self, packet: &Packet) {
        self.frame
            .extend([0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2]);
        if let Some(vlan) = packet.vlan {
            self.push_u16(0x8100);
            self.push_u16(vlan);
        }
        self.push_u16(match packet.addresses {
            Addresses::V4(..) => 0x0800,
            Addresses::V6(..) => 0x86dd,
        });
    }

    fn network(&mut self, packet: &Packet, below: usize, salt: u32) {
        let protocol = match packet.transport {
            Transport::Tcp(_) => 6,
            Transport::Udp => 17,
        };
        match packet.addresses {
            Addresses::V4(source, destination) => {
                let start = self.frame.len();
                self.frame.extend([0x45, 0]);
                self.push_u16(below as u16 + 20);
                self.push_u16(salt as u16);
                self.frame.extend([0x40, 0, 64, protocol, 0, 0]);
                self.frame.extend(source.octets());
                self.frame.extend(destination.octets());
                let checksum = internet_checksum(&self.frame[start..]);
                self.frame[start + 10..start + 12].copy_from_slice(&checksum.to_be_bytes());
            }
            Addresses::V6(source, destination) => {
                self.frame.extend([0x60, 0, 0, 0]);
                self.push_u16(below as u16);
                self.frame.extend([protocol, 64]);
                self.frame.extend(source.octets());
                self.frame.extend(destination.octets());
            }
        }
    }

    fn transport(&mut self, packet: &Packet, salt: u32) {
        self.push_u16(packet.source_port);
        self.push_u16(packet.destination_port);
        match packet.transport {
            Transport::Tcp(flags) => {
                self.frame.extend(salt.to_be_bytes());
                self.frame
                    .extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
            }
            Transport::Udp => {
                self.push_u16(packet.payload as u16 + 8);
                self.push_u16(0);
            }
        }
    }

    fn push_u16(&mut self, value: u16) {
        self.frame.extend(value.to_be_bytes());
    }
}

/// RFC 1071, over a header of even length whose checksum field is zero.
fn internet_checksum(header: &[u8]) -> u16 {
    let mut sum: u32 = header
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tagged_segment_has_its_fields_in_place() {
        let mut builder = FrameBuilder::new(|| 0x0101_0101_0101_0101);
        let packet = Packet {
            addresses: Addresses::V4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(192, 0, 2, 7)),
            source_port: 40_000,
            destination_port: 443,
            transport: Transport::Tcp(0x02),
            payload: 3,
            vlan: Some(5),
        };
        let frame = builder.build(&packet, 9);
        assert_eq!(frame.len(), 14 + 4 + 20 + 20 + 3);
        assert_eq!(&frame[12..20], &[0x81, 0, 0, 5, 8, 0, 0x45, 0]);
        assert_eq!(&frame[20..22], &[0, 43]);
        assert_eq!(&frame[30..38], &[10, 0, 0, 1, 192, 0, 2, 7]);
        assert_eq!(&frame[38..42], &[0x9c, 0x40, 1, 0xbb]);
        assert_eq!(frame[51], 0x02);
        assert_eq!(&frame[58..], &[1, 1, 1]);
    }

    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        // The worked example of RFC 1071, section 3: the sum is ddf2.
        assert_eq!(
            internet_checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
            !0xddf2
        );
    }
}
