//! The program on an interface: in which mode, with what said about it, until it is dropped.

use std::fmt;
use std::io;

use agent_common::config::{INTERFACE_ENTRIES, MAX_SNAPLEN, SLOTS, wants};
use aya::EbpfError;
use aya::maps::MapError;
use aya::programs::links::FdLink;
use aya::programs::xdp::XdpError;
use aya::programs::{ProgramError as AyaError, XdpMode, loaded_programs};

use super::interfaces::{self, Interface};
use super::offload;
use super::program::{Interfaces, Program, Value};

/// What is wanted of an interface's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceConfig {
    /// Its number in records and counters, 0 to 63; no two interfaces can have the same.
    pub slot: u32,
    /// Bytes kept of each packet; no more than 65,535, which is also what zero stands for.
    pub snaplen: u32,
    /// Packet records: the first `snaplen` bytes of each packet, and its tuple.
    pub packets: bool,
    /// A tuple of each packet in the tuple rings.
    pub tuples: bool,
    /// Where both are wanted: packet records stand for their tuples, and only a packet that found
    /// no room in its ring has its tuple in a tuple ring. Takes half the time, but whoever wants all
    /// tuples must read both kinds of ring.
    pub joined: bool,
}

impl InterfaceConfig {
    fn value(self, interface: u32) -> Value {
        let flag = |wanted, flag| if wanted { flag } else { 0 };
        let joined = self.joined && self.packets && self.tuples;
        let snaplen = match self.snaplen {
            0 => MAX_SNAPLEN,
            snaplen => snaplen.min(MAX_SNAPLEN),
        };
        Value(agent_common::InterfaceConfig {
            slot: self.slot,
            snaplen,
            flags: flag(self.tuples, wants::TUPLES)
                | flag(self.packets, wants::PACKETS)
                | flag(joined, wants::JOINED),
            interface,
        })
    }
}

/// Where on the receive path the program may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// In the driver; in the network stack where the driver cannot, which is noted.
    #[default]
    Auto,
    /// In the driver or not at all.
    Native,
    /// In the network stack, which is slower and may see segments already merged.
    Generic,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Generic => "generic",
        })
    }
}

/// Something about an attachment that its user should be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The driver could not, for this reason, so the program runs in the network stack.
    FellBack {
        /// The kernel's.
        reason: String,
    },
    /// Generic mode runs after segments have been merged.
    Generic,
    /// The card takes VLAN tags out of the frames.
    VlanOffload {
        /// The interface's name.
        interface: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FellBack { reason } => {
                write!(f, "no native XDP here ({reason}), so generic mode is used")
            }
            Self::Generic => f.write_str(
                "generic mode is slower, and sees segments that the kernel has already merged as one packet",
            ),
            Self::VlanOffload { interface } => write!(
                f,
                "the card strips VLAN tags, so packets have none (`ethtool -K {interface} rxvlan off` keeps them)"
            ),
        }
    }
}

/// What keeps the program from an interface.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Frames of it do not begin with an Ethernet header.
    #[error(
        "cannot capture on {interface}: it is no Ethernet interface (hardware type {hardware})"
    )]
    NotEthernet {
        /// Its name.
        interface: String,
        /// Its `ARPHRD_` number.
        hardware: u16,
    },
    /// Another XDP program is there.
    #[error("cannot capture on {interface}: {holder} holds its XDP hook")]
    Busy {
        /// Its name.
        interface: String,
        /// The program, by name and id as far as they are known.
        holder: String,
    },
    /// The process may not.
    #[error("cannot capture on {interface}: the kernel does not let this process attach ({error})")]
    Permission {
        /// Its name.
        interface: String,
        /// The kernel's reason.
        error: io::Error,
    },
    /// It is not there any more.
    #[error("cannot capture on {interface}: it is gone")]
    Gone {
        /// Its name.
        interface: String,
    },
    /// The mode is not possible there.
    #[error("cannot capture on {interface} in {mode} mode: {reason}")]
    Refused {
        /// Its name.
        interface: String,
        /// The mode that was tried last.
        mode: Mode,
        /// The kernel's reason, and what it usually means.
        reason: String,
    },
    /// The configuration is not possible.
    #[error("cannot capture on {interface}: {reason}")]
    Config {
        /// Its name.
        interface: String,
        /// Why not.
        reason: String,
    },
    /// The kernel does not take the configuration.
    #[error("cannot tell the kernel program what is wanted of {interface}: {error}")]
    Map {
        /// Its name.
        interface: String,
        /// Why not.
        error: MapError,
    },
    /// The program cannot be used.
    #[error(transparent)]
    Program(#[from] super::ProgramError),
}

