//! What keeps the sources of identities current, as long as it runs.

use std::time::Duration;

use tokio::time::sleep;

use super::{Identities, Open};

/// How soon a changed file of callers is taken up.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// To be run once, beside the server.
pub struct Upkeep(pub(super) Identities);

impl Upkeep {
    /// Never ends where there is something to keep.
    pub async fn run(self) {
        let Some(sources) = &self.0.0.sources else {
            return;
        };
        tokio::join!(look(sources), async {
            if let Some(issuer) = &sources.issuer {
                issuer.keep().await;
            }
        });
    }
}

async fn look(sources: &Open) {
    loop {
        sleep(LOOK_EVERY).await;
        sources.callers.look();
    }
}
