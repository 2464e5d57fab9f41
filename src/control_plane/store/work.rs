//! Durable work: items enqueued with the records they are about, claimed under leases by workers that may die.

use serde::Serialize;

use super::{Body, Key};

/// An item to enqueue.
#[derive(Clone, Debug)]
pub struct NewWork {
    pub kind: String,
    /// The record it is about.
    pub subject: Key,
    pub run_at_ms: i64,
    pub payload: Body,
}

impl NewWork {
    pub fn new<T: Serialize + ?Sized>(
        kind: impl Into<String>,
        subject: Key,
        run_at_ms: i64,
        payload: &T,
    ) -> Self {
        Self {
            kind: kind.into(),
            subject,
            run_at_ms,
            payload: Body::of(payload),
        }
    }
}

/// The items of a kind, by what there is to be done about them now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    pub kind: String,
    /// To be done later.
    pub scheduled: i64,
    /// To be done now, by nobody yet.
    pub waiting: i64,
    /// Somebody is at it.
    pub running: i64,
    /// Since when the first of those that wait has been due.
    pub since_ms: Option<i64>,
}

/// An item in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// Given by the store, never used again.
    pub id: i64,
    pub kind: String,
    pub subject: Key,
    /// How often it was claimed, this claim included: 1 at first.
    pub attempt: i64,
    /// When it was first due, since it was enqueued or rescheduled.
    pub run_at_ms: i64,
    pub payload: Body,
}

/// An item in the hands of one worker, for as long as no later claim has raised the fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    pub work: Work,
    pub fence: i64,
}

/// What a worker asks for.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Who asks, for whoever looks into the database.
    pub worker: &'a str,
    pub now_ms: i64,
    pub lease_ms: i64,
    pub limit: u32,
}
