//! A pair of connected sockets that keep messages apart (`SOCK_SEQPACKET`), with descriptors
//! beside them (`SCM_RIGHTS`).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use super::{Message, MessageError, SplitError, message::MAX_BYTES};

/// One end.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

/// A descriptor on its way; the last copy closes it.
#[derive(Clone, Debug)]
pub struct PassedFd(Arc<OwnedFd>);

impl PassedFd {
    /// The descriptor, or a copy where another one is still on its way.
    ///
    /// # Errors
    /// If no copy can be made.
    pub fn into_fd(self) -> io::Result<OwnedFd> {
        Arc::try_unwrap(self.0).or_else(|shared| shared.try_clone())
    }
}

impl From<OwnedFd> for PassedFd {
    fn from(fd: OwnedFd) -> Self {
        Self(Arc::new(fd))
    }
}

impl AsFd for PassedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl PartialEq for PassedFd {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_raw_fd() == other.0.as_raw_fd()
    }
}

impl Eq for PassedFd {}

/// Room for the header and one descriptor, aligned as the header is.
type Control = [u64; 4];

const FD_BYTES: u32 = size_of::<RawFd>() as u32;

// SAFETY: only computes with its argument.
const CONTROL_BYTES: usize = unsafe { libc::CMSG_SPACE(FD_BYTES) } as usize;

const _: () = assert!(CONTROL_BYTES <= size_of::<Control>());

/// What came in the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A message.
    Message(Message),
    /// A message with a descriptor.
    WithFd(Message, PassedFd),
    /// Nothing.
    Nothing,
    /// The other side is gone.
    Closed,
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Channel {
    /// Both ends, closed at exec.
    pub(super) fn pair() -> io::Result<(Self, Self)> {
        let mut fds = [-1; 2];
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        // SAFETY: writes two descriptors into the array.
        if unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: both are open and belong to nobody else.
        let [one, other] = fds.map(|fd| Self(unsafe { OwnedFd::from_raw_fd(fd) }));
        Ok((one, other))
    }

    /// An end that was inherited; `None` if it is no such socket.
    pub(super) fn from_fd(fd: OwnedFd) -> Option<Self> {
        let mut kind: libc::c_int = 0;
        let mut length = size_of_val(&kind) as libc::socklen_t;
        // SAFETY: writes at most `length` bytes, the size of `kind`, into it.
        let result = unsafe {
            libc::getsockopt(
                fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_TYPE,
                (&raw mut kind).cast(),
                &raw mut length,
            )
        };
        (result == 0 && kind == libc::SOCK_SEQPACKET).then_some(Self(fd))
    }

    pub(super) fn send(
        &self,
        message: &Message,
        fd: Option<BorrowedFd<'_>>,
    ) -> Result<(), SplitError> {
        let mut text = message.to_string();
        text.truncate(text.floor_char_boundary(MAX_BYTES));
        loop {
            if send_once(self.as_raw_fd(), text.as_bytes(), fd) >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(SplitError::Send {
                    message: text,
                    error,
                });
            }
        }
    }

    /// A signal ends the wait early, so that its flag is looked at.
    pub(super) fn receive(&self, timeout: Duration) -> Result<Received, SplitError> {
        let mut poll = libc::pollfd {
            fd: self.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let time = libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(timeout.subsec_nanos().cast_signed()),
        };
        // SAFETY: one structure, as the count says; the time lives until the call returns.
        match unsafe { libc::ppoll(&raw mut poll, 1, &raw const time, ptr::null()) } {
            0 => Ok(Received::Nothing),
            1.. => self.read(),
            _ => nothing_if_interrupted(io::Error::last_os_error()),
        }
    }

    fn read(&self) -> Result<Received, SplitError> {
        let mut buffer = [0; MAX_BYTES];
        let flags = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
        let (length, fd) = receive_once(self.as_raw_fd(), &mut buffer, flags);
        let Ok(length) = usize::try_from(length) else {
            return match io::Error::last_os_error() {
                // The other part ended with messages unread. The kernel says so once, before what
                // that part had sent itself (unix_release_sock, sock_error).
                error if error.kind() == io::ErrorKind::ConnectionReset => self.read(),
                error => nothing_if_interrupted(error),
            };
        };
        // No message is empty.
        if length == 0 {
            return Ok(Received::Closed);
        }
        // With MSG_TRUNC the length is that of the message, also of one that is too long.
        let text = buffer.get(..length).map(std::str::from_utf8);
        match text {
            Some(Ok(text)) => Ok(match fd {
                Some(fd) => Received::WithFd(text.parse()?, fd.into()),
                None => Received::Message(text.parse()?),
            }),
            _ => Err(MessageError(String::from_utf8_lossy(&buffer).into_owned()).into()),
        }
    }
}

