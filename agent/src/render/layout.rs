//! Text in a given number of terminal cells.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Text in exactly `width` cells: padded, or cut with `…` at its end.
pub(super) fn cell(text: &str, width: usize, right: bool) -> String {
    let shown = cut(text, width);
    let pad = " ".repeat(width.saturating_sub(shown.width()));
    if right { pad + &shown } else { shown + &pad }
}

/// Text in at most `width` cells, cut with `…` at its end.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 0;
    for c in text.chars() {
        let next = used + c.width().unwrap_or(0);
        // One cell stays for the ellipsis.
        if next + 1 > width {
            break;
        }
        shown.push(c);
        used = next;
    }
    if width > 0 {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_their_width() {
        let cases = [
            ("abc", 5, false, "abc  "),
            ("abc", 5, true, "  abc"),
            ("abcdef", 4, false, "abc…"),
            ("日本語", 4, false, "日… "),
            ("日本語", 6, false, "日本語"),
            ("abc", 1, false, "…"),
            ("abc", 0, true, ""),
        ];
        for (text, width, right, expected) in cases {
            assert_eq!(cell(text, width, right), expected, "{text} in {width}");
        }
    }
}
