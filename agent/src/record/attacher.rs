//! The part that needs privileges: packets from every interface that is wanted, also from those
//! that come, go and come back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::counts::SLOTS;
use super::slots::Slots;
use crate::capture::split::PassedFd;
use crate::capture::{
    AttachError, Attached, AttachedTo, Interface, InterfaceConfig, InterfaceError, InterfaceEvent,
    InterfaceWatch, Mode, Patterns, Source,
};

/// An interface, or a pattern of several, and the tag of its packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// A name, or a glob pattern.
    pub pattern: String,
    /// The tag that its packets get.
    pub tag: String,
}

/// What is captured of each interface.
#[derive(Clone, Copy, Debug)]
pub struct What {
    /// Bytes kept of a packet.
    pub snaplen: u32,
    /// Where the program is to run.
    pub mode: Mode,
    /// Whether packets are wanted, or tuples alone.
    pub packets: bool,
    /// Whether what this machine sends is wanted, too. The program must have been told to load
    /// what that needs.
    pub egress: bool,
}

/// What happened to the interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Packets come from it from now on.
    Attached {
        /// Its number in records and counters; the same if an interface of this name was here
        /// before and its number is not another one's now.
        slot: u32,
        /// Its name.
        name: String,
        /// The tag of its packets.
        tag: String,
        /// How packets come.
        mode: Mode,
        /// Its packet socket, where they come by one.
        socket: Option<PassedFd>,
    },
    /// It is gone.
    Gone {
        /// Its number.
        slot: u32,
        /// Its name.
        name: String,
    },
    /// It is there, and not wanted any more.
    Left {
        /// Its number.
        slot: u32,
        /// Its name.
        name: String,
    },
    /// Something that the user should be told.
    Note(String),
}

/// What an interface means that is wanted and not there at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Capture does not start.
    Refused,
    /// It is said, and capture begins there when it comes.
    Awaited,
}

/// What keeps capture from starting or going on.
#[derive(Debug, thiserror::Error)]
pub enum AttacherError {
    /// No interface is called so.
    #[error("there is no interface {name}")]
    NoSuchInterface {
        /// The name.
        name: String,
        /// Those that there are.
        present: Vec<String>,
    },
    /// Nothing matches the pattern.
    #[error("no interface matches {pattern}")]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// Those that there are.
        present: Vec<String>,
    },
    /// The interfaces cannot be listed or watched.
    #[error(transparent)]
    Interfaces(#[from] InterfaceError),
    /// The program cannot be attached.
    #[error(transparent)]
    Attach(#[from] AttachError),
}

impl AttacherError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchInterface { present, .. } | Self::NoMatch { present, .. } => {
                Some(format!("there are: {}", present.join(", ")))
            }
            Self::Attach(error) => error.hint().map(str::to_owned),
            Self::Interfaces(_) => None,
        }
    }
}

/// Keeps interfaces attached.
pub struct Attacher {
    source: Source,
    watch: InterfaceWatch,
    wanted: Vec<Wanted>,
    patterns: Patterns,
    what: What,
    /// By interface index.
    attachments: BTreeMap<u32, (u32, Attached)>,
    slots: Slots,
    /// Indices of interfaces for which there was no slot.
    waiting: BTreeSet<u32>,
    absent: Absent,
    started: bool,
    /// Why the first interface was left out at the start.
    left_out: Option<AttachError>,
}

impl Attacher {
    /// Attaches to all wanted interfaces that are there. One that is not fit for it, or that
    /// another program holds, is left out with a note where a pattern means it or where absence is
    /// awaited, unless then nothing is left.
    ///
    /// # Errors
    /// If one cannot be attached to, or, unless it is awaited, one that is named is not there or a
    /// pattern matches none.
    pub fn start(
        source: impl Into<Source>,
        wanted: Vec<Wanted>,
        what: What,
        absent: Absent,
    ) -> Result<(Self, Vec<Change>), AttacherError> {
        let mut attacher = Self {
            source: source.into(),
            watch: InterfaceWatch::new()?,
            patterns: patterns(&wanted)?,
            wanted,
            what,
            attachments: BTreeMap::new(),
            slots: Slots::default(),
            waiting: BTreeSet::new(),
            absent,
            started: false,
            left_out: None,
        };
        let mut changes = attacher.poll(Duration::ZERO)?;
        attacher.started = true;
        let awaited = match (absent, attacher.check_all_found()) {
            (Absent::Refused, found) => found.map(|()| Vec::new())?,
            (Absent::Awaited, _) => attacher.awaited(),
        };
        let nothing = attacher.attachments.is_empty() && awaited.is_empty();
        if let Some(error) = attacher.left_out.take().filter(|_| nothing) {
            return Err(error.into());
        }
        changes.extend(awaited);
        Ok((attacher, changes))
    }

    /// Wants these interfaces from now on, in place of the former.
    ///
    /// # Errors
    /// If a pattern is none; nothing is changed then.
    pub fn want(&mut self, wanted: Vec<Wanted>) -> Result<Vec<Change>, AttacherError> {
        self.patterns = patterns(&wanted)?;
        self.wanted = wanted;
        let mut changes = Vec::new();
        let here: Vec<Interface> = self.watch.interfaces().cloned().collect();
        for interface in &here {
            let slot = self.wanted(interface).and_then(|wanted| {
                let key = (interface.name.clone(), wanted.tag.clone());
                self.slots.of(&key)
            });
            let held = self.attachments.get(&interface.index);
            if let Some(held) = held.map(|(slot, _)| *slot)
                && Some(held) != slot
            {
                self.attachments.remove(&interface.index);
                changes.push(Change::Left {
                    slot: held,
                    name: interface.name.clone(),
                });
            }
            self.appeared(interface, &mut changes)?;
        }
        changes.extend(self.awaited());
        Ok(changes)
    }

