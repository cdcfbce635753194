//! Bands of a chart: the times in which packets were lost, or in which nothing was captured.

use super::Chart;
use crate::render::canvas::Colour;
use crate::text;

/// One kind of band.
pub(super) struct Band<'a> {
    pub(super) name: &'static str,
    /// How much it is in all.
    pub(super) value: String,
    /// Its shade on white.
    pub(super) colour: Colour,
    /// Its mark below the axis of a terminal.
    pub(super) mark: char,
    /// Its colour there, as an SGR parameter.
    pub(super) sgr: &'static str,
    /// Its times, in nanoseconds since 1970, inside the chart.
    pub(super) times: &'a [(i64, i64)],
}

impl Chart {
    /// The bands that there are; the later lies on the earlier.
    pub(super) fn band_kinds(&self) -> impl Iterator<Item = Band<'_>> {
        let bands = &self.bands;
        let away = Band {
            name: "nothing captured",
            value: text::duration(bands.away_ns()),
            colour: (226, 228, 232),
            mark: '░',
            sgr: "38;5;245",
            times: &bands.away,
        };
        let lost = Band {
            name: "packets lost",
            value: bands.packets.to_string(),
            colour: (252, 214, 208),
            mark: '▓',
            sgr: "38;5;203",
            times: &bands.lost,
        };
        [away, lost]
            .into_iter()
            .filter(|band| !band.times.is_empty())
    }

    /// Where an instant lies on the time axis, from 0 to 1.
    pub(super) fn share(&self, time: i64) -> f64 {
        let (start, end) = self.span();
        ((time as f64 - start as f64) / (end as f64 - start as f64)).clamp(0.0, 1.0)
    }
}
