//! What can go wrong with an SDK call, told apart by code, HTTP status and transport phase.

use std::{borrow::Cow, error::Error as StdError, time::Duration};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_proton::{
    config::http::HttpResponse,
    error::{ConnectorError, ProvideErrorMetadata, SdkError},
};
use aws_sdk_sts::operation::{
    assume_role::AssumeRoleError, assume_role_with_web_identity::AssumeRoleWithWebIdentityError,
};
use aws_smithy_runtime_api::client::result::DispatchFailure;

use super::upstream::ResponseTooLarge;
use crate::{
    api::{Code, validate::Violations},
    telemetry::metrics::Outcome,
};

/// Why a call has no response.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request breaks rules of the contract; nothing was sent.
    Invalid(Violations),
    /// The SDK would not build the request.
    NotBuilt,
    /// The upstream answered with an error code.
    Said(Said),
    /// The upstream answered with an HTTP error that holds no usable code.
    Answered(Answered),
    /// There is an answer that cannot be understood: cut off, stalled or no such JSON.
    Unreadable(Answered),
    /// The answer is larger than we accept.
    TooLarge,
    /// No connection: the request never left.
    NeverLeft,
    /// The connection broke after the request had left.
    Interrupted,
    /// Our own limit for one attempt passed, before the caller's deadline.
    AttemptTimedOut,
    /// The caller's deadline passed.
    DeadlineExceeded,
    /// The SDK refused to send the request.
    NotSendable,
    Credentials(NoCredentials),
    /// What a wait was for cannot come about any more; the resource says why.
    WaitedInVain(String),
}

/// An HTTP answer without what it said.
#[derive(Debug, Default)]
pub(super) struct Answered {
    pub(super) http_status: u16,
    pub(super) request_id: Option<String>,
    pub(super) retry_after: Option<Duration>,
}

/// An error that the upstream named.
pub(super) struct Said {
    /// The code as it was sent.
    pub(super) name: String,
    pub(super) code: Option<Code>,
    pub(super) message: String,
    pub(super) answered: Answered,
}

impl std::fmt::Debug for Said {
    /// The message may hold what a caller sent: it stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Said")
            .field("name", &self.name)
            .field("answered", &self.answered)
            .finish_non_exhaustive()
    }
}

/// Why there are no credentials to sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoCredentials {
    Misconfigured,
    Unavailable,
    RoleRefused,
}

impl Failure {
    pub(super) fn from_sdk<E>(error: SdkError<E, HttpResponse>) -> Self
    where
        E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
    {
        if is_too_large(&error) {
            return Self::TooLarge;
        }
        if let Some(reason) = no_credentials(&error) {
            return Self::Credentials(reason);
        }
        match &error {
            SdkError::TimeoutError(_) => Self::AttemptTimedOut,
            SdkError::DispatchFailure(failure) => Self::from_dispatch(failure),
            SdkError::ResponseError(failure) => Self::Unreadable(Answered::from(failure.raw())),
            SdkError::ServiceError(failure) => {
                let answered = Answered::from(failure.raw());
                let meta = failure.err().meta();
                match meta.code().filter(|name| !name.is_empty()) {
                    Some(name) => Self::Said(Said {
                        code: Code::from_name(name),
                        name: name.to_owned(),
                        message: meta.message().unwrap_or_default().to_owned(),
                        answered,
                    }),
                    None => Self::Answered(answered),
                }
            }
            // The rest failed while the request was being built.
            _ => Self::NotBuilt,
        }
    }

    fn from_dispatch(failure: &DispatchFailure) -> Self {
        match failure.as_connector_error() {
            Some(error) if never_left(error) => Self::NeverLeft,
            _ if failure.is_user() => Self::NotSendable,
            _ => Self::Interrupted,
        }
    }

    pub(super) fn is_expired_token(&self) -> bool {
        matches!(self, Self::Said(said) if said.code == Some(Code::ExpiredToken))
    }

    /// The upstream's id of the request, if it said one.
    pub(super) fn request_id(&self) -> Option<&str> {
        self.answered()?.request_id.as_deref()
    }

