//! Tests of the whole planner: golden pipelines and messages, and the published queries.

use std::collections::HashSet;
use std::path::Path;

use proptest::prelude::*;

use super::pipeline::{Aggregate, ColumnId, Expr, Op, Pipeline, SortKey};
use super::{check, explain, functions, resolve};
use crate::lang::diagnostic::Severity;
use crate::lang::{parse, render};

/// The pipeline of a query and its warnings, or its errors.
fn planned(text: &str) -> String {
    let (query, mut diagnostics) = parse(text);
    let mut out = String::new();
    match query.map(|query| resolve(&query)) {
        Some(Ok(pipeline)) => {
            validate(&pipeline);
            out.push_str(&explain(&pipeline));
            let dropping = pipeline.ops.iter().filter(|op| op.drops()).count();
            assert_eq!(pipeline.dropped_by.len(), dropping, "{text}");
            diagnostics.extend(pipeline.warnings);
        }
        Some(Err(problems)) => diagnostics.extend(problems),
        None => {}
    }
    out.push_str(&render(&diagnostics, text, false));
    let lines: Vec<&str> = out.lines().filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

/// Compares each block of a file, a `? query` line and what follows, with what the query gives now;
/// rewrites the file if `UPDATE_EXPECT` is set.
fn golden(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/plan/testdata")
        .join(name);
    let expected = std::fs::read_to_string(&path).unwrap();
    let mut actual = String::new();
    for line in expected.lines() {
        if let Some(query) = line.strip_prefix("? ") {
            actual.push_str(&format!("? {query}\n{}\n\n", planned(query)));
        } else if line.starts_with('#') {
            actual.push_str(&format!("{line}\n\n"));
        }
    }
    let actual = format!("{}\n", actual.trim_end());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let mut lines = (expected.lines(), actual.lines());
    let mut query = "";
    loop {
        let (want, got) = (lines.0.next(), lines.1.next());
        if let Some(text) = got.and_then(|line| line.strip_prefix("? ")) {
            query = text;
        }
        assert_eq!(got, want, "in {query}; set UPDATE_EXPECT=1 to accept");
        if want.is_none() {
            break;
        }
    }
}

#[test]
fn pipelines() {
    golden("pipelines.txt");
}

#[test]
fn messages() {
    golden("messages.txt");
}

#[test]
fn published_queries_check() {
    let lines = include_str!("../lang/testdata/queries.txt").lines();
    let mut count = 0;
    for line in lines.filter(|line| !line.starts_with('#')) {
        let mut parts = line.splitn(3, '\t');
        let (Some(number), Some(warns), Some(text)) = (parts.next(), parts.next(), parts.next())
        else {
            panic!("{line}");
        };
        count += 1;
        let (query, mut diagnostics) = parse(text);
        diagnostics.extend(check(&query.unwrap()));
        let shown = render(&diagnostics, text, false);
        let has = |severity| diagnostics.iter().any(|d| d.severity == severity);
        assert!(!has(Severity::Error), "query {number}:\n{shown}");
        if warns == "W" {
            assert!(has(Severity::Warning), "query {number} should warn");
        }
    }
    assert_eq!(count, 103);
}

/// Checks that every column is made before it is used, and only once.
struct Defined(HashSet<ColumnId>);

impl Defined {
    fn make(&mut self, column: ColumnId) {
        assert!(self.0.insert(column), "{column:?} is made twice");
    }

    fn need(&self, column: ColumnId) {
        assert!(self.0.contains(&column), "{column:?} is not made");
    }

    fn expr(&self, expr: &Expr) {
        match expr {
            Expr::Column(column) => self.need(*column),
            Expr::Literal(_) | Expr::Null(_) => {}
            Expr::And(parts) | Expr::Or(parts) | Expr::Coalesce(parts) => {
                assert!(!parts.is_empty());
                parts.iter().for_each(|part| self.expr(part));
            }
            Expr::Call(name, parts, _) => {
                let spec = functions::find(name).unwrap_or_else(|| panic!("no function {name}"));
                assert!(
                    (spec.arity.0..=spec.arity.1).contains(&parts.len()),
                    "{name}"
                );
                parts.iter().for_each(|part| self.expr(part));
            }
            Expr::Not(inner)
            | Expr::IsPresent(inner)
            | Expr::InSubnet(inner, _)
            | Expr::Cast(inner, _) => self.expr(inner),
            Expr::Compare(_, left, right) | Expr::Arithmetic(_, left, right) => {
                self.expr(left);
                self.expr(right);
            }
            Expr::Case(cases, otherwise) => {
                for (condition, value) in cases {
                    self.expr(condition);
                    self.expr(value);
                }
                self.expr(otherwise);
            }
        }
    }

    fn op(&mut self, op: &Op) {
        let order = |keys: &[SortKey], this: &Self| keys.iter().for_each(|k| this.expr(&k.expr));
        match op {
            Op::Filter(test) => self.expr(test),
            Op::Assign(columns) => {
                for (column, value) in columns {
                    self.expr(value);
                    self.make(*column);
                }
            }
            Op::Aggregate(aggregate) => self.aggregate(aggregate),
            Op::Distinct { keys, order: o, .. } => {
                keys.iter().for_each(|key| self.expr(key));
                order(o, self);
            }
            Op::Sort(keys) => order(keys, self),
            Op::Limit { .. } => {}
            Op::LimitBy { keys, order: o, .. } => {
                keys.iter().for_each(|key| self.need(*key));
                order(o, self);
            }
            Op::Difference {
                output,
                value,
                keys,
                order: o,
            } => {
                self.need(*value);
                keys.iter().for_each(|key| self.need(*key));
                order(o, self);
                self.make(*output);
            }
        }
    }

    /// Only what the aggregate makes exists after it.
    fn aggregate(&mut self, aggregate: &Aggregate) {
        self.need(aggregate.input_time);
        aggregate.input_sequence.iter().for_each(|c| self.need(*c));
        let mut after = Self(HashSet::new());
        after.make(aggregate.output_time);
        aggregate.branch_column.iter().for_each(|c| after.make(*c));
        let mut keys = HashSet::new();
        for branch in &aggregate.branches {
            for (output, input) in &branch.keys {
                self.need(*input);
                keys.insert(*output);
            }
            for call in &branch.calls {
                call.value.iter().for_each(|value| self.expr(value));
                after.make(call.output);
            }
        }
        keys.into_iter().for_each(|key| after.make(key));
        for (output, input) in &aggregate.carried {
            self.need(*input);
            after.make(*output);
        }
        *self = after;
    }
}

fn validate(pipeline: &Pipeline) {
    let mut defined = Defined(HashSet::new());
    for (column, _) in &pipeline.source {
        defined.make(*column);
    }
    pipeline.ops.iter().for_each(|op| defined.op(op));
    for column in pipeline.renderer.columns() {
        defined.need(column);
    }
}

/// Words that queries are made of, the wrong ones too.
const VOCABULARY: &[&str] = &[
    "|",
    "|",
    "|",
    "(",
    ")",
    "[",
    "]",
    ":",
    "0",
    "1",
    "-1",
    "443",
    "1m",
    "10.0.0.0/8",
    "\"x\"",
    "by",
    "as",
    "over",
    "limit",
    "asc",
    "desc",
    "-v",
    "-s",
    "-e",
    "-t",
    "-n",
    "-nt",
    "-or",
    "==",
    "!=",
    "~",
    "!~",
    "<",
    ">=",
    "/24",
    "SrcIP",
    "DstPort",
    "Payload",
    "count",
    "sum",
    "name",
    "TIMESTAMP",
    "DATA",
    "TAG",
    "SRC",
    "NOW",
    "PRIVATE",
    "true",
    "{",
    "}",
    ";",
    "=",
    "&&",
    "+",
    "if",
    "else",
    "return",
    "packet ipv4.SrcIP tcp.DstPort",
    "packet tcp.Payload",
    "packet ipv4.IP",
    "ipv4.SrcIP",
    "tcp.DstPort",
    "tcp.Port",
    "udp.Port",
    "tcp.Payload",
    "| count by SrcIP",
    "| stats sum(DstPort) by SrcIP count",
    "| sort by count desc",
    "| limit 3",
    "| table",
    "| chart count by SrcIP",
    "| eval x = DstPort + 1;",
    "| unique SrcIP",
    "| alias count n",
    "| regex -e Payload \"(?P<name>x)\"",
    "| length",
    "| subnet SrcIP /24",
    "| diff DstPort by SrcIP",
    "mean",
    "stats",
    "sort",
    "unique",
    "first",
    "top",
    "grep",
    "words",
    "regex",
    "require",
    "alias",
    "keep",
    "eval",
    "ip",
    "subnet",
    "length",
    "diff",
    "slice",
    "time",
    "table",
    "chart",
    "text",
    "fdg",
    "stackgraph",
    "numbercard",
    "pcap",
    "entropy",
    "geoip",
    "concat",
    "printf",
    "first",
    "last",
];

proptest! {
    #[test]
    fn nonsense_is_resolved_or_refused(words in prop::collection::vec(prop::sample::select(VOCABULARY), 0..24)) {
        let text = format!("tag=pcap {}", words.join(" "));
        if let (Some(query), diagnostics) = parse(&text) {
            check(&query);
            if let Ok(pipeline) = resolve(&query)
                && !diagnostics.iter().any(|d| d.severity == Severity::Error)
            {
                validate(&pipeline);
                explain(&pipeline);
            }
        }
    }
}
