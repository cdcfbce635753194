//! Stacked bars, on a terminal and as pictures.

use std::collections::HashMap;
use std::io::Write;

use datafusion::arrow::array::RecordBatch;

use super::bars::{self, Bar, Segment};
use super::bars_picture::{BarsPicture, PictureBar};
use super::error::Error;
use super::picture_legend::LegendEntry;
use super::value::{self, Values};
use super::{Format, RenderOptions, Sink, canvas, escape, layout, legend, page, palette};
use crate::text;
use crate::types::{EvType, OutputColumn};

/// Bars that are drawn, the largest.
const SHOWN_BARS: usize = 150;
/// Segments that are told apart, the largest; the rest is one segment.
const SHOWN_SEGMENTS: usize = 24;
/// Lines of the terminal's legend.
const LEGEND_LINES: usize = 12;
/// Stands for a value that is absent.
const ABSENT: &str = "(none)";
const OTHER: &str = "other";
/// Said in place of a drawing.
const NO_DATA: &str = "no data: no entry reached the stackgraph";

/// Gathers sizes by bar and segment, then draws.
pub(super) struct Stackgraph<W> {
    out: W,
    columns: Vec<OutputColumn>,
    format: Format,
    options: RenderOptions,
    sizes: Sizes,
    notes: Vec<String>,
}

/// Sizes by name; names are numbered in order of appearance.
#[derive(Default)]
struct Sizes {
    bars: Names,
    segments: Names,
    /// (bar, segment) to size.
    cells: HashMap<(usize, usize), f64>,
    below_zero: bool,
}

#[derive(Default)]
struct Names {
    list: Vec<String>,
    totals: Vec<f64>,
    index: HashMap<String, usize>,
}

impl Names {
    fn add(&mut self, name: String, size: f64) -> usize {
        let at = *self.index.entry(name).or_insert_with_key(|name| {
            self.list.push(name.clone());
            self.totals.push(0.0);
            self.list.len() - 1
        });
        if let Some(total) = self.totals.get_mut(at) {
            *total += size;
        }
        at
    }

    /// The largest, at most `most`; equal ones in order of appearance.
    fn largest(&self, most: usize) -> Vec<usize> {
        let total = |at: &usize| self.totals.get(*at).copied().unwrap_or(0.0);
        let mut order: Vec<usize> = (0..self.list.len()).collect();
        order.sort_by(|a, b| total(b).total_cmp(&total(a)));
        order.truncate(most);
        order
    }

    fn name(&self, at: usize) -> String {
        self.list.get(at).cloned().unwrap_or_default()
    }

    fn total(&self, at: usize) -> f64 {
        self.totals.get(at).copied().unwrap_or(0.0)
    }
}

/// What is drawn: segments from the largest to the rest, bars with a size for each segment.
struct Stacks {
    title: String,
    unit: EvType,
    /// (name, total, is the rest).
    segments: Vec<(String, f64, bool)>,
    /// (name, total, sizes).
    bars: Vec<(String, f64, Vec<f64>)>,
}

impl Sizes {
    fn add(&mut self, bar: String, segment: String, size: f64) {
        self.below_zero |= size < 0.0;
        let key = (self.bars.add(bar, size), self.segments.add(segment, size));
        *self.cells.entry(key).or_insert(0.0) += size;
    }

