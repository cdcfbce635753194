//! The resolved pipeline: what a query means, in a handful of operations over typed columns.
//!
//! Modules of the language compile to these operations (one module, one file in `modules/`); the
//! engine lowers the operations, and knows no module.

use super::loss::LossColumn;
use crate::lang::diagnostic::{Diagnostic, Span};
use crate::types::EvType;

/// A column of the pipeline. Every definition of an enumerated value is a column of its own
/// (single assignment); [`Pipeline::columns`] describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnId(pub u32);

/// What is known of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Name of the enumerated value.
    pub name: String,
    /// Its type.
    pub ty: EvType,
    /// The aggregate operation that made the value, which merges it again; kept through `alias`.
    pub lineage: Option<Lineage>,
}

/// Where an aggregated value comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Lineage {
    /// Operation that merges partial values.
    pub op: AggregateOp,
    /// The column that the aggregate made (its hidden state belongs to that column).
    pub origin: ColumnId,
    /// The branch of the aggregate that made it.
    pub branch: usize,
}

/// A resolved query.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Tag patterns (`*` glob).
    pub tags: Vec<String>,
    /// First instant (inclusive), as written; `None`: the default of the source.
    pub start: Option<TimeBound>,
    /// Last instant (exclusive).
    pub end: Option<TimeBound>,
    /// Every column, by id.
    pub columns: Vec<Column>,
    /// The columns that the scan makes.
    pub source: Vec<(ColumnId, SourceColumn)>,
    /// The operations, in order.
    pub ops: Vec<Op>,
    /// The stage of each operation that may drop entries ([`Op::drops`]), in order.
    pub dropped_by: Vec<StageRef>,
    /// The renderer.
    pub renderer: Renderer,
    /// Tolerant readings and hints: part of the result.
    pub warnings: Vec<Diagnostic>,
}

/// A stage of the query as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageRef {
    /// Its place, from 1.
    pub number: usize,
    /// Its text, without the pipes.
    pub span: Span,
}

/// A time constraint, resolved against now when the query starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeBound {
    /// Nanoseconds since the Unix epoch.
    Absolute(i64),
    /// Nanoseconds relative to now (negative: before).
    RelativeToNow(i64),
    /// Nanoseconds relative to the other bound.
    RelativeToOther(i64),
}

/// The start of the second that a time lies in: time constraints are of whole seconds.
pub fn whole_seconds(ns: i64) -> i64 {
    const SECOND: i64 = 1_000_000_000;
    // Below the first whole second that 64 bits hold there is nothing to go down to.
    ns.checked_sub(ns.rem_euclid(SECOND)).unwrap_or(ns)
}

/// A column that the scan makes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceColumn {
    /// Time of the frame (`TIMESTAMP`).
    Time,
    /// Position of the frame in the whole input, which breaks ties of time: UInt64.
    Sequence,
    /// The tag (`TAG`): String.
    Tag,
    /// Where the frame was captured (`SRC`): Ip, absent for files.
    Source,
    /// The captured bytes (`DATA`).
    Data,
    /// Wire length, link type and interface, for writing the frame out again: UInt32.
    WireLength,
    /// Link type number: UInt16.
    LinkType,
    /// A value of an entry of the loss tables, which are no frames.
    Loss(LossColumn),
    /// A packet field, of the outermost packet or of the one that it carries.
    Field {
        /// Index into `decode::fields()`.
        field: u16,
        /// Read from the tunnelled packet (`packet -inner`).
        inner: bool,
    },
}

/// An operation over entries.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Keep the entries for which the expression is true (not false, not null).
    Filter(Expr),
    /// Make columns; later ones may use earlier ones.
    Assign(Vec<(ColumnId, Expr)>),
    /// Condense entries to one per window and key.
    Aggregate(Aggregate),
    /// Keep one entry per key: the first in the present order.
    Distinct {
        /// Key expressions.
        keys: Vec<Expr>,
        /// Start again in each window of so many nanoseconds; `order` then has the entry's time.
        window_ns: Option<i64>,
        /// The order in which "first" is meant; the last key is always `Sequence` where it exists.
        order: Vec<SortKey>,
    },
    /// Sort. The keys end in what makes the order complete (sequence, or the keys of the last
    /// aggregate), so equal entries are interchangeable. Order is physical only right after a sort:
    /// wherever an answer or a `Limit` depends on it, a sort stands before.
    Sort(Vec<SortKey>),
    /// Skip, then keep.
    Limit {
        /// Entries to skip.
        skip: u64,
        /// Entries to keep.
        fetch: u64,
    },
    /// Keep the first entries of each key.
    LimitBy {
        /// Entries to keep per key.
        fetch: u64,
        /// The keys.
        keys: Vec<ColumnId>,
        /// The order in which "first" is meant.
        order: Vec<SortKey>,
    },
    /// Change of a value since the previous entry (of the same key), null on the first.
    Difference {
        /// Column made: Int64, Float64 or Duration.
        output: ColumnId,
        /// The value.
        value: ColumnId,
        /// Keys; empty: the previous entry.
        keys: Vec<ColumnId>,
        /// The order in which "previous" is meant.
        order: Vec<SortKey>,
    },
}

