//! Whose account a caller acts in: the file that `--callers` names.
//!
//! ```toml
//! [[caller]]
//! spiffe = "spiffe://prod.example/ns/shop/*"      # everything below
//! account = "111111111111"
//!
//! [[caller]]
//! subject = "system:serviceaccount:ci:deployer"   # of tokens; issuer = "…" narrows it
//! account = "222222222222"
//! region = "eu-west-1"                            # else --region
//!
//! [[caller]]
//! access-key = { id = "AKIDALICE", secret-file = "alice.secret" }
//! account = "222222222222"
//!
//! [[caller]]
//! proxied = "alice@example.com"                   # a name that the trusted proxy says
//! account = "222222222222"
//! role = "arn:aws:iam::222222222222:role/deploy"  # in which AWS is called; external-id = "…"
//! ```
//!
//! The most exact entry wins, wherever it stands: a whole name beats a pattern, and of two patterns
//! the longer one. Who is in no entry has no account.
//!
//! Once one entry has a role all have one, lest a caller whose role was forgotten act as this process,
//! which may do what all of them may: `role = "own"` says that this is meant.

mod file;
mod watched;

use std::{collections::HashMap, sync::Arc};

pub(super) use file::{Issuers, Known, Snapshot};
pub(super) use watched::Watched;

use super::{Place, Role, Who, sigv4::AccessKey};

/// The file as it is asked.
#[derive(Debug, Default)]
pub(super) struct Callers {
    exact: HashMap<Name, Seat>,
    /// The longest first.
    patterns: Vec<(Name, Seat)>,
    keys: HashMap<String, (AccessKey, Place)>,
}

/// Where somebody acts, and as whom in AWS.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) place: Place,
    pub(super) role: Option<Arc<Role>>,
}

/// What an entry matches: all of an id, or how it begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Spiffe(String),
    Subject {
        issuer: Option<String>,
        subject: String,
    },
    Proxied(String),
}

impl Callers {
    /// Where somebody acts whose identity holds.
    pub(super) fn seat(&self, who: &Who) -> Option<&Seat> {
        let names: &[Name] = match who {
            Who::Spiffe(id) => &[Name::Spiffe(id.clone())],
            Who::Proxied(name) => &[Name::Proxied(name.clone())],
            Who::Token { issuer, subject } => &[
                Name::Subject {
                    issuer: Some(issuer.clone()),
                    subject: subject.clone(),
                },
                Name::Subject {
                    issuer: None,
                    subject: subject.clone(),
                },
            ],
            // A key is found before its signature is checked, and brings its place.
            Who::Local | Who::AccessKey(_) => &[],
        };
        let exact = names.iter().find_map(|name| self.exact.get(name));
        exact.or_else(|| {
            let matching =
                |(pattern, _): &&(Name, Seat)| names.iter().any(|name| pattern.begins(name));
            self.patterns.iter().find(matching).map(|(_, seat)| seat)
        })
    }

    /// The same, of keys too.
    pub(super) fn place_or_key(&self, who: &Who) -> Option<&Place> {
        match who {
            Who::AccessKey(id) => self.key(id).map(|(_, place)| place),
            other => self.seat(other).map(|seat| &seat.place),
        }
    }

    pub(super) fn key(&self, id: &str) -> Option<&(AccessKey, Place)> {
        self.keys.get(id)
    }
}

impl Name {
    fn text(&self) -> &str {
        match self {
            Self::Spiffe(text) | Self::Proxied(text) | Self::Subject { subject: text, .. } => text,
        }
    }

    /// Whether this is how a name of the same kind begins, which goes on after it.
    fn begins(&self, name: &Self) -> bool {
        let same = match (self, name) {
            (Self::Spiffe(_), Self::Spiffe(_)) | (Self::Proxied(_), Self::Proxied(_)) => true,
            (Self::Subject { issuer, .. }, Self::Subject { issuer: other, .. }) => issuer == other,
            _ => false,
        };
        let rest = name.text().strip_prefix(self.text());
        same && rest.is_some_and(|rest| !rest.is_empty())
    }
}

#[cfg(test)]
mod tests;
