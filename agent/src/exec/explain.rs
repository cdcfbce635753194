//! Explaining a query: its plans before the run, their metrics after it.

use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::physical_plan::{ExecutionPlan, displayable};

use super::engine::{Engine, Plans, RunOptions};
use super::error::Error;
use super::lower::{Lowered, TimeRange, lower};
use super::run::{Answer, now_ns, table, time_range};
use super::scan::{ScanReport, column_name};
use crate::capfile::Input;
use crate::plan::pipeline::Pipeline;

/// The logical plan and the physical one, with what is pushed into the scan.
pub async fn explain(
    pipeline: &Pipeline,
    inputs: Vec<Input>,
    options: &RunOptions,
) -> Result<String, Error> {
    let now_ns = now_ns();
    let range = time_range(pipeline, options, now_ns);
    let report = Arc::new(ScanReport::default());
    let table = table(pipeline, inputs, options, range, report);
    let engine = Engine::new(options)?;
    let plan = match lower(pipeline, table, column_name, TimeRange::default(), now_ns)? {
        Lowered::Plan { plan, .. } => plan,
        Lowered::Chart(input) => super::chart::windows(&input)?,
    };
    let state = engine.context.state();
    let optimized = state.optimize(&plan)?;
    let physical = state.create_physical_plan(&plan).await?;
    Ok(format!(
        "logical plan\n{}\n\nphysical plan\n{}",
        optimized.display_indent(),
        displayable(physical.as_ref()).indent(true)
    ))
}

/// The physical plans of an answer with rows and time per stage, once its stream has ended.
pub fn after_run(plans: &Plans) -> String {
    let mut text = String::new();
    for plan in plans.list() {
        let metrics = datafusion::physical_plan::display::DisplayableExecutionPlan::with_metrics(
            plan.as_ref(),
        );
        let _ = writeln!(text, "{}", metrics.indent(true));
    }
    text
}

/// What a filter above the scan did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterStep {
    /// The engine's text of its predicate.
    pub predicate: String,
    /// Rows that it met.
    pub rows_in: usize,
    /// Rows that it kept.
    pub rows_out: usize,
}

/// The filters of a plan, in the order in which rows met them.
fn filters(plan: &dyn ExecutionPlan, found: &mut Vec<FilterStep>) {
    for child in plan.children() {
        filters(child.as_ref(), found);
    }
    let rows = |plan: &dyn ExecutionPlan| plan.metrics().and_then(|m| m.output_rows());
    let line = displayable(plan).one_line().to_string();
    if let Some(predicate) = line.trim().strip_prefix("FilterExec: ")
        && let Some(input) = plan.children().first()
        && let (Some(rows_in), Some(rows_out)) = (rows(input.as_ref()), rows(plan))
    {
        let predicate = predicate.to_owned();
        found.push(FilterStep {
            predicate,
            rows_in,
            rows_out,
        });
    }
}

impl Answer {
    /// What each filter above the scan kept, once the stream has ended.
    pub fn filter_steps(&self) -> Vec<FilterStep> {
        let mut found = Vec::new();
        for plan in self.plans.list() {
            filters(plan.as_ref(), &mut found);
        }
        found
    }

    /// The plans with their metrics, once the stream has ended.
    pub fn explain_after_run(&self) -> String {
        after_run(&self.plans)
    }
}
