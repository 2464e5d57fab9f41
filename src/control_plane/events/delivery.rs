//! Hands events on, one after the other as they happened. Of the processes that share a store, one does so at a time: it takes a
//! turn, which it keeps for as long as there is something to deliver, and which ends by itself should the process die.
//!
//! An event that is not taken is offered again, ever more slowly, and those behind it wait, since order matters. Nothing but the
//! outbox waits with them.

use std::convert::Infallible;
use std::time::Duration;

use super::{Sink, SinkError};
use crate::control_plane::ControlPlane;
use crate::control_plane::store::{CommitError, EventId};

const AT_ONCE: u32 = 100;
/// For how long one process is the one to deliver without saying so again.
const TURN: Duration = Duration::from_secs(30);
/// How long before the end of its turn it begins no more deliveries: one takes less.
const RESERVE: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub(in crate::control_plane) struct Delivery<'a> {
    plane: &'a ControlPlane,
    sink: &'a Sink,
    holder: String,
    turn_ends_at_ms: i64,
    /// How long to rest when nothing can be delivered.
    pause: Duration,
}

enum Round {
    Delivered,
    Nothing,
    /// Another process delivers.
    NotOurTurn,
    /// The sink takes nothing now.
    Stuck,
}

impl<'a> Delivery<'a> {
    pub(in crate::control_plane) fn new(plane: &'a ControlPlane, sink: &'a Sink) -> Self {
        Self {
            plane,
            sink,
            holder: plane.ambient().uuid(),
            turn_ends_at_ms: i64::MIN,
            pause: FIRST_PAUSE,
        }
    }

    /// Delivers for as long as it is polled.
    pub(in crate::control_plane) async fn run(&mut self) -> Infallible {
        loop {
            match self.round().await {
                Ok(Round::Delivered) => self.recover(),
                Ok(Round::Nothing) => self.plane.store().events_emitted().await,
                Ok(Round::NotOurTurn) => sleep(self.plane, TURN / 3).await,
                Ok(Round::Stuck) => self.rest().await,
                Err(cause) => {
                    tracing::warn!(
                        error = &cause as &dyn std::error::Error,
                        "the store gives no events"
                    );
                    self.rest().await;
                }
            }
        }
    }

    /// Lets another process have the turn at once.
    pub(in crate::control_plane) async fn stop(self) {
        let now_ms = self.plane.now_ms();
        if now_ms < self.turn_ends_at_ms {
            let given_up = self.plane.store().deliver(&self.holder, now_ms, now_ms);
            // Else it ends by itself.
            given_up.await.ok();
        }
    }

    async fn round(&mut self) -> Result<Round, CommitError> {
        // A look comes first, so that whoever has nothing to deliver writes nothing.
        if self.plane.store().events(None, 1).await?.is_empty() {
            return Ok(Round::Nothing);
        }
        if !self.take_turn().await? {
            return Ok(Round::NotOurTurn);
        }
        let taken = self.hand_on().await?;
        if taken.is_empty() {
            return Ok(Round::Stuck);
        }
        self.plane.store().delivered(&taken).await?;
        Ok(Round::Delivered)
    }

    async fn take_turn(&mut self) -> Result<bool, CommitError> {
        if self.has_time() {
            return Ok(true);
        }
        let now_ms = self.plane.now_ms();
        let ends_at_ms = now_ms + ms(TURN);
        let store = self.plane.store();
        let ours = store.deliver(&self.holder, now_ms, ends_at_ms).await?;
        self.turn_ends_at_ms = if ours { ends_at_ms } else { i64::MIN };
        Ok(ours)
    }

    /// Whether the turn is long enough for one more delivery.
    fn has_time(&self) -> bool {
        self.plane.now_ms().saturating_add(ms(RESERVE)) <= self.turn_ends_at_ms
    }

    /// Offers the sink what waits, and answers with what it took.
    async fn hand_on(&self) -> Result<Vec<EventId>, CommitError> {
        let waiting = self.plane.store().events(None, AT_ONCE).await?;
        let mut taken = Vec::new();
        for events in waiting.chunks(self.sink.at_once()) {
            if !self.has_time() {
                break;
            }
            if let Err(cause) = self.sink.take(self.plane, events).await {
                if taken.is_empty() {
                    self.complain(&cause).await;
                }
                break;
            }
            taken.extend(events.iter().map(|event| event.id));
        }
        Ok(taken)
    }

    async fn complain(&self, cause: &SinkError) {
        let backlog = self.plane.store().backlog().await.ok().flatten();
        let waiting = backlog.map_or(0, |backlog| backlog.count);
        let since = backlog.map(|backlog| super::time(backlog.since_ms));
        tracing::warn!(
            error = cause as &dyn std::error::Error,
            waiting,
            since,
            "events wait to be delivered"
        );
    }

    fn recover(&mut self) {
        if self.pause > FIRST_PAUSE {
            tracing::info!("events are delivered again");
            self.pause = FIRST_PAUSE;
        }
    }

    async fn rest(&mut self) {
        sleep(self.plane, self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

pub(super) async fn sleep(plane: &ControlPlane, time: Duration) {
    let until_ms = plane.now_ms() + ms(time);
    plane.ambient().sleep_until(until_ms).await;
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).expect("pauses are short")
}
