//! `dist`: the Debian package and the tarball, and a test that installs the package.

mod deb;
mod stage;
mod test;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args::Args;
use crate::{Result, output};

/// What both archives are named after.
const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn run(mut args: Args) -> Result<()> {
    let root = crate::repository();
    let binary = args.value("--binary", PathBuf::new())?;
    let out = args.value("--out", root.join("target/dist"))?;
    let level = args.value("--level", 6u8)?;
    let test = args.flag("--test");
    args.finish()?;
    let binary = if binary.as_os_str().is_empty() {
        build(&root)?
    } else {
        binary
            .canonicalize()
            .map_err(|e| format!("{}: {e}", binary.display()))?
    };
    std::fs::create_dir_all(&out)?;
    let out = out.canonicalize()?;
    let epoch = epoch(&root)?;
    let tree = out.join(format!("flowsift-{VERSION}"));
    stage::files(&root, &binary, &tree, &deb::changelog(&epoch)?)?;
    let tarball = stage::tarball(&tree, &out, &epoch)?;
    let package = deb::build(&binary, &tree, &out, &epoch, level)?;
    std::fs::remove_dir_all(&tree)?;
    say(&format!("{}\n{}", package.display(), tarball.display()))?;
    if test {
        test::run(&root, &package)?;
    }
    Ok(())
}

/// The release build of the program.
fn build(root: &Path) -> Result<PathBuf> {
    // Told to cargo, so that a target folder elsewhere changes nothing.
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let cargo = ["build", "--release", "--locked", "-p", "flowsift"];
    let status = Command::new("cargo")
        .args(cargo)
        .current_dir(root)
        .status()?;
    if !status.success() {
        return Err(format!("cargo build: {status}").into());
    }
    Ok(root.join(target).join("release/flowsift"))
}

/// The time that every file gets, in seconds since 1970: SOURCE_DATE_EPOCH, else the commit's.
fn epoch(root: &Path) -> Result<String> {
    if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(epoch);
    }
    let commit = output(
        Command::new("git")
            .args(["log", "-1", "--format=%ct"])
            .current_dir(root),
    )?;
    Ok(String::from_utf8(commit)?.trim().to_owned())
}

fn say(text: &str) -> Result<()> {
    writeln!(io::stdout(), "{text}")?;
    Ok(())
}
