//! A network namespace of the calling thread's own, and a pair of interfaces in it.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use crate::netlink;

/// `ETHTOOL_SGRO`.
const SET_GRO: u32 = 0x2c;

/// Moves the calling thread, and the threads and processes that it starts from now on, to a new
/// network namespace, which ends with them and takes its interfaces along.
///
/// # Errors
/// If the process lacks CAP_SYS_ADMIN.
pub fn enter() -> io::Result<()> {
    // SAFETY: touches no memory.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } < 0 {
        return Err(io::Error::last_os_error());
    }
    for which in ["all", "default"] {
        // No neighbour discovery among the frames. Where there is no IPv6, there is none to stop.
        let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "1");
    }
    Ok(())
}

/// Two interfaces that are joined: what is sent to one arrives on the other.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Where frames arrive.
    pub near: String,
    /// Number of the interface that they are sent from.
    pub far: u32,
}

impl Pair {
    /// Makes a pair in the calling thread's namespace, both up.
    ///
    /// # Errors
    /// If the kernel has no veth, or the names are taken.
    pub fn make(near: &str, far: &str, mtu: u32) -> io::Result<Self> {
        netlink::make_pair(near, far, mtu)?;
        // Frames of a sender arrive only where there is an XDP program, or this.
        set_gro(near)?;
        Ok(Self {
            near: near.to_owned(),
            far: index(far)?,
        })
    }

    /// Packets that arrived, by the interface's own counter.
    ///
    /// # Errors
    /// If the interface is gone, or /proc is not there.
    pub fn arrived(&self) -> io::Result<u64> {
        let text = std::fs::read_to_string("/proc/thread-self/net/dev")?;
        received(&text, &self.near).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Received packets of an interface in the text of `/proc/net/dev`.
fn received(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| {
        let (before, after) = line.split_once(':')?;
        (before.trim() == name).then_some(after)
    });
    line?.split_whitespace().nth(1)?.parse().ok()
}

fn index(name: &str) -> io::Result<u32> {
    let name = CString::new(name)?;
    // SAFETY: the name ends with a zero.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

fn set_gro(name: &str) -> io::Result<()> {
    // SAFETY: creates a descriptor and touches no memory.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // struct ethtool_value: cmd, data
    let mut value = [SET_GRO, 1];
    // SAFETY: all zeros is a valid value of this plain structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let room = request.ifr_name.len() - 1;
    for (to, from) in request.ifr_name[..room].iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: the request names an interface and points to the value, and both outlive the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_that_of_the_interface() {
        let text = "Inter-|   Receive\n face |bytes    packets errs\n\
                    \x20   lo:     1 2 0\n  fs0: 640 10 0 0\n fs01: 6 7 0\n";
        assert_eq!(received(text, "fs0"), Some(10));
        assert_eq!(received(text, "fs0x"), None);
    }
}
