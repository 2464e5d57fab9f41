//! Calls as the audit trail records them.

use tonic::{Code, Response, Status, metadata::MetadataMap};
use tonic_types::StatusExt as _;

use super::{
    call::{Asker, REQUEST_ID},
    status::{Asked, code_name},
};
use crate::{
    api::operation::Class,
    audit::{Call, Ending, Outcome},
};

/// The record of a call that has begun, if its front wants one.
pub(super) fn call(asker: &Asker, asked: &Asked) -> Option<Call> {
    let changes = asked.facts.class != Class::Read;
    let mut call = asker.scribe.as_ref()?.call(asked.facts.name, changes);
    if let Some(principal) = &asker.principal {
        call.by(principal);
    }
    call.concerns(asked.facts.resource, &asked.resource);
    Some(call)
}

/// How a call ended, by what its caller is told.
pub(super) fn ending<T>(answer: &Result<Response<T>, Box<Status>>) -> Ending {
    let status = match answer {
        Ok(response) => return Ending::ok(request_id(response.metadata())),
        Err(status) => status,
    };
    let info = status.get_details_error_info();
    let mut facts = info.map(|info| info.metadata).unwrap_or_default();
    let outcome = match facts.get("outcome").map(String::as_str) {
        Some("not_executed") => Outcome::NotExecuted,
        Some("rejected") => Outcome::Rejected,
        _ => Outcome::Unknown,
    };
    Ending {
        aws_code: facts.remove("aws_code"),
        request_id: request_id(status.metadata()),
        refused: matches!(
            status.code(),
            Code::PermissionDenied | Code::Unauthenticated
        ),
        ..Ending::failed(outcome, code_name(status.code()))
    }
}

fn request_id(metadata: &MetadataMap) -> Option<String> {
    let id = metadata.get(REQUEST_ID)?.to_str().ok()?;
    Some(id.to_owned())
}
