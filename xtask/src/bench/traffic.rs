//! Who talks to whom in the synthetic capture: a gateway's hour with 200 clients.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::frames::{Addresses, Packet, Transport};
use super::prng::{Prng, permute_u32};

/// Clients that browse; the other two of the 200 are in a swarm.
const BROWSING: u32 = 198;
const SWARM: u32 = 2;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const PUSH_ACK: u8 = 0x18;

/// An outbound TCP conversation: what a reply needs to be addressed.
#[derive(Clone, Copy)]
struct Conversation {
    client: Ipv4Addr,
    server: Ipv4Addr,
    client_port: u16,
    server_port: u16,
}

/// The stream of packets, the same for every run.
pub(crate) struct Traffic {
    prng: Prng,
    /// Steps of each browsing client through its own list of servers.
    visits: Vec<u32>,
    /// Peers handed out so far; each swarm contact beyond a repeat takes the next.
    peers: u32,
    browsed: Option<Conversation>,
    swarmed: Option<Conversation>,
}

impl Traffic {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            prng: Prng::new(seed),
            visits: vec![0; BROWSING as usize],
            peers: 0,
            browsed: None,
            swarmed: None,
        }
    }

    /// The next packet: 8 % IPv6, 12 % UDP, 50 % swarm, 30 % browsing; 5 % of all carry a VLAN tag.
    pub(crate) fn next_packet(&mut self) -> Packet {
        let mut packet = match self.prng.below(100) {
            0..8 => self.ipv6(),
            8..20 => self.udp(),
            20..61 => self.swarm_contact(),
            61..70 => self.swarm_reply(),
            70..87 => self.browse(),
            _ => self.browse_reply(),
        };
        packet.vlan = self
            .prng
            .percent(5)
            .then(|| 100 + self.prng.below(4) as u16);
        packet
    }

    fn ipv6(&mut self) -> Packet {
        let client = Ipv6Addr::new(
            0x2001,
            0xdb8,
            1,
            0,
            0,
            0,
            0,
            self.prng.below(200) as u16 + 1,
        );
        let server = Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, self.prng.below(500) as u16);
        let client_port = self.client_port();
        let (addresses, source_port, destination_port, payload) = if self.prng.percent(60) {
            (Addresses::V6(server, client), 443, client_port, 1428)
        } else {
            (
                Addresses::V6(client, server),
                client_port,
                443,
                self.prng.below(200) as usize,
            )
        };
        let transport = Transport::Tcp(ACK);
        Packet {
            addresses,
            source_port,
            destination_port,
            transport,
            payload,
            vlan: None,
        }
    }

    fn udp(&mut self) -> Packet {
        let client = client_address(self.prng.below(BROWSING + SWARM));
        let client_port = self.client_port();
        let quic = self.prng.percent(60);
        let (server, server_port, payload) = if quic {
            (server_address(self.prng.below(300)), 443, 1250)
        } else {
            (
                Ipv4Addr::new(9, 9, 9, 9),
                53,
                30 + self.prng.below(90) as usize,
            )
        };
        let (addresses, source_port, destination_port) = if self.prng.percent(60) {
            (Addresses::V4(server, client), server_port, client_port)
        } else {
            (Addresses::V4(client, server), client_port, server_port)
        };
        let transport = Transport::Udp;
        Packet {
            addresses,
            source_port,
            destination_port,
            transport,
            payload,
            vlan: None,
        }
    }

    /// A swarm client knocks at a peer: nine times in ten at one that it never met.
    fn swarm_contact(&mut self) -> Packet {
        let again = self.swarmed.filter(|_| self.prng.percent(10));
        let conversation = match again {
            Some(conversation) => conversation,
            None => self.new_peer(),
        };
        self.swarmed = Some(conversation);
        if self.prng.percent(67) {
            outbound(conversation, SYN, 0)
        } else {
            outbound(conversation, PUSH_ACK, 1400)
        }
    }

    fn new_peer(&mut self) -> Conversation {
        let server = loop {
            let candidate = Ipv4Addr::from(permute_u32(self.peers));
            self.peers = self.peers.wrapping_add(1);
            if is_public_unicast(candidate) {
                break candidate;
            }
        };
        let member = u32::from(!self.prng.percent(60));
        Conversation {
            client: client_address(BROWSING + member),
            server,
            client_port: self.client_port(),
            server_port: 1024 + self.prng.below(64_000) as u16,
        }
    }

    fn swarm_reply(&mut self) -> Packet {
        let Some(conversation) = self.swarmed else {
            return self.swarm_contact();
        };
        let payload = if self.prng.percent(35) { 1400 } else { 0 };
        reply(conversation, payload)
    }

    /// A browsing client talks to the next of its servers, over and over: client `k` has
    /// `40 + 4 k` of them, so that no two clients of the full capture share a count.
    fn browse(&mut self) -> Packet {
        let client = self.prng.below(BROWSING);
        let servers = 40 + 4 * client;
        let step = match self.visits.get_mut(client as usize) {
            Some(visits) => {
                *visits = (*visits + 1) % servers;
                *visits
            }
            None => 0,
        };
        let conversation = Conversation {
            client: client_address(client),
            server: server_address(client * 7 + step),
            client_port: 32_768 + step as u16,
            server_port: if step % 8 == 0 { 80 } else { 443 },
        };
        self.browsed = Some(conversation);
        let payload = if self.prng.percent(20) {
            300 + self.prng.below(500) as usize
        } else {
            0
        };
        outbound(conversation, ACK, payload)
    }

    fn browse_reply(&mut self) -> Packet {
        let Some(conversation) = self.browsed else {
            return self.browse();
        };
        let payload = if self.prng.percent(85) { 1460 } else { 0 };
        reply(conversation, payload)
    }

    fn client_port(&mut self) -> u16 {
        32_768 + self.prng.below(28_000) as u16
    }
}

