//! What a stage sees and changes: the visible enumerated values, the operations so far, and the
//! order in which entries flow.

use super::pipeline::{
    Column, ColumnId, Expr, Lineage, Literal, Op, Renderer, SortKey, SourceColumn,
};
use super::report::{Outcome, error, hinted, nearest, warning};
use crate::decode;
use crate::lang::ast::Spanned;
use crate::lang::diagnostic::{Diagnostic, Severity, Span};
use crate::types::EvType;

/// How a visible value came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Taken from the packet.
    Extracted,
    /// Made by a stage.
    Made,
    /// Key of the last condensing stage.
    Key,
    /// Not asked for by the condensing stage: that of the newest entry of each group.
    Carried,
    /// Part of every entry.
    Intrinsic,
    /// Nothing produces it.
    Unknown,
}

/// A visible value.
#[derive(Clone, Debug)]
pub(crate) struct Visible {
    /// Its name.
    pub(crate) name: String,
    /// Its column.
    pub(crate) column: ColumnId,
    /// How it came to be.
    pub(crate) origin: Origin,
}

/// What the last condensing stage made.
#[derive(Clone, Debug)]
pub(crate) struct Condensed {
    /// Name of the stage, for messages.
    pub(crate) by: String,
    /// Window in nanoseconds.
    pub(crate) window_ns: Option<i64>,
    /// The column that tells branches apart, if there are several.
    pub(crate) branch_column: Option<ColumnId>,
    /// Keys of each branch.
    pub(crate) branch_keys: Vec<Vec<ColumnId>>,
    /// What the operations made, in order.
    pub(crate) outputs: Vec<ColumnId>,
    /// The text form that stands in for DATA, once somebody asked for it.
    data: Option<ColumnId>,
}

impl Condensed {
    /// A condensing stage's result.
    pub(crate) fn new(by: String, window_ns: Option<i64>) -> Self {
        Self {
            by,
            window_ns,
            branch_column: None,
            branch_keys: Vec::new(),
            outputs: Vec::new(),
            data: None,
        }
    }

    /// The keys of all branches, each once.
    pub(crate) fn keys(&self) -> Vec<ColumnId> {
        let mut keys = Vec::new();
        for key in self.branch_keys.iter().flatten() {
            if !keys.contains(key) {
                keys.push(*key);
            }
        }
        keys
    }
}

/// The state of resolving one query.
pub(crate) struct Scope {
    /// Tag patterns of the query.
    pub(crate) tags: Vec<String>,
    /// Every column, by id.
    pub(crate) columns: Vec<Column>,
    /// What the scan makes.
    pub(crate) source: Vec<(ColumnId, SourceColumn)>,
    /// The operations so far.
    pub(crate) ops: Vec<Op>,
    /// The renderer, once the last stage is reached.
    pub(crate) renderer: Option<Renderer>,
    /// Errors, warnings and hints so far.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The last condensing stage, if any.
    pub(crate) condensed: Option<Condensed>,
    /// Order in which entries flow, as far as it is defined.
    pub(crate) order: Vec<SortKey>,
    /// Whether entries are physically in that order.
    pub(crate) sorted: bool,
    /// `nosort` was given: the renderer adds no sort.
    pub(crate) no_sort: bool,
    /// Values may exist that the planner does not know of (a stage failed or is not available yet).
    pub(crate) opaque: bool,
    /// Modules that cannot run yet are read, and what they make is taken for granted.
    pub(crate) check_only: bool,
    /// Window of the present stage if it condenses, in nanoseconds, unless it says `over`.
    pub(crate) default_window: Option<i64>,
    /// `over` has no effect in the present stage: its rows are merged over the whole range anyway.
    pub(crate) ignore_over: bool,
    /// Stages before the present one that condensed.
    pub(crate) condensing_stages: usize,
    /// Layers that a filter asked for, to notice those that exclude each other.
    pub(crate) filtered_layers: Vec<(&'static str, Span)>,
    /// One-time hints that were given.
    pub(crate) hinted: Vec<&'static str>,
    /// Fields of the packet that were taken without a filter and may be absent: name of the value.
    pub(crate) optional_fields: Vec<String>,
    visible: Vec<Visible>,
}

impl Scope {
    /// A scope in which only the intrinsic values are visible.
    pub(crate) fn new() -> Self {
        Self {
            tags: Vec::new(),
            columns: Vec::new(),
            source: Vec::new(),
            ops: Vec::new(),
            renderer: None,
            diagnostics: Vec::new(),
            condensed: None,
            order: Vec::new(),
            sorted: false,
            no_sort: false,
            opaque: false,
            check_only: false,
            default_window: None,
            ignore_over: false,
            condensing_stages: 0,
            filtered_layers: Vec::new(),
            hinted: Vec::new(),
            optional_fields: Vec::new(),
            visible: Vec::new(),
        }
    }

    /// Adds an operation.
    pub(crate) fn emit(&mut self, op: Op) {
        self.ops.push(op);
    }

    /// Reports a warning.
    pub(crate) fn warn(&mut self, span: Span, message: impl Into<String>) {
        self.diagnostics.push(warning(span, message));
    }