    fn stacks(&self, columns: &[OutputColumn]) -> Stacks {
        let most = if self.segments.list.len() > SHOWN_SEGMENTS {
            SHOWN_SEGMENTS - 1
        } else {
            SHOWN_SEGMENTS
        };
        let shown = self.segments.largest(most);
        let mut segments: Vec<(String, f64, bool)> = shown
            .iter()
            .map(|&at| (self.segments.name(at), self.segments.total(at), false))
            .collect();
        let rest = shown.len() < self.segments.list.len();
        if rest {
            let all: f64 = self.segments.totals.iter().sum();
            let named: f64 = segments.iter().map(|segment| segment.1).sum();
            segments.push((OTHER.to_owned(), all - named, true));
        }
        let place: HashMap<usize, usize> = shown.iter().enumerate().map(|(n, &s)| (s, n)).collect();
        let order = self.bars.largest(SHOWN_BARS);
        let rows: HashMap<usize, usize> = order.iter().enumerate().map(|(n, &b)| (b, n)).collect();
        let mut bars: Vec<(String, f64, Vec<f64>)> = order
            .iter()
            .map(|&at| {
                let sizes = vec![0.0; segments.len()];
                (self.bars.name(at), self.bars.total(at), sizes)
            })
            .collect();
        for (&(bar, segment), size) in &self.cells {
            let at = place.get(&segment).copied().unwrap_or(shown.len());
            let sum = rows
                .get(&bar)
                .and_then(|&row| bars.get_mut(row))
                .and_then(|bar| bar.2.get_mut(at));
            if let Some(sum) = sum {
                *sum += size;
            }
        }
        let name = |n: usize| columns.get(n).map_or("", |column| column.name.as_str());
        Stacks {
            title: format!("{} by {}, in {}", name(2), name(0), name(1)),
            unit: columns.get(2).map_or(EvType::Float64, |column| column.ty),
            segments,
            bars,
        }
    }
}

impl Stacks {
    fn number(&self, value: f64) -> String {
        match self.unit {
            EvType::Duration => text::duration((value * 1e9) as i64),
            ty if ty.is_integer() => text::float(value.round()),
            _ => text::float((value * 1e6).round() / 1e6),
        }
    }

    fn write_terminal(&self, options: &RenderOptions, out: &mut impl Write) -> Result<(), Error> {
        let width = if options.width == 0 {
            80
        } else {
            options.width
        };
        let bars: Vec<Bar> = self
            .bars
            .iter()
            .map(|(name, total, sizes)| Bar {
                name: escape::terminal(name),
                value: self.number(*total),
                segments: self
                    .segments
                    .iter()
                    .zip(sizes)
                    .enumerate()
                    .map(|(n, ((_, _, rest), &size))| Segment {
                        letter: Some(palette::letter(n, *rest)),
                        sgr: palette::sgr(n, *rest, true),
                        size,
                    })
                    .collect(),
            })
            .collect();
        writeln!(
            out,
            "{}",
            layout::cut(&escape::terminal(&self.title), width)
        )?;
        for line in bars::lines(&bars, width, options) {
            writeln!(out, "{line}")?;
        }
        let segments = self.segments.iter().enumerate();
        let entries: Vec<legend::Entry> = segments
            .map(|(n, (name, total, rest))| legend::Entry {
                letter: palette::letter(n, *rest),
                sgr: palette::sgr(n, *rest, true),
                name: escape::terminal(name),
                value: self.number(*total),
            })
            .collect();
        for line in legend::lines(&entries, width, LEGEND_LINES, options) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    fn picture(&self) -> BarsPicture {
        let colour = |n: usize| {
            let rest = self.segments.get(n).is_some_and(|segment| segment.2);
            palette::colour(n, rest)
        };
        let bars = self
            .bars
            .iter()
            .map(|(name, total, sizes)| PictureBar {
                name: name.clone(),
                value: self.number(*total),
                segments: sizes
                    .iter()
                    .enumerate()
                    .map(|(n, &size)| (colour(n), size))
                    .collect(),
            })
            .collect();
        let segments = self.segments.iter().enumerate();
        let legend = segments
            .map(|(n, (name, total, _))| LegendEntry {
                name: name.clone(),
                value: self.number(*total),
                colour: colour(n),
                dash: None,
            })
            .collect();
        BarsPicture {
            title: self.title.clone(),
            bars,
            legend,
        }
    }

    fn write_page(&self, out: &mut impl Write) -> Result<(), Error> {
        let rows: Vec<page::PageRow> = self
            .segments
            .iter()
            .enumerate()
            .map(|(n, (name, total, rest))| page::PageRow {
                colour: palette::colour(n, *rest),
                name: name.clone(),
                value: self.number(*total),
            })
            .collect();
        page::write(
            &self.title,
            ["segment", "total"],
            &self.picture(),
            &rows,
            out,
        )
    }
}

impl<W: Write> Stackgraph<W> {
    pub(super) fn new(
        out: W,
        columns: Vec<OutputColumn>,
        format: Format,
        options: RenderOptions,
    ) -> Result<Self, Error> {
        if columns.len() != 3 {
            return Err(Error::Columns {
                answer: "a stackgraph",
                found: columns.len(),
                needed: "bar, segment and magnitude",
            });
        }
        Ok(Self {
            out,
            columns,
            format,
            options,
            sizes: Sizes::default(),
            notes: Vec::new(),
        })
    }
}

impl<W: Write> Sink for Stackgraph<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let values = value::columns(batch, &self.columns, "a stackgraph")?;
        let [bar, segment, magnitude] = values.as_slice() else {
            return Ok(());
        };
        let name = |values: &Values, row: usize| {
            if values.is_null(row) {
                ABSENT.to_owned()
            } else {
                values.text(row)
            }
        };
        for row in 0..batch.num_rows() {
            let size = magnitude.number(row).unwrap_or(0.0);
            self.sizes.add(name(bar, row), name(segment, row), size);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        let stacks = self.sizes.stacks(&self.columns);
        let hidden = self.sizes.bars.list.len() - stacks.bars.len();
        if hidden > 0 {
            self.notes.push(format!(
                "only the {SHOWN_BARS} largest of {} bars are drawn; tsv has them all",
                self.sizes.bars.list.len()
            ));
        }
        if self.sizes.below_zero {
            self.notes
                .push("sizes below zero are drawn without length".to_owned());
        }
        let out = &mut self.out;
        match self.format {
            Format::Svg => canvas::write_svg(&stacks.picture(), out)?,
            Format::Png => canvas::write_png(&stacks.picture(), out)?,
            Format::Html => stacks.write_page(out)?,
            _ if stacks.bars.is_empty() => writeln!(out, "{NO_DATA}")?,
            _ => stacks.write_terminal(&self.options, out)?,
        }
        Ok(self.out.flush()?)
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray, UInt16Array};

