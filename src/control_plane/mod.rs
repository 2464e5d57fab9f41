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
//! Every change of a status is told as it is written: to who watches the resource, and as an event (`events`).
//!
//! What families share: the envelope of records (`resource`), repeats of creates (`idempotency`), pages (`pagination`), `tags`,
//! quotas (`limits`). Time and ids come from `ambient`.

pub mod ambient;
pub mod bundle;
pub mod events;
mod limits;
pub mod offline;
#[doc(hidden)]
pub mod pagination;
pub mod provision;
pub mod reconcile;
pub mod render;
pub mod spec;
pub mod store;
pub mod wire;

mod account;
mod attempts;
mod caller;
mod component;
mod deployable;
mod deployment;
mod environment;
mod environment_account_connection;
mod environment_template;
mod foreseen;
mod idempotency;
mod notify;
mod preview;
mod repository;
mod repository_sync;
mod resource;
mod sample;
mod service;
mod service_instance;
mod service_pipeline;
mod service_sync;
mod service_template;
mod summary;
mod sync;
mod tags;
mod template;
mod template_sync;
mod template_version;
mod version_choice;
mod version_numbers;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

pub use ambient::Ambient;
pub use caller::Caller;
pub use limits::Limits;

use bundle::source::Source;
use events::Sink;
use provision::Engines;
use store::{Store, Watch};

use crate::telemetry::{Metrics, Telemetry};

/// The control plane. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct ControlPlane {
    parts: Arc<Parts>,
    /// See `moment`.
    last_moment: Arc<AtomicI64>,
}

/// What a control plane is made of.
pub struct Parts {
    pub store: Store,
    /// Where template bundles come from.
    pub bundles: Source,
    /// What provisions.
    pub engines: Engines,
    pub ambient: Arc<dyn Ambient>,
    /// On whose behalf calls are made that are signed with no key of `accounts`, or not at all.
    pub caller: Caller,
    /// Whose account an access key is of, by its id.
    pub accounts: BTreeMap<String, String>,
    pub limits: Limits,
    /// Where events go. Without it there are none.
    pub events: Option<Sink>,
    pub telemetry: Telemetry,
}

impl ControlPlane {
    pub fn new(mut parts: Parts) -> Self {
        parts.store.tell(&parts.telemetry);
        Self {
            parts: Arc::new(parts),
            last_moment: Arc::default(),
        }
    }

    /// Finishes the writes that were asked for and lets go of the data directory.
    pub async fn close(&self) {
        self.parts.store.close().await;
    }

    fn store(&self) -> &Store {
        &self.parts.store
    }

    /// Watches the status of a resource: of what has this ARN, if there is one.
    pub fn watch(&self, arn: &str) -> Watch {
        self.store().watch(arn)
    }

    fn metrics(&self) -> Option<&Metrics> {
        self.parts.telemetry.metrics()
    }

    fn sink(&self) -> Option<&Sink> {
        self.parts.events.as_ref()
    }

    fn bundles(&self) -> &Source {
        &self.parts.bundles
    }

    fn engines(&self) -> &Engines {
        &self.parts.engines
    }

    fn ambient(&self) -> &dyn Ambient {
        &*self.parts.ambient
    }

    /// The time in units of a 4096th of a millisecond, later than ever before in this process.
    fn moment(&self) -> i64 {
        let now = self.now_ms() << 12;
        let next = |last: i64| now.max(last + 1);
        let last = self
            .last_moment
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(next(last))
            });
        next(last.expect("there always is a next moment"))
    }

    fn now_ms(&self) -> i64 {
        self.ambient().now_ms()
    }

    /// Who signs with an access key. All callers are in the one Region that the control plane is.
    fn caller(&self, access_key_id: Option<&str>) -> Caller {
        let default = &self.parts.caller;
        match access_key_id.and_then(|id| self.parts.accounts.get(id)) {
            Some(account) => Caller::new(account, default.region()),
            None => default.clone(),
        }
    }

    fn limits(&self) -> &Limits {
        &self.parts.limits
    }
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlPlane")
            .field("caller", &self.parts.caller)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A control plane, as long as its directory.
    pub(super) fn plane() -> (ControlPlane, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let ambient = Arc::new(ambient::Manual::starting_at(0));
        (plane_of(store, ambient), directory)
    }

    pub(super) fn plane_of(store: Store, ambient: Arc<dyn Ambient>) -> ControlPlane {
        ControlPlane::new(Parts {
            store,
            bundles: Source::Directory(PathBuf::new()),
            engines: Engines {
                cloudformation: Arc::new(provision::local::CloudFormation::default()),
                terraform: handed_over(),
                codebuild: handed_over(),
            },
            ambient,
            caller: caller(),
            accounts: BTreeMap::new(),
            limits: Limits::default(),
            events: None,
            telemetry: Telemetry::default(),
        })
    }

    fn handed_over() -> Arc<dyn provision::Engine> {
        let ending = provision::local::Ending::WaitsForNotify;
        Arc::new(provision::local::HandOver::new(ending))
    }

    pub(super) fn caller() -> Caller {
        Caller::new("123456789012", "us-east-1")
    }
}
