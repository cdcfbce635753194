//! Tab- and comma-separated values, streamed.

use std::io::Write;

use datafusion::arrow::array::RecordBatch;

use super::error::Error;
use super::{Sink, escape, value};
use crate::types::OutputColumn;

/// Which of the two dialects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Tabs; controls and backslashes escaped.
    Tabs,
    /// Commas; RFC 4180, lines end in CR LF as it says.
    Commas,
}

/// Writes rows as they come; an absent value is an empty field.
pub(super) struct Delimited<W> {
    out: W,
    columns: Vec<OutputColumn>,
    dialect: Dialect,
    line: String,
    cell: String,
}

impl<W: Write> Delimited<W> {
    /// Writes the header line.
    pub(super) fn new(
        mut out: W,
        columns: Vec<OutputColumn>,
        dialect: Dialect,
        header: bool,
    ) -> Result<Self, Error> {
        let mut line = String::new();
        if header {
            for (index, column) in columns.iter().enumerate() {
                dialect.field(index, &column.name, &mut line);
            }
            line.push_str(dialect.line_end());
            out.write_all(line.as_bytes())?;
        }
        Ok(Self {
            out,
            columns,
            dialect,
            line,
            cell: String::new(),
        })
    }
}

impl Dialect {
    fn field(self, index: usize, text: &str, line: &mut String) {
        match self {
            Self::Tabs => {
                if index > 0 {
                    line.push('\t');
                }
                escape::tsv(text, line);
            }
            Self::Commas => {
                if index > 0 {
                    line.push(',');
                }
                escape::csv(text, line);
            }
        }
    }

    fn line_end(self) -> &'static str {
        match self {
            Self::Tabs => "\n",
            Self::Commas => "\r\n",
        }
    }
}

impl<W: Write> Sink for Delimited<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let values = value::columns(batch, &self.columns, "rows")?;
        for row in 0..batch.num_rows() {
            self.line.clear();
            for (index, column) in values.iter().enumerate() {
                self.cell.clear();
                column.write_text(row, &mut self.cell);
                self.dialect.field(index, &self.cell, &mut self.line);
            }
            self.line.push_str(self.dialect.line_end());
            self.out.write_all(self.line.as_bytes())?;
        }
        self.out.flush()?;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(self.out.flush()?)
    }

    fn finish(&mut self) -> Result<(), Error> {
        Ok(self.out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use crate::render::Format;
    use crate::render::testing::{SAMPLE_ROWS, render};

    #[test]
    fn tsv() {
        assert_eq!(
            render(SAMPLE_ROWS, Format::Tsv),
            "time\tsrc\tip\tmac\tport\tbytes\tmean\tname\tpayload\tgap\tup\n\
             2016-02-14T17:12:47.246718000Z\t10.0.0.1\tfe80::1\t00:11:22:33:44:55\t443\t\
             18446744073709551615\t0.5\ttab\\there\tGET \u{fffd}\\n\t1.5s\ttrue\n\
             \t\t192.0.2.7\t\t\t\tNaN\t\"q\", é\t\t\t\n"
        );
    }

    #[test]
    fn csv() {
        assert_eq!(
            render(SAMPLE_ROWS, Format::Csv),
            "time,src,ip,mac,port,bytes,mean,name,payload,gap,up\r\n\
             2016-02-14T17:12:47.246718000Z,10.0.0.1,fe80::1,00:11:22:33:44:55,443,\
             18446744073709551615,0.5,tab\there,\"GET \u{fffd}\n\",1.5s,true\r\n\
             ,,192.0.2.7,,,,NaN,\"\"\"q\"\", é\",,,\r\n"
        );
    }
}
