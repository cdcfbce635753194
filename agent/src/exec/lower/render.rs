//! Lowering of the renderers: the columns of the answer, merged where the renderer merges.

use datafusion::functions_aggregate::expr_fn::{count, last_value};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::expr_fn::when;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, WindowFunctionDefinition, lit,
};

use super::aggregate::{Grouping, Slot};
use super::expr::null;
use super::{Lowered, Lowerer, Merge, named};
use crate::exec::error::Error;
use crate::exec::functions::Function;
use crate::plan::pipeline::{Card, Category, ColumnId, Limit, Renderer};
use crate::shape::Shape;
use crate::types::{EvType, OutputColumn};

/// What a chart is computed from.
pub(in crate::exec) struct ChartInput {
    /// The entries.
    pub(in crate::exec) plan: LogicalPlan,
    /// Their time.
    pub(in crate::exec) time: Expr,
    /// Width of a window in nanoseconds.
    pub(in crate::exec) window_ns: i64,
    /// Series per category, `other` included.
    pub(in crate::exec) limit: usize,
    /// The key columns of the answer.
    pub(in crate::exec) keys: Vec<OutputColumn>,
    /// What is drawn.
    pub(in crate::exec) categories: Vec<ChartCategory>,
}

/// A category of a chart.
pub(in crate::exec) struct ChartCategory {
    pub(in crate::exec) name: String,
    pub(in crate::exec) merge: Merge,
    /// Which entries count.
    pub(in crate::exec) filter: Option<Expr>,
    /// Its keys: place among the answer's, and the column.
    pub(in crate::exec) keys: Vec<(usize, Expr)>,
}

