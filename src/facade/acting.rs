//! As whom the upstream is called: the SDK's clients, and credentials that are nobody else's.

use aws_config::BehaviorVersion;
use aws_sdk_proton::{
    Client,
    config::{
        Builder, IdentityCache, StalledStreamProtectionConfig, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
};

use super::{
    credentials::Renewable,
    lean::Lean,
    retry::Restraint,
    signer::Signer,
    upstream::{ATTEMPT_TIMEOUT, CONNECT_TIMEOUT},
};

#[derive(Debug)]
pub(super) struct Acting {
    repeating: Client,
    single: Client,
    credentials: Option<Renewable>,
}

impl Acting {
    /// Calls that nobody signs.
    pub(super) fn unsigned(builder: Builder) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let builder = builder
            .behavior_version(BehaviorVersion::v2026_01_12())
            .timeout_config(timeouts)
            // Deadlines do that.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .retry_classifier(Restraint)
            .interceptor(Lean);
        let client = |retries| Client::from_conf(builder.clone().retry_config(retries).build());
        Self {
            repeating: client(RetryConfig::standard()),
            single: client(RetryConfig::disabled()),
            credentials: None,
        }
    }

    /// Calls signed with these credentials, if there are any to be had, by a signer that signs for nobody else.
    pub(super) fn signed(
        mut builder: Builder,
        signer: Option<Signer>,
        credentials: Option<Renewable>,
    ) -> Self {
        if let Some(credentials) = &credentials {
            builder = builder
                .credentials_provider(credentials.clone())
                .identity_cache(IdentityCache::no_cache());
        }
        if let Some(signer) = signer {
            builder = builder.push_auth_scheme(signer);
        }
        Self {
            credentials,
            ..Self::unsigned(builder)
        }
    }

    pub(super) fn client(&self, repeats: bool) -> &Client {
        if repeats {
            &self.repeating
        } else {
            &self.single
        }
    }

    pub(super) fn credentials(&self) -> Option<&Renewable> {
        self.credentials.as_ref()
    }
}
