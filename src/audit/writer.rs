//! The one thread that writes. All records that wait when it comes back from the disk go there
//! together, with one sync.

use std::{
    io,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::sync::{oneshot, watch};

use super::{
    Backlog, Unwritten,
    chain::{Link, Seal},
    file::Disk,
    record::{Entry, Event, Remark},
};
use crate::identity::Clock;

/// How many records are written together: with the largest of them well below what is looked through
/// for the last whole one.
const TOGETHER: usize = 256;
/// How often it is tried to write again when nobody asks.
const RETRY: Duration = Duration::from_secs(1);
/// How many refusals of callers who are nobody are recorded in a second. They must not fill the disk.
const NOBODYS: u32 = 10;

/// What the writer is asked to do.
pub(super) enum Job {
    /// Writes a record that somebody waits for.
    Keep(Entry, oneshot::Sender<Result<(), Unwritten>>),
    /// Writes a record.
    Note(Entry),
    Reopen,
    Close(oneshot::Sender<()>),
}

pub(super) struct Parts {
    pub(super) inbox: Receiver<Job>,
    pub(super) writable: watch::Sender<bool>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) clock: Clock,
    pub(super) seal: Seal,
}

pub(super) struct Writer<D> {
    disk: D,
    parts: Parts,
    /// The end of the chain; none while the file cannot be written.
    link: Option<Link>,
    run: u64,
    nobodys: Nobodys,
}

/// The refusals of nobody in the current second.
#[derive(Default)]
struct Nobodys {
    second: Option<Duration>,
    recorded: u32,
}

/// Records that go to disk together, and who waits for them.
#[derive(Default)]
struct Batch {
    entries: Vec<Entry>,
    waiting: Vec<oneshot::Sender<Result<(), Unwritten>>>,
    /// How many of them nobody waits for.
    notes: u64,
}

impl<D: Disk> Writer<D> {
    /// Goes on with the chain in the file.
    pub(super) fn open(disk: D, parts: Parts) -> io::Result<Self> {
        let mut writer = Self {
            disk,
            parts,
            link: None,
            run: 0,
            nobodys: Nobodys::default(),
        };
        let link = writer.begin()?;
        writer.run = link.sequence;
        writer.link = Some(link);
        Ok(writer)
    }

    /// A number that no other run has in this chain.
    pub(super) fn run(&self) -> u64 {
        self.run
    }

    /// Writes until there is nothing left to write, and nobody to send more.
    pub(super) fn write(mut self) {
        while let Some(first) = self.wait() {
            let mut batch = Batch::default();
            let mut next = Some(first);
            let other = loop {
                match next {
                    Some(Job::Keep(entry, kept)) => {
                        batch.entries.push(entry);
                        batch.waiting.push(kept);
                    }
                    Some(Job::Note(entry)) => self.admit(entry, &mut batch),
                    other => break other,
                }
                if batch.entries.len() == TOGETHER {
                    break None;
                }
                next = self.parts.inbox.try_recv().ok();
            };
            self.keep(batch);
            match other {
                Some(Job::Reopen) => self.reopen(),
                Some(Job::Close(done)) => {
                    self.close();
                    // Whoever hears of it may open the file again.
                    drop(self);
                    // Whoever asked may be gone.
                    let _ = done.send(());
                    return;
                }
                _ => {}
            }
        }
    }

