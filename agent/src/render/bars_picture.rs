//! Horizontal bars, plain or stacked, as a picture.

use plotters::prelude::DrawingBackend;

use super::canvas::{self, Anchor, Canvas, Colour, Dash, Drawing, FAINT, INK, Size};
use super::error::Error;
use super::picture_legend::{self, LegendEntry};
use super::scale::Scale;

const TEXT: f64 = 14.0;
const SMALL: f64 = 12.0;
const MARGIN: f64 = 20.0;
/// Height of a bar and the room below it.
const BAR: f64 = 24.0;
const HEAD: f64 = 54.0;
const FOOT: f64 = 46.0;

/// One bar.
pub(super) struct PictureBar {
    pub(super) name: String,
    pub(super) value: String,
    /// Colour and size of its parts; what is below zero has no length.
    pub(super) segments: Vec<(Colour, f64)>,
}

/// Bars and what their colours mean.
pub(super) struct BarsPicture {
    pub(super) title: String,
    pub(super) bars: Vec<PictureBar>,
    /// Empty: colours mean nothing.
    pub(super) legend: Vec<LegendEntry>,
}

impl PictureBar {
    fn size(&self) -> f64 {
        self.segments.iter().map(|(_, size)| size.max(0.0)).sum()
    }
}

impl Drawing for BarsPicture {
    fn size(&self) -> Size {
        let bars = HEAD + FOOT + BAR * self.bars.len() as f64;
        Size {
            width: Size::USUAL.width,
            height: (bars as u32).max(200),
        }
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<(), Error> {
        let Size { width, height } = self.size();
        let (width, height) = (f64::from(width), f64::from(height));
        let title = canvas::fit(&self.title, TEXT, width - 2.0 * MARGIN);
        canvas.text(&title, (MARGIN, MARGIN + 4.0), TEXT, Anchor::Start)?;
        let legend = if self.legend.is_empty() {
            0.0
        } else {
            picture_legend::width(&self.legend, width * 0.3) + MARGIN
        };
        let widest = |text: fn(&PictureBar) -> &str, size| {
            let widths = self
                .bars
                .iter()
                .map(|bar| canvas::text_width(text(bar), size));
            widths.fold(0.0, f64::max)
        };
        let names = widest(|bar| &bar.name, SMALL).min(width * 0.3);
        let left = MARGIN + names + 10.0;
        let right = width - MARGIN - legend - widest(|bar| &bar.value, SMALL) - 8.0;
        let largest = self.bars.iter().map(PictureBar::size).fold(0.0, f64::max);
        let scale = Scale::new(0.0, largest, 6);
        let bottom = HEAD + BAR * self.bars.len() as f64;
        let x = |value: f64| left + scale.position(value) * (right - left);
        for (tick, label) in scale.ticks.iter().zip(scale.labels()) {
            let colour = if *tick == 0.0 { INK } else { FAINT };
            let line = [(x(*tick), HEAD), (x(*tick), bottom)];
            canvas.path(&line, colour, 1, Dash::Solid)?;
            canvas.text(&label, (x(*tick), bottom + 16.0), SMALL, Anchor::Middle)?;
        }
        for (n, bar) in self.bars.iter().enumerate() {
            let y = HEAD + BAR * n as f64;
            let middle = y + BAR / 2.0;
            let name = canvas::fit(&bar.name, SMALL, names + 1.0);
            canvas.text(&name, (left - 8.0, middle), SMALL, Anchor::End)?;
            let mut sum = 0.0;
            for &(colour, size) in bar.segments.iter().filter(|(_, size)| *size > 0.0) {
                let (from, to) = (x(sum), x(sum + size));
                canvas.rectangle((from, y + 3.0), (to, y + BAR - 4.0), colour)?;
                sum += size;
            }
            let at = (x(sum) + 6.0, middle);
            canvas.text(&bar.value, at, SMALL, Anchor::Start)?;
        }
        let legend_left = width - legend;
        let room = (legend - MARGIN, height - MARGIN);
        picture_legend::draw(canvas, &self.legend, (legend_left, HEAD), room)
    }
}
