//! The embedded engine: a SQLite database in a directory that one process owns.
//!
//! ```text
//!  reads  ── on the caller's thread, a pooled connection ──► proton.db (WAL)
//!  writes ── queue ──► one thread, group commit (writer.rs) ──► proton.db, synchronous=FULL
//! ```
//! A record is read in microseconds, for which its reader's thread is blocked; only blobs, which take some ten milliseconds, are
//! read on a thread for blocking work, and hold up other writes as long when written. One process owns the data directory
//! (lock.rs), so on opening it nobody holds a claim any more: what a process that died was at is due at once. Opening, migrations
//! and what only SQLite says stand in database.rs.

mod apply;
mod database;
mod lock;
mod readers;
mod transfer;
mod writer;

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::mpsc;

use self::lock::DirLock;
use self::readers::Readers;
use self::writer::Writer;
use super::record::behind;
use super::signals::{Signals, Wake};
use super::transfer::{ImportError, Item};
use super::{
    Backlog, Change, Claim, Claimed, CommitError, Emitted, Entry, Error, EventId, Index, Key, Kind,
    OpenError, Order, Queue, Range, Record, sql,
};

pub(super) struct Sqlite {
    writer: Writer,
    readers: Arc<Readers>,
}

impl Sqlite {
    pub(super) fn open(dir: &Path, signals: Arc<Signals>) -> Result<Self, OpenError> {
        let lock = DirLock::take(dir)?;
        let file = dir.join("proton.db");
        let conn = database::open_writer(&file)?;
        let writer = Writer::start(conn, lock, signals).map_err(|source| OpenError::Io {
            path: dir.to_owned(),
            source,
        })?;
        let readers = Arc::new(Readers::new(file));
        Ok(Self { writer, readers })
    }

