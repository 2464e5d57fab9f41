//! Connections for reading. Each read borrows one on the caller's own thread: a point read costs less than a thread switch.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use rusqlite::Connection;

use super::database;
use crate::control_plane::store::Error;

pub(super) struct Readers {
    file: PathBuf,
    /// `None` once the store is closed.
    idle: Mutex<Option<Vec<Connection>>>,
    keep: usize,
}

impl Readers {
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            file,
            idle: Mutex::new(Some(Vec::new())),
            keep: available_parallelism().map_or(4, usize::from),
        }
    }

    pub(super) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let idle = self.idle().as_mut().ok_or_else(Error::closed)?.pop();
        let conn = match idle {
            Some(conn) => conn,
            None => database::open_reader(&self.file)?,
        };
        // A connection whose read failed is not trusted with another one.
        let found = query(&conn)?;
        if let Some(idle) = self.idle().as_mut()
            && idle.len() < self.keep
        {
            idle.push(conn);
        }
        Ok(found)
    }

    pub(super) fn close(&self) {
        self.idle().take();
    }

    fn idle(&self) -> MutexGuard<'_, Option<Vec<Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
