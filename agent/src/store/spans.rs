//! When packets were lost: stretches of samples, coarser where there are very many.

/// Stretches that are kept apart; a chart has fewer columns, and a year of losses fits memory.
const MOST: usize = 4_096;

/// A time in which packets were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its start, in nanoseconds since 1970.
    pub from_ns: i64,
    /// Its end.
    pub to_ns: i64,
    /// Packets lost in it.
    pub packets: u64,
}

/// Times in which packets were lost, in the order of counting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// The stretches.
    pub fn list(&self) -> &[Span] {
        &self.0
    }

    /// Adds one; it is one with the last where they touch. Nothing lost is no stretch.
    pub fn add(&mut self, span: Span) {
        if span.packets == 0 {
            return;
        }
        match self.0.last_mut() {
            Some(last) if (last.from_ns..=last.to_ns).contains(&span.from_ns) => {
                *last = last.joined(&span);
            }
            _ => self.0.push(span),
        }
        if self.0.len() > MOST {
            let pairs = self.0.chunks(2).filter_map(|pair| {
                let (first, rest) = pair.split_first()?;
                Some(rest.iter().fold(*first, |joined, span| joined.joined(span)))
            });
            self.0 = pairs.collect();
        }
    }

    /// Adds all of another.
    pub fn extend(&mut self, other: &Self) {
        other.0.iter().for_each(|span| self.add(*span));
    }
}

impl Span {
    /// The time of both and what is between.
    fn joined(&self, other: &Self) -> Self {
        Self {
            from_ns: self.from_ns.min(other.from_ns),
            to_ns: self.to_ns.max(other.to_ns),
            packets: self.packets.saturating_add(other.packets),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from_ns: i64, to_ns: i64, packets: u64) -> Span {
        Span {
            from_ns,
            to_ns,
            packets,
        }
    }

    #[test]
    fn stretches_that_touch_are_one() {
        let mut spans = Spans::default();
        for part in [
            span(0, 10, 1),
            span(10, 20, 2),
            span(20, 30, 0),
            span(30, 40, 4),
        ] {
            spans.add(part);
        }
        assert_eq!(spans.list(), [span(0, 20, 3), span(30, 40, 4)]);
    }

    #[test]
    fn very_many_get_coarser_and_none_is_lost() {
        let mut spans = Spans::default();
        let count = 3 * MOST as i64 + 7;
        (0..count).for_each(|n| spans.add(span(10 * n, 10 * n + 5, 1)));
        assert!(spans.list().len() <= MOST);
        let packets: u64 = spans.list().iter().map(|span| span.packets).sum();
        assert_eq!(packets, count.unsigned_abs());
        let first = spans.list().first().map(|span| span.from_ns);
        let last = spans.list().last().map(|span| span.to_ns);
        assert_eq!((first, last), (Some(0), Some(10 * count - 5)));
        assert!(
            spans
                .list()
                .windows(2)
                .all(|pair| pair[0].to_ns < pair[1].from_ns)
        );
    }
}
