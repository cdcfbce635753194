//! What the disk takes when nothing else is in the way.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::{SelfTestError, check, temporary};
use crate::store::{Outcome, RecordBlock, SourceWriter, WriterOptions};
use crate::wall;

/// Packets of a block: about a megabyte.
const PACKETS: usize = 1_000;
const PACKET_BYTES: usize = 1_000;

/// The disk, as the store's writer uses it.
#[derive(Clone, Copy, Debug)]
pub struct Disk {
    /// Bytes of records a second, until all of them are on the disk.
    pub bytes_per_second: f64,
}

/// Writes blocks for `time` or to a tenth of the free space, then waits for the disk.
pub(super) fn measure(
    folder: &Path,
    time: Duration,
    stop: &AtomicBool,
) -> Result<Disk, SelfTestError> {
    let most = crate::store::retention::free_bytes(folder)? / 10;
    let folder = temporary(folder)?;
    let (mut writer, _) =
        SourceWriter::open(folder.path(), WriterOptions::default(), wall::now_ns())?;
    let mut block = RecordBlock::with_capacity(2 * PACKETS * PACKET_BYTES);
    for _ in 0..PACKETS {
        block.push(wall::now_ns(), PACKET_BYTES as u32, &[0x5a; PACKET_BYTES]);
    }
    let start = Instant::now();
    while start.elapsed() < time && writer.stats().bytes < most {
        check(stop)?;
        if writer.append(&block) != Outcome::Stored {
            break;
        }
    }
    // The last file is brought to the disk when it is closed.
    let (_, stats, error) = writer.close(wall::now_ns());
    if let Some(error) = error {
        return Err(error.into());
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(Disk {
        bytes_per_second: stats.bytes as f64 / seconds,
    })
}
