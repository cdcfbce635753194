//! The program on an interface, until it is dropped.

use agent_common::config::{INTERFACE_ENTRIES, SLOTS};
use aya::EbpfError;
use aya::programs::XdpMode;
use aya::programs::links::FdLink;
use aya::programs::tc::SchedClassifierLink;

use super::config::{InterfaceConfig, Mode, Note};
use super::interfaces::{Interface, list};
use super::offload;
use super::program::{Interfaces, Program, Value};
use super::refusal::{AttachError, explain, may_be_generic};

/// The program on one interface. Dropping it detaches; so does the end of the process, however
/// it comes, because the kernel's link lives by a descriptor.
pub struct Attachment {
    pub(super) interface: Interface,
    mode: Mode,
    pub(super) notes: Vec<Note>,
    interfaces: Interfaces,
    /// `None` only while it is dropped.
    link: Option<FdLink>,
    /// The second program's, where sent packets are wanted.
    pub(super) egress: Option<SchedClassifierLink>,
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
        // First, so that no packet comes that nothing is wanted of.
        self.link = None;
        self.egress = None;
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
                    link: Some(link),
                    egress: None,
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
            Mode::PacketSocket => {
                return Err(AttachError::Config {
                    interface: interface.name.clone(),
                    reason: "the kernel program is no packet socket".to_owned(),
                });
            }
            Mode::Generic => {
                let link = self.link(interface, Mode::Generic)?;
                return Ok((link, Mode::Generic, vec![Note::Generic]));
            }
            Mode::Native | Mode::Auto => match self.link(interface, Mode::Native) {
                Ok(link) => return Ok((link, Mode::Native, Vec::new())),
                Err(AttachError::Refused { reason, errno, .. })
                    if mode == Mode::Auto && may_be_generic(errno) =>
                {
                    reason
                }
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
            Mode::Auto | Mode::Native | Mode::PacketSocket => XdpMode::Driver,
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
            errno: libc::ENOSYS,
        })
    }
}

fn remove_config(interfaces: &Interfaces, index: u32) {
    let mut configured = interfaces.lock();
    let Some(slot) = configured.slots.remove(&index) else {
        return;
    };
    // A packet that is just being handled may read the entry in part: its slot stays.
    // An entry of an array can always be written.
    let _ = configured.set(index, Value::unwanted(slot));
}

fn vlan_note(interface: &Interface) -> Option<Note> {
    // Where the question cannot be asked there is no card to strip anything.
    if offload::strips_vlan_tags(&interface.name).unwrap_or(false) {
        return Some(Note::VlanOffload {
            interface: interface.name.clone(),
        });
    }
    // Of an end in another namespace, a container's, nothing can be learnt here.
    let peer = interface.link?;
    let peer = list().ok()?.into_iter().find(|it| it.index == peer)?.name;
    let beside = offload::leaves_vlan_tags_beside(&peer).unwrap_or(false);
    beside.then_some(Note::VlanBeside { peer })
}
