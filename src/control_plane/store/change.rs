//! What is written: a change is described first, then committed whole.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::{Body, Claimed, CommitError, Error, Event, Index, Key, Kind, NewWork, Record, Work};

/// Everything one commit does. The steps happen in the order of the module's text, whatever the order of the calls here.
#[derive(Debug, Default)]
pub struct Change {
    pub(super) expects: Vec<Expect>,
    pub(super) deletes: Vec<(Key, i64)>,
    pub(super) puts: Vec<Put>,
    pub(super) blobs: Vec<Blob>,
    pub(super) enqueued: Vec<NewWork>,
    pub(super) held: Vec<Held>,
    pub(super) events: Vec<Event>,
    /// What is watched under these names has changed.
    pub(super) announced: BTreeSet<String>,
}

impl Change {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn expect(mut self, expect: Expect) -> Self {
        self.expects.push(expect);
        self
    }

    /// Both changes as one.
    pub fn and(mut self, mut other: Self) -> Self {
        self.expects.append(&mut other.expects);
        self.deletes.append(&mut other.deletes);
        self.puts.append(&mut other.puts);
        self.blobs.append(&mut other.blobs);
        self.enqueued.append(&mut other.enqueued);
        self.held.append(&mut other.held);
        self.events.append(&mut other.events);
        self.announced.append(&mut other.announced);
        self
    }

    pub fn put(mut self, put: Put) -> Self {
        self.puts.push(put);
        self
    }

    /// Deletes the record, which must still be at this revision.
    pub fn delete(mut self, key: Key, rev: i64) -> Self {
        self.deletes.push((key, rev));
        self
    }

    /// Keeps bytes under a key, in place of what was there.
    pub fn put_blob(mut self, key: impl Into<String>, bytes: Vec<u8>) -> Self {
        self.blobs.push(Blob {
            key: key.into(),
            bytes: Some(bytes),
        });
        self
    }

    /// Forgets the bytes under a key, if any.
    pub fn delete_blob(mut self, key: impl Into<String>) -> Self {
        self.blobs.push(Blob {
            key: key.into(),
            bytes: None,
        });
        self
    }

    pub fn enqueue(mut self, work: NewWork) -> Self {
        self.enqueued.push(work);
        self
    }

    /// Tells others, once the change has happened. The events of a change keep their order.
    pub fn emit(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    /// Wakes whoever watches this, in every process, once the change has happened. Nothing of it is kept.
    pub fn announce(mut self, name: impl Into<String>) -> Self {
        self.announced.insert(name.into());
        self
    }

    /// The claimed item is done and disappears.
    pub fn complete(mut self, claimed: &Claimed) -> Self {
        self.held.push(Held::new(claimed, Step::Complete));
        self
    }

    /// Hands the claimed item back, with the attempt, time and payload that `claimed.work` now says.
    pub fn reschedule(mut self, claimed: &Claimed) -> Self {
        self.held
            .push(Held::new(claimed, Step::Reschedule(claimed.work.clone())));
        self
    }

    /// Keeps the claim until the given time: progress that only the holder may record.
    pub fn renew(mut self, claimed: &Claimed, lease_until_ms: i64) -> Self {
        self.held
            .push(Held::new(claimed, Step::Renew { lease_until_ms }));
        self
    }

    /// PostgreSQL stores no NUL, so no engine does. Bodies are JSON, which has none.
    pub(super) fn check(&self) -> Result<(), CommitError> {
        match self.texts().any(|text| text.contains('\0')) {
            true => Err(Error::nul().into()),
            false => Ok(()),
        }
    }

    /// The texts that it writes, but for bodies.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let puts = self.puts.iter().flat_map(|put| {
            let parent = match &put.write {
                Write::Create { parent } => parent.as_deref(),
                Write::Update { .. } => None,
            };
            let values = put.indexes.iter().map(|(_, value)| value.as_str());
            key(&put.key).into_iter().chain(parent).chain(values)
        });
        let work = self.enqueued.iter().flat_map(|work| {
            let kind = std::iter::once(work.kind.as_str());
            kind.chain(key(&work.subject))
        });
        let blobs = self.blobs.iter().map(|blob| blob.key.as_str());
        let events = self.events.iter().map(|event| event.resource.as_str());
        let announced = self.announced.iter().map(String::as_str);
        puts.chain(work).chain(blobs).chain(events).chain(announced)
    }

    /// How many new records it makes of the kind in the scope, or under one parent there.
    pub(super) fn creates(&self, scope: &str, kind: Kind, parent: Option<&str>) -> i64 {
        let counted = self.puts.iter().filter(|put| match &put.write {
            Write::Create { parent: of } => {
                put.key.scope == scope
                    && put.key.kind == kind
                    && (parent.is_none() || parent == of.as_deref())
            }
            Write::Update { .. } => false,
        });
        counted.map(|_| 1).sum()
    }

    /// Whether somebody may sleep longer than this change allows.
    pub(super) fn schedules_work(&self) -> bool {
        let reschedules = |held: &Held| matches!(held.step, Step::Reschedule(_));
        !self.enqueued.is_empty() || self.held.iter().any(reschedules)
    }
}

