//! Who is at the other end of a connection, and whether it may listen.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::UnixStream;

use rustix::net::sockopt::socket_peercred;

/// Groups of a process beyond which no more are looked at.
const GROUPS: usize = 1024;

/// A process as the kernel saw it when it connected (`unix(7)`, `SO_PEERCRED`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) pid: i32,
    pub(super) uid: u32,
    /// Its group, and the others that it is in.
    groups: Vec<u32>,
}

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = socket_peercred(stream.as_fd())?;
        let mut groups = vec![credentials.gid.as_raw()];
        // Without them (before Linux 4.13), its own group counts alone.
        groups.extend(more_groups(stream).unwrap_or_default());
        Ok(Self {
            pid: credentials.pid.as_raw_pid(),
            uid: credentials.uid.as_raw(),
            groups,
        })
    }

    /// Whether it may listen to an agent of user `own`; else, why not.
    pub(super) fn admit(&self, own: u32, group: Option<u32>) -> Result<(), String> {
        let Self { pid, uid, groups } = self;
        if *uid == 0 || *uid == own || group.is_some_and(|group| groups.contains(&group)) {
            return Ok(());
        }
        let members = group.map_or_else(
            || "no group is configured".to_owned(),
            |group| format!("members of group {group}"),
        );
        Err(format!(
            "process {pid} of user {uid} may not listen: root, the agent's user {own}, and \
             {members}"
        ))
    }
}

/// `SO_PEERGROUPS`: the supplementary groups.
fn more_groups(stream: &UnixStream) -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; GROUPS];
    let mut length = size_of_val(groups.as_slice()) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, which is what there is room for.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            groups.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    groups.truncate(length as usize / size_of::<libc::gid_t>());
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_who_it_is() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let peer = Peer::of(&ours).unwrap();
        assert_eq!(peer.pid.cast_unsigned(), std::process::id());
        // SAFETY: they only give a number.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        assert_eq!(peer.uid, uid);
        assert!(peer.groups.contains(&gid));
    }

    #[test]
    fn root_the_own_user_and_the_group_may_listen() {
        let peer = |uid: u32, groups: &[u32]| Peer {
            pid: 7,
            uid,
            groups: groups.to_vec(),
        };
        assert_eq!(peer(0, &[0]).admit(500, None), Ok(()));
        assert_eq!(peer(500, &[9]).admit(500, None), Ok(()));
        assert_eq!(peer(501, &[9, 44]).admit(500, Some(44)), Ok(()));
        let refused = peer(501, &[9, 44]).admit(500, Some(45)).unwrap_err();
        assert_eq!(
            refused,
            "process 7 of user 501 may not listen: root, the agent's user 500, and members of \
             group 45"
        );
        assert!(
            peer(501, &[9])
                .admit(500, None)
                .unwrap_err()
                .ends_with("no group is configured")
        );
    }
}
