//! A chart as a picture: axes, grid, a line per series, the legend beside it.

use plotters::prelude::DrawingBackend;

use super::bands::Band;
use super::{Chart, NO_DATA, Series};
use crate::render::bars_picture::{BarsPicture, PictureBar};
use crate::render::canvas::{self, Anchor, Canvas, Dash, Drawing, FAINT, INK, Size};
use crate::render::error::Error;
use crate::render::palette;
use crate::render::picture_legend::{self, LegendEntry};
use crate::render::scale::{Scale, time_ticks};

const TEXT: f64 = 14.0;
const SMALL: f64 = 12.0;
const MARGIN: f64 = 20.0;
/// Points of a line are marked where there is room between them.
const MARKED_BINS: usize = 60;

/// A band is not narrower: a second of loss in a week is to be seen.
const LEAST_BAND: f64 = 2.0;

/// The part of the picture in which lines are drawn.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Drawing for Chart {
    fn size(&self) -> Size {
        if self.is_single() && !self.is_empty() {
            return self.bars().size();
        }
        Size::USUAL
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<(), Error> {
        if self.is_single() && !self.is_empty() {
            return self.bars().draw(canvas);
        }
        let Size { width, height } = Size::USUAL;
        let (width, height) = (f64::from(width), f64::from(height));
        let title = canvas::fit(&self.title(), TEXT, width - 2.0 * MARGIN);
        canvas.text(&title, (MARGIN, MARGIN + 4.0), TEXT, Anchor::Start)?;
        if self.is_empty() {
            let middle = (width / 2.0, height / 2.0);
            return canvas.text(NO_DATA, middle, TEXT, Anchor::Middle);
        }
        let entries: Vec<LegendEntry> = self.series.iter().enumerate().map(legend_entry).collect();
        let bands: Vec<LegendEntry> = self.band_kinds().map(band_entry).collect();
        let legend_width = picture_legend::width(&entries, width * 0.4)
            .max(picture_legend::width(&bands, width * 0.4));
        let (low, high) = self.range();
        let scale = Scale::new(low, high, 7);
        let labels = scale.labels();
        let widest = labels
            .iter()
            .map(|label| canvas::text_width(label, SMALL))
            .fold(0.0, f64::max);
        let frame = Frame {
            left: MARGIN + widest + 10.0,
            right: width - legend_width - 2.0 * MARGIN,
            top: MARGIN + 34.0,
            bottom: height - MARGIN - 26.0,
        };
        self.shade(canvas, &frame)?;
        self.value_axis(canvas, &frame, &scale, &labels)?;
        self.time_axis(canvas, &frame)?;
        for (n, series) in self.series.iter().enumerate().rev() {
            self.line(canvas, &frame, &scale, n, series)?;
        }
        // The bands stand below the series, however many of those there are.
        let below = frame.bottom - picture_legend::height(&bands);
        let (left, size) = (frame.right + MARGIN, legend_width);
        picture_legend::draw(canvas, &entries, (left, frame.top), (size, below))?;
        picture_legend::draw(canvas, &bands, (left, below), (size, frame.bottom))
    }
}

fn legend_entry((n, series): (usize, &Series)) -> LegendEntry {
    LegendEntry {
        name: series.name.clone(),
        value: series.total.text(),
        colour: palette::colour(n, series.other),
        dash: Some(dash(n, series)),
    }
}

fn band_entry(band: Band<'_>) -> LegendEntry {
    LegendEntry {
        name: band.name.to_owned(),
        value: band.value,
        colour: band.colour,
        dash: None,
    }
}

fn dash(n: usize, series: &Series) -> Dash {
    match palette::round(n) % 3 {
        _ if series.other => Dash::Solid,
        0 => Dash::Solid,
        1 => Dash::Dashed,
        _ => Dash::Dotted,
    }
}

impl Chart {
    /// The one bin as bars.
    fn bars(&self) -> BarsPicture {
        let bars = self
            .series
            .iter()
            .enumerate()
            .map(|(n, series)| PictureBar {
                name: series.name.clone(),
                value: series.total.text(),
                segments: vec![(
                    palette::colour(n, series.other),
                    series.single().unwrap_or(0.0),
                )],
            })
            .collect();
        BarsPicture {
            title: self.title(),
            bars,
            legend: Vec::new(),
        }
    }

    /// The bands, behind everything else.
    fn shade<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        frame: &Frame,
    ) -> Result<(), Error> {
        for band in self.band_kinds() {
            for (from, to) in band.times {
                let left = frame.x(self.share(*from)).min(frame.right - LEAST_BAND);
                let right = frame.x(self.share(*to)).max(left + LEAST_BAND);
                canvas.rectangle((left, frame.top), (right, frame.bottom), band.colour)?;
            }
        }
        Ok(())
    }

    fn value_axis<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        frame: &Frame,
        scale: &Scale,
        labels: &[String],
    ) -> Result<(), Error> {
        for (tick, label) in scale.ticks.iter().zip(labels) {
            let y = frame.y(scale.position(*tick));
            let colour = if *tick == 0.0 { INK } else { FAINT };
            canvas.path(&[(frame.left, y), (frame.right, y)], colour, 1, Dash::Solid)?;
            canvas.text(label, (frame.left - 8.0, y), SMALL, Anchor::End)?;
        }
        Ok(())
    }

    fn time_axis<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        frame: &Frame,
    ) -> Result<(), Error> {
        let (start, end) = self.span();
        let most = ((frame.right - frame.left) / 110.0).max(2.0) as usize;
        for tick in time_ticks(start, end, most) {
            let share = (tick.time_ns as f64 - start as f64) / (end as f64 - start as f64);
            let x = frame.x(share);
            let line = [(x, frame.top), (x, frame.bottom)];
            canvas.path(&line, FAINT, 1, Dash::Solid)?;
            let at = (x, frame.bottom + 16.0);
            canvas.text(&tick.label, at, SMALL, Anchor::Middle)?;
        }
        let left = [(frame.left, frame.top), (frame.left, frame.bottom)];
        canvas.path(&left, INK, 1, Dash::Solid)
    }

    fn line<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        frame: &Frame,
        scale: &Scale,
        n: usize,
        series: &Series,
    ) -> Result<(), Error> {
        let colour = palette::colour(n, series.other);
        for stretch in self.stretches(series) {
            let points: Vec<(f64, f64)> = stretch
                .iter()
                .map(|&(time, value)| {
                    (frame.x(self.position(time)), frame.y(scale.position(value)))
                })
                .collect();
            if points.len() > 1 {
                canvas.path(&points, colour, 2, dash(n, series))?;
            }
            if points.len() == 1 || self.shape.bins <= MARKED_BINS {
                for &point in &points {
                    canvas.circle(point, 3, colour)?;
                }
            }
        }
        Ok(())
    }
}

impl Frame {
    fn x(&self, share: f64) -> f64 {
        self.left + share * (self.right - self.left)
    }

    fn y(&self, share: f64) -> f64 {
        self.bottom - share * (self.bottom - self.top)
    }
}
