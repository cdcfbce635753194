//! A chart drawn with characters: braille lines, a letter per series, axes and a legend.

use std::io::Write;

use unicode_width::UnicodeWidthStr as _;

use super::{Chart, NO_DATA, Series};
use crate::render::bars::{self, Bar, Segment};
use crate::render::braille::Grid;
use crate::render::error::Error;
use crate::render::scale::{Scale, time_ticks};
use crate::render::{RenderOptions, escape, layout, legend, palette};

/// The plot is not drawn in fewer lines.
const LEAST_PLOT_LINES: usize = 6;
/// The plot is not drawn in fewer columns.
const LEAST_PLOT_COLUMNS: usize = 20;
/// Title, axis, its labels, and the line of the prompt.
const LINES_AROUND: usize = 4;
/// Letters on a line, besides the one at its peak.
const LETTERS: usize = 3;
/// Points without neighbours that each get their letter.
const LONE_LETTERS: usize = 8;

/// Draws the chart into the terminal's size.
pub(super) fn write(
    chart: &Chart,
    options: &RenderOptions,
    out: &mut impl Write,
) -> Result<(), Error> {
    let width = if options.width == 0 {
        80
    } else {
        options.width
    };
    let title = layout::cut(&escape::terminal(&chart.title()), width);
    writeln!(out, "{title}")?;
    if chart.is_empty() {
        writeln!(out, "{NO_DATA}")?;
        return Ok(());
    }
    if chart.is_single() {
        write_bars(chart, options, width, out)?;
        return write_bands_legend(chart, options, width, out);
    }
    // Their line below the axis, and their legend.
    let band_lines = if chart.bands.is_empty() { 0 } else { 2 };
    let around = LINES_AROUND + band_lines;
    let height = options.height.max(around + LEAST_PLOT_LINES + 1);
    let entries: Vec<legend::Entry> = chart.series.iter().enumerate().map(entry).collect();
    let most = height - around - LEAST_PLOT_LINES;
    let legend = legend::lines(&entries, width, most, options);
    let lines = height - around - legend.len();
    write_plot(chart, options, width, lines, out)?;
    for line in legend {
        writeln!(out, "{line}")?;
    }
    write_bands_legend(chart, options, width, out)
}

fn entry((n, series): (usize, &Series)) -> legend::Entry {
    legend::Entry {
        letter: palette::letter(n, series.other),
        sgr: palette::sgr(n, series.other, false),
        name: series.shown_name(),
        value: series.total.text(),
    }
}

fn write_plot(
    chart: &Chart,
    options: &RenderOptions,
    width: usize,
    lines: usize,
    out: &mut impl Write,
) -> Result<(), Error> {
    let (low, high) = chart.range();
    let scale = Scale::new(low, high, (lines / 3).clamp(2, 8));
    let labels = scale.labels();
    let label_width = labels.iter().map(|label| label.width()).max().unwrap_or(0);
    let columns = width
        .saturating_sub(label_width + 2)
        .max(LEAST_PLOT_COLUMNS);
    let grid = plot(chart, &scale, columns, lines);
    let row_of = |value: f64| ((1.0 - scale.position(value)) * (lines - 1) as f64).round() as usize;
    for line in 0..lines {
        let tick = scale
            .ticks
            .iter()
            .zip(&labels)
            .find(|(tick, _)| row_of(**tick) == line);
        let (label, bar) = match tick {
            Some((_, label)) => (label.as_str(), '┤'),
            None => ("", '│'),
        };
        let zero = low < 0.0 && row_of(0.0) == line;
        let cells = grid.line(line, if zero { '┈' } else { ' ' }, |n, text| {
            let other = chart.series.get(n).is_some_and(|series| series.other);
            let (on, off) = options.style(&palette::sgr(n, other, false));
            format!("{on}{text}{off}")
        });
        writeln!(
            out,
            "{} {bar}{cells}",
            layout::cell(label, label_width, true)
        )?;
    }
    let (axis, times) = time_axis(chart, columns);
    let pad = " ".repeat(label_width + 1);
    writeln!(out, "{pad}└{axis}")?;
    if !chart.bands.is_empty() {
        writeln!(out, "{pad} {}", bands_line(chart, options, columns))?;
    }
    // Labels are centred below their ticks, so the first may start below the axis' corner.
    writeln!(out, "{pad} {times}")?;
    Ok(())
}

