//! What changes the database: in groups, one after the other, whichever process they come from.
//!
//! ```text
//!  caller ──job──►┐                 BEGIN · lock the row of numbers
//!  caller ──job──►├─ bounded queue ─► savepoint · savepoint · savepoint ─► numbers, group, COMMIT ──► every caller is answered
//!  caller ──job──►┘                                (those that fail roll back alone)
//! ```
//! The lock makes changes happen as if one after the other, so that every rule can be checked by plain reads, and no number is
//! visible before a smaller one. It is one row that everybody locks first, so nobody waits crosswise. Its price is that a database
//! commits one group at a time; a group costs four round trips and takes whatever gathered while the one before was on its way.
//! Isolation is READ COMMITTED: each statement sees what was committed before the lock was given.
//!
//! A group whose transaction gave way or whose connection was lost is run again. Each process counts its groups and writes the
//! number of the last into `writers` in the same transaction. Whether a commit has happened whose answer was lost can therefore be
//! read, and surely so: behind the lock, which a transaction that is still on its way would hold.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deadpool_postgres::{Client, Pool};
use futures_util::future::join;
use tokio::sync::{mpsc, oneshot, watch};

use super::apply::{self, Numbers};
use super::connections::{Again, Connections, abandon, forget_idle};
use super::dialect;
use super::failure::Failure;
use super::listener;
use super::pipeline::{Pipeline, Stop, values};
use crate::control_plane::store::signals::{Signals, Wake};
use crate::control_plane::store::{Cause, Change, CommitError, Error};

/// How many jobs wait before callers do; also how many share a transaction.
const QUEUE: usize = 64;
/// How often a group gives way to others.
const MOST_CONFLICTS: u32 = 20;

pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// Something to do in a group. Its answer is a number.
pub(super) enum Task {
    Commit(Change),
    Sweep { now_ms: i64, limit: u32 },
}

struct Job {
    task: Task,
    wake: Wake,
    reply: oneshot::Sender<Outcome>,
}

type Outcome = Result<i64, CommitError>;

pub(super) struct Writer {
    /// `None` once the store is closed.
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    /// Its sender goes away when the last group is done.
    ended: watch::Receiver<()>,
}

impl Writer {
    /// Starts taking jobs, for the process of this name.
    pub(super) fn start(
        connections: &Connections,
        process: String,
        announces: bool,
        signals: Arc<Signals>,
    ) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (alive, ended) = watch::channel(());
        let groups = Groups {
            pool: connections.pool(),
            again: connections.again(),
            process,
            announces,
            last: 0,
            signals,
        };
        connections.spawn(async move {
            groups.run(queue).await;
            drop(alive);
        });
        Self {
            jobs: Mutex::new(Some(jobs)),
            ended,
        }
    }

    /// Runs a task in the next group and answers when that is committed. A caller that goes away before the task is queued cancels
    /// it; afterwards it happens regardless.
    pub(super) async fn write(&self, task: Task, wake: Wake) -> Outcome {
        let jobs = self.jobs().clone().ok_or_else(Error::closed)?;
        let (reply, answer) = oneshot::channel();
        jobs.send(Job { task, wake, reply })
            .await
            .map_err(|_| Error::closed())?;
        answer.await.map_err(|_| Error::closed())?
    }

    /// Takes no more jobs, and returns when those taken are done.
    pub(super) async fn close(&self) {
        self.jobs().take();
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }

    fn jobs(&self) -> MutexGuard<'_, Option<mpsc::Sender<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Groups {
    pool: Pool,
    again: Arc<Again>,
    process: String,
    /// Whether the database passes on what changes announce.
    announces: bool,
    /// The number of the last group.
    last: i64,
    signals: Arc<Signals>,
}

