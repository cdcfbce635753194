//! Opening packet sockets, which needs `CAP_NET_RAW`.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use agent_common::config::{MAX_SNAPLEN, SLOTS};

use super::super::config::InterfaceConfig;
use super::super::interfaces::Interface;
use super::super::refusal::AttachError;
use super::{BLOCK_MILLIS, RingShape, filter};

/// Of a ring's request; means nothing in this version of rings but for the kernel's checks.
const FRAME_BYTES: u32 = 2048;

/// Makes packet sockets.
#[derive(Clone, Copy, Debug)]
pub struct SocketSource {
    wish: SocketWish,
}

/// How sockets are to be.
#[derive(Clone, Copy, Debug)]
pub struct SocketWish {
    /// Each one's ring.
    pub shape: RingShape,
    /// Whether interfaces are to receive what is not addressed to them.
    pub promiscuous: bool,
}

impl SocketSource {
    /// Sockets like that.
    #[must_use]
    pub const fn new(wish: SocketWish) -> Self {
        Self { wish }
    }

    /// A socket that receives from this interface from now on.
    ///
    /// # Errors
    /// If the interface is not one for it, or the kernel refuses.
    pub fn open(
        &self,
        interface: &Interface,
        config: InterfaceConfig,
    ) -> Result<OwnedFd, AttachError> {
        if !interface.ethernet {
            return Err(AttachError::NotEthernet {
                interface: interface.name.clone(),
                hardware: interface.hardware,
            });
        }
        if config.slot >= SLOTS {
            return Err(AttachError::Config {
                interface: interface.name.clone(),
                reason: format!("there are only {SLOTS} slots for interfaces"),
            });
        }
        let fail = |what| {
            move |error: io::Error| match error.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => AttachError::SocketPermission {
                    interface: interface.name.clone(),
                    error,
                },
                Some(libc::ENODEV | libc::ENXIO) => AttachError::Gone {
                    interface: interface.name.clone(),
                },
                _ => AttachError::Socket {
                    interface: interface.name.clone(),
                    what,
                    error,
                },
            }
        };
        let snaplen = match config.snaplen {
            0 => MAX_SNAPLEN,
            bytes => bytes.min(MAX_SNAPLEN),
        };
        // Of no protocol, so that it receives nothing before it is set up.
        let socket = socket().map_err(fail("open it"))?;
        let fd = socket.as_fd();
        let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
        set_option(fd, libc::SOL_PACKET, libc::PACKET_VERSION, &version)
            .map_err(fail("set its version"))?;
        filter::take_received(fd, snaplen).map_err(fail("set its filter"))?;
        // Saves time where the kernel knows it; the filter does the same.
        let _ = set_option(fd, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &1_i32);
        set_option(fd, libc::SOL_PACKET, libc::PACKET_RX_RING, &self.request())
            .map_err(fail("make its ring"))?;
        if self.wish.promiscuous {
            let membership = libc::packet_mreq {
                mr_ifindex: interface.index.cast_signed(),
                mr_type: libc::PACKET_MR_PROMISC as libc::c_ushort,
                mr_alen: 0,
                mr_address: [0; 8],
            };
            set_option(
                fd,
                libc::SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
                &membership,
            )
            .map_err(fail("make the interface promiscuous"))?;
        }
        bind(fd, interface.index, libc::ETH_P_ALL).map_err(fail("bind it"))?;
        Ok(socket)
    }

    fn request(&self) -> libc::tpacket_req3 {
        let RingShape {
            block_bytes,
            blocks,
        } = self.wish.shape;
        libc::tpacket_req3 {
            tp_block_size: block_bytes,
            tp_block_nr: blocks,
            tp_frame_size: FRAME_BYTES,
            tp_frame_nr: block_bytes / FRAME_BYTES * blocks,
            tp_retire_blk_tov: BLOCK_MILLIS,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        }
    }
}

fn socket() -> io::Result<OwnedFd> {
    // SAFETY: makes a descriptor and touches no memory.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Receives packets of a protocol from an interface; of 0, from all. When this returns, none come
/// any more of what was bound to before.
pub(super) fn bind(fd: BorrowedFd<'_>, index: u32, protocol: libc::c_int) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (protocol as u16).to_be(),
        sll_ifindex: index.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: reads the address, whose length is given.
    let result = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// `setsockopt` of a plain value.
pub(super) fn set_option<T>(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    // SAFETY: reads the value, whose length is given.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
