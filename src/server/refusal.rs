//! What the server itself says when a call goes no further, with the details that every error has.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use http::{HeaderMap, HeaderValue, Uri};
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, StatusExt};

/// Who says it.
const DOMAIN: &str = "proton-grpc";

/// What became of the work that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    NotExecuted,
    Unknown,
}

/// A call that ends here, and why.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    /// For programs: upper snake case.
    pub(crate) reason: &'static str,
    /// For people.
    pub(crate) message: Cow<'static, str>,
    pub(crate) outcome: Outcome,
    /// When the caller may come again.
    pub(crate) retry: Option<Duration>,
}

impl Refusal {
    /// Said before any service saw the call.
    pub(crate) fn unexecuted(
        code: Code,
        reason: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            outcome: Outcome::NotExecuted,
            retry: None,
        }
    }

    /// Said after a service has seen the call.
    pub(crate) fn midway(
        code: Code,
        reason: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            outcome: Outcome::Unknown,
            retry: None,
        }
    }

    pub(crate) fn deadline_exceeded(outcome: Outcome) -> Self {
        let message = "the call's deadline has passed".into();
        Self {
            code: Code::DeadlineExceeded,
            reason: "DEADLINE_EXCEEDED",
            message,
            outcome,
            retry: None,
        }
    }

    /// There is no room for the call now.
    pub(crate) fn overloaded() -> Self {
        Self {
            retry: Some(Duration::from_secs(1)),
            ..Self::unexecuted(
                Code::Unavailable,
                "OVERLOADED",
                "the server has no room for this call now",
            )
        }
    }
}

/// What there is to know of a call when it fails. Cheap to keep: nothing is copied.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    uri: Uri,
    request_id: Option<HeaderValue>,
}

impl Subject {
    pub(crate) fn of<B>(request: &http::Request<B>) -> Self {
        Self {
            uri: request.uri().clone(),
            request_id: request.headers().get("x-request-id").cloned(),
        }
    }

    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    /// The refusal as gRPC says it.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Status {
        let outcome = match refusal.outcome {
            Outcome::NotExecuted => "not_executed",
            Outcome::Unknown => "unknown",
        };
        let operation = self.path().rsplit('/').next().unwrap_or_default();
        let metadata = HashMap::from(
            [("operation", operation), ("outcome", outcome)].map(|(k, v)| (k.into(), v.into())),
        );
        let mut details = ErrorDetails::new();
        details
            .set_error_info(refusal.reason, DOMAIN, metadata)
            .set_request_info(self.request_id(), "");
        let mut pushback = MetadataMap::new();
        if let Some(after) = refusal.retry {
            details.set_retry_info(Some(after));
            pushback.insert(
                "grpc-retry-pushback-ms",
                after
                    .as_millis()
                    .to_string()
                    .parse()
                    .expect("digits are ASCII"),
            );
        }
        Status::with_error_details_and_metadata(refusal.code, refusal.message, details, pushback)
    }

    /// Gives a service's bare error the details that every error has.
    pub(crate) fn complete(&self, headers: &mut HeaderMap, outcome: Outcome) {
        let bare = |status: &Status| status.code() != Code::Ok && status.details().is_empty();
        let Some(status) = Status::from_header_map(headers).filter(bare) else {
            return;
        };
        let refusal = match (status.code(), status.message()) {
            (Code::Unimplemented, "") => self.unknown_method(),
            (code, message) => Refusal {
                outcome,
                ..Refusal::midway(code, name(code), message.to_owned())
            },
        };
        // The status came out of a header map, so it goes back into one.
        let _ = self.refuse(refusal).add_header(headers);
    }

    pub(crate) fn unknown_method(&self) -> Refusal {
        let path = self.uri.path();
        let message = format!(
            "method {} is not known here",
            path.strip_prefix('/').unwrap_or(path)
        );
        Refusal::unexecuted(Code::Unimplemented, "UNKNOWN_METHOD", message)
    }

    /// The caller's own id for the call if it sent a decent one, so that both sides find it in
    /// their logs.
    fn request_id(&self) -> String {
        match self.given_id() {
            Some(id) => id.to_owned(),
            None => uuid::Uuid::new_v4().to_string(),
        }
    }

    /// The id that the caller sent.
    pub(crate) fn given_id(&self) -> Option<&str> {
        const LONGEST: usize = 128;
        let given = self.request_id.as_ref().and_then(|id| id.to_str().ok());
        given.filter(|id| !id.is_empty() && id.len() <= LONGEST)
    }
}

/// The code as gRPC spells it.
pub fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
