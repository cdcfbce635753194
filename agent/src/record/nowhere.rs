//! No output: packets are counted and nothing is kept.

use super::write::{LeftOut, Output, WriteError};
use crate::store::RecordBlock;

/// Keeps nothing.
#[derive(Debug, Default)]
pub struct Nowhere;

impl Output for Nowhere {
    fn append(&mut self, _slot: u32, _block: &RecordBlock) -> Result<LeftOut, WriteError> {
        Ok(LeftOut::default())
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        Ok(())
    }

    fn bytes_written(&self) -> u64 {
        0
    }
}