    /// Reports a warning with a hint.
    pub(crate) fn warn_hint(
        &mut self,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.diagnostics.push(hinted(warning(span, message), hint));
    }

    /// Something that cannot run yet: an error, unless the query is only checked.
    pub(crate) fn unavailable(&mut self, span: Span, message: impl Into<String>) -> Outcome {
        if !self.check_only {
            return Err(error(span, message));
        }
        self.opaque = true;
        Ok(())
    }

    /// Whether an error was reported.
    pub(crate) fn failed(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|d| d.severity == Severity::Error)
    }

    /// A column that is not visible by name.
    pub(crate) fn column(
        &mut self,
        name: impl Into<String>,
        ty: EvType,
        lineage: Option<Lineage>,
    ) -> ColumnId {
        let id = ColumnId(u32::try_from(self.columns.len()).unwrap_or(u32::MAX));
        self.columns.push(Column {
            name: name.into(),
            ty,
            lineage,
        });
        id
    }

    /// What is known of a column.
    pub(crate) fn info(&self, column: ColumnId) -> Option<&Column> {
        self.columns.get(column.0 as usize)
    }

    /// Type of a column.
    pub(crate) fn ty(&self, column: ColumnId) -> EvType {
        self.info(column).map_or(EvType::String, |c| c.ty)
    }

    /// Lineage of a column.
    pub(crate) fn lineage(&self, column: ColumnId) -> Option<Lineage> {
        self.info(column).and_then(|c| c.lineage.clone())
    }

    /// Makes a column the value that a name stands for.
    pub(crate) fn bind(&mut self, name: impl Into<String>, column: ColumnId, origin: Origin) {
        let name = name.into();
        self.visible.retain(|v| v.name != name);
        self.visible.push(Visible {
            name,
            column,
            origin,
        });
    }

    /// Makes a value: a column, its expression and its name.
    pub(crate) fn define(&mut self, name: impl Into<String>, ty: EvType, expr: Expr) -> ColumnId {
        let name = name.into();
        let column = self.column(name.clone(), ty, None);
        self.emit(Op::Assign(vec![(column, expr)]));
        self.bind(name, column, Origin::Made);
        column
    }

    /// The visible values, in order of definition.
    pub(crate) fn visible(&self) -> &[Visible] {
        &self.visible
    }

    /// Replaces the visible values.
    pub(crate) fn replace_visible(&mut self, visible: Vec<Visible>) {
        self.visible = visible;
    }

    /// The visible value of a column.
    pub(crate) fn origin_of(&self, column: ColumnId) -> Option<Origin> {
        self.visible
            .iter()
            .find(|v| v.column == column)
            .map(|v| v.origin)
    }

    /// The column that the scan makes; asked for once, however often it is used.
    pub(crate) fn source(&mut self, source: SourceColumn, name: &str, ty: EvType) -> ColumnId {
        if let Some((column, _)) = self.source.iter().find(|(_, s)| *s == source) {
            return *column;
        }
        let column = self.column(name, ty, None);
        self.source.push((column, source));
        column
    }

    /// The time of an entry.
    pub(crate) fn time(&mut self) -> ColumnId {
        match self.find_exact("TIMESTAMP") {
            Some(column) => column,
            None => {
                let column = self.source(SourceColumn::Time, "TIMESTAMP", EvType::Time);
                self.bind("TIMESTAMP", column, Origin::Intrinsic);
                column
            }
        }
    }

    /// What breaks ties of time, while entries are frames.
    pub(crate) fn sequence(&mut self) -> Option<ColumnId> {
        self.condensed
            .is_none()
            .then(|| self.source(SourceColumn::Sequence, "sequence", EvType::UInt64))
    }

    /// DATA: the frame's bytes, or the text form of a condensed entry.
    pub(crate) fn data(&mut self) -> ColumnId {
        let Some(condensed) = &self.condensed else {
            return match self.find_exact("DATA") {
                Some(column) => column,
                None => {
                    let column = self.source(SourceColumn::Data, "DATA", EvType::Bytes);
                    self.bind("DATA", column, Origin::Intrinsic);
                    column
                }
            };
        };
        if let Some(column) = condensed.data {
            return column;
        }
        let parts = condensed
            .keys()
            .into_iter()
            .chain(condensed.outputs.iter().copied())
            .map(Expr::Column)
            .collect();
        let column = self.column("DATA", EvType::String, None);
        self.emit(Op::Assign(vec![(
            column,
            Expr::Call("join_text", parts, EvType::String),
        )]));
        self.bind("DATA", column, Origin::Intrinsic);
        if let Some(condensed) = &mut self.condensed {
            condensed.data = Some(column);
        }
        column
    }

