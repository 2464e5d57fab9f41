//! Who calls.
//!
//! ```text
//!  a call ──► signature? (AWS-JSON) ── SigV4, by access key ────────┐
//!             token?  ──────────────── JWT, by its issuer's keys ───┤
//!             proxy's header? ──────── if the proxy is the one ─────┼──► callers ──► Principal
//!             certificate? ─────────── SPIFFE, by trust domain ─────┘   (account, Region)
//! ```
//!
//! The first of these that a call has decides: one that does not hold is never made up for by
//! another. Where no source is configured everybody is the one local caller; where one is, a call
//! without an identity that holds and maps to an account is refused.

mod callers;
mod jwt;
mod principal;
mod proxy;
mod refusal;
mod sigv4;
mod spiffe;
mod upkeep;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use bytes::Bytes;
use http::{HeaderMap, Request};
use serde_json::{Map, Value};

pub use jwt::Tokens;
pub use principal::{Place, Principal, Role, Who};
pub use proxy::{FORWARDED_CERTIFICATE, Proxied, TrustedProxy};
pub use refusal::{Refusal, Why};
pub use spiffe::{SpiffeId, TrustDomain};
pub use upkeep::Upkeep;

use crate::api::operation::Class;
use callers::{Issuers, Known, Seat, Snapshot, Watched};
use jwt::Issuer;
use sigv4::Replays;

/// What time it is.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Where identities come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the one local caller acts; others in this Region too, unless their entry says another.
    pub local: Place,
    pub sources: Option<Sources>,
}

/// Sources of identities, and whose account each is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The file that maps identities to accounts, and has the access keys.
    pub callers: PathBuf,
    pub trust_domain: Option<TrustDomain>,
    pub tokens: Option<Tokens>,
    pub proxied: Option<Proxied>,
    /// Whether calls go to where callers can have roles.
    pub roles: bool,
}

/// What the transport knows of a client.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Its certificate in DER, verified.
    pub certificate: Option<&'a [u8]>,
    pub machine: Machine,
}

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// Here, at the socket file.
    Unix,
    /// Here, at the loopback interface.
    Loopback,
    Other,
}

/// Tells who calls. Cheap to clone and to ask.
#[derive(Clone)]
pub struct Identities(Arc<Asked>);

struct Asked {
    local: Principal,
    sources: Option<Open>,
}

struct Open {
    callers: Watched,
    trust_domain: Option<TrustDomain>,
    issuer: Option<Issuer>,
    proxied: Option<Proxied>,
    replays: Replays,
    clock: Clock,
}

impl Identities {
    /// Opens the sources, and what keeps them current.
    pub fn open(settings: Settings, clock: Clock) -> Result<(Self, Upkeep), String> {
        let sources = match settings.sources {
            Some(sources) => Some(Open::new(sources, &settings.local, clock)?),
            None => None,
        };
        let identities = Self(Arc::new(Asked {
            local: Principal::new(Who::Local, settings.local),
            sources,
        }));
        Ok((identities.clone(), Upkeep(identities)))
    }

    /// For a server that everybody may call.
    pub fn nobody_asks(local: Place) -> Self {
        Self(Arc::new(Asked {
            local: Principal::new(Who::Local, local),
            sources: None,
        }))
    }

    /// Whether callers have to be somebody.
    pub fn are_asked_for(&self) -> bool {
        self.0.sources.is_some()
    }

    /// Who makes a gRPC call.
    pub async fn of_call(
        &self,
        headers: &HeaderMap,
        client: Client<'_>,
    ) -> Result<Principal, Refusal> {
        match &self.0.sources {
            None => Ok(self.0.local.clone()),
            Some(sources) => sources.of_call(headers, client).await,
        }
    }

    /// Who makes an AWS-JSON request, for an operation of this class.
    pub async fn of_request(
        &self,
        request: &Request<Bytes>,
        class: Class,
        client: Client<'_>,
    ) -> Result<Principal, Refusal> {
        match &self.0.sources {
            None => Ok(self.0.local.clone()),
            Some(sources) if sigv4::is_signed(request.headers()) => {
                sources.of_signed(request, class)
            }
            Some(sources) => sources.of_call(request.headers(), client).await,
        }
    }
}

