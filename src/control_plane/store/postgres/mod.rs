//! The shared engine: a PostgreSQL database that many identical processes use at the same time.
//!
//! ```text
//!  reads, claims ─► one statement on a pooled connection ─┐
//!  changes ── queue ──► groups, one after the other ──────┴─► one thread (connections.rs) ──► PostgreSQL
//! ```
//! Whatever a call rests on is in the database, so it does not matter which process answers, and one that dies takes nothing along
//! but its claims, which end with their leases. Changes happen under one lock (writer.rs); reads and claims need none. What
//! others have scheduled or emitted a process finds by looking, whenever [`Member::look_every`] has passed; what they announce it is
//! told (listener.rs).
//!
//! Connections that are lost are replaced. A call that needed one is tried once more and then answered with `Unavailable`; the
//! next call tries anew. Only what every such database offers is used: no advisory locks, no session state but
//! settings; and LISTEN where there is one.

mod address;
mod apply;
mod connections;
mod dialect;
mod failure;
mod listener;
mod pipeline;
mod schema;
mod transfer;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

pub use self::address::Database;

use self::connections::{Connections, Param};
use self::failure::Failure;
use self::listener::Listener;
use self::pipeline::values;
use self::schema::SchemaError;
use self::writer::{Task, Writer};
use super::record::behind;
use super::signals::{Signals, Wake};
use super::transfer::{ImportError, Item};
use super::{
    Backlog, Change, Claim, Claimed, CommitError, Emitted, Entry, Error, EventId, Index, Key, Kind,
    OpenError, Order, Queue, Range, Record, sql,
};
use crate::telemetry::metrics::Pool;

/// One of the processes that share a database.
#[derive(Clone, Debug)]
pub struct Member {
    /// A name that no other process has or had.
    pub name: String,
    /// How long work and events of other processes may go unnoticed.
    pub look_every: Duration,
}

pub(super) struct Postgres {
    connections: Connections,
    writer: Writer,
}

