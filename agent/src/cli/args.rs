//! What the user typed: the command line as clap reads it; doc comments are the manual.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::render::Format;

/// Finds in stored packets what nobody knew to look for: capture files in, answers out.
///
/// Results go to standard output, everything else to standard error. Exit codes: 0 answered,
/// 1 could not run, 2 the command line or the query is wrong, 3 answered but some input was damaged
/// and --strict was given.
#[derive(Debug, Parser)]
#[command(name = "flowsift", version, max_term_width = 100)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a query over capture files
    Query(Box<QueryArgs>),
    /// Show the resolved pipeline of a query, its columns and warnings, without running it
    Parse(ParseArgs),
    /// List the packet fields that a query can name
    Fields(FieldsArgs),
    /// List the modules of the language, or explain one
    Modules(ModulesArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell to complete for
        shell: Shell,
    },
}

/// Arguments of `flowsift query`.
#[derive(Args, Debug)]
pub(super) struct QueryArgs {
    /// A capture file, a folder of them, a glob, or - for standard input; may be repeated
    #[arg(short = 'r', long = "read", value_name = "FILE|DIR|-")]
    pub(super) read: Vec<String>,

    /// The tag that the packets of -r carry
    #[arg(long, default_value = "pcap", value_name = "TAG")]
    pub(super) tag: String,

    /// Only packets at or after this time: -1h, now, RFC 3339, 2026-01-31, epoch seconds
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) from: Option<String>,

    /// Only packets before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) to: Option<String>,

    /// Only packets of the last so much time: 1h, 30m, 7d
    #[arg(long, value_name = "DURATION", conflicts_with = "from")]
    pub(super) last: Option<String>,

    /// Output format; default: table (or a drawing) on a terminal, tsv in a pipe
    #[arg(long, value_name = "FORMAT", value_parser = parse_format)]
    pub(super) format: Option<Format>,

    /// Write the answer to a file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    /// Write the matching packets to a capture file: --format pcap -o FILE
    #[arg(short = 'w', value_name = "FILE|-", conflicts_with_all = ["format", "output"])]
    pub(super) write: Option<PathBuf>,

    /// Read the query from a file
    #[arg(
        short = 'f',
        long = "file",
        value_name = "FILE",
        conflicts_with = "query"
    )]
    pub(super) query_file: Option<PathBuf>,

    /// Define a macro: $NAME in the query becomes TEXT; may be repeated
    #[arg(long = "macro", value_name = "NAME=TEXT")]
    pub(super) macros: Vec<String>,

    /// Print the plan and the pushed-down filters before, and what each step took after the run
    #[arg(long)]
    pub(super) explain: bool,

    /// Exit with 3 if any input was damaged
    #[arg(long)]
    pub(super) strict: bool,

    /// Memory of the query, past which it spills to the temporary folder
    #[arg(long, default_value = "512MiB", value_name = "SIZE", value_parser = parse_size)]
    pub(super) memory: usize,

    /// Threads; default: one per core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,

    /// Folder to spill to; default: the system's temporary folder
    #[arg(long, value_name = "DIR")]
    pub(super) temp_dir: Option<PathBuf>,

    /// Columns of the terminal to draw for
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(20..=1000))]
    pub(super) width: Option<u16>,

    /// Lines of the terminal to draw for
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(8..=1000))]
    pub(super) height: Option<u16>,

    /// When to use colour
    #[arg(long, value_enum, default_value_t = ColourChoice::Auto, value_name = "WHEN", alias = "color")]
    pub(super) colour: ColourChoice,

    /// No progress on the terminal
    #[arg(short = 'q', long)]
    pub(super) quiet: bool,

    /// The query, such as 'tag=pcap packet ipv4.SrcIP | count by SrcIP | table SrcIP count'
    #[arg(required_unless_present = "query_file")]
    pub(super) query: Option<String>,
}

/// When output is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ColourChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Arguments of `flowsift parse`.
#[derive(Args, Debug)]
pub(super) struct ParseArgs {
    /// Output format
    #[arg(long, value_enum, default_value_t = ParseFormat::Text)]
    pub(super) format: ParseFormat,

    /// Read the query from a file
    #[arg(
        short = 'f',
        long = "file",
        value_name = "FILE",
        conflicts_with = "query"
    )]
    pub(super) query_file: Option<PathBuf>,

    /// Define a macro: $NAME in the query becomes TEXT; may be repeated
    #[arg(long = "macro", value_name = "NAME=TEXT")]
    pub(super) macros: Vec<String>,

    /// The query
    #[arg(required_unless_present = "query_file")]
    pub(super) query: Option<String>,
}

/// How `flowsift parse` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ParseFormat {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// Arguments of `flowsift fields`.
#[derive(Args, Debug)]
pub(super) struct FieldsArgs {
    /// Only fields whose name or description contains this
    pub(super) filter: Option<String>,
}

/// Arguments of `flowsift modules`.
#[derive(Args, Debug)]
pub(super) struct ModulesArgs {
    /// The module to explain
    pub(super) name: Option<String>,
}

fn parse_format(text: &str) -> Result<Format, String> {
    text.parse()
        .map_err(|error: crate::render::Error| error.to_string())
}

/// Bytes from `64MiB`, `64M`, `100MB`, `1GiB` or a plain number.
fn parse_size(text: &str) -> Result<usize, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: usize = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => {
            return Err(format!(
                "unknown unit '{unit}'; use KiB, MiB, GiB, KB, MB or GB"
            ));
        }
    };
    let number: usize = number
        .parse()
        .map_err(|_| "expected a size such as 512MiB".to_owned())?;
    match number.checked_mul(factor) {
        Some(bytes) if bytes >= 1 << 20 => Ok(bytes),
        Some(_) => Err("at least 1MiB is needed".to_owned()),
        None => Err("too large".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("2g"), Ok(2 << 30));
        assert_eq!(parse_size("100MB"), Ok(100_000_000));
        assert_eq!(parse_size("4194304"), Ok(4 << 20));
        assert!(parse_size("12").is_err());
        assert!(parse_size("5parsecs").is_err());
        assert!(parse_size("99999999999999999999").is_err());
    }
}
