//! Stage by stage from the syntax tree to the pipeline.

use super::arguments::Args;
use super::condense::DEFAULT_WINDOW;
use super::loss;
use super::modules::TEXT;
use super::pipeline::{Pipeline, SourceColumn, StageRef, TimeBound, whole_seconds};
use super::prune::prune;
use super::registry::{self, Availability, Kind, ModuleSpec};
use super::report::{Outcome, error, hinted, warning};
use super::restrict::restricted;
use super::scope::{Origin, Scope};
use crate::lang::ast::{Body, Constraint, Query, Spanned, Stage, StageArgs, TokenKind};
use crate::lang::diagnostic::{Diagnostic, Span};
use crate::lang::time::{Anchor, Instant, parse_instant};

/// Resolves a query to run it: the pipeline, which carries the warnings, or errors and warnings.
pub fn resolve(query: &Query) -> Result<Pipeline, Vec<Diagnostic>> {
    let mut scope = Scope::new();
    for inner in &query.inner {
        scope.diagnostics.push(error(
            inner.name.span,
            "inner queries are not available yet",
        ));
    }
    let pipeline = body(&query.body, &mut scope);
    match pipeline {
        Some(pipeline) if !scope.failed() => Ok(Pipeline {
            warnings: scope.diagnostics,
            ..prune(pipeline)
        }),
        _ => Err(scope.diagnostics),
    }
}

/// Checks a query without asking whether every module can run yet.
pub fn check(query: &Query) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for inner in &query.inner {
        let mut scope = Scope::new();
        scope.check_only = true;
        body(&inner.body, &mut scope);
        diagnostics.append(&mut scope.diagnostics);
        let last = inner.body.stages.last();
        if !last.is_some_and(|stage| stage.name.value.eq_ignore_ascii_case("table")) {
            diagnostics.push(hinted(
                error(
                    inner.name.span,
                    format!(
                        "the inner query @{} does not end in table",
                        inner.name.value
                    ),
                ),
                "end it with '| table COLUMN...'",
            ));
        }
    }
    let mut scope = Scope::new();
    scope.check_only = true;
    body(&query.body, &mut scope);
    diagnostics.append(&mut scope.diagnostics);
    diagnostics
}

/// Resolves constraints and stages; reports into the scope.
fn body(body: &Body, scope: &mut Scope) -> Option<Pipeline> {
    scope.tags = tags(body, scope);
    if scope.tags == [loss::TAG] {
        for column in loss::LossColumn::ALL {
            let id = scope.source(SourceColumn::Loss(*column), column.name(), column.ty());
            scope.bind(column.name(), id, Origin::Extracted);
        }
    }
    let (start, end) = (bound(body, "start", scope), bound(body, "end", scope));
    warn_if_empty(body, (start, end), scope);
    let plans = survey(body);
    let mut dropped_by = Vec::new();
    for (index, stage) in body.stages.iter().enumerate() {
        let before = scope.ops.len();
        let window = plans.get(index).copied().unwrap_or_default();
        scope.default_window = window.default;
        scope.ignore_over = window.ignore_over;
        if let Err(problem) = resolve_stage(stage, scope) {
            scope.diagnostics.push(problem);
            // What the stage would have made is unknown: no complaints about it later.
            scope.opaque = true;
        }
        let made = scope.ops.get(before..).unwrap_or_default();
        let stage = StageRef {
            number: index + 1,
            span: stage.span,
        };
        dropped_by.extend(made.iter().filter(|op| op.drops()).map(|_| stage));
    }
    if scope.renderer.is_none() {
        append_text(scope);
    }
    Some(Pipeline {
        tags: std::mem::take(&mut scope.tags),
        start,
        end,
        columns: std::mem::take(&mut scope.columns),
        source: std::mem::take(&mut scope.source),
        ops: std::mem::take(&mut scope.ops),
        dropped_by,
        renderer: scope.renderer.take()?,
        warnings: Vec::new(),
    })
}

