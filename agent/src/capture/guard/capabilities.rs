//! Capabilities (`capabilities(7)`): which are missing, and giving them up.

use std::fmt;
use std::io;

/// A capability by its number in `<linux/capability.h>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability(u32);

/// Loads programs and makes maps, since Linux 5.8.
pub const BPF: Capability = Capability(39);
/// Attaches to interfaces.
pub const NET_ADMIN: Capability = Capability(12);
/// Lets the verifier allow what a program needs of pointers, since Linux 5.8.
pub const PERFMON: Capability = Capability(38);
/// Makes packet sockets.
pub const NET_RAW: Capability = Capability(13);
const SETGID: Capability = Capability(6);
const SETUID: Capability = Capability(7);
const SETPCAP: Capability = Capability(8);
const SYS_ADMIN: Capability = Capability(21);

/// A set of capabilities, as a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySet(u64);

/// What loading and attaching the kernel program needs.
pub const FOR_ATTACHING: CapabilitySet =
    CapabilitySet::EMPTY.with(BPF).with(NET_ADMIN).with(PERFMON);

/// What opening packet sockets needs.
pub const FOR_SOCKETS: CapabilitySet = CapabilitySet::EMPTY.with(NET_RAW);

/// What becoming another user needs.
pub(super) const FOR_ANOTHER_USER: CapabilitySet = CapabilitySet::EMPTY.with(SETGID).with(SETUID);

/// Why capabilities are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum CapabilityError {
    /// The kernel does not tell.
    #[error("cannot read the capabilities of this process: {0}")]
    Read(#[source] io::Error),
    /// The kernel refuses to set them.
    #[error("cannot give up capabilities: {0}")]
    Set(#[source] io::Error),
    /// One of the bounding set.
    #[error("cannot drop {0} from the bounding set: {1}")]
    Bounding(Capability, #[source] io::Error),
    /// The ambient set.
    #[error("cannot clear the ambient capabilities: {0}")]
    Ambient(#[source] io::Error),
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            BPF => f.write_str("CAP_BPF"),
            NET_ADMIN => f.write_str("CAP_NET_ADMIN"),
            NET_RAW => f.write_str("CAP_NET_RAW"),
            PERFMON => f.write_str("CAP_PERFMON"),
            SETGID => f.write_str("CAP_SETGID"),
            SETUID => f.write_str("CAP_SETUID"),
            SETPCAP => f.write_str("CAP_SETPCAP"),
            SYS_ADMIN => f.write_str("CAP_SYS_ADMIN"),
            Self(number) => write!(f, "capability {number}"),
        }
    }
}

impl fmt::Display for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, capability) in self.iter().enumerate() {
            let separator = if nth == 0 { "" } else { ", " };
            write!(f, "{separator}{capability}")?;
        }
        Ok(())
    }
}

impl CapabilitySet {
    /// None.
    pub const EMPTY: Self = Self(0);

    /// A set from the mask that `/proc/self/status` shows.
    #[must_use]
    pub const fn from_mask(mask: u64) -> Self {
        Self(mask)
    }

    /// This set and one more.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability.0)
    }

    /// Whether it is in the set.
    #[must_use]
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & 1 << capability.0 != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in the set, by number.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        (0..u64::BITS)
            .map(Capability)
            .filter(move |it| self.has(*it))
    }
}

/// Which of [`FOR_ATTACHING`] are missing where `held` are there. CAP_SYS_ADMIN contains what
/// Linux 5.8 took out of it.
#[must_use]
pub fn missing(held: CapabilitySet) -> CapabilitySet {
    let here = |it: &Capability| held.has(*it) || *it != NET_ADMIN && held.has(SYS_ADMIN);
    FOR_ATTACHING
        .iter()
        .filter(|it| !here(it))
        .fold(CapabilitySet::EMPTY, CapabilitySet::with)
}

