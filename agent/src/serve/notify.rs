//! What the service manager is told: sd_notify(3), by its socket and nothing else.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to the service manager; without one, nothing is said.
#[derive(Debug, Default)]
pub struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

/// Why the service manager cannot be told.
#[derive(Debug, thiserror::Error)]
#[error("cannot reach the service manager (NOTIFY_SOCKET={address}): {source}")]
pub struct NotifyError {
    /// The socket's address.
    address: String,
    /// Why not.
    source: io::Error,
}

impl Notifier {
    /// As the environment says.
    ///
    /// # Errors
    /// If it names a socket that cannot be one.
    pub fn from_env() -> Result<Self, NotifyError> {
        let Some(address) = env::var_os("NOTIFY_SOCKET") else {
            return Ok(Self::default());
        };
        let to = open(&address).map_err(|source| NotifyError {
            address: address.to_string_lossy().into_owned(),
            source,
        })?;
        Ok(Self {
            to: Some(to),
            watchdog: watchdog(
                env::var("WATCHDOG_USEC").ok().as_deref(),
                env::var("WATCHDOG_PID").ok().as_deref(),
            ),
        })
    }

    /// How often [`Notifier::alive`] is expected, at least; `None`: never.
    #[must_use]
    pub const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// It works, and does this.
    pub fn ready(&self, status: &str) {
        self.say(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// It does this.
    pub fn status(&self, status: &str) {
        self.say(&format!("STATUS={}", one_line(status)));
    }

    /// It reads its configuration again; [`Notifier::ready`] is to follow.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// It is ending.
    pub fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=Writing what was captured");
    }

    /// It is not stuck.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    /// A service manager that is not there misses nothing, and capture goes on without it.
    fn say(&self, state: &str) {
        if let Some((socket, address)) = &self.to {
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }
}

/// The socket of a path, or with an `@` in front an abstract one. Never waits.
fn open(address: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(address)?,
        _ => {
            let reason = "neither an absolute path nor an abstract name";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// `WATCHDOG_USEC`, unless it is meant for another process.
fn watchdog(micros: Option<&str>, process: Option<&str>) -> Option<Duration> {
    let own = std::process::id().to_string();
    if process.is_some_and(|process| process != own) {
        return None;
    }
    let micros: u64 = micros?.parse().ok()?;
    (micros > 0).then(|| Duration::from_micros(micros))
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 512];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    fn notifier(address: &OsStr) -> Notifier {
        Notifier {
            to: Some(open(address).unwrap()),
            watchdog: None,
        }
    }

    #[test]
    fn it_is_heard_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        notifier(path.as_os_str()).ready("two\nlines");
        assert_eq!(received(&by_path), "READY=1\nSTATUS=two lines");
        let name = format!("flowsift-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&abstract_name).unwrap();
        let notifier = notifier(OsStr::new(&format!("@{name}")));
        notifier.alive();
        assert_eq!(received(&by_name), "WATCHDOG=1");
        notifier.reloading();
        let text = received(&by_name);
        let micros = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(micros.parse::<u64>().unwrap() > 0);
    }

    #[test]
    fn what_is_no_socket_is_refused() {
        assert!(open(OsStr::new("vsock:2:1234")).is_err());
        assert!(open(OsStr::new("")).is_err());
    }

    #[test]
    fn the_watchdog_may_be_anothers() {
        let own = std::process::id().to_string();
        let minute = Some(Duration::from_secs(60));
        assert_eq!(watchdog(Some("60000000"), None), minute);
        assert_eq!(watchdog(Some("60000000"), Some(&own)), minute);
        assert_eq!(watchdog(Some("60000000"), Some("1")), None);
        assert_eq!(watchdog(Some("0"), None), None);
        assert_eq!(watchdog(None, None), None);
    }

    #[test]
    fn without_a_manager_nothing_is_said() {
        Notifier::default().stopping();
    }
}