impl Groups {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(QUEUE);
        while queue.recv_many(&mut group, QUEUE).await > 0 {
            self.last += 1;
            let outcomes = self.commit(&group).await;
            for (job, outcome) in group.drain(..).zip(outcomes) {
                // Of what became of it when that is not known, others may have heard.
                if matches!(outcome, Ok(_) | Err(CommitError::Unavailable(_))) {
                    self.signals.give(&job.wake);
                }
                // A caller that went away does not want to know.
                let _ = job.reply.send(outcome);
            }
        }
    }

    /// Commits the group, trying again as long as that may help.
    async fn commit(&self, group: &[Job]) -> Vec<Outcome> {
        let mut committing = Vec::new();
        let (mut conflicts, mut losses) = (0, 0);
        loop {
            let failure = match self.attempt(group, &mut committing).await {
                Ok(outcomes) => return outcomes,
                Err(failure) => failure,
            };
            if failure.is_conflict() && conflicts < MOST_CONFLICTS {
                conflicts += 1;
            } else if failure.is_lost() && losses == 0 {
                losses += 1;
                forget_idle(&self.pool);
            } else {
                let cause: Cause = Arc::new(failure);
                let unknown = || Err(Error::Unavailable(Arc::clone(&cause)).into());
                return group.iter().map(|_| unknown()).collect();
            }
            self.again.count(&failure);
        }
    }

    /// Runs the group once. What its commit will answer stays in `committing`, should that answer be lost.
    async fn attempt(
        &self,
        group: &[Job],
        committing: &mut Vec<Outcome>,
    ) -> Result<Vec<Outcome>, Failure> {
        let conn = self.pool.get().await?;
        match self.transact(&conn, group, committing).await {
            Ok(()) => Ok(mem::take(committing)),
            Err(failure) => {
                abandon(conn).await;
                Err(failure)
            }
        }
    }

    async fn transact(
        &self,
        conn: &Client,
        group: &[Job],
        committing: &mut Vec<Outcome>,
    ) -> Result<(), Failure> {
        let mut numbers = begin(conn).await?;
        if !committing.is_empty() && self.has_happened(conn).await? {
            return Ok(conn.batch_execute("ROLLBACK").await?);
        }
        *committing = run_all(conn, group, &mut numbers).await?;
        if committing.iter().all(Result::is_err) {
            return Ok(conn.batch_execute("ROLLBACK").await?);
        }
        let names = announced(group, committing);
        let mut end = Pipeline::new(conn);
        let result = async {
            end.push(dialect::SET_NUMBERS, values![numbers.rev, numbers.work])
                .await?;
            end.push(dialect::SET_LAST_GROUP, values![&self.process, self.last])
                .await?;
            if self.announces && !names.is_empty() {
                end.push(listener::ANNOUNCE, values![&self.process, names])
                    .await?;
            }
            end.push("COMMIT", values![]).await?;
            end.run().await
        };
        result.await.map_err(Stop::into_failure)
    }

    async fn has_happened(&self, conn: &Client) -> Result<bool, Failure> {
        let last = conn.prepare_cached(dialect::LAST_GROUP).await?;
        let row = conn.query_opt(&last, &[&self.process]).await?;
        Ok(row.is_some_and(|row| row.get::<_, i64>(0) == self.last))
    }
}

/// What the changes announce that are made.
fn announced<'a>(group: &'a [Job], outcomes: &[Outcome]) -> Vec<&'a str> {
    let made = group.iter().zip(outcomes);
    let made = made.filter(|(_, outcome)| outcome.is_ok());
    made.flat_map(|(job, _)| job.wake.announced.iter().map(String::as_str))
        .collect()
}

/// Opens a transaction that holds the lock for changes.
pub(super) async fn begin(conn: &Client) -> Result<Numbers, Failure> {
    let lock = conn.prepare_cached(dialect::LOCK).await?;
    let (begun, locked) = join(conn.batch_execute(BEGIN), conn.query_one(&lock, &[])).await;
    begun?;
    let row = locked?;
    Ok(Numbers {
        rev: row.get(0),
        work: row.get(1),
    })
}

/// What becomes of each job, and of the numbers.
async fn run_all(
    conn: &Client,
    group: &[Job],
    numbers: &mut Numbers,
) -> Result<Vec<Outcome>, Failure> {
    // One job alone rolls back with its transaction.
    let shared = group.len() > 1;
    let mut first: &[&str] = if shared { &["SAVEPOINT step"] } else { &[] };
    let mut outcomes = Vec::with_capacity(group.len());
    for job in group {
        let before = *numbers;
        let done = match &job.task {
            Task::Commit(change) => apply::apply(conn, first, change, numbers).await,
            Task::Sweep { now_ms, limit } => apply::sweep(conn, first, *now_ms, *limit).await,
        };
        let outcome = match done {
            Ok(number) => Ok(number),
            Err(Stop::Refused(refusal)) => Err(refusal),
            Err(Stop::Failed(failure)) if failure.is_lost() || failure.is_conflict() => {
                return Err(failure);
            }
            Err(Stop::Failed(failure)) => Err(failure.into()),
        };
        if outcome.is_err() {
            *numbers = before;
            if shared {
                conn.batch_execute("ROLLBACK TO SAVEPOINT step").await?;
            }
        }
        outcomes.push(outcome);
        if shared {
            first = &["RELEASE SAVEPOINT step", "SAVEPOINT step"];
        }
    }
    Ok(outcomes)
}
