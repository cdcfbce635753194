//! Lowering of what depends on order: sorting, limits, first entries and differences.

use std::collections::HashSet;

use datafusion::functions_window::expr_fn::{lag, row_number};
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlanBuilder, SortExpr, lit};

use super::expr::convert;
use super::state::mentions;
use super::{Lowerer, named};
use crate::exec::error::Error;
use crate::exec::functions::window::WindowStart;
use crate::plan::pipeline::{ColumnId, Expr as Source, SortKey};

impl Lowerer<'_> {
    /// Notes an order; it is made real where a limit or the renderer needs it.
    pub(super) fn sort(&mut self, keys: &[SortKey]) {
        let before = std::mem::take(&mut self.order);
        self.order = keys.to_vec();
        for key in before {
            if self.order.iter().all(|own| own.expr != key.expr) {
                self.order.push(key);
            }
        }
    }

    /// An order over the present columns, made total by what tells entries apart. Keys over
    /// columns that are gone are left out.
    pub(super) fn sort_exprs(&self, keys: &[SortKey]) -> Result<Vec<SortExpr>, Error> {
        let mut exprs: Vec<SortExpr> = Vec::new();
        for key in keys {
            let mut columns = HashSet::new();
            mentions(&key.expr, &mut columns);
            if columns.iter().all(|id| self.has(&self.name(*id))) {
                let expr = self.expr(&key.expr)?;
                if exprs.iter().all(|own| own.expr != expr) {
                    exprs.push(expr.sort(!key.descending, false));
                }
            }
        }
        for tie in self.ties.iter().filter(|id| self.has(&self.name(**id))) {
            let expr = self.col(*tie);
            if exprs.iter().all(|own| own.expr != expr) {
                exprs.push(expr.sort(true, false));
            }
        }
        Ok(exprs)
    }

    /// Makes the noted order real.
    pub(super) fn ordered(&self, builder: LogicalPlanBuilder) -> Result<LogicalPlanBuilder, Error> {
        if self.order.is_empty() {
            return Ok(builder);
        }
        let exprs = self.sort_exprs(&self.order)?;
        Ok(if exprs.is_empty() {
            builder
        } else {
            builder.sort(exprs)?
        })
    }

    pub(super) fn limit(&mut self, skip: u64, fetch: u64) -> Result<(), Error> {
        let exprs = self.sort_exprs(&self.order)?;
        let mut builder = self.builder();
        if !exprs.is_empty() {
            builder = builder.sort(exprs)?;
        }
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        self.plan = builder.limit(size(skip), Some(size(fetch)))?.build()?;
        Ok(())
    }

    pub(super) fn limit_by(
        &mut self,
        fetch: u64,
        keys: &[ColumnId],
        order: &[SortKey],
    ) -> Result<(), Error> {
        let keys = keys.iter().map(|key| self.col(*key)).collect();
        self.first_of(keys, order, fetch)
    }

    pub(super) fn distinct(
        &mut self,
        keys: &[Source],
        window_ns: Option<i64>,
        order: &[SortKey],
    ) -> Result<(), Error> {
        let mut exprs = keys
            .iter()
            .map(|key| self.expr(key))
            .collect::<Result<Vec<_>, _>>()?;
        if let (Some(width), Some(time)) = (window_ns, self.time) {
            exprs.push(WindowStart::call(self.col(time), width, 0));
        }
        // Where nothing but the keys is wanted, any entry of a key is as good as the first.
        let own: HashSet<_> = keys.iter().filter_map(column_of).collect();
        let present: Vec<_> = self.plan.schema().columns();
        let wanted = present.iter().filter(|column| {
            self.used.iter().any(|id| self.name(*id) == column.name) || column.name.contains(':')
        });
        let only_keys = window_ns.is_none()
            && own.len() == keys.len()
            && self.order.is_empty()
            && wanted
                .clone()
                .all(|column| own.iter().any(|id| self.name(*id) == column.name));
        if only_keys && !exprs.is_empty() {
            self.plan = self
                .builder()
                .aggregate(exprs, Vec::<Expr>::new())?
                .build()?;
            self.ties = own.into_iter().collect();
            self.ties.sort_unstable();
            return Ok(());
        }
        self.first_of(exprs, order, 1)
    }

    /// Keeps the first entries of each key.
    fn first_of(&mut self, keys: Vec<Expr>, order: &[SortKey], fetch: u64) -> Result<(), Error> {
        let number = row_number()
            .partition_by(keys)
            .order_by(self.sort_exprs(order)?)
            .build()?;
        let columns: Vec<_> = self
            .plan
            .schema()
            .columns()
            .into_iter()
            .map(Expr::Column)
            .collect();
        let place = number.schema_name().to_string();
        self.plan = self
            .builder()
            .window([number])?
            .filter(named(place).lt_eq(lit(fetch)))?
            .project(columns)?
            .build()?;
        Ok(())
    }

    pub(super) fn difference(
        &mut self,
        output: ColumnId,
        value: ColumnId,
        keys: &[ColumnId],
        order: &[SortKey],
    ) -> Result<(), Error> {
        let ty = self.column(output).ty;
        let previous = lag(self.col(value), Some(1), None)
            .partition_by(keys.iter().map(|key| self.col(*key)).collect())
            .order_by(self.sort_exprs(order)?)
            .build()?;
        let columns: Vec<_> = self
            .plan
            .schema()
            .columns()
            .into_iter()
            .map(Expr::Column)
            .collect();
        let previous_name = previous.schema_name().to_string();
        let from = self.column(value).ty;
        let now = convert(self.col(value), from, ty)?;
        let before = convert(named(previous_name), from, ty)?;
        let difference = (now - before).alias(self.name(output));
        self.plan = self
            .builder()
            .window([previous])?
            .project(columns.into_iter().chain([difference]).collect::<Vec<_>>())?
            .build()?;
        Ok(())
    }
}

fn column_of(expr: &Source) -> Option<ColumnId> {
    match expr {
        Source::Column(id) => Some(*id),
        _ => None,
    }
}
