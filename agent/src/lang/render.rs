//! Diagnostics as text for people: the message, the line, carets under the place, and the hint.

use std::fmt::Write as _;

use super::diagnostic::{Diagnostic, Severity, Span};

/// Characters of a line that are shown; a longer one is cut around the place.
const MAX_WIDTH: usize = 160;
/// Characters shown before the place in a line that is cut.
const LEAD: usize = 60;

/// Line and column of a byte offset, both from 1; columns count characters.
pub fn position(query: &str, offset: usize) -> (usize, usize) {
    let before = query.get(..floor(query, offset)).unwrap_or("");
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).unwrap_or("").chars().count() + 1;
    (before.matches('\n').count() + 1, column)
}

/// Renders diagnostics in order, each ended by a newline.
///
/// ```text
/// error: unknown module 'cuont' (stage 1)
///   |
///   | tag=pcap packet tcp.DstPort | cuont by DstPort
///   |                               ^^^^^
///   = hint: the nearest module is 'count'
/// ```
///
/// The gutter shows the line's number where the query has several. Control characters of the query
/// are never written.
pub fn render(diagnostics: &[Diagnostic], query: &str, colour: bool) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        render_one(&mut out, diagnostic, query, Palette::new(colour));
    }
    out
}

/// Terminal escape sequences, or nothing.
#[derive(Clone, Copy)]
struct Palette {
    error: &'static str,
    warning: &'static str,
    bold: &'static str,
    gutter: &'static str,
    end: &'static str,
}

impl Palette {
    fn new(colour: bool) -> Self {
        if !colour {
            let none = "";
            return Self {
                error: none,
                warning: none,
                bold: none,
                gutter: none,
                end: none,
            };
        }
        Self {
            error: "\x1b[1;31m",
            warning: "\x1b[1;33m",
            bold: "\x1b[1m",
            gutter: "\x1b[34m",
            end: "\x1b[0m",
        }
    }
}

fn render_one(out: &mut String, diagnostic: &Diagnostic, query: &str, palette: Palette) {
    let Palette {
        bold, gutter, end, ..
    } = palette;
    let (colour, word) = match diagnostic.severity {
        Severity::Error => (palette.error, "error"),
        Severity::Warning => (palette.warning, "warning"),
    };
    let place = Place::of(query, diagnostic.span);
    let pad = " ".repeat(place.label.len());
    let message = printable(&diagnostic.message);
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{colour}{word}{end}{bold}: {message}{end}");
    let _ = writeln!(out, "{gutter}{pad} |{end}");
    let shown = format!("{gutter}{} |{end} {}", place.label, place.text);
    let _ = writeln!(out, "{}", shown.trim_end());
    let _ = writeln!(
        out,
        "{gutter}{pad} |{end} {}{colour}{}{end}",
        " ".repeat(place.lead),
        "^".repeat(place.carets)
    );
    if let Some(hint) = &diagnostic.hint {
        let hint = printable(hint);
        let _ = writeln!(out, "{gutter}{pad} ={end} {bold}hint{end}: {hint}");
    }
}

/// What is shown of the query for a span.
struct Place {
    /// Line number, or blank where there is one line.
    label: String,
    text: String,
    /// Characters before the carets.
    lead: usize,
    carets: usize,
}

impl Place {
    fn of(query: &str, span: Span) -> Self {
        let (number, column) = position(query, span.start);
        let single = !query.trim_end().contains('\n');
        let label = if single {
            " ".to_owned()
        } else {
            number.to_string()
        };
        let line = query.split('\n').nth(number - 1).unwrap_or("");
        let width = line.chars().count();
        let start = (column - 1).min(width);
        let covered = query
            .get(floor(query, span.start)..floor(query, span.end))
            .unwrap_or("");
        // A span over several lines is marked to the end of its first one.
        let covered = covered.split('\n').next().unwrap_or("").trim_end();
        let carets = covered.chars().count().max(1);
        if width <= MAX_WIDTH {
            return Self {
                label,
                text: printable(line),
                lead: start,
                carets,
            };
        }
        Self::cut(label, line, start, carets)
    }

