//! AWS credentials that are kept until they expire, or until the upstream says they have.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use aws_credential_types::{
    Credentials,
    provider::{
        ProvideCredentials, Result, SharedCredentialsProvider, error::CredentialsError, future,
    },
};
use aws_smithy_async::time::SharedTimeSource;

/// Renew this long before the expiry, so that no signature is made with credentials that expire
/// on the way.
const EARLY: Duration = Duration::from_secs(60);
/// How long the source may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// One for each upstream, shared by its clients. Stands in for the SDK's identity cache, which
/// cannot be told that credentials were refused.
#[derive(Clone, Debug)]
pub(super) struct Renewable(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: SharedCredentialsProvider,
    clock: SharedTimeSource,
    kept: Mutex<Option<Credentials>>,
    /// Held while the source is asked: the calls that wait meanwhile need not ask again.
    asking: tokio::sync::Mutex<()>,
}

impl Renewable {
    pub(super) fn new(source: SharedCredentialsProvider, clock: SharedTimeSource) -> Self {
        Self(Arc::new(Inner {
            source,
            clock,
            kept: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }))
    }

    /// What a call that begins now would sign with, unless the source must be asked first.
    pub(super) fn kept(&self) -> Option<Credentials> {
        let limit = self.0.clock.now() + EARLY;
        let kept = self.lock().clone();
        kept.filter(|kept| kept.expiry().is_none_or(|expiry| expiry > limit))
    }

    /// Forgets the credentials that a call was refused with, unless another call has had them
    /// renewed since.
    pub(super) fn forget(&self, refused: Option<&Credentials>) {
        let mut kept = self.lock();
        if refused.is_none() || kept.as_ref() == refused {
            *kept = None;
        }
    }

    async fn renewed(&self) -> Result {
        let _asking = self.0.asking.lock().await;
        if let Some(kept) = self.kept() {
            return Ok(kept);
        }
        let asked = tokio::time::timeout(PATIENCE, self.0.source.provide_credentials())
            .await
            .unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(PATIENCE)));
        let mut kept = self.lock();
        match asked {
            Ok(credentials) => Ok(kept.insert(credentials).clone()),
            // Those that are to be renewed early are good for a while.
            Err(error) => {
                let now = self.0.clock.now();
                let last = kept.clone().filter(|kept| kept.expiry() > Some(now));
                last.ok_or(error)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Credentials>> {
        let kept = self.0.kept.lock();
        kept.expect("nothing panics while it holds the credentials")
    }
}

impl ProvideCredentials for Renewable {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        match self.kept() {
            Some(kept) => future::ProvideCredentials::ready(Ok(kept)),
            None => future::ProvideCredentials::new(self.renewed()),
        }
    }
}
