//! The SQLite page: opening, settings, migrations, and what SQLite says differently.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, Row, params};

use crate::control_plane::store::{
    Backlog, Body, Claimed, CommitError, Emitted, Entry, Error, Event, EventId, Key, Kind,
    OpenError, Queue, Record, Work,
};

/// The steps from an empty database to the current schema, forward only; `user_version` counts those done.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_records.sql"),
    include_str!("migrations/0002_events.sql"),
];

/// How much of the database readers see through the memory of the system instead of copying it.
const MAPPED: i64 = 1 << 30;

/// A claim takes what is due and raises the fence. SQLite needs no row locks: there is one writer.
pub(super) const CLAIM: &str = "
    UPDATE work SET due_at = $1, fence = fence + 1, attempt = attempt + 1, worker = $2
    WHERE id IN (SELECT id FROM work WHERE due_at <= $3 ORDER BY due_at, id LIMIT $4)
    RETURNING id, kind, subject_scope, subject_kind, subject_id, attempt, run_at, payload, fence";

/// Whoever opens the database is alone with it, so nobody holds what is claimed: it is due again, and needs no lease
/// to run out. Nobody delivers either.
const ABANDON_CLAIMS: &str = "
    UPDATE work SET due_at = run_at, fence = fence + 1, worker = NULL WHERE worker IS NOT NULL;
    UPDATE delivery SET held_until = 0";

pub(super) const NEXT_REVISION: &str = "
    UPDATE revision SET n = n + 1 RETURNING n";

pub(super) const ENTRIES: &str = "
    SELECT name, value FROM index_entries WHERE scope = $1 AND kind = $2 AND id = $3 ORDER BY name, value";

pub(super) const INSERT_ENTRY: &str = "
    INSERT INTO index_entries (name, value, scope, kind, id) VALUES ($1, $2, $3, $4, $5)";

pub(super) const DELETE_ENTRY: &str = "
    DELETE FROM index_entries WHERE name = $1 AND value = $2 AND scope = $3 AND kind = $4 AND id = $5";

pub(super) const FORGET_EVENT: &str = "
    DELETE FROM events WHERE rev = $1 AND place = $2";

/// Opens the only connection that writes, with the schema brought up to date.
pub(super) fn open_writer(file: &Path) -> Result<Connection, OpenError> {
    create_private(file)?;
    let failed = |source| OpenError::Database {
        database: file.display().to_string(),
        source: Arc::new(source),
    };
    let conn = connect(file).map_err(failed)?;
    let known = MIGRATIONS.len();
    let found = schema_version(&conn).map_err(failed)?;
    if found > known {
        return Err(OpenError::Newer {
            database: file.display().to_string(),
            found,
            known,
        });
    }
    conn.pragma_update(None, "journal_mode", "WAL")
        // What a savepoint may have to undo is kept in memory, not in a file beside: a third of the cost of a grouped change.
        .and_then(|()| conn.pragma_update(None, "temp_store", "MEMORY"))
        .and_then(|()| migrate(&conn, found))
        .and_then(|()| conn.execute_batch(ABANDON_CLAIMS))
        .map_err(failed)?;
    Ok(conn)
}

/// Opens one more connection, which can only read.
pub(super) fn open_reader(file: &Path) -> rusqlite::Result<Connection> {
    let conn = connect(file)?;
    conn.pragma_update(None, "query_only", true)?;
    // Beyond what SQLite's own cache holds, a page costs no system call: so a point read stays as cheap when much is stored.
    conn.pragma_update(None, "mmap_size", MAPPED)?;
    Ok(conn)
}

/// SQLite gives the log and the index beside it the permissions of the database, so that file is made first.
fn create_private(file: &Path) -> Result<File, OpenError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file)
        .map_err(|source| OpenError::Io {
            path: file.to_owned(),
            source,
        })
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags)?;
    conn.busy_timeout(Duration::from_secs(5))?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.pragma_update(None, "synchronous", "FULL")?;
    // One large bundle must not leave a large log behind.
    conn.pragma_update(None, "journal_size_limit", 8 << 20)?;
    Ok(conn)
}

fn schema_version(conn: &Connection) -> rusqlite::Result<usize> {
    conn.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0))
        .map(|done| done as usize)
}

