//! What files say, taken up when they change.

use std::{
    path::Path,
    sync::{Arc, RwLock},
    time::Duration,
};

use tokio::time::sleep;

/// How soon a change is taken up.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Files, and how they are read.
pub(crate) trait Source {
    /// The files as they are: to see whether anything changed.
    type Snapshot: PartialEq;
    type Value;
    /// What the log calls the value.
    const WHAT: &'static str;

    fn path(&self) -> &Path;
    fn take(&self) -> Result<Self::Snapshot, String>;
    /// The value, or the first thing that is wrong with it.
    fn read(&self, snapshot: &Self::Snapshot) -> Result<Self::Value, String>;
}

/// The value in force, and where it comes from.
#[derive(Debug)]
pub(crate) struct Watched<S: Source> {
    source: S,
    in_force: RwLock<Arc<S::Value>>,
    /// As it was read last, good or not.
    last: RwLock<Result<S::Snapshot, String>>,
}

impl<S: Source> Watched<S> {
    pub(crate) fn new(source: S) -> Result<Self, String> {
        let snapshot = source.take()?;
        Ok(Self {
            in_force: RwLock::new(Arc::new(source.read(&snapshot)?)),
            last: RwLock::new(Ok(snapshot)),
            source,
        })
    }

    pub(crate) fn now(&self) -> Arc<S::Value> {
        Arc::clone(&self.in_force.read().expect(WHOLE))
    }

    /// Takes up what has changed. Files that are wrong are told once, and change nothing.
    pub(crate) fn look(&self) {
        let seen = self.source.take();
        if *self.last.read().expect(WHOLE) == seen {
            return;
        }
        let read = match &seen {
            Ok(snapshot) => self.source.read(snapshot),
            Err(problem) => Err(problem.clone()),
        };
        *self.last.write().expect(WHOLE) = seen;
        let (what, path) = (S::WHAT, self.source.path().display());
        match read {
            Ok(value) => {
                *self.in_force.write().expect(WHOLE) = Arc::new(value);
                tracing::info!(%path, "took up the changed {what}");
            }
            Err(problem) => {
                tracing::error!(%path, problem, "the {what} stay as they were: what is there is wrong");
            }
        }
    }

    /// Looks for changes for ever.
    pub(crate) async fn keep(&self) {
        loop {
            sleep(LOOK_EVERY).await;
            self.look();
        }
    }
}

const WHOLE: &str = "nothing panics while it puts one value in another's place";
