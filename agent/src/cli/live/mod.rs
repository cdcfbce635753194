//! `flowsift query --live` and `flowsift replay`: a query over packets that arrive, its answers as
//! its windows close, and the answer over all at the end.

mod driver;
#[cfg(feature = "capture")]
mod own;
mod pipe;
mod rows;
mod screen;
mod stops;
mod view;

use std::path::{Path, PathBuf};
use std::time::Duration;

use self::driver::{Job, drive};
#[cfg(feature = "capture")]
use self::own::OwnCapture;
use self::stops::Stops;
use super::args::{Every, GrowingArgs, QueryArgs, ReplayArgs};
use super::courtesy::Courtesy;
use super::error::Error;
use super::{input, query, query_text};
use crate::exec::RunOptions;
use crate::exec::live::Bit;
use crate::exec::scan::matches_tag;
use crate::live::{self, Feed, Following, Replay};
use crate::plan::pipeline::Pipeline;
use crate::serve::client::{Client, ClientError};
use crate::serve::protocol::{Limits, Want};
use crate::store::Tail;
use crate::store::tail::Wants;

/// Width of the windows in which answers are shown where neither the query nor the user says so.
const DEFAULT_EVERY: Duration = Duration::from_secs(10);

/// Plays stored packets again; the exit code.
pub(in crate::cli) fn replay(args: &ReplayArgs) -> Result<u8, Error> {
    let text = query_text::read(&args.text)?;
    let pipeline = query::resolve(&text, &args.answer)?;
    let files = input::named(&args.read, &args.tag, &pipeline)?;
    let inputs: Vec<_> = files.into_iter().map(|file| file.input).collect();
    let feed = Replay::new(&inputs, &args.tag, args.speed)?;
    let stops = Stops::listen().map_err(Error::Runtime)?;
    let job = Job {
        options: query::limits(&args.answer),
        pipeline,
        answer: &args.answer,
        every: every(&args.growing),
        feed: Box::new(feed),
        past: None,
        duration: None,
        max_rows: None,
        store: None,
    };
    drive(job, &stops)
}

/// Answers over what arrives; the exit code.
pub(in crate::cli) fn query(args: &QueryArgs) -> Result<u8, Error> {
    let text = query_text::read(&args.text)?;
    let pipeline = query::resolve(&text, &args.answer)?;
    // Before anything that takes time: Ctrl-C must not end it without a word.
    let stops = Stops::listen().map_err(Error::Runtime)?;
    let (mut source, store) = match &args.store {
        Some(store) => (following(store, args, &pipeline)?, store.clone()),
        None => {
            let (feed, store) = own(args, &pipeline, &stops)?;
            let source = Source {
                feed,
                past: None,
                options: query::limits(&args.answer),
                limits: Limits::default(),
            };
            (source, store)
        }
    };
    // After a capture of our own was started, and before threads are: they inherit the priority.
    let courtesy = Courtesy::new(&store);
    source.options.pause = courtesy.pause();
    let allowed = source.limits.time.map(Duration::from_millis);
    let duration = match (args.duration, allowed) {
        (Some(asked), Some(allowed)) => Some(asked.min(allowed)),
        (asked, allowed) => asked.or(allowed),
    };
    if duration != args.duration
        && let Some(allowed) = duration
    {
        eprintln!(
            "note: the agent lets a query run for {} s",
            allowed.as_secs_f64()
        );
    }
    let job = Job {
        options: source.options,
        pipeline,
        answer: &args.answer,
        every: every(&args.growing),
        feed: source.feed,
        past: source.past,
        duration,
        max_rows: source.limits.rows,
        store: Some(store),
    };
    drive(job, &stops)
}

/// What this program captures itself, and the store that it goes through.
#[cfg(feature = "capture")]
fn own(
    args: &QueryArgs,
    pipeline: &Pipeline,
    stops: &Stops,
) -> Result<(Box<dyn Feed>, PathBuf), Error> {
    if args.interface.is_empty() {
        return Err(nothing_to_follow());
    }
    let capture = OwnCapture::start(args, wants(pipeline), stops)?;
    let store = capture.store().to_owned();
    Ok((Box::new(capture), store))
}

#[cfg(not(feature = "capture"))]
fn own(_: &QueryArgs, _: &Pipeline, _: &Stops) -> Result<(Box<dyn Feed>, PathBuf), Error> {
    Err(nothing_to_follow())
}

fn nothing_to_follow() -> Error {
    Error::Usage {
        message: "--live needs something that packets come from".to_owned(),
        hint: "name the store that an agent writes, or an interface: --store DIR, -i IFACE"
            .to_owned(),
    }
}

/// Which sources of a store the query asks for.
fn wants(pipeline: &Pipeline) -> Wants {
    let asked = pipeline.tags.clone();
    Box::new(move |source| asked.iter().any(|tag| matches_tag(tag, &source.tag)))
}

/// What a store gives, and how much of it may be taken.
struct Source {
    feed: Box<dyn Feed>,
    past: Option<Bit>,
    options: RunOptions,
    limits: Limits,
}

/// A store from now on, or from a time on where one is given.
fn following(store: &Path, args: &QueryArgs, pipeline: &Pipeline) -> Result<Source, Error> {
    let bounded =
        args.from.is_some() || args.last.is_some() || pipeline.start.or(pipeline.end).is_some();
    let mut options = match bounded {
        true => query::run_options(args, pipeline)?,
        false => query::limits(&args.answer),
    };
    let agent = match Client::connect(store, Want::Commits) {
        Ok(agent) => Some(agent),
        Err(error @ (ClientError::Refused { .. } | ClientError::Version { .. })) => {
            return Err(Error::Agent(error));
        }
        // Its files may be open to those to whom the socket is not.
        Err(error) => {
            eprintln!("note: {error}; following the store's files alone");
            None
        }
    };
    let limits = agent.as_ref().map(|agent| agent.hello().limits);
    let limits = limits.unwrap_or_default();
    let memory = limits.memory.and_then(|bytes| usize::try_from(bytes).ok());
    if let Some(memory) = memory {
        options.memory_limit_bytes = options.memory_limit_bytes.min(memory);
    }
    let (tail, past) = match bounded {
        true => {
            let tags = input::stored_tags(store, pipeline)?;
            let snapshot = input::snapshot(store, &tags)?;
            let tail = Tail::new(store, wants(pipeline), Some(&snapshot))?;
            let from_ns = options.from_ns.unwrap_or(i64::MIN);
            let past = input::scan_files(&snapshot, (from_ns, i64::MAX))?;
            input::print_skipped(&past.skipped);
            (tail, Some(live::past(past.files, from_ns)))
        }
        false => (Tail::new(store, wants(pipeline), None)?, None),
    };
    Ok(Source {
        feed: Box::new(Following::new(store, tail, agent)),
        past,
        options,
        limits,
    })
}

fn every(args: &GrowingArgs) -> Option<Duration> {
    match args.every {
        None => Some(DEFAULT_EVERY),
        Some(Every::Window(window)) => Some(window),
        Some(Every::Never) => None,
    }
}

impl From<live::Error> for Error {
    fn from(error: live::Error) -> Self {
        match error {
            live::Error::Input(error) => error.into(),
            live::Error::Store(error) => error.into(),
            live::Error::NoWriter(store) => Self::NoWriter(store),
        }
    }
}
