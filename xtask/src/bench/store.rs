//! `bench store`: queries by a store's sidecars beside the same over the raw capture file.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::answer::{self, QUERY, Row};
use super::measure::{self, Run};
use super::{DEFAULT_FILE, query};
use crate::Result;
use crate::args::Args;

/// The whole time span of a store.
const ALL_TIME: [&str; 2] = ["--from", "1970-01-01"];

/// A destination that few packets have.
const RARE: &str = "tag=pcap packet ipv4.DstIP !~ 10.0.0.0/8 ipv4.SrcIP tcp.DstPort \
     | require DstPort | count by DstIP | sort by count asc DstIP asc | limit 1 | table -nt DstIP";

pub(crate) fn run(mut args: Args) -> Result<()> {
    let runs = args.value("--runs", 5usize)?.max(1);
    let file = args.value("--file", PathBuf::from(DEFAULT_FILE))?;
    let program = args.value("--program", PathBuf::from("target/release/flowsift"))?;
    args.finish()?;
    let bench = Bench::prepare(file, program)?;
    let (raw, store) = bench.reference(runs)?;
    let mut text = format!(
        "reference query    wall s   processor s\n{}{}ratio            {:>8.2} {:>13.2}\n",
        raw.line("raw file"),
        store.line("sidecars"),
        ratio(raw.wall, store.wall),
        ratio(raw.cpu, store.cpu),
    );
    text += &bench.sizes()?;
    text += &bench.one_address()?;
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

/// Medians of some runs.
struct Times {
    wall: Duration,
    cpu: Duration,
}

impl Times {
    fn of(runs: &[Run]) -> Self {
        let walls: Vec<_> = runs.iter().map(|run| run.wall).collect();
        let cpus: Vec<_> = runs.iter().map(|run| run.cpu).collect();
        Self {
            wall: measure::median(&walls),
            cpu: measure::median(&cpus),
        }
    }

    fn line(&self, name: &str) -> String {
        let (wall, cpu) = (self.wall.as_secs_f64(), self.cpu.as_secs_f64());
        format!("{name:<16} {wall:>8.3} {cpu:>13.3}\n")
    }
}

/// The capture, a store that has it, and the program under test.
struct Bench {
    file: PathBuf,
    program: PathBuf,
    truth: Vec<Row>,
    store: PathBuf,
}

impl Bench {
    fn prepare(file: PathBuf, program: PathBuf) -> Result<Self> {
        let truth = query::capture(&file)?;
        let store = file.with_extension(format!("store-{}", std::process::id()));
        let bench = Self {
            file,
            program,
            truth,
            store,
        };
        eprintln!("importing into {}", bench.store.display());
        let mut import = Command::new(&bench.program);
        import.arg("import").arg("--store").arg(&bench.store);
        measure::run(import.arg(&bench.file))?;
        Ok(bench)
    }

    fn query(&self, source: (&str, &Path), query: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("query").arg(source.0).arg(source.1);
        if source.0 == "--store" {
            command.args(ALL_TIME);
        }
        command.args(["--format", "tsv", query]);
        command
    }

    fn raw(&self) -> (&'static str, &Path) {
        ("-r", &self.file)
    }

    fn stored(&self) -> (&'static str, &Path) {
        ("--store", &self.store)
    }

    /// Round after round, so that a slow spell of the machine meets both alike.
    fn reference(&self, rounds: usize) -> Result<(Times, Times)> {
        let (mut raw, mut stored) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            eprintln!("round {} of {rounds}", round + 1);
            for (source, runs) in [(self.raw(), &mut raw), (self.stored(), &mut stored)] {
                let run = measure::run(&mut self.query(source, QUERY))?;
                let rows = answer::parse_tsv(&run.stdout)?;
                if let Some(difference) = answer::difference(&self.truth, &rows) {
                    return Err(format!("the answer by {} is wrong: {difference}", source.0).into());
                }
                runs.push(run);
            }
        }
        Ok((Times::of(&raw), Times::of(&stored)))
    }

    /// What sidecars take beside their capture files.
    fn sizes(&self) -> Result<String> {
        let captures = bytes(&self.store, "pcap")?;
        let sidecars = bytes(&self.store, "parquet")?;
        Ok(format!(
            "sidecars: {:.1} MB, {:.1} % of the {:.1} MB of {} capture files\n",
            mega(sidecars.0),
            percent(sidecars.0, captures.0),
            mega(captures.0),
            captures.1,
        ))
    }

    /// The share of the capture files that a query for one address, whose payload is asked, reads.
    fn one_address(&self) -> Result<String> {
        let rare = measure::run(&mut self.query(self.stored(), RARE))?.stdout;
        let address = rare.lines().nth(1).ok_or("no destination in the capture")?;
        let query = format!(
            "tag=pcap packet ipv4.DstIP == {address} tcp.Payload | length Payload \
             | stats count sum(length) as bytes | table -nt count bytes"
        );
        let stored = measure::run(&mut self.query(self.stored(), &query))?;
        let raw = measure::run(&mut self.query(self.raw(), &query))?;
        if stored.stdout != raw.stdout || stored.stdout.lines().count() != 2 {
            return Err(format!("{query}: {:?}, not {:?}", stored.stdout, raw.stdout).into());
        }
        let (captures, _) = bytes(&self.store, "pcap")?;
        Ok(format!(
            "one address, {address}: {:.2} MB read, {:.2} % of the capture files' bytes\n",
            mega(stored.bytes_read),
            percent(stored.bytes_read, captures),
        ))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // As large as the capture; whoever cannot remove it will see it.
        if let Err(error) = fs::remove_dir_all(&self.store) {
            eprintln!("cannot remove {}: {error}", self.store.display());
        }
    }
}

/// Bytes of the files below a folder that have this extension, and how many they are.
fn bytes(folder: &Path, extension: &str) -> Result<(u64, usize)> {
    let (mut total, mut files) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            let (more, count) = bytes(&path, extension)?;
            total += more;
            files += count;
        } else if path.extension().is_some_and(|own| own == extension) {
            total += fs::metadata(&path)?.len();
            files += 1;
        }
    }
    Ok((total, files))
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64 * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_extension_at_any_depth() {
        let folder = std::env::temp_dir().join(format!("bench-store-{}", std::process::id()));
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::write(folder.join("a/b/one.pcap"), [0; 7]).unwrap();
        fs::write(folder.join("two.pcap"), [0; 5]).unwrap();
        fs::write(folder.join("a/two.parquet"), [0; 3]).unwrap();
        assert_eq!(bytes(&folder, "pcap").unwrap(), (12, 2));
        assert_eq!(bytes(&folder, "parquet").unwrap(), (3, 1));
        fs::remove_dir_all(folder).unwrap();
    }
}
