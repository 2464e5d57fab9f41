//! The callers in force, and the file that they come from.

use std::path::{Path, PathBuf};

use super::{
    Callers,
    file::{Known, Snapshot},
};
use crate::watched::{self, Source};

pub(in crate::identity) type Watched = watched::Watched<File>;

#[derive(Debug)]
pub(in crate::identity) struct File {
    path: PathBuf,
    known: Known,
}

impl Watched {
    pub(in crate::identity) fn open(path: &Path, known: Known) -> Result<Self, String> {
        let path = path.to_owned();
        Self::new(File { path, known })
    }
}

impl Source for File {
    type Snapshot = Snapshot;
    type Value = Callers;
    const WHAT: &'static str = "callers";

    fn path(&self) -> &Path {
        &self.path
    }

    fn take(&self) -> Result<Snapshot, String> {
        Snapshot::take(&self.path)
    }

    fn read(&self, snapshot: &Snapshot) -> Result<Callers, String> {
        snapshot.read(&self.known)
    }
}
