//! How long a call may take.

use std::time::Duration;

use tokio::time::Instant;

/// When the caller stops waiting. The server puts it into the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// What the answer needs to travel back in time.
    const RETURN: Duration = Duration::from_millis(20);

    /// When the work must have ended for the answer to arrive in time.
    pub(super) fn for_work(self) -> Instant {
        self.0.checked_sub(Self::RETURN).unwrap_or(self.0)
    }
}
