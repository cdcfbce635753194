//! The machine's interfaces: which there are, which are meant, and how they come and go.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::{Duration, Instant};

use super::netlink::{LinkMessage, Message, Socket};

/// Frames of these begin with an Ethernet header (`ARPHRD_ETHER`, `ARPHRD_LOOPBACK`).
const ETHERNET_HARDWARE: [u16; 2] = [libc::ARPHRD_ETHER, libc::ARPHRD_LOOPBACK];

/// What went wrong with interfaces.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// The kernel does not list them.
    #[error("cannot list the network interfaces: {0}")]
    List(#[source] io::Error),
    /// The kernel does not tell of changes.
    #[error("cannot watch the network interfaces: {0}")]
    Watch(#[source] io::Error),
    /// A pattern is none.
    #[error("`{pattern}` is no interface pattern: {error}")]
    Pattern {
        /// As it was given.
        pattern: String,
        /// What is wrong with it.
        error: glob::PatternError,
    },
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's number, which no other interface gets while the machine runs.
    pub index: u32,
    /// Its name at the moment.
    pub name: String,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether its frames begin with an Ethernet header.
    pub ethernet: bool,
    /// Its `ARPHRD_` number (`if_arp.h`).
    pub hardware: u16,
    /// The longest packet without link header, in bytes.
    pub mtu: u32,
    /// The number of the one that it is connected to or stands on, if that is here, too.
    pub link: Option<u32>,
    /// Kernel ids of the XDP programs that it has.
    pub xdp_programs: Vec<u32>,
}

impl From<LinkMessage> for Interface {
    fn from(link: LinkMessage) -> Self {
        Self {
            index: link.index,
            name: link.name,
            up: link.flags & libc::IFF_UP as u32 != 0,
            ethernet: ETHERNET_HARDWARE.contains(&link.hardware),
            hardware: link.hardware,
            mtu: link.mtu,
            link: link.link,
            xdp_programs: link.xdp_programs,
        }
    }
}

/// All interfaces of this network namespace, in the order of their numbers.
pub fn list() -> Result<Vec<Interface>, InterfaceError> {
    let links = Socket::open(false)
        .and_then(|socket| socket.list())
        .map_err(InterfaceError::List)?;
    let mut interfaces: Vec<_> = links.into_iter().map(Interface::from).collect();
    interfaces.sort_by_key(|interface| interface.index);
    Ok(interfaces)
}

/// Names of interfaces, exact or with `*`, `?` and `[...]`.
#[derive(Clone, Debug)]
pub struct Patterns(Vec<glob::Pattern>);

impl Patterns {
    /// Reads patterns as given on a command line.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self, InterfaceError> {
        let parse = |text: &S| {
            glob::Pattern::new(text.as_ref()).map_err(|error| InterfaceError::Pattern {
                pattern: text.as_ref().to_owned(),
                error,
            })
        };
        patterns
            .iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The first pattern that the name matches, by its place.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|pattern| pattern.matches(name))
    }
}

/// What happened to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterfaceEvent {
    /// It is there: new, renamed to this, or at the start of the watch.
    Appeared(Interface),
    /// It was switched on or off, or got another MTU.
    Changed(Interface),
    /// It was removed, or renamed to something else. What was attached to a removed one is gone.
    Gone(Interface),
}

/// Watches the interfaces of this network namespace.
pub struct InterfaceWatch {
    socket: Socket,
    known: BTreeMap<u32, Interface>,
    /// The kernel lost messages, or this is the start: compare with a list.
    stale: bool,
}

impl InterfaceWatch {
    /// Starts to watch; the first events are of the interfaces that are there.
    pub fn new() -> Result<Self, InterfaceError> {
        Ok(Self {
            socket: Socket::open(true).map_err(InterfaceError::Watch)?,
            known: BTreeMap::new(),
            stale: true,
        })
    }

    /// Waits for changes until the time is over, and gives those that there are.
    pub fn wait(&mut self, timeout: Duration) -> Result<Vec<InterfaceEvent>, InterfaceError> {
        let end = Instant::now() + timeout;
        loop {
            let mut events = Vec::new();
            if self.stale {
                self.discard()?;
                self.compare_with_list(&mut events)?;
            }
            self.read(&mut events)?;
            let left = end.saturating_duration_since(Instant::now());
            if !events.is_empty() || left.is_zero() && !self.stale {
                return Ok(events);
            }
            if !self.stale {
                self.poll(left).map_err(InterfaceError::Watch)?;
            }
        }
    }

