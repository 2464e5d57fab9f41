//! The bytes that requests take, of all calls in flight together: as they are read, and unpacked.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Sixty-four of the largest requests, or tens of thousands of common ones.
const BYTES: usize = 64 << 20;

/// The bytes that requests may take together while they are in flight.
#[derive(Debug)]
pub struct Room(Semaphore);

/// Bytes that are taken until this is dropped.
#[derive(Debug)]
pub struct Taken<'a>(SemaphorePermit<'a>);

/// There is no room now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Default for Room {
    fn default() -> Self {
        Self::of(BYTES)
    }
}

impl Room {
    pub(crate) fn of(bytes: usize) -> Self {
        Self(Semaphore::new(bytes))
    }

    pub fn take(&self, bytes: usize) -> Result<Taken<'_>, Full> {
        let bytes = u32::try_from(bytes).map_err(|_| Full)?;
        let taken = self.0.try_acquire_many(bytes).map_err(|_| Full)?;
        Ok(Taken(taken))
    }
}

impl Taken<'_> {
    /// Takes more.
    pub fn add(&mut self, more: Self) {
        self.0.merge(more.0);
    }
}
