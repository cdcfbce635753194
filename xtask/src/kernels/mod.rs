//! `kernels`: the kernel tests on other kernels, each booted in an emulator.

mod archive;
mod initramfs;
mod machine;
mod package;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::args::Args;

/// Debian's long-term kernels: the oldest that the program must pass, whose verifier is the
/// strictest, and one between it and the newest.
const SERIES: &str = "6.1 6.12";

/// What is of the program and not of the kernel: the daemon, its socket and its service manager,
/// and measurements. On the first of the kernels it is tested, too; emulated it takes long.
const OF_THE_PROGRAM: &str = "--skip churn:: --skip daemon:: --skip served:: --skip service:: --skip self_test:: --skip rate::";

/// Many interfaces that come and go: emulated that takes as long as all else on the first kernel.
const MANY_INTERFACES: &str = "--skip churn::";

pub(crate) fn run(mut args: Args) -> Result<()> {
    let series = args.value("--series", SERIES.to_owned())?;
    let filter = args.value("--test", String::new())?;
    args.finish()?;
    let root = crate::repository();
    let work = root.join("target/kernels");
    let built = build(&root)?;
    let mut failed = Vec::new();
    for (at, series) in series.split([' ', ',']).enumerate() {
        let kernel = package::fetch(&work, series)?;
        say(&format!("== {}", kernel.name))?;
        let tests = match (filter.as_str(), at) {
            ("", 0) => MANY_INTERFACES,
            ("", _) => OF_THE_PROGRAM,
            (filter, _) => filter,
        };
        let image = initramfs::build(&root, &kernel, &built, tests)?;
        let file = work.join(format!("{}.initramfs", kernel.name));
        std::fs::write(&file, image)?;
        if !machine::boot(&kernel.image, &file)? {
            failed.push(kernel.name);
        }
    }
    if failed.is_empty() {
        say("the kernel tests pass on all of them")
    } else {
        Err(format!("the kernel tests fail on {}", failed.join(" and ")).into())
    }
}

fn say(text: &str) -> Result<()> {
    writeln!(io::stdout(), "{text}")?;
    Ok(())
}

/// What was built.
struct Built {
    test: PathBuf,
    /// The program that the tests start, where they were told that it is.
    program: PathBuf,
}

/// Builds the test binary and the program.
fn build(root: &Path) -> Result<Built> {
    let output = Command::new("cargo")
        .args([
            "test",
            "--no-run",
            "-p",
            "flowsift",
            "--no-default-features",
        ])
        .args(["--features", "capture", "--test", "kernel"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root)
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot start cargo: {e}"))?;
    if !output.status.success() {
        return Err(format!("cargo test --no-run: {}", output.status).into());
    }
    let messages = String::from_utf8(output.stdout)?;
    let find = |name: &str| {
        let name = format!(r#""name":"{name}""#);
        let mut found = messages.lines().filter_map(|line| {
            let (before, rest) = line.split_once(r#""executable":""#)?;
            let path = rest.split_once('"')?.0;
            before.contains(&name).then(|| PathBuf::from(path))
        });
        found.next()
    };
    Ok(Built {
        test: find("kernel").ok_or("cargo names no test binary")?,
        program: find("flowsift").ok_or("cargo names no program")?,
    })
}
