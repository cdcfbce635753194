//! What keeps the program from an interface, sorted by cause.

use std::io;

use aya::EbpfError;
use aya::maps::MapError;
use aya::programs::tc::TcError;
use aya::programs::xdp::XdpError;
use aya::programs::{ProgramError as AyaError, loaded_programs};

use super::config::Mode;
use super::interfaces::{self, Interface};

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
    /// The kernel cannot show what is sent.
    #[error("cannot capture what {interface} sends: kernel {kernel} has no tcx hook")]
    NoEgress {
        /// Its name.
        interface: String,
        /// The kernel's version.
        kernel: String,
    },
    /// The process may not have packet sockets.
    #[error(
        "cannot capture on {interface}: the kernel does not let this process have a packet socket ({error})"
    )]
    SocketPermission {
        /// Its name.
        interface: String,
        /// The kernel's reason.
        error: io::Error,
    },
    /// There is no packet socket.
    #[error("cannot capture on {interface} by a packet socket: cannot {what}: {error}")]
    Socket {
        /// Its name.
        interface: String,
        /// What failed.
        what: &'static str,
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
        /// The kernel's error number.
        errno: i32,
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
            Self::NoEgress { .. } => {
                Some("--egress needs Linux 6.6 or later; without it, what comes in is captured")
            }
            Self::Refused {
                mode: Mode::Native, ..
            } => Some("generic mode may be possible"),
            _ => None,
        }
    }
}

/// Whether a driver that gives this number for native mode may do with generic mode: it has no
/// XDP, its buffers are too small for the MTU, or it is set up in a way that excludes XDP.
pub(super) const fn may_be_generic(errno: i32) -> bool {
    matches!(errno, libc::EOPNOTSUPP | libc::ERANGE | libc::EINVAL)
}

/// Sorts the kernel's reasons.
pub(super) fn explain(error: AyaError, interface: &Interface, mode: Mode) -> AttachError {
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
            errno: code,
        },
    }
}

/// Sorts the kernel's reasons not to attach the second program.
pub(super) fn explain_egress(error: AyaError, interface: &Interface) -> AttachError {
    let name = interface.name.clone();
    let code = match &error {
        AyaError::SyscallError(error) => error.io_error.raw_os_error(),
        // Of the look-up of the interface's name.
        AyaError::TcError(TcError::IoError(error)) => error.raw_os_error(),
        _ => None,
    };
    match code {
        // What kernels give that do not know the type of attachment, or were built without it.
        Some(libc::EINVAL | libc::EOPNOTSUPP) => AttachError::NoEgress {
            interface: name,
            kernel: super::program::kernel_version(),
        },
        Some(code @ (libc::EPERM | libc::EACCES)) => AttachError::Permission {
            interface: name,
            error: io::Error::from_raw_os_error(code),
        },
        Some(libc::ENODEV | libc::ENXIO) => AttachError::Gone { interface: name },
        _ => super::ProgramError::Object(EbpfError::ProgramError(error)).into(),
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

    fn explained(code: i32) -> AttachError {
        let interface = Interface {
            index: 1_000_000,
            name: "x0".into(),
            up: true,
            ethernet: true,
            hardware: 1,
            mtu: 1500,
            link: None,
            xdp_programs: Vec::new(),
        };
        let error = aya::sys::SyscallError {
            call: "bpf_link_create",
            io_error: io::Error::from_raw_os_error(code),
        };
        explain(AyaError::SyscallError(error), &interface, Mode::Native)
    }

    #[test]
    fn reasons_are_told_apart() {
        assert!(
            matches!(explained(libc::EBUSY), AttachError::Busy { holder, .. } if holder == "another program")
        );
        assert!(matches!(
            explained(libc::EPERM),
            AttachError::Permission { .. }
        ));
        assert!(matches!(explained(libc::ENODEV), AttachError::Gone { .. }));
        let too_large = explained(libc::ERANGE);
        assert!(too_large.to_string().starts_with(
            "cannot capture on x0 in native mode: the MTU is too large for the driver's XDP: "
        ));
        assert_eq!(too_large.hint(), Some("generic mode may be possible"));
    }

    #[test]
    fn only_what_a_driver_lacks_leads_to_generic_mode() {
        for errno in [libc::EOPNOTSUPP, libc::ERANGE, libc::EINVAL] {
            assert!(may_be_generic(errno));
        }
        for errno in [libc::EBUSY, libc::EPERM, libc::ENOMEM, libc::E2BIG] {
            assert!(!may_be_generic(errno));
        }
    }
}
