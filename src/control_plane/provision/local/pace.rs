//! How long a deployment takes that takes no time.

use std::time::Duration;

use super::super::Order;

/// The time from the start of a deployment to its end. With some, states in between can be seen, and deployments cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace(pub(super) Duration);

impl Pace {
    /// What is left of it, or nothing when the time has come.
    pub(super) fn left(self, order: &Order<'_>) -> Option<Duration> {
        let passed = order.now_ms.saturating_sub(order.started_at_ms);
        let passed = Duration::from_millis(u64::try_from(passed).unwrap_or(0));
        self.0.checked_sub(passed).filter(|left| !left.is_zero())
    }
}
