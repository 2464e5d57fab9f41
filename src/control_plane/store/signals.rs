//! What wakes those who wait for something to do, and those who watch something.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Notify;

use super::Change;
use super::watch::Watched;

#[derive(Default)]
pub(super) struct Signals {
    pub(super) scheduled: Notify,
    pub(super) emitted: Notify,
    pub(super) watched: Arc<Watched>,
}

/// Whom a change is to wake once it has happened.
#[derive(Default)]
pub(super) struct Wake {
    scheduled: bool,
    emitted: bool,
    pub(super) announced: BTreeSet<String>,
}

impl Wake {
    /// Everybody who has something to do.
    pub(super) fn workers() -> Self {
        Self {
            scheduled: true,
            emitted: true,
            announced: BTreeSet::new(),
        }
    }

    pub(super) fn of(change: &Change) -> Self {
        Self {
            scheduled: change.schedules_work(),
            emitted: !change.events.is_empty(),
            announced: change.announced.clone(),
        }
    }
}

impl Signals {
    pub(super) fn give(&self, wake: &Wake) {
        if wake.scheduled {
            self.scheduled.notify_one();
        }
        if wake.emitted {
            self.emitted.notify_one();
        }
        for name in &wake.announced {
            self.watched.wake(name);
        }
    }
}
