//! A resolved pipeline as text, for people and for tests.

use std::fmt::Write as _;

use super::pipeline::{
    Aggregate, AggregateOp, ArithmeticOp, Card, ColumnId, Comparison, Expr, Limit, Literal, Op,
    Pipeline, Renderer, SortKey, SourceColumn, TimeBound,
};
use crate::decode;
use crate::text;

/// One line per operation; a column is `name#id`.
pub fn explain(pipeline: &Pipeline) -> String {
    let mut out = String::new();
    let _ = write!(out, "tag {}", pipeline.tags.join(","));
    for (name, bound) in [("start", pipeline.start), ("end", pipeline.end)] {
        if let Some(bound) = bound {
            let _ = write!(out, " {name} {}", time_bound(bound));
        }
    }
    let show = Show(pipeline);
    let source: Vec<String> = pipeline
        .source
        .iter()
        .map(|(column, source)| format!("{} = {}", show.typed(*column), source_text(*source)))
        .collect();
    let _ = write!(out, "\nscan {}", source.join(", "));
    for op in &pipeline.ops {
        let _ = write!(out, "\n{}", show.op(op));
    }
    let _ = writeln!(out, "\n{}", show.renderer(&pipeline.renderer));
    out
}

fn time_bound(bound: TimeBound) -> String {
    match bound {
        TimeBound::Absolute(time) => text::time(time),
        TimeBound::RelativeToNow(0) => "now".to_owned(),
        TimeBound::RelativeToNow(offset) => format!("now{}", signed(offset)),
        TimeBound::RelativeToOther(offset) => format!("other{}", signed(offset)),
    }
}

fn signed(offset: i64) -> String {
    let sign = if offset < 0 { "" } else { "+" };
    format!("{sign}{}", text::duration(offset))
}

fn source_text(source: SourceColumn) -> String {
    match source {
        SourceColumn::Time => "time".to_owned(),
        SourceColumn::Sequence => "sequence".to_owned(),
        SourceColumn::Tag => "tag".to_owned(),
        SourceColumn::Source => "source".to_owned(),
        SourceColumn::Data => "data".to_owned(),
        SourceColumn::WireLength => "wire-length".to_owned(),
        SourceColumn::LinkType => "link-type".to_owned(),
        SourceColumn::Loss(column) => column.name().to_owned(),
        SourceColumn::Field { field, inner } => {
            let name = decode::fields()
                .get(usize::from(field))
                .map_or_else(|| "?".to_owned(), |f| format!("{}.{}", f.protocol, f.name));
            if inner { format!("inner {name}") } else { name }
        }
    }
}

struct Show<'a>(&'a Pipeline);

