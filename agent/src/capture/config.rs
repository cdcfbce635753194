//! What is wanted of an interface, how it is attached to, and what its user should be told of it.

use std::fmt;

use agent_common::config::{MAX_SNAPLEN, wants};

use super::program::Value;

/// What is wanted of an interface's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceConfig {
    /// Its number in records and counters, 0 to 63; no two interfaces can have the same.
    pub slot: u32,
    /// Bytes kept of each packet; no more than 65,535, which is also what zero stands for.
    pub snaplen: u32,
    /// Packet records: the first `snaplen` bytes of each packet, and its tuple.
    pub packets: bool,
    /// A tuple of each packet in the tuple rings.
    pub tuples: bool,
    /// Where both are wanted: packet records stand for their tuples, and only a packet that found
    /// no room in its ring has its tuple in a tuple ring. Takes half the time, but whoever wants all
    /// tuples must read both kinds of ring.
    pub joined: bool,
}

impl InterfaceConfig {
    /// As the kernel program reads it, for an interface by its index.
    pub(super) fn value(self, interface: u32) -> Value {
        let flag = |wanted, flag| if wanted { flag } else { 0 };
        let joined = self.joined && self.packets && self.tuples;
        let snaplen = match self.snaplen {
            0 => MAX_SNAPLEN,
            snaplen => snaplen.min(MAX_SNAPLEN),
        };
        Value(agent_common::InterfaceConfig {
            slot: self.slot,
            snaplen,
            flags: flag(self.tuples, wants::TUPLES)
                | flag(self.packets, wants::PACKETS)
                | flag(joined, wants::JOINED),
            interface,
        })
    }
}

/// Where on the receive path the program may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// In the driver; in the network stack where the driver cannot, which is noted.
    #[default]
    Auto,
    /// In the driver or not at all.
    Native,
    /// In the network stack, which is slower and may see segments already merged.
    Generic,
    /// Not the program, but a packet socket.
    PacketSocket,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Generic => "generic",
            Self::PacketSocket => "packet-socket",
        })
    }
}

/// Something about an attachment that its user should be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The driver could not, for this reason, so the program runs in the network stack.
    FellBack {
        /// The kernel's.
        reason: String,
    },
    /// Generic mode runs after segments have been merged.
    Generic,
    /// Sent packets are captured, too.
    Egress,
    /// So do packet sockets.
    Socket,
    /// The card takes VLAN tags out of the frames.
    VlanOffload {
        /// The interface's name.
        interface: String,
    },
    /// VLAN tags may come beside the frames.
    VlanBeside {
        /// The name of the veth's other end.
        peer: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FellBack { reason } => {
                write!(f, "no native XDP here ({reason}), so generic mode is used")
            }
            Self::Generic => f.write_str(
                "generic mode is slower, and sees segments that the kernel has already merged as one packet",
            ),
            Self::Egress => f.write_str(
                "what this machine sends is captured before the card cuts it into segments and \
                 fills in checksums; what it forwards is not, but where it comes in",
            ),
            Self::Socket => f.write_str(
                "a packet socket is slower than XDP, and sees segments that the kernel has already merged as one packet",
            ),
            Self::VlanOffload { interface } => write!(
                f,
                "the card strips VLAN tags, so packets have none (`ethtool -K {interface} rxvlan off` keeps them)"
            ),
            Self::VlanBeside { peer } => write!(
                f,
                "tags that a VLAN device adds to frames of {peer}, the other end, are not seen (`ethtool -K {peer} txvlan off` makes them part of the frames)"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_what_the_kernel_program_reads() {
        let config = InterfaceConfig {
            slot: 3,
            snaplen: 0,
            packets: true,
            tuples: false,
            joined: true,
        };
        let Value(value) = config.value(9);
        assert_eq!((value.slot, value.snaplen, value.interface), (3, 65_535, 9));
        assert_eq!(value.flags, wants::PACKETS, "joined needs both");
        let both = InterfaceConfig {
            tuples: true,
            snaplen: 100_000,
            ..config
        };
        let Value(value) = both.value(9);
        assert_eq!(value.flags, wants::TUPLES | wants::PACKETS | wants::JOINED);
        assert_eq!(value.snaplen, 65_535);
    }
}
