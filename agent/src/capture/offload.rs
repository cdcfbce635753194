//! Whether VLAN tags are not among the bytes of the frames that XDP sees.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// Of `ethtool.h`: read what drives the device, read its flags, and the flags of `txvlan` and
/// `rxvlan`.
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETH_FLAG_TXVLAN: u32 = 1 << 7;
const ETH_FLAG_RXVLAN: u32 = 1 << 8;

/// Bytes of `struct ethtool_drvinfo`, the larger of the two answers.
const ANSWER_BYTES: usize = 196;

/// Whether receive VLAN offload (`ethtool -k`: rx-vlan-offload) is on and does something. An error
/// where the interface cannot say, as one without a card behind it.
pub(super) fn strips_vlan_tags(interface: &str) -> io::Result<bool> {
    let flags = ask(interface, ETHTOOL_GFLAGS)?;
    let driver = ask(interface, ETHTOOL_GDRVINFO)?;
    Ok(strips(&flags, &driver))
}

/// Whether tags that a VLAN device puts on frames of this one, one end of a veth pair, come to the
/// other end beside the frames (`skb->vlan_tci`), where XDP does not see them: the veth claims that
/// it is a card, which inserts them (tx-vlan-offload). An error where it cannot say.
pub(super) fn leaves_vlan_tags_beside(interface: &str) -> io::Result<bool> {
    let flags = ask(interface, ETHTOOL_GFLAGS)?;
    let driver = ask(interface, ETHTOOL_GDRVINFO)?;
    Ok(flags.has(ETH_FLAG_TXVLAN) && driver.is_veth())
}

/// Reads the two answers.
fn strips(flags: &Answer, driver: &Answer) -> bool {
    // A veth claims the offload, but takes nothing out: frames have the tags in them with which
    // they were sent, and not those beside them.
    flags.has(ETH_FLAG_RXVLAN) && !driver.is_veth()
}

/// What the kernel writes behind the command that it was asked.
#[repr(C, align(8))]
struct Answer([u8; ANSWER_BYTES]);

impl Answer {
    /// Of flags: whether one is set.
    fn has(&self, flag: u32) -> bool {
        let [_, _, _, _, f0, f1, f2, f3, ..] = self.0;
        u32::from_ne_bytes([f0, f1, f2, f3]) & flag != 0
    }

    /// Of what drives the device: whether it is a veth.
    fn is_veth(&self) -> bool {
        let name = self.0.get(4..).unwrap_or_default();
        name.starts_with(b"veth\0")
    }
}

fn ask(interface: &str, command: u32) -> io::Result<Answer> {
    // SAFETY: creates a descriptor and touches no memory.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut answer = Answer([0; ANSWER_BYTES]);
    answer.0[..4].copy_from_slice(&command.to_ne_bytes());
    // SAFETY: all zeros is a valid value of this plain structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero.
    let room = request.ifr_name.len() - 1;
    for (to, from) in request
        .ifr_name
        .iter_mut()
        .zip(interface.bytes().take(room))
    {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut answer).cast();
    // SAFETY: the request names an interface and points to as many bytes as the answer to either
    // command has, and both live until the call returns.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(behind_command: &[u8]) -> Answer {
        let mut answer = Answer([0; ANSWER_BYTES]);
        answer.0[4..4 + behind_command.len()].copy_from_slice(behind_command);
        answer
    }

    #[test]
    fn a_card_strips_tags_where_the_offload_is_on() {
        let on = answer(&(ETH_FLAG_RXVLAN | 1).to_ne_bytes());
        let off = answer(&(!ETH_FLAG_RXVLAN).to_ne_bytes());
        assert!(strips(&on, &answer(b"ixgbe")));
        assert!(!strips(&off, &answer(b"ixgbe")));
        assert!(!strips(&on, &answer(b"veth")));
        assert!(strips(&on, &answer(b"vethernet")));
    }

    #[test]
    fn an_interface_that_is_none_cannot_say() {
        assert!(strips_vlan_tags("no such one").is_err());
    }
}