    /// Follows the interfaces for this long.
    ///
    /// # Errors
    /// If they cannot be watched. That one cannot be attached to again is a note.
    pub fn poll(&mut self, timeout: Duration) -> Result<Vec<Change>, AttacherError> {
        let mut changes = Vec::new();
        for event in self.watch.wait(timeout)? {
            match event {
                InterfaceEvent::Appeared(interface) | InterfaceEvent::Changed(interface) => {
                    self.appeared(&interface, &mut changes)?;
                }
                InterfaceEvent::Gone(interface) => self.gone(&interface, &mut changes),
            }
        }
        Ok(changes)
    }

    /// Lets others have a slot, of which whoever reads the packets knows nothing any more; those
    /// that wait for one get it.
    ///
    /// # Errors
    /// None once capture has started.
    pub fn free(&mut self, slot: u32) -> Result<Vec<Change>, AttacherError> {
        let mut changes = Vec::new();
        // Its interface may have come back meanwhile.
        if self.attachments.values().any(|(held, _)| *held == slot) {
            return Ok(changes);
        }
        self.slots.free(slot);
        let here = self.watch.interfaces();
        let here = here.filter(|interface| self.waiting.contains(&interface.index));
        for interface in &here.cloned().collect::<Vec<_>>() {
            self.appeared(interface, &mut changes)?;
        }
        Ok(changes)
    }

    /// Takes the program off all interfaces: when this returns, no more packets enter its rings.
    /// Sockets are stopped by who reads them.
    pub fn detach(&mut self) {
        self.attachments.clear();
    }

    fn appeared(
        &mut self,
        interface: &Interface,
        changes: &mut Vec<Change>,
    ) -> Result<(), AttacherError> {
        if self.attachments.contains_key(&interface.index) {
            return Ok(());
        }
        let Some(wanted) = self.wanted(interface) else {
            return Ok(());
        };
        let tag = wanted.tag.clone();
        let may_be_left_out = self.absent == Absent::Awaited || is_pattern(&wanted.pattern);
        let source = (interface.name.clone(), tag.clone());
        let Some(slot) = self.slots.choose(&source) else {
            if self.waiting.insert(interface.index) {
                changes.push(Change::Note(format!(
                    "{}: not captured yet, because {SLOTS} others are, which is all that can be at once",
                    interface.name
                )));
            }
            return Ok(());
        };
        self.waiting.remove(&interface.index);
        let config = InterfaceConfig {
            slot,
            snaplen: self.what.snaplen,
            packets: self.what.packets,
            tuples: true,
            joined: true,
        };
        match self
            .source
            .attach(interface, config, self.what.mode, self.what.egress)
        {
            Ok(AttachedTo {
                attached,
                mode,
                notes,
                socket,
            }) => {
                let name = interface.name.clone();
                let note = |note| Change::Note(format!("{name}: {note}"));
                changes.extend(notes.iter().map(note));
                changes.push(Change::Attached {
                    slot,
                    name: name.clone(),
                    tag,
                    mode,
                    socket: socket.map(PassedFd::from),
                });
                self.slots.give(slot, source);
                self.attachments.insert(interface.index, (slot, attached));
            }
            Err(error) if self.started => changes.push(Change::Note(error.to_string())),
            Err(error) if may_be_left_out && is_of_the_interface(&error) => {
                changes.push(Change::Note(error.to_string()));
                self.left_out.get_or_insert(error);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn wanted(&self, interface: &Interface) -> Option<&Wanted> {
        let at = self.patterns.position(&interface.name)?;
        self.wanted.get(at)
    }

    /// What is wanted and not there. One that an earlier pattern has is there, too.
    fn absent(&self) -> impl Iterator<Item = &Wanted> {
        let is_there = |at: usize, wanted: &Wanted| {
            let mut here = self.watch.interfaces();
            here.any(|it| it.name == wanted.pattern || self.patterns.position(&it.name) == Some(at))
        };
        let absent = self.wanted.iter().enumerate();
        absent
            .filter(move |(at, wanted)| !is_there(*at, wanted))
            .map(|(_, wanted)| wanted)
    }

    /// Notes of it.
    fn awaited(&self) -> Vec<Change> {
        let note = |wanted: &Wanted| {
            Change::Note(format!(
                "{}: not there; capture begins when it comes",
                wanted.pattern
            ))
        };
        self.absent().map(note).collect()
    }

    fn gone(&mut self, interface: &Interface, changes: &mut Vec<Change>) {
        self.waiting.remove(&interface.index);
        if let Some((slot, _)) = self.attachments.remove(&interface.index) {
            changes.push(Change::Gone {
                slot,
                name: interface.name.clone(),
            });
        }
    }

    fn check_all_found(&self) -> Result<(), AttacherError> {
        let Some(wanted) = self.absent().next() else {
            return Ok(());
        };
        let here = self.watch.interfaces();
        let present = here.map(|interface| interface.name.clone()).collect();
        let pattern = wanted.pattern.clone();
        Err(if is_pattern(&pattern) {
            AttacherError::NoMatch { pattern, present }
        } else {
            AttacherError::NoSuchInterface {
                name: pattern,
                present,
            }
        })
    }
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether the reason lies in this interface alone.
const fn is_of_the_interface(error: &AttachError) -> bool {
    matches!(
        error,
        AttachError::NotEthernet { .. } | AttachError::Gone { .. } | AttachError::Busy { .. }
    )
}

fn patterns(wanted: &[Wanted]) -> Result<Patterns, InterfaceError> {
    let texts: Vec<&str> = wanted.iter().map(|it| it.pattern.as_str()).collect();
    Patterns::new(&texts)
}
