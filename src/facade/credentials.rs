//! AWS credentials that are kept until they expire, or until the upstream says they have.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, future},
};

/// Renew this long before the expiry, so that no signature is made with credentials that expire
/// on the way.
const EARLY: Duration = Duration::from_secs(60);

/// One for each upstream, shared by its clients. Stands in for the SDK's identity cache, which
/// cannot be told that credentials were refused.
#[derive(Clone, Debug)]
pub(super) struct Renewable(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: SharedCredentialsProvider,
    clock: aws_smithy_async::time::SharedTimeSource,
    kept: Mutex<Option<Credentials>>,
}

impl Renewable {
    pub(super) fn new(
        source: SharedCredentialsProvider,
        clock: aws_smithy_async::time::SharedTimeSource,
    ) -> Self {
        Self(Arc::new(Inner {
            source,
            clock,
            kept: Mutex::new(None),
        }))
    }

    /// Forgets what is kept; the next call asks the source.
    pub(super) fn renew(&self) {
        *self.kept() = None;
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Credentials>> {
        self.0
            .kept
            .lock()
            .expect("nothing panics while it holds the credentials")
    }

    fn fresh(&self) -> Option<Credentials> {
        let limit: SystemTime = self.0.clock.now() + EARLY;
        self.kept()
            .clone()
            .filter(|kept| kept.expiry().is_none_or(|expiry| expiry > limit))
    }
}

impl ProvideCredentials for Renewable {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        if let Some(kept) = self.fresh() {
            return future::ProvideCredentials::ready(Ok(kept));
        }
        future::ProvideCredentials::new(async {
            let credentials = self.0.source.provide_credentials().await?;
            *self.kept() = Some(credentials.clone());
            Ok(credentials)
        })
    }
}
