//! Which idempotency token a call carries upstream.
//!
//! The SDK would make a new one for every call, which protects nobody: a mesh or a client that
//! repeats a call makes two. So: the request's own field; else the metadata `idempotency-key`;
//! else one derived from the logical call, where a trusted proxy names it; else the SDK's.

use aws_lc_rs::digest::{SHA256, digest};
use prost::Message;
use tonic::metadata::MetadataMap;

use super::Settings;
use crate::api::Operation;

/// Fills the request's token. Answers whether a repeat of the call will carry the same one.
pub(super) fn choose<O: Operation>(
    request: &mut O::Request,
    metadata: &MetadataMap,
    settings: &Settings,
) -> bool {
    let text = |key| {
        metadata
            .get(key)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    if O::client_token(request).is_none_or(|token| token.is_some()) {
        return true;
    }
    let derived = || {
        let logical_call = text("x-request-id").filter(|_| settings.trust_request_id)?;
        Some(derive(
            O::FACTS.name,
            &logical_call,
            &request.encode_to_vec(),
        ))
    };
    let Some(chosen) = text("idempotency-key").or_else(derived) else {
        return false;
    };
    if let Some(token) = O::client_token(request) {
        *token = Some(chosen);
    }
    true
}

fn derive(operation: &str, logical_call: &str, request: &[u8]) -> String {
    let hash = digest(
        &SHA256,
        &[
            operation.as_bytes(),
            b"\0",
            logical_call.as_bytes(),
            b"\0",
            request,
        ]
        .concat(),
    );
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
