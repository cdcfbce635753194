//! The classic BPF that a packet socket has: what is received, cut to the snap length.

use std::io;
use std::os::fd::BorrowedFd;

use super::open::set_option;

/// Where classic BPF finds what is known of a packet beside its bytes: `SKF_AD_OFF`, and the
/// packet's type there.
const PACKET_TYPE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE).cast_unsigned();

const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

/// Takes packets that are received, `snaplen` bytes of each. What this machine sends is not
/// counted either; `PACKET_IGNORE_OUTGOING` does the same for less, but only since 4.20.
pub(super) fn take_received(fd: BorrowedFd<'_>, snaplen: u32) -> io::Result<()> {
    let outgoing = u32::from(libc::PACKET_OUTGOING);
    attach(
        fd,
        &mut [
            instruction(LOAD_BYTE, 0, 0, PACKET_TYPE),
            instruction(JUMP_EQUAL, 0, 1, outgoing),
            instruction(RETURN, 0, 0, 0),
            instruction(RETURN, 0, 0, snaplen),
        ],
    )
}

/// Takes nothing.
pub(super) fn take_nothing(fd: BorrowedFd<'_>) -> io::Result<()> {
    attach(fd, &mut [instruction(RETURN, 0, 0, 0)])
}

fn attach(fd: BorrowedFd<'_>, program: &mut [libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    set_option(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}
