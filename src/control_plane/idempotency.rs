//! Creates that are sent twice. Some operations carry a client token, which names the call; for the others the resource's name
//! does. Either way the same parameters must come with it.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_smithy_types::base64;
use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::Caller;
use super::resource::Envelope;
use super::store::{Error as StoreError, Key, Kind, Put, Record};
use crate::api::{Error, Operation};

/// How long a client token is remembered.
const TOKEN_LIFE: Duration = Duration::from_secs(8 * 60 * 60);

/// What a repeat of a call is recognised by.
#[derive(Clone, Debug)]
pub(super) struct Fingerprint {
    operation: &'static str,
    pub(super) client_token: Option<String>,
    /// A hash of the operation and its parameters without the token.
    pub(super) request: String,
}

/// What is remembered of a client token.
#[derive(Serialize, Deserialize)]
struct Used {
    request: String,
    /// The id of the resource that was made.
    made: String,
}

impl Fingerprint {
    /// Takes the client token out of the request, whose tags are in order already.
    pub(super) fn take<O: Operation>(request: &mut O::Request) -> Self {
        let token = O::client_token(request).and_then(Option::take);
        let mut bytes = O::FACTS.name.as_bytes().to_vec();
        bytes.push(0);
        request.encode(&mut bytes).expect("a vector has room");
        Self {
            operation: O::FACTS.name,
            client_token: token.filter(|token| !token.is_empty()),
            request: base64::encode(digest(&SHA256, &bytes)),
        }
    }

    /// Where the use of the client token is remembered.
    pub(super) fn token_key(&self, caller: &Caller) -> Option<Key> {
        let token = self.client_token.as_ref()?;
        Some(caller.key(Kind::ClientToken, format!("{}/{token}", self.operation)))
    }

    /// The id of what the client token has made, if that is remembered.
    pub(super) fn made(
        &self,
        used: Option<&Record>,
        now_ms: i64,
    ) -> Result<Option<String>, StoreError> {
        let live = used.filter(|record| !record.is_expired(now_ms));
        Ok(live
            .map(Record::read::<Used>)
            .transpose()?
            .map(|used| used.made))
    }

    /// Remembers what the client token makes, in place of what was remembered too long ago.
    pub(super) fn remember(
        &self,
        key: Key,
        former: Option<&Record>,
        made: &str,
        now_ms: i64,
    ) -> Put {
        let used = Used {
            request: self.request.clone(),
            made: made.to_owned(),
        };
        let put = match former {
            Some(record) => Put::update(record, &used),
            None => Put::create(key, &used),
        };
        put.expires_at(now_ms + i64::try_from(TOKEN_LIFE.as_millis()).expect("hours fit"))
    }

    /// Whether the client token has updated the resource already, which was created then: another one of the same name knows
    /// nothing of the token.
    pub(super) fn is_repeat(
        &self,
        used: Option<&Record>,
        name: &str,
        created_at_ms: i64,
        now_ms: i64,
    ) -> Result<bool, Error> {
        let Some(used) = used.filter(|record| !record.is_expired(now_ms)) else {
            return Ok(false);
        };
        let used: Used = used.read()?;
        match used.made.rsplit_once('@') {
            Some((updated, at)) if updated == name && at != created_at_ms.to_string() => Ok(false),
            _ if used.request == self.request => Ok(true),
            _ => Err(mismatch("the client token was used with other parameters")),
        }
    }

    /// Remembers that the client token updates a resource.
    pub(super) fn remember_update(
        &self,
        key: Key,
        former: Option<&Record>,
        name: &str,
        created_at_ms: i64,
        now_ms: i64,
    ) -> Put {
        self.remember(key, former, &format!("{name}@{created_at_ms}"), now_ms)
    }

    /// Whether a resource that still exists is the one that the client token made. A token is forgotten with its resource, and
    /// another resource may have taken the id since.
    pub(super) fn is_original(&self, envelope: &Envelope) -> Result<bool, Error> {
        if self.client_token.is_none() || envelope.client_token != self.client_token {
            return Ok(false);
        }
        match envelope.request == self.request {
            true => Ok(true),
            false => Err(mismatch("the client token was used with other parameters")),
        }
    }