    use super::*;
    use crate::render::testing::{Answer, render};
    use crate::shape::Shape;

    const SAMPLE: fn() -> Answer = || {
        let bars: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "a", "<b>&\u{1b}"]));
        let ports: ArrayRef =
            Arc::new(UInt16Array::from(vec![Some(80), Some(443), None, Some(80)]));
        let sums: ArrayRef = Arc::new(Int64Array::from(vec![10, 20, 20, 5]));
        Answer::new(
            Shape::Stackgraph,
            vec![
                ("host", EvType::String, bars),
                ("Port", EvType::UInt16, ports),
                ("sum", EvType::Int64, sums),
            ],
        )
    };

    #[test]
    fn terminal() {
        let options = RenderOptions {
            width: 40,
            ..RenderOptions::default()
        };
        assert_eq!(
            SAMPLE().text(Format::Table, options),
            "sum by host, in Port\n\
             a     30  BBBBBBBBBBBBBBBBBBBBCCCCCCCCCC\n\
             b     20  AAAAAAAAAAAAAAAAAAAA\n\
             <b>&.  5  CCCCC\n\
             A 443     20   C 80      15\n\
             B (none)  20\n"
        );
    }

    #[test]
    fn rows_for_programs() {
        assert_eq!(
            render(SAMPLE, Format::Tsv),
            "host\tPort\tsum\na\t80\t10\nb\t443\t20\na\t\t20\n<b>&\\x1b\t80\t5\n"
        );
    }

    #[test]
    fn pictures_escape_names() {
        for format in [Format::Svg, Format::Html] {
            let text = render(SAMPLE, format);
            assert!(text.contains("&lt;b&gt;&amp;."), "{format}");
            assert!(!text.contains("<b>"), "{format}");
            assert!(!text.contains('\u{1b}'), "{format}");
        }
    }

    #[test]
    fn the_rest_of_many_segments_is_one() {
        let count = 40;
        let names: ArrayRef = Arc::new(StringArray::from_iter_values(
            (0..count).map(|n| format!("s{n}")),
        ));
        let bars: ArrayRef = Arc::new(StringArray::from(vec!["one"; count]));
        let sums: ArrayRef = Arc::new(Int64Array::from(vec![1; count]));
        let answer = Answer::new(
            Shape::Stackgraph,
            vec![
                ("bar", EvType::String, bars),
                ("segment", EvType::String, names),
                ("sum", EvType::Int64, sums),
            ],
        );
        let text = answer.text(Format::Table, RenderOptions::default());
        assert!(text.contains("+ other  17"), "{text}");
    }
}