    fn wait(&mut self) -> Option<Job> {
        loop {
            if self.link.is_some() {
                return self.parts.inbox.recv().ok();
            }
            match self.parts.inbox.recv_timeout(RETRY) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.commit(&[]);
                }
            }
        }
    }

    /// Takes a record that nobody waits for, unless there are too many of its kind.
    fn admit(&mut self, entry: Entry, batch: &mut Batch) {
        let backlog = &self.parts.backlog;
        backlog.waiting.fetch_sub(1, Ordering::Relaxed);
        let by_nobody = entry.event == Event::Refused
            && (entry.about.as_ref()).is_some_and(|about| about.principal.is_none());
        if by_nobody && !self.nobodys.may_be_recorded(entry.time) {
            backlog.omitted.fetch_add(1, Ordering::Relaxed);
        } else {
            batch.entries.push(entry);
            batch.notes += 1;
        }
    }

    fn keep(&mut self, batch: Batch) {
        if batch.entries.is_empty() {
            return;
        }
        let kept = self.commit(&batch.entries);
        if kept.is_err() {
            let omitted = &self.parts.backlog.omitted;
            omitted.fetch_add(batch.notes, Ordering::Relaxed);
        }
        for waiting in batch.waiting {
            // Whoever waited may be gone.
            let _ = waiting.send(kept);
        }
    }

    /// Writes to disk. Where that has failed before it is tried from the start.
    fn commit(&mut self, entries: &[Entry]) -> Result<(), Unwritten> {
        let omitted = self.parts.backlog.omitted.swap(0, Ordering::Relaxed);
        match self.append(entries, omitted) {
            Ok(link) => {
                self.link = Some(link);
                if self.tell(true) {
                    tracing::info!("the audit trail can be written again");
                }
                Ok(())
            }
            Err(error) => {
                let backlog = &self.parts.backlog;
                backlog.omitted.fetch_add(omitted, Ordering::Relaxed);
                if self.tell(false) {
                    tracing::error!(%error, "the audit trail cannot be written: changes are refused");
                }
                Err(Unwritten)
            }
        }
    }

    fn append(&mut self, entries: &[Entry], omitted: u64) -> io::Result<Link> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => self.begin()?,
        };
        let mut lines = Vec::new();
        if omitted > 0 {
            let remark = Remark::Omitted { records: omitted };
            link = self.remark(&link, Event::Omitted, Some(remark), &mut lines);
        }
        for entry in entries {
            link = self.parts.seal.close(&link, entry.line(&link), &mut lines);
        }
        if !lines.is_empty() {
            self.disk.append(&lines)?;
        }
        Ok(link)
    }

    /// Opens the file, sets aside what is no record at its end, and says who writes from here on.
    fn begin(&mut self) -> io::Result<Link> {
        let mut tail = self.disk.open()?;
        let mut lines = Vec::new();
        if tail.needs_line_feed {
            lines.push(b'\n');
        }
        if let Some(torn) = tail.torn {
            tracing::warn!(
                bytes = torn.bytes,
                "the audit trail ends in what is no record"
            );
            let remark = Remark::Torn {
                bytes: torn.bytes,
                sha256: torn.sha256,
            };
            tail.link = self.remark(&tail.link, Event::Torn, Some(remark), &mut lines);
        }
        let remark = Remark::Opened {
            version: env!("CARGO_PKG_VERSION"),
            seal: self.parts.seal.name(),
        };
        let link = self.remark(&tail.link, Event::Opened, Some(remark), &mut lines);
        self.disk.append(&lines)?;
        Ok(link)
    }

    fn remark(
        &self,
        after: &Link,
        event: Event,
        what: Option<Remark>,
        lines: &mut Vec<u8>,
    ) -> Link {
        let entry = Entry::remark(event, (self.parts.clock)(), what);
        self.parts.seal.close(after, entry.line(after), lines)
    }

    /// Goes over to the file that has the name now.
    fn reopen(&mut self) {
        if self.link.is_some() && self.disk.is_moved() {
            self.close();
            self.link = None;
            if self.commit(&[]).is_ok() {
                tracing::info!("the audit trail goes on in a new file");
            }
        }
    }

    fn close(&mut self) {
        let _ = self.commit(&[Entry::remark(Event::Closed, (self.parts.clock)(), None)]);
    }

    /// Tells whether records can be written. True if that is news.
    fn tell(&self, now: bool) -> bool {
        let writable = &self.parts.writable;
        writable.send_if_modified(|before| std::mem::replace(before, now) != now)
    }
}

impl Nobodys {
    fn may_be_recorded(&mut self, time: SystemTime) -> bool {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let second = Some(Duration::from_secs(since.as_secs()));
        if self.second != second {
            *self = Self {
                second,
                recorded: 0,
            };
        }
        self.recorded += 1;
        self.recorded <= NOBODYS
    }
}