fn outbound(conversation: Conversation, flags: u8, payload: usize) -> Packet {
    Packet {
        addresses: Addresses::V4(conversation.client, conversation.server),
        source_port: conversation.client_port,
        destination_port: conversation.server_port,
        transport: Transport::Tcp(flags),
        payload,
        vlan: None,
    }
}

fn reply(conversation: Conversation, payload: usize) -> Packet {
    Packet {
        addresses: Addresses::V4(conversation.server, conversation.client),
        source_port: conversation.server_port,
        destination_port: conversation.client_port,
        transport: Transport::Tcp(ACK),
        payload,
        vlan: None,
    }
}

/// Client `k` of 200, spread over several subnets of 10.0.0.0/8.
fn client_address(client: u32) -> Ipv4Addr {
    let [_, _, _, low] = client.to_be_bytes();
    Ipv4Addr::new(10, low % 4, low / 50, low + 1)
}

/// Server `k` of the ones that are browsed.
fn server_address(server: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(151, 101, 0, 0)) + server)
}

/// A peer can have any address that is routed; 10.0.0.0/8 must not be among them.
fn is_public_unicast(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    !(matches!(first, 0 | 10 | 127 | 224..) || address.is_private() || address.is_link_local())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_mix_is_as_described() {
        let mut traffic = Traffic::new(1);
        let (mut v6, mut udp, mut tagged) = (0, 0, 0);
        for _ in 0..20_000 {
            let packet = traffic.next_packet();
            v6 += usize::from(matches!(packet.addresses, Addresses::V6(..)));
            udp += usize::from(packet.transport == Transport::Udp);
            tagged += usize::from(packet.vlan.is_some());
        }
        assert!((1400..1800).contains(&v6), "{v6} IPv6");
        assert!((2200..2600).contains(&udp), "{udp} UDP");
        assert!((850..1150).contains(&tagged), "{tagged} tagged");
    }

    #[test]
    fn clients_have_addresses_of_their_own() {
        let clients: HashSet<_> = (0..BROWSING + SWARM).map(client_address).collect();
        assert_eq!(clients.len(), 200);
        assert!(clients.iter().all(|client| client.octets()[0] == 10));
    }
}