    /// An intrinsic value by its exact name.
    pub(crate) fn intrinsic(&mut self, name: &str) -> Option<ColumnId> {
        match name {
            "TIMESTAMP" => Some(self.time()),
            "DATA" => Some(self.data()),
            "NOW" => {
                let column = self.define(
                    "NOW",
                    EvType::Time,
                    Expr::Call("now", Vec::new(), EvType::Time),
                );
                self.bind("NOW", column, Origin::Intrinsic);
                Some(column)
            }
            // After condensing they are carried, that is, bound already.
            "TAG" if self.condensed.is_none() => {
                let column = self.source(SourceColumn::Tag, "TAG", EvType::String);
                self.bind("TAG", column, Origin::Intrinsic);
                Some(column)
            }
            "SRC" if self.condensed.is_none() => {
                let column = self.source(SourceColumn::Source, "SRC", EvType::Ip);
                self.bind("SRC", column, Origin::Intrinsic);
                Some(column)
            }
            _ => None,
        }
    }

    /// A visible value by its exact name.
    pub(crate) fn find_exact(&self, name: &str) -> Option<ColumnId> {
        self.visible
            .iter()
            .find(|v| v.name == name)
            .map(|v| v.column)
    }

    /// Whether a name stands for a value, in any case, without making one.
    pub(crate) fn is_value(&self, name: &str) -> bool {
        self.visible
            .iter()
            .any(|v| v.origin != Origin::Unknown && v.name.eq_ignore_ascii_case(name))
    }

    /// The value that a name stands for: the exact name, else the one that differs in case only
    /// (said aloud), else an absent one (said aloud).
    pub(crate) fn lookup(&mut self, name: &Spanned<String>) -> ColumnId {
        let text = name.value.as_str();
        if let Some(column) = self.find_exact(text).or_else(|| self.intrinsic(text)) {
            return column;
        }
        let close: Vec<String> = self
            .visible
            .iter()
            .filter(|v| v.origin != Origin::Unknown)
            .map(|v| v.name.as_str())
            .chain(INTRINSIC)
            .filter(|n| n.eq_ignore_ascii_case(text))
            .map(str::to_owned)
            .collect();
        if let Some(first) = close.first()
            && close.iter().all(|n| n == first)
        {
            self.warn(
                name.span,
                format!("'{text}' is read as '{first}': names are case-sensitive"),
            );
            if let Some(column) = self.find_exact(first).or_else(|| self.intrinsic(first)) {
                return column;
            }
        }
        self.unknown(name)
    }

    fn unknown(&mut self, name: &Spanned<String>) -> ColumnId {
        let text = name.value.as_str();
        if !self.opaque {
            let problem = warning(
                name.span,
                format!("nothing produces '{text}': it is absent"),
            );
            let known: Vec<&str> = self
                .visible
                .iter()
                .filter(|v| v.origin != Origin::Unknown)
                .map(|v| v.name.as_str())
                .chain(INTRINSIC)
                .collect();
            let problem = if let Some(field) = decode::fields().iter().find(|f| f.name == text) {
                hinted(
                    problem,
                    format!("extract it first: packet {}.{}", field.protocol, field.name),
                )
            } else if let Some(near) = nearest(text, known.iter().copied()) {
                hinted(problem, format!("did you mean '{near}'?"))
            } else {
                problem
            };
            self.diagnostics.push(problem);
        }
        let column = self.define(text, EvType::String, Expr::Null(EvType::String));
        self.bind(text, column, Origin::Unknown);
        column
    }

    /// The order in which entries flow: newest first unless something changed it.
    pub(crate) fn order(&mut self) -> Vec<SortKey> {
        if self.order.is_empty() && self.condensed.is_none() {
            let time = self.time();
            self.order = vec![descending(time)];
            let sequence = self.sequence();
            self.order.extend(sequence.map(descending));
        }
        self.order.clone()
    }

    /// Puts entries into the order in which they flow, for stages that depend on it.
    pub(crate) fn sort_now(&mut self) {
        if self.sorted {
            return;
        }
        let order = self.order();
        if !order.is_empty() {
            self.emit(Op::Sort(order));
        }
        self.sorted = true;
    }

    /// Says something once for the whole query.
    pub(crate) fn hint_once(&mut self, key: &'static str, span: Span, message: String, hint: &str) {
        if !self.hinted.contains(&key) {
            self.hinted.push(key);
            self.warn_hint(span, message, hint);
        }
    }
}

const INTRINSIC: [&str; 5] = ["TIMESTAMP", "TAG", "SRC", "DATA", "NOW"];

/// A sort key, largest first.
pub(crate) fn descending(column: ColumnId) -> SortKey {
    SortKey {
        expr: Expr::Column(column),
        descending: true,
    }
}

/// A sort key, smallest first.
pub(crate) fn ascending(column: ColumnId) -> SortKey {
    SortKey {
        expr: Expr::Column(column),
        descending: false,
    }
}

/// A string constant.
pub(crate) fn text(value: impl Into<String>) -> Expr {
    Expr::Literal(Literal::String(value.into()))
}

/// A stage that reads frames after they are gone.
pub(crate) fn needs_frames(scope: &Scope, what: &str, span: Span) -> Result<(), Diagnostic> {
    match &scope.condensed {
        None => Ok(()),
        Some(condensed) => Err(hinted(
            error(
                span,
                format!(
                    "{what} reads packets, but after {} there are only counts and keys",
                    condensed.by
                ),
            ),
            format!("put {what} before {}", condensed.by),
        )),
    }
}
