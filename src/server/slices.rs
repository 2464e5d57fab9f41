//! Calls take turns with connections.
//!
//! A worker does one thing after the other. So that what it says to clients does not wait for all
//! that it does for them, calls make way for connections after each slice of work: the more calls a
//! worker has, the longer each takes, and yet a new one is heard, or refused, within milliseconds.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{task::yield_now, time::Instant};

/// Long beside the look at all sockets that follows it, short for whoever waits for that.
const SLICE: Duration = Duration::from_millis(1);

/// The work of one worker. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Slices(Arc<Mutex<Slice>>);

/// The slice that is being worked on.
#[derive(Default)]
struct Slice {
    number: u64,
    worked: Duration,
}

impl Slices {
    pub(crate) fn of<F>(&self, call: Pin<Box<F>>) -> InSlices<F> {
        InSlices {
            slices: self.clone(),
            made_way: None,
            call,
        }
    }

    fn slice(&self) -> MutexGuard<'_, Slice> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that makes way when a slice of work is over.
pub(crate) struct InSlices<F> {
    slices: Slices,
    /// In which slice.
    made_way: Option<u64>,
    call: Pin<Box<F>>,
}

impl<F: Future> Future for InSlices<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        {
            let mut slice = self.slices.slice();
            if self.made_way == Some(slice.number) {
                // The connections have had their turn since.
                slice.number += 1;
                slice.worked = Duration::ZERO;
            }
            if slice.worked >= SLICE {
                let number = slice.number;
                drop(slice);
                self.made_way = Some(number);
                // Wakes the call when the runtime has looked at the sockets.
                let _ = pin!(yield_now()).poll(context);
                return Poll::Pending;
            }
        }
        let begun = Instant::now();
        let poll = self.call.as_mut().poll(context);
        self.slices.slice().worked += begun.elapsed();
        poll
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
        thread,
    };

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn connections_have_their_turn_after_each_slice_of_work() {
        const CALLS: usize = 10;
        let (slices, turns) = (Slices::default(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&turns);
        let connection = tokio::spawn(async move {
            loop {
                counted.fetch_add(1, Relaxed);
                yield_now().await;
            }
        });
        // Work, not waiting: the thread does nothing else meanwhile.
        let calls = (0..CALLS).map(|_| slices.of(Box::pin(async { thread::sleep(SLICE) })));
        join_all(calls.map(tokio::spawn)).await;
        let turns = turns.load(Relaxed);
        assert!(turns >= CALLS - 1, "{turns} turns");
        connection.abort();
    }
}
