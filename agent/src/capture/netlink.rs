//! The little of rtnetlink that is needed: links, as they are and as they change (rtnetlink(7)).

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// `nlmsghdr` and `ifinfomsg`.
const MESSAGE_HEADER: usize = 16;
const LINK_HEADER: usize = 16;
/// The kernel sends no more at once; 32 KiB is what it uses for dumps.
const BUFFER_BYTES: usize = 64 << 10;

/// A link as a message describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LinkMessage {
    pub(super) index: u32,
    pub(super) name: String,
    /// `IFF_UP` and others.
    pub(super) flags: u32,
    /// `ARPHRD_ETHER` and others.
    pub(super) hardware: u16,
    pub(super) mtu: u32,
    /// The link that it stands on or is connected to, where that is in the same network namespace.
    pub(super) link: Option<u32>,
    /// The XDP programs' ids, whatever their mode.
    pub(super) xdp_programs: Vec<u32>,
}

/// One message about a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// It is there, or has changed.
    Link(LinkMessage),
    /// It is gone.
    Gone(LinkMessage),
    /// All links have been listed.
    Done,
    /// The kernel's answer to a request; zero is no error.
    Error(i32),
}

/// A socket to the kernel.
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// For requests, or subscribed to changes of links and then non-blocking.
    pub(super) fn open(subscribe: bool) -> io::Result<Self> {
        let flags = if subscribe { libc::SOCK_NONBLOCK } else { 0 };
        // SAFETY: creates a descriptor and touches no memory.
        let fd = unsafe {
            libc::socket(
                libc::AF_NETLINK,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC | flags,
                libc::NETLINK_ROUTE,
            )
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        if subscribe {
            socket.subscribe()?;
        }
        Ok(socket)
    }

    fn subscribe(&self) -> io::Result<()> {
        // SAFETY: all zeros is a valid value of this plain structure.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        address.nl_groups = libc::RTMGRP_LINK as u32;
        // SAFETY: the address is one of the socket's family and as long as is said.
        let result = unsafe {
            libc::bind(
                self.0.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_nl>() as libc::socklen_t,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// All links of this network namespace.
    pub(super) fn list(&self) -> io::Result<Vec<LinkMessage>> {
        self.request_links()?;
        let mut links = Vec::new();
        loop {
            for message in self.receive()? {
                match message {
                    Message::Link(link) => links.push(link),
                    Message::Done => return Ok(links),
                    Message::Error(0) | Message::Gone(_) => {}
                    Message::Error(code) => return Err(io::Error::from_raw_os_error(code)),
                }
            }
        }
    }

    fn request_links(&self) -> io::Result<()> {
        let mut request = Vec::with_capacity(MESSAGE_HEADER + LINK_HEADER);
        request.extend(((MESSAGE_HEADER + LINK_HEADER) as u32).to_ne_bytes());
        request.extend(libc::RTM_GETLINK.to_ne_bytes());
        request.extend(((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
        // Sequence number, our port (the kernel fills it in), and a link header of zeros: all.
        request.resize(MESSAGE_HEADER + LINK_HEADER, 0);
        // SAFETY: the kernel reads exactly the bytes of `request`.
        let sent = unsafe {
            libc::send(
                self.0.as_raw_fd(),
                request.as_ptr().cast(),
                request.len(),
                0,
            )
        };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// The messages of one reading. `WouldBlock` where there is none and the socket does not
    /// block; `ENOBUFS` where the kernel lost some, so that the links must be listed again.
    pub(super) fn receive(&self) -> io::Result<Vec<Message>> {
        let mut buffer = vec![0u8; BUFFER_BYTES];
        loop {
            // SAFETY: the kernel writes at most the length of `buffer`.
            let read = unsafe {
                libc::recv(
                    self.0.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    0,
                )
            };
            if let Ok(read) = usize::try_from(read) {
                return Ok(parse(buffer.get(..read).unwrap_or_default()));
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The messages about links in what the kernel sent; others are left out.
fn parse(mut bytes: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let (Some(len), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let Some(body) = bytes.get(MESSAGE_HEADER..len as usize) else {
            break;
        };
        match i32::from(kind) {
            libc::NLMSG_DONE => messages.push(Message::Done),
            libc::NLMSG_ERROR => {
                let code = u32_at(body, 0).unwrap_or_default().cast_signed();
                messages.push(Message::Error(code.saturating_neg()));
            }
            _ if kind == libc::RTM_NEWLINK => messages.extend(link(body).map(Message::Link)),
            _ if kind == libc::RTM_DELLINK => messages.extend(link(body).map(Message::Gone)),
            _ => {}
        }
        bytes = bytes
            .get((len as usize).next_multiple_of(4)..)
            .unwrap_or_default();
    }
    messages
}

fn link(body: &[u8]) -> Option<LinkMessage> {
    // A bridge's or a tunnel's own notices come as links of another address family.
    if *body.first()? != libc::AF_UNSPEC as u8 {
        return None;
    }
    let mut link = LinkMessage {
        hardware: u16_at(body, 2)?,
        index: u32_at(body, 4)?,
        flags: u32_at(body, 8)?,
        ..LinkMessage::default()
    };
    let mut is_elsewhere = false;
    for (kind, value) in attributes(body.get(LINK_HEADER..)?) {
        match kind {
            libc::IFLA_LINK => link.link = u32_at(value, 0).filter(|index| *index != 0),
            libc::IFLA_LINK_NETNSID => is_elsewhere = true,
            libc::IFLA_IFNAME => {
                let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
                link.name = String::from_utf8_lossy(name).into_owned();
            }
            libc::IFLA_MTU => link.mtu = u32_at(value, 0)?,
            IFLA_XDP => link.xdp_programs = xdp_programs(value),
            _ => {}
        }
    }
    link.link = link.link.filter(|_| !is_elsewhere);
    Some(link)
}

/// Of `if_link.h`; the libc crate has them for no target.
const IFLA_XDP: u16 = 43;
const IFLA_XDP_PROG_ID: u16 = 4;
const IFLA_XDP_HW_PROG_ID: u16 = 7;

/// The ids in a nested `IFLA_XDP`: of the one program, or of one per mode.
fn xdp_programs(nested: &[u8]) -> Vec<u32> {
    let ids = attributes(nested)
        .filter(|(kind, _)| (IFLA_XDP_PROG_ID..=IFLA_XDP_HW_PROG_ID).contains(kind));
    let mut ids: Vec<_> = ids.filter_map(|(_, value)| u32_at(value, 0)).collect();
    ids.retain(|id| *id != 0);
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Type and value of each attribute; the flags in the type's two highest bits are left out.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & 0x3fff;
        let value = bytes.get(4..len)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = ((value.len() + 4) as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(kind: u16, attributes: &[u8]) -> Vec<u8> {
        let mut bytes = ((MESSAGE_HEADER + LINK_HEADER + attributes.len()) as u32)
            .to_ne_bytes()
            .to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(MESSAGE_HEADER, 0);
        bytes.extend([0, 0]);
        bytes.extend(1u16.to_ne_bytes());
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend(0x1043u32.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(attributes);
        bytes
    }

    fn described() -> Vec<u8> {
        let mut xdp = attribute(2, &[1]);
        xdp.extend(attribute(IFLA_XDP_PROG_ID, &42u32.to_ne_bytes()));
        xdp.extend(attribute(6, &42u32.to_ne_bytes()));
        let mut attributes = attribute(libc::IFLA_IFNAME, b"lan0\0");
        attributes.extend(attribute(libc::IFLA_MTU, &1500u32.to_ne_bytes()));
        attributes.extend(attribute(libc::IFLA_LINK, &8u32.to_ne_bytes()));
        attributes.extend(attribute(IFLA_XDP | 0x8000, &xdp));
        attributes
    }

    #[test]
    fn a_link_is_read_with_its_programs() {
        let mut bytes = message(libc::RTM_NEWLINK, &described());
        bytes.extend(message(
            libc::RTM_DELLINK,
            &attribute(libc::IFLA_IFNAME, b"x\0"),
        ));
        let messages = parse(&bytes);
        let expected = LinkMessage {
            index: 7,
            name: "lan0".into(),
            flags: 0x1043,
            hardware: 1,
            mtu: 1500,
            link: Some(8),
            xdp_programs: vec![42],
        };
        assert_eq!(messages[0], Message::Link(expected));
        assert!(matches!(&messages[1], Message::Gone(link) if link.name == "x"));
        assert_eq!(messages.len(), 2);
    }

    #[test]
    fn a_number_of_another_namespace_is_none_of_here() {
        let mut described = described();
        described.extend(attribute(libc::IFLA_LINK_NETNSID, &0u32.to_ne_bytes()));
        let messages = parse(&message(libc::RTM_NEWLINK, &described));
        assert!(matches!(&messages[..], [Message::Link(link)] if link.link.is_none()));
    }

    #[test]
    fn any_bytes_end() {
        let whole = message(libc::RTM_NEWLINK, &described());
        for len in 0..whole.len() {
            assert!(parse(&whole[..len]).is_empty(), "{len}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            for value in [0, 1, 0xff] {
                bytes[at] = value;
                assert!(parse(&bytes).len() <= whole.len());
            }
        }
        // A length of zero would never get past its own header.
        assert!(parse(&[0; 64]).is_empty());
    }
}
