//! A call as the trail sees it, from the front that it came in at to its end.

use std::{borrow::Cow, fmt, time::SystemTime};

use http::HeaderMap;
use tokio::sync::oneshot;

use super::{
    Trail, Unwritten,
    record::{About, By, Ending, Entry, Event, Front, Outcome, cut},
    writer::Job,
};
use crate::identity::Principal;

/// The longest request id of a caller's own that is worth keeping.
const LONGEST_ID: usize = 128;

/// Writes down one request. Where there is a trail, the fronts put one into the extensions of each
/// request that comes in; a request without one is not recorded.
#[derive(Clone)]
pub struct Scribe {
    trail: Trail,
    front: Front,
    peer: Option<String>,
    caller_request_id: Option<String>,
}

impl Scribe {
    pub fn new(trail: &Trail, front: Front, peer: Option<String>, headers: &HeaderMap) -> Self {
        let id = headers
            .get("x-request-id")
            .and_then(|id| id.to_str().ok())
            .filter(|id| !id.is_empty() && id.len() <= LONGEST_ID);
        Self {
            trail: trail.clone(),
            front,
            peer,
            caller_request_id: id.map(str::to_owned),
        }
    }

    /// A call of this operation, which changes something or only reads.
    pub fn call(&self, operation: impl Into<Cow<'static, str>>, changes: bool) -> Call {
        let operation = match operation.into() {
            Cow::Borrowed(name) => Cow::Borrowed(name),
            Cow::Owned(name) => Cow::Owned(cut(name)),
        };
        Call {
            begun: self.trail.now(),
            about: Some(About {
                call: changes.then(|| self.trail.name()),
                front: self.front,
                principal: None,
                peer: self.peer.clone(),
                operation,
                resource: None,
                caller_request_id: self.caller_request_id.clone(),
            }),
            trail: self.trail.clone(),
            changes,
            stage: Stage::Early,
        }
    }
}

impl fmt::Debug for Scribe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scribe")
            .field("front", &self.front)
            .finish_non_exhaustive()
    }
}

/// A call under way. One that is dropped before its end is recorded as cut off.
#[derive(Debug)]
pub struct Call {
    trail: Trail,
    begun: SystemTime,
    /// Taken at the end.
    about: Option<About>,
    changes: bool,
    stage: Stage,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing is written of it.
    Early,
    /// Its intent will be on disk, or is. Nothing was done yet.
    Intended,
    /// Its intent is on disk, and it may have been done.
    Begun,
}

impl Call {
    /// Says who makes it.
    pub fn by(&mut self, principal: &Principal) {
        if let Some(about) = &mut self.about {
            about.principal = Some(By::of(principal));
        }
    }

    /// Says in which account and Region it acts, where that is not the principal's.
    pub fn acts_in(&mut self, account: &str, region: &str) {
        let principal = self
            .about
            .as_mut()
            .and_then(|about| about.principal.as_mut());
        if let Some(principal) = principal {
            account.clone_into(&mut principal.account);
            region.clone_into(&mut principal.region);
        }
    }

    /// Says what it is about.
    pub fn concerns(&mut self, kind: &str, name: &str) {
        if let Some(about) = &mut self.about {
            about.resource = Some(match name {
                "" => kind.to_owned(),
                name => cut(format!("{kind}/{name}")),
            });
        }
    }

    /// Has the intent written if this is a change, which must not be begun otherwise.
    pub async fn intend(&mut self) -> Result<(), Unwritten> {
        if !self.changes {
            return Ok(());
        }
        let intent = self.entry(Event::Intent, None);
        self.stage = Stage::Intended;
        let kept = self.trail.keep(intent).await;
        self.stage = match kept {
            Ok(()) => Stage::Begun,
            Err(_) => Stage::Early,
        };
        kept
    }

    /// Records how it ended. Of a change the answer must not be given otherwise.
    pub async fn end(mut self, ending: Ending) -> Result<(), Unwritten> {
        let event = match self.stage {
            Stage::Begun | Stage::Intended => Event::Outcome,
            Stage::Early if ending.refused => Event::Refused,
            Stage::Early if !self.changes && self.trail.0.reads => Event::Read,
            Stage::Early => {
                self.about = None;
                return Ok(());
            }
        };
        let entry = self.entry(event, Some(ending));
        self.about = None;
        if event == Event::Outcome {
            return self.trail.keep(entry).await;
        }
        self.trail.note(entry);
        Ok(())
    }

    fn entry(&self, event: Event, ending: Option<Ending>) -> Entry {
        let time = self.trail.now();
        let took = time.duration_since(self.begun).unwrap_or_default();
        Entry {
            event,
            time,
            about: self.about.clone(),
            took: ending.is_some().then_some(took),
            ending,
            remark: None,
        }
    }
}

/// The caller went away, its time is up, or the code below panicked.
impl Drop for Call {
    fn drop(&mut self) {
        if self.about.is_none() {
            return;
        }
        let code = match std::thread::panicking() {
            true => "PANIC",
            false => "CANCELLED",
        };
        let outcome = match self.stage {
            Stage::Intended => Outcome::NotExecuted,
            _ => Outcome::Unknown,
        };
        let ending = Some(Ending::failed(outcome, code));
        match self.stage {
            Stage::Early if !self.changes && self.trail.0.reads => {
                self.trail.note(self.entry(Event::Read, ending));
            }
            Stage::Early => {}
            Stage::Intended | Stage::Begun => {
                // Nobody waits, but it is not one of those that may be left out.
                let (kept, _) = oneshot::channel();
                let entry = self.entry(Event::Outcome, ending);
                self.trail.send(Job::Keep(entry, kept));
            }
        }
    }
}
