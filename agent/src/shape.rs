//! The shape of an answer: what its columns mean to whoever shows it.
//!
//! Contract between the engine, which makes batches of a shape, and the renderers, which show
//! them. Columns are positional: names are for people.

/// What the record batches of an answer hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Rows and columns, as named.
    Rows,
    /// Entries as text: TIMESTAMP, DATA (bytes, or their text form).
    Text,
    /// Bytes untouched: DATA.
    Raw,
    /// Bytes in hex: DATA.
    Hex,
    /// Frames: TIMESTAMP (Time), DATA (Bytes), WireLength (UInt32), LinkType (UInt16).
    Pcap,
    /// Values over time.
    Chart(ChartShape),
    /// Stacked bars: bar, segment, magnitude.
    Stackgraph,
    /// Edges between values: source, target, weight; with groups two more: source group, target
    /// group (either may be null throughout).
    Fdg,
    /// Single numbers: `keys` key columns, then per card a value column, named by its label, and
    /// where it has a scale the columns of its smallest and its largest number.
    Numbercard {
        /// `gauge` rather than `numbercard`.
        gauge: bool,
        /// Number of key columns; one set of cards per key tuple.
        keys: usize,
        /// Whether each card has a scale.
        scales: Vec<bool>,
    },
}

/// The time axis and the series of a chart.
///
/// Columns: time (Time, the start of the bin), category (String), other (Bool: the series of all
/// that is not shown by itself), `keys` key columns, value (Int64 or Float64). Rows are ordered by
/// series, in their rank, and then by time. Only bins with entries have a row: a missing bin is a
/// gap, not 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartShape {
    /// Start of the first bin, in nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// Width of a bin in nanoseconds: a whole multiple of `window_ns`.
    pub bin_ns: i64,
    /// Number of bins.
    pub bins: usize,
    /// Width of the query's window in nanoseconds.
    pub window_ns: i64,
    /// Number of key columns.
    pub keys: usize,
    /// Names of what is drawn, as they stand in the category column.
    pub categories: Vec<String>,
}
