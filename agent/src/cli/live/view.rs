//! What is shown of a live query: on a terminal a picture that is drawn again, elsewhere the
//! answer of each window as it closes.

use super::super::args::AnswerArgs;
use super::super::error::Error;
use super::super::output::{self, Output};
use super::super::terminal;
use super::pipe::Pipe;
use super::rows::Rows;
use super::screen::Screen;
use super::stops::Stops;
use crate::exec::Answer;
use crate::exec::live::{Closed, Live};
use crate::missed::Missed;
use crate::plan::pipeline::Pipeline;
use crate::render::Format;

/// How answers are shown.
pub(super) struct View<'a> {
    args: &'a AnswerArgs,
    pipeline: &'a Pipeline,
    stops: Stops,
    how: How<'a>,
}

enum How<'a> {
    /// Only the last answer is shown.
    Last,
    /// Windows one below the other.
    Pipe(Pipe<'a>),
    /// Rows of packets, as they come, in one document.
    Rows(Rows<'a>),
    /// One picture.
    Screen(Screen<'a>),
}

impl<'a> View<'a> {
    pub(super) fn new(
        args: &'a AnswerArgs,
        pipeline: &'a Pipeline,
        windows: bool,
        live: &Live,
        stops: Stops,
    ) -> Self {
        let to_file = args.output.is_some() || args.write.is_some();
        // A document has one answer, and a chart that is drawn is drawn on a screen.
        let format_has_windows = is_text(args.format);
        let on_screen = terminal::stdout_is_screen() && !to_file;
        let how = if live.has_final_answer()
            && on_screen
            && !args.quiet
            && args.format.is_none_or(|format| format == Format::Table)
        {
            How::Screen(Screen::new(args, pipeline))
        } else if live.has_final_answer() && (!windows || to_file || !format_has_windows) {
            How::Last
        } else if live.has_final_answer() || is_text(args.format) && !to_file {
            How::Pipe(Pipe::new(
                args,
                pipeline,
                live.has_final_answer(),
                stops.stdout(),
            ))
        } else {
            How::Rows(Rows::new(args, pipeline, stops.clone()))
        };
        Self {
            args,
            pipeline,
            stops,
            how,
        }
    }

    /// Whether the answer of every window is wanted.
    pub(super) fn shows_windows(&self) -> bool {
        matches!(self.how, How::Pipe(_) | How::Rows(_))
    }

    /// Shows windows that closed.
    pub(super) async fn windows(&mut self, live: &Live, closed: &[Closed]) -> Result<(), Error> {
        for window in closed {
            match &mut self.how {
                How::Pipe(pipe) => pipe.window(live, window).await?,
                How::Rows(rows) => rows.window(live, window).await?,
                How::Screen(_) | How::Last => {}
            }
        }
        Ok(())
    }

    /// Draws what is drawn again, if it is due.
    pub(super) async fn refresh(&mut self, live: &Live, now: bool) -> Result<(), Error> {
        match &mut self.how {
            How::Screen(screen) => screen.refresh(live, now).await,
            How::Pipe(_) | How::Rows(_) | How::Last => Ok(()),
        }
    }

    /// Says something to the user.
    pub(super) fn note(&mut self, note: &str) {
        match &mut self.how {
            How::Screen(screen) => screen.note(note),
            How::Pipe(_) | How::Rows(_) | How::Last => eprintln!("note: {note}"),
        }
    }

    /// Gives the terminal back as it was.
    pub(super) fn leave(&mut self) {
        if let How::Screen(screen) = &mut self.how {
            screen.leave();
        }
    }

    /// Shows the answer over all; what it missed.
    pub(super) async fn last(
        &mut self,
        live: &Live,
        missed: impl FnOnce(&Answer) -> Result<Missed, Error>,
    ) -> Result<Missed, Error> {
        self.leave();
        if let How::Pipe(pipe) = &mut self.how {
            return pipe.last(live, missed).await;
        }
        if let How::Rows(rows) = &mut self.how {
            return rows.last(live, missed).await;
        }
        let mut answer = live.answer().await?;
        let output = Output::choose(self.args, &answer.shape)?;
        let options = output.options(self.args, self.pipeline, terminal::size());
        let writer = output.open_or(self.stops.stdout())?;
        let mut rows = 0;
        let shown = output::show(
            &mut answer,
            output.format,
            options,
            writer,
            &mut rows,
            missed,
        );
        Ok(shown.await?.told())
    }
}

/// Whether answers in this format can stand one below the other.
fn is_text(format: Option<Format>) -> bool {
    format.is_none_or(|format| {
        matches!(
            format,
            Format::Table | Format::Text | Format::Tsv | Format::Csv
        )
    })
}
