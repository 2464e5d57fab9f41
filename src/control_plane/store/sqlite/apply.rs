//! One change inside a transaction that somebody else opens and closes.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::database;
use crate::control_plane::store::change::{Blob, Held, Put, Step, Write};
use crate::control_plane::store::counts::Counts;
use crate::control_plane::store::{
    Change, CommitError, Event, EventId, Expect, Index, Key, Kind, NewWork, sql,
};

type Done = Result<(), CommitError>;

/// Applies the change and says its revision; after an error the transaction is to be rolled back.
pub(super) fn apply(conn: &Connection, change: &Change) -> Result<i64, CommitError> {
    let mut counts = Counts::default();
    let rev = conn
        .prepare_cached(database::NEXT_REVISION)?
        .query_row([], |row| row.get(0))?;
    for held in &change.held {
        step(conn, held)?;
    }
    for expect in &change.expects {
        check_before(conn, expect)?;
    }
    for (key, at) in &change.deletes {
        delete(conn, key, *at, &mut counts)?;
    }
    for put in &change.puts {
        write(conn, put, rev, &mut counts)?;
    }
    for blob in &change.blobs {
        keep(conn, blob)?;
    }
    for work in &change.enqueued {
        enqueue(conn, work)?;
    }
    for (place, event) in (0..).zip(&change.events) {
        emit(conn, EventId { rev, place }, event)?;
    }
    write_counts(conn, counts)?;
    for expect in &change.expects {
        check_after(conn, expect)?;
    }
    Ok(rev)
}

/// Deletes records whose time is over, oldest first.
pub(super) fn sweep(conn: &Connection, now_ms: i64, limit: u32) -> Result<usize, CommitError> {
    let swept = conn
        .prepare_cached(sql::SWEEP)?
        .query_map(params![now_ms, limit], |row| {
            Ok((database::key(row, 0)?, row.get(3)?))
        })?
        .collect::<rusqlite::Result<Vec<(Key, Option<String>)>>>()?;
    let mut counts = Counts::default();
    for (key, parent) in &swept {
        delete_entries(conn, key)?;
        counts.add(key, parent.as_deref(), -1);
    }
    write_counts(conn, counts)?;
    Ok(swept.len())
}

fn step(conn: &Connection, held: &Held) -> Done {
    let Held { id, fence, step } = held;
    let found = match step {
        Step::Complete => conn
            .prepare_cached(sql::COMPLETE)?
            .execute(params![id, fence])?,
        Step::Reschedule(work) => conn.prepare_cached(sql::RESCHEDULE)?.execute(params![
            work.attempt,
            work.run_at_ms,
            work.payload,
            id,
            fence
        ])?,
        Step::Renew { lease_until_ms } => {
            conn.prepare_cached(sql::RENEW)?
                .execute(params![lease_until_ms, id, fence])?
        }
    };
    ensure(found == 1, || CommitError::LostClaim(*id))
}

fn check_before(conn: &Connection, expect: &Expect) -> Done {
    match expect {
        Expect::Absent(key) => ensure(rev(conn, key)?.is_none(), || {
            CommitError::Exists(key.clone())
        }),
        Expect::Present(key) => ensure(rev(conn, key)?.is_some(), || {
            CommitError::Changed(key.clone())
        }),
        Expect::Rev(key, seen) => ensure(rev(conn, key)? == Some(*seen), || {
            CommitError::Changed(key.clone())
        }),
        Expect::NoChildren { .. } | Expect::Unreferenced { .. } | Expect::AtMost { .. } => Ok(()),
    }
}

fn check_after(conn: &Connection, expect: &Expect) -> Done {
    match expect {
        Expect::NoChildren {
            scope,
            kind,
            parent,
        } => ensure(count(conn, scope, *kind, Some(parent))? == 0, || {
            CommitError::HasChildren {
                kind: *kind,
                parent: parent.clone(),
            }
        }),
        Expect::Unreferenced { index, value } => {
            ensure(!is_referenced(conn, *index, value)?, || {
                CommitError::Referenced {
                    index: *index,
                    value: value.clone(),
                }
            })
        }
        Expect::AtMost {
            scope,
            kinds,
            parent,
            limit,
        } => {
            let mut total = 0;
            for kind in kinds {
                total += count(conn, scope, *kind, parent.as_deref())?;
            }
            ensure(total <= *limit, || CommitError::Full { limit: *limit })
        }
        Expect::Absent(_) | Expect::Present(_) | Expect::Rev(..) => Ok(()),
    }
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> CommitError) -> Done {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn rev(conn: &Connection, key: &Key) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached(sql::REV)?
        .query_row(params![key.scope, key.kind, key.id], |row| row.get(0))
        .optional()
}

