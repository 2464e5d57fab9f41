//! Where the control plane keeps everything: records, bundles, and the work still to be done for them.
//!
//! The store knows keys, revisions and counts; what a record means is its family's business. It reads no clock and makes no ids:
//! times are milliseconds since the epoch and come from the caller.
//!
//! # What is kept
//! A **record** is JSON text under a [`Key`]: scope (`<account>/<region>`), [`Kind`] and id. It may name a *parent*, the id it is
//! counted under (a version's template), may carry *index entries* (found by [`Store::list_by`] in every scope), and may expire.
//! A **blob** is bytes under a text key. A **work item** is something to do about a record, at some time. An **event** is something
//! to tell others. No text that names or finds any of these holds NUL, which PostgreSQL could not store: nothing is found under
//! such a name, and a change that writes one is refused.
//!
//! # What is atomic
//! A [`Change`] happens whole or not at all, and changes happen as if one after the other. Within one:
//!
//! 1. steps of claimed work (complete, reschedule, renew) fail unless the claim is still held;
//! 2. `Absent`, `Present` and `Rev` are checked against the state before;
//! 3. deletes, then puts, then blobs, new work and events are written, each in the order given;
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
//! [`Store::next_run_at`] or [`Store::work_scheduled`], whichever is first. Times are those of the worker's clock: processes that
//! share a database need clocks that agree to within a fraction of the lease.
//!
//! # Events
//! An event is emitted by the change that makes it true, and stays until [`Store::delivered`] forgets it: it is delivered at least
//! once. [`Store::events`] has them as they happened, so those of one resource are in order. One process delivers at a time: the
//! one that [`Store::deliver`] lets, for as long as it says and until it says so again. A lease of its own rather than a work item,
//! because delivering never completes, has no attempts to count and no outcome to record.
//!
//! # Watches
//! A change may announce names. Whoever watches one ([`Store::watch`]) is woken then, in whichever process the change was made,
//! and reads how things are. Begin to watch first and read then, so that nothing is missed in between. An announcement is
//! never lost, but may come without need: a process that was cut off from the others for a while wakes all its watches.
//!
//! # Crashes
//! Acknowledged means on disk: a change that was answered with `Ok` survives `kill -9` and, as far as the disk keeps its word,
//! power loss. A change whose caller went away, or that was answered with [`CommitError::Unavailable`], happened whole or not at
//! all. There is nothing to repair when opening.
//!
//! # Engines
//! [`Store`] is one type over two engines, an enum rather than a trait: there are just these two, both known here, and a point read
//! of some microseconds is to cost no allocation for a boxed future. Each has its module: `sqlite`, embedded, for one process, and
//! `postgres`, a database that many identical processes share. Statements that both understand stand in `sql`; `transfer` moves
//! what one holds into the other.

mod change;
mod counts;
mod error;
mod event;
mod postgres;
mod record;
mod signals;
mod sql;
mod sqlite;
mod transfer;
mod watch;
mod work;

#[cfg(test)]
pub(in crate::control_plane) mod tests;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

pub use self::change::{Change, Expect, Put};
pub use self::error::{Cause, CommitError, Error, OpenError};
pub use self::event::{Backlog, Emitted, Event, EventId};
pub use self::postgres::{Database, Member};
pub use self::record::{Body, Entry, Index, Key, Kind, Order, Range, Record};
pub use self::transfer::{ExportError, ImportError, Totals};
pub use self::watch::Watch;
pub use self::work::{Claim, Claimed, NewWork, Queue, Work};

use self::error::Outcome;
use self::postgres::Postgres;
use self::signals::Signals;
use self::sqlite::Sqlite;
use self::transfer::Item;
use crate::telemetry::{Metrics, Telemetry, metrics::Pool};

/// The store: of one process in a data directory, or of many in a database.
pub struct Store {
    engine: Engine,
    signals: Arc<Signals>,
    metrics: Option<Arc<Metrics>>,
}

enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// Does the same with whichever engine it is, and has it counted.
macro_rules! counted {
    ($store:ident, $engine:ident => $operation:ident($($argument:expr),*)) => {
        $store.measured(stringify!($operation), async {
            with!($store, $engine => $engine.$operation($($argument),*).await)
        })
    };
}

/// Does the same with whichever engine it is.
macro_rules! with {
    ($store:ident, $engine:ident => $done:expr) => {
        match &$store.engine {
            Engine::Sqlite($engine) => $done,
            Engine::Postgres($engine) => $done,
        }
    };
}

