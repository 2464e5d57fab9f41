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
    time::{Instant, sleep, sleep_until},
};

use crate::overload::{Pace, Rate};

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

    /// Begins a call.
    pub(crate) fn begin(self: &Arc<Self>, now: Instant) -> Call {
        let mut state = self.state();
        state.open += 1;
        Call {
            streams: Arc::clone(self),
            wait: state.calls.next(now),
            answered: false,
        }
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
    /// Until it is its turn.
    wait: Duration,
    answered: bool,
}

impl Call {
    /// Until it is the call's turn.
    pub(crate) async fn turn(&self) {
        if !self.wait.is_zero() {
            sleep(self.wait).await;
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    async fn called(streams: &Arc<Streams>) {
        let call = streams.begin(Instant::now());
        call.turn().await;
        drop(call.answered(()));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_beyond_the_rate_wait_for_their_turn() {
        let streams = Arc::new(Streams::new(Instant::now()));
        let begun = Instant::now();
        for _ in 0..CALLS.at_once {
            called(&streams).await;
        }
        assert!(begun.elapsed().is_zero());
        for _ in 0..CALLS.a_second / 2 {
            called(&streams).await;
        }
        assert!(begun.elapsed().as_millis() >= 499);
    }
}
