//! What was loaded into the kernel and what it goes by, for those who ask for details.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use agent_common::config::names;
use aya::EbpfError;
use aya::programs::{ProgramError as AyaError, TestRun as _, TestRunOptions, Xdp};
use aya_log::EbpfLogger;

use super::ProgramError;
use super::program::{self, Program};

/// The shortest frame that the kernel runs a program over.
const NO_PACKET: [u8; 14] = [0; 14];

impl Program {
    /// A line on each program that is loaded, and what they go by, as the kernel side itself reads
    /// it: a program that sees no packet says it through `aya-log`, and goes again. To be asked once.
    ///
    /// # Errors
    /// If that program cannot be loaded or run, or has been before.
    pub fn facts(&mut self) -> Result<Vec<String>, ProgramError> {
        let mut lines: Vec<_> = self.ebpf.programs().filter_map(describe).collect();
        let said = Lines::default();
        // Holds the map that the program writes to, so it comes first.
        let mut logger = EbpfLogger::init_with_logger(&mut self.ebpf, said.clone())
            .map_err(|error| ProgramError::Facts(io::Error::other(error)))?;
        let program = self
            .ebpf
            .program_mut(names::FACTS_PROGRAM)
            .ok_or_else(|| program::missing(names::FACTS_PROGRAM))?;
        let facts: &mut Xdp = program.try_into().map_err(wrong)?;
        program::verified(|| facts.load())?;
        let run = facts.test_run(TestRunOptions {
            data_in: Some(&NO_PACKET),
            ..TestRunOptions::new()
        });
        run.map_err(wrong)?;
        facts.unload().map_err(wrong)?;
        logger.flush();
        lines.append(&mut said.0.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(lines)
    }
}

fn wrong(error: AyaError) -> ProgramError {
    ProgramError::Object(EbpfError::ProgramError(error))
}

/// Name, number and sizes of a program; `None` if it is not loaded.
fn describe((name, program): (&str, &aya::programs::Program)) -> Option<String> {
    let info = program.info().ok()?;
    let verified = info
        .verified_instruction_count()
        .map_or_else(String::new, |count| format!(", {count} steps to verify"));
    Some(format!(
        "kernel program {name}: id {}, {} bytes of machine code{verified}",
        info.id(),
        info.size_jitted(),
    ))
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(format!("kernel side: {}", record.args()));
    }

    fn flush(&self) {}
}