impl Op {
    /// Whether it lets only some of the entries pass. Condensing makes new ones, and is not meant.
    pub fn drops(&self) -> bool {
        matches!(
            self,
            Self::Filter(_) | Self::Distinct { .. } | Self::Limit { .. } | Self::LimitBy { .. }
        )
    }
}

/// Condensing: for each window, one new entry per distinct key tuple of each branch.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Window width in nanoseconds, aligned to the Unix epoch; `None`: condensed, one window.
    pub window_ns: Option<i64>,
    /// The input's time column.
    pub input_time: ColumnId,
    /// The input's sequence column where it still exists (ties of time).
    pub input_sequence: Option<ColumnId>,
    /// New `TIMESTAMP`: the window's start (condensed: the smallest time of the group).
    pub output_time: ColumnId,
    /// One per distinct key list; entries of several branches stand side by side, with null where
    /// a column is another branch's.
    pub branches: Vec<Branch>,
    /// Other EVs of the group's newest entry: (new column, input column). Pruned when unused.
    pub carried: Vec<(ColumnId, ColumnId)>,
    /// Made when there are several branches: UInt8, the index of the entry's branch.
    pub branch_column: Option<ColumnId>,
}

/// Operations of one key list.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// (new column, input column): absent is a value of its own. A key that several branches share
    /// is one and the same new column in all of them.
    pub keys: Vec<(ColumnId, ColumnId)>,
    /// The operations; none where only the keys are used.
    pub calls: Vec<AggregateCall>,
}

/// One aggregate operation.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateCall {
    /// Column made.
    pub output: ColumnId,
    /// What is computed.
    pub op: AggregateOp,
    /// Of what; `None` for count.
    pub value: Option<Expr>,
}

/// Aggregate operations; each has mergeable state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    /// Entries (Int64).
    Count,
    /// Sum (Int64, Float64 or Duration).
    Sum,
    /// As sum; charts accumulate it over the bins.
    Total,
    /// Mean (Float64).
    Mean,
    /// Population standard deviation (Float64).
    Stddev,
    /// Population variance (Float64).
    Variance,
    /// Smallest, of the value's own type.
    Min,
    /// Largest, of the value's own type.
    Max,
    /// Distinct values, absent ones not counted (Int64).
    UniqueCount,
    /// Entropy of the bytes, normalised to 0..1 (Float64).
    Entropy,
}

/// A sort key.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    /// What to sort by.
    pub expr: Expr,
    /// Largest first.
    pub descending: bool,
}

/// A pure expression over columns. Null is "absent"; a comparison with null is null.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A column.
    Column(ColumnId),
    /// A constant.
    Literal(Literal),
    /// A constant null of a type.
    Null(EvType),
    /// All true (Kleene).
    And(Vec<Expr>),
    /// Any true (Kleene).
    Or(Vec<Expr>),
    /// Not (Kleene).
    Not(Box<Expr>),
    /// Whether a value is present.
    IsPresent(Box<Expr>),
    /// Comparison of two values of comparable types (numbers, strings, bytes, addresses of either
    /// family, times). Equality of addresses works across `Ipv4` and `Ip`.
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// Address in any of the networks; false for the other family.
    InSubnet(Box<Expr>, Vec<Subnet>),
    /// Arithmetic on numbers: Int64 or Float64 by the promotion rule; division and remainder by
    /// zero give null.
    Arithmetic(ArithmeticOp, Box<Expr>, Box<Expr>),
    /// First of (condition, value) that holds, else the last.
    Case(Vec<(Expr, Expr)>, Box<Expr>),
    /// First value that is present.
    Coalesce(Vec<Expr>),
    /// Conversion; null where it cannot be done.
    Cast(Box<Expr>, EvType),
    /// A function by its registered name (`plan::functions`), with its result type.
    Call(&'static str, Vec<Expr>, EvType),
}

/// Comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
}

