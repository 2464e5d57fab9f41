//! Signatures (SigV4) made with a key that is kept for the day that it is good for.
//!
//! The SDK derives the signing key anew for every request, which is most of what a signature
//! costs. This signer signs what the SDK would, of the one kind of request that Proton is asked
//! with: to the root of its endpoint, with the body in memory. Everything else is the SDK's to
//! sign, and so is all of it while the clock is wrong: the SDK then knows by how much.

use std::{
    borrow::Cow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
};
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4Signer};
use aws_sdk_proton::{config::http::HttpResponse, error::BoxError};
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::{
    auth::{AuthScheme, AuthSchemeEndpointConfig, AuthSchemeId, Sign},
    identity::{Identity, SharedIdentityResolver},
    orchestrator::HttpRequest,
    runtime_components::{GetIdentityResolver, RuntimeComponents},
};
use aws_smithy_types::{
    DateTime,
    config_bag::ConfigBag,
    date_time::Format::{self, HttpDate},
};
use http::HeaderValue;

use super::hex;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "proton";
const DATE: &str = "x-amz-date";
const TOKEN: &str = "x-amz-security-token";
/// Headers that proxies change, and those that signing sets.
const UNSIGNED: [&str; 6] = [
    "authorization",
    "transfer-encoding",
    "user-agent",
    DATE,
    TOKEN,
    "x-amzn-trace-id",
];

/// Stands in for the SDK's own signer.
#[derive(Debug)]
pub(super) struct Signer {
    region: String,
    service: &'static str,
    skew: Skew,
    kept: Mutex<Option<Kept>>,
}

/// The key for all requests of a day with the same credentials.
#[derive(Debug)]
struct Kept {
    day: String,
    credentials: Credentials,
    key: hmac::Key,
}

/// What is signed of a request to the root, and with what.
struct Canonical<'a> {
    method: &'a str,
    /// In the order of their names.
    headers: Vec<(&'a str, Cow<'a, str>)>,
    body: &'a [u8],
    credentials: &'a Credentials,
    time: &'a str,
}

impl Signer {
    pub(super) fn new(region: &str, skew: Skew) -> Self {
        Self {
            region: region.to_owned(),
            service: SERVICE,
            skew,
            kept: Mutex::default(),
        }
    }

    fn authorization(&self, request: &Canonical<'_>) -> String {
        let Canonical {
            credentials, time, ..
        } = request;
        let (day, _) = time.split_once('T').expect("a time follows its day");
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let (text, names) = request.text();
        let text = format!("{ALGORITHM}\n{time}\n{scope}\n{}", hash(text.as_bytes()));
        let signature = self.signature(credentials, day, &text);
        format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            credentials.access_key_id()
        )
    }

    fn signature(&self, credentials: &Credentials, day: &str, text: &str) -> String {
        let mut kept = self
            .kept
            .lock()
            .expect("nothing panics while it holds the key");
        if !matches!(&*kept, Some(kept) if kept.day == day && kept.credentials == *credentials) {
            *kept = Some(Kept {
                day: day.to_owned(),
                credentials: credentials.clone(),
                key: self.derive(credentials, day),
            });
        }
        let key = &kept.as_ref().expect("it has just been filled").key;
        hex(hmac::sign(key, text.as_bytes()).as_ref())
    }

    fn derive(&self, credentials: &Credentials, day: &str) -> hmac::Key {
        let key = |secret: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, secret);
        let secret = format!("AWS4{}", credentials.secret_access_key());
        [day, &self.region, self.service, "aws4_request"]
            .iter()
            .fold(key(secret.as_bytes()), |last, part| {
                key(hmac::sign(&last, part.as_bytes()).as_ref())
            })
    }
}

impl<'a> Canonical<'a> {
    fn new(
        method: &'a str,
        host: &'a str,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        body: &'a [u8],
        credentials: &'a Credentials,
        time: &'a str,
    ) -> Self {
        let token = credentials.session_token();
        let mut headers: Vec<_> = headers
            .filter(|(name, _)| !UNSIGNED.contains(name))
            .chain([("host", host), (DATE, time)])
            .chain(token.map(|token| (TOKEN, token)))
            .map(|(name, value)| (name, trimmed(value)))
            .collect();
        headers.sort_by_key(|(name, _)| *name);
        Self {
            method,
            headers,
            body,
            credentials,
            time,
        }
    }

