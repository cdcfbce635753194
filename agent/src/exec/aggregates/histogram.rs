//! `byte_histogram`: how often each byte occurs, as 256 little-endian 64-bit counts; the state of
//! entropy.

use std::mem::size_of_val;

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, Expr, Signature};

use super::binary::{self, Kind};

/// Histograms of the bytes of Binary values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ByteHistogram;

/// The histogram of all bytes of the values.
pub(in crate::exec) fn histogram(bytes: Expr) -> Expr {
    binary::of_values::<ByteHistogram>(bytes)
}

/// The sum of histograms.
pub(in crate::exec) fn merge(histograms: Expr) -> Expr {
    binary::of_partial::<ByteHistogram>(histograms)
}

impl Kind for ByteHistogram {
    const NAME: &'static str = "byte_histogram";
    const MERGE_NAME: &'static str = "merge_byte_histogram";

    fn takes() -> Signature {
        binary::bytes()
    }

    fn accumulator(merge: bool, _args: &AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Counts {
            counts: Box::new([0; 256]),
            merge,
        }))
    }
}

#[derive(Debug)]
struct Counts {
    counts: Box<[u64; 256]>,
    merge: bool,
}

impl Counts {
    fn add(&mut self, histogram: &[u8]) {
        for (count, more) in self.counts.iter_mut().zip(counts(histogram)) {
            *count = count.saturating_add(more);
        }
    }
}

/// The counts of a stored histogram.
fn counts(histogram: &[u8]) -> impl Iterator<Item = u64> {
    let (chunks, _) = histogram.as_chunks::<8>();
    chunks.iter().map(|chunk| u64::from_le_bytes(*chunk))
}

/// Shannon entropy of the bytes, normalised to 0..1; none without bytes.
pub(in crate::exec) fn entropy(histogram: &[u8]) -> Option<f64> {
    let total: u64 = counts(histogram).fold(0, u64::saturating_add);
    if total == 0 {
        return None;
    }
    let bits: f64 = counts(histogram)
        .filter(|count| *count > 0)
        .map(|count| count as f64 / total as f64)
        .map(|share| -share * share.log2())
        .sum();
    Some(bits.max(0.0) / 8.0)
}

impl Accumulator for Counts {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if self.merge {
            return self.merge_batch(values);
        }
        let values = binary::argument::<ByteHistogram>(values)?;
        for byte in values.iter().flatten().flatten() {
            if let Some(count) = self.counts.get_mut(usize::from(*byte)) {
                *count += 1;
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let states = binary::argument::<ByteHistogram>(states)?;
        for histogram in states.iter().flatten() {
            self.add(histogram);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let bytes = self.counts.iter().flat_map(|count| count.to_le_bytes());
        Ok(ScalarValue::Binary(Some(bytes.collect())))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        size_of_val(self) + size_of_val(self.counts.as_ref())
    }
}