    pub(super) async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
    }

    pub(super) async fn get(&self, key: &Key) -> Result<Option<Record>, Error> {
        self.readers.read(|conn| get(conn, key))
    }

    pub(super) async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        self.readers.read(|conn| {
            let moment = conn.unchecked_transaction()?;
            let found = keys.iter().map(|key| get(&moment, key)).collect();
            moment.finish()?;
            found
        })
    }

    pub(super) async fn list(&self, range: Range<'_>) -> Result<Vec<Record>, Error> {
        let text = sql::list(range.order);
        let (first, end) = range.bounds();
        self.readers.read(|conn| {
            conn.prepare_cached(text)?
                .query_map(
                    params![range.scope, range.kind, first, end, range.limit],
                    database::record,
                )?
                .collect()
        })
    }

    pub(super) async fn list_by(
        &self,
        index: Index,
        value: &str,
        after: Option<&Key>,
        limit: u32,
        order: Order,
    ) -> Result<Vec<Record>, Error> {
        let text = sql::list_by(order);
        let (scope, kind, id) = behind(after, order);
        self.readers.read(|conn| {
            conn.prepare_cached(text)?
                .query_map(
                    params![index.as_str(), value, scope, kind, id, limit],
                    database::record,
                )?
                .collect()
        })
    }

    pub(super) async fn entries(&self, index: Index, prefix: &str) -> Result<Vec<Entry>, Error> {
        let readers = Arc::clone(&self.readers);
        let (first, end) = (prefix.to_owned(), format!("{prefix}\u{10FFFF}"));
        let read = move || {
            readers.read(|conn| {
                conn.prepare_cached(sql::ENTRIES_BETWEEN)?
                    .query_map(params![index.as_str(), first, end], database::entry)?
                    .collect()
            })
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(Error::unavailable)?
    }

    pub(super) async fn count(
        &self,
        scope: &str,
        kind: Kind,
        parent: Option<&str>,
    ) -> Result<i64, Error> {
        self.readers
            .read(|conn| apply::count(conn, scope, kind, parent))
    }

    pub(super) async fn blob(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let (readers, key) = (Arc::clone(&self.readers), key.to_owned());
        let read = move || {
            readers.read(|conn| {
                conn.prepare_cached(sql::BLOB)?
                    .query_row([key], |row| row.get(0))
                    .optional()
            })
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(Error::unavailable)?
    }

    pub(super) async fn commit(&self, change: Change) -> Result<i64, CommitError> {
        self.writer
            .write(Wake::of(&change), move |conn| apply::apply(conn, &change))
            .await
    }

    pub(super) async fn sweep(&self, now_ms: i64, limit: u32) -> Result<usize, CommitError> {
        self.writer
            .write(Wake::default(), move |conn| {
                apply::sweep(conn, now_ms, limit)
            })
            .await
    }

    pub(super) async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Claimed>, CommitError> {
        let worker = claim.worker.to_owned();
        let lease_until_ms = claim.now_ms + claim.lease_ms;
        let (now_ms, limit) = (claim.now_ms, claim.limit);
        self.writer
            .write(Wake::default(), move |conn| {
                let claimed = conn
                    .prepare_cached(database::CLAIM)?
                    .query_map(
                        params![lease_until_ms, worker, now_ms, limit],
                        database::claimed,
                    )?
                    .collect::<rusqlite::Result<Vec<_>>>()?;
                Ok(claimed)
            })
            .await
    }

    pub(super) async fn next_run_at(&self) -> Result<Option<i64>, Error> {
        self.readers.read(|conn| {
            conn.prepare_cached(sql::NEXT_RUN_AT)?
                .query_row([], |row| row.get(0))
        })
    }

    pub(super) async fn queue(&self, now_ms: i64) -> Result<Vec<Queue>, Error> {
        self.readers.read(|conn| {
            conn.prepare_cached(sql::QUEUE)?
                .query_map([now_ms], database::queue)?
                .collect()
        })
    }

    pub(super) async fn events(&self, after: EventId, limit: u32) -> Result<Vec<Emitted>, Error> {
        self.readers.read(|conn| {
            conn.prepare_cached(sql::EVENTS)?
                .query_map(params![after.rev, after.place, limit], database::emitted)?
                .collect()
        })
    }

    pub(super) async fn backlog(&self) -> Result<Option<Backlog>, Error> {
        self.readers.read(|conn| {
            conn.prepare_cached(sql::BACKLOG)?
                .query_row([], database::backlog)
        })
    }

    pub(super) async fn deliver(
        &self,
        holder: &str,
        now_ms: i64,
        until_ms: i64,
    ) -> Result<bool, CommitError> {
        let holder = holder.to_owned();
        self.writer
            .write(Wake::default(), move |conn| {
                let taken = conn
                    .prepare_cached(sql::DELIVER)?
                    .exists(params![holder, until_ms, now_ms])?;
                Ok(taken)
            })
            .await
    }

    pub(super) async fn delivered(&self, events: &[EventId]) -> Result<(), CommitError> {
        let events = events.to_vec();
        self.writer
            .write(Wake::default(), move |conn| {
                let mut forget = conn.prepare_cached(database::FORGET_EVENT)?;
                for EventId { rev, place } in events {
                    forget.execute(params![rev, place])?;
                }
                Ok(())
            })
            .await
    }

    /// Sends everything that is there in one moment, from a thread for blocking work.
    pub(super) fn export(&self, items: mpsc::Sender<Result<Item, Error>>) {
        let readers = Arc::clone(&self.readers);
        tokio::task::spawn_blocking(move || transfer::export(&readers, &items));
    }

    pub(super) async fn import(&self, items: mpsc::Receiver<Item>) -> Result<(), ImportError> {
        self.writer
            .write(Wake::workers(), move |conn| transfer::import(conn, items))
            .await?
    }
}

fn get(conn: &Connection, key: &Key) -> rusqlite::Result<Option<Record>> {
    conn.prepare_cached(sql::GET)?
        .query_row(params![key.scope, key.kind, key.id], database::record)
        .optional()
}
