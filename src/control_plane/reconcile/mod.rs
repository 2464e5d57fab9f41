//! Does what was promised: finds work in the store, does it, and commits the outcome.
//!
//! Work is found by reading, woken by whoever enqueues and by the clock, so it does not matter who enqueued it or whether that was
//! before a crash. An item is held under a lease, which is renewed while it is worked on; the outcome and the item's completion
//! are one change, which only the holder can make. So work may be begun many times, but comes to its end once, wherever a process
//! dies. What fails for a cause that may pass is tried again, later each time; after the last attempt the failure is the outcome.

mod attend;
pub(super) mod deployment;
pub(super) mod registration;
pub(super) mod service;

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

pub(super) use attend::known_kind;

use super::ControlPlane;
use super::deployable::{Prepared, Trouble};
use super::events::Delivery;
use super::render::{self, Rendering};
use super::store::{Claim, Claimed, CommitError};

/// Items worked on at the same time.
const AT_ONCE: usize = 4;
/// How long a store that failed is left alone.
const PAUSE: Duration = Duration::from_secs(1);
/// How often expired records are swept out, and how many at most in one change.
const SWEEP_EVERY: Duration = Duration::from_secs(10 * 60);
const SWEEP_AT_ONCE: u32 = 1000;

/// Works, and delivers events, until the shutdown; hands back what is under way then, so that the next process can begin at once.
pub async fn run(plane: ControlPlane, shutdown: impl Future<Output = ()>) {
    let mut delivery = plane.sink().map(|sink| Delivery::new(&plane, sink));
    tokio::select! {
        () = work(&plane, shutdown) => {}
        never = sweep(&plane) => match never {},
        never = deliver(delivery.as_mut()) => match never {},
    }
    if let Some(delivery) = delivery {
        delivery.stop().await;
    }
}

async fn deliver(delivery: Option<&mut Delivery<'_>>) -> Infallible {
    match delivery {
        Some(delivery) => delivery.run().await,
        None => std::future::pending().await,
    }
}

async fn work(plane: &ControlPlane, shutdown: impl Future<Output = ()>) {
    let worker = plane.ambient().uuid();
    let (stop, stopping) = watch::channel(false);
    let mut underway = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let claimed = claim(plane, &worker, AT_ONCE - underway.len()).await;
        let not_before = match claimed {
            Ok(claimed) => {
                for claimed in claimed {
                    underway.spawn(attend::attend(plane.clone(), claimed, stopping.clone()));
                }
                plane.now_ms()
            }
            Err(cause) => {
                tracing::error!(
                    error = &cause as &dyn std::error::Error,
                    "work could not be claimed"
                );
                after(plane, PAUSE)
            }
        };
        let idle_hands = underway.len() < AT_ONCE;
        tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = underway.join_next() => note_panic(ended),
            () = plane.store().work_scheduled(), if idle_hands => {}
            () = work_due(plane, not_before), if idle_hands => {}
        }
    }
    stop.send_replace(true);
    while let Some(ended) = underway.join_next().await {
        note_panic(ended);
    }
}

async fn claim(
    plane: &ControlPlane,
    worker: &str,
    limit: usize,
) -> Result<Vec<Claimed>, CommitError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let limit = u32::try_from(limit).expect("hands are few");
    plane
        .store()
        .claim(Claim {
            worker,
            now_ms: plane.now_ms(),
            lease_ms: ms(attend::LEASE),
            limit,
        })
        .await
}

/// Returns when the clock says that there is work, but not before the time.
async fn work_due(plane: &ControlPlane, not_before_ms: i64) {
    match plane.store().next_run_at().await {
        Ok(Some(at_ms)) => plane.ambient().sleep_until(at_ms.max(not_before_ms)).await,
        Ok(None) => std::future::pending().await,
        Err(_) => plane.ambient().sleep_until(after(plane, PAUSE)).await,
    }
}

/// The item stays claimed until its lease runs out, and is tried again then.
fn note_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(cause) = ended {
        tracing::error!(
            error = &cause as &dyn std::error::Error,
            "work ended in a panic"
        );
    }
}

async fn sweep(plane: &ControlPlane) -> Infallible {
    loop {
        match plane.store().sweep(plane.now_ms(), SWEEP_AT_ONCE).await {
            Ok(count) if count == SWEEP_AT_ONCE as usize => continue,
            Ok(_) => {}
            Err(cause) => tracing::warn!(
                error = &cause as &dyn std::error::Error,
                "expired records were not swept"
            ),
        }
        plane.ambient().sleep_until(after(plane, SWEEP_EVERY)).await;
    }
}

fn after(plane: &ControlPlane, time: Duration) -> i64 {
    plane.now_ms() + ms(time)
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).expect("pauses are short")
}

/// Renders on a thread for blocking work: templates come from strangers and may take their time.
pub(super) async fn render_in_background(
    plane: &ControlPlane,
    prepared: Prepared,
) -> Result<Rendering, Trouble> {
    let limits = plane.limits().rendering.clone();
    let rendering = tokio::task::spawn_blocking(move || {
        let Prepared {
            manifest,
            files,
            namespace,
            origin,
        } = prepared;
        render::render(&manifest, &files, &namespace, &origin, &limits)
    });
    let rendered = rendering
        .await
        .map_err(|_| Trouble::Setback("the templates could not be rendered".into()))?;
    rendered.map_err(|refused| Trouble::Unfit(refused.to_string()))
}
