//! Callers who act in roles of their own.
//!
//! ```text
//!  caller, role, Region ─► Session, one in this process: credentials from STS, a quota of repeats
//!                            └► Acting, one a thread: clients, a signer that keeps its key
//!                                 └► connections, all of a thread's: they carry no identity, signatures do
//! ```
//!
//! Who signs is decided when a call picks its clients, and never again: nothing below answers differently for different
//! callers. Both are made when a caller first comes, and forgotten again, the longest unused first; whoever still
//! holds them keeps them.

use std::{
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_config::{Region, SdkConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_proton::config::{Builder, IdentityCache, retry::RetryPartition};
use aws_sdk_sts::{operation::assume_role::builders::AssumeRoleFluentBuilder, types::Tag};
use aws_smithy_async::time::SharedTimeSource;
use moka::{future::Cache, policy::EvictionPolicy};

use super::{
    acting::Acting,
    assumed::Assumed,
    credentials::{PATIENCE, Renewable},
    session,
    signer::{Signer, Skew},
};
use crate::identity::{Principal, Role};

/// A session is its credentials; to forget it costs the caller's next call an answer of STS.
const MOST_SESSIONS: u64 = 10_000;
/// As long as credentials last.
const SESSION_IDLE: Duration = Duration::from_secs(60 * 60);
/// Clients are some tens of kilobytes, and quickly made.
const MOST_CLIENTS: u64 = 500;
const CLIENTS_IDLE: Duration = Duration::from_secs(10 * 60);

/// The sessions of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Sessions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// What STS is asked with, and as whom.
    config: SdkConfig,
    own: Option<Renewable>,
    clock: SharedTimeSource,
    /// Made for the first caller with a role.
    sts: OnceLock<aws_sdk_sts::Client>,
    open: Cache<Actor, Session>,
}

#[derive(Clone, Debug)]
struct Session {
    credentials: Renewable,
    repeats: RetryPartition,
}

/// A caller in its role.
#[derive(Clone, Debug)]
struct Actor(Principal);

impl Actor {
    fn identity(&self) -> impl Hash + Eq + '_ {
        let Self(principal) = self;
        (
            principal.who(),
            principal.account(),
            principal.region(),
            principal.role(),
        )
    }
}

impl PartialEq for Actor {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Actor {}

impl Hash for Actor {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl Sessions {
    /// Roles are assumed with `own` credentials.
    pub(super) fn new(config: SdkConfig, own: Option<Renewable>, clock: SharedTimeSource) -> Self {
        Self(Arc::new(Inner {
            config,
            own,
            clock,
            sts: OnceLock::new(),
            open: bounded(MOST_SESSIONS, SESSION_IDLE),
        }))
    }

    async fn session(&self, actor: Actor, role: &Role) -> Session {
        let Actor(principal) = &actor;
        let open = async {
            let request = self.request(principal, role);
            let Inner { own, clock, .. } = &*self.0;
            let source = Assumed::new(request, own.clone(), clock.clone());
            let source = SharedCredentialsProvider::new(source);
            Session {
                credentials: Renewable::new(source, clock.clone()),
                // One that is named is shared, and kept for ever.
                repeats: RetryPartition::custom("role").build(),
            }
        };
        self.0.open.get_with(actor.clone(), open).await
    }

    fn request(&self, principal: &Principal, role: &Role) -> AssumeRoleFluentBuilder {
        let who = principal.who();
        let name = session::name(who);
        let request = self.sts().assume_role();
        let request = request
            .role_arn(&role.arn)
            .set_external_id(role.external_id.clone())
            .role_session_name(&name)
            .source_identity(name);
        session::tags(who)
            .into_iter()
            .fold(request, |request, (key, value)| {
                let tag = Tag::builder().key(key).value(value).build();
                // Who assumes yet another role from this one still acts for the caller.
                request
                    .tags(tag.expect("a tag has a key and a value"))
                    .transitive_tag_keys(key)
            })
    }

    fn sts(&self) -> &aws_sdk_sts::Client {
        self.0.sts.get_or_init(|| {
            let timeouts = TimeoutConfig::builder().operation_timeout(PATIENCE).build();
            let mut config = aws_sdk_sts::config::Builder::from(&self.0.config)
                .timeout_config(timeouts)
                .identity_cache(IdentityCache::no_cache());
            config.set_credentials_provider(self.0.own.clone().map(SharedCredentialsProvider::new));
            aws_sdk_sts::Client::from_conf(config.build())
        })
    }
}

/// The clients of one thread, for callers in roles.
#[derive(Debug)]
pub(super) struct Roles {
    sessions: Sessions,
    /// The thread's connections, and what else all clients have in common.
    common: Builder,
    skew: Skew,
    made: Cache<Actor, Arc<Acting>>,
}

impl Roles {
    pub(super) fn new(sessions: Sessions, common: Builder, skew: Skew) -> Self {
        Self {
            sessions,
            common,
            skew,
            made: bounded(MOST_CLIENTS, CLIENTS_IDLE),
        }
    }

    pub(super) async fn acting(&self, principal: &Principal, role: &Role) -> Arc<Acting> {
        let actor = Actor(principal.clone());
        let make = async {
            let session = self.sessions.session(actor.clone(), role).await;
            let region = principal.region();
            let builder = self
                .common
                .clone()
                .region(Region::new(region.to_owned()))
                .retry_partition(session.repeats);
            let signer = Signer::new(region, self.skew.clone());
            Arc::new(Acting::signed(
                builder,
                Some(signer),
                Some(session.credentials),
            ))
        };
        self.made.get_with(actor.clone(), make).await
    }
}

/// One that never refuses a newcomer: whoever has just come is likely to come again.
fn bounded<V: Clone + Send + Sync + 'static>(most: u64, idle: Duration) -> Cache<Actor, V> {
    Cache::builder()
        .max_capacity(most)
        .time_to_idle(idle)
        .eviction_policy(EvictionPolicy::lru())
        .build()
}
