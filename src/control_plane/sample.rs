//! What there is to be seen of the work and the store, for metrics.

use super::ControlPlane;
use super::reconcile;
use super::store::{Backlog, Error, Queue};
use crate::telemetry::metrics::{Plane, Queued};

impl ControlPlane {
    /// How things stand; nothing while the store cannot be read.
    pub async fn sample(&self) -> Option<Plane> {
        let sampled = self.try_sample().await;
        let unread = |cause: &Error| {
            tracing::debug!(
                error = cause as &dyn std::error::Error,
                "the store tells nothing of its queues"
            );
        };
        sampled.inspect_err(unread).ok()
    }

    async fn try_sample(&self) -> Result<Plane, Error> {
        let now_ms = self.now_ms();
        let seconds_since = |ms: i64| (now_ms - ms).max(0) as f64 / 1000.0;
        let queued = |queue: Queue| Queued {
            kind: reconcile::known_kind(&queue.kind),
            scheduled: queue.scheduled,
            waiting: queue.waiting,
            running: queue.running,
            oldest: queue.since_ms.map_or(0.0, seconds_since),
        };
        let queues = self.store().queue(now_ms).await?;
        let events = match self.sink() {
            None => None,
            Some(_) => Some(match self.store().backlog().await? {
                None => (0, 0.0),
                Some(Backlog { count, since_ms }) => (count, seconds_since(since_ms)),
            }),
        };
        Ok(Plane {
            queued: queues.into_iter().map(queued).collect(),
            events,
            pool: self.store().pool(),
        })
    }
}