    /// The request as it is hashed, and the names of the headers in it.
    fn text(&self) -> (String, String) {
        let mut text = format!("{}\n/\n\n", self.method);
        let mut names = String::new();
        for several in self.headers.chunk_by(|(name, _), (next, _)| name == next) {
            for (index, (name, value)) in several.iter().enumerate() {
                if index == 0 {
                    names.extend([if names.is_empty() { "" } else { ";" }, name]);
                    text.extend([name, ":"]);
                } else {
                    text.push(',');
                }
                text += value;
            }
            text.push('\n');
        }
        text.extend(["\n", &names, "\n", &hash(self.body)]);
        (text, names)
    }
}

impl AuthScheme for Signer {
    fn scheme_id(&self) -> AuthSchemeId {
        SCHEME_ID
    }

    fn identity_resolver(
        &self,
        resolvers: &dyn GetIdentityResolver,
    ) -> Option<SharedIdentityResolver> {
        resolvers.identity_resolver(SCHEME_ID)
    }

    fn signer(&self) -> &dyn Sign {
        self
    }
}

impl Sign for Signer {
    fn sign_http_request(
        &self,
        request: &mut HttpRequest,
        identity: &Identity,
        endpoint: AuthSchemeEndpointConfig<'_>,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        let simple = (
            identity.data::<Credentials>(),
            root_host(request),
            request.body().bytes(),
            components.time_source().filter(|_| !self.skew.is_known()),
        );
        let (Some(credentials), Some(host), Some(body), Some(clock)) = simple else {
            return SigV4Signer::new()
                .sign_http_request(request, identity, endpoint, components, config);
        };
        let (time, headers) = (stamp(clock.now())?, request.headers().iter());
        let canonical = Canonical::new(request.method(), host, headers, body, credentials, &time);
        let authorization = self.authorization(&canonical);
        let token = credentials.session_token();
        let secrets = [("authorization", Some(&*authorization)), (TOKEN, token)];
        request.headers_mut().insert(DATE, time);
        for (name, value) in secrets {
            if let Some(value) = value {
                let mut value = HeaderValue::try_from(value)?;
                value.set_sensitive(true);
                request.headers_mut().insert(name, value);
            }
        }
        Ok(())
    }
}

/// Whether our clock is wrong, as far as the upstream's answers tell.
#[derive(Clone, Debug)]
pub(super) struct Skew {
    clock: SharedTimeSource,
    known: Arc<AtomicBool>,
}

impl Skew {
    /// AWS refuses what was signed five minutes ago or later than now.
    const TOLERATED: Duration = Duration::from_secs(120);

    pub(super) fn new(clock: SharedTimeSource) -> Self {
        Self {
            clock,
            known: Arc::default(),
        }
    }

    /// Looks at the upstream's clock. Only when it refuses something: it will, if it matters.
    pub(super) fn learn(&self, response: &HttpResponse) {
        if response.status().is_success() {
            return;
        }
        let date = response.headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, HttpDate).ok());
        if let Some(there) = date.and_then(|date| SystemTime::try_from(date).ok()) {
            let here = self.clock.now();
            let ahead = there.duration_since(here).or(here.duration_since(there));
            let wrong = ahead.is_ok_and(|skew| skew > Self::TOLERATED);
            self.known.store(wrong, Ordering::Relaxed);
        }
    }

    fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }
}

/// The `Host` of a request to the root, which HTTP clients send without a default port.
fn root_host(request: &HttpRequest) -> Option<&str> {
    let (scheme, rest) = request.uri().split_once("://")?;
    let host = rest.strip_suffix('/').unwrap_or(rest);
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let plain = !host.contains(['/', '?', '#', '@']) && request.headers().get("host").is_none();
    plain.then(|| host.strip_suffix(default_port).unwrap_or(host))
}

/// A header's value with each run of spaces as one, and none around it.
fn trimmed(value: &str) -> Cow<'_, str> {
    let value = value.trim_matches(' ');
    match value.contains("  ") {
        true => {
            let parts = value.split(' ').filter(|part| !part.is_empty());
            parts.collect::<Vec<_>>().join(" ").into()
        }
        false => value.into(),
    }
}

/// `20150830T123600Z`
fn stamp(time: SystemTime) -> Result<String, BoxError> {
    let seconds = DateTime::from(time).secs();
    let mut stamp = DateTime::from_secs(seconds).fmt(Format::DateTime)?;
    stamp.retain(|letter| !matches!(letter, '-' | ':'));
    Ok(stamp)
}

fn hash(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests;
