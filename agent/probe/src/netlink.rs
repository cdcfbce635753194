//! The requests that make a pair of interfaces (rtnetlink(7), veth(4)).

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// `struct nlmsghdr` and `struct ifinfomsg`.
const HEADER: usize = 16;
/// `VETH_INFO_PEER`.
const PEER: u16 = 1;

/// Makes two interfaces, both up, that are joined by a wire.
pub(crate) fn make_pair(near: &str, far: &str, mtu: u32) -> io::Result<()> {
    // SAFETY: creates a descriptor and touches no memory.
    let fd = unsafe {
        libc::socket(
            libc::AF_NETLINK,
            libc::SOCK_RAW | libc::SOCK_CLOEXEC,
            libc::NETLINK_ROUTE,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    ask(&socket, &create_request(near, far, mtu))?;
    // An end comes up only once the other is there.
    [near, far]
        .iter()
        .try_for_each(|name| ask(&socket, &up_request(name)))
}

/// Sends a request and waits for what the kernel says to it.
fn ask(socket: &OwnedFd, request: &[u8]) -> io::Result<()> {
    let fd = socket.as_raw_fd();
    // SAFETY: the kernel reads exactly the bytes of `request`.
    let sent = unsafe { libc::send(fd, request.as_ptr().cast(), request.len(), 0) };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut answer = [0u8; 4096];
    // SAFETY: the kernel writes at most as many bytes as there is room for.
    let got = unsafe { libc::recv(fd, answer.as_mut_ptr().cast(), answer.len(), 0) };
    if got < 0 {
        return Err(io::Error::last_os_error());
    }
    // NLMSG_ERROR, also for success, has a negative errno behind its header.
    match answer[HEADER..]
        .first_chunk()
        .map(|code| i32::from_ne_bytes(*code))
    {
        Some(0) | None => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
    }
}

fn create_request(near: &str, far: &str, mtu: u32) -> Vec<u8> {
    let mut peer = link_header(0);
    peer.extend(names(far, mtu));
    let mut info = attribute(libc::IFLA_INFO_KIND, b"veth");
    info.extend(attribute(libc::IFLA_INFO_DATA, &attribute(PEER, &peer)));
    let mut body = link_header(0);
    body.extend(names(near, mtu));
    body.extend(attribute(libc::IFLA_LINKINFO, &info));
    message(libc::NLM_F_CREATE | libc::NLM_F_EXCL, &body)
}

fn up_request(name: &str) -> Vec<u8> {
    let mut body = link_header(libc::IFF_UP as u32);
    body.extend(attribute(libc::IFLA_IFNAME, &with_end(name)));
    message(0, &body)
}

fn message(flags: i32, body: &[u8]) -> Vec<u8> {
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags;
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    message.extend(libc::RTM_NEWLINK.to_ne_bytes());
    message.extend((flags as u16).to_ne_bytes());
    // Sequence number, and our port, which the kernel fills in.
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// `struct ifinfomsg`: no interface by number, and flags that shall be set.
fn link_header(set: u32) -> Vec<u8> {
    let mut header = vec![0; 8];
    header.extend(set.to_ne_bytes());
    header.extend(set.to_ne_bytes());
    header
}

fn with_end(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

fn names(name: &str, mtu: u32) -> Vec<u8> {
    let mut all = attribute(libc::IFLA_IFNAME, &with_end(name));
    all.extend(attribute(libc::IFLA_MTU, &mtu.to_ne_bytes()));
    all
}

/// `struct rtattr` and its value, padded to four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() + 8);
    bytes.extend(((value.len() + 4) as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_their_length_is_not() {
        assert_eq!(
            attribute(3, b"abcde"),
            *b"\x09\x00\x03\x00abcde\x00\x00\x00"
        );
        let request = create_request("a", "b", 1500);
        assert_eq!(request[..4], (request.len() as u32).to_ne_bytes());
    }
}
