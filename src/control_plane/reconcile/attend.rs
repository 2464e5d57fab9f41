//! One item of work, from the claim to the outcome.

use std::time::Duration;

use tokio::sync::watch;

use super::{after, deployment, registration, service};
use crate::control_plane::ControlPlane;
use crate::control_plane::store::{Change, Claimed, CommitError, Work};

/// How long an item is held without a sign of life.
pub(super) const LEASE: Duration = Duration::from_secs(60);
const RENEW_EVERY: Duration = Duration::from_secs(20);

/// After so many attempts the failure is the outcome. Attempts that a crash ended count too, lest one item kill every process.
const MOST_ATTEMPTS: i64 = 8;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often a store is tried again that cannot be reached: for half a minute. One that never takes this outcome is not asked for
/// ever: the claim runs out then, and counts as an attempt.
const MOST_OUTAGES: i64 = 5;

/// Why an attempt came to nothing, though the next may succeed. `Display` is for the user to read.
pub(super) type Setback = Box<dyn std::error::Error + Send + Sync>;

/// What an attempt came to.
pub(super) enum Step {
    /// Nothing is left to do.
    Done(Change),
    /// There is more to do, at this time.
    Later { change: Change, at_ms: i64 },
}

/// Works on the item for as long as it is held.
pub(super) async fn attend(
    plane: ControlPlane,
    claimed: Claimed,
    mut stopping: watch::Receiver<bool>,
) {
    let ended = tokio::select! {
        ended = conclude(&plane, &claimed) => ended,
        lost = keep(&plane, &claimed) => Err(lost),
        () = stopped(&mut stopping) => hand_back(&plane, claimed.clone()).await,
    };
    if let Err(cause) = ended {
        let (kind, subject) = (&claimed.work.kind, &claimed.work.subject);
        tracing::warn!(error = &cause as &dyn std::error::Error, %kind, %subject, "work has no outcome yet");
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // Without a sender there is nobody left to work for.
    stopping.wait_for(|stop| *stop).await.ok();
}

/// Works on the item and commits what comes of it; again when the records have changed meanwhile, or the store was away: nobody
/// else would look at the item before the lease has run out.
async fn conclude(plane: &ControlPlane, claimed: &Claimed) -> Result<(), CommitError> {
    let mut outages = 0;
    loop {
        let ended = match attempt(plane, claimed).await {
            Ok((change, outcome)) => {
                let committed = plane.store().commit(change).await.map(drop);
                if committed.is_ok()
                    && let Some(metrics) = plane.metrics()
                {
                    metrics
                        .work
                        .attempt(known_kind(&claimed.work.kind), outcome);
                }
                committed
            }
            Err(failed) => Err(failed),
        };
        match ended {
            Err(CommitError::Changed(_) | CommitError::Exists(_)) => {}
            Err(CommitError::Unavailable(_)) if outages < MOST_OUTAGES => {
                outages += 1;
                let pause = after(plane, pause(outages));
                plane.ambient().sleep_until(pause).await;
            }
            ended => return ended,
        }
    }
}

/// What an attempt changes, and what that is called.
async fn attempt(
    plane: &ControlPlane,
    claimed: &Claimed,
) -> Result<(Change, &'static str), CommitError> {
    let work = &claimed.work;
    let setback = match work.attempt <= MOST_ATTEMPTS {
        true => match perform(plane, work).await {
            Ok(Step::Done(change)) => return Ok((change.complete(claimed), "done")),
            Ok(Step::Later { change, at_ms }) => {
                let mut later = claimed.clone();
                later.work.attempt = 0;
                later.work.run_at_ms = at_ms;
                return Ok((change.reschedule(&later), "continued"));
            }
            Err(setback) => setback,
        },
        false => "it came to no end".into(),
    };
    tracing::warn!(error = &*setback as &dyn std::error::Error, subject = %work.subject, attempt = work.attempt, "an attempt failed");
    if work.attempt < MOST_ATTEMPTS {
        let mut later = claimed.clone();
        later.work.run_at_ms = after(plane, pause(work.attempt));
        return Ok((Change::new().reschedule(&later), "retried"));
    }
    let why = format!("gave up after {MOST_ATTEMPTS} attempts: {setback}");
    let change = give_up(plane, work, &why).await?;
    Ok((change.complete(claimed), "failed"))
}

/// The kind as this program names it.
pub(in crate::control_plane) fn known_kind(kind: &str) -> &'static str {
    let kinds = [deployment::KIND, registration::KIND, service::KIND];
    let known = kinds.into_iter().find(|known| *known == kind);
    known.unwrap_or("other")
}

