//! Time and identity come from outside: nothing in the control plane reads a clock or randomness of its own, so that a test can
//! let eight hours pass in no time and knows every id beforehand.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// What the control plane asks of the world around it.
pub trait Ambient: Send + Sync + 'static {
    /// Milliseconds since the epoch.
    fn now_ms(&self) -> i64;

    /// A new lower-case UUID.
    fn uuid(&self) -> String;

    /// Returns when `now_ms` has reached the time.
    fn sleep_until(&self, at_ms: i64) -> Sleep<'_>;
}

pub type Sleep<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The machine's clock and random ids.
#[derive(Debug, Default)]
pub struct System;

impl Ambient for System {
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
    }

    fn uuid(&self) -> String {
        uuid::Uuid::new_v4().to_string()
    }

    fn sleep_until(&self, at_ms: i64) -> Sleep<'_> {
        let rest = u64::try_from(at_ms - self.now_ms()).unwrap_or(0);
        Box::pin(tokio::time::sleep(Duration::from_millis(rest)))
    }
}

/// Time that stands still until it is told to go on, and ids that count up.
#[derive(Debug)]
pub struct Manual {
    now_ms: watch::Sender<i64>,
    ids: AtomicU64,
}

impl Manual {
    pub fn starting_at(now_ms: i64) -> Self {
        Self {
            now_ms: watch::Sender::new(now_ms),
            ids: AtomicU64::new(1),
        }
    }

    /// Lets time pass, and wakes who slept for it.
    pub fn advance(&self, by: Duration) {
        let by =
            i64::try_from(by.as_millis()).expect("tests live less than the age of the universe");
        self.now_ms.send_modify(|now| *now += by);
    }
}

impl Ambient for Manual {
    fn now_ms(&self) -> i64 {
        *self.now_ms.borrow()
    }

    fn uuid(&self) -> String {
        let count = self.ids.fetch_add(1, Ordering::Relaxed);
        format!("00000000-0000-4000-8000-{count:012x}")
    }

    fn sleep_until(&self, at_ms: i64) -> Sleep<'_> {
        let mut time = self.now_ms.subscribe();
        Box::pin(async move {
            let reached = time.wait_for(|now| *now >= at_ms).await;
            drop(reached.expect("the sender lives as long as self"));
        })
    }
}
