//! An emulated machine that runs the tests and switches itself off.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::initramfs::END;
use crate::Result;

/// Longer than any run takes; a machine that hangs ends then.
const LIMIT: Duration = Duration::from_secs(900);

/// Boots and shows what the machine prints; whether its tests passed.
pub(super) fn boot(kernel: &Path, initramfs: &Path) -> Result<bool> {
    // The emulator's own processor, named, because guests have been seen to hang with KVM.
    let mut machine = Command::new("qemu-system-x86_64");
    machine
        .args(["-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "1024"])
        .args(["-nographic", "-no-reboot", "-nic", "none"])
        .args(["-append", "console=ttyS0 quiet panic=-1"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = machine
        .spawn()
        .map_err(|e| format!("cannot start qemu-system-x86_64: {e}"))?;
    let verdict = follow(&mut child);
    // Switched off by itself, or to be ended.
    let _ = child.kill();
    child.wait()?;
    verdict
}

fn follow(child: &mut Child) -> Result<bool> {
    let console = child.stdout.take().ok_or("the machine has no console")?;
    let (lines, received) = mpsc::channel();
    thread::spawn(move || {
        let mut console = BufReader::new(console);
        let mut line = Vec::new();
        while console
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if lines.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    let end = Instant::now() + LIMIT;
    let mut started = false;
    let mut verdict = None;
    loop {
        match received.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                // What comes before is the firmware's, with escapes of its screen.
                started |= line.contains("Linux ");
                if started {
                    writeln!(io::stdout(), "  {line}")?;
                }
                if let Some(code) = line.strip_prefix(END) {
                    verdict = Some(code == "0");
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return verdict.ok_or_else(|| "the machine ended before its tests did".into());
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                return Err(format!("the machine ran for {} s", LIMIT.as_secs()).into());
            }
        }
    }
}
