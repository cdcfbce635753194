//! Where a scan lets others go first: what is called between two rounds of packets.

use std::fmt;
use std::sync::Arc;

/// Called by each thread of a scan between two rounds; returns when it may go on.
#[derive(Clone, Default)]
pub struct Pause(Option<Arc<dyn Fn() + Send + Sync>>);

impl Pause {
    /// Calls this.
    pub fn new(wait: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(wait)))
    }

    /// Waits until the scan may go on.
    pub fn wait(&self) {
        if let Some(wait) = &self.0 {
            wait();
        }
    }
}

impl fmt::Debug for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.0.is_some() { "Pause" } else { "none" };
        f.write_str(what)
    }
}
