//! `bench`: the synthetic capture, the limit loop, and the side by side measurements.

mod answer;
mod capture;
mod frames;
mod generate;
mod limit;
mod measure;
mod peers;
mod prng;
mod query;
mod report;
mod store;
mod traffic;

use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::Result;
use crate::args::Args;

/// Where the capture is kept when nobody says otherwise; `target` is not committed.
const DEFAULT_FILE: &str = "target/bench/reference.pcap";

/// Packets of the capture of which the documentation speaks: 1.3 GB.
const DEFAULT_PACKETS: u64 = 2_000_000;

pub(crate) fn run(mut args: Args) -> Result<()> {
    match args.positional().as_deref() {
        Some("gen") => run_generate(args),
        Some("limit") => run_limit(args),
        Some("capture") => capture::run(args),
        None | Some("query") => query::run(args),
        Some("store") => store::run(args),
        Some(other) => {
            Err(format!("bench {other}: one of capture, gen, limit, query, store").into())
        }
    }
}

fn run_generate(mut args: Args) -> Result<()> {
    let packets = args.value("--packets", DEFAULT_PACKETS)?;
    let out = args.value("--out", PathBuf::from(DEFAULT_FILE))?;
    args.finish()?;
    let summary = generate::write_capture(&out, packets)?;
    writeln!(io::stdout(), "{}: {summary}", out.display())?;
    Ok(())
}

fn run_limit(mut args: Args) -> Result<()> {
    let file = args.positional().ok_or("bench limit needs a file")?;
    args.finish()?;
    let table = limit::answer(file.as_ref())?;
    io::stdout().write_all(answer::render_tsv(&table).as_bytes())?;
    Ok(())
}
