//! Why PostgreSQL did not answer, and what that means for trying again.

use std::error::Error as _;
use std::io;

use deadpool_postgres::PoolError;
use tokio_postgres::error::{Severity, SqlState};

use crate::control_plane::store::{CommitError, Error};

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no connection to the database")]
    Pool(#[from] PoolError),
    #[error(transparent)]
    Statement(#[from] tokio_postgres::Error),
}

impl Failure {
    fn statement(&self) -> Option<&tokio_postgres::Error> {
        match self {
            Self::Pool(PoolError::Backend(error)) | Self::Statement(error) => Some(error),
            Self::Pool(_) => None,
        }
    }

    fn code(&self) -> Option<&SqlState> {
        self.statement()?.code()
    }

    /// Whether the connection has gone, and other idle ones perhaps with it: the server was stopped, or the network was.
    pub(super) fn is_lost(&self) -> bool {
        let Some(error) = self.statement() else {
            return false;
        };
        match error.as_db_error() {
            // Connection exceptions, the operator's interventions, and whatever else the server ends a connection for, such as
            // a process that stood still in the middle of a transaction.
            Some(said) => {
                let code = said.code().code();
                let severity = said.parsed_severity();
                code.starts_with("08")
                    || code.starts_with("57P")
                    || matches!(severity, Some(Severity::Fatal | Severity::Panic))
            }
            None => {
                error.is_closed() || error.source().is_some_and(|cause| cause.is::<io::Error>())
            }
        }
    }

    /// Whether the transaction gave way to another one and can simply be run again.
    pub(super) fn is_conflict(&self) -> bool {
        self.code().is_some_and(|code| {
            *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
        })
    }

    /// Whether a process that makes the same things at the same time was faster.
    pub(super) fn is_race(&self) -> bool {
        self.is_conflict()
            || self.code().is_some_and(|code| {
                *code == SqlState::UNIQUE_VIOLATION
                    || *code == SqlState::DUPLICATE_TABLE
                    || *code == SqlState::DUPLICATE_OBJECT
                    || *code == SqlState::INTERNAL_ERROR
            })
    }

    /// Whether a text held what PostgreSQL cannot store: then nothing has that name.
    pub(super) fn is_unstorable(&self) -> bool {
        self.code() == Some(&SqlState::CHARACTER_NOT_IN_REPERTOIRE)
    }

    pub(super) fn is_missing_table(&self) -> bool {
        self.code() == Some(&SqlState::UNDEFINED_TABLE)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::unavailable(failure)
    }
}

impl From<Failure> for CommitError {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure.into())
    }
}
