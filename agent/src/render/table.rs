//! Rows for a terminal: aligned columns that fit its width, streamed after a first look.

use std::io::Write;

use datafusion::arrow::array::RecordBatch;
use unicode_width::UnicodeWidthStr as _;

use super::error::Error;
use super::{RenderOptions, Sink, escape, layout, value};
use crate::types::{EvType, OutputColumn};

/// Rows that are looked at before the widths are settled.
const SAMPLE_ROWS: usize = 1000;
/// Text columns are not made narrower than this while others can give.
const COMFORTABLE: usize = 16;
/// What a number column is given where more rows may follow than were looked at.
const NUMBER_RESERVE: usize = 10;
/// Between columns.
const GAP: &str = "  ";

/// Buffers the first rows, then writes line by line with the widths that suited them.
pub(super) struct Table<W> {
    out: W,
    columns: Vec<OutputColumn>,
    options: RenderOptions,
    pending: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
}

impl<W: Write> Table<W> {
    pub(super) fn new(out: W, columns: Vec<OutputColumn>, options: RenderOptions) -> Self {
        Self {
            out,
            columns,
            options,
            pending: Vec::new(),
            widths: None,
        }
    }

    /// Settles the widths and writes the header and the rows seen so far.
    fn settle(&mut self, more: bool) -> Result<(), Error> {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .map(|column| escape::terminal(&column.name).width().max(1))
            .collect();
        for row in &self.pending {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        if more {
            for (width, column) in widths.iter_mut().zip(&self.columns) {
                if column.ty.is_number() {
                    *width = (*width).max(NUMBER_RESERVE);
                }
            }
        }
        fit(&mut widths, &self.columns, self.options.width);
        let header: Vec<String> = self
            .columns
            .iter()
            .map(|column| escape::terminal(&column.name))
            .collect();
        if self.options.header {
            let (bold, plain) = self.options.style("1");
            let line = self.line(&header, &widths);
            writeln!(self.out, "{bold}{line}{plain}")?;
            let rule: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
            let (dim, plain) = self.options.style("2");
            writeln!(self.out, "{dim}{}{plain}", rule.join(GAP))?;
        }
        for row in std::mem::take(&mut self.pending) {
            let line = self.line(&row, &widths);
            writeln!(self.out, "{line}")?;
        }
        self.widths = Some(widths);
        Ok(())
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (index, ((cell, &width), column)) in
            cells.iter().zip(widths).zip(&self.columns).enumerate()
        {
            if index > 0 {
                line.push_str(GAP);
            }
            line.push_str(&layout::cell(cell, width, is_right(column.ty)));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Numbers and durations stand right, so that their sizes can be compared.
fn is_right(ty: EvType) -> bool {
    ty.is_number() || ty == EvType::Duration
}

/// Makes columns narrower until the row fits: the widest text column first, numbers and addresses
/// only when nothing else is left.
fn fit(widths: &mut [usize], columns: &[OutputColumn], room: usize) {
    if room == 0 {
        return;
    }
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    let is_soft = |ty| matches!(ty, EvType::String | EvType::Bytes);
    for (floor, soft_only) in [
        (COMFORTABLE, true),
        (COMFORTABLE, false),
        (4, true),
        (4, false),
    ] {
        let limit = room.saturating_sub(gaps);
        loop {
            let excess = widths.iter().sum::<usize>().saturating_sub(limit);
            if excess == 0 {
                return;
            }
            let widest = widths
                .iter_mut()
                .zip(columns)
                .filter(|(_, column)| !soft_only || is_soft(column.ty))
                .map(|(width, _)| width)
                .max();
            match widest {
                Some(width) if *width > floor => *width -= 1,
                _ => break,
            }
        }
    }
}

impl<W: Write> Sink for Table<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let values = value::columns(batch, &self.columns, "rows")?;
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = values
                .iter()
                .map(|column| escape::terminal(&column.text(row)))
                .collect();
            if let Some(widths) = &self.widths {
                let line = self.line(&cells, widths);
                writeln!(self.out, "{line}")?;
                continue;
            }
            if self.pending.len() == SAMPLE_ROWS {
                self.settle(true)?;
            }
            match &self.widths {
                Some(widths) => {
                    let line = self.line(&cells, widths);
                    writeln!(self.out, "{line}")?;
                }
                None => self.pending.push(cells),
            }
        }
        if self.widths.is_some() {
            self.out.flush()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        if self.widths.is_none() {
            self.settle(false)?;
        }
        Ok(self.out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};

    use crate::render::testing::Answer;
    use crate::render::{Format, RenderOptions};
    use crate::shape::Shape;
    use crate::types::EvType;

    fn answer(names: Vec<&str>, counts: Vec<i64>) -> Answer {
        let names: ArrayRef = Arc::new(StringArray::from(names));
        let counts: ArrayRef = Arc::new(Int64Array::from(counts));
        Answer::new(
            Shape::Rows,
            vec![
                ("name", EvType::String, names),
                ("count", EvType::Int64, counts),
            ],
        )
    }

    #[test]
    fn columns_are_aligned_and_controls_are_not_sent() {
        let shown = answer(vec!["a", "\u{1b}[31m日本"], vec![5, 12345]);
        assert_eq!(
            shown.text(Format::Table, RenderOptions::default()),
            "name       count\n\
             ─────────  ─────\n\
             a              5\n\
             .[31m日本  12345\n"
        );
    }

    #[test]
    fn long_text_gives_way_so_that_lines_fit() {
        let shown = answer(vec![&"x".repeat(200), "short"], vec![1, 2]);
        let options = RenderOptions {
            width: 40,
            ..RenderOptions::default()
        };
        for line in shown.text(Format::Table, options).lines() {
            assert_eq!(line.chars().count(), 40, "{line}");
        }
    }

    #[test]
    fn rows_after_the_sample_keep_the_widths() {
        let mut shown = answer(vec!["a"; 1000], vec![1; 1000]);
        let late = answer(vec!["much longer"], vec![123_456_789_012_345]);
        shown.batches.extend(late.batches);
        let text = shown.text(Format::Table, RenderOptions::default());
        let last = text.lines().last().unwrap();
        assert_eq!(last, "muc…  123456789…");
        assert_eq!(text.lines().count(), 1003);
    }

    #[test]
    fn colour_is_only_on_the_header() {
        let options = RenderOptions {
            colour: true,
            ..RenderOptions::default()
        };
        let text = answer(vec!["a"], vec![1]).text(Format::Table, options);
        assert_eq!(text.matches('\u{1b}').count(), 4);
    }
}