/// Each kind of work, a line here, one above and one below.
async fn perform(plane: &ControlPlane, work: &Work) -> Result<Step, Setback> {
    match work.kind.as_str() {
        deployment::KIND => deployment::perform(plane, work).await,
        registration::KIND => Ok(Step::Done(registration::perform(plane, work).await?)),
        service::KIND => Ok(Step::Done(service::perform(plane, work).await?)),
        kind => Err(format!("work of kind {kind:?} is not known to this program").into()),
    }
}

/// The change that makes the failure the outcome.
async fn give_up(plane: &ControlPlane, work: &Work, why: &str) -> Result<Change, CommitError> {
    match work.kind.as_str() {
        deployment::KIND => Ok(deployment::give_up(plane, work, why).await?),
        registration::KIND => Ok(registration::give_up(plane, work, why).await?),
        service::KIND => Ok(service::give_up(plane, work, why).await?),
        _ => Ok(Change::new()),
    }
}

/// The pause doubles from attempt to attempt.
fn pause(attempt: i64) -> Duration {
    let doublings = u32::try_from(attempt - 1).unwrap_or(u32::MAX).min(16);
    (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE)
}

/// Renews the lease; returns when it is lost.
async fn keep(plane: &ControlPlane, claimed: &Claimed) -> CommitError {
    loop {
        plane.ambient().sleep_until(after(plane, RENEW_EVERY)).await;
        match plane.store().renew(claimed, after(plane, LEASE)).await {
            // There is time for another try before the lease runs out.
            Ok(()) | Err(CommitError::Unavailable(_)) => {}
            Err(lost) => return lost,
        }
    }
}

/// Lets others have the item at once; this attempt does not count.
async fn hand_back(plane: &ControlPlane, mut claimed: Claimed) -> Result<(), CommitError> {
    claimed.work.attempt -= 1;
    claimed.work.run_at_ms = plane.now_ms();
    plane
        .store()
        .commit(Change::new().reschedule(&claimed))
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::super::ms;
    use super::*;
    use crate::control_plane::ambient::{Ambient, Manual, Sleep};
    use crate::control_plane::store::tests::{Server, open};
    use crate::control_plane::store::{Claim, Key, Kind, NewWork};
    use crate::control_plane::tests::plane_of;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let seconds: Vec<u64> = (1..=8).map(|attempt| pause(attempt).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause(i64::MAX).as_secs(), 60);
    }

    /// Tells when somebody sleeps for as long as a first outage lasts.
    struct Watched {
        time: Manual,
        sleeps: Notify,
    }

    impl Ambient for Watched {
        fn now_ms(&self) -> i64 {
            self.time.now_ms()
        }

        fn uuid(&self) -> String {
            self.time.uuid()
        }

        fn sleep_until(&self, at_ms: i64) -> Sleep<'_> {
            if at_ms == self.now_ms() + ms(pause(1)) {
                self.sleeps.notify_one();
            }
            self.time.sleep_until(at_ms)
        }
    }

    #[tokio::test]
    async fn an_outage_of_the_store_does_not_cost_the_rest_of_the_lease() {
        let server = Server::start();
        let ambient = Arc::new(Watched {
            time: Manual::starting_at(0),
            sleeps: Notify::new(),
        });
        let store = open(server.new_database().await).await;
        let plane = plane_of(store, Arc::clone(&ambient) as Arc<dyn Ambient>);
        let gone = Key::new("123456789012/us-east-1", Kind::Deployment, "gone");
        let work = NewWork::new(deployment::KIND, gone, 0, &());
        plane
            .store()
            .commit(Change::new().enqueue(work))
            .await
            .unwrap();
        let claim = Claim {
            worker: "worker",
            now_ms: 0,
            lease_ms: ms(LEASE),
            limit: 1,
        };
        let claimed = plane.store().claim(claim).await.unwrap().remove(0);

        server.stop();
        let (_stop, stopping) = watch::channel(false);
        let mut attending = tokio::spawn(attend(plane.clone(), claimed, stopping));
        tokio::select! {
            () = ambient.sleeps.notified() => {}
            _ = &mut attending => panic!("the item is left alone"),
        }
        server.start_again();
        ambient.time.advance(pause(1));
        attending.await.unwrap();
        assert_eq!(plane.store().next_run_at().await.unwrap(), None);
        plane.close().await;
    }
}