fn key(key: &Key) -> [&str; 2] {
    [&key.scope, &key.id]
}

/// What must hold for a change to happen. The first three speak of the state before it, the others of the state it leaves.
#[derive(Clone, Debug)]
pub enum Expect {
    /// No record has the key; else `Exists`.
    Absent(Key),
    /// Some record has the key; else `Changed`.
    Present(Key),
    /// The record is at this revision; else `Changed`.
    Rev(Key, i64),
    /// No record of the kind names this parent; else `HasChildren`.
    NoChildren {
        scope: String,
        kind: Kind,
        parent: String,
    },
    /// No record has this index entry; else `Referenced`.
    Unreferenced { index: Index, value: String },
    /// The kinds together (under one parent, if named) number at most `limit`; else `Full`.
    AtMost {
        scope: String,
        kinds: Vec<Kind>,
        parent: Option<String>,
        limit: i64,
    },
}

/// A record to write. It says everything about the record but its parent, which is given at creation and stays.
#[derive(Clone, Debug)]
pub struct Put {
    pub(super) key: Key,
    pub(super) write: Write,
    pub(super) body: Body,
    pub(super) indexes: BTreeSet<(Index, String)>,
    pub(super) expires_at_ms: Option<i64>,
}

#[derive(Clone, Debug)]
pub(super) enum Write {
    Create { parent: Option<String> },
    Update { rev: i64 },
}

impl Put {
    /// A new record; `Exists` if the key is taken.
    pub fn create<T: Serialize + ?Sized>(key: Key, value: &T) -> Self {
        Self::new(key, Write::Create { parent: None }, value)
    }

    /// A new record under a parent, a non-empty id within the same scope; it counts among the parent's children.
    pub fn create_under<T: Serialize + ?Sized>(
        parent: impl Into<String>,
        key: Key,
        value: &T,
    ) -> Self {
        let parent = Some(parent.into());
        Self::new(key, Write::Create { parent }, value)
    }

    /// The next state of a record; `Changed` if it is no longer as it was read.
    pub fn update<T: Serialize + ?Sized>(read: &Record, value: &T) -> Self {
        Self::update_at(read.key.clone(), read.rev, value)
    }

    /// As `update`, for a writer that knows the revision from its own commit.
    pub fn update_at<T: Serialize + ?Sized>(key: Key, rev: i64, value: &T) -> Self {
        Self::new(key, Write::Update { rev }, value)
    }

    fn new<T: Serialize + ?Sized>(key: Key, write: Write, value: &T) -> Self {
        Self {
            key,
            write,
            body: Body::of(value),
            indexes: BTreeSet::new(),
            expires_at_ms: None,
        }
    }

    /// Adds an index entry. The entries of a put replace those of the record's former state.
    pub fn indexed(mut self, index: Index, value: impl Into<String>) -> Self {
        self.indexes.insert((index, value.into()));
        self
    }

    pub fn expires_at(mut self, ms: i64) -> Self {
        self.expires_at_ms = Some(ms);
        self
    }
}

pub(super) struct Blob {
    pub(super) key: String,
    /// `None` forgets.
    pub(super) bytes: Option<Vec<u8>>,
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.bytes.as_ref().map(Vec::len);
        write!(f, "Blob({:?}, {len:?} bytes)", self.key)
    }
}

/// A step that only the holder of a claim may take.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: i64,
    pub(super) fence: i64,
    pub(super) step: Step,
}

#[derive(Debug)]
pub(super) enum Step {
    Complete,
    Reschedule(Work),
    Renew { lease_until_ms: i64 },
}

impl Held {
    fn new(claimed: &Claimed, step: Step) -> Self {
        Self {
            id: claimed.work.id,
            fence: claimed.fence,
            step,
        }
    }
}
