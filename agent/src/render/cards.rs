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

/// What the columns of an answer are.
pub(super) struct Layout {
    /// Key columns.
    pub(super) keys: usize,
    /// The numbers: whether two columns with the ends of its scale follow.
    pub(super) scales: Vec<bool>,
    /// Whether scales are drawn.
    pub(super) bars: bool,
}

impl Layout {
    fn columns(&self) -> usize {
        let scales = self.scales.iter().filter(|scale| **scale).count();
        self.keys + self.scales.len() + 2 * scales
    }
}

/// One number as it is shown.
struct Card {
    label: String,
    value: String,
    scale: Option<Scale>,
}

/// A scale with a bar on it.
struct Scale {
    /// How much of the scale lies below the number, in 0..=1; absent where there is no number or
    /// no scale.
    share: Option<f64>,
    ends: [String; 2],
}

impl Card {
    fn width(&self) -> usize {
        let ends = self.scale.as_ref().map_or(
            0,
            |Scale {
                 ends: [min, max], ..
             }| { min.width() + 1 + max.width() },
        );
        self.label.width().max(self.value.width()).max(ends)
    }
}

impl Scale {
    fn new(value: Option<f64>, [min, max]: [&value::Values; 2], row: usize) -> Self {
        let share = match (value, min.number(row), max.number(row)) {
            (Some(value), Some(min), Some(max)) if min < max => {
                Some(((value - min) / (max - min)).clamp(0.0, 1.0))
            }
            _ => None,
        };
        Self {
            share: share.filter(|share| share.is_finite()),
            ends: [shown(min, row), shown(max, row)],
        }
    }

    /// The bar in so many cells, to an eighth of a cell.
    fn bar(&self, width: usize) -> String {
        const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
        let eighths = (self.share.unwrap_or(0.0) * (width * 8) as f64).round() as usize;
        let part = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
        let mut bar = "█".repeat(eighths / 8) + part;
        let empty = width.saturating_sub(bar.width());
        bar.push_str(&"·".repeat(empty));
        bar
    }

    fn ends(&self, width: usize) -> String {
        let [min, max] = &self.ends;
        let room = width.saturating_sub(min.width());
        layout::cell(
            &format!("{min}{}", layout::cell(max, room, true)),
            width,
            false,
        )
    }
}

/// A number as text.
fn shown(number: &value::Values, row: usize) -> String {
    if number.is_null(row) {
        "–".to_owned()
    } else {
        escape::terminal(&number.text(row))
    }
}

/// Writes the boxes of each key tuple side by side, under a line with the keys.
pub(super) struct Cards<W> {
    out: W,
    columns: Vec<OutputColumn>,
    layout: Layout,
    options: RenderOptions,
}

impl<W: Write> Cards<W> {
    pub(super) fn new(
        out: W,
        columns: Vec<OutputColumn>,
        layout: Layout,
        options: RenderOptions,
    ) -> Result<Self, Error> {
        if layout.scales.is_empty() || columns.len() != layout.columns() {
            return Err(Error::Columns {
                answer: "a numbercard",
                found: columns.len(),
                needed: "its keys, its numbers and the ends of their scales",
            });
        }
        Ok(Self {
            out,
            columns,
            layout,
            options,
        })
    }

    /// The numbers of a row; `values` are the columns after the keys.
    fn cards(&self, values: &[value::Values], row: usize) -> Vec<Card> {
        let mut columns = self.columns.iter().skip(self.layout.keys).zip(values);
        let mut cards = Vec::with_capacity(self.layout.scales.len());
        for scale in &self.layout.scales {
            let Some((column, number)) = columns.next() else {
                break;
            };
            let ends = if *scale {
                columns.next().zip(columns.next())
            } else {
                None
            };
            cards.push(Card {
                label: escape::terminal(&column.name),
                value: shown(number, row),
                scale: ends
                    .filter(|_| self.layout.bars)
                    .map(|((_, min), (_, max))| Scale::new(number.number(row), [min, max], row)),
            });
        }
        cards
    }

