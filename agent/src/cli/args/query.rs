//! What `flowsift query`, `parse`, `fields` and `modules` take.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::units::{parse_duration, parse_memory};
use crate::live::{Speed, SpeedError};
use crate::render::Format;

/// The query, or where it is.
#[derive(Args, Debug)]
pub(in crate::cli) struct TextArgs {
    /// Read the query from a file
    #[arg(
        short = 'f',
        long = "file",
        value_name = "FILE",
        conflicts_with = "query"
    )]
    pub(in crate::cli) query_file: Option<PathBuf>,

    /// Define a macro: $NAME in the query becomes TEXT; may be repeated
    #[arg(long = "macro", value_name = "NAME=TEXT")]
    pub(in crate::cli) macros: Vec<String>,

    /// The query, such as 'tag=pcap packet ipv4.SrcIP | count by SrcIP | table SrcIP count'
    #[arg(required_unless_present = "query_file")]
    pub(in crate::cli) query: Option<String>,
}

/// How a query runs, and where its answer goes.
#[derive(Args, Debug)]
pub(in crate::cli) struct AnswerArgs {
    /// Output format; default: table (or a drawing) on a terminal, tsv in a pipe
    #[arg(long, value_name = "FORMAT", value_parser = parse_format)]
    pub(in crate::cli) format: Option<Format>,

    /// Write the answer to a file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,

    /// Write the matching packets to a capture file: --format pcap -o FILE
    #[arg(short = 'w', value_name = "FILE|-", conflicts_with_all = ["format", "output"])]
    pub(in crate::cli) write: Option<PathBuf>,

    /// Exit with 3 if any input was damaged
    #[arg(long)]
    pub(in crate::cli) strict: bool,

    /// Memory of the query, past which it spills to the temporary folder
    #[arg(long, default_value = "512MiB", value_name = "SIZE", value_parser = parse_memory)]
    pub(in crate::cli) memory: usize,

    /// Threads; default: one per core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(in crate::cli) threads: Option<u16>,

    /// Folder to spill to; default: the system's temporary folder
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) temp_dir: Option<PathBuf>,

    /// Columns of the terminal to draw for
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(20..=1000))]
    pub(in crate::cli) width: Option<u16>,

    /// Lines of the terminal to draw for
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(8..=1000))]
    pub(in crate::cli) height: Option<u16>,

    /// When to use colour
    #[arg(long, value_enum, default_value_t = ColourChoice::Auto, value_name = "WHEN", alias = "color")]
    pub(in crate::cli) colour: ColourChoice,

    /// No progress on the terminal
    #[arg(short = 'q', long)]
    pub(in crate::cli) quiet: bool,
}

/// How answers that grow are shown.
#[derive(Args, Debug)]
pub(in crate::cli) struct GrowingArgs {
    /// Show an answer for every so much time of packets, where the query has no windows of its own
    /// (10s if not given); never: only the last
    #[arg(long, value_name = "TIME|never", value_parser = parse_every)]
    pub(in crate::cli) every: Option<Every>,
}

/// What `--every` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Every {
    /// A window of so much time.
    Window(Duration),
    /// No answers but the last.
    Never,
}

/// Arguments of `flowsift query`.
#[derive(Args, Debug)]
pub(in crate::cli) struct QueryArgs {
    /// A capture file, a folder of them, a glob, or - for standard input; may be repeated
    #[arg(short = 'r', long = "read", value_name = "FILE|DIR|-")]
    pub(in crate::cli) read: Vec<String>,

    /// A store to read; without a time range, its last hour
    #[arg(long, value_name = "DIR", conflicts_with_all = ["read", "tag"])]
    pub(in crate::cli) store: Option<PathBuf>,

    /// Answer over what arrives now, until Ctrl-C: what an agent writes to --store (with a time
    /// range: what is there, and then what arrives), or what -i captures
    #[arg(long, conflicts_with_all = ["read", "to", "explain"])]
    pub(in crate::cli) live: bool,

    /// Capture from this interface while the query runs; may be repeated
    #[arg(
        short = 'i',
        long = "interface",
        value_name = "IFACE[=TAG]",
        requires = "live",
        conflicts_with_all = ["store", "read"]
    )]
    pub(in crate::cli) interface: Vec<String>,

    /// With --live: end after so much time
    #[arg(long, value_name = "TIME", requires = "live", conflicts_with = "read", value_parser = parse_duration)]
    pub(in crate::cli) duration: Option<Duration>,

    #[command(flatten)]
    pub(in crate::cli) growing: GrowingArgs,

    /// The tag that the packets of -r carry
    #[arg(long, default_value = "pcap", value_name = "TAG")]
    pub(in crate::cli) tag: String,

    /// Only packets at or after this time: -1h, now, RFC 3339, 2026-01-31, epoch seconds
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(in crate::cli) from: Option<String>,

    /// Only packets before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(in crate::cli) to: Option<String>,

    /// Only packets of the last so much time: 1h, 30m, 7d
    #[arg(long, value_name = "DURATION", conflicts_with = "from")]
    pub(in crate::cli) last: Option<String>,

    /// Print the plan and the pushed-down filters before, and what each step took after the run
    #[arg(long)]
    pub(in crate::cli) explain: bool,

    #[command(flatten)]
    pub(in crate::cli) answer: AnswerArgs,

    #[command(flatten)]
    pub(in crate::cli) text: TextArgs,
}

/// Arguments of `flowsift replay`.
#[derive(Args, Debug)]
pub(in crate::cli) struct ReplayArgs {
    /// A capture file, a folder of them, or a glob; may be repeated
    #[arg(short = 'r', long = "read", value_name = "FILE|DIR|-", required = true)]
    pub(in crate::cli) read: Vec<String>,

    /// How fast time goes by: 1x as it was, 10x, or max, as fast as it can be read
    #[arg(long, value_name = "SPEED", default_value = "1x", value_parser = parse_speed)]
    pub(in crate::cli) speed: Speed,

    #[command(flatten)]
    pub(in crate::cli) growing: GrowingArgs,

    /// The tag that the packets carry
    #[arg(long, default_value = "pcap", value_name = "TAG")]
    pub(in crate::cli) tag: String,

    #[command(flatten)]
    pub(in crate::cli) answer: AnswerArgs,

    #[command(flatten)]
    pub(in crate::cli) text: TextArgs,
}

/// When output is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ColourChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Arguments of `flowsift parse`.
#[derive(Args, Debug)]
pub(in crate::cli) struct ParseArgs {
    /// Output format
    #[arg(long, value_enum, default_value_t = ParseFormat::Text)]
    pub(in crate::cli) format: ParseFormat,

    #[command(flatten)]
    pub(in crate::cli) text: TextArgs,
}

/// How `flowsift parse` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ParseFormat {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// Arguments of `flowsift fields`.
#[derive(Args, Debug)]
pub(in crate::cli) struct FieldsArgs {
    /// Only fields whose name or description contains this
    pub(in crate::cli) filter: Option<String>,
}

/// Arguments of `flowsift modules`.
#[derive(Args, Debug)]
pub(in crate::cli) struct ModulesArgs {
    /// The module to explain
    pub(in crate::cli) name: Option<String>,
}

fn parse_format(text: &str) -> Result<Format, String> {
    text.parse()
        .map_err(|error: crate::render::Error| error.to_string())
}

fn parse_speed(text: &str) -> Result<Speed, String> {
    text.parse().map_err(|error: SpeedError| error.to_string())
}

fn parse_every(text: &str) -> Result<Every, String> {
    match text {
        "never" => Ok(Every::Never),
        time => parse_duration(time).map(Every::Window),
    }
}
