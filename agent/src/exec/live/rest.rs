//! What runs over all windows, cut in two: a plan, or the first step of a chart.

use std::sync::Arc;

use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::streaming::PartitionStream;

use super::cut::CutPlan;
use crate::exec::chart;
use crate::exec::engine::Engine;
use crate::exec::error::Error;
use crate::exec::lower::{ChartInput, Lowered, TimeRange};
use crate::shape::Shape;
use crate::types::OutputColumn;

/// What runs over all windows.
pub(super) enum Rest {
    Plan {
        plan: CutPlan,
        columns: Vec<OutputColumn>,
        shape: Shape,
    },
    Chart {
        input: Box<ChartInput>,
        groups: Vec<CutPlan>,
    },
}

impl Rest {
    pub(super) async fn new(engine: &Engine, lowered: Lowered) -> Result<Self, Error> {
        Ok(match lowered {
            Lowered::Plan {
                plan,
                columns,
                shape,
            } => Self::Plan {
                plan: CutPlan::new(engine.physical(&plan).await?)?,
                columns,
                shape,
            },
            Lowered::Chart(input) => {
                let mut groups = Vec::new();
                for windows in chart::merged(&input)? {
                    let plan = engine.physical(&windows.plan).await?;
                    groups.push(CutPlan::new(plan)?);
                }
                Self::Chart {
                    input: Box::new(input),
                    groups,
                }
            }
        })
    }

    /// What is cut, each once.
    pub(super) fn cuts(&self) -> impl Iterator<Item = &CutPlan> {
        let cuts = match self {
            Self::Plan { plan, .. } => std::slice::from_ref(plan),
            Self::Chart { groups, .. } => groups.as_slice(),
        };
        cuts.iter()
    }

    /// Runs over rows that came of its cuts, in the order of [`Self::cuts`].
    pub(super) async fn run(
        &self,
        engine: &Engine,
        rows: Vec<Vec<Arc<dyn PartitionStream>>>,
        range: TimeRange,
    ) -> Result<(Vec<OutputColumn>, Shape, SendableRecordBatchStream), Error> {
        Ok(match self {
            Self::Plan {
                plan,
                columns,
                shape,
            } => {
                let stream = engine.execute(plan.above(rows)?)?;
                (columns.clone(), shape.clone(), stream)
            }
            Self::Chart { input, groups } => {
                let mut rows = rows.into_iter();
                let mut streams = Vec::new();
                for group in groups {
                    let own = rows.by_ref().take(group.below().len()).collect();
                    streams.push(engine.execute(group.above(own)?)?);
                }
                chart::resume(engine, input, streams, range).await?
            }
        })
    }
}
