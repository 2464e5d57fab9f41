//! The header that carries a signature:
//!
//! ```text
//! AWS4-HMAC-SHA256 Credential=<key id>/<day>/<Region>/<service>/aws4_request, SignedHeaders=a;b, Signature=<hex>
//! ```

use http::{HeaderMap, header::AUTHORIZATION};

use super::{ALGORITHM, Scope, TERMINATOR, incomplete, single};
use crate::identity::Refusal;

#[derive(Debug)]
pub(super) struct Authorization {
    pub(super) key_id: String,
    pub(super) scope: Scope,
    /// As they were signed: in lower case and in order.
    pub(super) signed_headers: String,
    pub(super) signature: [u8; 32],
}

/// Whether somebody at least meant to sign it.
pub(in crate::identity) fn is_signed(headers: &HeaderMap) -> bool {
    (headers.get_all(AUTHORIZATION).iter()).any(|value| value.as_bytes().starts_with(b"AWS4-"))
}

impl Authorization {
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let header = single(headers, "authorization")
            .and_then(|header| header.strip_prefix(ALGORITHM))
            .filter(|parts| parts.starts_with(' '))
            .ok_or_else(|| incomplete("Authorization must be one, and of AWS4-HMAC-SHA256"))?;
        let (mut credential, mut signed, mut signature) = (None, None, None);
        for part in header.split(',') {
            let (name, value) = part
                .trim()
                .split_once('=')
                .ok_or_else(|| incomplete("Authorization has parts of a name, = and a value"))?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed,
                "Signature" => &mut signature,
                _ => return Err(incomplete("Authorization has a part that is not known")),
            };
            if place.replace(value).is_some() {
                return Err(incomplete("Authorization has a part twice"));
            }
        }
        let missing = |name| move || incomplete(name);
        let (key_id, scope) = credential
            .ok_or_else(missing("Authorization has no 'Credential'"))
            .map(read_credential)?
            .ok_or_else(missing(
                "Credential is a key's id, a day, a Region, a service and aws4_request",
            ))?;
        let signed = signed.ok_or_else(missing("Authorization has no 'SignedHeaders'"))?;
        let ordered = signed.split(';').is_sorted_by(|a, b| a < b);
        if !ordered || signed.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(incomplete("SignedHeaders are in lower case and in order"));
        }
        let signature = signature
            .ok_or_else(missing("Authorization has no 'Signature'"))
            .map(unhex)?
            .ok_or_else(missing("Signature has 64 hexadecimal digits"))?;
        Ok(Self {
            key_id,
            scope,
            signed_headers: signed.to_owned(),
            signature,
        })
    }

    pub(super) fn signs(&self, name: &str) -> bool {
        self.signed_headers.split(';').any(|signed| signed == name)
    }
}

fn read_credential(text: &str) -> Option<(String, Scope)> {
    let mut parts = text.split('/');
    let mut next = || {
        parts
            .next()
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
    };
    let key_id = next()?;
    let scope = Scope {
        day: next()?,
        region: next()?,
        service: next()?,
    };
    let ends = next()? == TERMINATOR && parts.next().is_none();
    ends.then_some((key_id, scope))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    // Upper case is another text of the same signature: there is to be one.
    let digit = |letter: u8| match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}
