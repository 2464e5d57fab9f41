//! Calls take turns with connections.
//!
//! A worker does one thing after the other. So that what it says to clients does not wait for all
//! that it does for them, calls make way for connections after each slice of work: the more calls a
//! worker has, the longer each takes, and yet a new one is heard, or refused, within milliseconds.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
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
    worked: Duration,
    /// Whether a call waits for the runtime to have looked at the sockets, and wakes the others then.
    heralded: bool,
    /// The others, in their order.
    waiting: Vec<Waker>,
}

impl Slices {
    /// The call, in slices.
    pub(crate) fn of<F>(&self, call: Pin<Box<F>>) -> InSlices<F> {
        InSlices {
            slices: self.clone(),
            is_herald: false,
            call,
        }
    }

    fn slice(&self) -> MutexGuard<'_, Slice> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slice {
    /// Begins when the connections have had their turn.
    fn next(&mut self) {
        self.heralded = false;
        self.worked = Duration::ZERO;
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

/// A call that makes way when a slice of work is over.
pub(crate) struct InSlices<F> {
    slices: Slices,
    is_herald: bool,
    call: Pin<Box<F>>,
}

impl<F: Future> Future for InSlices<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let mut slice = self.slices.slice();
        if self.is_herald {
            slice.next();
        }
        let is_over = slice.worked >= SLICE;
        let is_herald = is_over && !slice.heralded;
        if is_herald {
            slice.heralded = true;
            // The runtime wakes whoever yields when it has looked at the sockets. It wakes the last
            // first, which would let the others starve: so only one yields, and wakes them.
            let _ = pin!(yield_now()).poll(context);
        } else if is_over {
            slice.waiting.push(context.waker().clone());
        }
        drop(slice);
        self.is_herald = is_herald;
        if is_over {
            return Poll::Pending;
        }
        let begun = Instant::now();
        let poll = self.call.as_mut().poll(context);
        self.slices.slice().worked += begun.elapsed();
        poll
    }
}

impl<F> Drop for InSlices<F> {
    /// Whoever is waited for does not leave without a word.
    fn drop(&mut self) {
        if self.is_herald {
            self.slices.slice().next();
        }
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

    /// Work, not waiting: the thread does nothing else meanwhile.
    async fn work() {
        thread::sleep(SLICE);
    }

    #[tokio::test]
    async fn calls_go_on_in_their_order() {
        let (slices, order) = (Slices::default(), Arc::new(Mutex::new(Vec::new())));
        let calls = (0..10).map(|number| {
            let order = Arc::clone(&order);
            tokio::spawn(slices.of(Box::pin(async move {
                work().await;
                order.lock().unwrap().push(number);
            })))
        });
        join_all(calls.collect::<Vec<_>>()).await;
        assert!(order.lock().unwrap().is_sorted());
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_leaves_nobody_waiting() {
        let slices = Slices::default();
        slices.of(Box::pin(work())).await;
        let (mut herald, mut other) = (slices.of(Box::pin(work())), slices.of(Box::pin(work())));
        assert!(futures_util::poll!(&mut herald).is_pending());
        assert!(futures_util::poll!(&mut other).is_pending());
        drop(herald);
        other.await;
    }

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
        join_all((0..CALLS).map(|_| tokio::spawn(slices.of(Box::pin(work()))))).await;
        let turns = turns.load(Relaxed);
        assert!(turns >= CALLS - 1, "{turns} turns");
        connection.abort();
    }
}
