//! What all records of resources have in common: the envelope around a family's own members, and how a record is read, changed
//! and written back.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};

use super::ControlPlane;
use super::store::{self, Key, Put, Record};
use crate::api::Error;

/// Tags by key.
pub(super) type Tags = BTreeMap<String, String>;

/// What every resource's record holds beside the members of its family.
#[derive(Clone, Debug, Serialize, serde::Deserialize)]
pub(super) struct Envelope {
    pub(super) created_at_ms: i64,
    /// When a user last changed it, or a deployment did.
    pub(super) last_modified_at_ms: i64,
    /// The fingerprint of the request that made it.
    pub(super) request: String,
    /// The client token of that request.
    pub(super) client_token: Option<String>,
    /// Whether a user has changed it since its creation; deployments do not count.
    pub(super) modified: bool,
    /// What customers set.
    pub(super) tags: Tags,
    /// What the control plane set; keys begin with `aws:`.
    pub(super) managed_tags: Tags,
}

impl Envelope {
    /// A user changes the resource.
    pub(super) fn edit(&mut self, now_ms: i64) {
        self.modified = true;
        self.last_modified_at_ms = now_ms;
    }

    pub(super) fn created_at(&self) -> Option<prost_types::Timestamp> {
        timestamp(self.created_at_ms)
    }

    pub(super) fn last_modified_at(&self) -> Option<prost_types::Timestamp> {
        timestamp(self.last_modified_at_ms)
    }
}

/// A time as messages carry it. They wrap every member that is a message into an option.
pub(super) fn timestamp(ms: i64) -> Option<prost_types::Timestamp> {
    let nanos = i32::try_from(ms.rem_euclid(1000) * 1_000_000).expect("less than a second");
    Some(prost_types::Timestamp {
        seconds: ms.div_euclid(1000),
        nanos,
    })
}

/// A record that stands for a resource of Proton.
pub(super) trait Resource: Serialize + DeserializeOwned + Send + Sync {
    fn envelope_mut(&mut self) -> &mut Envelope;

    /// Adds the index entries that follow from the record.
    fn index(&self, put: Put) -> Put {
        put
    }
}

/// A resource as it was read, to be written back if nobody else has written it meanwhile.
#[derive(Debug)]
pub(super) struct Loaded<R> {
    pub(super) key: Key,
    pub(super) rev: i64,
    pub(super) value: R,
}

impl<R: Resource> Loaded<R> {
    pub(super) fn of(record: Record) -> Result<Self, store::Error> {
        let value = record.read()?;
        Ok(Self {
            key: record.key,
            rev: record.rev,
            value,
        })
    }

    /// Writes the value as it now is.
    pub(super) fn put(&self) -> Put {
        self.value
            .index(Put::update_at(self.key.clone(), self.rev, &self.value))
    }
}

impl ControlPlane {
    pub(super) async fn load<R: Resource>(&self, key: &Key) -> Result<Option<Loaded<R>>, Error> {
        let record = self.store().get(key).await?;
        Ok(record.map(Loaded::of).transpose()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_milliseconds() {
        let time = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
        assert_eq!(
            timestamp(1_605_135_785_405),
            time(1_605_135_785, 405_000_000)
        );
        assert_eq!(timestamp(-1), time(-1, 999_000_000));
    }
}
