//! The repository's own tasks: `cargo xtask TASK`. This file only dispatches.

mod args;
mod bench;
mod dist;
mod ebpf;
mod kernels;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use args::Args;

/// Tasks fail with a message for a person; nobody matches on their errors.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "usage: cargo xtask TASK

  bench gen [--packets N] [--out FILE]     write the synthetic capture and its true answer
  bench limit FILE                         answer the reference query by a bare loop over FILE
  bench [query] [--runs N] [--file FILE] [--program PATH] [--ours] [--markdown]
                                           measure the reference query side by side
                                           (--ours: only flowsift and the limit)
  bench capture [--runs N] [--seconds S] [--frame BYTES] [--overload FRAMES] [--program PATH]
        [--recorder PART] [--only-overload|--only-beside]
                                           measure capture beside other recorders (needs root)
  dist [--binary PATH] [--out DIR] [--level N] [--test]
                                           make the Debian package and the tarball
                                           (--test: install and use it; needs root)
  ebpf [--toolchain auto|debian|nightly]   rebuild agent-ebpf/flowsift-xdp.o from its sources
  ebpf --check                             fail if that object is stale
  kernels [--series \"6.1 6.12\"] [--test NAME]
                                           run the kernel tests on Debian's kernels, emulated";

fn main() -> ExitCode {
    match run(Args::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: Args) -> Result<()> {
    match args.positional().as_deref() {
        Some("bench") => bench::run(args),
        Some("dist") => dist::run(args),
        Some("ebpf") => ebpf::run(args),
        Some("kernels") => kernels::run(args),
        Some(other) => Err(format!("unknown task `{other}`\n{USAGE}").into()),
        None => Err(USAGE.into()),
    }
}

/// The folder above this package.
fn repository() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

/// Runs a command to its end; its standard output.
fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .output()
        .map_err(|e| format!("cannot start {command:?}: {e}"))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}: {}", output.status, reason.trim()).into());
    }
    Ok(output.stdout)
}
