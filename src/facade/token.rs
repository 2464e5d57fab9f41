//! Which idempotency token a call carries upstream.
//!
//! The SDK would make a new one for every call, which protects nobody: a mesh or a client that
//! repeats a call makes two. So: the request's own field; else the metadata `idempotency-key`;
//! else one derived from the caller and the logical call, where a trusted proxy names it; else the SDK's.

use aws_lc_rs::digest::{SHA256, digest};
use prost::Message;

use super::{Settings, call::Asker, hex};
use crate::api::{
    Operation,
    validate::{Path, Violations},
};

const KEY: &str = "idempotency-key";
/// The longest token that Proton takes.
const LONGEST: usize = 64;

/// How long a call's token lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A repeat of the call carries the same one, or needs none.
    Lasting,
    /// It is new with every call.
    Fleeting,
}

/// Fills the request's token. A key in the metadata that can be no token is added to `found`.
pub(super) fn choose<O: Operation>(
    request: &mut O::Request,
    asker: &Asker,
    settings: &Settings,
    found: &mut Violations,
) -> Token {
    if O::client_token(request).is_none_or(|token| token.is_some()) {
        return Token::Lasting;
    }
    let chosen = match asker.metadata.get(KEY).map(|key| as_token(key.as_bytes())) {
        Some(Some(key)) => key,
        Some(None) => {
            let rule = format!("must be 1 to {LONGEST} printable characters without spaces");
            found.add(&Path::Root.field(KEY), "string.pattern", rule);
            return Token::Fleeting;
        }
        None => match asker.metadata.get("x-request-id") {
            Some(id) if settings.trust_request_id => {
                let caller = asker.principal.as_ref().map(ToString::to_string);
                derive(
                    &caller.unwrap_or_default(),
                    O::FACTS.name,
                    id.as_bytes(),
                    &request.encode_to_vec(),
                )
            }
            _ => return Token::Fleeting,
        },
    };
    if let Some(token) = O::client_token(request) {
        *token = Some(chosen);
    }
    Token::Lasting
}

fn as_token(key: &[u8]) -> Option<String> {
    let fits = (1..=LONGEST).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    fits.then(|| String::from_utf8_lossy(key).into_owned())
}

fn derive(caller: &str, operation: &str, logical_call: &[u8], request: &[u8]) -> String {
    let (caller, operation) = (caller.as_bytes(), operation.as_bytes());
    let parts = [
        caller,
        b"\0",
        operation,
        b"\0",
        logical_call,
        b"\0",
        request,
    ];
    hex(digest(&SHA256, &parts.concat()).as_ref())
}
