//! Horizontal bars of characters.

use unicode_width::UnicodeWidthStr as _;

use super::{RenderOptions, layout};

/// Eighths of a cell, for the end of a plain bar.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// One bar.
pub(super) struct Bar {
    /// Its name, safe on a terminal.
    pub(super) name: String,
    /// Its size in words.
    pub(super) value: String,
    /// What it is stacked of.
    pub(super) segments: Vec<Segment>,
}

/// A part of a bar.
pub(super) struct Segment {
    /// Fills it; `None`: solid blocks.
    pub(super) letter: Option<char>,
    /// Its colour, as an SGR parameter.
    pub(super) sgr: String,
    /// Its size; what is below zero has no length.
    pub(super) size: f64,
}

impl Bar {
    fn size(&self) -> f64 {
        self.segments.iter().map(|s| s.size.max(0.0)).sum()
    }
}

/// A line per bar: name, bar, value.
pub(super) fn lines(bars: &[Bar], width: usize, options: &RenderOptions) -> Vec<String> {
    let value_width = bars.iter().map(|bar| bar.value.width()).max().unwrap_or(0);
    let name_width = bars
        .iter()
        .map(|bar| bar.name.width())
        .max()
        .unwrap_or(0)
        .min((width / 2).saturating_sub(value_width.min(width / 4)));
    let room = width.saturating_sub(name_width + value_width + 3).max(1);
    let largest = bars.iter().map(Bar::size).fold(0.0, f64::max);
    bars.iter()
        .map(|bar| {
            format!(
                "{} {}  {}",
                layout::cell(&bar.name, name_width, false),
                layout::cell(&bar.value, value_width, true),
                bar.drawn(largest, room, options)
            )
        })
        .map(|line| line.trim_end().to_owned())
        .collect()
}

impl Bar {
    fn drawn(&self, largest: f64, room: usize, options: &RenderOptions) -> String {
        let mut text = String::new();
        let mut sum = 0.0;
        let mut drawn = 0;
        let cells = |size: f64| {
            if largest > 0.0 {
                (size / largest).clamp(0.0, 1.0) * room as f64
            } else {
                0.0
            }
        };
        for segment in &self.segments {
            sum += segment.size.max(0.0);
            let (on, off) = options.style(&segment.sgr);
            let shown = match segment.letter {
                // Ends are rounded from the bar's start, so that bars of equal size are equally
                // long however they are divided.
                Some(letter) => {
                    let end = cells(sum).round() as usize;
                    let shown = letter.to_string().repeat(end.saturating_sub(drawn));
                    drawn = drawn.max(end);
                    shown
                }
                None => {
                    let eighths = (cells(segment.size) * 8.0).round() as usize;
                    let part = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
                    "█".repeat(eighths / 8) + part
                }
            };
            if !shown.is_empty() {
                text.push_str(&format!("{on}{shown}{off}"));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, sizes: &[(Option<char>, f64)]) -> Bar {
        Bar {
            name: name.to_owned(),
            value: sizes.iter().map(|s| s.1).sum::<f64>().to_string(),
            segments: sizes
                .iter()
                .map(|&(letter, size)| Segment {
                    letter,
                    sgr: String::new(),
                    size,
                })
                .collect(),
        }
    }

    #[test]
    fn solid_and_stacked() {
        let bars = [
            bar("solid", &[(None, 10.0)]),
            bar("half", &[(None, 5.25)]),
            bar("stacked", &[(Some('A'), 2.0), (Some('B'), 3.0)]),
            bar("below", &[(None, -3.0)]),
        ];
        assert_eq!(
            lines(&bars, 24, &RenderOptions::default()),
            [
                "solid     10  ██████████",
                "half    5.25  █████▎",
                "stacked    5  AABBB",
                "below     -3"
            ]
        );
    }
}
