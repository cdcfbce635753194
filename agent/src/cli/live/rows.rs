//! Rows of packets as they come, in one document that ends with the query.

use futures::StreamExt as _;

use super::super::args::AnswerArgs;
use super::super::error::Error;
use super::super::output::Output;
use super::super::terminal;
use super::stops::Stops;
use crate::exec::live::{Closed, Live};
use crate::exec::{self, Answer};
use crate::missed::Missed;
use crate::plan::pipeline::Pipeline;
use crate::render::{self, Sink};

/// A document that grows.
pub(super) struct Rows<'a> {
    args: &'a AnswerArgs,
    pipeline: &'a Pipeline,
    stops: Stops,
    sink: Option<Box<dyn Sink>>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(args: &'a AnswerArgs, pipeline: &'a Pipeline, stops: Stops) -> Self {
        Self {
            args,
            pipeline,
            stops,
            sink: None,
        }
    }

    pub(super) async fn window(&mut self, live: &Live, window: &Closed) -> Result<(), Error> {
        let mut answer = live.window_answer(window).await?;
        let sink = self.sink(&answer)?;
        while let Some(batch) = answer.stream.next().await {
            sink.batch(&batch.map_err(exec::Error::from)?)?;
        }
        Ok(sink.flush()?)
    }

    /// Ends the document.
    pub(super) async fn last(
        &mut self,
        live: &Live,
        missed: impl FnOnce(&Answer) -> Result<Missed, Error>,
    ) -> Result<Missed, Error> {
        let answer = live.answer().await?;
        let missed = missed(&answer)?;
        let sink = self.sink(&answer)?;
        sink.missed(&missed);
        sink.finish()?;
        for note in sink.notes() {
            eprintln!("note: {note}");
        }
        Ok(missed)
    }

    fn sink(&mut self, answer: &Answer) -> Result<&mut Box<dyn Sink>, Error> {
        if self.sink.is_none() {
            let output = Output::choose(self.args, &answer.shape)?;
            let options = output.options(self.args, self.pipeline, terminal::size());
            let (shape, columns) = (answer.shape.clone(), answer.columns.clone());
            let writer = output.open_or(self.stops.stdout())?;
            let sink = render::sink(shape, columns, output.format, options, writer)?;
            self.sink = Some(sink);
        }
        match &mut self.sink {
            Some(sink) => Ok(sink),
            None => Err(exec::Error::Internal("no document".to_owned()).into()),
        }
    }
}