/// Arithmetic and bit operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArithmeticOp {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
    /// `&`
    BitAnd,
    /// `|`
    BitOr,
    /// `^`
    BitXor,
    /// `<<`
    ShiftLeft,
    /// `>>`
    ShiftRight,
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Bool.
    Bool(bool),
    /// Int64.
    Int(i64),
    /// UInt64.
    UInt(u64),
    /// Float64.
    Float(f64),
    /// String.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Ip: 16 bytes, IPv4 mapped.
    Ip([u8; 16]),
    /// Mac.
    Mac(u64),
    /// Time in nanoseconds.
    Time(i64),
    /// Duration in nanoseconds.
    Duration(i64),
}

/// An IP network: 16-byte address, host bits zero, and prefix length in 0..=128 (IPv4 mapped:
/// 96 + its own).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subnet {
    /// The network address.
    pub network: [u8; 16],
    /// Prefix length over the 16 bytes.
    pub prefix: u8,
}

/// The last stage: how the answer is shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Renderer {
    /// DATA as text, non-printables as dots; `line` is the condensed text form where DATA is gone.
    Text {
        /// Bytes shown of an entry.
        limit: Option<u64>,
        /// Column shown: DATA or its text form.
        data: ColumnId,
        /// The entry's time.
        time: ColumnId,
    },
    /// DATA untouched.
    Raw {
        /// Bytes shown of an entry.
        limit: Option<u64>,
        /// Column shown.
        data: ColumnId,
    },
    /// DATA in upper-case hex.
    Hex {
        /// Column shown.
        data: ColumnId,
    },
    /// The frames as a capture file.
    Pcap {
        /// TIMESTAMP, DATA, WireLength, LinkType.
        columns: [ColumnId; 4],
    },
    /// Rows and columns.
    Table {
        /// The columns, in order.
        columns: Vec<ColumnId>,
        /// Merge windowed rows by their keys over the whole range before showing them:
        /// the columns that are keys. Others merge by their lineage; without one, numbers and
        /// durations are summed and other values are those of the newest row.
        /// `None`: rows as they are.
        merge: Option<Vec<ColumnId>>,
        /// `-nt` was given.
        condensed: bool,
    },
    /// Values over time.
    Chart {
        /// TIMESTAMP of the entries.
        time: ColumnId,
        /// Window of the entries in nanoseconds; bins are a whole multiple of it.
        window_ns: i64,
        /// What is drawn.
        categories: Vec<Category>,
        /// Sets per category, `other` included.
        limit: usize,
    },
    /// Stacked bars.
    Stackgraph {
        /// Bar.
        bar: ColumnId,
        /// Segment of a bar.
        segment: ColumnId,
        /// Its size.
        magnitude: ColumnId,
    },
    /// Force-directed graph: edges between values.
    Fdg {
        /// One end.
        source: ColumnId,
        /// The other.
        target: ColumnId,
        /// Edge weight; `None`: number of entries.
        weight: Option<ColumnId>,
        /// Group of the source node.
        source_group: Option<ColumnId>,
        /// Group of the target node.
        target_group: Option<ColumnId>,
        /// Merge A-B with B-A.
        both: bool,
    },
    /// Single numbers.
    Numbercard {
        /// The numbers.
        cards: Vec<Card>,
        /// Keys: one card per key tuple.
        keys: Vec<ColumnId>,
        /// `gauge` rather than `numbercard`.
        gauge: bool,
    },
}

/// A number of a numbercard or gauge.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// The number.
    pub value: ColumnId,
    /// What it is called.
    pub label: String,
    /// The smallest and the largest number of its scale.
    pub limits: Option<[Limit; 2]>,
}

impl Card {
    /// The columns that it reads.
    pub fn columns(&self) -> impl Iterator<Item = ColumnId> {
        let limits = self
            .limits
            .iter()
            .flatten()
            .filter_map(|limit| match limit {
                Limit::Column(column) => Some(*column),
                Limit::Number(_) => None,
            });
        [self.value].into_iter().chain(limits)
    }
}

/// An end of a scale.
#[derive(Clone, Debug, PartialEq)]
pub enum Limit {
    /// The same always.
    Number(f64),
    /// A value, merged as other numbers are.
    Column(ColumnId),
}

/// What a chart draws: one series per key tuple.
#[derive(Clone, Debug, PartialEq)]
pub struct Category {
    /// The value.
    pub value: ColumnId,
    /// Keys, in the order of the chart's `by`.
    pub keys: Vec<ColumnId>,
    /// Only entries of this branch count: (branch column, branch).
    pub branch: Option<(ColumnId, usize)>,
}
