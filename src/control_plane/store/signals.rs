//! What wakes those who wait for something to do.

use tokio::sync::Notify;

use super::Change;

#[derive(Default)]
pub(super) struct Signals {
    pub(super) scheduled: Notify,
    pub(super) emitted: Notify,
}

/// Whom a change is to wake once it has happened.
#[derive(Clone, Copy, Default)]
pub(super) struct Wake {
    scheduled: bool,
    emitted: bool,
}

impl Wake {
    pub(super) fn all() -> Self {
        Self {
            scheduled: true,
            emitted: true,
        }
    }

    pub(super) fn of(change: &Change) -> Self {
        Self {
            scheduled: change.schedules_work(),
            emitted: !change.events.is_empty(),
        }
    }
}

impl Signals {
    pub(super) fn give(&self, wake: Wake) {
        if wake.scheduled {
            self.scheduled.notify_one();
        }
        if wake.emitted {
            self.emitted.notify_one();
        }
    }
}
