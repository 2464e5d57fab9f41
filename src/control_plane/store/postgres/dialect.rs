//! What PostgreSQL says differently, and how its rows are read.

use std::error::Error as StdError;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use crate::control_plane::store::{
    Backlog, Body, Claimed, Emitted, Entry, Event, EventId, Key, Kind, Queue, Record, Work,
};

/// Workers of several processes take what is due past each other.
pub(super) const CLAIM: &str = "
    WITH due AS (
        SELECT id FROM work WHERE due_at <= $3 ORDER BY due_at, id LIMIT $4 FOR UPDATE SKIP LOCKED)
    UPDATE work SET due_at = $1, fence = fence + 1, attempt = attempt + 1, worker = $2
    FROM due WHERE work.id = due.id
    RETURNING work.id, kind, subject_scope, subject_kind, subject_id, attempt, run_at, payload, fence";

/// Records in the order of the keys asked for, with nothing in the place of those that are not there.
pub(super) const GET_MANY: &str = "
    SELECT r.scope, r.kind, r.id, r.rev, r.parent, r.expires_at, r.body
    FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS k (scope, kind, id, place)
    LEFT JOIN records r ON r.scope = k.scope AND r.kind = k.kind AND r.id = k.id ORDER BY k.place";

/// The lock under which changes happen one after the other, and the numbers given last.
pub(super) const LOCK: &str = "
    SELECT n, work FROM revision FOR UPDATE";

pub(super) const SET_NUMBERS: &str = "
    UPDATE revision SET n = $1, work = $2";

pub(super) const LAST_GROUP: &str = "
    SELECT last FROM writers WHERE process = $1";

pub(super) const SET_LAST_GROUP: &str = "
    INSERT INTO writers (process, last) VALUES ($1, $2)
    ON CONFLICT (process) DO UPDATE SET last = excluded.last, seen_at = now()";

/// Of processes that have ended; one that has only been idle says so with its next group.
pub(super) const FORGET_WRITERS: &str = "
    DELETE FROM writers WHERE seen_at < now() - interval '1 day'";

/// The kinds together.
pub(super) const COUNT_ALL: &str = "
    SELECT coalesce(sum(n), 0)::bigint FROM counters WHERE scope = $1 AND kind = ANY($2) AND parent = $3";

pub(super) const INSERT_ENTRIES: &str = "
    INSERT INTO index_entries (name, value, scope, kind, id)
    SELECT e.name, e.value, $3, $4, $5 FROM unnest($1::text[], $2::text[]) AS e (name, value)
    ON CONFLICT (name, value, scope, kind, id) DO NOTHING";

pub(super) const DELETE_OTHER_ENTRIES: &str = "
    DELETE FROM index_entries WHERE scope = $3 AND kind = $4 AND id = $5
    AND NOT EXISTS (SELECT 1 FROM unnest($1::text[], $2::text[]) AS e (name, value)
        WHERE e.name = index_entries.name AND e.value = index_entries.value)";

pub(super) const FORGET_EVENTS: &str = "
    DELETE FROM events WHERE (rev, place) IN (SELECT * FROM unnest($1::bigint[], $2::bigint[]))";

pub(super) const ALL_RECORDS: &str = "
    SELECT r.scope, r.kind, r.id, r.rev, r.parent, r.expires_at, r.body,
        ARRAY(SELECT e.name FROM index_entries e WHERE e.scope = r.scope AND e.kind = r.kind AND e.id = r.id
            ORDER BY e.name, e.value),
        ARRAY(SELECT e.value FROM index_entries e WHERE e.scope = r.scope AND e.kind = r.kind AND e.id = r.id
            ORDER BY e.name, e.value)
    FROM records r ORDER BY r.scope, r.kind, r.id";

type Read<T> = Result<T, tokio_postgres::Error>;

pub(super) fn record(row: &Row) -> Read<Record> {
    Ok(Record {
        key: key(row, 0)?,
        rev: row.try_get(3)?,
        parent: row.try_get(4)?,
        expires_at_ms: row.try_get(5)?,
        body: Body::from(row.try_get::<_, String>(6)?),
    })
}

pub(super) fn entry(row: &Row) -> Read<Entry> {
    Ok(Entry {
        key: key(row, 0)?,
        value: row.try_get(3)?,
    })
}

/// A record, or the nothing in its place.
pub(super) fn maybe_record(row: &Row) -> Read<Option<Record>> {
    match row.try_get::<_, Option<i64>>(3)? {
        Some(_) => record(row).map(Some),
        None => Ok(None),
    }
}

pub(super) fn claimed(row: &Row) -> Read<Claimed> {
    let work = Work {
        id: row.try_get(0)?,
        kind: row.try_get(1)?,
        subject: key(row, 2)?,
        attempt: row.try_get(5)?,
        run_at_ms: row.try_get(6)?,
        payload: Body::from(row.try_get::<_, String>(7)?),
    };
    let fence = row.try_get(8)?;
    Ok(Claimed { work, fence })
}

pub(super) fn emitted(row: &Row) -> Read<Emitted> {
    let id = EventId {
        rev: row.try_get(0)?,
        place: row.try_get(1)?,
    };
    let event = Event {
        resource: row.try_get(2)?,
        at_ms: row.try_get(3)?,
        body: Body::from(row.try_get::<_, String>(4)?),
    };
    Ok(Emitted { id, event })
}

pub(super) fn queue(row: &Row) -> Read<Queue> {
    Ok(Queue {
        kind: row.try_get(0)?,
        scheduled: row.try_get(1)?,
        waiting: row.try_get(2)?,
        running: row.try_get(3)?,
        since_ms: row.try_get(4)?,
    })
}

pub(super) fn backlog(row: &Row) -> Read<Option<Backlog>> {
    let (count, since_ms) = (row.try_get(0)?, row.try_get::<_, Option<i64>>(1)?);
    Ok(since_ms.map(|since_ms| Backlog { count, since_ms }))
}

/// The key whose scope, kind and id begin at a column.
pub(super) fn key(row: &Row, at: usize) -> Read<Key> {
    Ok(Key {
        scope: row.try_get(at)?,
        kind: row.try_get(at + 1)?,
        id: row.try_get(at + 2)?,
    })
}

impl<'a> FromSql<'a> for Kind {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        let name = <&str>::from_sql(ty, raw)?;
        Kind::from_name(name).ok_or_else(|| format!("unknown kind {name:?}").into())
    }

    fn accepts(ty: &Type) -> bool {
        <&str as FromSql>::accepts(ty)
    }
}
