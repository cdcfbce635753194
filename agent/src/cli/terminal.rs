//! What the terminal is and can do.

use std::io::{self, IsTerminal as _};

use super::args::ColourChoice;

/// Columns and lines to draw for where nothing better is known.
const FALLBACK: (usize, usize) = (80, 24);

/// Columns and lines of the terminal on standard output.
pub(super) fn size() -> (usize, usize) {
    let from_env = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match (from_env("COLUMNS"), from_env("LINES")) {
        (Some(columns), Some(lines)) => (columns, lines),
        _ => terminal_size::terminal_size().map_or(FALLBACK, |(width, height)| {
            (usize::from(width.0), usize::from(height.0))
        }),
    }
}

/// Whether to colour what goes to standard output (or, with `is_terminal` of another stream, there).
pub(super) fn colour(choice: ColourChoice, is_terminal: bool) -> bool {
    match choice {
        ColourChoice::Always => true,
        ColourChoice::Never => false,
        ColourChoice::Auto => {
            is_terminal
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

/// Whether standard output is a terminal.
pub(super) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard output is a terminal that can be drawn on.
pub(super) fn stdout_is_screen() -> bool {
    stdout_is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// Whether standard error is a terminal.
pub(super) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}
