//! The one thread that writes, and group commit.
//!
//! ```text
//!  caller ──job──►┐                 BEGIN IMMEDIATE
//!  caller ──job──►├─ bounded queue ─► savepoint · savepoint · savepoint ─► COMMIT (one fsync) ──► every caller is answered
//!  caller ──job──►┘                                (those that fail roll back alone)
//! ```
//! While a group is on its way to the disk the next one gathers, so the load itself sets the size of the groups. An answer is
//! given after the commit only, also a refusal: it may rest on what a neighbour in the group did.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::lock::DirLock;
use crate::control_plane::store::signals::{Signals, Wake};
use crate::control_plane::store::{Cause, CommitError, Error};

/// How many jobs wait before callers do; also how many share a transaction.
const QUEUE: usize = 64;

type Jobs = mpsc::Sender<Box<dyn Job>>;

pub(super) struct Writer {
    /// `None` once the store is closed.
    jobs: Mutex<Option<Jobs>>,
    /// Its sender goes away when the thread has ended.
    ended: watch::Receiver<()>,
    signals: Arc<Signals>,
}

impl Writer {
    pub(super) fn start(
        conn: Connection,
        lock: DirLock,
        signals: Arc<Signals>,
    ) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (alive, ended) = watch::channel(());
        thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                run(&conn, queue);
                // In this order: the directory is free when the database is closed, and closed when both have happened.
                drop(conn);
                drop(lock);
                drop(alive);
            })?;
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            ended,
            signals,
        })
    }

    /// Runs a step in the next group and answers when that is on disk. A caller that goes away before the step is queued
    /// cancels it; afterwards it happens regardless.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        wake: Wake,
        step: impl FnOnce(&Connection) -> Result<T, CommitError> + Send + 'static,
    ) -> Result<T, CommitError> {
        let jobs = self.jobs().clone().ok_or_else(Error::closed)?;
        let (reply, answer) = oneshot::channel();
        let job = Write {
            step: Some(step),
            outcome: None,
            reply,
            wake,
            signals: Arc::clone(&self.signals),
        };
        jobs.send(Box::new(job))
            .await
            .map_err(|_| Error::closed())?;
        answer.await.map_err(|_| Error::closed())?
    }

    /// Takes no more jobs, and returns when those taken are done and the database is closed.
    pub(super) async fn close(&self) {
        self.jobs().take();
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }

    fn jobs(&self) -> MutexGuard<'_, Option<Jobs>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(conn: &Connection, mut queue: mpsc::Receiver<Box<dyn Job>>) {
    let mut group = Vec::with_capacity(QUEUE);
    while queue.blocking_recv_many(&mut group, QUEUE) > 0 {
        let committed = commit(conn, &mut group);
        for job in group.drain(..) {
            job.answer(committed.clone());
        }
    }
}

fn commit(conn: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), Cause> {
    let committed = execute(conn, "BEGIN IMMEDIATE")
        .and_then(|()| group.iter_mut().try_for_each(|job| job.run(conn)))
        .and_then(|()| execute(conn, "COMMIT"));
    if committed.is_err() && !conn.is_autocommit() {
        // Should even this fail, the next BEGIN does too, and says why.
        let _ = execute(conn, "ROLLBACK");
    }
    committed
}

fn execute(conn: &Connection, sql: &str) -> Result<(), Cause> {
    let run = || conn.prepare_cached(sql)?.execute([]);
    run().map(drop).map_err(|error| Arc::new(error) as Cause)
}

/// A step on its way through the queue.
trait Job: Send {
    /// Runs the step; an error means that the transaction of the whole group is lost.
    fn run(&mut self, conn: &Connection) -> Result<(), Cause>;

    fn answer(self: Box<Self>, committed: Result<(), Cause>);
}

struct Write<T, F> {
    step: Option<F>,
    outcome: Option<Result<T, CommitError>>,
    reply: oneshot::Sender<Result<T, CommitError>>,
    wake: Wake,
    signals: Arc<Signals>,
}

impl<T, F> Job for Write<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, CommitError> + Send,
{
    fn run(&mut self, conn: &Connection) -> Result<(), Cause> {
        let step = self.step.take().expect("a group runs its jobs once");
        execute(conn, "SAVEPOINT step")?;
        let outcome = step(conn);
        // Out of space, SQLite may have rolled everything back by itself.
        if let Err(CommitError::Unavailable(Error::Unavailable(cause))) = &outcome
            && conn.is_autocommit()
        {
            return Err(Arc::clone(cause));
        }
        if outcome.is_err() {
            execute(conn, "ROLLBACK TO step")?;
        }
        self.outcome = Some(outcome);
        execute(conn, "RELEASE step")
    }

    fn answer(self: Box<Self>, committed: Result<(), Cause>) {
        let outcome = match committed {
            Ok(()) => self.outcome.expect("a committed group ran all its jobs"),
            Err(cause) => Err(Error::Unavailable(cause).into()),
        };
        if outcome.is_ok() {
            self.signals.give(&self.wake);
        }
        // A caller that went away does not want to know.
        let _ = self.reply.send(outcome);
    }
}
