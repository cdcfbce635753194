//! Becoming another user for good, as tcpdump's `-Z` does.

use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::path::Path;
use std::ptr;

use super::capabilities::{self, CapabilitySet};

/// A user and the groups that the system's databases say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    name: String,
    uid: libc::uid_t,
    gid: libc::gid_t,
    groups: Vec<libc::gid_t>,
}

/// Why a user cannot be become.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Nobody is called so.
    #[error("there is no user {0}")]
    Unknown(String),
    /// No group is called so.
    #[error("there is no group {0}")]
    UnknownGroup(String),
    /// The databases cannot be read.
    #[error("cannot look up {name}: {error}")]
    LookUp {
        /// Who.
        name: String,
        /// Why not.
        error: io::Error,
    },
    /// It is another one than this process is, and that takes more than this process has.
    #[error("cannot become user {name}: this process lacks {missing}")]
    Lacking {
        /// Who.
        name: String,
        /// What is not there.
        missing: CapabilitySet,
    },
    /// The kernel refuses.
    #[error("cannot become user {name}: {step} failed: {error}")]
    Become {
        /// Who.
        name: String,
        /// Which call.
        step: &'static str,
        /// Why not.
        error: io::Error,
    },
}

/// Room for a line of the user database.
const LINE_BYTES: usize = 16 << 10;

/// Groups that a process can have (`NGROUPS_MAX`).
const MAX_GROUPS: usize = 65_536;

impl User {
    /// Looks a user up. Opens files and libraries: to be done before a sandbox closes.
    ///
    /// # Errors
    /// If there is no such user, or the databases cannot be read.
    pub fn find(name: &str) -> Result<Self, UserError> {
        let unknown = || UserError::Unknown(name.to_owned());
        let text = CString::new(name).map_err(|_| unknown())?;
        let entry = look_up(&text, LINE_BYTES, libc::getpwnam_r)?.ok_or_else(unknown)?;
        Ok(Self {
            name: name.to_owned(),
            uid: entry.pw_uid,
            gid: entry.pw_gid,
            groups: groups(&text, entry.pw_gid),
        })
    }

    /// Its numbers: user and group.
    #[must_use]
    pub fn ids(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// Makes a file or folder this user's.
    ///
    /// # Errors
    /// If the process may not.
    pub fn own(&self, path: &Path) -> io::Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
    }

    /// Whether this process can become the user: to be asked before anything is done.
    ///
    /// # Errors
    /// If it is another user and may not.
    pub fn check(&self) -> Result<(), UserError> {
        let needed = capabilities::FOR_ANOTHER_USER;
        // Where the kernel does not tell, trying does.
        let held = capabilities::held().unwrap_or(needed);
        let missing = needed
            .iter()
            .filter(|it| !held.has(*it))
            .fold(CapabilitySet::EMPTY, CapabilitySet::with);
        match missing.is_empty() || self.is_this_process() {
            true => Ok(()),
            false => Err(UserError::Lacking {
                name: self.name.clone(),
                missing,
            }),
        }
    }

    /// Whether this process is it already, with no other number to go back to.
    fn is_this_process(&self) -> bool {
        let (mut user, mut group) = ([0; 3], [0; 3]);
        let ([ruid, euid, suid], [rgid, egid, sgid]) = (&mut user, &mut group);
        // SAFETY: both write three numbers to where there is room for them.
        let told = unsafe {
            libc::getresuid(ruid, euid, suid) == 0 && libc::getresgid(rgid, egid, sgid) == 0
        };
        told && user == [self.uid; 3] && group == [self.gid; 3]
    }

    /// Takes groups, group and user, in the order that leaves no way back. Who is the user already
    /// keeps the groups that it was started with: a service may have been given more.
    pub(super) fn become_for_good(&self) -> Result<(), UserError> {
        if self.is_this_process() {
            return Ok(());
        }
        let step = |step, result: c_int| match result {
            0 => Ok(()),
            _ => Err(UserError::Become {
                name: self.name.clone(),
                step,
                error: io::Error::last_os_error(),
            }),
        };
        // SAFETY: the list has as many groups as it says; the others touch no memory.
        unsafe {
            step(
                "setgroups",
                libc::setgroups(self.groups.len(), self.groups.as_ptr()),
            )?;
            step("setresgid", libc::setresgid(self.gid, self.gid, self.gid))?;
            step("setresuid", libc::setresuid(self.uid, self.uid, self.uid))
        }
    }
}

/// Looks a group up, under the conditions of [`User::find`]; its number.
///
/// # Errors
/// If there is no such group, or the databases cannot be read.
pub fn find_group(name: &str) -> Result<u32, UserError> {
    let unknown = || UserError::UnknownGroup(name.to_owned());
    let text = CString::new(name).map_err(|_| unknown())?;
    // A group with many members has a long line.
    let entry = look_up(&text, 16 * LINE_BYTES, libc::getgrnam_r)?;
    Ok(entry.ok_or_else(unknown)?.gr_gid)
}

/// `getpwnam_r` or `getgrnam_r`.
type Ask<T> =
    unsafe extern "C" fn(*const c_char, *mut T, *mut c_char, libc::size_t, *mut *mut T) -> c_int;

/// An entry of the user databases; `None` if there is none of the name. Its pointers are into a
/// buffer that is gone: its numbers alone are of use.
fn look_up<T>(name: &CStr, buffer_bytes: usize, ask: Ask<T>) -> Result<Option<T>, UserError> {
    let mut entry = MaybeUninit::<T>::uninit();
    let mut buffer = vec![0; buffer_bytes];
    let mut found = ptr::null_mut();
    // SAFETY: all pointers are to live memory of the stated sizes.
    let status = unsafe {
        ask(
            name.as_ptr(),
            entry.as_mut_ptr(),
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut found,
        )
    };
    if status != 0 {
        return Err(UserError::LookUp {
            name: name.to_string_lossy().into_owned(),
            error: io::Error::from_raw_os_error(status),
        });
    }
    // SAFETY: the function filled the entry, as `found` says.
    Ok((!found.is_null()).then(|| unsafe { entry.assume_init() }))
}

/// The groups of a user, its own among them.
fn groups(name: &CStr, gid: libc::gid_t) -> Vec<libc::gid_t> {
    let mut groups = vec![gid; 64];
    loop {
        let mut count = c_int::try_from(groups.len()).unwrap_or(c_int::MAX);
        // SAFETY: the list has room for as many groups as `count` says.
        let result =
            unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) };
        let count = usize::try_from(count).unwrap_or(0);
        if result >= 0 || groups.len() >= MAX_GROUPS {
            groups.truncate(count);
            return groups;
        }
        groups.resize(count.clamp(groups.len() * 2, MAX_GROUPS), gid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_with_their_groups() {
        let root = User::find("root").unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert!(root.groups.contains(&0));
        let error = User::find("no-such-user-here").unwrap_err();
        assert_eq!(error.to_string(), "there is no user no-such-user-here");
        assert!(matches!(User::find("a\0b"), Err(UserError::Unknown(_))));
        assert_eq!(find_group("root").unwrap(), 0);
        let error = find_group("no-such-group-here").unwrap_err();
        assert_eq!(error.to_string(), "there is no group no-such-group-here");
    }
}
