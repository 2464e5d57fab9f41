//! Proton itself: takes Proton's calls, keeps its resources, and does the work that they ask for.
//!
//! ```text
//!  AWS-JSON ──► wire ──► one file a family ──► store ◄── reconcile ──► bundle
//!  (HTTP, or             load, decide,         records,  claims work, does it,
//!   in process)          write, answer         work,     records the outcome
//!                                              blobs
//! ```
//!
//! A call is read and validated in `wire` and handed to the function of its name in its family's file. That one loads records,
//! decides by pure functions over them, writes one change, and answers with a view built from the records. Writes are optimistic:
//! when somebody else was faster, the handler loads and decides again (`attempts`).
//!
//! What takes longer than an answer may is put into the store as a work item, in the same change as the records that say it is
//! under way. `reconcile` finds it there, now or after a crash, and commits the outcome together with the item's completion.
//!
//! What families share: the envelope of records (`resource`), repeats of creates (`idempotency`), pages (`pagination`), `tags`,
//! quotas (`limits`). Time and ids come from `ambient`.

pub mod ambient;
pub mod bundle;
mod limits;
pub mod provision;
pub mod reconcile;
pub mod render;
pub mod store;
pub mod wire;

mod account;
mod attempts;
mod caller;
mod environment_template;
mod idempotency;
mod pagination;
mod resource;
mod service_template;
mod tags;
mod template;
mod template_version;
mod version_numbers;

use std::fmt;
use std::sync::Arc;

pub use ambient::Ambient;
pub use caller::Caller;
pub use limits::Limits;

use bundle::source::Source;
use store::Store;

/// The control plane. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct ControlPlane {
    parts: Arc<Parts>,
}

/// What a control plane is made of.
pub struct Parts {
    pub store: Store,
    /// Where template bundles come from.
    pub bundles: Source,
    pub ambient: Arc<dyn Ambient>,
    /// On whose behalf calls are made.
    pub caller: Caller,
    pub limits: Limits,
}

impl ControlPlane {
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
    }

    /// Finishes the writes that were asked for and lets go of the data directory.
    pub async fn close(&self) {
        self.parts.store.close().await;
    }

    fn store(&self) -> &Store {
        &self.parts.store
    }

    fn bundles(&self) -> &Source {
        &self.parts.bundles
    }

    fn ambient(&self) -> &dyn Ambient {
        &*self.parts.ambient
    }

    fn now_ms(&self) -> i64 {
        self.ambient().now_ms()
    }

    fn caller(&self) -> &Caller {
        &self.parts.caller
    }

    fn limits(&self) -> &Limits {
        &self.parts.limits
    }
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlPlane")
            .field("caller", self.caller())
            .finish_non_exhaustive()
    }
}
