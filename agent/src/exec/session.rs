//! The engine's session for one query: cores, memory limit and where to spill.

use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::engine::RunOptions;
use super::error::Error;

/// Consumers named in the message when the memory limit is hit.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2);
/// What the engine sets aside for merging spilled runs where the limit is ample.
const MERGE_RESERVATION: usize = 10 << 20;

/// A session with the limits of the options.
pub(super) fn session(options: &RunOptions) -> Result<SessionContext, Error> {
    let partitions = options.partitions.max(1);
    let share = options.memory_limit_bytes / (partitions * 8);
    let mut config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_batch_size(8192)
        .with_sort_spill_reservation_bytes(share.min(MERGE_RESERVATION));
    config.options_mut().execution.sort_in_place_threshold_bytes = share.min(1 << 20);
    // Partial aggregation pays only where it makes few rows of many.
    config
        .options_mut()
        .execution
        .skip_partial_aggregation_probe_ratio_threshold = 0.8;
    let pool = FairSpillPool::new(options.memory_limit_bytes);
    let mut runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(TrackConsumersPool::new(pool, NAMED_CONSUMERS)));
    if let Some(folder) = &options.temp_dir {
        runtime = runtime.with_temp_file_path(folder);
    }
    Ok(SessionContext::new_with_config_rt(
        config,
        runtime.build_arc()?,
    ))
}
