//! How much may be under way, so that what is taken on is answered in time.
//!
//! ```text
//!  a call ──► shedding   more than this worker can answer in time? not taken on
//!         ──► callers    more than is due to this caller? may come again, and is told when
//!         ──► room       bytes of requests, of all calls together
//!         ──► the work
//! ```
//!
//! Both fronts ask here. Nobody waits for anything: whoever is refused hears so at once, before
//! anything was executed, with the time after which it is worth coming again.

mod callers;
mod pace;
mod room;
mod shedding;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

pub use callers::{Limits, Refused, Turn, Why};
pub use pace::{Pace, Rate};
pub use room::{Full, Room, Taken};
pub use shedding::{Overloaded, Place, Shedding, Work};

use crate::identity::Principal;
use callers::Callers;

/// What time it is.
pub type Clock = fn() -> Instant;

/// When whoever found no room may come again.
pub const LATER: Duration = Duration::from_secs(1);

/// What all workers of all fronts share. Clones are the same.
#[derive(Clone)]
pub struct Overload(Arc<Shared>);

struct Shared {
    /// None if nobody is limited, which then costs nothing.
    callers: Option<Callers>,
    room: Room,
    clock: Clock,
}

impl Overload {
    pub fn new(limits: Limits, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            callers: limits.any().then(|| Callers::new(limits)),
            room: Room::default(),
            clock,
        }))
    }

    /// Lets a caller's call in if it is due to it. The turn lasts as long as what is returned, and
    /// there is none where nobody is limited.
    pub fn admit(&self, principal: &Principal) -> Result<Option<Turn>, Refused> {
        let callers = self.0.callers.as_ref();
        let admit = |callers: &Callers| callers.admit(principal.who(), (self.0.clock)());
        callers.map(admit).transpose()
    }

    pub fn room(&self) -> &Room {
        &self.0.room
    }
}
