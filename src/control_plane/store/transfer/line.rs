//! The lines of an export.

use serde::{Deserialize, Serialize};

use super::{FORMAT, ImportError};
use crate::control_plane::store::{Emitted, Key, Kind, Record, Work};

/// One line: also what engines give and take.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::control_plane::store) enum Item {
    Header(Header),
    Record(RecordLine),
    Blob(BlobLine),
    Work(WorkLine),
    Event(EventLine),
    End(Totals),
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::control_plane::store) struct Header {
    format: u32,
    /// The revision given last.
    pub(in crate::control_plane::store) revision: i64,
    /// The id of a work item given last.
    pub(in crate::control_plane::store) work: i64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::control_plane::store) struct RecordLine {
    #[serde(flatten)]
    pub(in crate::control_plane::store) key: KeyLine,
    pub(in crate::control_plane::store) rev: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::control_plane::store) parent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::control_plane::store) expires_at_ms: Option<i64>,
    pub(in crate::control_plane::store) body: String,
    /// Index and value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::control_plane::store) entries: Vec<(String, String)>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::control_plane::store) struct KeyLine {
    pub(in crate::control_plane::store) scope: String,
    #[serde(with = "name")]
    pub(in crate::control_plane::store) kind: Kind,
    pub(in crate::control_plane::store) id: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::control_plane::store) struct BlobLine {
    pub(in crate::control_plane::store) key: String,
    #[serde(with = "base64")]
    pub(in crate::control_plane::store) bytes: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::control_plane::store) struct WorkLine {
    pub(in crate::control_plane::store) id: i64,
    pub(in crate::control_plane::store) kind: String,
    pub(in crate::control_plane::store) subject: KeyLine,
    pub(in crate::control_plane::store) attempt: i64,
    pub(in crate::control_plane::store) run_at_ms: i64,
    /// Goes on counting, so that a claim on the former store is worth nothing on the new one.
    pub(in crate::control_plane::store) fence: i64,
    pub(in crate::control_plane::store) payload: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::control_plane::store) struct EventLine {
    pub(in crate::control_plane::store) rev: i64,
    pub(in crate::control_plane::store) place: i64,
    pub(in crate::control_plane::store) resource: String,
    pub(in crate::control_plane::store) at_ms: i64,
    pub(in crate::control_plane::store) body: String,
}

/// How much there is of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub records: u64,
    pub blobs: u64,
    pub work: u64,
    pub events: u64,
}

impl Totals {
    pub(in crate::control_plane::store) fn and(mut self, item: &Item) -> Self {
        match item {
            Item::Record(_) => self.records += 1,
            Item::Blob(_) => self.blobs += 1,
            Item::Work(_) => self.work += 1,
            Item::Event(_) => self.events += 1,
            Item::Header(_) | Item::End(_) => {}
        }
        self
    }

    pub fn all(&self) -> u64 {
        self.records + self.blobs + self.work + self.events
    }
}

impl Item {
    pub(in crate::control_plane::store) fn header(revision: i64, work: i64) -> Self {
        Self::Header(Header {
            format: FORMAT,
            revision,
            work,
        })
    }

    /// About how many bytes it holds.
    pub(in crate::control_plane::store) fn len(&self) -> usize {
        match self {
            Self::Record(line) => line.body.len(),
            Self::Blob(line) => line.bytes.len(),
            Self::Work(line) => line.payload.len(),
            Self::Event(line) => line.body.len(),
            Self::Header(_) | Self::End(_) => 0,
        }
    }

    pub(in crate::control_plane::store) fn record(
        record: Record,
        entries: Vec<(String, String)>,
    ) -> Self {
        Self::Record(RecordLine {
            key: record.key.into(),
            rev: record.rev,
            parent: record.parent,
            expires_at_ms: record.expires_at_ms,
            body: record.body.as_str().to_owned(),
            entries,
        })
    }

    pub(in crate::control_plane::store) fn blob(key: String, bytes: Vec<u8>) -> Self {
        Self::Blob(BlobLine { key, bytes })
    }

    pub(in crate::control_plane::store) fn work(work: Work, fence: i64) -> Self {
        Self::Work(WorkLine {
            id: work.id,
            kind: work.kind,
            subject: work.subject.into(),
            attempt: work.attempt,
            run_at_ms: work.run_at_ms,
            fence,
            payload: work.payload.as_str().to_owned(),
        })
    }

    pub(in crate::control_plane::store) fn event(Emitted { id, event }: Emitted) -> Self {
        Self::Event(EventLine {
            rev: id.rev,
            place: id.place,
            resource: event.resource,
            at_ms: event.at_ms,
            body: event.body.as_str().to_owned(),
        })
    }
}

impl From<Key> for KeyLine {
    fn from(key: Key) -> Self {
        Self {
            scope: key.scope,
            kind: key.kind,
            id: key.id,
        }
    }
}

impl KeyLine {
    pub(in crate::control_plane::store) fn to_key(&self) -> Key {
        Key::new(&*self.scope, self.kind, &*self.id)
    }
}

/// Holds the lines to what an export promises.
#[derive(Default)]
pub(super) struct Reading {
    number: u64,
    header: Option<(i64, i64)>,
    totals: Totals,
}

impl Reading {
    pub(super) fn read(&mut self, text: &str) -> Result<Item, ImportError> {
        self.number += 1;
        let number = self.number;
        self.check(text)
            .map_err(|why| ImportError::Line { number, why })
    }

    fn check(&mut self, text: &str) -> Result<Item, String> {
        let item: Item = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match (&item, self.header) {
            (Item::Header(header), None) if header.format == FORMAT => {
                self.header = Some((header.revision, header.work));
            }
            (Item::Header(header), None) => {
                let format = header.format;
                return Err(format!(
                    "format {format} is not known to this program, which reads {FORMAT}"
                ));
            }
            (Item::Header(_), Some(_)) => return Err("a second header".to_owned()),
            (_, None) => return Err("the header is missing".to_owned()),
            (Item::End(totals), Some(_)) if *totals != self.totals => {
                return Err(format!("{totals:?} were written, {:?} read", self.totals));
            }
            (item, Some((revision, work))) => check(item, revision, work)?,
        }
        self.totals = self.totals.and(&item);
        Ok(item)
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    pub(super) fn into_totals(self) -> Totals {
        self.totals
    }
}

/// Numbers beyond the header's would be given again.
fn check(item: &Item, revision: i64, work: i64) -> Result<(), String> {
    let known = |what: &str, number: i64, last: i64| match number <= last {
        true => Ok(()),
        false => Err(format!("{what} {number} is beyond the header's {last}")),
    };
    match item {
        Item::Record(line) => known("revision", line.rev, revision),
        Item::Work(line) => known("work item", line.id, work),
        Item::Event(line) => known("revision", line.rev, revision),
        Item::Header(_) | Item::Blob(_) | Item::End(_) => Ok(()),
    }
}

/// A kind as its name.
mod name {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::control_plane::store::Kind;

    pub(super) fn serialize<S: Serializer>(kind: &Kind, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(kind.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Kind, D::Error> {
        let name = String::deserialize(from)?;
        let unknown = || D::Error::custom(format!("kind {name:?} is not known to this program"));
        Kind::from_name(&name).ok_or_else(unknown)
    }
}

/// Bytes as text.
mod base64 {
    use aws_smithy_types::base64;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&base64::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        base64::decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}
