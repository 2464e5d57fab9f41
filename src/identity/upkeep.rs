//! What keeps the sources of identities current, as long as it runs.

use super::Identities;

/// To be run once, beside the server.
pub struct Upkeep(pub(super) Identities);

impl Upkeep {
    /// Never ends where there is something to keep.
    pub async fn run(self) {
        let Some(sources) = &self.0.0.sources else {
            return;
        };
        tokio::join!(sources.callers.keep(), async {
            if let Some(issuer) = &sources.issuer {
                issuer.keep().await;
            }
        });
    }
}
