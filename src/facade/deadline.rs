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

    /// Does the work, if it ends early enough for the answer to arrive in time. When that is
    /// impossible already, the work is not begun.
    pub(super) async fn keep<T>(self, work: impl Future<Output = T>) -> Option<T> {
        let end = self.0.checked_sub(Self::RETURN).unwrap_or(self.0);
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(end) => None,
            done = work => Some(done),
        }
    }
}
