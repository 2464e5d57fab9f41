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
        let count = |key| {
            metadata
                .get(key)
                .and_then(|value| value.to_str().ok()?.parse::<u32>().ok())
                .unwrap_or(0)
        };
        self == Self::Facade
            && count("x-envoy-attempt-count") <= 1
            && !metadata.contains_key("grpc-previous-rpc-attempts")
    }
}

/// Keeps the SDK from repeating what must not be repeated, or not by it.
///
/// A throttled call is passed on at once, with the delay to keep: waiting here would take a whole
/// service down to the SDK's back-off. A call that is not safe is only repeated if it never left.
#[derive(Debug)]
pub(super) struct Restraint;

impl ClassifyRetry for Restraint {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else {
            return RetryAction::NoActionIndicated;
        };
        let safe = UNDERWAY.try_with(|underway| underway.safe).unwrap_or(false);
        let never_left = error.as_connector_error().is_some_and(failure::never_left);
        match is_throttled(context) || !(safe || never_left) {
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

fn is_throttled(context: &InterceptorContext) -> bool {
    #[derive(serde::Deserialize)]
    struct Body {
        #[serde(rename = "__type")]
        code: String,
    }
    let Some(response) = context.response() else {
        return false;
    };
    let body = response
        .body()
        .bytes()
        .and_then(|bytes| serde_json::from_slice::<Body>(bytes).ok());
    match body {
        Some(body) => Code::from_name(failure::short_name(&body.code)) == Some(Code::Throttling),
        None => response.status().as_u16() == 429,
    }
}
