//! seccomp: the system calls of a process that reads rings, writes files and answers queries.
//!
//! Every other call fails with EPERM rather than kills: a call that a library tries in vain must
//! not end a capture that runs for weeks.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpArgLen::Qword,
    SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// Why system calls are not filtered.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// The filter cannot be made.
    #[error("cannot make the filter of system calls: {0}")]
    Filter(#[from] BackendError),
    /// The kernel refuses it.
    #[error("cannot filter system calls: {0}")]
    Apply(#[from] seccompiler::Error),
}

/// Calls that are allowed whatever their arguments are.
const ALLOWED: &[c_long] = &[
    // Descriptors and files; Landlock says which.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_getdents64,
    libc::SYS_readlinkat,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_linkat,
    libc::SYS_renameat2,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_utimensat,
    libc::SYS_umask,
    libc::SYS_getcwd,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_splice,
    // Memory; mmap and mprotect are below.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_membarrier,
    // Threads; clone is below. clone3 is answered by a filter of its own.
    libc::SYS_clone3,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrusage,
    libc::SYS_getrandom,
    // Signals to itself; tgkill is below.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Time and waiting.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    // Sockets that are there or come by accept; socket and socketpair are below.
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_shutdown,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
];

/// The older names of calls above, which other architectures do not have.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_dup2,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_wait,
    libc::SYS_time,
];
/// What its library makes of rename.
#[cfg(target_arch = "aarch64")]
const ALLOWED_HERE: &[c_long] = &[libc::SYS_renameat];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ALLOWED_HERE: &[c_long] = &[];

/// Commands of `bpf()` by `enum bpf_cmd`: reading maps that others made. Loading, attaching,
/// making and changing are not among them.
const BPF_COMMANDS: &[u64] = &[
    1,  // BPF_MAP_LOOKUP_ELEM
    4,  // BPF_MAP_GET_NEXT_KEY
    15, // BPF_OBJ_GET_INFO_BY_FD
    24, // BPF_MAP_LOOKUP_BATCH
];

/// What terminals and standard library ask of descriptors.
const IOCTLS: &[u64] = &[
    libc::TCGETS,
    libc::TIOCGWINSZ,
    libc::FIOCLEX,
    libc::FIONBIO,
    libc::FIONREAD,
];

/// Filters the system calls of this thread and those that it starts.
pub(super) fn enter() -> Result<(), SeccompError> {
    for program in [no_clone3()?, allow_list()?] {
        seccompiler::apply_filter(&program)?;
    }
    Ok(())
}

/// The flags of clone3 lie in memory, where no filter sees them; told that there is no such call,
/// libraries use clone.
fn no_clone3() -> Result<BpfProgram, BackendError> {
    let answer = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    SeccompFilter::new(rules, SeccompAction::Allow, answer, architecture()?)?.try_into()
}

fn allow_list() -> Result<BpfProgram, BackendError> {
    let everything = ALLOWED.iter().chain(ALLOWED_HERE);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        everything.map(|call| (*call, Vec::new())).collect();
    rules.extend(by_argument()?);
    let answer = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    SeccompFilter::new(rules, answer, SeccompAction::Allow, architecture()?)?.try_into()
}

/// Calls that are allowed with some arguments only; any rule of a call allows it.
fn by_argument() -> Result<Vec<(i64, Vec<SeccompRule>)>, BackendError> {
    use SeccompCmpOp::{Eq, MaskedEq};
    let any = |argument, values: &[u64]| -> Result<Vec<SeccompRule>, BackendError> {
        let rule =
            |value| SeccompRule::new(vec![SeccompCondition::new(argument, Dword, Eq, value)?]);
        values.iter().map(|value| rule(*value)).collect()
    };
    let masked = |argument, mask, value| -> Result<Vec<SeccompRule>, BackendError> {
        let condition = SeccompCondition::new(argument, Dword, MaskedEq(mask), value)?;
        Ok(vec![SeccompRule::new(vec![condition])?])
    };
    let execute = u64::from(libc::PROT_EXEC.cast_unsigned());
    let thread = u64::from(libc::CLONE_THREAD.cast_unsigned());
    let unix = [u64::from(libc::AF_UNIX.cast_unsigned())];
    let own = [u64::from(std::process::id())];
    let names = [
        u64::from(libc::PR_SET_NAME.cast_unsigned()),
        u64::from(libc::PR_SET_VMA.cast_unsigned()),
    ];
    let read_only = SeccompCondition::new(2, Qword, Eq, 0)?;
    Ok(vec![
        (libc::SYS_mmap, masked(2, execute, 0)?),
        (libc::SYS_mprotect, masked(2, execute, 0)?),
        (libc::SYS_clone, masked(0, thread, thread)?),
        (libc::SYS_socket, any(0, &unix)?),
        (libc::SYS_socketpair, any(0, &unix)?),
        (libc::SYS_tgkill, any(0, &own)?),
        (libc::SYS_prctl, any(0, &names)?),
        // A thread's own priority.
        (libc::SYS_setpriority, own_priority()?),
        // The group of a file, not its user: a socket that is made again.
        (libc::SYS_fchownat, any(2, &[u64::from(u32::MAX)])?),
        (libc::SYS_ioctl, any(1, IOCTLS)?),
        (libc::SYS_bpf, any(0, BPF_COMMANDS)?),
        (
            libc::SYS_prlimit64,
            vec![SeccompRule::new(vec![read_only])?],
        ),
    ])
}

/// `setpriority(PRIO_PROCESS, 0, ...)`: of the calling thread.
fn own_priority() -> Result<Vec<SeccompRule>, BackendError> {
    let zero = |argument| SeccompCondition::new(argument, Dword, SeccompCmpOp::Eq, 0);
    Ok(vec![SeccompRule::new(vec![zero(0)?, zero(1)?])?])
}

fn architecture() -> Result<TargetArch, BackendError> {
    std::env::consts::ARCH.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_gains_privileges_is_allowed() {
        let all: Vec<_> = ALLOWED.iter().chain(ALLOWED_HERE).collect();
        for call in [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_bpf,
            libc::SYS_socket,
            libc::SYS_mount,
            libc::SYS_setns,
            libc::SYS_unshare,
            libc::SYS_kill,
            libc::SYS_process_vm_readv,
            libc::SYS_io_uring_setup,
            libc::SYS_perf_event_open,
        ] {
            assert!(!all.contains(&&call), "{call}");
        }
        assert!(allow_list().is_ok());
        assert!(no_clone3().is_ok());
    }
}
