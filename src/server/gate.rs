//! What stands at the entrance of both fronts: who is let in, and where it is written who came.

use http::HeaderMap;

use super::Peer;
use crate::{
    audit::{Front, Scribe, Trail},
    identity::Identities,
};

/// What every call passes. Clones are the same gate.
#[derive(Clone)]
pub struct Gate {
    pub identities: Identities,
    pub audit: Option<Trail>,
}

impl From<Identities> for Gate {
    fn from(identities: Identities) -> Self {
        Self {
            identities,
            audit: None,
        }
    }
}

impl Gate {
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
