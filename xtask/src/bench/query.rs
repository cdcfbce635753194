//! `bench query`: the reference query by flowsift, by the limit loop and by what people use.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::answer::{self, QUERY, Row};
use super::measure::{self, Run};
use super::peers::{PEERS, Peer};
use super::report::{Line, Report};
use super::{DEFAULT_FILE, DEFAULT_PACKETS, generate};
use crate::Result;
use crate::args::Args;

pub(crate) fn run(mut args: Args) -> Result<()> {
    let runs = args.value("--runs", 5usize)?.max(1);
    let file = args.value("--file", PathBuf::from(DEFAULT_FILE))?;
    let program = args.value("--program", PathBuf::from("target/release/flowsift"))?;
    let markdown = args.flag("--markdown");
    let ours = args.flag("--ours");
    args.finish()?;
    if !program.is_file() {
        let missing = program.display();
        return Err(format!("{missing} is missing: `cargo build --release` first").into());
    }
    let bench = Bench::prepare(file, program)?;
    let lines = bench.measure(runs, if ours { &[] } else { &PEERS })?;
    let small = bench.small_answer(runs)?;
    let parse = bench.parse(runs);
    let report = Report {
        bytes: fs::metadata(&bench.file)?.len(),
        runs,
        lines,
        small,
        parse,
    };
    let text = if markdown {
        report.markdown()
    } else {
        report.text()
    };
    io::stdout().write_all(text.as_bytes())?;
    match report.wrong_answers() {
        0 => Ok(()),
        wrong => Err(format!("{wrong} answers differ from the true one").into()),
    }
}

/// The capture, its answer, and the program under test.
struct Bench {
    file: PathBuf,
    program: PathBuf,
    truth: Vec<Row>,
    scratch: PathBuf,
}

/// One way to the answer, and what it took.
struct Contestant<'a> {
    name: &'a str,
    peer: Option<&'a Peer>,
    runs: Vec<Run>,
}

impl Bench {
    fn prepare(file: PathBuf, program: PathBuf) -> Result<Self> {
        let truth = capture(&file)?;
        let scratch = std::env::temp_dir().join(format!("flowsift-bench-{}", std::process::id()));
        fs::create_dir_all(&scratch)?;
        Ok(Self {
            file,
            program,
            truth,
            scratch,
        })
    }

