//! Runs a program to its end: wall time, peak memory, what it printed.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// One run of one program.
pub(crate) struct Run {
    pub(crate) wall: Duration,
    /// Time of processors, in the program and in the kernel for it.
    pub(crate) cpu: Duration,
    /// What it read by system calls, from wherever; 0 where the kernel does not say.
    pub(crate) bytes_read: u64,
    /// Peak resident memory in bytes; of a pipeline, that of its largest process.
    pub(crate) peak_bytes: u64,
    pub(crate) stdout: String,
}

/// Runs `command` with its standard output read and its standard error dropped.
pub(crate) fn run(command: &mut Command) -> Result<Run> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("cannot start {}: {e}", command.get_program().display()))?;
    let mut stdout = String::new();
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_string(&mut stdout)?;
    }
    let bytes_read = bytes_read(&child)?;
    let (status, peak_bytes, cpu) = wait(&child)?;
    let wall = start.elapsed();
    if status != 0 {
        return Err(format!("{command:?} ended with wait status {status:#x}").into());
    }
    Ok(Run {
        wall,
        cpu,
        bytes_read,
        peak_bytes,
        stdout,
    })
}

/// Waits for the child's end without taking note of it, so that its counters are still there; gives
/// the bytes that it read (`rchar` of proc(5)).
fn bytes_read(child: &Child) -> Result<u64> {
    // SAFETY: siginfo_t is a plain C struct, for which zero is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOWAIT;
    // SAFETY: the pointer is to a live local of the right type; the process is our child, which
    // nobody else waits for.
    if unsafe { libc::waitid(libc::P_PID, child.id(), &raw mut info, flags) } != 0 {
        return Err(format!("waitid: {}", std::io::Error::last_os_error()).into());
    }
    let counters = std::fs::read_to_string(format!("/proc/{}/io", child.id())).unwrap_or_default();
    let mut lines = counters.lines();
    let read = lines.find_map(|line| line.strip_prefix("rchar: "));
    Ok(read.and_then(|n| n.parse().ok()).unwrap_or(0))
}

/// Waits for the child: its wait status, its peak memory or that of a process it waited for, and
/// the processor time of all of them.
fn wait(child: &Child) -> Result<(i32, u64, Duration)> {
    let mut status = 0;
    // SAFETY: rusage is a plain C struct of integers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let pid = libc::pid_t::try_from(child.id())?;
    // SAFETY: both pointers are to live locals of the right types; the pid is our child's,
    // which nobody else waits for.
    if unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } != pid {
        return Err(format!("wait4: {}", std::io::Error::last_os_error()).into());
    }
    // Linux counts ru_maxrss in units of 1024 bytes (getrusage(2)).
    let peak = u64::try_from(usage.ru_maxrss)? * 1024;
    Ok((status, peak, time(usage.ru_utime)? + time(usage.ru_stime)?))
}

fn time(value: libc::timeval) -> Result<Duration> {
    let micros = Duration::from_micros(u64::try_from(value.tv_usec)?);
    Ok(Duration::from_secs(u64::try_from(value.tv_sec)?) + micros)
}

/// The middle of the values (the lower one of two), or zero of none.
pub(crate) fn median<T: Ord + Copy + Default>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted
        .get(sorted.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_its_output_and_its_memory() {
        let run = run(Command::new("sh").args(["-c", "sleep 0.05; echo done"])).unwrap();
        assert_eq!(run.stdout, "done\n");
        assert!(run.wall >= Duration::from_millis(50));
        assert!(run.peak_bytes > 100_000, "{}", run.peak_bytes);
    }

    #[test]
    fn what_a_run_reads_is_counted() {
        let mut sh = Command::new("sh");
        let run = run(sh.args(["-c", "head -c 3000000 /dev/zero | wc -c"])).unwrap();
        assert_eq!(run.stdout.trim(), "3000000");
        // Of all processes that it waited for.
        assert!(run.bytes_read >= 6_000_000, "{}", run.bytes_read);
    }

    #[test]
    fn a_failure_is_one() {
        assert!(run(Command::new("sh").args(["-c", "exit 3"])).is_err());
        assert!(run(&mut Command::new("/nonexistent/program")).is_err());
    }

    #[test]
    fn the_median_of_few() {
        assert_eq!(median(&[5, 1, 9]), 5);
        assert_eq!(median(&[2, 1]), 1);
        assert_eq!(median::<u32>(&[]), 0);
    }
}
