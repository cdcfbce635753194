//! `flowsift query`: from the command line to an answer on standard output.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::StreamExt as _;

use super::args::QueryArgs;
use super::courtesy::Courtesy;
use super::error::Error;
use super::progress::Progress;
use super::{empty, input, missed, query_text, terminal};
use crate::exec::scan::{Pause, ScanReport};
use crate::exec::{self, Answer, RunOptions, Source};
use crate::lang::{self, time};
use crate::missed::Missed;
use crate::plan::{self, pipeline::Pipeline, pipeline::Renderer};
use crate::render::{self, Format, RenderOptions};
use crate::shape::Shape;

/// Bytes gathered before a write to the output.
const OUTPUT_BUFFER: usize = 1 << 16;

/// What a query over a store reads when nothing says when: the last hour, as the language has it.
const STORE_DEFAULT_NS: i64 = 3_600_000_000_000;

/// Runs the query; the exit code.
pub(super) fn run(args: &QueryArgs) -> Result<u8, Error> {
    let text = query_text::read(
        args.query.as_deref(),
        args.query_file.as_deref(),
        &args.macros,
    )?;
    let pipeline = resolve(
        &text,
        terminal::colour(args.colour, terminal::stderr_is_terminal()),
    )?;
    let mut options = run_options(args, &pipeline)?;
    // Before threads are started, which inherit the priority.
    let courtesy = args.store.as_deref().map(Courtesy::new);
    if let Some(courtesy) = &courtesy {
        options.pause = courtesy.pause();
    }
    let source = input::source(args, &pipeline)?;
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
fn resolve(text: &str, colour: bool) -> Result<Pipeline, Error> {
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

fn run_options(args: &QueryArgs, pipeline: &Pipeline) -> Result<RunOptions, Error> {
    let now_ns = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or(0);
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
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let to_ns = bound("--to", &args.to)?;
    let bounded =
        args.from.is_some() || to_ns.is_some() || pipeline.start.or(pipeline.end).is_some();
    let last = last.or((args.store.is_some() && !bounded).then_some(STORE_DEFAULT_NS));
    Ok(RunOptions {
        memory_limit_bytes: args.memory,
        partitions: args.threads.map_or(cores, usize::from),
        temp_dir: args.temp_dir.clone(),
        from_ns: match last {
            Some(duration) => Some(now_ns.saturating_sub(duration.saturating_abs())),
            None => bound("--from", &args.from)?,
        },
        to_ns,
        split: true,
        pause: Pause::default(),
    })
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
    let mut progress = Progress::new(!args.quiet && terminal::stderr_is_terminal());
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
    notes(&answer);
    missed::print(&missed);
    let damaged = !missed.damaged.is_empty();
    if rows == 0 {
        empty::explain(text, pipeline, source, options, &answer.report).await;
    }
    Ok(if damaged && args.strict { 3 } else { 0 })
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
    let output = Output::choose(args, &answer.shape)?;
    let entry_limit = match pipeline.renderer {
        Renderer::Text { limit, .. } | Renderer::Raw { limit, .. } => limit,
        _ => None,
    };
    let missed = show(&mut answer, &output, args, pipeline, entry_limit, rows).await?;
    Ok((answer, missed))
}

/// Pumps the answer into its renderer, and then what it missed.
async fn show(
    answer: &mut Answer,
    output: &Output,
    args: &QueryArgs,
    pipeline: &Pipeline,
    entry_limit: Option<u64>,
    rows: &mut u64,
) -> Result<Missed, Error> {
    let (width, height) = terminal::size();
    let options = RenderOptions {
        width: args.width.map_or(width, usize::from),
        height: args.height.map_or(height, usize::from),
        colour: terminal::colour(args.colour, output.to_terminal),
        limit_bytes: entry_limit,
    };
    let writer = output.open()?;
    let mut sink = render::sink(
        answer.shape.clone(),
        answer.columns.clone(),
        output.format,
        options,
        writer,
    )?;
    while let Some(batch) = answer.stream.next().await {
        let batch = batch.map_err(exec::Error::from)?;
        *rows += batch.num_rows() as u64;
        sink.batch(&batch)?;
    }
    // Known when the last packet is read.
    let missed = missed::of(args.store.as_deref(), pipeline, answer)?;
    sink.missed(&missed);
    sink.finish()?;
    for note in sink.notes() {
        eprintln!("note: {note}");
    }
    Ok(missed)
}

/// Prints what the scan met.
fn notes(answer: &Answer) {
    let report = &answer.report;
    for warning in report.warnings() {
        eprintln!("warning: {warning}");
    }
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

/// Where the answer goes, and in which format.
struct Output {
    format: Format,
    path: Option<PathBuf>,
    to_terminal: bool,
}

impl Output {
    fn choose(args: &QueryArgs, shape: &Shape) -> Result<Self, Error> {
        let path = args.output.clone().or_else(|| args.write.clone());
        let path = path.filter(|path| path != Path::new("-"));
        let to_terminal = path.is_none() && terminal::stdout_is_terminal();
        let extension = path.as_deref().and_then(Path::extension);
        let named = extension
            .and_then(|text| text.to_str())
            .and_then(Format::from_extension);
        let format = if args.write.is_some() {
            Format::Pcap
        } else if let Some(format) = args.format {
            format
        } else if let Some(format) = named {
            format
        } else {
            Format::default_for(shape, to_terminal)
        };
        if to_terminal && format.is_binary() {
            return Err(Error::Usage {
                message: format!("{format} is binary and standard output is a terminal"),
                hint: "write it to a file: -o FILE".to_owned(),
            });
        }
        format.check(shape)?;
        Ok(Self {
            format,
            path,
            to_terminal,
        })
    }

    fn open(&self) -> Result<Box<dyn Write>, Error> {
        match &self.path {
            None => Ok(Box::new(BufWriter::with_capacity(
                OUTPUT_BUFFER,
                io::stdout(),
            ))),
            Some(path) => {
                let file = File::create(path).map_err(|source| Error::File {
                    action: "write",
                    path: path.clone(),
                    source,
                })?;
                Ok(Box::new(BufWriter::with_capacity(OUTPUT_BUFFER, file)))
            }
        }
    }
}
