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
    /// What the picture does not show, in a line of its own above.
    notes: String,
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
            notes: String::new(),
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
        let mut answer = live.answer().await?;
        let output = Output::choose(self.args, &answer.shape)?;
        let room = height.saturating_sub(self.below()).max(1);
        let options = output.options(self.args, self.pipeline, (width, room));
        let mut picture = Vec::new();
        let shown = output::show(
            &mut answer,
            output.format,
            options,
            Box::new(&mut picture),
            &mut 0,
            |_| Ok(Missed::default()),
        )
        .await?;
        // Printed they would stand in the picture.
        self.notes = shown.notes.join("; ");
        let room = height.saturating_sub(self.below()).max(1);
        let picture = String::from_utf8_lossy(&picture);
        let frame = self.frame(&picture, room, width, &self.status(live));
        self.paint(&frame)?;
        self.drawn = Some(Instant::now());
        self.took = started.elapsed();
        Ok(())
    }

    /// Lines below the picture.
    fn below(&self) -> usize {
        1 + usize::from(self.note.is_some()) + usize::from(!self.notes.is_empty())
    }

    fn frame(&self, picture: &str, room: usize, width: usize, status: &str) -> String {
        let mut frame = String::from(HOME);
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
        let of_picture = Some(&self.notes).filter(|notes| !notes.is_empty());
        for note in of_picture.into_iter().chain(&self.note) {
            frame.push_str(&cut(&format!("note: {note}"), width));
            frame.push_str("\r\n");
        }
        frame.push_str(&cut(status, width));
        frame
    }

    fn paint(&mut self, frame: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if !std::mem::replace(&mut self.entered, true) {
            out.write_all(ENTER.as_bytes())?;
        }
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
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        answer: AnswerArgs,
    }

    #[test]
    fn notes_stand_below_the_picture() {
        let args = Only::parse_from(["test"]).answer;
        let (tree, _) = crate::lang::parse("tag=pcap packet frame.Len | table Len");
        let pipeline = crate::plan::resolve(&tree.unwrap()).unwrap();
        let mut screen = Screen::new(&args, &pipeline);
        assert_eq!(screen.below(), 1);
        screen.note("the agent is gone");
        screen.notes = "only 2 of 3 are shown".to_owned();
        assert_eq!(screen.below(), 3);
        let frame = screen.frame("a\nb\nc\n", 2, 80, "live");
        let below = "note: only 2 of 3 are shown\r\nnote: the agent is gone\r\nlive";
        assert!(
            frame.ends_with(&format!("2 lines more\x1b[K\r\n\x1b[J{below}")),
            "{frame:?}"
        );
    }

    #[test]
    fn lines_are_cut_to_the_width() {
        assert_eq!(cut("abc", 4), "abc");
        assert_eq!(cut("abcd", 4), "ab…");
        assert_eq!(cut("äöüß", 4), "äö…");
    }
}
