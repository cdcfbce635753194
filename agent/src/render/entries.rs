//! Entries as text, as their bytes, and in hex.

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};

use super::error::Error;
use super::{Sink, escape, value};
use crate::missed::Missed;
use crate::types::{EvType, OutputColumn};

/// Bytes shown of an entry as text unless the query says otherwise.
const TEXT_BYTES: u64 = 1000;

/// How an entry is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// `TIMESTAMP DATA`, a dot for what cannot be shown.
    Text,
    /// DATA untouched, a newline after each entry.
    Raw,
    /// DATA in upper-case hex.
    Hex,
}

/// Writes one entry a line.
pub(super) struct Entries<W> {
    out: W,
    columns: Vec<OutputColumn>,
    mode: Mode,
    limit: usize,
}

impl<W: Write> Entries<W> {
    /// `limit`: bytes shown of an entry.
    pub(super) fn new(
        out: W,
        columns: Vec<OutputColumn>,
        mode: Mode,
        limit: Option<u64>,
    ) -> Result<Self, Error> {
        let needed = if mode == Mode::Text { 2 } else { 1 };
        if columns.len() != needed {
            return Err(Error::Columns {
                answer: "entries",
                found: columns.len(),
                needed: if mode == Mode::Text {
                    "TIMESTAMP and DATA"
                } else {
                    "DATA"
                },
            });
        }
        let limit = match (limit, mode) {
            (Some(limit), _) => limit,
            (None, Mode::Text) => TEXT_BYTES,
            (None, _) => u64::MAX,
        };
        Ok(Self {
            out,
            columns,
            mode,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        })
    }
}

impl<W: Write> Sink for Entries<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let values = value::columns(batch, &self.columns, "entries")?;
        let Some(data) = values.last() else {
            return Ok(());
        };
        let mut line = String::new();
        for row in 0..batch.num_rows() {
            let bytes = data.bytes(row);
            let shown = bytes.get(..self.limit).unwrap_or(&bytes);
            line.clear();
            match self.mode {
                Mode::Text => {
                    if let Some(time) = values.first() {
                        time.write_text(row, &mut line);
                    }
                    line.push(' ');
                    escape::terminal_bytes(shown, &mut line);
                }
                Mode::Raw => self.out.write_all(shown)?,
                Mode::Hex => hex(shown, &mut line),
            }
            line.push('\n');
            self.out.write_all(line.as_bytes())?;
        }
        self.out.flush()?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        Ok(self.out.flush()?)
    }
}

/// Rows whose bytes are shown in hex: what the other formats make of hex entries.
pub(super) struct HexRows<S> {
    inner: S,
    columns: Vec<OutputColumn>,
}

impl<S> HexRows<S> {
    /// The columns that `inner` gets for the columns of the answer.
    pub(super) fn columns(columns: &[OutputColumn]) -> Vec<OutputColumn> {
        columns
            .iter()
            .map(|column| OutputColumn {
                name: column.name.clone(),
                ty: EvType::String,
            })
            .collect()
    }

    pub(super) fn new(inner: S, columns: Vec<OutputColumn>) -> Self {
        Self { inner, columns }
    }
}

impl<S: Sink> Sink for HexRows<S> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let values = value::columns(batch, &self.columns, "entries")?;
        let arrays = values.iter().zip(&self.columns).map(|(values, column)| {
            let rows = (0..batch.num_rows()).map(|row| {
                let mut text = String::new();
                hex(&values.bytes(row), &mut text);
                (!values.is_null(row)).then_some(text)
            });
            let array: ArrayRef = Arc::new(StringArray::from_iter(rows));
            (column.name.clone(), array)
        });
        self.inner.batch(&RecordBatch::try_from_iter(arrays)?)
    }

    fn missed(&mut self, missed: &Missed) {
        self.inner.missed(missed);
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.inner.finish()
    }

    fn notes(&self) -> Vec<String> {
        self.inner.notes()
    }
}

/// Appends upper-case hex.
pub(super) fn hex(bytes: &[u8], out: &mut String) {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    for byte in bytes {
        out.push(digit(byte >> 4).to_ascii_uppercase());
        out.push(digit(byte & 15).to_ascii_uppercase());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, BinaryArray, Int64Array};

    use crate::render::testing::Answer;
    use crate::render::{Format, RenderOptions, sink};
    use crate::shape::Shape;
    use crate::types::EvType;

    fn data() -> ArrayRef {
        let entries: Vec<&[u8]> = vec![b"GET /\x1b[2J\xff\r\n", b"", "h\u{e9}".as_bytes()];
        Arc::new(BinaryArray::from(entries))
    }

    fn text(limit_bytes: Option<u64>) -> String {
        let time: ArrayRef = Arc::new(Int64Array::from(vec![0, 1, 2]));
        let columns = vec![
            ("TIMESTAMP", EvType::Time, time),
            ("DATA", EvType::Bytes, data()),
        ];
        let options = RenderOptions {
            limit_bytes,
            ..RenderOptions::default()
        };
        Answer::new(Shape::Text, columns).text(Format::Text, options)
    }

    #[test]
    fn text_shows_no_control() {
        assert_eq!(
            text(None),
            "1970-01-01T00:00:00.000000000Z GET /.[2J...\n\
             1970-01-01T00:00:00.000000001Z \n\
             1970-01-01T00:00:00.000000002Z hé\n"
        );
        assert!(text(Some(3)).starts_with("1970-01-01T00:00:00.000000000Z GET\n"));
    }

    #[test]
    fn raw_and_hex() {
        let answer = |shape| Answer::new(shape, vec![("DATA", EvType::Bytes, data())]);
        let options = RenderOptions::default();
        let (raw, _) = answer(Shape::Raw).bytes(Format::Text, options);
        assert_eq!(raw, b"GET /\x1b[2J\xff\r\n\n\nh\xc3\xa9\n");
        let hex = "474554202F1B5B324AFF0D0A\n\n68C3A9\n";
        assert_eq!(answer(Shape::Hex).text(Format::Text, options), hex);
        assert_eq!(
            answer(Shape::Hex).text(Format::Tsv, options),
            format!("DATA\n{hex}")
        );
    }

    #[test]
    fn other_columns_are_refused() {
        let error = sink(
            Shape::Text,
            Vec::new(),
            Format::Text,
            RenderOptions::default(),
            Box::new(std::io::sink()),
        )
        .err()
        .unwrap();
        assert_eq!(
            error.to_string(),
            "cannot show entries of 0 columns, it needs TIMESTAMP and DATA"
        );
    }
}