    /// What became of the call to the upstream.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Said(said) => match said.code {
                Some(Code::Throttling) => Outcome::Throttled,
                Some(Code::InternalServer | Code::ServiceUnavailable) => Outcome::Fault,
                None if said.answered.http_status >= 500 => Outcome::Fault,
                _ => Outcome::Refused,
            },
            Self::Answered(answered) => match answered.http_status {
                429 => Outcome::Throttled,
                400..500 => Outcome::Refused,
                _ => Outcome::Fault,
            },
            Self::Unreadable(_) | Self::TooLarge => Outcome::Fault,
            Self::NeverLeft | Self::Interrupted => Outcome::Unreachable,
            Self::AttemptTimedOut | Self::DeadlineExceeded => Outcome::Timeout,
            Self::Invalid(_)
            | Self::NotBuilt
            | Self::NotSendable
            | Self::Credentials(_)
            | Self::WaitedInVain(_) => Outcome::Unsent,
        }
    }

    /// The HTTP answer, if there is one.
    pub(super) fn answered(&self) -> Option<&Answered> {
        match self {
            Self::Said(said) => Some(&said.answered),
            Self::Answered(answered) | Self::Unreadable(answered) => Some(answered),
            _ => None,
        }
    }
}

impl From<&HttpResponse> for Answered {
    fn from(response: &HttpResponse) -> Self {
        let header = |name| response.headers().get(name);
        let number = |name| header(name).and_then(|value| value.parse::<u64>().ok());
        Self {
            http_status: response.status().as_u16(),
            request_id: header("x-amzn-requestid")
                .or_else(|| header("x-amz-request-id"))
                .map(str::to_owned),
            retry_after: number("x-amz-retry-after")
                .map(Duration::from_millis)
                .or_else(|| number("retry-after").map(Duration::from_secs)),
        }
    }
}

pub(super) fn is_too_large(error: &(dyn StdError + 'static)) -> bool {
    find::<ResponseTooLarge>(error).is_some()
}

/// Whether the connector failed before it had a connection. Its own kind does not tell.
pub(super) fn never_left(error: &ConnectorError) -> bool {
    find::<hyper_util::client::legacy::Error>(error)
        .is_some_and(hyper_util::client::legacy::Error::is_connect)
}

fn no_credentials(error: &(dyn StdError + 'static)) -> Option<NoCredentials> {
    let refused = |code: Option<&str>| code.and_then(Code::from_name) == Some(Code::AccessDenied);
    let role_refused = find::<AssumeRoleError>(error).is_some_and(|error| refused(error.code()))
        || find::<AssumeRoleWithWebIdentityError>(error).is_some_and(|error| refused(error.code()));
    Some(match find::<CredentialsError>(error)? {
        _ if role_refused => NoCredentials::RoleRefused,
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => {
            NoCredentials::Misconfigured
        }
        _ => NoCredentials::Unavailable,
    })
}

/// Looks for an error of this type behind `error`.
fn find<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The code of an answer whose type the SDK has not told us: read as the SDK reads it, from the
/// header before the body, without the address after `:` and the namespace before `#`.
pub(super) fn code(response: &HttpResponse) -> Option<Code> {
    #[derive(serde::Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        code: Option<Cow<'a, str>>,
        #[serde(borrow, rename = "__type")]
        kind: Option<Cow<'a, str>>,
    }
    if response.status().is_success() {
        return None;
    }
    let body = || serde_json::from_slice::<Body<'_>>(response.body().bytes()?).ok();
    let name = match response.headers().get("x-amzn-errortype") {
        Some(name) => Some(Cow::Borrowed(name)),
        None => body().and_then(|body| body.code.or(body.kind)),
    };
    match name {
        Some(name) => {
            let name = name.split_once(':').map_or(&*name, |(name, _)| name);
            Code::from_name(name.split_once('#').map_or(name, |(_, name)| name))
        }
        None => (response.status().as_u16() == 429).then_some(Code::Throttling),
    }
}
