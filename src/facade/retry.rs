//! Who repeats a failed call, and which failures the SDK may repeat by itself.
//!
//! One layer repeats. Where it is this one, the SDK's standard strategy does it with its back-off
//! and its quota, except what [`Restraint`] forbids.

use aws_sdk_proton::config::{
    interceptors::InterceptorContext,
    retry::{ClassifyRetry, RetryAction},
};
use aws_smithy_runtime_api::client::retries::classifiers::RetryClassifierPriority;
use tonic::metadata::MetadataMap;

use super::{call::UNDERWAY, failure};
use crate::api::Code;

/// The layer that repeats a call that failed in a way that allows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owner {
    /// This facade, through the SDK.
    #[default]
    Facade,
    /// A proxy in front of it.
    Mesh,
    /// The caller.
    Client,
}

impl Owner {
    /// Whether the SDK may repeat this call. Not if somebody in front has already begun to.
    pub(super) fn repeats(self, metadata: &MetadataMap) -> bool {
        self == Self::Facade && !is_repeat(metadata)
    }
}

/// Whether a proxy or a client's library sends this call again, by itself: a caller's own repeat is a call of its own.
pub(super) fn is_repeat(metadata: &MetadataMap) -> bool {
    let attempt = metadata
        .get("x-envoy-attempt-count")
        .and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    attempt.is_some_and(|attempt| attempt > 1)
        || metadata.contains_key("grpc-previous-rpc-attempts")
}

/// Keeps the SDK from repeating what must not be repeated, or not by it.
///
/// A throttled call is passed on at once, with the delay to keep: waiting here would take a whole
/// service down to the SDK's back-off. A call that is not safe is only repeated if it was not
/// executed for sure. An answer that is too large will not be smaller the next time.
#[derive(Debug)]
pub(super) struct Restraint;

impl ClassifyRetry for Restraint {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else {
            return RetryAction::NoActionIndicated;
        };
        let code = context.response().and_then(failure::code);
        let not_executed = match code {
            // The SDK repeats these when its clock was wrong, signed with the right one.
            Some(code) => matches!(
                code,
                Code::AccessDenied | Code::BadCredentials | Code::ClockSkew
            ),
            None => error.as_connector_error().is_some_and(failure::never_left),
        };
        let safe = UNDERWAY.try_with(|underway| underway.safe).unwrap_or(false);
        let pointless = code == Some(Code::Throttling) || failure::is_too_large(error);
        match pointless || !(safe || not_executed) {
            true => RetryAction::RetryForbidden,
            false => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "restraint"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}
