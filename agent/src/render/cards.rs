//! Numbercards and gauges on a terminal: a box per number.

use std::io::Write;

use datafusion::arrow::array::RecordBatch;
use unicode_width::UnicodeWidthStr as _;

use super::error::Error;
use super::{RenderOptions, Sink, escape, layout, value};
use crate::types::OutputColumn;

/// A box is at least so wide inside.
const LEAST_WIDTH: usize = 12;
/// Longer names and numbers are cut.
const MOST_WIDTH: usize = 40;
/// Between boxes.
const GAP: &str = " ";

/// Writes the boxes of each key tuple side by side, under a line with the keys.
pub(super) struct Cards<W> {
    out: W,
    columns: Vec<OutputColumn>,
    keys: usize,
    options: RenderOptions,
}

impl<W: Write> Cards<W> {
    pub(super) fn new(
        out: W,
        columns: Vec<OutputColumn>,
        keys: usize,
        options: RenderOptions,
    ) -> Result<Self, Error> {
        if columns.len() <= keys {
            return Err(Error::Columns {
                answer: "a numbercard",
                found: columns.len(),
                needed: "its keys and a value",
            });
        }
        Ok(Self {
            out,
            columns,
            keys,
            options,
        })
    }

    fn write_boxes(&mut self, cards: &[(String, String)]) -> Result<(), Error> {
        let width = cards
            .iter()
            .map(|(label, value)| label.width().max(value.width()))
            .max()
            .unwrap_or(0)
            .clamp(LEAST_WIDTH, MOST_WIDTH);
        let room = match self.options.width {
            0 => usize::MAX,
            room => room,
        };
        // Two borders and two spaces of padding.
        let across = ((room.saturating_add(GAP.len())) / (width + 4 + GAP.len())).max(1);
        let (bold, plain) = self.options.style("1");
        for cards in cards.chunks(across) {
            let rule = "─".repeat(width + 2);
            let row = |cell: &dyn Fn(&(String, String)) -> String| {
                cards.iter().map(cell).collect::<Vec<_>>().join(GAP)
            };
            let label =
                |card: &(String, String)| format!("│ {} │", layout::cell(&card.0, width, false));
            let value = |card: &(String, String)| {
                format!("│ {bold}{}{plain} │", layout::cell(&card.1, width, true))
            };
            writeln!(self.out, "{}", row(&|_| format!("╭{rule}╮")))?;
            writeln!(self.out, "{}", row(&label))?;
            writeln!(self.out, "{}", row(&value))?;
            writeln!(self.out, "{}", row(&|_| format!("╰{rule}╯")))?;
        }
        Ok(())
    }
}

impl<W: Write> Sink for Cards<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let values = value::columns(batch, &self.columns, "a numbercard")?;
        let (keys, numbers) = values.split_at(self.keys.min(values.len()));
        let labels: Vec<String> = self
            .columns
            .iter()
            .skip(self.keys)
            .map(|column| escape::terminal(&column.name))
            .collect();
        for row in 0..batch.num_rows() {
            if !keys.is_empty() {
                let keys: Vec<String> = keys
                    .iter()
                    .map(|key| escape::terminal(&key.text(row)))
                    .collect();
                writeln!(self.out, "{}", keys.join(" "))?;
            }
            let cards: Vec<(String, String)> = labels
                .iter()
                .zip(numbers)
                .map(|(label, number)| {
                    let shown = if number.is_null(row) {
                        "–".to_owned()
                    } else {
                        escape::terminal(&number.text(row))
                    };
                    (label.clone(), shown)
                })
                .collect();
            self.write_boxes(&cards)?;
        }
        Ok(self.out.flush()?)
    }

    fn finish(&mut self) -> Result<(), Error> {
        Ok(self.out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array};

    use crate::render::testing::{Answer, ips, render};
    use crate::render::{Format, RenderOptions};
    use crate::shape::Shape;
    use crate::types::EvType;

    const SAMPLE: fn() -> Answer = || {
        let count: ArrayRef = Arc::new(Int64Array::from(vec![12, 3]));
        let mean: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.5), None]));
        Answer::new(
            Shape::Numbercard {
                gauge: false,
                keys: 1,
            },
            vec![
                ("SrcIP", EvType::Ip, ips(&[Some("10.0.0.1"), Some("::1")])),
                ("Connections", EvType::Int64, count),
                ("mean", EvType::Float64, mean),
            ],
        )
    };

    #[test]
    fn boxes() {
        assert_eq!(
            render(SAMPLE, Format::Table),
            "10.0.0.1\n\
             ╭──────────────╮ ╭──────────────╮\n\
             │ Connections  │ │ mean         │\n\
             │           12 │ │          1.5 │\n\
             ╰──────────────╯ ╰──────────────╯\n\
             ::1\n\
             ╭──────────────╮ ╭──────────────╮\n\
             │ Connections  │ │ mean         │\n\
             │            3 │ │            – │\n\
             ╰──────────────╯ ╰──────────────╯\n"
        );
        let narrow = RenderOptions {
            width: 20,
            ..RenderOptions::default()
        };
        let text = SAMPLE().text(Format::Table, narrow);
        assert!(text.lines().all(|line| line.chars().count() <= 20));
    }

    #[test]
    fn rows_for_programs() {
        assert_eq!(
            render(SAMPLE, Format::Tsv),
            "SrcIP\tConnections\tmean\n10.0.0.1\t12\t1.5\n::1\t3\t\n"
        );
        assert_eq!(
            render(SAMPLE, Format::Json),
            "[\n{\"SrcIP\":\"10.0.0.1\",\"Connections\":12,\"mean\":1.5},\n\
             {\"SrcIP\":\"::1\",\"Connections\":3,\"mean\":null}\n]\n"
        );
    }
}
