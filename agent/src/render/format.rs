//! Output formats, and which answer each of them can show.

use std::fmt;
use std::str::FromStr;

use super::error::Error;
use crate::shape::Shape;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// For people on a terminal: aligned columns, or the drawing that belongs to the answer.
    Table,
    /// Tab-separated, header line first.
    Tsv,
    /// Comma-separated (RFC 4180), header line first.
    Csv,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow IPC file.
    Arrow,
    /// Capture file.
    Pcap,
    /// Vector picture.
    Svg,
    /// Bitmap picture.
    Png,
    /// A web page that needs nothing else.
    Html,
    /// Graphviz.
    Dot,
    /// Plain text without a frame around it.
    Text,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 13] = [
        Self::Table,
        Self::Tsv,
        Self::Csv,
        Self::Json,
        Self::Ndjson,
        Self::Parquet,
        Self::Arrow,
        Self::Pcap,
        Self::Svg,
        Self::Png,
        Self::Html,
        Self::Dot,
        Self::Text,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Tsv => "tsv",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
            Self::Pcap => "pcap",
            Self::Svg => "svg",
            Self::Png => "png",
            Self::Html => "html",
            Self::Dot => "dot",
            Self::Text => "text",
        }
    }

    /// Whether a terminal must not get it.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow | Self::Pcap | Self::Png)
    }

    /// What an answer is written as where nobody says otherwise.
    pub fn default_for(shape: &Shape, terminal: bool) -> Self {
        match shape {
            Shape::Text | Shape::Raw | Shape::Hex => Self::Text,
            Shape::Pcap => Self::Pcap,
            _ if terminal => Self::Table,
            _ => Self::Tsv,
        }
    }

    /// The format that a file name's ending asks for.
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "jsonl" => Some(Self::Ndjson),
            "txt" => Some(Self::Text),
            "htm" => Some(Self::Html),
            "gv" => Some(Self::Dot),
            "pcapng" | "cap" => Some(Self::Pcap),
            other => other.parse().ok(),
        }
    }

    /// Checks that the format can show answers of a shape.
    pub fn check(self, shape: &Shape) -> Result<(), Error> {
        let suits = suitable(shape);
        if suits.contains(&self) {
            return Ok(());
        }
        let names: Vec<_> = suits.iter().map(|format| format.name()).collect();
        let other = match self {
            Self::Pcap => "end the query in `| pcap`, or ",
            Self::Svg | Self::Png | Self::Html => "end the query in `| chart ...`, or ",
            Self::Dot => "end the query in `| fdg ...`, or ",
            _ => "",
        };
        Err(Error::Unsupported {
            format: self,
            answer: noun(shape),
            hint: format!("{other}use one of {}", names.join(", ")),
        })
    }
}

/// What an answer is called in a message.
pub(super) fn noun(shape: &Shape) -> &'static str {
    match shape {
        Shape::Rows => "a table",
        Shape::Text => "text entries",
        Shape::Raw => "raw entries",
        Shape::Hex => "hex entries",
        Shape::Pcap => "frames",
        Shape::Chart(_) => "a chart",
        Shape::Stackgraph => "a stackgraph",
        Shape::Fdg => "a graph",
        Shape::Numbercard { gauge: true, .. } => "a gauge",
        Shape::Numbercard { gauge: false, .. } => "a numbercard",
    }
}

/// The formats that suit a shape, the natural one first.
pub fn suitable(shape: &Shape) -> &'static [Format] {
    use Format::{Arrow, Csv, Dot, Html, Json, Ndjson, Parquet, Pcap, Png, Svg, Table, Text, Tsv};
    match shape {
        Shape::Rows => &[Table, Tsv, Csv, Json, Ndjson, Parquet, Arrow],
        Shape::Text | Shape::Raw | Shape::Hex => {
            &[Text, Table, Tsv, Csv, Json, Ndjson, Parquet, Arrow]
        }
        Shape::Pcap => &[Pcap, Parquet, Arrow],
        Shape::Chart(_) | Shape::Stackgraph => &[
            Table, Text, Tsv, Csv, Json, Ndjson, Parquet, Arrow, Svg, Png, Html,
        ],
        Shape::Fdg => &[Table, Text, Tsv, Csv, Json, Ndjson, Parquet, Arrow, Dot],
        Shape::Numbercard { .. } => &[Table, Text, Tsv, Csv, Json, Ndjson, Parquet, Arrow],
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|format| format.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| Error::UnknownFormat {
                name: text.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
        }
        let error = "xlsx".parse::<Format>().unwrap_err();
        assert_eq!(error.to_string(), "unknown format `xlsx`");
        assert!(error.hint().unwrap().starts_with("formats are table, tsv"));
    }

    #[test]
    fn an_unsuitable_format_says_what_suits() {
        let error = Format::Pcap.check(&Shape::Rows).unwrap_err();
        assert_eq!(error.to_string(), "format pcap cannot show a table");
        assert_eq!(
            error.hint().unwrap(),
            "end the query in `| pcap`, or use one of table, tsv, csv, json, ndjson, parquet, arrow"
        );
    }

    #[test]
    fn every_default_suits() {
        let shapes = [
            Shape::Rows,
            Shape::Text,
            Shape::Raw,
            Shape::Hex,
            Shape::Pcap,
            Shape::Stackgraph,
            Shape::Fdg,
            Shape::Numbercard {
                gauge: false,
                keys: 0,
                scales: Vec::new(),
            },
        ];
        for shape in shapes {
            for terminal in [false, true] {
                Format::default_for(&shape, terminal).check(&shape).unwrap();
            }
        }
    }
}