/// How to get [`FOR_ATTACHING`], a line for each way; `program` is the executable's path. All of
/// them, because `setcap` replaces what a file has.
#[must_use]
pub fn how_to_get(program: &str) -> Vec<String> {
    let names: Vec<_> = FOR_ATTACHING.iter().map(|it| it.to_string()).collect();
    let lower = names.join(",").to_lowercase();
    let flags: Vec<_> = names
        .iter()
        .map(|name| format!("--cap-add {}", name.trim_start_matches("CAP_")))
        .collect();
    vec![
        "run it with sudo".to_owned(),
        format!("or give the program what it needs: sudo setcap {lower}+ep {program}"),
        format!(
            "in a container: --network host {}, and a seccomp profile that allows bpf()",
            flags.join(" ")
        ),
        "in an unprivileged container the host must do it: user namespaces cannot use BPF"
            .to_owned(),
    ]
}

/// How to get [`FOR_SOCKETS`], as [`how_to_get`].
#[must_use]
pub fn how_to_get_sockets(program: &str) -> Vec<String> {
    vec![
        "run it with sudo".to_owned(),
        format!("or give the program what it needs: sudo setcap cap_net_raw+ep {program}"),
        "in a container: --network host --cap-add NET_RAW".to_owned(),
    ]
}

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`: 32 capabilities.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`.
const VERSION: u32 = 0x2008_0522;

/// The effective capabilities of this thread.
///
/// # Errors
/// If the kernel does not tell.
pub fn held() -> Result<CapabilitySet, CapabilityError> {
    let mut header = Header {
        version: VERSION,
        pid: 0,
    };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 writes two data structures, and both live until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    if result != 0 {
        return Err(CapabilityError::Read(io::Error::last_os_error()));
    }
    let [low, high] = data.map(|it| u64::from(it.effective));
    Ok(CapabilitySet(low | high << 32))
}

/// Drops all but `keep` from the bounding set; `false` where this thread may not.
pub(super) fn drop_bounding(keep: CapabilitySet) -> Result<bool, CapabilityError> {
    if !held()?.has(SETPCAP) {
        return Ok(false);
    }
    for number in (0..u64::BITS).filter(|number| !keep.has(Capability(*number))) {
        // SAFETY: changes this thread's bounding set and touches no memory.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) };
        if result != 0 {
            let error = io::Error::last_os_error();
            // Past the last capability that this kernel knows.
            if error.raw_os_error() == Some(libc::EINVAL) {
                break;
            }
            return Err(CapabilityError::Bounding(Capability(number), error));
        }
    }
    Ok(true)
}

/// Leaves `keep` permitted and effective, nothing inheritable, nothing ambient.
pub(super) fn limit(keep: CapabilitySet) -> Result<(), CapabilityError> {
    // SAFETY: changes this thread's ambient set and touches no memory.
    let result = unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        )
    };
    if result != 0 {
        return Err(CapabilityError::Ambient(io::Error::last_os_error()));
    }
    let header = Header {
        version: VERSION,
        pid: 0,
    };
    let half = |shift: u32| {
        let bits = (keep.0 >> shift) as u32;
        Data {
            effective: bits,
            permitted: bits,
            inheritable: 0,
        }
    };
    let data = [half(0), half(32)];
    // SAFETY: version 3 reads two data structures, and both live until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    if result == 0 {
        Ok(())
    } else {
        Err(CapabilityError::Set(io::Error::last_os_error()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            missing(CapabilitySet::EMPTY).to_string(),
            "CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF"
        );
        let with = CapabilitySet::EMPTY.with(NET_ADMIN).with(BPF);
        assert_eq!(missing(with).to_string(), "CAP_PERFMON");
        let admin = CapabilitySet::EMPTY.with(SYS_ADMIN);
        assert_eq!(missing(admin).to_string(), "CAP_NET_ADMIN");
        assert!(missing(CapabilitySet::from_mask(0x1ff_ffff_ffff)).is_empty());
    }

    #[test]
    fn the_ways_to_get_them_are_commands() {
        let lines = how_to_get("/bin/f");
        assert_eq!(
            lines[1],
            "or give the program what it needs: sudo setcap cap_net_admin,cap_perfmon,cap_bpf+ep /bin/f"
        );
        assert!(lines[2].contains("--cap-add NET_ADMIN --cap-add PERFMON --cap-add BPF"));
    }

    #[test]
    fn the_kernel_and_proc_say_the_same() {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let text = super::super::line(&status, "CapEff").unwrap();
        let mask = u64::from_str_radix(text, 16).unwrap();
        assert_eq!(held().unwrap(), CapabilitySet::from_mask(mask));
    }
}