impl Store {
    /// Opens the store in the directory, which is made if need be. Blocks until the schema is up to date.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let signals = Arc::<Signals>::default();
        let engine = Engine::Sqlite(Sqlite::open(dir, Arc::clone(&signals))?);
        Ok(Self::over(engine, signals))
    }

    /// Opens the store in the database, as one of the processes that share it, and brings the schema up to date.
    pub async fn connect(database: &Database, member: Member) -> Result<Self, OpenError> {
        let signals = Arc::<Signals>::default();
        let connected = Postgres::connect(database, member, Arc::clone(&signals)).await?;
        let engine = Engine::Postgres(connected);
        Ok(Self::over(engine, signals))
    }

    fn over(engine: Engine, signals: Arc<Signals>) -> Self {
        Self {
            engine,
            signals,
            metrics: None,
        }
    }

    /// Has what is asked from now on counted.
    pub fn tell(&mut self, telemetry: &Telemetry) {
        self.metrics.clone_from(&telemetry.metrics);
    }

    async fn measured<T, E: Outcome>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match &self.metrics {
            None => work.await,
            Some(metrics) => {
                let outcome = |done: &Result<T, E>| match done {
                    Ok(_) => "ok",
                    Err(error) => error.outcome(),
                };
                metrics.store.measured(operation, work, outcome).await
            }
        }
    }

    /// Finishes the writes that were asked for and lets go of the directory or database. Later calls are answered with
    /// `Unavailable`.
    pub async fn close(&self) {
        with!(self, engine => engine.close().await);
    }

    pub async fn get(&self, key: &Key) -> Result<Option<Record>, Error> {
        counted!(self, engine => get(key)).await
    }

    /// The records of the keys, in their order, all of one moment.
    pub async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        counted!(self, engine => get_many(keys)).await
    }

    pub async fn list(&self, range: Range<'_>) -> Result<Vec<Record>, Error> {
        counted!(self, engine => list(range)).await
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
        counted!(self, engine => list_by(index, value, after, limit, order)).await
    }

    /// The entries of the index whose values begin with this, without their records: for what looks at very many at once.
    pub async fn entries(&self, index: Index, prefix: &str) -> Result<Vec<Entry>, Error> {
        counted!(self, engine => entries(index, prefix)).await
    }

    /// How many records the kind has in the scope, or under one parent there. Read from a counter, whatever the number.
    pub async fn count(&self, scope: &str, kind: Kind, parent: Option<&str>) -> Result<i64, Error> {
        counted!(self, engine => count(scope, kind, parent)).await
    }

    /// The bytes under a key.
    pub async fn blob(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        counted!(self, engine => blob(key)).await
    }

    /// Commits the change and answers with its revision, which the records it wrote now carry.
    pub async fn commit(&self, change: Change) -> Result<i64, CommitError> {
        change.check()?;
        counted!(self, engine => commit(change)).await
    }

    /// The limit of a quota that the change would break as things are, for who only considers it. It promises nothing: others may
    /// be faster. Room that its deletes would make is not counted.
    pub async fn full(&self, change: &Change) -> Result<Option<i64>, Error> {
        for expect in &change.expects {
            let Expect::AtMost {
                scope,
                kinds,
                parent,
                limit,
            } = expect
            else {
                continue;
            };
            let parent = parent.as_deref();
            let mut count = 0;
            for kind in kinds {
                count += self.count(scope, *kind, parent).await?;
                count += change.creates(scope, *kind, parent);
            }
            if count > *limit {
                return Ok(Some(*limit));
            }
        }
        Ok(None)
    }

    /// Deletes expired records, the oldest first, and says how many; fewer than `limit` means that none are left.
    pub async fn sweep(&self, now_ms: i64, limit: u32) -> Result<usize, CommitError> {
        counted!(self, engine => sweep(now_ms, limit)).await
    }

    /// Leases items that are due, the longest due first.
    pub async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Claimed>, CommitError> {
        let mut claimed = counted!(self, engine => claim(claim)).await?;
        // RETURNING promises no order.
        claimed.sort_by_key(|Claimed { work, .. }| (work.run_at_ms, work.id));
        Ok(claimed)
    }

    /// Keeps a claim until the given time.
    pub async fn renew(&self, claimed: &Claimed, lease_until_ms: i64) -> Result<(), CommitError> {
        let change = Change::new().renew(claimed, lease_until_ms);
        self.commit(change).await.map(drop)
    }

    /// When the next item falls due, or the next lease runs out.
    pub async fn next_run_at(&self) -> Result<Option<i64>, Error> {
        counted!(self, engine => next_run_at()).await
    }

    /// Returns when this process has enqueued or rescheduled work, since the last call at the earliest: nothing that happens
    /// between two calls is missed. One waiter is woken each time. Where other processes may have done so, it also returns
    /// whenever it is time to look.
    pub async fn work_scheduled(&self) {
        self.signals.scheduled.notified().await;
    }

    /// Events that wait to be delivered, from behind `after`, as they happened.
    pub async fn events(&self, after: Option<EventId>, limit: u32) -> Result<Vec<Emitted>, Error> {
        let after = after.unwrap_or(EventId::BEFORE_ALL);
        counted!(self, engine => events(after, limit)).await
    }

    /// Whether the holder (a name of its own for each process) is the one to deliver events, until the time it asks for. It is as
    /// long as it asks again in time, and gives this up by asking for no time.
    pub async fn deliver(
        &self,
        holder: &str,
        now_ms: i64,
        until_ms: i64,
    ) -> Result<bool, CommitError> {
        counted!(self, engine => deliver(holder, now_ms, until_ms)).await
    }

    /// Forgets events that have been delivered.
    pub async fn delivered(&self, events: &[EventId]) -> Result<(), CommitError> {
        counted!(self, engine => delivered(events)).await
    }

    /// How much work there is of each kind.
    pub async fn queue(&self, now_ms: i64) -> Result<Vec<Queue>, Error> {
        with!(self, engine => engine.queue(now_ms).await)
    }

    /// How the connections to the database are, if that is where things are kept.
    pub fn pool(&self) -> Option<Pool> {
        match &self.engine {
            Engine::Sqlite(_) => None,
            Engine::Postgres(engine) => Some(engine.pool()),
        }
    }

    /// How many events wait to be delivered, and when the first of them happened.
    pub async fn backlog(&self) -> Result<Option<Backlog>, Error> {
        counted!(self, engine => backlog()).await
    }

    /// Returns when events may have been emitted, as [`Store::work_scheduled`] does for work.
    pub async fn events_emitted(&self) {
        self.signals.emitted.notified().await;
    }

    /// Watches what changes announce under this name.
    pub fn watch(&self, name: &str) -> Watch {
        self.signals.watched.watch(name)
    }

    fn start_export(&self, items: mpsc::Sender<Result<Item, Error>>) {
        with!(self, engine => engine.export(items));
    }

    async fn import_items(&self, items: mpsc::Receiver<Item>) -> Result<(), ImportError> {
        with!(self, engine => engine.import(items).await)
    }
}