/// What `sendmsg` says of the bytes and, beside them, the descriptor.
fn send_once(socket: RawFd, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> isize {
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut control: Control = [0; 4];
    // SAFETY: all zeros is a valid value of this plain structure.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    if let Some(fd) = fd {
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = CONTROL_BYTES as _;
        // SAFETY: the control buffer is aligned and has room for a header and one descriptor.
        unsafe {
            let first = libc::CMSG_FIRSTHDR(&raw const header);
            (*first).cmsg_level = libc::SOL_SOCKET;
            (*first).cmsg_type = libc::SCM_RIGHTS;
            (*first).cmsg_len = libc::CMSG_LEN(FD_BYTES) as _;
            let place = libc::CMSG_DATA(first).cast::<RawFd>();
            place.write_unaligned(fd.as_raw_fd());
        }
    }
    // SAFETY: reads what the header points to, all of which lives until the call returns.
    unsafe { libc::sendmsg(socket, &raw const header, libc::MSG_NOSIGNAL) }
}

/// What `recvmsg` says, and the descriptor beside the bytes.
fn receive_once(socket: RawFd, buffer: &mut [u8], flags: i32) -> (isize, Option<OwnedFd>) {
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let mut control: Control = [0; 4];
    // SAFETY: all zeros is a valid value of this plain structure.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_BYTES as _;
    let flags = flags | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: writes into what the header points to, not past the lengths that are given.
    let length = unsafe { libc::recvmsg(socket, &raw mut header, flags) };
    if length < 0 {
        return (length, None);
    }
    // SAFETY: the kernel filled the control buffer, or left it empty, which gives no header; a
    // header of this kind and length has one descriptor behind it, which is ours from here on.
    let fd = unsafe {
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        let passed = !first.is_null()
            && (*first).cmsg_level == libc::SOL_SOCKET
            && (*first).cmsg_type == libc::SCM_RIGHTS
            && (*first).cmsg_len as usize == libc::CMSG_LEN(FD_BYTES) as usize;
        passed.then(|| {
            let place = libc::CMSG_DATA(first).cast::<RawFd>();
            OwnedFd::from_raw_fd(place.read_unaligned())
        })
    };
    (length, fd)
}

fn nothing_if_interrupted(error: io::Error) -> Result<Received, SplitError> {
    match error.kind() {
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => Ok(Received::Nothing),
        _ => Err(SplitError::Receive(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn what_was_said_before_the_end_is_heard_also_by_who_was_not_heard() {
        let (ours, theirs) = Channel::pair().unwrap();
        ours.send(&Message::Working, None).unwrap();
        theirs.send(&Message::Stop, None).unwrap();
        theirs.send(&Message::Detached, None).unwrap();
        drop(theirs);
        for said in [Message::Stop, Message::Detached] {
            let heard = ours.receive(NOW).unwrap();
            assert!(
                matches!(&heard, Received::Message(it) if *it == said),
                "{heard:?}"
            );
        }
        assert!(matches!(ours.receive(NOW).unwrap(), Received::Closed));
        assert!(matches!(ours.receive(NOW).unwrap(), Received::Closed));
    }

    #[test]
    fn messages_stay_apart_and_the_end_is_seen() {
        let (one, other) = Channel::pair().unwrap();
        assert_eq!(other.receive(NOW).unwrap(), Received::Nothing);
        let long = Message::Note("é".repeat(MAX_BYTES));
        for message in [&Message::Detach, &Message::Note(String::new()), &long] {
            one.send(message, None).unwrap();
        }
        let received = |channel: &Channel| match channel.receive(NOW).unwrap() {
            Received::Message(message) => message,
            other => panic!("{other:?}"),
        };
        assert_eq!(received(&other), Message::Detach);
        assert_eq!(received(&other), Message::Note(String::new()));
        // 5 bytes are `note `.
        let cut = "é".repeat((MAX_BYTES - 5) / 2);
        assert_eq!(received(&other), Message::Note(cut));
        one.send(&Message::Done, None).unwrap();
        drop(one);
        assert_eq!(received(&other), Message::Done);
        assert_eq!(other.receive(NOW).unwrap(), Received::Closed);
        let error = other.send(&Message::Stop, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot send 'stop' to the other part: Broken pipe (os error 32)"
        );
    }

    #[test]
    fn a_descriptor_goes_with_its_message_alone() {
        use std::io::{Read as _, Write as _};
        let (one, other) = Channel::pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let gone = Message::Gone {
            slot: 3,
            name: "lan0".to_owned(),
        };
        one.send(&gone, Some(writer.as_fd())).unwrap();
        one.send(&Message::Stop, None).unwrap();
        drop(writer);
        let Received::WithFd(message, fd) = other.receive(NOW).unwrap() else {
            panic!("no descriptor");
        };
        assert_eq!(message, gone);
        assert_eq!(
            other.receive(NOW).unwrap(),
            Received::Message(Message::Stop)
        );
        let fd = fd.into_fd().unwrap();
        // SAFETY: asks for flags of a descriptor that is open.
        let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
        assert_eq!(flags, libc::FD_CLOEXEC);
        std::fs::File::from(fd).write_all(b"x").unwrap();
        // Nobody else has the other end, so this ends.
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, "x");
    }

    #[test]
    fn what_is_no_channel_is_refused() {
        let file = tempfile::tempfile().unwrap();
        assert!(Channel::from_fd(file.into()).is_none());
        let (one, _other) = Channel::pair().unwrap();
        assert!(Channel::from_fd(one.0).is_some());
    }
}
