//! Calls from a socket as the audit trail records them.

use bytes::Bytes;
use http::Response;

use super::{REQUEST_ID, error::Refusal};
use crate::{
    api::{
        Code, Error,
        operation::{Class, Facts},
    },
    audit::{Call, Ending, Outcome, Scribe},
    control_plane::ControlPlane,
};

/// A call of this operation, or of one that is not known.
pub(super) fn call(scribe: &Scribe, facts: Option<&Facts>) -> Call {
    match facts {
        Some(facts) => scribe.call(facts.name, facts.class != Class::Read),
        None => scribe.call("unknown", false),
    }
}

/// The response, once the record of it is written; another one if that cannot be.
pub(super) async fn finish(
    plane: &ControlPlane,
    answer: Result<Vec<u8>, Refusal>,
    audit: Call,
) -> Response<Bytes> {
    let ending = match &answer {
        Ok(_) => Ending::ok(None),
        Err(refusal) => Ending {
            refused: is_refused(refusal.error.code),
            ..Ending::failed(outcome(refusal.error.code), refusal.name)
        },
    };
    let response = super::finish(plane, answer);
    let request_id = response.headers()[REQUEST_ID].to_str();
    let ending = Ending {
        request_id: request_id.ok().map(str::to_owned),
        ..ending
    };
    match audit.end(ending).await {
        Ok(()) => response,
        Err(_) => super::finish(plane, Err(Error::internal().into())),
    }
}

/// Nothing is done without a record of it.
pub(super) fn unrecorded() -> Error {
    let message = "the service cannot make changes at the moment";
    Error::new(Code::ServiceUnavailable, message)
}

fn outcome(code: Code) -> Outcome {
    match code {
        Code::InternalServer | Code::ServiceUnavailable | Code::RequestTimeout => Outcome::Unknown,
        _ => Outcome::Rejected,
    }
}

fn is_refused(code: Code) -> bool {
    matches!(
        code,
        Code::AccessDenied | Code::BadCredentials | Code::ExpiredToken
    )
}