impl AttachError {
    /// What to do about it, where that is known.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Busy { .. } => Some("one interface has one XDP program; stop the other first"),
            Self::Permission { .. } => Some("run as root, or with CAP_NET_ADMIN and CAP_BPF"),
            Self::Refused {
                mode: Mode::Native, ..
            } => Some("generic mode may be possible"),
            _ => None,
        }
    }
}

/// The program on one interface. Dropping it detaches; so does the end of the process, however
/// it comes, because the kernel's link lives by a descriptor.
pub struct Attachment {
    interface: Interface,
    mode: Mode,
    notes: Vec<Note>,
    interfaces: Interfaces,
    _link: FdLink,
}

impl Attachment {
    /// The interface, as it was when it was attached to.
    #[must_use]
    pub const fn interface(&self) -> &Interface {
        &self.interface
    }

    /// Native or generic.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// What the user should be told.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Changes what is wanted; the slot must stay. Packets that are on their way may still be
    /// handled by the old configuration.
    pub fn configure(&self, config: InterfaceConfig) -> Result<(), AttachError> {
        let mut configured = self.interfaces.lock();
        let interface = || self.interface.name.clone();
        if configured.slots.get(&self.interface.index) != Some(&config.slot) {
            return Err(AttachError::Config {
                interface: interface(),
                reason: format!("its slot cannot become {}", config.slot),
            });
        }
        let index = self.interface.index;
        configured
            .set(index, config.value(index))
            .map_err(|error| AttachError::Map {
                interface: interface(),
                error,
            })
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        remove_config(&self.interfaces, self.interface.index);
    }
}

impl Program {
    /// Attaches to an interface. Counts in `config.slot` go on from where they are.
    pub fn attach(
        &mut self,
        interface: &Interface,
        config: InterfaceConfig,
        mode: Mode,
    ) -> Result<Attachment, AttachError> {
        if !interface.ethernet {
            return Err(AttachError::NotEthernet {
                interface: interface.name.clone(),
                hardware: interface.hardware,
            });
        }
        self.configure(interface, config)?;
        match self.link_in(interface, mode) {
            Ok((link, mode, mut notes)) => {
                notes.extend(vlan_note(interface));
                Ok(Attachment {
                    interface: interface.clone(),
                    mode,
                    notes,
                    interfaces: self.interfaces.clone(),
                    _link: link,
                })
            }
            Err(error) => {
                remove_config(&self.interfaces, interface.index);
                Err(error)
            }
        }
    }

    /// Says what is wanted of an interface's packets, without attaching to it: what
    /// [`Program::attach`] does first, and all that [`Program::test_run`] needs.
    pub fn configure(
        &self,
        interface: &Interface,
        config: InterfaceConfig,
    ) -> Result<(), AttachError> {
        let mut configured = self.interfaces.lock();
        let index = interface.index;
        let name = || interface.name.clone();
        let refuse = |reason| {
            Err(AttachError::Config {
                interface: name(),
                reason,
            })
        };
        if config.slot >= SLOTS {
            return refuse(format!("there are only {SLOTS} slots for interfaces"));
        }
        if config.packets && !self.has_packet_rings() {
            return refuse("packets are wanted, but there are no packet rings".to_owned());
        }
        if configured.slots.contains_key(&index) {
            return refuse("it is already being captured on".to_owned());
        }
        if configured.slots.values().any(|slot| *slot == config.slot) {
            return refuse(format!("slot {} is another interface's", config.slot));
        }
        let entry = |index| index % INTERFACE_ENTRIES;
        if let Some(other) = configured
            .slots
            .keys()
            .find(|it| entry(**it) == entry(index))
        {
            return refuse(format!(
                "its number {index} and {other}, that of another one, are the same modulo {INTERFACE_ENTRIES}"
            ));
        }
        configured
            .set(index, config.value(index))
            .map_err(|error| AttachError::Map {
                interface: name(),
                error,
            })?;
        configured.slots.insert(index, config.slot);
        Ok(())
    }

    fn link_in(
        &mut self,
        interface: &Interface,
        mode: Mode,
    ) -> Result<(FdLink, Mode, Vec<Note>), AttachError> {
        let reason = match mode {
            Mode::Generic => {
                let link = self.link(interface, Mode::Generic)?;
                return Ok((link, Mode::Generic, vec![Note::Generic]));
            }
            Mode::Native | Mode::Auto => match self.link(interface, Mode::Native) {
                Ok(link) => return Ok((link, Mode::Native, Vec::new())),
                Err(AttachError::Refused { reason, .. }) if mode == Mode::Auto => reason,
                Err(error) => return Err(error),
            },
        };
        let link = self.link(interface, Mode::Generic)?;
        Ok((
            link,
            Mode::Generic,
            vec![Note::FellBack { reason }, Note::Generic],
        ))
    }

