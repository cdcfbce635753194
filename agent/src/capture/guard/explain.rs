//! Why the kernel does not take our program here, and what to do.

use std::fmt;
use std::fs;
use std::path::Path;

use super::capabilities::{self, CapabilitySet};

/// The oldest kernel on which the program is tested.
const OLDEST: (u32, u32) = (6, 1);

/// What decides whether BPF can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// As `uname -r` prints it.
    pub kernel: String,
    /// What this process has.
    pub capabilities: CapabilitySet,
    /// Whether this is not the first user namespace, whose capabilities do not count for BPF.
    pub user_namespace: bool,
    /// Whether system calls are filtered already.
    pub seccomp: bool,
    /// The kind of container, where there is a sign of one.
    pub container: Option<String>,
    /// Whether the kernel keeps its memory from root (`lockdown=confidentiality`).
    pub confidential: bool,
    /// Path of this program, for hints.
    pub program: String,
}

/// A reason, the most likely first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The kernel is too old.
    OldKernel(String),
    /// The process has too few capabilities.
    Missing {
        /// Those that it does not have.
        missing: CapabilitySet,
        /// Path of this program.
        program: String,
    },
    /// Capabilities are those of a user namespace.
    UserNamespace,
    /// A filter of system calls, such as a container's, may refuse `bpf()`.
    Seccomp(Option<String>),
    /// The kernel is locked down.
    Lockdown,
    /// Nothing that we know of.
    Unknown,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OldKernel(kernel) => {
                let (major, minor) = OLDEST;
                write!(f, "kernel {kernel} is older than {major}.{minor}")
            }
            Self::Missing { missing, .. } => write!(f, "this process lacks {missing}"),
            Self::UserNamespace => f.write_str(
                "this process is in a user namespace, whose capabilities do not count for BPF",
            ),
            Self::Seccomp(Some(container)) => {
                write!(f, "the seccomp profile of {container} may refuse bpf()")
            }
            Self::Seccomp(None) => f.write_str("a seccomp filter of this process may refuse bpf()"),
            Self::Lockdown => f.write_str("the kernel is locked down (confidentiality)"),
            Self::Unknown => f.write_str("there is no reason that we know of"),
        }
    }
}

impl Reason {
    /// What to do, a line for each way.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let line = |text: &str| vec![text.to_owned()];
        match self {
            Self::OldKernel(_) => {
                line("a newer kernel is needed, or tcpdump and flowsift query -r")
            }
            Self::Missing { program, .. } => capabilities::how_to_get(program),
            Self::UserNamespace => {
                line("run it on the host, or in a container that is not rootless")
            }
            Self::Seccomp(_) => line("allow bpf() in the profile (--security-opt seccomp=FILE)"),
            Self::Lockdown => line("boot with lockdown=integrity"),
            Self::Unknown => line("the kernel's log may say more: dmesg | tail"),
        }
    }
}

impl Environment {
    /// What this process can find out; what cannot be read is taken for harmless.
    #[must_use]
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let status = text("/proc/thread-self/status");
        let program = std::env::current_exe().unwrap_or_default();
        Self {
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            capabilities: capabilities::held().unwrap_or_default(),
            user_namespace: !is_whole(&text("/proc/self/uid_map")),
            seccomp: super::line(&status, "Seccomp").is_some_and(|mode| mode != "0"),
            container: container(),
            confidential: text("/sys/kernel/security/lockdown").contains("[confidentiality]"),
            program: program.to_string_lossy().into_owned(),
        }
    }

    /// Why BPF may be refused here, most likely first; never empty.
    #[must_use]
    pub fn reasons(&self) -> Vec<Reason> {
        let missing = capabilities::missing(self.capabilities);
        let checks = [
            (self.is_old(), Reason::OldKernel(self.kernel.clone())),
            (
                !missing.is_empty(),
                Reason::Missing {
                    missing,
                    program: self.program.clone(),
                },
            ),
            (self.user_namespace, Reason::UserNamespace),
            (self.seccomp, Reason::Seccomp(self.container.clone())),
            (self.confidential, Reason::Lockdown),
        ];
        let holding = checks.into_iter().filter(|(holds, _)| *holds);
        let mut reasons: Vec<_> = holding.map(|(_, reason)| reason).collect();
        if reasons.is_empty() {
            reasons.push(Reason::Unknown);
        }
        reasons
    }

    fn is_old(&self) -> bool {
        let mut numbers = self
            .kernel
            .split(|c: char| !c.is_ascii_digit())
            .map(|number| number.parse::<u32>().ok());
        let version = (numbers.next().flatten(), numbers.next().flatten());
        matches!(version, (Some(major), Some(minor)) if (major, minor) < OLDEST)
    }
}

/// Whether a map of users is that of the first namespace; an unreadable one is taken for it.
fn is_whole(map: &str) -> bool {
    let numbers: Vec<_> = map.split_whitespace().collect();
    numbers.is_empty() || numbers == ["0", "0", "4294967295"]
}

fn container() -> Option<String> {
    let signs = [
        ("/.dockerenv", "Docker"),
        ("/run/.containerenv", "Podman"),
        ("/run/systemd/container", "the container"),
    ];
    let found = signs.iter().find(|(path, _)| Path::new(path).exists());
    found.map(|(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn able() -> Environment {
        Environment {
            kernel: "6.1.0-18-cloud-amd64".to_owned(),
            capabilities: CapabilitySet::from_mask(0x1ff_ffff_ffff),
            program: "/usr/bin/flowsift".to_owned(),
            ..Environment::default()
        }
    }

    #[test]
    fn each_reason_is_found_alone() {
        assert_eq!(able().reasons(), [Reason::Unknown]);
        for kernel in ["5.15.0-91-generic", "6.0.19", "4.19"] {
            let environment = Environment {
                kernel: kernel.to_owned(),
                ..able()
            };
            assert_eq!(
                environment.reasons(),
                [Reason::OldKernel(kernel.to_owned())]
            );
        }
        let environment = Environment {
            user_namespace: true,
            ..able()
        };
        assert_eq!(environment.reasons(), [Reason::UserNamespace]);
        let environment = Environment {
            seccomp: true,
            container: Some("Docker".to_owned()),
            ..able()
        };
        assert_eq!(
            environment.reasons()[0].to_string(),
            "the seccomp profile of Docker may refuse bpf()"
        );
        let environment = Environment {
            confidential: true,
            ..able()
        };
        assert_eq!(environment.reasons(), [Reason::Lockdown]);
    }

    #[test]
    fn what_is_missing_is_said_with_commands() {
        let environment = Environment {
            capabilities: CapabilitySet::EMPTY,
            kernel: "6.12".to_owned(),
            ..able()
        };
        let reasons = environment.reasons();
        assert_eq!(
            reasons[0].to_string(),
            "this process lacks CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF"
        );
        assert!(reasons[0].hints()[1].ends_with("+ep /usr/bin/flowsift"));
    }

    #[test]
    fn the_first_user_namespace_is_known() {
        assert!(is_whole("         0          0 4294967295\n"));
        assert!(!is_whole("         0       1000          1\n"));
    }
}
