//! Answers one below the other: of each window as it closes, then that over all.

use std::io::Write as _;

use super::super::args::AnswerArgs;
use super::super::error::Error;
use super::super::output::{self, Output};
use super::super::terminal;
use super::stops::Stdout;
use crate::exec::Answer;
use crate::exec::live::{Closed, Live, Span};
use crate::missed::Missed;
use crate::plan::pipeline::Pipeline;
use crate::text;

/// Answers as text.
pub(super) struct Pipe<'a> {
    args: &'a AnswerArgs,
    pipeline: &'a Pipeline,
    /// Whether an answer over all follows: then lines that begin with # tell answers apart.
    blocks: bool,
    stdout: Stdout,
    output: Option<Output>,
    shown: bool,
    /// Notes of the last answer: what the next has, too, is not said again.
    notes: Vec<String>,
}

impl<'a> Pipe<'a> {
    pub(super) fn new(
        args: &'a AnswerArgs,
        pipeline: &'a Pipeline,
        blocks: bool,
        stdout: Stdout,
    ) -> Self {
        Self {
            args,
            pipeline,
            blocks,
            stdout,
            output: None,
            shown: false,
            notes: Vec::new(),
        }
    }

    pub(super) async fn window(&mut self, live: &Live, window: &Closed) -> Result<(), Error> {
        let mut answer = live.window_answer(window).await?;
        let title = match window.span {
            Span::NoTime => "# packets without a time".to_owned(),
            Span::Before(end) => format!("# before {}", text::time(end)),
            Span::From(start, end) => {
                let width = text::duration(end.saturating_sub(start));
                format!("# window {} {width}", text::time(start))
            }
        };
        self.show(&mut answer, &title, |_| Ok(Missed::default()))
            .await?;
        Ok(())
    }

    /// The answer over all; `None` where every packet was shown by itself.
    pub(super) async fn last(
        &mut self,
        live: &Live,
        missed: impl FnOnce(&Answer) -> Result<Missed, Error>,
    ) -> Result<Missed, Error> {
        let mut answer = live.answer().await?;
        match self.blocks {
            true => self.show(&mut answer, "# answer", missed).await,
            false => missed(&answer),
        }
    }

    async fn show(
        &mut self,
        answer: &mut Answer,
        title: &str,
        missed: impl FnOnce(&Answer) -> Result<Missed, Error>,
    ) -> Result<Missed, Error> {
        let output = match &self.output {
            Some(output) => output,
            None => self
                .output
                .insert(Output::choose(self.args, &answer.shape)?),
        };
        let mut options = output.options(self.args, self.pipeline, terminal::size());
        options.header = self.blocks || !self.shown;
        let mut text = Vec::new();
        if self.blocks {
            let gap = if self.shown { "\n" } else { "" };
            writeln!(text, "{gap}{title}")?;
        }
        let mut shown = output::show(
            answer,
            output.format,
            options,
            Box::new(&mut text),
            &mut 0,
            missed,
        )
        .await?;
        self.shown = true;
        self.stdout.write_all(&text)?;
        let before = std::mem::replace(&mut self.notes, shown.notes.clone());
        shown.notes.retain(|note| !before.contains(note));
        Ok(shown.told())
    }
}
