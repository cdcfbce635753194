//! Renderers: record batches to text, pictures and files.
//!
//! Knows record batches and column types; knows neither queries nor where batches came from.
//! A sink is made for the shape of an answer and a format, is fed batches, and is finished.

mod bars;
mod bars_picture;
mod braille;
mod canvas;
mod cards;
mod chart;
mod columnar;
mod delimited;
mod ends;
mod entries;
mod error;
mod escape;
mod format;
mod graph;
mod json;
mod layout;
mod legend;
mod missed;
mod page;
mod palette;
mod pcap;
mod picture_legend;
mod scale;
mod stackgraph;
mod table;
#[cfg(test)]
mod testing;
mod value;

use std::io::{BufWriter, Write};

use datafusion::arrow::array::RecordBatch;

pub use error::Error;
pub use format::{Format, suitable};

use crate::missed::Missed;
use crate::shape::{ChartShape, Shape};
use crate::types::OutputColumn;
use chart::{ChartRows, ChartSink};
use columnar::{ArrowFile, ParquetFile};
use delimited::{Delimited, Dialect};
use entries::{Entries, HexRows, Mode};
use json::{Frame, Json};

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 64 * 1024;

/// What a renderer may know of where its output goes.
#[derive(Clone, Copy, Debug)]
pub struct RenderOptions {
    /// Terminal columns; 0: as wide as it gets.
    pub width: usize,
    /// Terminal lines.
    pub height: usize,
    /// Whether to use colour (ANSI SGR sequences).
    pub colour: bool,
    /// Bytes shown of an entry by `text` and `raw`.
    pub limit_bytes: Option<u64>,
    /// Whether rows as text begin with the names of their columns.
    pub header: bool,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self {
            width: 80,
            height: 24,
            colour: false,
            limit_bytes: None,
            header: true,
        }
    }
}

impl RenderOptions {
    /// The sequences that start and end a style (an SGR parameter); empty without colour.
    fn style(&self, parameter: &str) -> (String, &'static str) {
        if self.colour {
            (format!("\u{1b}[{parameter}m"), "\u{1b}[0m")
        } else {
            (String::new(), "")
        }
    }
}

/// Takes the batches of an answer.
pub trait Sink {
    /// Takes one batch. Its columns are those that the sink was made with.
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error>;

    /// Takes what the answer missed, between the last batch and `finish`. Formats of rows alone
    /// have no place for it.
    fn missed(&mut self, _missed: &Missed) {}

    /// Writes out what can be written by now, for answers that grow.
    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Writes what is left. Call it once; a sink that is dropped instead leaves a partial output.
    fn finish(&mut self) -> Result<(), Error>;

    /// What was left out or changed, as sentences for people; complete after `finish`.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Makes the sink that writes answers of a shape in a format.
pub fn sink<'a>(
    shape: Shape,
    columns: Vec<OutputColumn>,
    format: Format,
    options: RenderOptions,
    out: Box<dyn Write + 'a>,
) -> Result<Box<dyn Sink + 'a>, Error> {
    let inner = writer(shape, columns.clone(), format, options, out)?;
    Ok(Box::new(ends::Ends::new(inner, columns)))
}

/// The sink that writes.
fn writer<'a>(
    shape: Shape,
    columns: Vec<OutputColumn>,
    format: Format,
    options: RenderOptions,
    out: Box<dyn Write + 'a>,
) -> Result<Box<dyn Sink + 'a>, Error> {
    format.check(&shape)?;
    let out = BufWriter::with_capacity(BUFFER_BYTES, out);
    let mode = match shape {
        Shape::Chart(shape) => return chart_sink(shape, columns, format, options, out),
        Shape::Pcap if format == Format::Pcap => {
            return Ok(Box::new(pcap::Pcap::new(out, columns)?));
        }
        Shape::Stackgraph if is_drawn(format) => {
            let sink = stackgraph::Stackgraph::new(out, columns, format, options)?;
            return Ok(Box::new(sink));
        }
        Shape::Fdg if is_drawn(format) || format == Format::Json => {
            return Ok(Box::new(graph::Graph::new(out, columns, format, options)?));
        }
        Shape::Numbercard {
            gauge,
            keys,
            scales,
        } if is_drawn(format) => {
            // Only a gauge draws its scales.
            let layout = cards::Layout {
                keys,
                scales,
                bars: gauge,
            };
            return Ok(Box::new(cards::Cards::new(out, columns, layout, options)?));
        }
        Shape::Text => Mode::Text,
        Shape::Raw => Mode::Raw,
        Shape::Hex => Mode::Hex,
        _ => return rows(columns, format, options, out),
    };
    if matches!(format, Format::Text | Format::Table) {
        let entries = Entries::new(out, columns, mode, options.limit_bytes)?;
        return Ok(Box::new(entries));
    }
    if mode == Mode::Hex {
        let inner = rows(HexRows::<()>::columns(&columns), format, options, out)?;
        return Ok(Box::new(HexRows::new(inner, columns)));
    }
    rows(columns, format, options, out)
}

/// Whether the format is a drawing rather than rows.
fn is_drawn(format: Format) -> bool {
    matches!(
        format,
        Format::Table | Format::Text | Format::Svg | Format::Png | Format::Html | Format::Dot
    )
}

fn chart_sink<'a, W: Write + 'a>(
    shape: ChartShape,
    columns: Vec<OutputColumn>,
    format: Format,
    options: RenderOptions,
    out: W,
) -> Result<Box<dyn Sink + 'a>, Error> {
    Ok(match format {
        _ if is_drawn(format) => Box::new(ChartSink::new(out, shape, columns, format, options)?),
        Format::Parquet | Format::Arrow => rows(columns, format, options, out)?,
        _ => {
            let inner = rows(
                ChartRows::<()>::columns(&shape, &columns)?,
                format,
                options,
                out,
            )?;
            Box::new(ChartRows::new(inner, shape, columns))
        }
    })
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        (**self).batch(batch)
    }

    fn missed(&mut self, missed: &Missed) {
        (**self).missed(missed);
    }

    fn flush(&mut self) -> Result<(), Error> {
        (**self).flush()
    }

    fn finish(&mut self) -> Result<(), Error> {
        (**self).finish()
    }

    fn notes(&self) -> Vec<String> {
        (**self).notes()
    }
}

/// The sink for rows that are shown as they are.
fn rows<'a, W: Write + 'a>(
    columns: Vec<OutputColumn>,
    format: Format,
    options: RenderOptions,
    out: W,
) -> Result<Box<dyn Sink + 'a>, Error> {
    Ok(match format {
        Format::Csv => Box::new(Delimited::new(
            out,
            columns,
            Dialect::Commas,
            options.header,
        )?),
        Format::Tsv => Box::new(Delimited::new(out, columns, Dialect::Tabs, options.header)?),
        Format::Json => Box::new(Json::new(out, columns, Frame::Document)),
        Format::Ndjson => Box::new(Json::new(out, columns, Frame::Lines)),
        Format::Parquet => Box::new(ParquetFile::new(out, columns)?),
        Format::Arrow => Box::new(ArrowFile::new(out, columns)?),
        _ => Box::new(table::Table::new(out, columns, options)),
    })
}
