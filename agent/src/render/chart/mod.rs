//! Charts: batches to series, and series to a drawing.

mod bands;
mod picture;
mod rows;
mod terminal;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::Write;

use datafusion::arrow::array::RecordBatch;

use super::error::Error;
use super::value::{self, Values};
use super::{Format, RenderOptions, Sink, canvas, escape, page, palette, scale};
use crate::missed::{Bands, Missed};
use crate::shape::ChartShape;
use crate::text;
use crate::types::{EvType, OutputColumn};

pub(super) use rows::ChartRows;

/// Columns before the keys: time, category, other.
const BEFORE_KEYS: usize = 3;
/// What the series of all that is not shown by itself is called.
const OTHER: &str = "other";
/// Stands for a key that is absent.
const ABSENT: &str = "(none)";

/// One line of a chart.
#[derive(Clone, Debug)]
struct Series {
    name: String,
    other: bool,
    /// (start of bin in nanoseconds, value), in order of time.
    points: Vec<(i64, f64)>,
    total: Total,
}

/// Sum over the bins, exact for whole numbers.
#[derive(Clone, Copy, Debug)]
enum Total {
    Whole(i128),
    Real(f64),
    /// Nanoseconds.
    Duration(i128),
}

/// What is drawn.
struct Chart {
    shape: ChartShape,
    series: Vec<Series>,
    /// When packets are missing.
    bands: Bands,
}

/// Gathers the series, then draws them.
pub(super) struct ChartSink<W> {
    out: W,
    columns: Vec<OutputColumn>,
    format: Format,
    options: RenderOptions,
    chart: Chart,
    index: HashMap<String, usize>,
}

impl<W: Write> ChartSink<W> {
    pub(super) fn new(
        out: W,
        shape: ChartShape,
        columns: Vec<OutputColumn>,
        format: Format,
        options: RenderOptions,
    ) -> Result<Self, Error> {
        check(&shape, &columns)?;
        let series = Vec::new();
        Ok(Self {
            out,
            columns,
            format,
            options,
            chart: Chart {
                shape,
                series,
                bands: Bands::default(),
            },
            index: HashMap::new(),
        })
    }
}

fn check(shape: &ChartShape, columns: &[OutputColumn]) -> Result<(), Error> {
    if columns.len() == BEFORE_KEYS + shape.keys + 1 {
        return Ok(());
    }
    Err(Error::Columns {
        answer: "a chart",
        found: columns.len(),
        needed: "time, category, other, its keys and a value",
    })
}

impl<W: Write> Sink for ChartSink<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let values = value::columns(batch, &self.columns, "a chart")?;
        let [time, category, other, keys @ .., value] = values.as_slice() else {
            return Ok(());
        };
        let several = self.chart.shape.categories.len() > 1;
        for row in 0..batch.num_rows() {
            let other = other.is_true(row);
            let name = series_name(several, category, other, keys, row);
            let at = *self.index.entry(name).or_insert_with_key(|name| {
                self.chart.series.push(Series {
                    name: name.clone(),
                    other,
                    points: Vec::new(),
                    total: Total::zero(value.ty()),
                });
                self.chart.series.len() - 1
            });
            if let (Some(series), Some(time)) = (self.chart.series.get_mut(at), time.integer(row)) {
                if let Some(number) = value.number(row) {
                    series.points.push((time, number));
                }
                series.total.add(value, row);
            }
        }
        Ok(())
    }

    fn missed(&mut self, missed: &Missed) {
        let (start, end) = self.chart.span();
        self.chart.bands = missed.bands(start, end);
    }

    fn finish(&mut self) -> Result<(), Error> {
        let chart = &mut self.chart;
        // What is not shown by itself comes last, whatever its size.
        chart.series.sort_by_key(|series| series.other);
        for series in &mut chart.series {
            series.points.sort_by_key(|&(time, _)| time);
        }
        match self.format {
            Format::Svg => canvas::write_svg(chart, &mut self.out)?,
            Format::Png => canvas::write_png(chart, &mut self.out)?,
            Format::Html => page::write(
                &chart.title(),
                ["series", "total"],
                chart,
                &chart.page_rows(),
                &mut self.out,
            )?,
            _ => terminal::write(chart, &self.options, &mut self.out)?,
        }
        Ok(self.out.flush()?)
    }
}