impl Lowerer<'_> {
    pub(super) fn render(mut self) -> Result<Lowered, Error> {
        let pipeline = self.pipeline;
        match &pipeline.renderer {
            Renderer::Text { data, time, limit } => {
                let data = self.cut(*data, *limit)?;
                self.entries(&[*time], data, Shape::Text)
            }
            Renderer::Raw { data, limit } => {
                let data = self.cut(*data, *limit)?;
                self.entries(&[], data, Shape::Raw)
            }
            Renderer::Hex { data } => self.plain(&[*data], Shape::Hex),
            Renderer::Pcap { columns } => self.plain(columns, Shape::Pcap),
            Renderer::Table { columns, merge, .. } => {
                if let Some(keys) = merge {
                    self.merge_rows(columns, keys)?;
                }
                self.plain(columns, Shape::Rows)
            }
            Renderer::Chart {
                time,
                window_ns,
                categories,
                limit,
            } => self.chart(*time, *window_ns, categories, *limit),
            Renderer::Stackgraph {
                bar,
                segment,
                magnitude,
            } => self.stackgraph(*bar, *segment, *magnitude),
            Renderer::Fdg { .. } => self.fdg(&pipeline.renderer),
            Renderer::Numbercard { cards, keys, gauge } => self.numbercard(cards, keys, *gauge),
        }
    }

    /// Columns as they are, in the noted order.
    fn plain(self, columns: &[ColumnId], shape: Shape) -> Result<Lowered, Error> {
        let outputs = columns.iter().map(|id| self.output(*id)).collect();
        let exprs = columns.iter().map(|id| self.col(*id)).collect();
        let plan = self.ordered(self.builder())?;
        answer(plan, exprs, outputs, shape)
    }

    /// Columns as they are and an entry behind them.
    fn entries(
        self,
        columns: &[ColumnId],
        (data, entry): (OutputColumn, Expr),
        shape: Shape,
    ) -> Result<Lowered, Error> {
        let columns = columns.iter();
        let (mut outputs, mut exprs): (Vec<_>, Vec<_>) =
            columns.map(|id| (self.output(*id), self.col(*id))).unzip();
        outputs.push(data);
        exprs.push(entry);
        let plan = self.ordered(self.builder())?;
        answer(plan, exprs, outputs, shape)
    }

    /// A column, its bytes or its text cut to so many bytes, which then holds in every format.
    fn cut(&self, id: ColumnId, limit: Option<u64>) -> Result<(OutputColumn, Expr), Error> {
        let (column, value) = (self.output(id), self.col(id));
        let (Some(limit), ty @ (EvType::Bytes | EvType::String)) = (limit, column.ty) else {
            return Ok((column, value));
        };
        let end = i64::try_from(limit).unwrap_or(i64::MAX);
        let arguments = vec![
            (value, ty),
            (lit(0_i64), EvType::Int64),
            (lit(end), EvType::Int64),
        ];
        let value = Function::call("slice", arguments, ty, &[])?;
        Ok((column, value))
    }

    /// Merges the entries of each key; columns that are neither keys nor values are the newest
    /// entry's.
    fn merge_rows(&mut self, columns: &[ColumnId], keys: &[ColumnId]) -> Result<(), Error> {
        let mut grouping = Grouping::new();
        let keys: Vec<_> = keys
            .iter()
            .map(|id| (*id, grouping.group(self.col(*id))))
            .collect();
        let newest: Vec<_> = self
            .time
            .iter()
            .map(|id| self.col(*id).sort(true, true))
            .collect();
        let mut made: Vec<(ColumnId, Vec<Slot>, Option<Merge>)> = Vec::new();
        for id in columns {
            if keys.iter().any(|(key, _)| key == id) || made.iter().any(|(own, ..)| own == id) {
                continue;
            }
            let column = self.column(*id);
            if column.lineage.is_some() || column.ty.is_number() || column.ty == EvType::Duration {
                let merge = self.merge_of(*id);
                let slots = merge
                    .calls()?
                    .into_iter()
                    .map(|e| grouping.call(e))
                    .collect();
                made.push((*id, slots, Some(merge)));
            } else {
                let slot = grouping.call(last_value(self.col(*id), newest.clone()));
                made.push((*id, vec![slot], None));
            }
        }
        let (plan, column) = grouping.build(self.plan.clone())?;
        let mut exprs: Vec<Expr> = keys
            .iter()
            .map(|(id, slot)| column(*slot).alias(self.name(*id)))
            .collect();
        for (id, slots, merge) in made {
            let state: Vec<Expr> = slots.into_iter().map(&column).collect();
            let value = match (&merge, state.as_slice()) {
                (Some(merge), state) => {
                    super::expr::convert(merge.finish(state)?, merge.ty, self.column(id).ty)?
                }
                (None, [value]) => value.clone(),
                (None, _) => null(self.column(id).ty)?,
            };
            exprs.push(value.alias(self.name(id)));
        }
        self.ties = keys.into_iter().map(|(id, _)| id).collect();
        self.plan = LogicalPlanBuilder::new(plan).project(exprs)?.build()?;
        Ok(())
    }

    fn chart(
        self,
        time: ColumnId,
        window_ns: i64,
        categories: &[Category],
        limit: usize,
    ) -> Result<Lowered, Error> {
        let mut names: Vec<String> = Vec::new();
        let mut keys: Vec<OutputColumn> = Vec::new();
        for id in categories.iter().flat_map(|category| &category.keys) {
            let key = self.output(*id);
            if !names.contains(&key.name) {
                names.push(key.name.clone());
                keys.push(key);
            }
        }
        let lowered = categories.iter().map(|category| ChartCategory {
            name: self.column(category.value).name.clone(),
            merge: self.merge_of(category.value),
            filter: category.branch.map(|(column, branch)| {
                self.col(column)
                    .eq(lit(u8::try_from(branch).unwrap_or(u8::MAX)))
            }),
            keys: category
                .keys
                .iter()
                .filter_map(|id| {
                    let place = names
                        .iter()
                        .position(|name| *name == self.column(*id).name)?;
                    Some((place, self.col(*id)))
                })
                .collect(),
        });
        Ok(Lowered::Chart(ChartInput {
            time: self.col(time),
            window_ns,
            limit,
            categories: lowered.collect(),
            keys,
            plan: self.plan,
        }))
    }

    fn stackgraph(
        self,
        bar: ColumnId,
        segment: ColumnId,
        magnitude: ColumnId,
    ) -> Result<Lowered, Error> {
        let merge = self.merge_of(magnitude);
        let mut grouping = Grouping::new();
        let bar_slot = grouping.group(self.col(bar));
        let segment_slot = grouping.group(self.col(segment));
        let slots: Vec<_> = merge
            .calls()?
            .into_iter()
            .map(|e| grouping.call(e))
            .collect();
        let (plan, column) = grouping.build(self.plan.clone())?;
        let state: Vec<_> = slots.into_iter().map(&column).collect();
        let value = merge.finish(&state)?;
        let plan = LogicalPlanBuilder::new(plan).project([
            column(bar_slot).alias("bar"),
            column(segment_slot).alias("segment"),
            value.alias("magnitude"),
        ])?;
        let sum_over = WindowFunctionDefinition::AggregateUDF(sum_udaf());
        let total = Expr::from(WindowFunction::new(sum_over, vec![named("magnitude")]))
            .partition_by(vec![named("bar")])
            .build()?;
        let total_name = total.schema_name().to_string();
        let plan = plan.window([total])?.sort([
            named(total_name).sort(false, false),
            named("bar").sort(true, false),
            named("magnitude").sort(false, false),
            named("segment").sort(true, false),
        ])?;
        let mut size = self.output(magnitude);
        size.ty = merge.ty;
        let outputs = vec![self.output(bar), self.output(segment), size];
        let exprs = ["bar", "segment", "magnitude"].map(named).to_vec();
        answer(plan, exprs, outputs, Shape::Stackgraph)
    }

    fn fdg(self, renderer: &Renderer) -> Result<Lowered, Error> {
        let Renderer::Fdg {
            source,
            target,
            weight,
            source_group,
            target_group,
            both,
        } = renderer
        else {
            return Err(Error::Internal("not a graph".to_owned()));
        };
        let ends = [*source, *target];
        let grouped = source_group.is_some() || target_group.is_some();
        let end_type = common(self.column(*source).ty, self.column(*target).ty);
        let group_types = [source_group, target_group].map(|id| id.map(|id| self.column(id).ty));
        let group_type = match group_types {
            [Some(a), Some(b)] => common(a, b),
            [Some(ty), None] | [None, Some(ty)] => ty,
            [None, None] => EvType::String,
        };
        let mut nodes = Vec::new();
        for id in ends {
            nodes.push(self.column_as(id, end_type)?);
        }
        for id in [source_group, target_group] {
            nodes.push(match id {
                Some(id) => self.column_as(*id, group_type)?,
                None => null(group_type)?,
            });
        }
        let [a, b, group_a, group_b] = nodes.as_slice() else {
            return Err(Error::Internal("a graph has two ends".to_owned()));
        };
        let ordered = |first: &Expr, second: &Expr| {
            if *both {
                let swapped = a.clone().gt(b.clone());
                Ok(when(swapped, second.clone()).otherwise(first.clone())?)
            } else {
                Ok::<_, Error>(first.clone())
            }
        };
        let mut keys = vec![ordered(a, b)?, ordered(b, a)?];
        if grouped {
            keys.extend([ordered(group_a, group_b)?, ordered(group_b, group_a)?]);
        }
        let plan = self
            .builder()
            .filter(self.col(*source).is_not_null())?
            .filter(self.col(*target).is_not_null())?
            .build()?;
        let mut grouping = Grouping::new();
        let keys: Vec<_> = keys.into_iter().map(|key| grouping.group(key)).collect();
        let merge = weight.map(|id| self.merge_of(id));
        let calls = match &merge {
            Some(merge) => merge.calls()?,
            None => vec![count(lit(1_i64))],
        };
        let slots: Vec<_> = calls.into_iter().map(|e| grouping.call(e)).collect();
        let (plan, column) = grouping.build(plan)?;
        let state: Vec<_> = slots.into_iter().map(&column).collect();
        let value = match (&merge, state.first()) {
            (Some(merge), _) => merge.finish(&state)?,
            (None, Some(count)) => count.clone(),
            (None, None) => null(EvType::Int64)?,
        };
        let names = ["source", "target", "source_group", "target_group"];
        let mut exprs: Vec<Expr> = keys
            .iter()
            .zip(names)
            .map(|(slot, name)| column(*slot).alias(name))
            .collect();
        exprs.insert(2, value.alias("weight"));
        let plan = LogicalPlanBuilder::new(plan).project(exprs)?.sort([
            named("weight").sort(false, false),
            named("source").sort(true, false),
            named("target").sort(true, false),
        ])?;
        let output = |name: &str, ty| OutputColumn {
            name: name.to_owned(),
            ty,
        };
        let weight_type = merge.map_or(EvType::Int64, |merge| merge.ty);
        let mut outputs = vec![
            output("source", end_type),
            output("target", end_type),
            output("weight", weight_type),
        ];
        if grouped {
            outputs.push(output("source_group", group_type));
            outputs.push(output("target_group", group_type));
        }
        let exprs = outputs.iter().map(|column| named(&column.name)).collect();
        answer(plan, exprs, outputs, Shape::Fdg)
    }

    fn numbercard(self, cards: &[Card], keys: &[ColumnId], gauge: bool) -> Result<Lowered, Error> {
        let mut grouping = Grouping::new();
        let key_slots: Vec<_> = keys
            .iter()
            .map(|id| grouping.group(self.col(*id)))
            .collect();
        // Each number of a card: its name, and the constant or what merges it.
        let mut values = Vec::new();
        for (name, number) in cards.iter().flat_map(numbers) {
            values.push(match number {
                Limit::Number(number) => (name, Err(number)),
                Limit::Column(id) => {
                    let merge = self.merge_of(id);
                    let calls = merge.calls()?.into_iter();
                    let slots: Vec<_> = calls.map(|e| grouping.call(e)).collect();
                    (name, Ok((merge, slots)))
                }
            });
        }
        let (plan, column) = grouping.build(self.plan.clone())?;
        let mut exprs: Vec<Expr> = key_slots.into_iter().map(&column).collect();
        let order: Vec<_> = exprs
            .iter()
            .map(|key| key.clone().sort(true, false))
            .collect();
        let mut outputs: Vec<_> = keys.iter().map(|id| self.output(*id)).collect();
        for (name, number) in values {
            let (expr, ty) = match number {
                Err(number) => (lit(number), EvType::Float64),
                Ok((merge, slots)) => {
                    let state: Vec<_> = slots.into_iter().map(&column).collect();
                    (merge.finish(&state)?, merge.ty)
                }
            };
            exprs.push(expr);
            outputs.push(OutputColumn { name, ty });
        }
        let mut plan = LogicalPlanBuilder::new(plan);
        if !order.is_empty() {
            plan = plan.sort(order)?;
        }
        let shape = Shape::Numbercard {
            gauge,
            keys: keys.len(),
            scales: cards.iter().map(|card| card.limits.is_some()).collect(),
        };
        answer(plan, exprs, outputs, shape)
    }
}

/// The columns of a card: its number, and its limits.
fn numbers(card: &Card) -> impl Iterator<Item = (String, Limit)> {
    let names = ["min", "max"].map(|end| format!("{} {end}", card.label));
    let limits = card.limits.iter().flatten().cloned();
    let value = (card.label.clone(), Limit::Column(card.value));
    [value].into_iter().chain(names.into_iter().zip(limits))
}

/// The type that holds the values of both.
fn common(a: EvType, b: EvType) -> EvType {
    match (a, b) {
        (a, b) if a == b => a,
        (a, b) if a.is_ip() && b.is_ip() => EvType::Ip,
        _ => EvType::String,
    }
}

/// The plan of an answer: its columns named by their places, since names may repeat.
fn answer(
    plan: LogicalPlanBuilder,
    exprs: Vec<Expr>,
    columns: Vec<OutputColumn>,
    shape: Shape,
) -> Result<Lowered, Error> {
    let named = exprs
        .into_iter()
        .zip(&columns)
        .enumerate()
        .map(|(place, (expr, column))| expr.alias(format!("{place}:{}", column.name)));
    let plan = plan.project(named.collect::<Vec<_>>())?.build()?;
    Ok(Lowered::Plan {
        plan,
        columns,
        shape,
    })
}