fn resolve_stage(stage: &Stage, scope: &mut Scope) -> Outcome {
    let Some(spec) = registry::find(&stage.name.value) else {
        let problem = error(
            stage.name.span,
            format!("unknown module '{}'", stage.name.value),
        );
        return Err(match registry::suggestion(&stage.name.value) {
            Some(hint) => hinted(problem, hint),
            None => hinted(problem, "'flowsift modules' lists the modules"),
        });
    };
    let name = &stage.name;
    if spec
        .aliases
        .iter()
        .any(|a| a.eq_ignore_ascii_case(&name.value))
    {
        scope.warn(
            name.span,
            format!("'{}' is now called '{}'", name.value, spec.name),
        );
    }
    if scope.renderer.is_some() {
        return Err(one_renderer(spec, name.span));
    }
    if spec.availability == Availability::Planned && !scope.check_only {
        return Err(error(
            name.span,
            format!("module '{}' is not available yet", spec.name),
        ));
    }
    let mut args = Args::read(stage, spec)?;
    match stage.constraints.first() {
        Some(constraint) => restricted(constraint, spec, scope, |scope| {
            (spec.resolve)(&mut args, scope)
        }),
        None => (spec.resolve)(&mut args, scope),
    }
}

/// The error for a stage behind a renderer.
fn one_renderer(spec: &ModuleSpec, span: Span) -> Diagnostic {
    match spec.kind {
        Kind::Renderer => hinted(
            error(
                span,
                format!("a query has one renderer, {} is a second one", spec.name),
            ),
            "leave one of the two",
        ),
        Kind::Stage => hinted(
            error(
                span,
                format!(
                    "{} stands behind the renderer, which must be last",
                    spec.name
                ),
            ),
            "move the renderer to the end",
        ),
    }
}

/// The renderer of a query that names none.
fn append_text(scope: &mut Scope) {
    let stage = Stage {
        constraints: Vec::new(),
        name: Spanned {
            value: TEXT.name.to_owned(),
            span: Span::default(),
        },
        args: StageArgs::Tokens(Vec::new()),
        span: Span::default(),
    };
    if let Err(problem) = resolve_stage(&stage, scope) {
        scope.diagnostics.push(problem);
    }
}

fn constraint<'a>(body: &'a Body, key: &str) -> Option<&'a Constraint> {
    body.constraints.iter().find(|c| c.key.value == key)
}

/// The tags; without any it is `default`, which means packets where the first stage reads them.
fn tags(body: &Body, scope: &mut Scope) -> Vec<String> {
    if let Some(tags) = constraint(body, "tag") {
        return tags.values.iter().map(|v| v.value.clone()).collect();
    }
    let Some(first) = body.stages.first() else {
        return vec!["default".to_owned()];
    };
    if first.name.value.eq_ignore_ascii_case("packet") {
        scope.diagnostics.push(hinted(
            warning(
                first.name.span,
                "no tag given: packets are read from tag pcap",
            ),
            "write tag=pcap first",
        ));
        return vec!["pcap".to_owned()];
    }
    vec!["default".to_owned()]
}

fn bound(body: &Body, key: &str, scope: &mut Scope) -> Option<TimeBound> {
    let value = constraint(body, key)?.values.first()?;
    let itself = if key == "start" {
        Anchor::Start
    } else {
        Anchor::End
    };
    match parse_instant(&value.value) {
        Ok(Instant::Absolute(time)) => Some(TimeBound::Absolute(whole_seconds(time))),
        Ok(Instant::Relative(Anchor::Now, offset)) => Some(TimeBound::RelativeToNow(offset)),
        Ok(Instant::Relative(anchor, offset)) if anchor != itself => {
            Some(TimeBound::RelativeToOther(whole_seconds(offset)))
        }
        Ok(Instant::Relative(..)) => {
            scope.diagnostics.push(error(
                value.span,
                format!("{key} cannot be relative to itself"),
            ));
            None
        }
        Err(problem) => {
            scope
                .diagnostics
                .push(error(value.span, problem.to_string()));
            None
        }
    }
}

/// Warns of a range that no packet can be in.
fn warn_if_empty(body: &Body, range: (Option<TimeBound>, Option<TimeBound>), scope: &mut Scope) {
    use TimeBound::{Absolute, RelativeToNow, RelativeToOther};
    let empty = match range {
        (Some(Absolute(start)), Some(Absolute(end)))
        | (Some(RelativeToNow(start)), Some(RelativeToNow(end))) => start >= end,
        (Some(RelativeToOther(after)), _) => after >= 0,
        (_, Some(RelativeToOther(after))) => after <= 0,
        _ => false,
    };
    let bound = ["start", "end"]
        .iter()
        .find_map(|key| constraint(body, key)?.values.first());
    if let (true, Some(bound)) = (empty, bound) {
        scope.diagnostics.push(hinted(
            warning(
                bound.span,
                "the range is empty: its end is not after its start",
            ),
            "bounds count in whole seconds, and the end is not part of the range",
        ));
    }
}

