//! How the socket is served; may change while it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::protocol::Limits;

/// How the socket is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Permissions of the socket's file.
    pub mode: u32,
    /// Members of this group may listen, besides root and the agent's user; `None`: of the agent's
    /// own, but for root's.
    pub group: Option<u32>,
    /// Connections at once.
    pub max_subscribers: usize,
    /// Bytes that wait for one subscriber, in this process and again in the kernel.
    pub queue_bytes: usize,
    /// What a query beside the agent should not take more of.
    pub limits: Limits,
}

impl Default for Options {
    /// Mode 0660 and no group, 32 subscribers with 64 KiB each, no limits.
    fn default() -> Self {
        Self {
            mode: 0o660,
            group: None,
            max_subscribers: 32,
            queue_bytes: 64 << 10,
            limits: Limits::default(),
        }
    }
}

/// Options that one part sets and others look at.
#[derive(Clone, Debug, Default)]
pub struct SharedOptions(Arc<Mutex<Options>>);

impl SharedOptions {
    /// These, until they are changed.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self(Arc::new(Mutex::new(options)))
    }

    /// As they are now.
    #[must_use]
    pub fn get(&self) -> Options {
        *self.lock()
    }

    /// Members of this group may listen, too.
    pub fn let_in(&self, group: Option<u32>) {
        self.lock().group = group;
    }

    /// Changes them for whoever connects from now on. Those of the socket's file stay.
    pub fn change(&self, max_subscribers: usize, limits: Limits) {
        let mut options = self.lock();
        options.max_subscribers = max_subscribers;
        options.limits = limits;
    }

    /// A panic elsewhere leaves whole values.
    fn lock(&self) -> MutexGuard<'_, Options> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