    fn write_boxes(&mut self, cards: &[Card]) -> Result<(), Error> {
        let width = cards
            .iter()
            .map(Card::width)
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
            let row = |cell: &dyn Fn(&Card) -> String| {
                cards.iter().map(cell).collect::<Vec<_>>().join(GAP)
            };
            let inside = |text: String| format!("│ {text} │");
            let scaled = |cell: fn(&Scale, usize) -> String| {
                row(&|card| {
                    inside(match &card.scale {
                        Some(scale) => cell(scale, width),
                        None => " ".repeat(width),
                    })
                })
            };
            let label = |card: &Card| inside(layout::cell(&card.label, width, false));
            let value = |card: &Card| {
                inside(format!(
                    "{bold}{}{plain}",
                    layout::cell(&card.value, width, true)
                ))
            };
            writeln!(self.out, "{}", row(&|_| format!("╭{rule}╮")))?;
            writeln!(self.out, "{}", row(&label))?;
            writeln!(self.out, "{}", row(&value))?;
            if cards.iter().any(|card| card.scale.is_some()) {
                writeln!(self.out, "{}", scaled(Scale::bar))?;
                writeln!(self.out, "{}", scaled(Scale::ends))?;
            }
            writeln!(self.out, "{}", row(&|_| format!("╰{rule}╯")))?;
        }
        Ok(())
    }
}

impl<W: Write> Sink for Cards<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let values = value::columns(batch, &self.columns, "a numbercard")?;
        let (keys, numbers) = values.split_at(self.layout.keys.min(values.len()));
        for row in 0..batch.num_rows() {
            if !keys.is_empty() {
                let keys: Vec<String> = keys
                    .iter()
                    .map(|key| escape::terminal(&key.text(row)))
                    .collect();
                writeln!(self.out, "{}", keys.join(" "))?;
            }
            let cards = self.cards(numbers, row);
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
                scales: vec![false, false],
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
            render(SAMPLE, Format::Ndjson),
            "{\"SrcIP\":\"10.0.0.1\",\"Connections\":12,\"mean\":1.5}\n\
             {\"SrcIP\":\"::1\",\"Connections\":3,\"mean\":null}\n"
        );
    }

    const GAUGES: fn() -> Answer = || {
        let int = |values: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
        let float = |values: Vec<Option<f64>>| -> ArrayRef { Arc::new(Float64Array::from(values)) };
        Answer::new(
            Shape::Numbercard {
                gauge: true,
                keys: 0,
                scales: vec![true, false],
            },
            vec![
                ("load", EvType::Int64, int(vec![30, 500, -1, 7])),
                ("load min", EvType::Int64, int(vec![0, 0, 0, 9])),
                (
                    "load max",
                    EvType::Float64,
                    float(vec![Some(80.0), Some(80.0), Some(80.0), None]),
                ),
                ("count", EvType::Int64, int(vec![1, 2, 3, 4])),
            ],
        )
    };

    #[test]
    fn a_gauge_has_a_bar_on_its_scale() {
        let text = render(GAUGES, Format::Table);
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(
            rows.get(..6).unwrap_or_default(),
            [
                "╭──────────────╮ ╭──────────────╮",
                "│ load         │ │ count        │",
                "│           30 │ │            1 │",
                "│ ████▌······· │ │              │",
                "│ 0         80 │ │              │",
                "╰──────────────╯ ╰──────────────╯",
            ]
        );
        // Beyond the scale, below it, and no scale at all.
        assert_eq!(rows[9], "│ ████████████ │ │              │");
        assert_eq!(rows[15], "│ ············ │ │              │");
        assert_eq!(rows[21], "│ ············ │ │              │");
        assert_eq!(rows[22], "│ 9          – │ │              │");
    }

    #[test]
    fn scales_are_columns_for_programs() {
        let json = render(GAUGES, Format::Ndjson);
        assert_eq!(
            json.lines().next(),
            Some(r#"{"load":30,"load min":0,"load max":80.0,"count":1}"#)
        );
    }
}
