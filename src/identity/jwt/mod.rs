//! Bearer tokens (JWT), checked.
//!
//! A token must be signed by a key of its issuer with an algorithm of that key's, be from the one
//! issuer and for the one audience, be current (a minute of leeway either way), and have a subject.
//! Secret-key algorithms are never taken: the keys are public.

mod claims;
mod discovery;
mod issuer;
mod keys;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, header::AUTHORIZATION};
use jsonwebtoken::{Header, Validation, decode, decode_header, errors::ErrorKind};
use serde_json::{Map, Value};

use self::keys::Keys;
pub(super) use self::{discovery::check_url, issuer::Issuer};
use super::{Refusal, Who, refusal::Why};

/// No token is longer; the header list is bounded too.
const LONGEST: usize = 8 << 10;
const LEEWAY: Duration = Duration::from_secs(60);
const LONGEST_SUBJECT: usize = 255;

/// Whose tokens are taken, and which of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    pub issuer: String,
    pub audience: String,
    /// A file with the issuer's keys (JWKS); without one they are discovered.
    pub keys: Option<std::path::PathBuf>,
}

/// The token of a call, if it has one.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut found = None;
    for value in headers.get_all(AUTHORIZATION) {
        let text = value.to_str().unwrap_or_default();
        let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
        if scheme.eq_ignore_ascii_case("bearer") && found.replace(token.trim()).is_some() {
            return Err(Refusal::malformed("the call has two bearer tokens"));
        }
    }
    Ok(found)
}

/// A token's header, read before it is known whether the token holds.
fn header(token: &str) -> Result<Header, Refusal> {
    let readable = (1..=LONGEST).contains(&token.len());
    let header = readable.then(|| decode_header(token).ok()).flatten();
    let header = header.ok_or_else(|| Refusal::malformed("the bearer token cannot be read"))?;
    match header.crit {
        None => Ok(header),
        Some(_) => Err(Refusal::malformed(
            "the bearer token has critical extensions",
        )),
    }
}

/// Checks a token that has this header, all but whether the key is known.
fn verify(
    token: &str,
    header: &Header,
    keys: &Keys,
    tokens: &Tokens,
    now: SystemTime,
) -> Result<(Who, Map<String, Value>), Refusal> {
    let unsigned =
        || Refusal::unrecognized("the bearer token is not signed by a key of the issuer");
    let key = keys.find(header.kid.as_deref()).ok_or_else(unsigned)?;
    if !key.takes(header.alg) {
        return Err(unsigned());
    }
    // Only the signature: the claims are checked by the clock that is given.
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let claims = decode::<Map<String, Value>>(token, key.key(), &validation);
    let claims = claims.map_err(|error| match error.kind() {
        ErrorKind::Json(_) | ErrorKind::Utf8(_) | ErrorKind::Base64(_) => {
            Refusal::malformed("the bearer token cannot be read")
        }
        _ => unsigned(),
    })?;
    check(&claims.claims, tokens, now)?;
    let subject = claims.claims.get("sub").and_then(Value::as_str);
    let subject = subject
        .filter(|subject| (1..=LONGEST_SUBJECT).contains(&subject.len()))
        .ok_or_else(|| Refusal::malformed("the bearer token has no subject"))?;
    let who = Who::Token {
        issuer: tokens.issuer.clone(),
        subject: subject.to_owned(),
    };
    Ok((who, claims::bounded(claims.claims)))
}

fn check(claims: &Map<String, Value>, tokens: &Tokens, now: SystemTime) -> Result<(), Refusal> {
    let is = |value: &Value, wanted: &str| value.as_str() == Some(wanted);
    if !claims
        .get("iss")
        .is_some_and(|issuer| is(issuer, &tokens.issuer))
    {
        return Err(Refusal::unrecognized(
            "the bearer token is from another issuer",
        ));
    }
    let is_for_us = match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences
            .iter()
            .any(|audience| is(audience, &tokens.audience)),
        Some(audience) => is(audience, &tokens.audience),
        None => false,
    };
    if !is_for_us {
        return Err(Refusal::unrecognized(
            "the bearer token is for another audience",
        ));
    }
    let (now, leeway) = (
        now.duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs_f64(),
        LEEWAY.as_secs_f64(),
    );
    let time = |name| match claims.get(name) {
        None => Ok(None),
        Some(time) => (time.as_f64().map(Some))
            .ok_or_else(|| Refusal::malformed(format!("the bearer token's {name} is no time"))),
    };
    let expires =
        time("exp")?.ok_or_else(|| Refusal::malformed("the bearer token never expires"))?;
    if now >= expires + leeway {
        return Err(Refusal::new(Why::Expired, "the bearer token has expired"));
    }
    if time("nbf")?.is_some_and(|begins| now + leeway < begins) {
        return Err(Refusal::unrecognized("the bearer token is not valid yet"));
    }
    Ok(())
}

#[cfg(test)]
pub(in crate::identity) mod tests;
