//! `bench capture`: what capture costs, what it takes without loss, and what others take.

mod beside;
mod lab;
mod memory;
mod overload;
mod rates;
mod recorders;
mod report;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::Command;

use super::measure;
use crate::Result;
use crate::args::Args;
use lab::Lab;

/// Frames a second, in millions; `None` is as fast as one processor sends.
const RATES: [Option<f64>; 7] = [
    Some(0.25),
    Some(0.5),
    Some(0.75),
    Some(1.0),
    Some(1.25),
    Some(1.5),
    None,
];

const OVERLOAD_FRAMES: u64 = 20_000_000;

pub(crate) fn run(mut args: Args) -> Result<()> {
    let program = args.value("--program", PathBuf::from("target/release/flowsift"))?;
    let runs = args.value("--runs", 3usize)?.max(1);
    let seconds = args.value("--seconds", 2.0f64)?;
    let bytes = args.value("--frame", 64u16)?;
    let overload = args.value("--overload", OVERLOAD_FRAMES)?;
    let named = args.value("--recorder", String::new())?;
    let only_overload = args.flag("--only-overload");
    let only_beside = args.flag("--only-beside");
    args.finish()?;
    if !program.is_file() {
        let missing = program.display();
        return Err(format!("{missing} is missing: `cargo build --release` first").into());
    }
    let lab = Lab::open(program.canonicalize()?)?;
    let mut out = io::stdout();
    if only_beside {
        let result = beside::measure(&lab, runs, seconds, bytes)?;
        out.write_all(result.text(bytes).as_bytes())?;
        return Ok(());
    }
    if !only_overload {
        // What the kernel program costs is measured there, beside the least that one can do.
        let words = ["capture", "--self-test", "--store", "."];
        let said = measure::run(Command::new(&lab.program).args(words))?;
        writeln!(out, "```text\n{}```\n", said.stdout)?;
        let recorders: Vec<_> = recorders::present(&named).collect();
        let lines = rates::measure(&lab, &recorders, &RATES, runs, seconds, bytes)?;
        out.write_all(report::rates(&lines, &RATES, runs, bytes).as_bytes())?;
        let result = beside::measure(&lab, runs, seconds, bytes)?;
        out.write_all(result.text(bytes).as_bytes())?;
    }
    if overload > 0 {
        let result = overload::measure(&lab, overload)?;
        out.write_all(report::overload(&result).as_bytes())?;
        result.check()?;
    }
    Ok(())
}
