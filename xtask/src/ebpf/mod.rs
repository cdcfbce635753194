//! `ebpf`: rebuilds the committed kernel object, or checks that it is up to date.

mod fingerprint;
mod toolchain;

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use crate::Result;
use crate::args::Args;

/// The object that the agent carries.
const OBJECT: &str = "agent-ebpf/flowsift-xdp.o";

/// What the object was made from.
const RECORD: &str = "agent-ebpf/flowsift-xdp.sources";

pub(crate) fn run(mut args: Args) -> Result<()> {
    let check_only = args.flag("--check");
    let toolchain = args.value("--toolchain", String::from("auto"))?;
    args.finish()?;
    let root = crate::repository();
    if check_only {
        check(&root)
    } else {
        build(&root, &toolchain)
    }
}

fn build(root: &Path, toolchain: &str) -> Result<()> {
    let toolchain = toolchain::choose(toolchain)?;
    let object = toolchain.build(root)?;
    fs::write(root.join(OBJECT), &object)?;
    fs::write(root.join(RECORD), record(root, &object)?)?;
    writeln!(
        io::stdout(),
        "{OBJECT}: {} bytes, by {toolchain}",
        object.len()
    )?;
    Ok(())
}

/// Fails where the object or its sources are not those that belong together.
fn check(root: &Path) -> Result<()> {
    let object = fs::read(root.join(OBJECT)).map_err(|e| format!("{OBJECT}: {e}"))?;
    let recorded = fs::read_to_string(root.join(RECORD)).map_err(|e| format!("{RECORD}: {e}"))?;
    if recorded != record(root, &object)? {
        return Err(
            format!("{OBJECT} is stale: run `cargo xtask ebpf` and commit the result").into(),
        );
    }
    writeln!(io::stdout(), "{OBJECT} is up to date")?;
    Ok(())
}

/// The text of [`RECORD`].
fn record(root: &Path, object: &[u8]) -> Result<String> {
    let sources = fingerprint::of_sources(root)?;
    let object = fingerprint::of_bytes(object);
    Ok(format!("sources {sources:032x}\nobject  {object:032x}\n"))
}