impl Show<'_> {
    fn column(&self, id: ColumnId) -> String {
        let name = self.0.columns.get(id.0 as usize).map_or("?", |c| &c.name);
        format!("{name}#{}", id.0)
    }

    fn typed(&self, id: ColumnId) -> String {
        match self.0.columns.get(id.0 as usize) {
            Some(column) => format!("{}:{}", self.column(id), column.ty),
            None => self.column(id),
        }
    }

    fn list(&self, ids: &[ColumnId]) -> String {
        let names: Vec<String> = ids.iter().map(|id| self.column(*id)).collect();
        names.join(" ")
    }

    fn order(&self, keys: &[SortKey]) -> String {
        let keys: Vec<String> = keys
            .iter()
            .map(|key| {
                let direction = if key.descending { " desc" } else { "" };
                format!("{}{direction}", self.expr(&key.expr))
            })
            .collect();
        keys.join(", ")
    }

    fn op(&self, op: &Op) -> String {
        match op {
            Op::Filter(test) => format!("filter {}", self.expr(test)),
            Op::Assign(columns) => {
                let columns: Vec<String> = columns
                    .iter()
                    .map(|(column, value)| {
                        format!("{} = {}", self.typed(*column), self.expr(value))
                    })
                    .collect();
                format!("assign {}", columns.join(", "))
            }
            Op::Aggregate(aggregate) => self.aggregate(aggregate),
            Op::Distinct {
                keys,
                window_ns,
                order,
            } => {
                let keys: Vec<String> = keys.iter().map(|key| self.expr(key)).collect();
                format!(
                    "distinct{} {} order {}",
                    window(*window_ns),
                    keys.join(" "),
                    self.order(order)
                )
            }
            Op::Sort(keys) => format!("sort {}", self.order(keys)),
            Op::Limit { skip: 0, fetch } => format!("limit {fetch}"),
            Op::Limit { skip, fetch } => format!("limit {fetch} skip {skip}"),
            Op::LimitBy { fetch, keys, order } => format!(
                "limit {fetch} by {} order {}",
                self.list(keys),
                self.order(order)
            ),
            Op::Difference {
                output,
                value,
                keys,
                order,
            } => format!(
                "difference {} of {} by {} order {}",
                self.typed(*output),
                self.column(*value),
                self.list(keys),
                self.order(order)
            ),
        }
    }

    fn aggregate(&self, aggregate: &Aggregate) -> String {
        let mut out = match aggregate.window_ns {
            Some(width) => format!(
                "aggregate over {} {} from {}",
                text::duration(width),
                self.column(aggregate.output_time),
                self.column(aggregate.input_time)
            ),
            None => "aggregate condensed".to_owned(),
        };
        if let Some(column) = aggregate.branch_column {
            let _ = write!(out, " branches {}", self.column(column));
        }
        for branch in &aggregate.branches {
            out.push_str("\n ");
            for call in &branch.calls {
                let value = call.value.as_ref().map_or(String::new(), |v| self.expr(v));
                let op = aggregate_op(call.op);
                let _ = write!(out, " {} = {op}({value})", self.typed(call.output));
            }
            let keys: Vec<String> = branch
                .keys
                .iter()
                .map(|(output, input)| {
                    format!("{} = {}", self.column(*output), self.column(*input))
                })
                .collect();
            if !keys.is_empty() {
                let _ = write!(out, " by {}", keys.join(", "));
            }
        }
        if !aggregate.carried.is_empty() {
            let carried: Vec<String> = aggregate
                .carried
                .iter()
                .map(|(output, input)| {
                    format!("{} = {}", self.column(*output), self.column(*input))
                })
                .collect();
            let _ = write!(out, "\n  newest {}", carried.join(", "));
        }
        out
    }

    fn renderer(&self, renderer: &Renderer) -> String {
        let limited =
            |limit: &Option<u64>| limit.map_or(String::new(), |limit| format!(" limit {limit}"));
        match renderer {
            Renderer::Text { limit, data, .. } => {
                format!("text {}{}", self.column(*data), limited(limit))
            }
            Renderer::Raw { limit, data } => {
                format!("raw {}{}", self.column(*data), limited(limit))
            }
            Renderer::Hex { data } => format!("hex {}", self.column(*data)),
            Renderer::Pcap { columns } => format!("pcap {}", self.list(columns)),
            Renderer::Table { columns, merge, .. } => {
                let merge = merge.as_ref().map_or(String::new(), |keys| {
                    format!(" merged by ({})", self.list(keys))
                });
                format!("table {}{merge}", self.list(columns))
            }
            Renderer::Chart { .. } => self.chart(renderer),
            Renderer::Stackgraph {
                bar,
                segment,
                magnitude,
            } => format!(
                "stackgraph bar {} segment {} magnitude {}",
                self.column(*bar),
                self.column(*segment),
                self.column(*magnitude)
            ),
            Renderer::Fdg { .. } => self.fdg(renderer),
            Renderer::Numbercard { cards, keys, gauge } => {
                let cards: Vec<String> = cards.iter().map(|card| self.card(card)).collect();
                let name = if *gauge { "gauge" } else { "numbercard" };
                format!("{name} {} keys ({})", cards.join(", "), self.list(keys))
            }
        }
    }

    fn card(&self, card: &Card) -> String {
        let limit = |limit: &Limit| match limit {
            Limit::Number(number) => text::float(*number),
            Limit::Column(column) => self.column(*column),
        };
        let scale = card.limits.as_ref().map_or(String::new(), |[min, max]| {
            format!(" from {} to {}", limit(min), limit(max))
        });
        format!("{} {:?}{scale}", self.column(card.value), card.label)
    }

    fn chart(&self, renderer: &Renderer) -> String {
        let Renderer::Chart {
            window_ns,
            categories,
            limit,
            ..
        } = renderer
        else {
            return String::new();
        };
        let mut out = format!("chart window {} limit {limit}", text::duration(*window_ns));
        for category in categories {
            let _ = write!(out, "\n  {}", self.column(category.value));
            if !category.keys.is_empty() {
                let _ = write!(out, " by {}", self.list(&category.keys));
            }
            if let Some((column, branch)) = category.branch {
                let _ = write!(out, " where {} = {branch}", self.column(column));
            }
        }
        out
    }

    fn fdg(&self, renderer: &Renderer) -> String {
        let Renderer::Fdg {
            source,
            target,
            weight,
            source_group,
            target_group,
            both,
        } = renderer
        else {
            return String::new();
        };
        let mut out = format!("fdg {} {}", self.column(*source), self.column(*target));
        for (name, column) in [
            ("weight", weight),
            ("source-group", source_group),
            ("target-group", target_group),
        ] {
            if let Some(column) = column {
                let _ = write!(out, " {name} {}", self.column(*column));
            }
        }
        if *both {
            out.push_str(" both");
        }
        out
    }

    fn exprs(&self, exprs: &[Expr], separator: &str) -> String {
        let parts: Vec<String> = exprs.iter().map(|e| self.expr(e)).collect();
        parts.join(separator)
    }

    fn expr(&self, expr: &Expr) -> String {
        match expr {
            Expr::Column(column) => self.column(*column),
            Expr::Literal(literal) => literal_text(literal),
            Expr::Null(_) => "null".to_owned(),
            Expr::And(parts) => format!("({})", self.exprs(parts, " and ")),
            Expr::Or(parts) => format!("({})", self.exprs(parts, " or ")),
            Expr::Not(inner) => format!("not {}", self.expr(inner)),
            Expr::IsPresent(inner) => format!("present({})", self.expr(inner)),
            Expr::Compare(op, left, right) => format!(
                "({} {} {})",
                self.expr(left),
                comparison(*op),
                self.expr(right)
            ),
            Expr::InSubnet(value, networks) => {
                let networks: Vec<String> = networks
                    .iter()
                    .map(|n| network_text(n.network, n.prefix))
                    .collect();
                format!("({} in {})", self.expr(value), networks.join(","))
            }
            Expr::Arithmetic(op, left, right) => format!(
                "({} {} {})",
                self.expr(left),
                arithmetic(*op),
                self.expr(right)
            ),
            Expr::Case(cases, otherwise) => {
                let mut out = "case".to_owned();
                for (condition, value) in cases {
                    let _ = write!(out, " {} then {}", self.expr(condition), self.expr(value));
                }
                format!("({out} else {})", self.expr(otherwise))
            }
            Expr::Coalesce(values) => format!("coalesce({})", self.exprs(values, ", ")),
            Expr::Cast(value, ty) => format!("{ty}({})", self.expr(value)),
            Expr::Call(name, args, _) => format!("{name}({})", self.exprs(args, ", ")),
        }
    }
}

