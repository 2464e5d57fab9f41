//! What stands at the entrance of both fronts: who is let in, and where it is told who came.

use http::HeaderMap;
use tokio::time::Instant;

use super::{Peer, identity};
use crate::{
    audit::{Front, Scribe, Trail},
    control_plane::wire::Checks,
    identity::Identities,
    overload::{Limits, Overload},
    policy::Policies,
    telemetry::Telemetry,
};

/// What every call passes. Clones are the same gate.
#[derive(Clone)]
pub struct Gate {
    pub identities: Identities,
    pub overload: Overload,
    /// For AWS-JSON: over gRPC it is the services that know what is asked, and they have theirs.
    pub policies: Policies,
    pub audit: Option<Trail>,
    pub telemetry: Telemetry,
}

impl From<Identities> for Gate {
    fn from(identities: Identities) -> Self {
        Self {
            identities,
            overload: Overload::new(Limits::default(), Instant::now),
            policies: Policies::default(),
            audit: None,
            telemetry: Telemetry::default(),
        }
    }
}

impl Gate {
    /// What a request of AWS-JSON has to pass.
    pub(crate) fn checks<'a>(&'a self, peer: &'a Peer) -> Checks<'a> {
        Checks {
            client: identity::client(Some(peer)),
            identities: &self.identities,
            overload: &self.overload,
            policies: &self.policies,
        }
    }

    /// Who writes down this request, if that is wanted.
    pub(crate) fn scribe(
        &self,
        front: Front,
        peer: Option<&Peer>,
        headers: &HeaderMap,
    ) -> Option<Scribe> {
        let trail = self.audit.as_ref()?;
        let peer = peer.map(|peer| peer.address.to_string());
        Some(Scribe::new(trail, front, peer, headers))
    }
}
