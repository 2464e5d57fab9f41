//! Where the control plane keeps everything: records, bundles, and the work still to be done for them.
//!
//! The store knows keys, revisions and counts; what a record means is its family's business. It reads no clock and makes no ids:
//! times are milliseconds since the epoch and come from the caller.
//!
//! # What is kept
//! A **record** is JSON text under a [`Key`]: scope (`<account>/<region>`), [`Kind`] and id. It may name a *parent*, the id it is
//! counted under (a version's template), may carry *index entries* (found by [`Store::list_by`] in every scope), and may expire.
//! A **blob** is bytes under a text key. A **work item** is something to do about a record, at some time.
//!
//! # What is atomic
//! A [`Change`] happens whole or not at all, and changes happen as if one after the other. Within one:
//!
//! 1. steps of claimed work (complete, reschedule, renew) fail unless the claim is still held;
//! 2. `Absent`, `Present` and `Rev` are checked against the state before;
//! 3. deletes, then puts, then blobs and new work are written, each in the order given;
//! 4. `NoChildren`, `Unreferenced` and `AtMost` are checked against the state after, so that a quota holds for a change of many
//!    records and a parent may go together with its children.
//!
//! The first failure is the answer. A taken name is a unique violation, never a look before the leap. Whoever makes a record that
//! points to another one expects that one with `Present` or `Rev`; whoever deletes that one expects `NoChildren` or
//! `Unreferenced`; then no dangling pointer can come to be, whichever is first.
//!
//! # What is ordered
//! Ids order bytewise. Lists go by id within scope and kind, [`Store::list_by`] by key; for another order, put what is to be
//! ordered by at the front of the id. A read is of one moment, and sees every change that was acknowledged before it began;
//! two pages are of two moments.
//!
//! # What a revision means
//! Every change has its own number, and the records it writes carry it as `rev`. Compare revisions for equality only: the same
//! `rev` of a key means the same record, and no number comes again, not even for a record deleted and made anew.
//!
//! # Expiry
//! An expired record stays, and keeps its name, until [`Store::sweep`] deletes it; readers ask [`Record::is_expired`] and replace
//! it at its revision. So reads and commits need no time, two callers who find the same expired record cannot both replace it,
//! and a late sweep makes no answer wrong.
//!
//! # Work
//! An item is enqueued in the change that makes it necessary. [`Store::claim`] leases what is due; an expired lease can be claimed
//! by another worker, which raises the fence and makes every later step of the former holder fail with
//! [`CommitError::LostClaim`]. So an item is done at least once, and its outcome recorded exactly once. Workers sleep until
//! [`Store::next_run_at`] or [`Store::work_scheduled`], whichever is first.
//!
//! # Crashes
//! Acknowledged means on disk: a change that was answered with `Ok` survives `kill -9` and, as far as the disk keeps its word,
//! power loss. A change whose caller went away, or that was answered with [`CommitError::Unavailable`], happened whole or not at
//! all. There is nothing to repair when opening.
//!
//! # The SQLite engine
//! ```text
//!  reads  ── on the caller's thread, a pooled connection ──► proton.db (WAL)
//!  writes ── queue ──► one thread, group commit (writer.rs) ──► proton.db, synchronous=FULL
//! ```
//! A record is read in microseconds, for which its reader's thread is blocked; only blobs, which take some ten milliseconds, are
//! read on a thread for blocking work, and hold up other writes as long when written. One process owns the data directory
//! (lock.rs), so on opening it nobody holds a claim any more: what a process that died was at is due at once. Statements stand in sql.rs, what only SQLite says in sqlite.rs.

mod apply;
mod change;
mod error;
mod lock;
mod readers;
mod record;
mod sql;
mod sqlite;
mod work;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

pub use self::change::{Change, Expect, Put};
pub use self::error::{Cause, CommitError, Error, OpenError};
pub use self::record::{Body, Index, Key, Kind, Order, Range, Record};
pub use self::work::{Claim, Claimed, NewWork, Work};

use self::lock::DirLock;
use self::readers::Readers;
use self::writer::Writer;

/// The store in a data directory.
pub struct Store {
    writer: Writer,
    readers: Arc<Readers>,
}

