//! Who calls, once it is known.

use std::{fmt, str::FromStr, sync::Arc};

use serde_json::{Map, Value};

use super::SpiffeId;

/// A caller that is known, and the account and Region that it acts in. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Principal(Arc<Known>);

#[derive(PartialEq, Eq)]
struct Known {
    who: Who,
    place: Place,
    role: Option<Arc<Role>>,
    claims: Map<String, Value>,
}

/// By what a caller is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// Everybody, where no source of identities is configured.
    Local,
    /// A workload, by its certificate or by a trusted proxy's word.
    Spiffe(String),
    /// Somebody whom an issuer of tokens knows.
    Token { issuer: String, subject: String },
    /// The holder of a secret key, by the id of the key.
    AccessKey(String),
    /// Somebody whom a trusted proxy knows.
    Proxied(String),
}

/// Whose resources a caller sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub account: String,
    pub region: String,
}

/// A role in AWS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Role {
    pub arn: String,
    /// What its account wants to hear from those that assume it for others.
    pub external_id: Option<String>,
}

impl Principal {
    pub(super) fn new(who: Who, place: Place) -> Self {
        Self::with_claims(who, place, Map::new())
    }

    pub(super) fn with_claims(who: Who, place: Place, claims: Map<String, Value>) -> Self {
        Self::in_role(who, place, None, claims)
    }

    pub(super) fn in_role(
        who: Who,
        place: Place,
        role: Option<Arc<Role>>,
        claims: Map<String, Value>,
    ) -> Self {
        Self(Arc::new(Known {
            who,
            place,
            role,
            claims,
        }))
    }

    pub fn who(&self) -> &Who {
        &self.0.who
    }

    /// Whether nobody asked who it is.
    pub fn is_local(&self) -> bool {
        self.0.who == Who::Local
    }

    pub fn place(&self) -> &Place {
        &self.0.place
    }

    pub fn account(&self) -> &str {
        &self.0.place.account
    }

    pub fn region(&self) -> &str {
        &self.0.place.region
    }

    /// The role that AWS is called in for this caller; without one, with the credentials of this process.
    pub fn role(&self) -> Option<&Role> {
        self.0.role.as_deref()
    }

    /// What the token says of its subject, as far as policies may want it: bounded, and without
    /// what was checked already. Empty for other kinds.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.0.claims
    }
}

/// The principal's id: the same for the same caller, and different for any other.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.who.fmt(f)
    }
}

impl Who {
    /// What kind of identity it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Spiffe(_) => "spiffe",
            Self::Token { .. } => "token",
            Self::AccessKey(_) => "access-key",
            Self::Proxied(_) => "proxied",
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Spiffe(id) => f.write_str(id),
            // An issuer has no fragment, so the first # ends it.
            Self::Token { issuer, subject } => write!(f, "jwt:{issuer}#{subject}"),
            Self::AccessKey(id) => write!(f, "access-key:{id}"),
            Self::Proxied(name) => write!(f, "proxied:{name}"),
        }
    }
}

/// From the principal's id.
impl FromStr for Who {
    type Err = String;

    fn from_str(id: &str) -> Result<Self, String> {
        let rest = |prefix| id.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        if id == "local" {
            Ok(Self::Local)
        } else if id.parse::<SpiffeId>().is_ok() {
            Ok(Self::Spiffe(id.to_owned()))
        } else if let Some((issuer, subject)) = rest("jwt:").and_then(|rest| rest.split_once('#')) {
            let (issuer, subject) = (issuer.to_owned(), subject.to_owned());
            Ok(Self::Token { issuer, subject })
        } else if let Some(key) = rest("access-key:") {
            Ok(Self::AccessKey(key.to_owned()))
        } else if let Some(name) = rest("proxied:") {
            Ok(Self::Proxied(name.to_owned()))
        } else {
            Err(
                "none of local, spiffe://…, jwt:ISSUER#SUBJECT, access-key:ID and proxied:NAME"
                    .to_owned(),
            )
        }
    }
}

/// Without the claims, which are nobody's but the policies'.
impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("who", &self.0.who)
            .field("place", &self.0.place)
            .field("role", &self.0.role)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn place() -> Place {
        Place {
            account: "111111111111".to_owned(),
            region: "eu-west-1".to_owned(),
        }
    }

    #[test]
    fn the_id_tells_kinds_apart() {
        let same = "spiffe://prod.example/a".to_owned();
        let token = Who::Token {
            issuer: "https://issuer.example".to_owned(),
            subject: "a#b".to_owned(),
        };
        let ids = [
            Who::Local,
            Who::Spiffe(same.clone()),
            Who::AccessKey(same.clone()),
            Who::Proxied(same),
            token,
        ]
        .map(|who| Principal::new(who, place()).to_string());
        assert_eq!(
            ids,
            [
                "local",
                "spiffe://prod.example/a",
                "access-key:spiffe://prod.example/a",
                "proxied:spiffe://prod.example/a",
                "jwt:https://issuer.example#a#b",
            ]
        );
    }

    #[test]
    fn the_id_tells_who_it_is() {
        let token = Who::Token {
            issuer: "https://issuer.example".to_owned(),
            subject: "a#b".to_owned(),
        };
        for who in [
            Who::Local,
            Who::Spiffe("spiffe://prod.example/a".to_owned()),
            token,
            Who::AccessKey("AKIDALICE".to_owned()),
            Who::Proxied("spiffe://prod.example/a".to_owned()),
        ] {
            assert_eq!(who.to_string().parse(), Ok(who));
        }
        for id in [
            "",
            "alice",
            "spiffe://",
            "jwt:alice",
            "access-key:",
            "proxied:",
        ] {
            assert!(id.parse::<Who>().is_err(), "{id}");
        }
    }

    #[test]
    fn claims_are_not_shown() {
        let claims = json!({ "email": "alice@secret.example" });
        let claims = claims.as_object().unwrap().clone();
        let principal = Principal::with_claims(Who::Local, place(), claims);
        assert_eq!(principal.claims()["email"], "alice@secret.example");
        assert!(!format!("{principal:?} {principal}").contains("secret"));
    }
}