impl Postgres {
    pub(super) async fn connect(
        database: &Database,
        member: Member,
        signals: Arc<Signals>,
    ) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Database {
            database: database.to_string(),
            source,
        };
        let connections = Connections::new(database).map_err(|cause| failed(cause.into()))?;
        let pool = connections.pool();
        let schema = connections.spawn(async move {
            let conn = pool.get().await.map_err(Failure::from)?;
            schema::bring_up_to_date(&conn).await?;
            Ok(listener::can_announce(&conn).await?)
        });
        let announces = match schema.await {
            Ok(Ok(announces)) => announces,
            Ok(Err(SchemaError::Newer { found })) => {
                return Err(OpenError::Newer {
                    database: database.to_string(),
                    found,
                    known: schema::MIGRATIONS.len(),
                });
            }
            Ok(Err(error)) => return Err(failed(Arc::new(error))),
            Err(panicked) => return Err(failed(Arc::new(panicked))),
        };
        let writer = Writer::start(
            &connections,
            member.name.clone(),
            announces,
            Arc::clone(&signals),
        );
        let listener = Listener {
            database: database.clone(),
            process: member.name,
            signals: Arc::clone(&signals),
            look_every: member.look_every,
        };
        connections.spawn(listener.run());
        connections.spawn(async move {
            loop {
                tokio::time::sleep(member.look_every).await;
                signals.give(&Wake::workers());
            }
        });
        Ok(Self {
            connections,
            writer,
        })
    }

    pub(super) async fn close(&self) {
        self.writer.close().await;
        self.connections.close().await;
    }

    pub(super) async fn get(&self, key: &Key) -> Result<Option<Record>, Error> {
        let params = values![key.scope.clone(), key.kind.as_str(), key.id.clone()];
        let found = self.rows(sql::GET, params, dialect::record).await?;
        Ok(found.into_iter().next())
    }

    pub(super) async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        // What nothing can be found under is asked for as what nothing is kept under.
        let text = |text: &str| match text.contains('\0') {
            true => String::new(),
            false => text.to_owned(),
        };
        let scopes: Vec<_> = keys.iter().map(|key| text(&key.scope)).collect();
        let kinds: Vec<_> = keys.iter().map(|key| key.kind.as_str()).collect();
        let ids: Vec<_> = keys.iter().map(|key| text(&key.id)).collect();
        let params = values![scopes, kinds, ids];
        self.rows(dialect::GET_MANY, params, dialect::maybe_record)
            .await
    }

    pub(super) async fn list(&self, range: Range<'_>) -> Result<Vec<Record>, Error> {
        let (first, end) = range.bounds();
        let limit = i64::from(range.limit);
        let params = values![
            range.scope.to_owned(),
            range.kind.as_str(),
            first,
            end,
            limit
        ];
        self.rows(sql::list(range.order), params, dialect::record)
            .await
    }

    pub(super) async fn list_by(
        &self,
        index: Index,
        value: &str,
        after: Option<&Key>,
        limit: u32,
        order: Order,
    ) -> Result<Vec<Record>, Error> {
        let (scope, kind, id) = behind(after, order);
        let params = values![
            index.as_str(),
            value.to_owned(),
            scope.to_owned(),
            kind.to_owned(),
            id.to_owned(),
            i64::from(limit),
        ];
        self.rows(sql::list_by(order), params, dialect::record)
            .await
    }

    pub(super) async fn entries(&self, index: Index, prefix: &str) -> Result<Vec<Entry>, Error> {
        let params = values![
            index.as_str(),
            prefix.to_owned(),
            format!("{prefix}\u{10FFFF}"),
        ];
        self.rows(sql::ENTRIES_BETWEEN, params, dialect::entry)
            .await
    }

    pub(super) async fn count(
        &self,
        scope: &str,
        kind: Kind,
        parent: Option<&str>,
    ) -> Result<i64, Error> {
        let parent = parent.unwrap_or_default().to_owned();
        let params = values![scope.to_owned(), kind.as_str(), parent];
        let counted = self.rows(sql::COUNT, params, |row| row.try_get(0)).await?;
        Ok(counted.first().copied().unwrap_or(0))
    }

    pub(super) async fn blob(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let params = values![key.to_owned()];
        let found = self.rows(sql::BLOB, params, |row| row.try_get(0)).await?;
        Ok(found.into_iter().next())
    }

    pub(super) async fn commit(&self, change: Change) -> Result<i64, CommitError> {
        let wake = Wake::of(&change);
        self.writer.write(Task::Commit(change), wake).await
    }

    pub(super) async fn sweep(&self, now_ms: i64, limit: u32) -> Result<usize, CommitError> {
        let task = Task::Sweep { now_ms, limit };
        let swept = self.writer.write(task, Wake::default()).await?;
        Ok(usize::try_from(swept).expect("a number of records"))
    }

    /// Should the answer be lost, the items stay leased to nobody until the lease ends, as if the worker had died.
    pub(super) async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Claimed>, CommitError> {
        let params = values![
            claim.now_ms + claim.lease_ms,
            claim.worker.to_owned(),
            claim.now_ms,
            i64::from(claim.limit),
        ];
        Ok(self.rows(dialect::CLAIM, params, dialect::claimed).await?)
    }

    pub(super) async fn next_run_at(&self) -> Result<Option<i64>, Error> {
        let next = self
            .rows(sql::NEXT_RUN_AT, values![], |row| row.try_get(0))
            .await?;
        Ok(next.first().copied().flatten())
    }

    pub(super) async fn queue(&self, now_ms: i64) -> Result<Vec<Queue>, Error> {
        self.rows(sql::QUEUE, values![now_ms], dialect::queue).await
    }

    pub(super) fn pool(&self) -> Pool {
        self.connections.sample()
    }

    pub(super) async fn events(&self, after: EventId, limit: u32) -> Result<Vec<Emitted>, Error> {
        let params = values![after.rev, after.place, i64::from(limit)];
        self.rows(sql::EVENTS, params, dialect::emitted).await
    }

    pub(super) async fn backlog(&self) -> Result<Option<Backlog>, Error> {
        let rows = self.rows(sql::BACKLOG, values![], dialect::backlog);
        Ok(rows.await?.first().copied().flatten())
    }

    pub(super) async fn deliver(
        &self,
        holder: &str,
        now_ms: i64,
        until_ms: i64,
    ) -> Result<bool, CommitError> {
        let params = values![holder.to_owned(), until_ms, now_ms];
        let taken = self.connections.rows(sql::DELIVER, params).await?;
        Ok(!taken.is_empty())
    }

    pub(super) async fn delivered(&self, events: &[EventId]) -> Result<(), CommitError> {
        let (revs, places): (Vec<i64>, Vec<i64>) =
            events.iter().map(|id| (id.rev, id.place)).unzip();
        self.connections
            .rows(dialect::FORGET_EVENTS, values![revs, places])
            .await?;
        Ok(())
    }

    /// Sends everything that is there in one moment.
    pub(super) fn export(&self, items: mpsc::Sender<Result<Item, Error>>) {
        let pool = self.connections.pool();
        self.connections.spawn(transfer::export(pool, items));
    }

    pub(super) async fn import(&self, items: mpsc::Receiver<Item>) -> Result<(), ImportError> {
        let pool = self.connections.pool();
        self.connections
            .spawn(transfer::import(pool, items))
            .await
            .map_err(|_| CommitError::from(Error::closed()))?
    }

    async fn rows<T>(
        &self,
        text: &'static str,
        params: Vec<Param<'static>>,
        read: impl Fn(&tokio_postgres::Row) -> Result<T, tokio_postgres::Error>,
    ) -> Result<Vec<T>, Error> {
        let rows = self.connections.rows(text, params).await?;
        let read: Result<_, _> = rows.iter().map(read).collect();
        read.map_err(Error::unavailable)
    }
}
