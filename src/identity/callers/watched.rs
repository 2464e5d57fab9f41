//! The callers in force, and the file that they come from.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
};

use super::{
    Callers,
    file::{Known, Snapshot},
};

#[derive(Debug)]
pub(in crate::identity) struct Watched {
    path: PathBuf,
    known: Known,
    in_force: RwLock<Arc<Callers>>,
    /// As it was read last, good or not.
    last: RwLock<Result<Snapshot, String>>,
}

impl Watched {
    pub(in crate::identity) fn open(path: &Path, known: Known) -> Result<Self, String> {
        let snapshot = Snapshot::take(path)?;
        Ok(Self {
            in_force: RwLock::new(Arc::new(snapshot.read(&known)?)),
            path: path.to_owned(),
            known,
            last: RwLock::new(Ok(snapshot)),
        })
    }

    pub(in crate::identity) fn now(&self) -> Arc<Callers> {
        Arc::clone(&self.in_force.read().expect(WHOLE))
    }

    /// Takes up a changed file. One that is wrong is told once, and changes nothing.
    pub(in crate::identity) fn look(&self) {
        let seen = Snapshot::take(&self.path);
        if *self.last.read().expect(WHOLE) == seen {
            return;
        }
        let read = match &seen {
            Ok(snapshot) => snapshot.read(&self.known),
            Err(problem) => Err(problem.clone()),
        };
        *self.last.write().expect(WHOLE) = seen;
        let file = self.path.display();
        match read {
            Ok(callers) => {
                *self.in_force.write().expect(WHOLE) = Arc::new(callers);
                tracing::info!(%file, "took up the changed callers");
            }
            Err(problem) => {
                tracing::error!(%file, problem, "the callers stay as they were: the file is wrong");
            }
        }
    }
}

const WHOLE: &str = "nothing panics while it puts one value in another's place";
