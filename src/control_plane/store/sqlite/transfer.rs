//! Everything out of a SQLite database, and everything into one.

use std::cell::Cell;

use rusqlite::{Connection, ToSql, params};
use tokio::sync::mpsc;

use super::database;
use super::readers::Readers;
use crate::control_plane::store::transfer::{ImportError, Item, KeyLine, Totals};
use crate::control_plane::store::{CommitError, Error, sql};

const ALL_RECORDS: &str = "
    SELECT scope, kind, id, rev, parent, expires_at, body FROM records ORDER BY scope, kind, id";

const LAST_NUMBERS: &str = "
    SELECT n, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'work'), 0) FROM revision";

const SET_REVISION: &str = "
    UPDATE revision SET n = max(n, $1)";

const FORGET_LAST_WORK: &str = "
    DELETE FROM sqlite_sequence WHERE name = 'work'";

const SET_LAST_WORK: &str = "
    INSERT INTO sqlite_sequence (name, seq) VALUES ('work', $1)";

/// Why an export stops: the receiver is gone, or a read failed.
enum Stop {
    Unwanted,
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

/// Sends everything of one moment.
pub(super) fn export(readers: &Readers, items: &mpsc::Sender<Result<Item, Error>>) {
    let exported = readers.read(|conn| {
        let moment = conn.unchecked_transaction()?;
        match send_all(&moment, items) {
            Ok(()) | Err(Stop::Unwanted) => moment.finish(),
            Err(Stop::Failed(error)) => Err(error),
        }
    });
    if let Err(error) = exported {
        // A receiver that went away does not want to know.
        let _ = items.blocking_send(Err(error));
    }
}

fn send_all(conn: &Connection, items: &mpsc::Sender<Result<Item, Error>>) -> Result<(), Stop> {
    let totals = Cell::new(Totals::default());
    let send = |item: Item| {
        totals.update(|totals| totals.and(&item));
        items.blocking_send(Ok(item)).map_err(|_| Stop::Unwanted)
    };
    let (revision, work) = last_numbers(conn)?;
    send(Item::header(revision, work))?;
    let mut records = conn.prepare(ALL_RECORDS)?;
    for record in records.query_map([], database::record)? {
        let record = record?;
        let entries = database::entries(conn, &record.key)?;
        send(Item::record(record, entries))?;
    }
    let mut blobs = conn.prepare(sql::ALL_BLOBS)?;
    for blob in blobs.query_map([], |row| Ok(Item::blob(row.get(0)?, row.get(1)?)))? {
        send(blob?)?;
    }
    let mut work = conn.prepare(sql::ALL_WORK)?;
    for claimed in work.query_map([], database::claimed)? {
        let claimed = claimed?;
        send(Item::work(claimed.work, claimed.fence))?;
    }
    let mut events = conn.prepare(sql::ALL_EVENTS)?;
    for emitted in events.query_map([], database::emitted)? {
        send(Item::event(emitted?))?;
    }
    send(Item::End(totals.get()))
}

fn last_numbers(conn: &Connection) -> rusqlite::Result<(i64, i64)> {
    conn.query_row(LAST_NUMBERS, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Takes everything or nothing, inside a transaction that somebody else opens and closes.
pub(super) fn import(
    conn: &Connection,
    items: mpsc::Receiver<Item>,
) -> Result<Result<(), ImportError>, CommitError> {
    conn.execute_batch("SAVEPOINT import")?;
    let imported = take_all(conn, items);
    if imported.is_err() {
        conn.execute_batch("ROLLBACK TO import")?;
    }
    Ok(imported)
}

fn take_all(conn: &Connection, mut items: mpsc::Receiver<Item>) -> Result<(), ImportError> {
    if !conn.query_row(sql::IS_EMPTY, [], |row| row.get(0))? {
        return Err(ImportError::NotEmpty);
    }
    let (_, known_work) = last_numbers(conn)?;
    let mut last_work = known_work;
    loop {
        match items.blocking_recv().ok_or(ImportError::CutShort)? {
            Item::Header(header) => {
                conn.execute(SET_REVISION, [header.revision])?;
                last_work = known_work.max(header.work);
            }
            Item::End(_) => break,
            item => take(conn, &item)?,
        }
    }
    // Only now, because the items set it too.
    conn.execute(FORGET_LAST_WORK, [])?;
    conn.execute(SET_LAST_WORK, [last_work])?;
    conn.execute(sql::DERIVE_COUNTS, [])?;
    Ok(())
}

fn take(conn: &Connection, item: &Item) -> Result<(), ImportError> {
    let insert = |text, params: &[&dyn ToSql]| {
        let inserted = conn.prepare_cached(text)?.execute(params)?;
        Ok::<_, rusqlite::Error>(inserted == 1)
    };
    let inserted = match item {
        Item::Record(line) => {
            let KeyLine { scope, kind, id } = &line.key;
            let inserted = insert(
                sql::INSERT,
                params![
                    scope,
                    kind,
                    id,
                    line.rev,
                    line.parent,
                    line.expires_at_ms,
                    line.body
                ],
            )?;
            for (name, value) in line.entries.iter().filter(|_| inserted) {
                insert(
                    database::INSERT_ENTRY,
                    params![name, value, scope, kind, id],
                )?;
            }
            inserted
        }
        Item::Blob(line) => insert(sql::PUT_BLOB, params![line.key, line.bytes])?,
        Item::Work(line) => {
            let KeyLine { scope, kind, id } = &line.subject;
            insert(
                sql::ENQUEUE,
                params![
                    line.id,
                    line.kind,
                    scope,
                    kind,
                    id,
                    line.attempt,
                    line.run_at_ms,
                    line.fence,
                    line.payload
                ],
            )?
        }
        Item::Event(line) => insert(
            sql::EMIT,
            params![line.rev, line.place, line.resource, line.at_ms, line.body],
        )?,
        Item::Header(_) | Item::End(_) => true,
    };
    match item {
        Item::Record(line) if !inserted => Err(ImportError::Twice(line.key.to_key())),
        _ => Ok(()),
    }
}

impl From<rusqlite::Error> for ImportError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
