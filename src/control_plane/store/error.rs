//! Why a read, a commit or an opening failed.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Index, Key, Kind};

/// Why the store gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed, or the store is closed. Of a commit it is then unknown whether it happened: load again to see.
    #[error("the store is unavailable")]
    Unavailable(#[source] Cause),
    /// A record is not what its family writes.
    #[error("{key} cannot be read as stored")]
    Malformed {
        key: Key,
        #[source]
        source: serde_json::Error,
    },
}

/// Shared, because all changes of a group that failed to commit failed for the same cause.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

impl Error {
    pub(super) fn closed() -> Self {
        Self::unavailable(io::Error::other("the store is closed"))
    }

    pub(super) fn nul() -> Self {
        Self::unavailable(io::Error::other("text with NUL cannot be stored"))
    }

    pub(super) fn unavailable(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unavailable(Arc::new(cause))
    }
}

/// Why a change did not happen. All but `Unavailable` are certain: nothing of it happened.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The name is taken.
    #[error("{0} exists already")]
    Exists(Key),
    /// The record is no longer as it was seen, or no longer there: load, decide again, retry.
    #[error("{0} has changed since it was read")]
    Changed(Key),
    #[error("{} records of {parent:?} are still there", kind.as_str())]
    HasChildren { kind: Kind, parent: String },
    #[error("{value:?} is still referred to ({})", index.as_str())]
    Referenced { index: Index, value: String },
    /// The quota is reached.
    #[error("at most {limit} are allowed")]
    Full { limit: i64 },
    /// The lease ran out and the item was claimed again, or it is done.
    #[error("work item {0} is no longer held by this worker")]
    LostClaim(i64),
    #[error(transparent)]
    Unavailable(#[from] Error),
}

/// What came of a read or a write, in a word.
pub(super) trait Outcome {
    fn outcome(&self) -> &'static str;
}

impl Outcome for Error {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Malformed { .. } => "malformed",
        }
    }
}

impl Outcome for CommitError {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Exists(_) | Self::Changed(_) => "conflict",
            Self::HasChildren { .. } | Self::Referenced { .. } | Self::Full { .. } => "refused",
            Self::LostClaim(_) => "lost",
            Self::Unavailable(error) => error.outcome(),
        }
    }
}

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("data directory {} is in use by process {pid}", dir.display())]
    InUse { dir: PathBuf, pid: String },
    #[error(
        "database {database} has schema {found}, this program knows up to {known}: use a newer one"
    )]
    Newer {
        database: String,
        found: usize,
        known: usize,
    },
    #[error("cannot use {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot use database {database}")]
    Database {
        database: String,
        #[source]
        source: Cause,
    },
}