/// Draws the series, the highest in rank on top, and then their letters.
fn plot(chart: &Chart, scale: &Scale, columns: usize, lines: usize) -> Grid {
    let mut grid = Grid::new(columns, lines);
    let place = |&(time, value): &(i64, f64)| {
        grid_position(chart.position(time), scale.position(value), columns, lines)
    };
    for (n, series) in chart.series.iter().enumerate().rev() {
        for stretch in chart.stretches(series) {
            let dots: Vec<_> = stretch.iter().map(place).collect();
            grid.lines(&dots, n);
        }
    }
    for (n, series) in chart.series.iter().enumerate() {
        let letter = palette::letter(n, series.other);
        let lone: Vec<_> = chart
            .stretches(series)
            .filter_map(|stretch| match stretch {
                [point] => Some(point),
                _ => None,
            })
            .collect();
        // Points without a line need their letter most, but too many letters hide the lines.
        if lone.len() <= LONE_LETTERS {
            for point in lone {
                grid.letter(place(point), letter, n);
            }
        }
        let peak = series.points.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some(peak) = peak {
            grid.letter(place(peak), letter, n);
        }
        let every = (series.points.len() / LETTERS).max(1);
        // Series start at different points, so that their letters do not meet.
        for point in series.points.iter().skip(n % every).step_by(every) {
            grid.letter(place(point), letter, n);
        }
    }
    grid
}

fn grid_position(x: f64, y: f64, columns: usize, lines: usize) -> (usize, usize) {
    let (dots_across, dots_down) = (columns * 2 - 1, lines * 4 - 1);
    (
        (x * dots_across as f64).round() as usize,
        ((1.0 - y) * dots_down as f64).round() as usize,
    )
}

/// The line of the axis and the line of its labels.
fn time_axis(chart: &Chart, columns: usize) -> (String, String) {
    let (start, end) = chart.span();
    let mut axis = vec!['─'; columns];
    let mut labels = String::new();
    let mut used = 0;
    for tick in time_ticks(start, end, (columns / 11).max(2)) {
        let share = (tick.time_ns as f64 - start as f64) / (end as f64 - start as f64);
        let column = (share * (columns - 1) as f64).round() as usize;
        let label_start = column
            .saturating_sub(tick.label.len() / 2)
            .min(columns.saturating_sub(tick.label.len()));
        if label_start < used || tick.label.len() > columns {
            continue;
        }
        if let Some(mark) = axis.get_mut(column) {
            *mark = '┬';
        }
        labels.push_str(&" ".repeat(label_start.saturating_sub(labels.len())));
        labels.push_str(&tick.label);
        used = labels.len() + 2;
    }
    (axis.into_iter().collect(), labels)
}

/// The bands as marks below the axis, each at least a column wide.
fn bands_line(chart: &Chart, options: &RenderOptions, columns: usize) -> String {
    let mut cells: Vec<Option<(char, &str)>> = vec![None; columns];
    for band in chart.band_kinds() {
        for (from, to) in band.times {
            let column = |share: f64| share * columns as f64;
            let first = (column(chart.share(*from)) as usize).min(columns.saturating_sub(1));
            let end = column(chart.share(*to)).ceil() as usize;
            let marked = first..end.max(first + 1).min(columns);
            let marked = cells.get_mut(marked).unwrap_or_default();
            marked.fill(Some((band.mark, band.sgr)));
        }
    }
    let last = cells.iter().rposition(Option::is_some);
    let shown = cells.get(..=last.unwrap_or(0)).unwrap_or_default();
    let marks = shown.iter().map(|cell| match cell {
        None => " ".to_owned(),
        Some((mark, sgr)) => {
            let (on, off) = options.style(sgr);
            format!("{on}{mark}{off}")
        }
    });
    marks.collect()
}

/// What the marks of the bands mean, in one line.
fn write_bands_legend(
    chart: &Chart,
    options: &RenderOptions,
    width: usize,
    out: &mut impl Write,
) -> Result<(), Error> {
    if chart.bands.is_empty() {
        return Ok(());
    }
    let mut line = String::new();
    let mut left = width;
    for band in chart.band_kinds() {
        let gap = if line.is_empty() { 0 } else { 3 };
        let text = layout::cut(
            &format!(" {} ({})", band.name, band.value),
            left.saturating_sub(gap + 1),
        );
        if text.is_empty() {
            break;
        }
        let (on, off) = options.style(band.sgr);
        line.push_str(&" ".repeat(gap));
        line.push_str(&format!("{on}{}{off}{text}", band.mark));
        left = left.saturating_sub(gap + 1 + text.width());
    }
    writeln!(out, "{line}")?;
    Ok(())
}

fn write_bars(
    chart: &Chart,
    options: &RenderOptions,
    width: usize,
    out: &mut impl Write,
) -> Result<(), Error> {
    let bars: Vec<Bar> = chart
        .series
        .iter()
        .enumerate()
        .map(|(n, series)| Bar {
            name: series.shown_name(),
            value: series.total.text(),
            segments: vec![Segment {
                letter: None,
                sgr: palette::sgr(n, series.other, false),
                size: series.single().unwrap_or(0.0),
            }],
        })
        .collect();
    for line in bars::lines(&bars, width, options) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
