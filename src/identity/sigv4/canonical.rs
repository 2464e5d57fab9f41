//! The text that is signed.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::{Request, header::HOST};

use super::{ALGORITHM, Authorization, TERMINATOR};
use crate::identity::Refusal;

pub(super) fn string_to_sign(
    request: &Request<Bytes>,
    authorization: &Authorization,
    stamp: &str,
) -> Result<String, Refusal> {
    let canonical = canonical_request(request, &authorization.signed_headers)?;
    let scope = &authorization.scope;
    Ok(format!(
        "{ALGORITHM}\n{stamp}\n{}/{}/{}/{TERMINATOR}\n{}",
        scope.day,
        scope.region,
        scope.service,
        hash(canonical.as_bytes())
    ))
}

fn canonical_request(request: &Request<Bytes>, signed: &str) -> Result<String, Refusal> {
    let mut text = format!("{}\n", request.method());
    // Encoded once more than it travels, but for the separators.
    encode(request.uri().path(), |byte| byte == b'/', &mut text);
    text.push('\n');
    text += &canonical_query(request.uri().query().unwrap_or_default());
    text.push('\n');
    for name in signed.split(';') {
        let values = values(request, name)?;
        text.extend([name, ":", &values, "\n"]);
    }
    text.extend(["\n", signed, "\n", &hash(request.body())]);
    Ok(text)
}

/// A header's values, each with its runs of spaces as one.
fn values(request: &Request<Bytes>, name: &str) -> Result<String, Refusal> {
    let unreadable = || Refusal::bad_signature(format!("the signed header {name} is not there"));
    let mut joined = String::new();
    for value in request.headers().get_all(name) {
        let value = value.to_str().map_err(|_| unreadable())?;
        if !joined.is_empty() {
            joined.push(',');
        }
        let mut words = value.split(' ').filter(|word| !word.is_empty());
        joined += words.next().unwrap_or_default();
        words.for_each(|word| joined.extend([" ", word]));
    }
    if request.headers().contains_key(name) {
        return Ok(joined);
    }
    // HTTP/2 has it in the address.
    match request.uri().authority() {
        Some(authority) if name == HOST => Ok(authority.as_str().to_owned()),
        _ => Err(unreadable()),
    }
}

/// In the order of encoded names, then values.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<_> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // It travels encoded; what is not, is what may stand there bare.
            let mut texts = (String::new(), String::new());
            encode(name, |byte| byte == b'%', &mut texts.0);
            encode(value, |byte| byte == b'%', &mut texts.1);
            texts
        })
        .collect();
    pairs.sort();
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

fn encode(text: &str, keeps: impl Fn(u8) -> bool, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keeps(byte) {
            into.push(char::from(byte));
        } else {
            write!(into, "%{byte:02X}").expect("a string takes everything");
        }
    }
}

fn hash(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in digest(&SHA256, bytes).as_ref() {
        write!(text, "{byte:02x}").expect("a string takes everything");
    }
    text
}
