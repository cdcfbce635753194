//! The command line: the only place that reads arguments and prints.

#[cfg(feature = "capture")]
mod agent;
mod args;
#[cfg(feature = "capture")]
mod capture;
#[cfg(feature = "engine")]
mod courtesy;
mod descriptors;
#[cfg(feature = "engine")]
mod empty;
mod error;
#[cfg(feature = "engine")]
mod input;
#[cfg(feature = "engine")]
mod live;
mod man;
#[cfg(feature = "engine")]
mod missed;
#[cfg(feature = "engine")]
mod output;
#[cfg(feature = "engine")]
mod parse;
#[cfg(feature = "engine")]
mod progress;
#[cfg(feature = "engine")]
mod query;
#[cfg(feature = "engine")]
mod query_text;
#[cfg(feature = "engine")]
mod reference;
#[cfg(any(feature = "capture", feature = "engine"))]
mod signals;
mod status;
mod store;
#[cfg(feature = "engine")]
mod terminal;
#[cfg(feature = "engine")]
mod unanswered;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use args::{Cli, Command};
use error::Error;

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    descriptors::raise();
    match run(&cli.command) {
        Ok(code) => ExitCode::from(code),
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed too; there is nowhere left to say so.
            let _ = writeln!(io::stderr(), "{error}");
            if let Some(hint) = error.hint() {
                let _ = writeln!(io::stderr(), "  hint: {hint}");
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: &Command) -> Result<u8, Error> {
    let mut out = io::stdout().lock();
    match command {
        #[cfg(feature = "engine")]
        Command::Query(args) => {
            drop(out);
            return query::run(args);
        }
        #[cfg(feature = "engine")]
        Command::Replay(args) => {
            drop(out);
            return live::replay(args);
        }
        #[cfg(feature = "engine")]
        Command::Parse(args) => return parse::run(args, &mut out),
        #[cfg(feature = "engine")]
        Command::Fields(args) => reference::fields(args, &mut out)?,
        #[cfg(feature = "engine")]
        Command::Modules(args) => reference::modules(args, &mut out)?,
        #[cfg(feature = "capture")]
        Command::Capture(args) => {
            drop(out);
            return capture::run(args);
        }
        #[cfg(feature = "capture")]
        Command::Agent(args) => {
            drop(out);
            return agent::run(args);
        }
        Command::Status(args) => return status::run(args, &mut out),
        Command::Store(args) => return store::run(&args.command, &mut out),
        Command::Import(args) => return store::import(args, &mut out),
        Command::Man(args) => man::run(args, &mut out)?,
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "flowsift", &mut out);
        }
    }
    Ok(0)
}
