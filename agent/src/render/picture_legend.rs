//! The legend of a picture: a sample, the name and the value of each thing drawn.

use plotters::prelude::DrawingBackend;

use super::canvas::{self, Anchor, Canvas, Colour, Dash};
use super::error::Error;

const TEXT: f64 = 13.0;
const LINE: f64 = 21.0;
/// Width of the sample and the room after it.
const SAMPLE: f64 = 34.0;
const GAP: f64 = 14.0;

/// One thing that is drawn.
pub(super) struct LegendEntry {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) colour: Colour,
    /// How its line is drawn; `None`: it is an area.
    pub(super) dash: Option<Dash>,
}

/// The width in pixels that the entries want, up to `most`.
pub(super) fn width(entries: &[LegendEntry], most: f64) -> f64 {
    let widest = |text: fn(&LegendEntry) -> &str| {
        entries
            .iter()
            .map(|entry| canvas::text_width(text(entry), TEXT))
            .fold(0.0, f64::max)
    };
    (SAMPLE + widest(|e| &e.name) + GAP + widest(|e| &e.value)).min(most)
}

/// The height in pixels of the whole legend.
pub(super) fn height(entries: &[LegendEntry]) -> f64 {
    entries.len() as f64 * LINE
}

/// Draws the legend from its top left corner, so wide, and not below `bottom`.
pub(super) fn draw<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    entries: &[LegendEntry],
    (left, top): (f64, f64),
    (width, bottom): (f64, f64),
) -> Result<(), Error> {
    let room = ((bottom - top) / LINE).max(1.0) as usize;
    let shown = if entries.len() > room {
        room - 1
    } else {
        entries.len()
    };
    let values = entries
        .iter()
        .map(|entry| canvas::text_width(&entry.value, TEXT))
        .fold(0.0, f64::max);
    let mut y = top + LINE / 2.0;
    for entry in entries.iter().take(shown) {
        match entry.dash {
            Some(dash) => {
                let line = [(left, y), (left + SAMPLE - 8.0, y)];
                canvas.path(&line, entry.colour, 3, dash)?;
            }
            None => {
                canvas.rectangle((left + 8.0, y - 6.0), (left + 20.0, y + 6.0), entry.colour)?;
            }
        }
        let name = canvas::fit(&entry.name, TEXT, width - SAMPLE - GAP - values);
        canvas.text(&name, (left + SAMPLE, y), TEXT, Anchor::Start)?;
        canvas.text(&entry.value, (left + width, y), TEXT, Anchor::End)?;
        y += LINE;
    }
    if shown < entries.len() {
        let more = format!("… and {} more", entries.len() - shown);
        canvas.text(&more, (left + SAMPLE, y), TEXT, Anchor::Start)?;
    }
    Ok(())
}
