//! Explaining a query: its plans before the run, their metrics after it.

use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::physical_plan::displayable;

use super::engine::{Engine, Plans, RunOptions};
use super::error::Error;
use super::lower::{Lowered, TimeRange, lower};
use super::run::{Answer, Source, table, time_range};
use super::scan::{ScanReport, column_name};
use crate::plan::pipeline::Pipeline;
use crate::wall;

/// The logical plan and the physical one, with what is pushed into the scan.
pub async fn explain(
    pipeline: &Pipeline,
    source: Source,
    options: &RunOptions,
) -> Result<String, Error> {
    let now_ns = wall::now_ns();
    let range = time_range(pipeline, options, now_ns);
    let report = Arc::new(ScanReport::default());
    let table = table(pipeline, source, options, range, report)?;
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

impl Answer {
    /// The plans with their metrics, once the stream has ended.
    pub fn explain_after_run(&self) -> String {
        after_run(&self.plans)
    }
}
