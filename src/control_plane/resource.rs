//! What all records of resources have in common: the envelope around a family's own members, and how a record is read, changed
//! and written back. Whatever is written or deleted here tells of its status, so that no change of one goes untold.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};

use super::events::{self, Subject};
use super::pagination::Page;
use super::store::{self, Change, Key, Kind, Order, Put, Range, Record};
use super::{Caller, ControlPlane};
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
    /// Of what no request makes by itself.
    pub(super) fn plain(now_ms: i64) -> Self {
        Self {
            created_at_ms: now_ms,
            last_modified_at_ms: now_ms,
            request: String::new(),
            client_token: None,
            modified: false,
            tags: Tags::new(),
            managed_tags: Tags::new(),
        }
    }

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
    fn index(&self, put: Put, _owner: &Caller) -> Put {
        put
    }

    /// The status whose changes are told, and whose it is.
    fn told(&self, _key: &Key) -> Option<(Subject<'_>, &'static str)> {
        None
    }
}

/// A resource as it was read, to be written back if nobody else has written it meanwhile.
#[derive(Debug)]
pub(super) struct Loaded<R> {
    pub(super) key: Key,
    pub(super) rev: i64,
    pub(super) value: R,
    /// The status that it was read with, if that is told.
    status: Option<&'static str>,
}

impl<R: Resource> Loaded<R> {
    pub(super) fn of(record: Record) -> Result<Self, store::Error> {
        let value: R = record.read()?;
        let status = value.told(&record.key).map(|(_, status)| status);
        Ok(Self {
            key: record.key,
            rev: record.rev,
            value,
            status,
        })
    }

    /// Writes the value as it now is, and tells of its status if that has changed.
    pub(super) fn write(&self, plane: &ControlPlane) -> Change {
        let put = Put::update_at(self.key.clone(), self.rev, &self.value);
        write(plane, &self.key, &self.value, put, self.status)
    }

    /// Deletes the resource, and tells of it.
    pub(super) fn delete(&self, plane: &ControlPlane) -> Change {
        let change = Change::new().delete(self.key.clone(), self.rev);
        match self.value.told(&self.key) {
            None => change,
            Some((subject, _)) => {
                let owner = Caller::of(&self.key);
                let (was, is) = (self.status, events::DELETED);
                change.and(events::status_changed(plane, &owner, subject, was, is))
            }
        }
    }
}

/// Writes a new resource, and tells of its status.
pub(super) fn create<R: Resource>(plane: &ControlPlane, key: Key, value: &R) -> Change {
    write(plane, &key, value, Put::create(key.clone(), value), None)
}

/// Writes a new resource that counts among its parent's, and tells of its status.
pub(super) fn create_under<R: Resource>(
    plane: &ControlPlane,
    parent: &str,
    key: Key,
    value: &R,
) -> Change {
    let put = Put::create_under(parent, key.clone(), value);
    write(plane, &key, value, put, None)
}

fn write<R: Resource>(
    plane: &ControlPlane,
    key: &Key,
    value: &R,
    put: Put,
    was: Option<&'static str>,
) -> Change {
    let owner = Caller::of(key);
    let change = Change::new().put(value.index(put, &owner));
    match value.told(key) {
        Some((subject, is)) if was != Some(is) => {
            change.and(events::status_changed(plane, &owner, subject, was, is))
        }
        _ => change,
    }
}

impl ControlPlane {
    pub(super) async fn load<R: Resource>(&self, key: &Key) -> Result<Option<Loaded<R>>, Error> {
        let record = self.store().get(key).await?;
        Ok(record.map(Loaded::of).transpose()?)
    }

    /// A page of resources of a kind, by id, of those that are wanted.
    pub(super) async fn page<R: Resource>(
        &self,
        caller: &Caller,
        kind: Kind,
        prefix: &str,
        page: &Page,
        wanted: impl Fn(&R) -> bool,
    ) -> Result<(Vec<Loaded<R>>, Option<String>), Error> {
        let scope = caller.scope();
        let limit = u32::try_from(page.look_for()).expect("pages are small");
        let mut after = page.after().map(str::to_owned);
        let mut found = Vec::new();
        loop {
            let range = Range {
                scope: &scope,
                kind,
                prefix,
                after: after.as_deref(),
                limit,
                order: Order::Ascending,
            };
            let records = self.store().list(range).await?;
            let full = records.len() == limit as usize;
            after = records.last().map(|record| record.key.id.clone());
            for record in records {
                let loaded = Loaded::of(record)?;
                if wanted(&loaded.value) {
                    found.push(loaded);
                }
            }
            if !full || found.len() >= page.look_for() {
                return Ok(page.cut(found, |loaded| loaded.key.id.clone()));
            }
        }
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
