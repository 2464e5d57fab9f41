//! What is kept: records named by keys, and how ranges of them are asked for.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;

/// One line a family. Lines stand in the order of their names, so that kinds compare as their names do in the database.
macro_rules! kinds {
    ($($kind:ident = $name:literal,)+) => {
        /// The family a record belongs to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $($kind,)+
        }

        impl Kind {
            pub const ALL: &[Kind] = &[$(Kind::$kind,)+];

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Kind::$kind => $name,)+
                }
            }

            pub(super) fn from_name(name: &str) -> Option<Kind> {
                match name {
                    $($name => Some(Kind::$kind),)+
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    AccountSettings = "account_settings",
    ClientToken = "client_token",
    Component = "component",
    Deployment = "deployment",
    Environment = "environment",
    EnvironmentAccountConnection = "environment_account_connection",
    EnvironmentAccountConnectionRequest = "environment_account_connection_request",
    EnvironmentTemplate = "environment_template",
    EnvironmentTemplateVersion = "environment_template_version",
    Repository = "repository",
    RepositorySyncStatus = "repository_sync_status",
    Service = "service",
    ServiceInstance = "service_instance",
    ServicePipeline = "service_pipeline",
    ServiceSyncBlockers = "service_sync_blockers",
    ServiceSyncConfig = "service_sync_config",
    ServiceSyncTargets = "service_sync_targets",
    ServiceTemplate = "service_template",
    ServiceTemplateVersion = "service_template_version",
    TemplateSyncConfig = "template_sync_config",
    TemplateSyncTargets = "template_sync_targets",
}

/// Names a record. Keys order by scope, then kind, then id, bytewise.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// `<account>/<region>`.
    pub scope: String,
    pub kind: Kind,
    /// Unique within scope and kind; does not hold U+10FFFF.
    pub id: String,
}

impl Key {
    pub fn new(scope: impl Into<String>, kind: Kind, id: impl Into<String>) -> Self {
        Self {
            scope: scope.into(),
            kind,
            id: id.into(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} in {}", self.kind.as_str(), self.id, self.scope)
    }
}

/// JSON text. Its content may be sensitive, so `Debug` tells only its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Body(String);

impl Body {
    /// The JSON of a value whose type is known to have one: structs, enums and maps with string keys.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        Self(serde_json::to_string(value).expect("record types have a JSON form"))
    }

    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Body {
    fn from(json: String) -> Self {
        Self(json)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}

/// A record as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub key: Key,
    /// The commit that wrote it last; see the module's text on revisions.
    pub rev: i64,
    pub parent: Option<String>,
    pub expires_at_ms: Option<i64>,
    pub body: Body,
}

impl Record {
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.body.read().map_err(|source| Error::Malformed {
            key: self.key.clone(),
            source,
        })
    }

    /// Whether its time is over. Such a record is still there until a sweep takes it.
    pub fn is_expired(&self, now_ms: i64) -> bool {
        self.expires_at_ms.is_some_and(|at| at <= now_ms)
    }
}

/// The name of an index; its entries point from a value to records, also across scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Index(&'static str);

impl Index {
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// An entry of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub value: String,
    pub key: Key,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Ascending,
    Descending,
}

/// A page of one kind's records in one scope, by id.
#[derive(Clone, Debug)]
pub struct Range<'a> {
    pub scope: &'a str,
    pub kind: Kind,
    /// Only ids that begin with this.
    pub prefix: &'a str,
    /// Only ids behind this one, in the direction of `order`.
    pub after: Option<&'a str>,
    pub limit: u32,
    pub order: Order,
}

impl Range<'_> {
    /// The ids of the page as a half-open interval. The smallest text behind `a` is `a` and U+0001, and U+10FFFF ends every
    /// continuation of a prefix, because ids hold neither NUL nor U+10FFFF.
    pub(super) fn bounds(&self) -> (String, String) {
        let (first, end) = (self.prefix.to_owned(), format!("{}\u{10FFFF}", self.prefix));
        match (self.after, self.order) {
            (None, _) => (first, end),
            (Some(after), Order::Ascending) => (first.max(format!("{after}\u{1}")), end),
            (Some(after), Order::Descending) => (first, end.min(after.to_owned())),
        }
    }
}

/// Where a walk through an index begins: behind a key, or in front of all of them.
pub(super) fn behind(after: Option<&Key>, order: Order) -> (&str, &str, &str) {
    match (after, order) {
        (Some(key), _) => (&key.scope, key.kind.as_str(), &key.id),
        (None, Order::Ascending) => ("", "", ""),
        (None, Order::Descending) => ("\u{10FFFF}", "", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_compare_as_their_names_do() {
        assert!(Kind::ALL.is_sorted_by_key(|kind| kind.as_str()));
        assert!(Kind::ALL.is_sorted());
    }

    #[test]
    fn every_kind_is_found_by_its_name() {
        for &kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.as_str()), Some(kind));
        }
    }

    #[test]
    fn debug_does_not_show_a_body() {
        assert_eq!(format!("{:?}", Body::of("secret")), "Body(8 bytes)");
    }
}
