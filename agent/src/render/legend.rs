//! Legends below a drawing: letter, name and value, in as many columns as fit.

use unicode_width::UnicodeWidthStr as _;

use super::{RenderOptions, layout};

/// Columns of the legend are not made narrower than this.
const LEAST_WIDTH: usize = 18;
/// Between columns.
const GAP: usize = 3;

/// One thing that is drawn.
pub(super) struct Entry {
    /// Its letter in the drawing.
    pub(super) letter: char,
    /// Its colour, as an SGR parameter.
    pub(super) sgr: String,
    /// Its name, safe on a terminal.
    pub(super) name: String,
    /// Its size.
    pub(super) value: String,
}

/// The legend in at most `most` lines of `width`; entries run down, then to the right.
pub(super) fn lines(
    entries: &[Entry],
    width: usize,
    most: usize,
    options: &RenderOptions,
) -> Vec<String> {
    if entries.is_empty() || most == 0 {
        return Vec::new();
    }
    let value_width = entries.iter().map(|e| e.value.width()).max().unwrap_or(0);
    let name_width = entries.iter().map(|e| e.name.width()).max().unwrap_or(0);
    // Letter, space, name, two spaces, value.
    let wanted = (4 + name_width + value_width).min(width);
    let least = wanted.min(LEAST_WIDTH.max(value_width + 10));
    let columns_at = |entry: usize| ((width + GAP) / (entry + GAP)).max(1);
    let mut columns = columns_at(wanted);
    while entries.len().div_ceil(columns) > most && columns < columns_at(least) {
        columns += 1;
    }
    let entry_width = wanted.min((width + GAP) / columns - GAP);
    let needed = entries.len().div_ceil(columns);
    let shown_lines = if needed > most { most - 1 } else { needed };
    let shown = entries.len().min(shown_lines * columns);
    let mut lines: Vec<String> = (0..shown_lines)
        .map(|line| {
            let mut text = String::new();
            let mut used = 0;
            for column in 0..columns {
                let at = column * shown_lines + line;
                if let Some(entry) = entries.get(at).filter(|_| at < shown) {
                    text.push_str(&" ".repeat(column * (entry_width + GAP) - used));
                    text.push_str(&entry.text(entry_width, value_width, options));
                    used = column * (entry_width + GAP) + entry_width;
                }
            }
            text
        })
        .collect();
    if shown < entries.len() {
        lines.push(format!("… and {} more", entries.len() - shown));
    }
    lines
}

impl Entry {
    fn text(&self, width: usize, value_width: usize, options: &RenderOptions) -> String {
        let (on, off) = options.style(&self.sgr);
        let value_width = value_width.min(width.saturating_sub(5));
        let name_width = width.saturating_sub(4 + value_width);
        format!(
            "{on}{}{off} {}  {}",
            self.letter,
            layout::cell(&self.name, name_width, false),
            layout::cell(&self.value, value_width, true)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: usize) -> Vec<Entry> {
        (0..count)
            .map(|n| Entry {
                letter: 'A',
                sgr: String::new(),
                name: format!("host number {n}"),
                value: (n * 1000).to_string(),
            })
            .collect()
    }

    #[test]
    fn entries_fit_the_room() {
        let options = RenderOptions::default();
        for (count, width, most) in [
            (1, 80, 5),
            (24, 80, 13),
            (24, 80, 4),
            (24, 200, 9),
            (60, 40, 3),
        ] {
            let lines = lines(&entries(count), width, most, &options);
            assert!(lines.len() <= most, "{count} {width} {most}");
            assert!(lines.iter().all(|line| line.width() <= width), "{lines:#?}");
        }
    }

    #[test]
    fn entries_run_down_and_what_is_left_is_counted() {
        let options = RenderOptions::default();
        assert_eq!(
            lines(&entries(3), 60, 2, &options),
            [
                "A host number 0     0   A host number 2  2000",
                "A host number 1  1000"
            ]
        );
        assert_eq!(
            lines(&entries(5), 25, 3, &options),
            [
                "A host number 0     0",
                "A host number 1  1000",
                "… and 3 more"
            ]
        );
    }
}
