//! Credentials of a role, which STS gives for a caller.
//!
//! What STS is asked does not end with the call that needed it: a caller whose calls give up sooner than STS answers
//! would never get anywhere. And a refusal holds for a moment, so that a caller without luck does not spend what
//! STS allows all of them.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError, future},
};
use aws_sdk_sts::{
    error::{ProvideErrorMetadata as _, SdkError},
    operation::assume_role::{
        AssumeRoleError, AssumeRoleOutput, builders::AssumeRoleFluentBuilder,
    },
};
use aws_smithy_async::time::SharedTimeSource;
use tokio::{sync::Mutex, task::JoinHandle};

use super::{
    credentials::Renewable,
    failure::{NoCredentials, no_credentials},
};
use crate::api::Code;

/// How long a refusal holds.
const REST: Duration = Duration::from_secs(1);

pub(super) struct Assumed {
    request: AssumeRoleFluentBuilder,
    /// What the request is signed with.
    own: Option<Renewable>,
    clock: SharedTimeSource,
    asking: Mutex<Asking>,
}

#[derive(Default)]
struct Asking {
    under_way: Option<JoinHandle<Result<Credentials, NoCredentials>>>,
    refused: Option<(SystemTime, NoCredentials)>,
}

/// Why STS gave none.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("STS gave no credentials for the role")]
pub(super) struct NotAssumed(pub(super) NoCredentials);

impl Assumed {
    pub(super) fn new(
        request: AssumeRoleFluentBuilder,
        own: Option<Renewable>,
        clock: SharedTimeSource,
    ) -> Self {
        Self {
            request,
            own,
            clock,
            asking: Mutex::default(),
        }
    }

    async fn credentials(&self) -> Result<Credentials, NoCredentials> {
        let mut asking = self.asking.lock().await;
        if let Some((at, why)) = asking.refused
            && self.clock.now() < at + REST
        {
            return Err(why);
        }
        let begin = || tokio::spawn(assume(self.request.clone(), self.own.clone()));
        // It is still there if this ends here; who comes next waits on.
        let answer = asking.under_way.get_or_insert_with(begin).await;
        let answer = answer.unwrap_or(Err(NoCredentials::Unavailable));
        asking.under_way = None;
        asking.refused = answer.as_ref().err().map(|why| (self.clock.now(), *why));
        answer
    }
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let credentials = self.credentials().await;
            credentials.map_err(|why| CredentialsError::provider_error(NotAssumed(why)))
        })
    }
}

async fn assume(
    request: AssumeRoleFluentBuilder,
    own: Option<Renewable>,
) -> Result<Credentials, NoCredentials> {
    let role = request.get_role_arn().clone().unwrap_or_default();
    let session = request.get_role_session_name().clone().unwrap_or_default();
    let used = own.as_ref().and_then(Renewable::kept);
    let mut answer = request.clone().send().await;
    if let (Err(error), Some(own)) = (&answer, &own)
        && code(error) == Some(Code::ExpiredToken)
    {
        own.forget(used.as_ref());
        answer = request.send().await;
    }
    let credentials = answer
        .map_err(|error| {
            tracing::warn!(
                role,
                session,
                code = error.code(),
                "STS gave no credentials for a role"
            );
            why(&error)
        })
        .and_then(|answer| read(answer).ok_or(NoCredentials::Unavailable))?;
    let key = credentials.access_key_id();
    tracing::info!(role, session, key, "assumed a role");
    Ok(credentials)
}

fn read(answer: AssumeRoleOutput) -> Option<Credentials> {
    let given = answer.credentials?;
    let expiry = SystemTime::try_from(given.expiration).ok()?;
    let credentials = Credentials::builder()
        .access_key_id(given.access_key_id)
        .secret_access_key(given.secret_access_key)
        .session_token(given.session_token)
        .expiry(expiry)
        .provider_name("role");
    Some(credentials.build())
}

fn code<R>(error: &SdkError<AssumeRoleError, R>) -> Option<Code> {
    Code::from_name(error.as_service_error()?.code()?)
}

fn why<R: fmt::Debug + Send + Sync + 'static>(
    error: &SdkError<AssumeRoleError, R>,
) -> NoCredentials {
    // Those of this process may be what is missing.
    if let Some(why) = no_credentials(error) {
        return why;
    }
    match (code(error), error.as_service_error()) {
        (Some(Code::AccessDenied), _) => NoCredentials::RoleRefused,
        (
            Some(
                Code::ExpiredToken
                | Code::InternalServer
                | Code::RequestTimeout
                | Code::ServiceUnavailable
                | Code::Throttling,
            ),
            _,
        )
        | (None, None) => NoCredentials::Unavailable,
        // It would refuse the same request again.
        _ => NoCredentials::Misconfigured,
    }
}

/// Without what it signs with.
impl fmt::Debug for Assumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assumed")
            .field("role", self.request.get_role_arn())
            .finish_non_exhaustive()
    }
}