    /// The one place that calls the library to attach.
    fn link(&mut self, interface: &Interface, mode: Mode) -> Result<FdLink, AttachError> {
        let flag = match mode {
            Mode::Generic => XdpMode::Skb,
            Mode::Auto | Mode::Native => XdpMode::Driver,
        };
        let xdp = self.xdp()?;
        let attached = xdp.attach_to_if_index(interface.index, flag);
        let id = attached.map_err(|error| explain(error, interface, mode))?;
        let program = |error| super::ProgramError::Object(EbpfError::ProgramError(error));
        let link = xdp.take_link(id).map_err(program)?;
        // Before 5.9 the library attaches by netlink; such an attachment would outlive us.
        FdLink::try_from(link).map_err(|_| AttachError::Refused {
            interface: interface.name.clone(),
            mode,
            reason: "the kernel has no BPF links for XDP (they came with 5.9)".to_owned(),
        })
    }
}

fn remove_config(interfaces: &Interfaces, index: u32) {
    let mut configured = interfaces.lock();
    // An entry of an array can always be written.
    let _ = configured.set(index, Value::default());
    configured.slots.remove(&index);
}

fn vlan_note(interface: &Interface) -> Option<Note> {
    // Where the question cannot be asked there is no card to strip anything.
    offload::strips_vlan_tags(&interface.name)
        .unwrap_or(false)
        .then(|| Note::VlanOffload {
            interface: interface.name.clone(),
        })
}

/// Sorts the kernel's reasons: only [`AttachError::Refused`] lets `auto` try generic mode.
fn explain(error: AyaError, interface: &Interface, mode: Mode) -> AttachError {
    let name = interface.name.clone();
    let code = match &error {
        AyaError::SyscallError(error) => error.io_error.raw_os_error(),
        AyaError::XdpError(XdpError::NetlinkError(error)) => error.raw_os_error(),
        _ => None,
    };
    let Some(code) = code else {
        return super::ProgramError::Object(EbpfError::ProgramError(error)).into();
    };
    match code {
        libc::EBUSY | libc::EEXIST => AttachError::Busy {
            holder: holder(interface.index),
            interface: name,
        },
        libc::EPERM | libc::EACCES => AttachError::Permission {
            interface: name,
            error: io::Error::from_raw_os_error(code),
        },
        libc::ENODEV | libc::ENXIO => AttachError::Gone { interface: name },
        _ => AttachError::Refused {
            interface: name,
            mode,
            reason: reason(&error, code),
        },
    }
}

/// The kernel's text, where it gave one, and what the number usually means for XDP.
fn reason(error: &AyaError, code: i32) -> String {
    let text = match error {
        AyaError::XdpError(error) => error.to_string(),
        _ => io::Error::from_raw_os_error(code).to_string(),
    };
    match code {
        libc::EOPNOTSUPP => format!("the driver has no XDP: {text}"),
        libc::ERANGE => format!("the MTU is too large for the driver's XDP: {text}"),
        libc::EINVAL => format!("the driver does not take the program as it is set up: {text}"),
        _ => text,
    }
}

/// The XDP programs on an interface, for people.
fn holder(index: u32) -> String {
    let listed = interfaces::list().unwrap_or_default();
    let interface = listed.into_iter().find(|it| it.index == index);
    let ids = interface.map_or_else(Vec::new, |interface| interface.xdp_programs);
    let name = |id: &u32| {
        let program = loaded_programs()
            .filter_map(Result::ok)
            .find(|program| program.id() == *id);
        let name = program.and_then(|program| Some(program.name_as_str()?.to_owned()));
        match name {
            Some(name) if !name.is_empty() => format!("the program `{name}` (id {id})"),
            _ => format!("the program with id {id}"),
        }
    };
    match ids.iter().map(name).collect::<Vec<_>>() {
        names if names.is_empty() => "another program".to_owned(),
        names => names.join(" and "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_what_the_kernel_program_reads() {
        let config = InterfaceConfig {
            slot: 3,
            snaplen: 0,
            packets: true,
            tuples: false,
            joined: true,
        };
        let Value(value) = config.value(9);
        assert_eq!((value.slot, value.snaplen, value.interface), (3, 65_535, 9));
        assert_eq!(value.flags, wants::PACKETS, "joined needs both");
        let both = InterfaceConfig {
            tuples: true,
            snaplen: 100_000,
            ..config
        };
        let Value(value) = both.value(9);
        assert_eq!(value.flags, wants::TUPLES | wants::PACKETS | wants::JOINED);
        assert_eq!(value.snaplen, 65_535);
    }
}
