//! Where an answer goes, in which format, and its way there.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use futures::StreamExt as _;

use super::args::AnswerArgs;
use super::error::Error;
use super::terminal;
use crate::exec::{self, Answer};
use crate::missed::Missed;
use crate::plan::pipeline::{Pipeline, Renderer};
use crate::render::{self, Format, RenderOptions};
use crate::shape::Shape;

/// Bytes gathered before a write to the output.
const OUTPUT_BUFFER: usize = 1 << 16;

/// Where the answer goes, and in which format.
pub(super) struct Output {
    pub(super) format: Format,
    path: Option<PathBuf>,
    pub(super) to_terminal: bool,
}

impl Output {
    pub(super) fn choose(args: &AnswerArgs, shape: &Shape) -> Result<Self, Error> {
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

    pub(super) fn open(&self) -> Result<Box<dyn Write>, Error> {
        self.open_or(io::stdout())
    }

    /// With this for standard output.
    pub(super) fn open_or(&self, stdout: impl Write + 'static) -> Result<Box<dyn Write>, Error> {
        match &self.path {
            None => Ok(Box::new(BufWriter::with_capacity(OUTPUT_BUFFER, stdout))),
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

    /// How it is drawn, for a terminal of this size.
    pub(super) fn options(
        &self,
        args: &AnswerArgs,
        pipeline: &Pipeline,
        (width, height): (usize, usize),
    ) -> RenderOptions {
        RenderOptions {
            width: args.width.map_or(width, usize::from),
            height: args.height.map_or(height, usize::from),
            colour: terminal::colour(args.colour, self.to_terminal),
            limit_bytes: match pipeline.renderer {
                Renderer::Text { limit, .. } | Renderer::Raw { limit, .. } => limit,
                _ => None,
            },
            ..RenderOptions::default()
        }
    }
}

/// What there is to say of an answer that was shown.
pub(super) struct Shown {
    pub(super) missed: Missed,
    /// What the renderer could not show, for the user.
    pub(super) notes: Vec<String>,
}

impl Shown {
    /// Prints the notes; what is left is what the answer missed.
    pub(super) fn told(self) -> Missed {
        for note in self.notes {
            eprintln!("note: {note}");
        }
        self.missed
    }
}

/// Pumps an answer into a renderer, and then what it missed; the rows that it has are counted as
/// they come.
pub(super) async fn show(
    answer: &mut Answer,
    format: Format,
    options: RenderOptions,
    writer: Box<dyn Write + '_>,
    rows: &mut u64,
    missed: impl FnOnce(&Answer) -> Result<Missed, Error>,
) -> Result<Shown, Error> {
    let mut sink = render::sink(
        answer.shape.clone(),
        answer.columns.clone(),
        format,
        options,
        writer,
    )?;
    while let Some(batch) = answer.stream.next().await {
        let batch = batch.map_err(exec::Error::from)?;
        *rows += batch.num_rows() as u64;
        sink.batch(&batch)?;
    }
    let missed = missed(answer)?;
    sink.missed(&missed);
    sink.finish()?;
    let notes = sink.notes();
    Ok(Shown { missed, notes })
}
