//! The audit trail: who asked for which change of what, and what became of it.
//!
//! ```text
//!  a call ──► Scribe ──► Call ── intend ──► writer ──► file     a line of JSON a record, each with
//!  (at a front)           │      (waits)    one thread,         the hash of the one before
//!                         └───── end ─────► one sync for
//!                                (waits)    all that wait
//! ```
//!
//! What it guarantees: no change is begun before its intent is on disk, and no change is answered
//! before its outcome is. Where that cannot be written, changes are refused; reads go on. A change whose
//! caller goes away, whose time is up or that panics is recorded as unknown, by being dropped. An intent
//! without an outcome says the same: the process died in between.
//!
//! Callers who are refused are recorded, too, and reads if the operator says so; nobody waits for
//! those. Nothing of a request is recorded but the name of what it is about: no member of it, no
//! message of an error and no credential.
//!
//! The chain (`chain`) makes visible what somebody changed, took out or put in afterwards. It cannot
//! show that its newest records are missing: that takes a copy of a hash elsewhere.

mod call;
mod chain;
mod file;
mod record;
#[cfg(test)]
mod tests;
pub mod verify;
mod writer;

use std::{
    fmt, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::Sender,
    },
    time::SystemTime,
};

use tokio::sync::{oneshot, watch};

pub use call::{Call, Scribe};
pub use chain::Seal;
pub use record::{Ending, Front, Outcome};

use crate::identity::Clock;
use file::File;
use record::Entry;
use writer::{Job, Writer};

/// How many records that nobody waits for may wait themselves.
const BACKLOG: usize = 10_000;

/// What the operator wants recorded, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    pub file: PathBuf,
    pub seal: Seal,
    /// Whether reads are recorded.
    pub reads: bool,
}

/// The record cannot be written now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit trail cannot be written")]
pub struct Unwritten;

/// The trail of this process. Clones are the same.
#[derive(Clone)]
pub struct Trail(Arc<Shared>);

struct Shared {
    jobs: Sender<Job>,
    clock: Clock,
    reads: bool,
    /// Of this process, in the names of its calls.
    run: u64,
    calls: AtomicU64,
    backlog: Arc<Backlog>,
    writable: watch::Receiver<bool>,
}

/// The records that nobody waits for.
#[derive(Default)]
struct Backlog {
    waiting: AtomicUsize,
    /// How many were left out because too many waited, or the file could not be written.
    omitted: AtomicU64,
}

impl Trail {
    /// Opens the file, which must be this process's alone, and goes on with the chain in it.
    pub fn open(settings: Settings, clock: Clock) -> io::Result<Self> {
        let file = File::new(settings.file, settings.seal.clone());
        Self::over(file, settings.seal, settings.reads, clock)
    }

    fn over(
        disk: impl file::Disk + 'static,
        seal: Seal,
        reads: bool,
        clock: Clock,
    ) -> io::Result<Self> {
        let (jobs, inbox) = std::sync::mpsc::channel();
        let (writable, watched) = watch::channel(true);
        let backlog = Arc::<Backlog>::default();
        let parts = writer::Parts {
            inbox,
            writable,
            backlog: Arc::clone(&backlog),
            clock: Arc::clone(&clock),
            seal,
        };
        let writer = Writer::open(disk, parts)?;
        let run = writer.run();
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.write())?;
        Ok(Self(Arc::new(Shared {
            jobs,
            clock,
            reads,
            run,
            calls: AtomicU64::new(1),
            backlog,
            writable: watched,
        })))
    }

    /// Tells whether the trail can be written, now and whenever that changes.
    pub fn writable(&self) -> watch::Receiver<bool> {
        self.0.writable.clone()
    }

    /// Goes on in a new file, if the old one was moved away.
    pub fn reopen(&self) {
        self.send(Job::Reopen);
    }

    /// Writes what waits, and that this is the end. Nothing can be written after it.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        self.send(Job::Close(done));
        // An error means that the writer has ended already.
        let _ = closed.await;
    }

    fn now(&self) -> SystemTime {
        (self.0.clock)()
    }

    /// The name of a call, for its intent and its outcome to be found by.
    fn name(&self) -> String {
        let call = self.0.calls.fetch_add(1, Ordering::Relaxed);
        format!("{}-{call}", self.0.run)
    }

    /// The record is on disk when this returns. It will be even if nobody waits for that any more.
    async fn keep(&self, entry: Entry) -> Result<(), Unwritten> {
        let (kept, answer) = oneshot::channel();
        self.send(Job::Keep(entry, kept));
        answer.await.unwrap_or(Err(Unwritten))
    }

    /// Has the record written soon, unless too many wait already.
    fn note(&self, entry: Entry) {
        let backlog = &self.0.backlog;
        if backlog.waiting.fetch_add(1, Ordering::Relaxed) < BACKLOG {
            self.send(Job::Note(entry));
        } else {
            backlog.waiting.fetch_sub(1, Ordering::Relaxed);
            backlog.omitted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// To nobody, once the trail is closed.
    fn send(&self, job: Job) {
        let _ = self.0.jobs.send(job);
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail").finish_non_exhaustive()
    }
}
