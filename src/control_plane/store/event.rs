//! What happened, kept with the change that made it happen until it has been delivered.
//!
//! An event is numbered by its change and its place in that. Changes happen one after the other, on every engine, so no number
//! appears behind a greater one that somebody has read, and the events of one resource are told in the order in which they
//! happened.

use super::Body;

/// Something to tell others about a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The resource's ARN.
    pub resource: String,
    pub at_ms: i64,
    pub body: Body,
}

/// Names an event. Ids order as the events happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId {
    pub(super) rev: i64,
    pub(super) place: i64,
}

impl EventId {
    /// Revisions begin with 1.
    pub(super) const BEFORE_ALL: Self = Self { rev: 0, place: 0 };
}

/// An event that is waiting to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitted {
    pub id: EventId,
    pub event: Event,
}

/// The events that wait to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    pub count: i64,
    /// When the first of them happened.
    pub since_ms: i64,
}
