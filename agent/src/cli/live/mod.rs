//! `flowsift query --live` and `flowsift replay`: a query over packets that arrive, its answers as
//! its windows close, and the answer over all at the end.

mod driver;
#[cfg(feature = "capture")]
mod own;
mod pipe;
mod screen;
mod view;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use self::driver::{Job, drive};
#[cfg(feature = "capture")]
use self::own::OwnCapture;
use super::args::{Every, GrowingArgs, QueryArgs, ReplayArgs};
use super::error::Error;
use super::{input, query, query_text};
use crate::capfile;
use crate::exec::RunOptions;
use crate::exec::live::Bit;
use crate::exec::scan::matches_tag;
use crate::live::{self, Feed, Following, Replay};
use crate::plan::pipeline::Pipeline;
use crate::serve::client::{Client, ClientError};
use crate::serve::protocol::Want;
use crate::store::Tail;
use crate::store::tail::Wants;

/// Width of the windows in which answers are shown where neither the query nor the user says so.
const DEFAULT_EVERY: Duration = Duration::from_secs(10);

/// Plays stored packets again; the exit code.
pub(in crate::cli) fn replay(args: &ReplayArgs) -> Result<u8, Error> {
    let text = query_text::read(&args.text)?;
    let pipeline = query::resolve(&text, &args.answer)?;
    let inputs = capfile::discover(&args.read)?;
    let feed = Replay::new(&inputs, &args.tag, args.speed)?;
    drive(Job {
        options: query::limits(&args.answer),
        pipeline,
        answer: &args.answer,
        every: every(&args.growing),
        feed: Box::new(feed),
        past: None,
        duration: None,
        store: None,
    })
}

/// Answers over what arrives; the exit code.
pub(in crate::cli) fn query(args: &QueryArgs) -> Result<u8, Error> {
    let text = query_text::read(&args.text)?;
    let pipeline = query::resolve(&text, &args.answer)?;
    let (feed, past, options, store) = match &args.store {
        Some(store) => {
            let (feed, past, options) = following(store, args, &pipeline)?;
            (feed, past, options, store.clone())
        }
        None => {
            let (feed, store) = own(args, &pipeline)?;
            (feed, None, query::limits(&args.answer), store)
        }
    };
    drive(Job {
        options,
        pipeline,
        answer: &args.answer,
        every: every(&args.growing),
        feed,
        past,
        duration: args.duration,
        store: Some(store),
    })
}

/// What this program captures itself, and the store that it goes through.
#[cfg(feature = "capture")]
fn own(args: &QueryArgs, pipeline: &Pipeline) -> Result<(Box<dyn Feed>, PathBuf), Error> {
    if args.interface.is_empty() {
        return Err(nothing_to_follow());
    }
    let capture = OwnCapture::start(args, wants(pipeline))?;
    let store = capture.store().to_owned();
    Ok((Box::new(capture), store))
}

#[cfg(not(feature = "capture"))]
fn own(_: &QueryArgs, _: &Pipeline) -> Result<(Box<dyn Feed>, PathBuf), Error> {
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

type Source = (Box<dyn Feed>, Option<Bit>, RunOptions);

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
    let memory = agent.as_ref().and_then(|agent| agent.hello().limits.memory);
    if let Some(memory) = memory.and_then(|bytes| usize::try_from(bytes).ok()) {
        options.memory_limit_bytes = options.memory_limit_bytes.min(memory);
    }
    let (tail, past) = match bounded {
        true => {
            let tags = input::stored_tags(store, pipeline)?;
            let snapshot = input::snapshot(store, &tags)?;
            let tail = Tail::new(store, wants(pipeline), Some(&snapshot))?;
            let files = input::scan_files(&snapshot)?;
            let from_ns = options.from_ns.unwrap_or(i64::MIN);
            (tail, Some(live::past(files, from_ns)))
        }
        false => (Tail::new(store, wants(pipeline), None)?, None),
    };
    Ok((Box::new(Following::new(store, tail, agent)), past, options))
}

fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
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