/// Windows of one stage, decided before any is resolved: they depend on the renderer.
#[derive(Clone, Copy, Default)]
struct Windows {
    /// Width without `over`; `None`: condensed.
    default: Option<i64>,
    /// `over` changes nothing.
    ignore_over: bool,
}

/// Decides how each stage condenses.
///
/// Charts show time, so stages before them keep windows. Texts and tables do not: one row per key,
/// unless a stage says `over`; then the stages before it keep windows too, or `over` would have
/// nothing to cut. The graph renderers merge over the whole range, which gives the same for a
/// single stage that nothing filters afterwards, and only then.
fn survey(body: &Body) -> Vec<Windows> {
    let specs: Vec<Option<&ModuleSpec>> = body
        .stages
        .iter()
        .map(|stage| registry::find(&stage.name.value))
        .collect();
    let condensing: Vec<usize> = (0..specs.len())
        .filter(|&i| matches!(specs.get(i), Some(Some(spec)) if spec.condenses))
        .collect();
    let renderer = specs
        .last()
        .copied()
        .flatten()
        .filter(|spec| spec.kind == Kind::Renderer)
        .map_or("text", |spec| spec.name);
    let windows_matter = match renderer {
        "chart" => true,
        "text" | "raw" | "hex" | "pcap" | "table" => false,
        _ => condensing.len() > 1 || filters_after(&specs, condensing.last().copied()),
    };
    let merged = renderer != "chart" && {
        let after = condensing.last().map_or(0, |last| last + 1);
        body.stages.get(after..).is_some_and(|stages| {
            stages
                .iter()
                .any(|stage| is_value_sort(stage) || has_flag(stage, "-nt"))
        })
    };
    let last_over = condensing
        .iter()
        .rev()
        .skip(usize::from(merged))
        .copied()
        .find(|&i| body.stages.get(i).is_some_and(says_over));
    (0..specs.len())
        .map(|i| Windows {
            default: (windows_matter || last_over.is_some_and(|last| i < last))
                .then_some(DEFAULT_WINDOW),
            ignore_over: merged && condensing.last() == Some(&i),
        })
        .collect()
}

/// Whether a stage between the last condensing one and the renderer may drop rows.
fn filters_after(specs: &[Option<&ModuleSpec>], last: Option<usize>) -> bool {
    let after = last.map_or(0, |last| last + 1);
    let end = specs.len().saturating_sub(1);
    specs.get(after..end).is_some_and(|between| {
        between.iter().any(|spec| {
            !spec.is_some_and(|s| {
                matches!(
                    s.name,
                    "alias" | "keep" | "subnet" | "geoip" | "lookup" | "sort"
                )
            })
        })
    })
}

fn says_over(stage: &Stage) -> bool {
    has_flag(stage, "over")
}

/// Whether a word stands unquoted in a stage.
fn has_flag(stage: &Stage, word: &str) -> bool {
    match &stage.args {
        StageArgs::Tokens(tokens) => tokens
            .iter()
            .any(|t| matches!(&t.kind, TokenKind::Word(w) if w.eq_ignore_ascii_case(word))),
        StageArgs::Eval(_) => false,
    }
}

/// Whether a stage sorts by something else than time.
fn is_value_sort(stage: &Stage) -> bool {
    let name = stage.name.value.to_ascii_lowercase();
    match (name.as_str(), &stage.args) {
        ("top" | "bottom", _) => true,
        ("sort", StageArgs::Tokens(tokens)) => {
            let word = |index: usize| match tokens.get(index).map(|t| &t.kind) {
                Some(TokenKind::Word(word)) => Some(word.to_ascii_lowercase()),
                _ => None,
            };
            let skip = usize::from(word(0).as_deref() == Some("by"));
            tokens.len() > skip
                && !matches!(
                    word(skip).as_deref(),
                    Some("time" | "timestamp" | "asc" | "desc")
                )
        }
        _ => false,
    }
}
