//! The time by which a call must have been answered.

use std::time::Duration;

use tokio::time::Instant;

/// When the caller stops waiting. The server puts it into a request's extensions; a request
/// without one may take its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// What the answer needs to travel back in time.
    const RETURN: Duration = Duration::from_millis(20);

    /// How much of the caller's time is left; zero when it is used up.
    pub fn remaining(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// When the work must have ended for the answer to arrive in time.
    pub(super) fn for_work(self) -> Instant {
        self.0.checked_sub(Self::RETURN).unwrap_or(self.0)
    }
}
