//! What callers may do, and who tells policies about resources.

use std::sync::Arc;

use anyhow::Result;

use super::PlaneThread;
use crate::{
    cli::config::{BadSetting, Settings, Upstream},
    control_plane::{Caller, ControlPlane},
    identity::Place,
    policy::{Find, Keeper, Loaded, Policies, Unknown},
};

/// Reads the policies that are given.
pub(super) fn load(settings: &Settings) -> Result<Option<Loaded>> {
    let with_keeper = settings.upstream == Upstream::Embedded;
    let path = settings.policies.policies.as_deref();
    let loaded = path.map(|path| Loaded::open(path, with_keeper));
    let bad = |problem| BadSetting(format!("--policies {problem}"));
    Ok(loaded.transpose().map_err(bad)?)
}

/// Puts them in force, with the control plane to tell them what they go by.
pub(super) fn enforce(loaded: Option<&Loaded>, plane: Option<&PlaneThread>) -> Policies {
    let keeper = |thread: &PlaneThread| Arc::new(Kept(thread.plane.clone())) as Arc<dyn Keeper>;
    loaded.map_or_else(Policies::default, |loaded| {
        Policies::new(loaded, plane.map(keeper))
    })
}

struct Kept(ControlPlane);

impl Keeper for Kept {
    fn find<'a>(&'a self, place: &'a Place, arn: &'a str) -> Find<'a> {
        Box::pin(async move {
            let caller = Caller::new(&place.account, &place.region);
            let known = self.0.known_of(&caller, arn).await;
            known.map(Option::unwrap_or_default).map_err(|error| {
                tracing::error!(?error, "policies cannot be told about a resource");
                Unknown
            })
        })
    }
}