    /// Whether a call without a token may be answered with the resource that has the name. Parameters come first: whoever asks
    /// for something else is told so even when the resource has changed.
    pub(super) fn check_repeat(&self, what: &str, existing: &Envelope) -> Result<(), Error> {
        match (existing.request == self.request, existing.modified) {
            (true, false) => Ok(()),
            (true, true) => Err(Error::conflict(format!(
                "{what} exists and was modified since its creation"
            ))),
            (false, _) => Err(mismatch(&format!("{what} exists with other parameters"))),
        }
    }
}

fn mismatch(why: &str) -> Error {
    Error::validation(format!(
        "Idempotent parameter mismatch (IdempotentParameterMismatch): {why}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Code, operation, pb};

    fn fingerprint(token: Option<&str>, template: &str) -> Fingerprint {
        let mut request = pb::CreateEnvironmentTemplateVersionRequest {
            client_token: token.map(str::to_owned),
            template_name: template.to_owned(),
            ..Default::default()
        };
        Fingerprint::take::<operation::CreateEnvironmentTemplateVersion>(&mut request)
    }

    fn envelope(of: &Fingerprint, modified: bool) -> Envelope {
        Envelope {
            created_at_ms: 0,
            last_modified_at_ms: 0,
            request: of.request.clone(),
            client_token: of.client_token.clone(),
            modified,
            tags: Default::default(),
            managed_tags: Default::default(),
        }
    }

    #[test]
    fn the_token_is_no_parameter() {
        assert_eq!(
            fingerprint(Some("a"), "t").request,
            fingerprint(Some("b"), "t").request
        );
        assert_ne!(
            fingerprint(Some("a"), "t").request,
            fingerprint(Some("a"), "u").request
        );
    }

    #[test]
    fn an_update_is_repeated_on_the_same_resource_with_the_same_parameters_only() {
        let caller = Caller::new("1", "r");
        let update = |token: &str, description: &str| {
            let mut request = pb::UpdateComponentRequest {
                client_token: Some(token.to_owned()),
                description: Some(description.to_owned()),
                ..Default::default()
            };
            Fingerprint::take::<operation::UpdateComponent>(&mut request)
        };
        let first = update("a", "one");
        let used = Record {
            key: first.token_key(&caller).unwrap(),
            rev: 1,
            parent: None,
            expires_at_ms: Some(100),
            body: super::super::store::Body::of(&Used {
                request: first.request.clone(),
                made: "queue@5".to_owned(),
            }),
        };
        let repeat = |fingerprint: &Fingerprint, created, now| {
            fingerprint
                .is_repeat(Some(&used), "queue", created, now)
                .map_err(|error| error.code)
        };
        assert_eq!(repeat(&first, 5, 99), Ok(true));
        assert_eq!(repeat(&update("a", "two"), 5, 99), Err(Code::Validation));
        assert_eq!(repeat(&first, 5, 100), Ok(false));
        assert_eq!(repeat(&first, 6, 99), Ok(false));
    }

    #[test]
    fn an_empty_token_is_none() {
        assert_eq!(fingerprint(Some(""), "t").client_token, None);
    }

    #[test]
    fn parameters_are_compared_before_modification() {
        let (first, other) = (fingerprint(None, "t"), fingerprint(None, "u"));
        let code = |modified, asked: &Fingerprint| {
            asked
                .check_repeat("template \"t\"", &envelope(&first, modified))
                .err()
                .map(|error| error.code)
        };
        assert_eq!(code(false, &first), None);
        assert_eq!(code(true, &first), Some(Code::Conflict));
        assert_eq!(code(false, &other), Some(Code::Validation));
        assert_eq!(code(true, &other), Some(Code::Validation));
    }

    #[test]
    fn a_token_that_made_something_else_is_not_original() {
        let made = envelope(&fingerprint(Some("a"), "t"), false);
        assert_eq!(fingerprint(Some("a"), "t").is_original(&made), Ok(true));
        assert_eq!(fingerprint(Some("b"), "t").is_original(&made), Ok(false));
        assert!(
            fingerprint(Some("a"), "u")
                .is_original(&made)
                .unwrap_err()
                .message
                .contains("IdempotentParameterMismatch")
        );
    }
}
