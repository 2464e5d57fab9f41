//! How a server ends: in steps, each bounded, together within 30 seconds after the wait.

use std::{pin::pin, time::Duration};

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{Server, life::Life};

/// For the calls that are in flight.
const CALLS: Duration = Duration::from_secs(25);
/// For statuses and GOAWAYs to reach their clients.
const CONNECTIONS: Duration = Duration::from_secs(5);

impl Server {
    /// Ends the server. Dropping this cuts it short: calls in flight are lost then.
    pub async fn drain(self, wait: Duration) {
        info!(?wait, "draining: health says not serving");
        self.health.set_serving(false);
        sleep(wait).await;

        info!("draining: no new connections, calls in flight finish");
        self.each(|life| life.draining.cancel());
        if !self.all_end(CALLS, |life| &life.calls).await {
            warn!(after = ?CALLS, "draining: calls did not finish in time");
        }

        info!("draining: streams end, connections close");
        self.each(|life| life.closing.cancel());
        if !self.all_end(CONNECTIONS, |life| &life.connections).await {
            warn!(after = ?CONNECTIONS, "draining: connections did not close in time");
        }
        info!("drained");
    }

    fn each(&self, tell: impl Fn(&Life)) {
        self.lives().for_each(tell);
    }

    fn lives(&self) -> impl Iterator<Item = &Life> {
        self.fronts.iter().flat_map(|workers| &workers.lives)
    }

    /// Waits until nothing is left on any worker; tells whether that came in time.
    async fn all_end(&self, within: Duration, what: impl Fn(&Life) -> &TaskTracker) -> bool {
        let trackers = self.lives().map(what);
        let all = join_all(trackers.map(|tracker| {
            tracker.close();
            tracker.wait()
        }));
        timeout(within, pin!(all)).await.is_ok()
    }
}