    /// The interfaces as of the last events.
    pub fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.known.values()
    }

    /// Reads past what the list will say better. A message that was sent before those that were
    /// lost would undo it, and until all are read the kernel does not say that it loses more
    /// (`NETLINK_S_CONGESTED`).
    fn discard(&self) -> Result<(), InterfaceError> {
        loop {
            match self.socket.receive() {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) => return Err(InterfaceError::Watch(error)),
            }
        }
    }

    fn read(&mut self, events: &mut Vec<InterfaceEvent>) -> Result<(), InterfaceError> {
        loop {
            match self.socket.receive() {
                Ok(messages) => {
                    for message in messages {
                        self.apply(message, events);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.stale = true;
                    return Ok(());
                }
                Err(error) => return Err(InterfaceError::Watch(error)),
            }
        }
    }

    fn apply(&mut self, message: Message, events: &mut Vec<InterfaceEvent>) {
        match message {
            Message::Link(link) => self.learn(link.into(), events),
            Message::Gone(link) => {
                events.extend(self.known.remove(&link.index).map(InterfaceEvent::Gone));
            }
            Message::Done | Message::Error(_) => {}
        }
    }

    fn learn(&mut self, interface: Interface, events: &mut Vec<InterfaceEvent>) {
        let old = self.known.insert(interface.index, interface.clone());
        match old {
            Some(old) if old.name == interface.name => {
                if (old.up, old.mtu) != (interface.up, interface.mtu) {
                    events.push(InterfaceEvent::Changed(interface));
                }
            }
            old => {
                events.extend(old.map(InterfaceEvent::Gone));
                events.push(InterfaceEvent::Appeared(interface));
            }
        }
    }

    fn compare_with_list(
        &mut self,
        events: &mut Vec<InterfaceEvent>,
    ) -> Result<(), InterfaceError> {
        let listed = list()?;
        let is_listed = |index: &u32| listed.iter().any(|interface| interface.index == *index);
        let gone = self.known.extract_if(.., |index, _| !is_listed(index));
        events.extend(gone.map(|(_, interface)| InterfaceEvent::Gone(interface)));
        for interface in listed {
            self.learn(interface, events);
        }
        self.stale = false;
        Ok(())
    }

    fn poll(&self, timeout: Duration) -> io::Result<()> {
        let mut poll = libc::pollfd {
            fd: self.socket.as_fd().as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // Rounded up, so that the last wait is not one of zero milliseconds in a circle.
        let millis = timeout.as_micros().div_ceil(1000);
        // SAFETY: one entry, which is ours.
        let found =
            unsafe { libc::poll(&raw mut poll, 1, i32::try_from(millis).unwrap_or(i32::MAX)) };
        match found {
            0.. => Ok(()),
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
                error => Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(index: u32, name: &str, up: bool) -> Interface {
        Interface {
            index,
            name: name.into(),
            up,
            ethernet: true,
            hardware: 1,
            mtu: 1500,
            link: None,
            xdp_programs: Vec::new(),
        }
    }

    #[test]
    fn the_loopback_interface_is_listed() {
        let interfaces = list().unwrap();
        let loopback = interfaces.iter().find(|it| it.name == "lo").unwrap();
        assert!(loopback.ethernet && loopback.index == 1, "{loopback:?}");
    }

    #[test]
    fn patterns_match_whole_names_in_their_order() {
        let patterns = Patterns::new(&["eth0", "lan*"]).unwrap();
        assert_eq!(patterns.position("eth0"), Some(0));
        assert_eq!(patterns.position("lan12"), Some(1));
        assert_eq!(patterns.position("eth01"), None);
        assert!(Patterns::new(&["a[b"]).is_err());
    }

    #[test]
    fn a_watch_tells_of_changes_only() {
        let mut watch = InterfaceWatch::new().unwrap();
        watch.known.clear();
        let mut events = Vec::new();
        for (name, up) in [("a", true), ("a", true), ("a", false), ("b", false)] {
            watch.learn(interface(1_000_000, name, up), &mut events);
        }
        let expected = [
            InterfaceEvent::Appeared(interface(1_000_000, "a", true)),
            InterfaceEvent::Changed(interface(1_000_000, "a", false)),
            InterfaceEvent::Gone(interface(1_000_000, "a", false)),
            InterfaceEvent::Appeared(interface(1_000_000, "b", false)),
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn the_first_events_are_what_is_there() {
        let mut watch = InterfaceWatch::new().unwrap();
        let events = watch.wait(Duration::ZERO).unwrap();
        let is_loopback = |event: &InterfaceEvent| matches!(event, InterfaceEvent::Appeared(it) if it.name == "lo");
        assert!(events.iter().any(is_loopback), "{events:?}");
    }
}
