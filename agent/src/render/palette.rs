//! How series are told apart: by letter, by colour, by line style.

/// Colours that colour-blind people can tell apart, dark enough on white and light enough on
/// black (after Okabe and Ito, <https://jfly.uni-koeln.de/color/>, yellow darkened).
const COLOURS: [(u8, u8, u8); 8] = [
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (230, 159, 0),
    (148, 103, 189),
    (184, 168, 24),
];

/// The xterm-256 colours next to them, a little lighter, for terminals.
const TERMINAL: [u8; 8] = [33, 208, 36, 175, 117, 214, 141, 185];

/// For what is not shown by itself.
const GREY: (u8, u8, u8) = (128, 128, 128);

/// The colour of the n-th series on white.
pub(super) fn colour(n: usize, other: bool) -> (u8, u8, u8) {
    match COLOURS.get(n % COLOURS.len()) {
        Some(colour) if !other => *colour,
        _ => GREY,
    }
}

/// The SGR parameter of the n-th series.
pub(super) fn sgr(n: usize, other: bool, background: bool) -> String {
    let colour = match TERMINAL.get(n % TERMINAL.len()) {
        Some(colour) if !other => *colour,
        _ => 245,
    };
    if background {
        // Dark letters on all of these can be read.
        format!("38;5;16;48;5;{colour}")
    } else {
        format!("38;5;{colour}")
    }
}

/// Which round through the colours the n-th series is in: 0 is drawn solid.
pub(super) fn round(n: usize) -> usize {
    n / COLOURS.len()
}

/// The letter of the n-th series: A to Z, a to z, then `*`.
pub(super) fn letter(n: usize, other: bool) -> char {
    if other {
        return '+';
    }
    let n = u8::try_from(n).unwrap_or(u8::MAX);
    match n {
        0..26 => char::from(b'A' + n),
        26..52 => char::from(b'a' + (n - 26)),
        _ => '*',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_styles() {
        let letters: String = [0, 25, 26, 51, 52, 9999]
            .into_iter()
            .map(|n| letter(n, false))
            .collect();
        assert_eq!(letters, "AZaz**");
        assert_eq!(letter(3, true), '+');
        assert_eq!((round(7), round(8)), (0, 1));
        assert_ne!(colour(0, false), colour(1, false));
        assert_eq!(colour(0, true), GREY);
    }
}