    fn cut(label: String, line: &str, start: usize, carets: usize) -> Self {
        const ELLIPSIS: &str = "...";
        let skip = start.saturating_sub(LEAD);
        let middle: String = line.chars().skip(skip).take(MAX_WIDTH).collect();
        let before = if skip > 0 { ELLIPSIS } else { "" };
        let more = line.chars().nth(skip + MAX_WIDTH).is_some();
        let after = if more { ELLIPSIS } else { "" };
        let lead = start - skip + before.len();
        Self {
            label,
            text: format!("{before}{}{after}", printable(&middle)),
            lead,
            carets: carets.min(MAX_WIDTH - (start - skip)),
        }
    }
}

/// The character boundary at or before an offset.
fn floor(text: &str, offset: usize) -> usize {
    text.floor_char_boundary(offset.min(text.len()))
}

/// Text without control characters, one character for each: a tab is a space, others are U+FFFD.
fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\t' | '\r' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &str = "tag=pcap packet tcp.DstPort | cuont by DstPort";

    fn at(query: &str, needle: &str) -> Span {
        let start = query.find(needle).unwrap();
        Span {
            start,
            end: start + needle.len(),
        }
    }

    #[test]
    fn carets_and_hint() {
        let error = Diagnostic::error(at(QUERY, "cuont"), "unknown module 'cuont' (stage 1)")
            .with_hint("the nearest module is 'count'");
        assert_eq!(
            render(&[error], QUERY, false),
            "error: unknown module 'cuont' (stage 1)\n  |\n  | tag=pcap packet tcp.DstPort | cuont by DstPort\n  |                               ^^^^^\n  = hint: the nearest module is 'count'\n"
        );
    }

    #[test]
    fn columns_count_characters_and_lines_have_numbers() {
        let query = "tag=pcap\n| grep \"ü€\" \x1b[31m foo\n| table";
        let warning = Diagnostic::warning(at(query, "foo"), "odd");
        assert_eq!(position(query, warning.span.start), (2, 19));
        assert_eq!(
            render(&[warning], query, false),
            "warning: odd\n  |\n2 | | grep \"ü€\" \u{fffd}[31m foo\n  |                   ^^^\n"
        );
    }

    #[test]
    fn an_empty_place_still_has_a_caret() {
        let error = Diagnostic::error(Span { start: 0, end: 0 }, "the query is empty");
        assert_eq!(
            render(&[error], "", false),
            "error: the query is empty\n  |\n  |\n  | ^\n"
        );
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let query = format!("{}needle{}", "a ".repeat(500), " b".repeat(500));
        let error = Diagnostic::error(at(&query, "needle"), "found");
        let text = render(&[error], &query, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2].find("needle"), lines[3].find('^'));
        assert!(
            lines
                .iter()
                .all(|line| line.chars().count() <= MAX_WIDTH + 10)
        );
        assert!(lines[3].ends_with(" ^^^^^^"));
    }

    #[test]
    fn colour_wraps_the_same_text() {
        let error = Diagnostic::error(at(QUERY, "cuont"), "unknown").with_hint("none");
        let plain = render(std::slice::from_ref(&error), QUERY, false);
        let mut coloured = render(&[error], QUERY, true);
        assert!(coloured.starts_with("\x1b[1;31merror\x1b[0m"));
        for code in ["\x1b[1;31m", "\x1b[1m", "\x1b[34m", "\x1b[0m"] {
            coloured = coloured.replace(code, "");
        }
        assert_eq!(coloured, plain);
    }

    #[test]
    fn spans_outside_the_text_do_not_panic() {
        let odd = Span { start: 2, end: 900 };
        let error = Diagnostic::error(odd, "odd");
        assert!(render(&[error], "aü", false).contains("aü"));
    }
}