/// Where somebody acts whose identity holds, as a file of callers has it, wherever identities come from.
pub fn place_in(callers: &Path, who: &Who, region: &str) -> Result<Option<Place>, String> {
    let known = Known {
        region: region.to_owned(),
        ids: true,
        issuers: Issuers::Any,
        names: true,
        roles: true,
    };
    let callers = Snapshot::take(callers)?.read(&known)?;
    Ok(callers.place_or_key(who).cloned())
}

impl Open {
    fn new(sources: Sources, local: &Place, clock: Clock) -> Result<Self, String> {
        let proxys_ids = sources.proxied.as_ref().map(Proxied::says_ids);
        let known = Known {
            region: local.region.clone(),
            ids: sources.trust_domain.is_some() || proxys_ids == Some(true),
            issuers: match &sources.tokens {
                None => Issuers::None,
                Some(tokens) => Issuers::Only(tokens.issuer.clone()),
            },
            names: proxys_ids == Some(false),
            roles: sources.roles,
        };
        let callers = Watched::open(&sources.callers, known)
            .map_err(|problem| format!("{}: {problem}", sources.callers.display()))?;
        if let Some(tokens) = &sources.tokens {
            jwt::check_url(&tokens.issuer)?;
        }
        let issuer = (sources.tokens).map(|tokens| Issuer::open(tokens, Arc::clone(&clock)));
        Ok(Self {
            callers,
            trust_domain: sources.trust_domain,
            issuer: issuer.transpose()?,
            proxied: sources.proxied,
            replays: Replays::default(),
            clock,
        })
    }

    async fn of_call(&self, headers: &HeaderMap, client: Client<'_>) -> Result<Principal, Refusal> {
        if let Some(issuer) = &self.issuer
            && let Some(token) = jwt::bearer(headers)?
        {
            let (who, claims) = issuer.verify(token).await?;
            return self.placed(who, claims);
        }
        let certified = self.certified(client);
        if let Some(proxied) = &self.proxied
            && proxied.is_from(client, certified.as_ref().and_then(|id| id.as_ref().ok()))
            && let Some(who) = proxied.who(headers)?
        {
            self.check_domain(&who)?;
            return self.placed(who, Map::new());
        }
        let id = certified.ok_or_else(Refusal::missing)??;
        self.placed(Who::Spiffe(id.to_string()), Map::new())
    }

    /// The identity in the client's certificate, if certificates are asked for one.
    fn certified(&self, client: Client<'_>) -> Option<Result<SpiffeId, Refusal>> {
        let domain = self.trust_domain.as_ref()?;
        let id = SpiffeId::of_certificate(client.certificate?);
        Some(id.and_then(|id| match id.is_of(domain) {
            true => Ok(id),
            false => Err(foreign()),
        }))
    }

    /// A proxy cannot vouch for more than a certificate could.
    fn check_domain(&self, who: &Who) -> Result<(), Refusal> {
        match (who, &self.trust_domain) {
            (Who::Spiffe(id), Some(domain)) => {
                let is_ours = id.parse::<SpiffeId>().is_ok_and(|id| id.is_of(domain));
                if is_ours { Ok(()) } else { Err(foreign()) }
            }
            _ => Ok(()),
        }
    }

    fn of_signed(&self, request: &Request<Bytes>, class: Class) -> Result<Principal, Refusal> {
        let callers = self.callers.now();
        let now = (self.clock)();
        let (key, place) = sigv4::verify(request, class, now, |id| callers.key(id), &self.replays)?;
        Ok(Principal::new(Who::AccessKey(key), place.clone()))
    }

    fn placed(&self, who: Who, claims: Map<String, Value>) -> Result<Principal, Refusal> {
        match self.callers.now().seat(&who) {
            Some(Seat { place, role }) => {
                Ok(Principal::in_role(who, place.clone(), role.clone(), claims))
            }
            None => {
                tracing::debug!(%who, "a caller is known but has no account here");
                let message = "the caller is known, but has no account here";
                Err(Refusal::new(Why::Unmapped, message))
            }
        }
    }
}

fn foreign() -> Refusal {
    Refusal::unrecognized("the caller is of another trust domain")
}

#[cfg(test)]
mod tests;