/// How many records the kind has in the scope, or under one parent there.
pub(super) fn count(
    conn: &Connection,
    scope: &str,
    kind: Kind,
    parent: Option<&str>,
) -> rusqlite::Result<i64> {
    let n = conn
        .prepare_cached(sql::COUNT)?
        .query_row(params![scope, kind, parent.unwrap_or_default()], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(n.unwrap_or(0))
}

fn is_referenced(conn: &Connection, index: Index, value: &str) -> rusqlite::Result<bool> {
    conn.prepare_cached(sql::IS_REFERENCED)?
        .query_row(params![index.as_str(), value], |row| row.get(0))
}

fn delete(conn: &Connection, key: &Key, at: i64, counts: &mut Counts) -> Done {
    let parent: Option<Option<String>> = conn
        .prepare_cached(sql::DELETE)?
        .query_row(params![key.scope, key.kind, key.id, at], |row| row.get(0))
        .optional()?;
    let parent = parent.ok_or_else(|| CommitError::Changed(key.clone()))?;
    counts.add(key, parent.as_deref(), -1);
    delete_entries(conn, key)
}

fn delete_entries(conn: &Connection, key: &Key) -> Done {
    conn.prepare_cached(sql::DELETE_ENTRIES)?
        .execute(params![key.scope, key.kind, key.id])?;
    Ok(())
}

fn write(conn: &Connection, put: &Put, rev: i64, counts: &mut Counts) -> Done {
    match &put.write {
        Write::Create { parent } => {
            insert(conn, put, rev, parent.as_deref())?;
            counts.add(&put.key, parent.as_deref(), 1);
            for (index, value) in &put.indexes {
                entry(
                    conn,
                    database::INSERT_ENTRY,
                    &put.key,
                    index.as_str(),
                    value,
                )?;
            }
            Ok(())
        }
        Write::Update { rev: seen } => {
            update(conn, put, rev, *seen)?;
            replace_entries(conn, put)
        }
    }
}

fn insert(conn: &Connection, put: &Put, rev: i64, parent: Option<&str>) -> Done {
    let Put { key, body, .. } = put;
    let inserted = conn.prepare_cached(sql::INSERT)?.execute(params![
        key.scope,
        key.kind,
        key.id,
        rev,
        parent,
        put.expires_at_ms,
        body
    ]);
    ensure(inserted? == 1, || CommitError::Exists(key.clone()))
}

fn update(conn: &Connection, put: &Put, rev: i64, seen: i64) -> Done {
    let Put { key, body, .. } = put;
    let updated = conn.prepare_cached(sql::UPDATE)?.execute(params![
        rev,
        put.expires_at_ms,
        body,
        key.scope,
        key.kind,
        key.id,
        seen
    ])?;
    ensure(updated == 1, || CommitError::Changed(key.clone()))
}

/// Most updates leave the entries as they are, so only the difference is written.
fn replace_entries(conn: &Connection, put: &Put) -> Done {
    let key = &put.key;
    let old: BTreeSet<_> = database::entries(conn, key)?.into_iter().collect();
    let new = put.indexes.iter();
    let new: BTreeSet<_> = new
        .map(|(index, value)| (index.as_str().to_owned(), value.clone()))
        .collect();
    for (name, value) in old.difference(&new) {
        entry(conn, database::DELETE_ENTRY, key, name, value)?;
    }
    for (name, value) in new.difference(&old) {
        entry(conn, database::INSERT_ENTRY, key, name, value)?;
    }
    Ok(())
}

fn entry(conn: &Connection, sql: &str, key: &Key, name: &str, value: &str) -> Done {
    conn.prepare_cached(sql)?
        .execute(params![name, value, key.scope, key.kind, key.id])?;
    Ok(())
}

fn keep(conn: &Connection, blob: &Blob) -> Done {
    match &blob.bytes {
        Some(bytes) => conn
            .prepare_cached(sql::PUT_BLOB)?
            .execute(params![blob.key, bytes])?,
        None => conn
            .prepare_cached(sql::DELETE_BLOB)?
            .execute([&blob.key])?,
    };
    Ok(())
}

fn enqueue(conn: &Connection, work: &NewWork) -> Done {
    let NewWork { kind, subject, .. } = work;
    // SQLite numbers the item itself.
    conn.prepare_cached(sql::ENQUEUE)?.execute(params![
        None::<i64>,
        kind,
        subject.scope,
        subject.kind,
        subject.id,
        0,
        work.run_at_ms,
        0,
        work.payload
    ])?;
    Ok(())
}

fn emit(conn: &Connection, id: EventId, event: &Event) -> Done {
    conn.prepare_cached(sql::EMIT)?.execute(params![
        id.rev,
        id.place,
        event.resource,
        event.at_ms,
        event.body
    ])?;
    Ok(())
}

fn write_counts(conn: &Connection, counts: Counts) -> Done {
    for ((scope, kind, parent), n) in counts.into_changed() {
        conn.prepare_cached(sql::ADD_TO_COUNT)?
            .execute(params![scope, kind, parent, n])?;
        if n < 0 {
            conn.prepare_cached(sql::FORGET_ZERO_COUNT)?
                .execute(params![scope, kind, parent])?;
        }
    }
    Ok(())
}