/// A network as people write it: IPv4 lengths count the 32 bits of the family.
fn network_text(network: [u8; 16], prefix: u8) -> String {
    let address = text::ip(network);
    match prefix.checked_sub(96) {
        Some(length) if !address.contains(':') => format!("{address}/{length}"),
        _ => format!("{address}/{prefix}"),
    }
}

fn literal_text(literal: &Literal) -> String {
    match literal {
        Literal::Bool(value) => value.to_string(),
        Literal::Int(value) => value.to_string(),
        Literal::UInt(value) => value.to_string(),
        Literal::Float(value) => text::float(*value),
        Literal::String(value) => format!("{value:?}"),
        Literal::Bytes(value) => format!("b\"{}\"", value.escape_ascii()),
        Literal::Ip(value) => text::ip(*value),
        Literal::Mac(value) => text::mac(*value),
        Literal::Time(value) => text::time(*value),
        Literal::Duration(value) => text::duration(*value),
    }
}

fn window(window_ns: Option<i64>) -> String {
    window_ns.map_or(String::new(), |w| format!(" over {}", text::duration(w)))
}

fn comparison(op: Comparison) -> &'static str {
    match op {
        Comparison::Eq => "==",
        Comparison::Ne => "!=",
        Comparison::Lt => "<",
        Comparison::Le => "<=",
        Comparison::Gt => ">",
        Comparison::Ge => ">=",
    }
}

fn arithmetic(op: ArithmeticOp) -> &'static str {
    match op {
        ArithmeticOp::Add => "+",
        ArithmeticOp::Subtract => "-",
        ArithmeticOp::Multiply => "*",
        ArithmeticOp::Divide => "/",
        ArithmeticOp::Remainder => "%",
        ArithmeticOp::BitAnd => "&",
        ArithmeticOp::BitOr => "|",
        ArithmeticOp::BitXor => "^",
        ArithmeticOp::ShiftLeft => "<<",
        ArithmeticOp::ShiftRight => ">>",
    }
}

fn aggregate_op(op: AggregateOp) -> &'static str {
    match op {
        AggregateOp::Count => "count",
        AggregateOp::Sum => "sum",
        AggregateOp::Total => "total",
        AggregateOp::Mean => "mean",
        AggregateOp::Stddev => "stddev",
        AggregateOp::Variance => "variance",
        AggregateOp::Min => "min",
        AggregateOp::Max => "max",
        AggregateOp::UniqueCount => "unique_count",
        AggregateOp::Entropy => "entropy",
    }
}
