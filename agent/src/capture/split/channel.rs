//! A pair of connected sockets that keep messages apart (`SOCK_SEQPACKET`).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use super::{Message, MessageError, SplitError, message::MAX_BYTES};

/// One end.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

/// What came in the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A message.
    Message(Message),
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

    pub(super) fn send(&self, message: &Message) -> Result<(), SplitError> {
        let mut text = message.to_string();
        text.truncate(text.floor_char_boundary(MAX_BYTES));
        loop {
            // SAFETY: reads the bytes of the text.
            let sent = unsafe {
                libc::send(
                    self.as_raw_fd(),
                    text.as_ptr().cast(),
                    text.len(),
                    libc::MSG_NOSIGNAL,
                )
            };
            if sent >= 0 {
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
        // SAFETY: writes at most as many bytes as the buffer has.
        let length = unsafe {
            libc::recv(
                self.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                flags,
            )
        };
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
            Some(Ok(text)) => Ok(Received::Message(text.parse()?)),
            _ => Err(MessageError(String::from_utf8_lossy(&buffer).into_owned()).into()),
        }
    }
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
        ours.send(&Message::Working).unwrap();
        theirs.send(&Message::Stop).unwrap();
        theirs.send(&Message::Detached).unwrap();
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
            one.send(message).unwrap();
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
        one.send(&Message::Done).unwrap();
        drop(one);
        assert_eq!(received(&other), Message::Done);
        assert_eq!(other.receive(NOW).unwrap(), Received::Closed);
        let error = other.send(&Message::Stop).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot send 'stop' to the other part: Broken pipe (os error 32)"
        );
    }

    #[test]
    fn what_is_no_channel_is_refused() {
        let file = tempfile::tempfile().unwrap();
        assert!(Channel::from_fd(file.into()).is_none());
        let (one, _other) = Channel::pair().unwrap();
        assert!(Channel::from_fd(one.0).is_some());
    }
}
