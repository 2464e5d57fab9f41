//! Errors as AWS-JSON says them.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};

use crate::{
    api::{Code, Error},
    identity::{self, Why},
};

/// How long a throttled caller should wait, in milliseconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1000");

/// What an error is called, for who watches responses go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorName(pub &'static str);

/// An error and the HTTP status it goes with.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) name: &'static str,
    pub(super) error: Error,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            status: status(error.code),
            name: error.code.name(),
            error,
        }
    }
}

/// In the words of AWS's JSON services, which answer all of these with 400.
impl From<identity::Refusal> for Refusal {
    fn from(refusal: identity::Refusal) -> Self {
        let (code, name) = match refusal.why {
            Why::Missing => (Code::BadCredentials, "MissingAuthenticationTokenException"),
            Why::Malformed => (Code::BadCredentials, "IncompleteSignature"),
            Why::Unrecognized => (Code::BadCredentials, "UnrecognizedClientException"),
            Why::BadSignature => (Code::BadCredentials, "InvalidSignatureException"),
            Why::Expired => (Code::ExpiredToken, "ExpiredTokenException"),
            Why::Unmapped => (Code::AccessDenied, "AccessDeniedException"),
            Why::NoKeys => (Code::ServiceUnavailable, "ServiceUnavailable"),
            Why::Crowded => (Code::Throttling, "ThrottlingException"),
        };
        Self {
            name,
            ..Error::new(code, refusal.message).into()
        }
    }
}

impl Refusal {
    pub(super) fn into_response(self) -> Response<Bytes> {
        let body = serde_json::json!({ "__type": self.name, "message": self.error.message });
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = self.status;
        response.extensions_mut().insert(ErrorName(self.name));
        if self.error.code == Code::Throttling {
            response
                .headers_mut()
                .insert("x-amz-retry-after", RETRY_AFTER);
        }
        response
    }
}

/// AWS-JSON answers what the caller can mend with 400 and its own faults with 500; the few others are AWS's common errors.
fn status(code: Code) -> StatusCode {
    match code {
        Code::Validation
        | Code::AccessDenied
        | Code::ResourceNotFound
        | Code::Conflict
        | Code::ServiceQuotaExceeded
        | Code::Throttling
        | Code::RequestTimeout
        | Code::ExpiredToken
        | Code::BadCredentials
        | Code::ClockSkew
        | Code::UnknownOperation
        | Code::Serialization => StatusCode::BAD_REQUEST,
        Code::OptInRequired => StatusCode::FORBIDDEN,
        Code::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::InternalServer => StatusCode::INTERNAL_SERVER_ERROR,
        Code::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttled_caller_is_told_when_to_come_back() {
        let throttled =
            Refusal::from(Error::new(Code::Throttling, "too many requests")).into_response();
        assert_eq!(throttled.status(), StatusCode::BAD_REQUEST);
        assert_eq!(throttled.headers()["x-amz-retry-after"], "1000");
        let invalid = Refusal::from(Error::validation("no")).into_response();
        assert!(!invalid.headers().contains_key("x-amz-retry-after"));
    }

    #[test]
    fn a_caller_is_refused_by_a_name_that_clients_know() {
        for why in Why::ALL {
            let message = "no".into();
            let refusal = Refusal::from(identity::Refusal { why, message });
            assert_eq!(
                Code::from_name(refusal.name),
                Some(refusal.error.code),
                "{why:?}"
            );
        }
    }

    #[test]
    fn only_faults_of_the_server_are_answered_with_5xx() {
        for (_, code) in Code::NAMES {
            let ours = matches!(code, Code::InternalServer | Code::ServiceUnavailable);
            assert_eq!(status(*code).is_server_error(), ours, "{code:?}");
        }
    }
}
