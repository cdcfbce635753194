//! `flowsift query`: from the command line to an answer on standard output.

use std::sync::Arc;

use super::args::{AnswerArgs, QueryArgs};
use super::courtesy::Courtesy;
use super::error::Error;
use super::output::{self, Output};
use super::progress::Progress;
use super::{empty, input, live, missed, query_text, terminal, unanswered};
use crate::exec::{self, Answer, RunOptions, Source, scan::ScanReport};
use crate::lang::{self, time};
use crate::missed::Missed;
use crate::plan::{self, pipeline::Pipeline};
use crate::wall;

/// What a query over a store reads when nothing says when: the last hour, as the language has it.
const STORE_DEFAULT_NS: i64 = 3_600_000_000_000;

/// Runs the query; the exit code.
pub(super) fn run(args: &QueryArgs) -> Result<u8, Error> {
    if args.live {
        return live::query(args);
    }
    if args.growing.every.is_some() {
        return Err(Error::Usage {
            message: "--every is for answers that grow".to_owned(),
            hint: "add --live, or play the files again: flowsift replay -r FILE --every TIME"
                .to_owned(),
        });
    }
    let text = query_text::read(&args.text)?;
    let pipeline = resolve(&text, &args.answer)?;
    let mut options = run_options(args, &pipeline)?;
    // Before threads are started, which inherit the priority.
    let courtesy = args.store.as_deref().map(Courtesy::new);
    if let Some(courtesy) = &courtesy {
        options.pause = courtesy.pause();
    }
    let source = input::source(args, &pipeline, &options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.partitions)
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let result = runtime.block_on(async {
        tokio::select! {
            result = answer(args, &text, &pipeline, source, &options) => result,
            _ = tokio::signal::ctrl_c() => Err(Error::Interrupted),
        }
    });
    // Readers stop at their next batch; nobody waits for them.
    runtime.shutdown_background();
    if let Some(note) = courtesy.and_then(|courtesy| courtesy.note()) {
        eprintln!("note: {note}");
    }
    result
}

/// The resolved pipeline; warnings are printed.
pub(super) fn resolve(text: &str, args: &AnswerArgs) -> Result<Pipeline, Error> {
    let colour = terminal::colour(args.colour, terminal::stderr_is_terminal());
    let (tree, mut warnings) = query_text::parse(text, colour)?;
    match plan::resolve(&tree) {
        Ok(pipeline) => {
            warnings.extend(pipeline.warnings.iter().cloned());
            eprint!("{}", lang::render(&warnings, text, colour));
            Ok(pipeline)
        }
        Err(diagnostics) => {
            warnings.extend(diagnostics);
            Err(Error::Query(lang::render(&warnings, text, colour)))
        }
    }
}

pub(super) fn run_options(args: &QueryArgs, pipeline: &Pipeline) -> Result<RunOptions, Error> {
    let now_ns = wall::now_ns();
    let bound = |flag: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => time::parse_time(text, now_ns)
            .map(Some)
            .map_err(|reason| Error::Usage {
                message: format!("{flag} '{text}': {reason}"),
                hint: "write -1h, now, 2026-01-31, '2026-01-31 12:00', RFC 3339 or epoch seconds"
                    .to_owned(),
            }),
    };
    let last = match &args.last {
        None => None,
        Some(text) => Some(
            time::parse_duration_ns(text).map_err(|reason| Error::Usage {
                message: format!("--last '{text}': {reason}"),
                hint: "write a duration such as 1h, 30m or 7d".to_owned(),
            })?,
        ),
    };
    let to_ns = bound("--to", &args.to)?;
    let bounded =
        args.from.is_some() || to_ns.is_some() || pipeline.start.or(pipeline.end).is_some();
    let last = last.or((args.store.is_some() && !bounded).then_some(STORE_DEFAULT_NS));
    Ok(RunOptions {
        from_ns: match last {
            Some(duration) => Some(now_ns.saturating_sub(duration.saturating_abs())),
            None => bound("--from", &args.from)?,
        },
        to_ns,
        ..limits(&args.answer)
    })
}

/// The limits of a query.
pub(super) fn limits(args: &AnswerArgs) -> RunOptions {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    RunOptions {
        memory_limit_bytes: args.memory,
        partitions: args.threads.map_or(cores, usize::from),
        temp_dir: args.temp_dir.clone(),
        ..RunOptions::default()
    }
}

/// Runs and renders; the exit code.
async fn answer(
    args: &QueryArgs,
    text: &str,
    pipeline: &Pipeline,
    source: Source,
    options: &RunOptions,
) -> Result<u8, Error> {
    if args.explain {
        eprintln!("{}", plan::explain(pipeline));
        eprintln!(
            "{}",
            exec::explain(pipeline, source.clone(), options).await?
        );
    }
    let mut progress = Progress::new(!args.answer.quiet && terminal::stderr_is_terminal());
    let mut rows = 0;
    let whole = RunOptions {
        split: false,
        ..options.clone()
    };
    let mut result = attempt(
        args,
        pipeline,
        source.clone(),
        options,
        &mut progress,
        &mut rows,
    )
    .await;
    if matches!(result, Err(Error::Run(exec::Error::SplitMissed(_)))) && rows == 0 {
        result = attempt(
            args,
            pipeline,
            source.clone(),
            &whole,
            &mut progress,
            &mut rows,
        )
        .await;
    }
    progress.stop();
    let (answer, missed) = result?;
    if args.explain {
        eprintln!("{}", answer.explain_after_run());
    }
    notes(&answer.report);
    missed::print(&missed);
    let damaged = !missed.damaged.is_empty() | unanswered::print(&answer.report);
    if rows == 0 {
        empty::explain(text, pipeline, source, options, &answer.report).await;
    }
    Ok(if damaged && args.answer.strict { 3 } else { 0 })
}

/// One run; `rows` counts what was given to the renderer, which cannot be taken back.
async fn attempt(
    args: &QueryArgs,
    pipeline: &Pipeline,
    source: Source,
    options: &RunOptions,
    progress: &mut Progress,
    rows: &mut u64,
) -> Result<(Answer, Missed), Error> {
    let report = Arc::new(ScanReport::default());
    progress.watch(Arc::clone(&report));
    let mut answer = exec::run(pipeline, source, options, report).await?;
    let output = Output::choose(&args.answer, &answer.shape)?;
    let options = output.options(&args.answer, pipeline, terminal::size());
    // Known when the last packet is read.
    let missed = |answer: &Answer| missed::of(args.store.as_deref(), pipeline, answer);
    let writer = output.open()?;
    let shown = output::show(&mut answer, output.format, options, writer, rows, missed).await?;
    Ok((answer, shown.told()))
}

/// Prints what the scan met.
pub(super) fn notes(report: &ScanReport) {
    for warning in report.warnings() {
        eprintln!("warning: {warning}");
    }
    input::print_skipped(&report.skipped_files());
    for (link, packets) in report.unknown_links() {
        eprintln!(
            "note: {packets} packets of link type {} were not decoded",
            link.0
        );
    }
    if report.portless_fragments() > 0 {
        eprintln!(
            "note: {} packets are later fragments, which have no ports",
            report.portless_fragments()
        );
    }
    for problem in report.sidecar_problems() {
        eprintln!("note: {problem}; its packets are read themselves");
    }
    for file in report.removed() {
        eprintln!("warning: {file}: removed by retention before it was read");
    }
}
