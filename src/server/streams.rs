//! The calls of one connection: how fast they may come, how often they may be given up, and since
//! when there are none.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// What a CPU can answer at best; a connection has one. Calls beyond it wait for their turn, so
/// that a flood of calls that cost little takes no more of the CPU than that.
const CALLS: Rate = Rate {
    a_second: 20_000,
    at_once: 20_000,
};

/// Calls that are taken back before they are answered. A client whose deadlines are short does that
/// now and then, one that means harm does nothing else.
const RESETS: Rate = Rate {
    a_second: 100,
    at_once: 1_000,
};

/// How long a connection without a call is kept.
pub(super) const IDLE: Duration = Duration::from_secs(15 * 60);

/// The calls of one connection.
pub(crate) struct Streams {
    state: Mutex<State>,
    abused: Notify,
}

struct State {
    open: usize,
    /// The end of the last one, for when none is open.
    ended: Instant,
    calls: Pace,
    resets: Pace,
}

impl Streams {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            state: Mutex::new(State {
                open: 0,
                ended: now,
                calls: CALLS.from(now),
                resets: RESETS.from(now),
            }),
            abused: Notify::new(),
        }
    }

    /// Begins a call, when it is its turn.
    pub(crate) async fn begin(self: &Arc<Self>, now: Instant) -> Call {
        let wait = {
            let mut state = self.state();
            state.open += 1;
            state.calls.next(now)
        };
        let call = Call {
            streams: Arc::clone(self),
            answered: false,
        };
        if !wait.is_zero() {
            sleep_until(now + wait).await;
        }
        call
    }

    /// Until there was no call for a while.
    pub(crate) async fn idle(&self) {
        loop {
            let (busy, ended) = {
                let state = self.state();
                (state.open > 0, state.ended)
            };
            let now = Instant::now();
            // Whoever is busy now is not idle before that, whenever the calls end.
            let idle = if busy { now + IDLE } else { ended + IDLE };
            if idle <= now {
                return;
            }
            sleep_until(idle).await;
        }
    }

    /// Until the client has given up more calls than anybody has a reason to.
    pub(crate) async fn abused(&self) {
        self.abused.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is open.
pub(crate) struct Call {
    streams: Arc<Streams>,
    answered: bool,
}

impl Call {
    /// From here on it ends when its response does.
    pub(crate) fn answered<B>(mut self, body: B) -> Answer<B> {
        self.answered = true;
        Answer { body, _call: self }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut state = self.streams.state();
        state.open -= 1;
        state.ended = now;
        if !self.answered && !state.resets.next(now).is_zero() {
            self.streams.abused.notify_one();
        }
    }
}

/// The body of a response, with the call that it ends.
pub(crate) struct Answer<B> {
    body: B,
    _call: Call,
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How many, in the long run and in one go.
struct Rate {
    a_second: u32,
    at_once: u32,
}

impl Rate {
    fn from(&self, now: Instant) -> Pace {
        let each = Duration::from_secs(1) / self.a_second;
        Pace {
            each,
            ahead: each * self.at_once,
            due: now,
        }
    }
}

/// A bucket of tokens, kept as the time at which it is full again.
struct Pace {
    each: Duration,
    ahead: Duration,
    due: Instant,
}

impl Pace {
    /// How long the next one has to wait.
    fn next(&mut self, now: Instant) -> Duration {
        self.due = self.due.max(now) + self.each;
        (self.due - now).saturating_sub(self.ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: Rate = Rate {
        a_second: 4,
        at_once: 2,
    };

    #[test]
    fn beyond_what_may_come_at_once_each_waits_for_the_one_before() {
        let now = Instant::now();
        let mut pace = FOUR.from(now);
        let waits: Vec<_> = (0..4).map(|_| pace.next(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 250, 500]);
    }

    #[test]
    fn time_gives_back_what_was_taken_and_no_more() {
        let now = Instant::now();
        let mut pace = FOUR.from(now);
        pace.next(now);
        pace.next(now);
        let later = now + Duration::from_millis(250);
        assert_eq!(pace.next(later).as_millis(), 0);
        assert_eq!(pace.next(later).as_millis(), 250);
        let much_later = now + Duration::from_secs(60);
        let waits: Vec<_> = (0..3).map(|_| pace.next(much_later).as_millis()).collect();
        assert_eq!(waits, [0, 0, 250]);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_beyond_the_rate_wait_for_their_turn() {
        let streams = Arc::new(Streams::new(Instant::now()));
        let begun = Instant::now();
        for _ in 0..CALLS.at_once {
            drop(streams.begin(begun).await.answered(()));
        }
        assert!(begun.elapsed().is_zero());
        for _ in 0..CALLS.a_second / 2 {
            drop(streams.begin(Instant::now()).await.answered(()));
        }
        assert!(begun.elapsed().as_millis() >= 499);
    }
}
