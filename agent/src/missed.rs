//! What an answer missed, for whoever shows it: the store's counts and the scan's, in plain types.

use std::collections::BTreeSet;

/// What an answer missed, for exactly its sources and its span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// First instant asked for, in nanoseconds since 1970; `None`: all there is.
    pub from_ns: Option<i64>,
    /// The instant after the last one asked for; `None`: not bounded.
    pub to_ns: Option<i64>,
    /// The store's sources that the answer is of; none where files were named.
    pub sources: Vec<SourceMissed>,
    /// Packets read from named files of which bytes were left out when they were captured.
    pub cut: u64,
    /// Damaged inputs, one entry a file.
    pub damaged: Vec<Damage>,
    /// Stored files that retention removed before they were read.
    pub removed: Vec<String>,
    /// Packets of which only tuples are stored, where the answer needs more: one entry a file.
    pub unanswered: Vec<Unanswered>,
    /// Packets read whose link type is not decoded: (link type, packets).
    pub undecoded: Vec<(u16, u64)>,
    /// Packets read that are later fragments, which have no ports.
    pub portless_fragments: u64,
}

/// Stored tuples that are not in the answer because it needs what only packets have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// The file.
    pub file: String,
    /// Tuples that may have been wanted: those that the query's filters and its time rule out by
    /// row groups are not among them.
    pub packets: u64,
    /// Their lowest and highest time, in nanoseconds since 1970.
    pub times_ns: Option<(i64, i64)>,
    /// What the query needs and tuples do not have.
    pub fields: BTreeSet<String>,
}

/// What a source of a store missed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceMissed {
    /// The interface.
    pub interface: String,
    /// The tag of its packets.
    pub tag: String,
    /// First and last time for which there are counts, in nanoseconds since 1970; `None`: never
    /// (imported packets have none).
    pub known_ns: Option<(i64, i64)>,
    /// Packets that the interface received.
    pub seen: u64,
    /// Packets stored.
    pub stored: u64,
    /// Packets lost: the sum of the reasons that are losses.
    pub lost: u64,
    /// Packets stored of which bytes were left out (snap length).
    pub cut: u64,
    /// Packets not stored, by reason, all reasons in their order.
    pub dropped: Vec<(&'static str, u64)>,
    /// When packets were lost, in order, at the resolution of the counts (a second, coarser over
    /// long times).
    pub losses: Vec<LossSpan>,
    /// When nothing was captured, as (from, to), inside the span asked for.
    pub gaps_ns: Vec<(i64, i64)>,
    /// Lines of the loss tables that cannot be read: some loss may be unknown.
    pub damaged_lines: u64,
}

/// A time in which packets were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossSpan {
    /// Its start, in nanoseconds since 1970.
    pub from_ns: i64,
    /// Its end.
    pub to_ns: i64,
    /// Packets lost in it.
    pub packets: u64,
}

/// Damage of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The input.
    pub file: String,
    /// Byte offset of the first damaged place in the (decompressed) file.
    pub offset: u64,
    /// What is wrong there.
    pub reason: String,
    /// Number of damaged places.
    pub places: u64,
}

/// The times of a chart that lack packets: merged over all sources, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bands {
    /// When packets were lost.
    pub lost: Vec<(i64, i64)>,
    /// How many.
    pub packets: u64,
    /// When nothing was captured by a source that captured something in the time, or by none.
    pub away: Vec<(i64, i64)>,
}

impl Missed {
    /// The bands from an instant to another, in nanoseconds since 1970.
    pub fn bands(&self, from_ns: i64, to_ns: i64) -> Bands {
        let mut bands = Bands::default();
        let inside = |a: i64, b: i64| a < to_ns && b > from_ns;
        let spans = self.sources.iter().flat_map(|source| &source.losses);
        for span in spans.filter(|span| inside(span.from_ns, span.to_ns)) {
            bands.packets = bands.packets.saturating_add(span.packets);
            bands.lost.push((span.from_ns, span.to_ns));
        }
        // An interface that was left long ago must not shade every later chart.
        let captured = |source: &&SourceMissed| {
            source
                .known_ns
                .is_some_and(|(first, last)| inside(first, last))
        };
        let any = self.sources.iter().any(|source| captured(&source));
        let sources = self
            .sources
            .iter()
            .filter(|source| !any || captured(source));
        let gaps = sources.flat_map(|source| &source.gaps_ns);
        bands
            .away
            .extend(gaps.filter(|(from, to)| inside(*from, *to)));
        for list in [&mut bands.lost, &mut bands.away] {
            *list = merged(std::mem::take(list), from_ns, to_ns);
        }
        bands
    }
}

impl Bands {
    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.away.is_empty()
    }

    /// Nanoseconds in which nothing was captured.
    pub fn away_ns(&self) -> i64 {
        let lengths = self.away.iter().map(|(from, to)| to.saturating_sub(*from));
        lengths.fold(0, i64::saturating_add)
    }
}

/// The times in order, cut to the span, those that touch as one.
fn merged(mut times: Vec<(i64, i64)>, from_ns: i64, to_ns: i64) -> Vec<(i64, i64)> {
    times.sort_unstable();
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (from, to) in times {
        let (from, to) = (from.max(from_ns), to.min(to_ns));
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(known_ns: (i64, i64), losses: &[(i64, i64)], gaps: &[(i64, i64)]) -> SourceMissed {
        let losses = losses.iter().map(|&(from_ns, to_ns)| LossSpan {
            from_ns,
            to_ns,
            packets: 3,
        });
        SourceMissed {
            known_ns: Some(known_ns),
            losses: losses.collect(),
            gaps_ns: gaps.to_vec(),
            ..SourceMissed::default()
        }
    }

    #[test]
    fn bands_are_merged_over_sources_and_cut_to_the_chart() {
        let missed = Missed {
            sources: vec![
                source((0, 90), &[(10, 20), (40, 50), (95, 99)], &[(60, 70)]),
                source((0, 100), &[(15, 30), (0, 5)], &[(65, 80)]),
                // Left before the chart begins: its gap is no band.
                source((-50, -40), &[], &[(-40, 100)]),
            ],
            ..Missed::default()
        };
        let bands = missed.bands(5, 90);
        assert_eq!(bands.lost, [(10, 30), (40, 50)]);
        assert_eq!(bands.packets, 9);
        assert_eq!((bands.away.clone(), bands.away_ns()), (vec![(60, 80)], 20));
        assert!(missed.bands(81, 94).is_empty());
        // Where no source captured anything, all of the time is a gap.
        let left = Missed {
            sources: vec![source((-50, -40), &[], &[(-40, 100)])],
            ..Missed::default()
        };
        assert_eq!(left.bands(5, 90).away, [(5, 90)]);
    }
}