    /// Round after round, so that a slow spell of the machine meets all alike.
    fn measure(&self, rounds: usize, peers: &[Peer]) -> Result<Vec<Line>> {
        let ours = ["flowsift", "limit loop"];
        let mut contestants: Vec<_> = ours
            .map(|name| Contestant {
                name,
                peer: None,
                runs: Vec::new(),
            })
            .into();
        contestants.extend(
            peers
                .iter()
                .filter(|peer| is_ready(peer))
                .map(|peer| Contestant {
                    name: peer.name,
                    peer: Some(peer),
                    runs: Vec::new(),
                }),
        );
        for round in 0..rounds {
            for contestant in &mut contestants {
                if round > 0 && contestant.peer.is_some_and(|peer| peer.once) {
                    continue;
                }
                eprintln!("round {} of {rounds}: {}", round + 1, contestant.name);
                match self.run_once(contestant) {
                    Ok(run) => contestant.runs.push(run),
                    Err(error) if contestant.peer.is_some() => {
                        eprintln!("{} could not run: {error}", contestant.name);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        contestants
            .iter()
            .map(|contestant| self.line(contestant))
            .collect()
    }

    fn run_once(&self, contestant: &Contestant<'_>) -> Result<Run> {
        let Some(peer) = contestant.peer else {
            return measure::run(&mut match contestant.name {
                "flowsift" => self.flowsift(&self.file),
                _ => self.limit()?,
            });
        };
        let folder = self.scratch.join("peer");
        fs::create_dir_all(&folder)?;
        let run = measure::run(&mut peer.command(&self.file, &folder));
        fs::remove_dir_all(&folder)?;
        run
    }

    fn line(&self, contestant: &Contestant<'_>) -> Result<Line> {
        let mut wrong = None;
        for run in &contestant.runs {
            let rows =
                answer::parse_tsv(&run.stdout).map_err(|e| format!("{}: {e}", contestant.name))?;
            wrong = wrong.or(answer::difference(&self.truth, &rows));
        }
        let walls: Vec<_> = contestant.runs.iter().map(|run| run.wall).collect();
        let peaks = contestant.runs.iter().map(|run| run.peak_bytes);
        Ok(Line {
            name: contestant.name.to_owned(),
            runs: walls.len(),
            wall: measure::median(&walls),
            peak_bytes: peaks.max().unwrap_or(0),
            wrong,
        })
    }

    fn flowsift(&self, file: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("query")
            .arg("-r")
            .arg(file)
            .args(["--format", "tsv", QUERY]);
        command
    }

    fn limit(&self) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "limit"]).arg(&self.file);
        Ok(command)
    }

    /// From the start of the program to its answer on the first 100 packets.
    fn small_answer(&self, runs: usize) -> Result<std::time::Duration> {
        let small = self.scratch.join("first-100.pcap");
        cut_packets(&self.file, &small, 100)?;
        let walls: Result<Vec<_>> = (0..runs)
            .map(|_| Ok(measure::run(&mut self.flowsift(&small))?.wall))
            .collect();
        Ok(measure::median(&walls?))
    }

    /// `flowsift parse` on the reference query, process start included.
    fn parse(&self, runs: usize) -> Option<std::time::Duration> {
        let walls: Option<Vec<_>> = (0..runs)
            .map(|_| {
                Some(
                    measure::run(Command::new(&self.program).args(["parse", QUERY]))
                        .ok()?
                        .wall,
                )
            })
            .collect();
        Some(measure::median(&walls?))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What is left behind lies in the temporary folder; there is nobody to tell.
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

fn is_ready(peer: &Peer) -> bool {
    let missing = peer.missing();
    if let Some(program) = missing {
        eprintln!(
            "skipped {}: {program} is not installed (package {})",
            peer.name, peer.package
        );
    }
    missing.is_none()
}

/// Makes sure that the capture is there and in the page cache; gives the true answer.
pub(super) fn capture(file: &Path) -> Result<Vec<Row>> {
    let answer_file = generate::answer_path(file);
    if !answer_file.is_file() || !file.is_file() {
        eprintln!("writing {}", file.display());
        // In a process of its own: a child's peak memory starts from its parent's.
        let mut child = Command::new(std::env::current_exe()?);
        child.args([
            "bench",
            "gen",
            "--packets",
            &DEFAULT_PACKETS.to_string(),
            "--out",
        ]);
        measure::run(child.arg(file))?;
    }
    warm_page_cache(file)?;
    answer::parse_tsv(&fs::read_to_string(answer_file)?)
}

/// Reads the file once, so that every contestant finds it in memory.
fn warm_page_cache(file: &Path) -> Result<()> {
    io::copy(&mut File::open(file)?, &mut io::sink())?;
    Ok(())
}

/// The first packets of a little-endian pcap, as a file of its own.
fn cut_packets(from: &Path, to: &Path, packets: usize) -> Result<()> {
    let mut input = io::BufReader::new(File::open(from)?);
    let mut bytes = vec![0; 24];
    input.read_exact(&mut bytes)?;
    for _ in 0..packets {
        let mut header = [0; 16];
        input.read_exact(&mut header)?;
        let [.., c0, c1, c2, c3, _, _, _, _] = header;
        let mut frame = vec![0; u32::from_le_bytes([c0, c1, c2, c3]) as usize];
        input.read_exact(&mut frame)?;
        bytes.extend(header);
        bytes.extend(frame);
    }
    fs::write(to, bytes)?;
    Ok(())
}