fn migrate(conn: &Connection, done: usize) -> rusqlite::Result<()> {
    for (step, sql) in MIGRATIONS.iter().enumerate().skip(done) {
        let version = step + 1;
        conn.execute_batch(&format!(
            "BEGIN IMMEDIATE; {sql}; PRAGMA user_version = {version}; COMMIT"
        ))?;
    }
    Ok(())
}

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        key: key(row, 0)?,
        rev: row.get(3)?,
        parent: row.get(4)?,
        expires_at_ms: row.get(5)?,
        body: Body::from(row.get::<_, String>(6)?),
    })
}

pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        key: key(row, 0)?,
        value: row.get(3)?,
    })
}

pub(super) fn claimed(row: &Row<'_>) -> rusqlite::Result<Claimed> {
    let work = Work {
        id: row.get(0)?,
        kind: row.get(1)?,
        subject: key(row, 2)?,
        attempt: row.get(5)?,
        run_at_ms: row.get(6)?,
        payload: Body::from(row.get::<_, String>(7)?),
    };
    let fence = row.get(8)?;
    Ok(Claimed { work, fence })
}

pub(super) fn emitted(row: &Row<'_>) -> rusqlite::Result<Emitted> {
    let id = EventId {
        rev: row.get(0)?,
        place: row.get(1)?,
    };
    let event = Event {
        resource: row.get(2)?,
        at_ms: row.get(3)?,
        body: Body::from(row.get::<_, String>(4)?),
    };
    Ok(Emitted { id, event })
}

pub(super) fn queue(row: &Row<'_>) -> rusqlite::Result<Queue> {
    Ok(Queue {
        kind: row.get(0)?,
        scheduled: row.get(1)?,
        waiting: row.get(2)?,
        running: row.get(3)?,
        since_ms: row.get(4)?,
    })
}

pub(super) fn backlog(row: &Row<'_>) -> rusqlite::Result<Option<Backlog>> {
    let (count, since_ms) = (row.get(0)?, row.get::<_, Option<i64>>(1)?);
    Ok(since_ms.map(|since_ms| Backlog { count, since_ms }))
}

/// The index entries of a record.
pub(super) fn entries(conn: &Connection, key: &Key) -> rusqlite::Result<Vec<(String, String)>> {
    conn.prepare_cached(ENTRIES)?
        .query_map(params![key.scope, key.kind, key.id], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect()
}

/// The key whose scope, kind and id begin at a column.
pub(super) fn key(row: &Row<'_>, at: usize) -> rusqlite::Result<Key> {
    Ok(Key {
        scope: row.get(at)?,
        kind: row.get(at + 1)?,
        id: row.get(at + 2)?,
    })
}

impl FromSql for Kind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let name = value.as_str()?;
        Kind::from_name(name)
            .ok_or_else(|| FromSqlError::Other(format!("unknown kind {name:?}").into()))
    }
}

impl ToSql for Kind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl ToSql for Body {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::unavailable(error)
    }
}

impl From<rusqlite::Error> for CommitError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::store::sql;

    const OWN: &[&str] = &[
        CLAIM,
        NEXT_REVISION,
        ENTRIES,
        INSERT_ENTRY,
        DELETE_ENTRY,
        FORGET_EVENT,
    ];

    #[test]
    fn parameters_appear_in_order_so_that_sqlite_numbers_them_as_written() {
        let conn = Connection::open_in_memory().unwrap();
        migrate(&conn, 0).unwrap();
        for text in [sql::ALL, OWN].concat() {
            let statement = conn.prepare(text).unwrap();
            for n in 1..=statement.parameter_count() {
                assert_eq!(
                    statement.parameter_name(n),
                    Some(&*format!("${n}")),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn hot_reads_are_searches_that_need_no_sorting() {
        let conn = Connection::open_in_memory().unwrap();
        migrate(&conn, 0).unwrap();
        for text in [
            sql::GET,
            sql::LIST_ASCENDING,
            sql::LIST_DESCENDING,
            sql::LIST_BY_ASCENDING,
            sql::LIST_BY_DESCENDING,
            sql::COUNT,
            ENTRIES,
            sql::IS_REFERENCED,
            sql::EVENTS,
        ] {
            let plan = plan(&conn, text);
            assert!(
                !plan.contains("SCAN r") && !plan.contains("B-TREE"),
                "{text}\n{plan}"
            );
        }
        assert!(plan(&conn, CLAIM).contains("work_due"));
        assert!(plan(&conn, sql::SWEEP).contains("records_expiry"));
    }

    fn plan(conn: &Connection, text: &str) -> String {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
        let steps = statement
            .raw_query()
            .mapped(|row| row.get::<_, String>(3))
            .collect::<Result<Vec<_>, _>>();
        steps.unwrap().join("\n")
    }
}
