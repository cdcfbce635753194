//! A terminal on which the answer so far is drawn again and again, and which is given back as it
//! was.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use super::super::args::AnswerArgs;
use super::super::error::Error;
use super::super::output::{self, Output};
use super::super::terminal;
use crate::exec::live::Live;
use crate::missed::Missed;
use crate::plan::pipeline::Pipeline;
use crate::text;

/// Between two pictures at least.
const REFRESH: Duration = Duration::from_millis(500);

/// Of the time, so much at most goes into pictures: a quarter.
const SHARE: u32 = 4;

/// Sequences of ECMA-48 and xterm: the other screen, the cursor, parts of the screen.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// The picture.
pub(super) struct Screen<'a> {
    args: &'a AnswerArgs,
    pipeline: &'a Pipeline,
    started: Instant,
    drawn: Option<Instant>,
    /// How long the last picture took.
    took: Duration,
    entered: bool,
    note: Option<String>,
}

impl<'a> Screen<'a> {
    pub(super) fn new(args: &'a AnswerArgs, pipeline: &'a Pipeline) -> Self {
        Self {
            args,
            pipeline,
            started: Instant::now(),
            drawn: None,
            took: Duration::ZERO,
            entered: false,
            note: None,
        }
    }

    /// The newest note stands in the last line but one.
    pub(super) fn note(&mut self, note: &str) {
        self.note = Some(note.to_owned());
    }

    pub(super) async fn refresh(&mut self, live: &Live, now: bool) -> Result<(), Error> {
        let rest = REFRESH.max(self.took * SHARE);
        if !now && self.drawn.is_some_and(|drawn| drawn.elapsed() < rest) {
            return Ok(());
        }
        let started = Instant::now();
        let (width, height) = terminal::size();
        let width = self.args.width.map_or(width, usize::from);
        let height = self.args.height.map_or(height, usize::from);
        let below = 1 + usize::from(self.note.is_some());
        let mut answer = live.answer().await?;
        let output = Output::choose(self.args, &answer.shape)?;
        let room = height.saturating_sub(below).max(1);
        let options = output.options(self.args, self.pipeline, (width, room));
        let mut picture = Vec::new();
        output::show(
            &mut answer,
            output.format,
            options,
            Box::new(&mut picture),
            &mut 0,
            |_| Ok(Missed::default()),
        )
        .await?;
        let picture = String::from_utf8_lossy(&picture);
        self.paint(&picture, room, width, live)?;
        self.drawn = Some(Instant::now());
        self.took = started.elapsed();
        Ok(())
    }

    fn paint(&mut self, picture: &str, room: usize, width: usize, live: &Live) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let mut frame = String::new();
        if !self.entered {
            self.entered = true;
            frame.push_str(ENTER);
        }
        frame.push_str(HOME);
        let lines: Vec<&str> = picture.lines().collect();
        let fits = lines.len() <= room;
        let shown = if fits {
            lines.len()
        } else {
            room.saturating_sub(1)
        };
        for line in lines.iter().take(shown) {
            frame.push_str(line);
            frame.push_str(CLEAR_LINE);
            frame.push_str("\r\n");
        }
        if !fits {
            let more = format!("… {} lines more", lines.len() - shown);
            frame.push_str(&more);
            frame.push_str(CLEAR_LINE);
            frame.push_str("\r\n");
        }
        frame.push_str(CLEAR_BELOW);
        if let Some(note) = &self.note {
            frame.push_str(&cut(&format!("note: {note}"), width));
            frame.push_str("\r\n");
        }
        frame.push_str(&cut(&self.status(live), width));
        out.write_all(frame.as_bytes())?;
        out.flush()
    }

    fn status(&self, live: &Live) -> String {
        let report = live.report();
        let late = match live.late_packets() {
            0 => String::new(),
            late => format!(", {late} too late"),
        };
        let seconds = i64::try_from(self.started.elapsed().as_secs()).unwrap_or(0);
        format!(
            "live for {}, {} packets{late}; Ctrl-C ends it and prints the answer",
            text::duration(seconds.saturating_mul(1_000_000_000)),
            report.packets_read(),
        )
    }

    /// Gives the terminal back.
    pub(super) fn leave(&mut self) {
        if std::mem::take(&mut self.entered) {
            let mut out = io::stdout().lock();
            // There is nobody to tell if the terminal is gone.
            let _ = out.write_all(LEAVE.as_bytes()).and_then(|()| out.flush());
        }
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// As much of a line as fits; one column is left free, so that the terminal does not wrap.
fn cut(line: &str, width: usize) -> String {
    let room = width.saturating_sub(1);
    match line.chars().count() <= room {
        true => line.to_owned(),
        false => {
            let mut cut: String = line.chars().take(room.saturating_sub(1)).collect();
            cut.push('…');
            cut
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_to_the_width() {
        assert_eq!(cut("abc", 4), "abc");
        assert_eq!(cut("abcd", 4), "ab…");
        assert_eq!(cut("äöüß", 4), "äö…");
    }
}
