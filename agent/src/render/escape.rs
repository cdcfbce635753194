//! Escaping: text from packets and queries must not be able to steer what shows it.

use std::fmt::Write as _;

/// Whether a terminal shows the character and does nothing else. Not so: controls (C0, DEL, C1),
/// line and paragraph separators, and what changes the direction of the text around it.
fn is_printable(c: char) -> bool {
    !(c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'))
}

/// Text for a terminal: a dot for each character that is not shown.
pub(super) fn terminal(text: &str) -> String {
    text.chars()
        .map(|c| if is_printable(c) { c } else { '.' })
        .collect()
}

/// Bytes for a terminal: valid UTF-8 stays, a dot for each other byte and what is not shown.
pub(super) fn terminal_bytes(bytes: &[u8], out: &mut String) {
    for chunk in bytes.utf8_chunks() {
        out.extend(
            chunk
                .valid()
                .chars()
                .map(|c| if is_printable(c) { c } else { '.' }),
        );
        out.extend(chunk.invalid().iter().map(|_| '.'));
    }
}

/// A field of a tab-separated line: `\t`, `\n`, `\r`, `\\`; other controls as `\x1b`, `\u009b`.
pub(super) fn tsv(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            c if c.is_ascii_control() => hex(out, "\\x", 2, c),
            c if c.is_control() => hex(out, "\\u", 4, c),
            c => out.push(c),
        }
    }
}

/// A field of a comma-separated line (RFC 4180): quoted where it must be, otherwise untouched.
pub(super) fn csv(text: &str, out: &mut String) {
    if text.contains([',', '"', '\n', '\r']) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}

/// A JSON string with its quotes (RFC 8259). DEL and C1 controls are escaped as well, which JSON
/// allows and a terminal needs.
pub(super) fn json(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => hex(out, "\\u", 4, c),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Text for XML and HTML, in elements and in quoted attributes. Characters that XML 1.0 cannot
/// hold at all become dots.
pub(super) fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in terminal(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push('.'),
            c => out.push(c),
        }
    }
    out
}

/// A quoted Graphviz identifier; a backslash would start an escape in a label.
pub(super) fn dot(text: &str) -> String {
    let shown = terminal(text);
    format!("\"{}\"", shown.replace('\\', "\\\\").replace('"', "\\\""))
}

fn hex(out: &mut String, prefix: &str, digits: usize, c: char) {
    let _ = write!(out, "{prefix}{:0digits$x}", u32::from(c));
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[31m\"<b>&\t\\\n\u{9b}\u{202e}é";

    fn with(escape: fn(&str, &mut String)) -> String {
        let mut out = String::new();
        escape(HOSTILE, &mut out);
        out
    }

    #[test]
    fn each_format_tames_hostile_text() {
        assert_eq!(terminal(HOSTILE), "a.[31m\"<b>&.\\...é");
        assert_eq!(with(tsv), "a\\x1b[31m\"<b>&\\t\\\\\\n\\u009b\u{202e}é");
        assert_eq!(with(csv), format!("\"{}\"", HOSTILE.replace('"', "\"\"")));
        assert_eq!(xml(HOSTILE), "a.[31m&quot;&lt;b&gt;&amp;.\\...é");
        assert_eq!(dot(HOSTILE), "\"a.[31m\\\"<b>&.\\\\...é\"");
        let back: String = serde_json::from_str(&with(json)).unwrap();
        assert_eq!(back, HOSTILE);
        assert!(!with(json).contains(char::is_control));
    }

    #[test]
    fn bytes_lose_nothing_but_what_cannot_be_shown() {
        let mut out = String::new();
        terminal_bytes(b"GET /\r\n\xff\xfe\x1b]0;x\x07\xc3\xa9", &mut out);
        assert_eq!(out, "GET /.....]0;x.é");
    }
}