/// The key values joined; the category where it tells series apart.
fn series_name(
    several: bool,
    category: &Values,
    other: bool,
    keys: &[Values],
    row: usize,
) -> String {
    let mut parts = Vec::new();
    if several || (keys.is_empty() && !other) {
        parts.push(category.text(row));
    }
    if other {
        parts.push(OTHER.to_owned());
    } else {
        // Categories may have keys of their own: what is null then is mostly another one's.
        parts.extend(keys.iter().filter_map(|key| match key.is_null(row) {
            false => Some(key.text(row)),
            true => (!several).then(|| ABSENT.to_owned()),
        }));
    }
    parts.join(" ")
}

impl Total {
    fn zero(ty: EvType) -> Self {
        match ty {
            EvType::Duration => Self::Duration(0),
            ty if ty.is_integer() => Self::Whole(0),
            _ => Self::Real(0.0),
        }
    }

    fn add(&mut self, value: &Values, row: usize) {
        match self {
            Self::Whole(sum) | Self::Duration(sum) => {
                *sum = sum.saturating_add(i128::from(value.integer(row).unwrap_or(0)));
            }
            Self::Real(sum) => *sum += value.number(row).unwrap_or(0.0),
        }
    }

    fn text(self) -> String {
        match self {
            Self::Whole(sum) => sum.to_string(),
            Self::Duration(sum) => {
                let bounded = sum.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
                text::duration(i64::try_from(bounded).unwrap_or_default())
            }
            // Sums of fractions end in digits that mean nothing.
            Self::Real(sum) if sum.abs() >= 1e15 => text::float(sum),
            Self::Real(sum) => text::float((sum * 1e6).round() / 1e6),
        }
    }
}

impl Chart {
    /// First instant and the end of the last bin, in nanoseconds.
    fn span(&self) -> (i64, i64) {
        let bin = self.shape.bin_ns.max(1);
        let bins = i64::try_from(self.shape.bins.max(1)).unwrap_or(i64::MAX);
        let start = self.shape.start_ns;
        let end = start.saturating_add(bin.saturating_mul(bins));
        (start, end.max(start.saturating_add(1)))
    }

    /// Smallest and largest value; infinite where there is none.
    fn range(&self) -> (f64, f64) {
        let values = self
            .series
            .iter()
            .flat_map(|series| series.points.iter().map(|&(_, value)| value));
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        })
    }

    fn is_empty(&self) -> bool {
        self.series.iter().all(|series| series.points.is_empty())
    }

    /// Whether there is but one bin: then bars say more than lines.
    fn is_single(&self) -> bool {
        self.shape.bins <= 1
    }

    /// Where the middle of a bin lies on the time axis, from 0 to 1.
    fn position(&self, time: i64) -> f64 {
        let (start, end) = self.span();
        let middle = time as f64 - start as f64 + self.shape.bin_ns as f64 / 2.0;
        (middle / (end as f64 - start as f64)).clamp(0.0, 1.0)
    }

    /// Stretches of a series without a gap in them.
    fn stretches<'a>(&self, series: &'a Series) -> impl Iterator<Item = &'a [(i64, f64)]> {
        let bin = self.shape.bin_ns.max(1);
        series
            .points
            .chunk_by(move |a, b| b.0.saturating_sub(a.0) <= bin)
    }

    fn page_rows(&self) -> Vec<page::PageRow> {
        let series = self.series.iter().enumerate();
        let series = series.map(|(n, series)| page::PageRow {
            colour: palette::colour(n, series.other),
            name: series.name.clone(),
            value: series.total.text(),
        });
        let bands = self.band_kinds().map(|band| page::PageRow {
            colour: band.colour,
            name: band.name.to_owned(),
            value: band.value,
        });
        series.chain(bands).collect()
    }

    /// What the chart shows, in a line.
    fn title(&self) -> String {
        let (start, end) = self.span();
        format!(
            "{}, {}, {} a bin",
            self.shape.categories.join(", "),
            scale::span_text(start, end),
            text::duration(self.shape.bin_ns)
        )
    }
}

impl Series {
    /// The name, safe on a terminal.
    fn shown_name(&self) -> String {
        escape::terminal(&self.name)
    }

    /// The last value, for charts of one bin.
    fn single(&self) -> Option<f64> {
        self.points.last().map(|&(_, value)| value)
    }
}

/// Said in place of a drawing where there is nothing to draw.
const NO_DATA: &str = "no data: no entry reached the chart";
