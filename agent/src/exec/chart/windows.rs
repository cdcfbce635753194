//! The windows of a chart: its entries merged per window and key.

use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use super::{WINDOW, column};
use crate::exec::error::Error;
use crate::exec::functions::window::WindowStart;
use crate::exec::lower::{ChartCategory, ChartInput, Merge};

/// A value of the merged entries: its category and its state columns.
pub(in crate::exec) struct Windows {
    pub(in crate::exec) plan: LogicalPlan,
    /// Places of the keys among the answer's.
    pub(super) keys: Vec<usize>,
    /// Categories by place, and how their state is merged.
    pub(super) values: Vec<(usize, Merge)>,
}

/// Categories that are merged in one pass: those with the same keys of the same entries.
pub(super) fn alike(categories: &[ChartCategory]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (place, category) in categories.iter().enumerate() {
        let same = groups.iter_mut().find(|group| {
            group
                .first()
                .and_then(|first| categories.get(*first))
                .is_some_and(|c| c.keys == category.keys && c.filter == category.filter)
        });
        match same {
            Some(group) => group.push(place),
            None => groups.push(vec![place]),
        }
    }
    groups
}

/// Entries merged per window and key.
pub(super) fn merge_windows(input: &ChartInput, members: &[usize]) -> Result<Windows, Error> {
    let categories: Vec<_> = members
        .iter()
        .filter_map(|place| Some((*place, input.categories.get(*place)?)))
        .collect();
    let Some((_, first)) = categories.first() else {
        return Err(Error::Internal("a chart without categories".to_owned()));
    };
    let mut builder = LogicalPlanBuilder::new(input.plan.clone());
    if let Some(filter) = &first.filter {
        builder = builder.filter(filter.clone())?;
    }
    let window = WindowStart::call(input.time.clone(), input.window_ns, 0);
    let mut groups = vec![window];
    groups.extend(first.keys.iter().map(|(_, key)| key.clone()));
    let mut calls: Vec<Expr> = Vec::new();
    let mut places = Vec::new();
    for (_, category) in &categories {
        let mut own = Vec::new();
        for call in category.merge.calls()? {
            let place = calls
                .iter()
                .position(|known| *known == call)
                .unwrap_or_else(|| {
                    calls.push(call);
                    calls.len() - 1
                });
            own.push(place);
        }
        places.push(own);
    }
    let plan = builder.aggregate(groups, calls)?.build()?;
    let made = plan.schema().columns();
    let keys = first.keys.len();
    let names = std::iter::once(WINDOW.to_owned())
        .chain((0..keys).map(|key| format!("key{key}")))
        .chain((keys + 1..made.len()).map(|place| format!("state{}", place - keys - 1)));
    let projected: Vec<_> = made
        .into_iter()
        .zip(names)
        .map(|(made, name)| Expr::Column(made).alias(name))
        .collect();
    // Frames without a time (simple packets of pcapng) have no place on the axis.
    let plan = LogicalPlanBuilder::new(plan)
        .project(projected)?
        .filter(column(WINDOW).is_not_null())?
        .build()?;
    let values = categories
        .iter()
        .zip(places)
        .map(|((place, category), own)| {
            let state = own
                .into_iter()
                .map(|at| column(format!("state{at}")))
                .collect();
            (*place, category.merge.again(state))
        })
        .collect();
    Ok(Windows {
        plan,
        keys: first.keys.iter().map(|(place, _)| *place).collect(),
        values,
    })
}
