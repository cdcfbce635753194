//! `flowsift status`: how a capture is, told by itself, or by what it left in its store.

mod show;

use std::io::Write;

use serde_json::{Value, json};

use super::args::{StatusArgs, StatusFormat};
use super::error::Error;
use crate::serve::client::{Client, ClientError};
use crate::serve::protocol::{Hello, Report};
use crate::store::usage::{Usage, Used};
use crate::wall;

/// Exit code where no capture runs that could be asked.
const NOT_RUNNING: u8 = 3;

/// All that is known.
struct View {
    store: String,
    /// What the running agent says, or why there is none.
    agent: Result<(Hello, Report), String>,
    usage: Usage,
    now_ns: i64,
}

/// Shows the status; the exit code.
pub(super) fn run(args: &StatusArgs, out: &mut dyn Write) -> Result<u8, Error> {
    if !args.store.is_dir() {
        return Err(Error::Usage {
            message: format!("there is no store {}", args.store.display()),
            hint: "name one: --store DIR".to_owned(),
        });
    }
    let agent = match Client::status(&args.store) {
        Ok(said) => Ok(said),
        Err(error @ ClientError::NoAgent { .. }) => Err(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    let view = View {
        store: args.store.display().to_string(),
        agent,
        usage: Usage::of(&args.store)?,
        now_ns: wall::now_ns(),
    };
    match args.format {
        StatusFormat::Text => out.write_all(show::text(&view).as_bytes())?,
        StatusFormat::Json => writeln!(out, "{:#}", as_json(&view))?,
    }
    Ok(if view.agent.is_ok() { 0 } else { NOT_RUNNING })
}

fn as_json(view: &View) -> Value {
    let (hello, report) = view.agent.as_ref().ok().cloned().unzip();
    let usage = &view.usage;
    json!({
        "store": view.store,
        "running": view.agent.is_ok(),
        "reason": view.agent.as_ref().err(),
        "agent": hello,
        "status": report,
        "disk": {
            "files": usage.files(),
            "bytes": usage.bytes(),
            "free_bytes": usage.free_bytes,
            "total_bytes": usage.total_bytes,
            "oldest_packet_ns": usage.oldest_ns(),
        },
        "sources": usage.sources.iter().map(source_as_json).collect::<Vec<_>>(),
    })
}

fn source_as_json(used: &Used) -> Value {
    let last = used.last.map(|last| {
        json!({
            "time_ns": last.time_ns,
            "run_ns": last.run,
            "seen": last.counts.seen,
            "stored": last.counts.stored,
            "lost": last.counts.lost(),
        })
    });
    json!({
        "well": used.source.well,
        "interface": used.source.interface,
        "tag": used.source.tag,
        "files": used.files,
        "bytes": used.bytes,
        "oldest_packet_ns": used.oldest_ns,
        "written": used.written,
        "last_counted": last,
    })
}
