//! JSON: a document of rows and of what they miss, or one object a line, streamed.

use std::collections::HashSet;
use std::io::Write;

use datafusion::arrow::array::RecordBatch;

use super::error::Error;
use super::{Sink, escape, missed, value};
use crate::missed::Missed;
use crate::types::OutputColumn;

/// How objects are put together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// One document: `{"rows":[...],"missed":{...}}`.
    Document,
    /// One object a line.
    Lines,
}

/// Writes an object per row. Numbers stay numbers, whole ones of 64 bits too; bytes are text with
/// U+FFFD for what is not UTF-8; absent values, NaN and infinities are `null`.
pub(super) struct Json<W> {
    out: W,
    columns: Vec<OutputColumn>,
    keys: Vec<String>,
    frame: Frame,
    line: String,
    any: bool,
    missed: Missed,
}

impl<W: Write> Json<W> {
    pub(super) fn new(out: W, columns: Vec<OutputColumn>, frame: Frame) -> Self {
        let keys = unique_names(&columns)
            .iter()
            .map(|name| {
                let mut key = String::new();
                escape::json(name, &mut key);
                key.push(':');
                key
            })
            .collect();
        Self {
            out,
            columns,
            keys,
            frame,
            line: String::new(),
            any: false,
            missed: Missed::default(),
        }
    }
}

/// The columns' names; a repeated one gets the first free suffix from `_2` on.
pub(super) fn unique_names(columns: &[OutputColumn]) -> Vec<String> {
    let mut taken: HashSet<String> = columns.iter().map(|column| column.name.clone()).collect();
    let mut seen = HashSet::new();
    columns
        .iter()
        .map(|column| {
            if seen.insert(column.name.as_str()) {
                return column.name.clone();
            }
            let free = (2..)
                .map(|n| format!("{}_{n}", column.name))
                .find(|name| !taken.contains(name))
                .unwrap_or_default();
            taken.insert(free.clone());
            free
        })
        .collect()
}

impl<W: Write> Sink for Json<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let values = value::columns(batch, &self.columns, "rows")?;
        for row in 0..batch.num_rows() {
            self.line.clear();
            if self.frame == Frame::Document {
                self.line
                    .push_str(if self.any { ",\n" } else { "{\"rows\":[\n" });
            }
            self.line.push('{');
            for (index, (key, column)) in self.keys.iter().zip(&values).enumerate() {
                if index > 0 {
                    self.line.push(',');
                }
                self.line.push_str(key);
                column.write_json(row, &mut self.line);
            }
            self.line.push('}');
            if self.frame == Frame::Lines {
                self.line.push('\n');
            }
            self.any = true;
            self.out.write_all(self.line.as_bytes())?;
        }
        self.out.flush()?;
        Ok(())
    }

    fn missed(&mut self, missed: &Missed) {
        self.missed = missed.clone();
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(self.out.flush()?)
    }

    fn finish(&mut self) -> Result<(), Error> {
        if self.frame == Frame::Document {
            self.line.clear();
            let end = if self.any { "\n]" } else { "{\"rows\":[]" };
            self.line.push_str(end);
            missed::write_json(&self.missed, &mut self.line);
            self.line.push_str("}\n");
            self.out.write_all(self.line.as_bytes())?;
        }
        Ok(self.out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::UInt16Array;

    use crate::render::testing::{Answer, SAMPLE_ROWS, render};
    use crate::render::{Format, RenderOptions};
    use crate::shape::Shape;
    use crate::types::EvType;

    const FIRST: &str = "{\"time\":\"2016-02-14T17:12:47.246718000Z\",\"src\":\"10.0.0.1\",\
         \"ip\":\"fe80::1\",\"mac\":\"00:11:22:33:44:55\",\"port\":443,\
         \"bytes\":18446744073709551615,\"mean\":0.5,\"name\":\"tab\\there\",\
         \"payload\":\"GET \u{fffd}\\n\",\"gap\":\"1.5s\",\"up\":true}";
    const SECOND: &str = "{\"time\":null,\"src\":null,\"ip\":\"192.0.2.7\",\"mac\":null,\
         \"port\":null,\"bytes\":null,\"mean\":null,\"name\":\"\\\"q\\\", é\",\"payload\":null,\
         \"gap\":null,\"up\":null}";

    #[test]
    fn lines_and_document() {
        let lines = render(SAMPLE_ROWS, Format::Ndjson);
        assert_eq!(lines, format!("{FIRST}\n{SECOND}\n"));
        let document = render(SAMPLE_ROWS, Format::Json);
        let rows = format!("{{\"rows\":[\n{FIRST},\n{SECOND}\n],\n\"missed\":{{");
        assert!(document.starts_with(&rows), "{document}");
        let parsed: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!(parsed["rows"][0]["bytes"].as_u64(), Some(u64::MAX));
    }

    #[test]
    fn nothing_is_an_empty_list() {
        let mut answer = SAMPLE_ROWS();
        answer.batches.clear();
        let text = answer.text(Format::Json, RenderOptions::default());
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["rows"], serde_json::json!([]));
        assert_eq!(parsed["missed"]["sources"], serde_json::json!([]));
        assert_eq!(answer.text(Format::Ndjson, RenderOptions::default()), "");
    }

    #[test]
    fn a_repeated_name_gets_a_suffix_that_is_free() {
        let port = |port: u16| Arc::new(UInt16Array::from(vec![port]));
        let answer = Answer::new(
            Shape::Rows,
            vec![
                ("p", EvType::UInt16, port(1)),
                ("p", EvType::UInt16, port(2)),
                ("p_2", EvType::UInt16, port(3)),
                ("p", EvType::UInt16, port(4)),
            ],
        );
        assert_eq!(
            answer.text(Format::Ndjson, RenderOptions::default()),
            "{\"p\":1,\"p_3\":2,\"p_2\":3,\"p_4\":4}\n"
        );
    }
}
