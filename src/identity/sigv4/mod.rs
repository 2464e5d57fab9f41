//! Signatures of AWS-JSON requests (SigV4), checked.
//!
//! What is checked, in AWS's order: the header's parts, the credential scope (day, Region, `proton`),
//! the key, the clock (five minutes either way), that `host`, `x-amz-date`, `x-amz-target` and
//! `x-amz-security-token` are signed where they are, and the signature itself, over the body as it
//! arrived and in constant time. Then `replays` sees whether it was here before.

mod authorization;
mod canonical;
mod replays;

use std::{
    fmt,
    sync::Mutex,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::hmac;
use aws_smithy_types::{DateTime, date_time::Format};
use bytes::Bytes;
use http::{HeaderMap, Request};

use authorization::Authorization;
pub(super) use authorization::is_signed;
pub(super) use replays::Replays;

use super::{Place, Refusal};
use crate::api::operation::Class;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "proton";
const TERMINATOR: &str = "aws4_request";
const DATE: &str = "x-amz-date";
/// Signed if they are there; so a proxy may add what it likes, but change nothing that matters.
const ALWAYS_SIGNED: [&str; 4] = ["host", DATE, "x-amz-target", "x-amz-security-token"];
const WINDOW_SECONDS: u64 = 5 * 60;

/// The secret half of an access key. Its last signing key is kept: deriving it is most of the work.
pub(super) struct AccessKey {
    secret: String,
    kept: Mutex<Option<(Scope, hmac::Key)>>,
}

/// For what a signing key is good.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Scope {
    day: String,
    region: String,
    service: String,
}

/// Who signed a request and where they act. What is asked for must be executed with it or not at all.
pub(super) fn verify<'k>(
    request: &Request<Bytes>,
    class: Class,
    now: SystemTime,
    key: impl FnOnce(&str) -> Option<&'k (AccessKey, Place)>,
    replays: &Replays,
) -> Result<(String, &'k Place), Refusal> {
    let headers = request.headers();
    let authorization = Authorization::read(headers)?;
    let stamp = single(headers, DATE)
        .ok_or_else(|| incomplete("a signed request has the header X-Amz-Date"))?;
    let signed_at =
        seconds(stamp).ok_or_else(|| incomplete("X-Amz-Date has the form 20150830T123600Z"))?;

    let scope = &authorization.scope;
    if scope.service != SERVICE {
        let rule = "the credential must be scoped to the service 'proton'";
        return Err(Refusal::bad_signature(rule));
    }
    if !stamp.starts_with(&scope.day) || scope.day.len() != 8 {
        let rule = "the day of the credential's scope must be that of X-Amz-Date";
        return Err(Refusal::bad_signature(rule));
    }
    // No key here belongs to a session.
    let has_session = headers.contains_key("x-amz-security-token");
    let (key, place) = key(&authorization.key_id)
        .filter(|_| !has_session)
        .ok_or_else(|| Refusal::unrecognized("the security token of the request is invalid"))?;
    if scope.region != place.region {
        let rule = format!(
            "the credential must be scoped to the Region '{}'",
            place.region
        );
        return Err(Refusal::bad_signature(rule));
    }
    let now = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_secs());
    if now.abs_diff(signed_at) > WINDOW_SECONDS {
        let when = if signed_at < now {
            "expired"
        } else {
            "not yet current"
        };
        return Err(Refusal::bad_signature(format!(
            "signature {when}: {stamp} is more than 5 minutes from the server's time"
        )));
    }
    for name in ALWAYS_SIGNED {
        let is_there = name == "host" || headers.contains_key(name);
        if is_there && !authorization.signs(name) {
            return Err(Refusal::bad_signature(format!(
                "the header {name} must be signed"
            )));
        }
    }
    let text = canonical::string_to_sign(request, &authorization, stamp)?;
    hmac::verify(
        &key.signing_key(scope),
        text.as_bytes(),
        &authorization.signature,
    )
    .map_err(|_| {
        Refusal::bad_signature(
            "the signature does not match the one that is calculated with the secret key",
        )
    })?;
    replays.admit(&authorization.signature, class, now)?;
    Ok((authorization.key_id, place))
}

fn incomplete(message: &'static str) -> Refusal {
    Refusal::malformed(message)
}

fn single<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()
}

/// The time of `20150830T123600Z`, in seconds since the epoch.
fn seconds(stamp: &str) -> Option<u64> {
    let shape = |(index, byte): (usize, u8)| match index {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    if stamp.len() != 16 || !stamp.bytes().enumerate().all(shape) {
        return None;
    }
    let part = |from: usize, to: usize| &stamp[from..to];
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(9, 11),
        part(11, 13),
        part(13, 15)
    );
    let time = DateTime::from_str(&text, Format::DateTime).ok()?;
    u64::try_from(time.secs()).ok()
}

impl AccessKey {
    pub(super) fn new(secret: &str) -> Self {
        Self {
            secret: secret.to_owned(),
            kept: Mutex::default(),
        }
    }

    fn signing_key(&self, scope: &Scope) -> hmac::Key {
        let mut kept = self
            .kept
            .lock()
            .expect("nothing panics while it holds the key");
        match &*kept {
            Some((kept, key)) if kept == scope => key.clone(),
            _ => {
                let key = self.derive(scope);
                *kept = Some((scope.clone(), key.clone()));
                key
            }
        }
    }

    fn derive(&self, scope: &Scope) -> hmac::Key {
        let key = |secret: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, secret);
        [&scope.day, &scope.region, &scope.service, TERMINATOR]
            .iter()
            .fold(
                key(format!("AWS4{}", self.secret).as_bytes()),
                |last, part| key(hmac::sign(&last, part.as_bytes()).as_ref()),
            )
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey")
    }
}

#[cfg(test)]
mod tests;