impl Store {
    /// Opens the store in the directory, which is made if need be. Blocks until the schema is up to date.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let lock = DirLock::take(dir)?;
        let file = dir.join("proton.db");
        let conn = sqlite::open_writer(&file)?;
        let writer = Writer::start(conn, lock).map_err(|source| OpenError::Io {
            path: dir.to_owned(),
            source,
        })?;
        let readers = Arc::new(Readers::new(file));
        Ok(Self { writer, readers })
    }

    /// Finishes the writes that were asked for and lets go of the directory. Later calls are answered with `Unavailable`.
    pub async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
    }

    pub async fn get(&self, key: &Key) -> Result<Option<Record>, Error> {
        self.readers.read(|conn| get(conn, key))
    }

    /// The records of the keys, in their order, all of one moment.
    pub async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        self.readers.read(|conn| {
            let moment = conn.unchecked_transaction()?;
            let found = keys.iter().map(|key| get(&moment, key)).collect();
            moment.finish()?;
            found
        })
    }

    pub async fn list(&self, range: Range<'_>) -> Result<Vec<Record>, Error> {
        let text = match range.order {
            Order::Ascending => sql::LIST_ASCENDING,
            Order::Descending => sql::LIST_DESCENDING,
        };
        let (first, end) = range.bounds();
        self.readers.read(|conn| {
            conn.prepare_cached(text)?
                .query_map(
                    params![range.scope, range.kind, first, end, range.limit],
                    sqlite::record,
                )?
                .collect()
        })
    }

    /// The records that have this entry in the index, by key, from behind `after`.
    pub async fn list_by(
        &self,
        index: Index,
        value: &str,
        after: Option<&Key>,
        limit: u32,
        order: Order,
    ) -> Result<Vec<Record>, Error> {
        let (text, outermost) = match order {
            Order::Ascending => (sql::LIST_BY_ASCENDING, ""),
            Order::Descending => (sql::LIST_BY_DESCENDING, "\u{10FFFF}"),
        };
        let (scope, kind, id) = match after {
            Some(key) => (key.scope.as_str(), key.kind.as_str(), key.id.as_str()),
            None => (outermost, "", ""),
        };
        self.readers.read(|conn| {
            conn.prepare_cached(text)?
                .query_map(
                    params![index.as_str(), value, scope, kind, id, limit],
                    sqlite::record,
                )?
                .collect()
        })
    }

    /// How many records the kind has in the scope, or under one parent there. Read from a counter, whatever the number.
    pub async fn count(&self, scope: &str, kind: Kind, parent: Option<&str>) -> Result<i64, Error> {
        self.readers
            .read(|conn| apply::count(conn, scope, kind, parent))
    }

    /// The bytes under a key.
    pub async fn blob(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
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

    /// Commits the change and answers with its revision, which the records it wrote now carry.
    pub async fn commit(&self, change: Change) -> Result<i64, CommitError> {
        let schedules_work = change.schedules_work();
        self.writer
            .write(schedules_work, move |conn| apply::apply(conn, &change))
            .await
    }

    /// Deletes expired records, the oldest first, and says how many; fewer than `limit` means that none are left.
    pub async fn sweep(&self, now_ms: i64, limit: u32) -> Result<usize, CommitError> {
        self.writer
            .write(false, move |conn| apply::sweep(conn, now_ms, limit))
            .await
    }

    /// Leases items that are due, the longest due first.
    pub async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Claimed>, CommitError> {
        let worker = claim.worker.to_owned();
        let lease_until_ms = claim.now_ms + claim.lease_ms;
        let (now_ms, limit) = (claim.now_ms, claim.limit);
        self.writer
            .write(false, move |conn| {
                let mut claimed = conn
                    .prepare_cached(sqlite::CLAIM)?
                    .query_map(
                        params![lease_until_ms, worker, now_ms, limit],
                        sqlite::claimed,
                    )?
                    .collect::<rusqlite::Result<Vec<_>>>()?;
                // RETURNING promises no order.
                claimed.sort_by_key(|Claimed { work, .. }| (work.run_at_ms, work.id));
                Ok(claimed)
            })
            .await
    }

    /// Keeps a claim until the given time.
    pub async fn renew(&self, claimed: &Claimed, lease_until_ms: i64) -> Result<(), CommitError> {
        let change = Change::new().renew(claimed, lease_until_ms);
        self.commit(change).await.map(drop)
    }

    /// When the next item falls due, or the next lease runs out.
    pub async fn next_run_at(&self) -> Result<Option<i64>, Error> {
        self.readers.read(|conn| {
            conn.prepare_cached(sql::NEXT_RUN_AT)?
                .query_row([], |row| row.get(0))
        })
    }

    /// Returns when this process has enqueued or rescheduled work, since the last call at the earliest: nothing that happens
    /// between two calls is missed. One waiter is woken each time.
    pub async fn work_scheduled(&self) {
        self.writer.scheduled().notified().await;
    }
}

fn get(conn: &Connection, key: &Key) -> rusqlite::Result<Option<Record>> {
    conn.prepare_cached(sql::GET)?
        .query_row(params![key.scope, key.kind, key.id], sqlite::record)
        .optional()
}
