//! Claims, leases and fences.

use std::time::Duration;

use super::*;

on_each_engine! {
    due_items_are_claimed_longest_due_first_and_once,
    a_completed_item_is_gone_together_with_its_change,
    an_expired_lease_is_claimed_again_and_the_former_holder_can_write_nothing,
    an_expired_lease_that_nobody_took_is_still_good,
    a_rescheduled_item_comes_back_as_it_was_handed_back,
    the_next_run_is_the_earliest_of_due_items_and_ending_leases,
    the_queue_tells_what_is_to_be_done_and_what_is_being_done,
    scheduled_work_wakes_also_whoever_waits_only_afterwards,
    a_failed_change_enqueues_nothing_and_wakes_nobody,
    an_item_id_is_never_used_again,
}

const LEASE_MS: i64 = 100;

async fn enqueue(store: &Store, name: &str, run_at_ms: i64) {
    let work = NewWork::new("deploy", environment(name), run_at_ms, name);
    store.commit(Change::new().enqueue(work)).await.unwrap();
}

async fn claim(store: &Store, now_ms: i64) -> Vec<Claimed> {
    let claim = Claim {
        worker: "worker",
        now_ms,
        lease_ms: LEASE_MS,
        limit: 2,
    };
    store.claim(claim).await.unwrap()
}

fn subjects(claimed: &[Claimed]) -> Vec<&str> {
    claimed
        .iter()
        .map(|it| it.work.subject.id.as_str())
        .collect()
}

async fn due_items_are_claimed_longest_due_first_and_once(store: Scratch) {
    for (name, run_at_ms) in [("third", 30), ("first", 10), ("second", 20), ("later", 99)] {
        enqueue(&store, name, run_at_ms).await;
    }
    let claimed = claim(&store, 50).await;
    assert_eq!(subjects(&claimed), ["first", "second"]);
    assert_eq!(claimed[0].work.attempt, 1);
    assert_eq!(claimed[0].work.run_at_ms, 10);
    assert_eq!(claimed[0].work.payload.read::<String>().unwrap(), "first");
    assert_eq!(subjects(&claim(&store, 50).await), ["third"]);
    assert!(claim(&store, 50).await.is_empty());
}

async fn a_completed_item_is_gone_together_with_its_change(store: Scratch) {
    enqueue(&store, "prod", 0).await;
    let claimed = claim(&store, 0).await;
    let done = Change::new().put(Put::create(environment("prod"), "deployed"));
    store.commit(done.complete(&claimed[0])).await.unwrap();
    assert_eq!(store.next_run_at().await.unwrap(), None);
    let again = store.commit(Change::new().complete(&claimed[0])).await;
    assert!(matches!(again, Err(CommitError::LostClaim(id)) if id == claimed[0].work.id));
}

/// Where one process has the store to itself. Others keep the claim until its lease ends, which the next test is about.
#[tokio::test]
async fn what_a_process_held_when_it_ended_is_claimed_by_the_next_at_once() {
    let store = Scratch::new(Engine::Sqlite).await;
    enqueue(&store, "prod", 0).await;
    let former = claim(&store, 0).await.remove(0);

    let store = store.reopen().await;
    let holder = claim(&store, 0).await.remove(0);
    assert_eq!(holder.work.attempt, 2);
    let late = store.commit(Change::new().complete(&former)).await;
    assert!(matches!(late, Err(CommitError::LostClaim(_))));
    store.commit(Change::new().complete(&holder)).await.unwrap();
}

async fn an_expired_lease_is_claimed_again_and_the_former_holder_can_write_nothing(store: Scratch) {
    enqueue(&store, "prod", 0).await;
    let former = claim(&store, 0).await.remove(0);
    assert!(claim(&store, LEASE_MS - 1).await.is_empty());
    let holder = claim(&store, LEASE_MS).await.remove(0);
    assert!(holder.fence > former.fence);
    assert_eq!(holder.work.attempt, 2);

    let late = [
        Change::new().complete(&former),
        Change::new().reschedule(&former),
        Change::new().renew(&former, 999),
    ];
    for change in late {
        let change = change.put(Put::create(environment("prod"), "late"));
        let error = store.commit(change).await.unwrap_err();
        assert!(matches!(error, CommitError::LostClaim(_)), "{error}");
    }
    assert_eq!(store.get(&environment("prod")).await.unwrap(), None);
    store.commit(Change::new().complete(&holder)).await.unwrap();
}

async fn an_expired_lease_that_nobody_took_is_still_good(store: Scratch) {
    enqueue(&store, "prod", 0).await;
    let claimed = claim(&store, 0).await.remove(0);
    store.renew(&claimed, 500).await.unwrap();
    assert!(claim(&store, 499).await.is_empty());
    store
        .commit(Change::new().complete(&claimed))
        .await
        .unwrap();
}

async fn a_rescheduled_item_comes_back_as_it_was_handed_back(store: Scratch) {
    enqueue(&store, "prod", 0).await;
    let mut claimed = claim(&store, 0).await.remove(0);
    claimed.work.run_at_ms = 70;
    claimed.work.attempt = 0;
    claimed.work.payload = Body::of("second half");
    store
        .commit(Change::new().reschedule(&claimed))
        .await
        .unwrap();

    assert_eq!(store.next_run_at().await.unwrap(), Some(70));
    let late = store.commit(Change::new().complete(&claimed)).await;
    assert!(matches!(late, Err(CommitError::LostClaim(_))));
    assert!(claim(&store, 69).await.is_empty());
    let again = claim(&store, 70).await.remove(0);
    assert_eq!(
        again.work,
        Work {
            attempt: 1,
            ..claimed.work
        }
    );
}

async fn the_next_run_is_the_earliest_of_due_items_and_ending_leases(store: Scratch) {
    enqueue(&store, "soon", 10).await;
    enqueue(&store, "later", 500).await;
    assert_eq!(store.next_run_at().await.unwrap(), Some(10));
    claim(&store, 20).await;
    assert_eq!(store.next_run_at().await.unwrap(), Some(20 + LEASE_MS));
}

async fn the_queue_tells_what_is_to_be_done_and_what_is_being_done(store: Scratch) {
    assert_eq!(store.queue(0).await.unwrap(), []);
    for (name, run_at_ms) in [("third", 30), ("first", 10), ("second", 20), ("later", 99)] {
        enqueue(&store, name, run_at_ms).await;
    }
    let queue = |scheduled, waiting, running, since_ms| Queue {
        kind: "deploy".to_owned(),
        scheduled,
        waiting,
        running,
        since_ms,
    };
    assert_eq!(store.queue(50).await.unwrap(), [queue(1, 3, 0, Some(10))]);
    claim(&store, 50).await;
    assert_eq!(store.queue(50).await.unwrap(), [queue(1, 1, 2, Some(30))]);
    let leases_end = 50 + LEASE_MS;
    assert_eq!(
        store.queue(leases_end).await.unwrap(),
        [queue(0, 4, 0, Some(30))]
    );
}

async fn scheduled_work_wakes_also_whoever_waits_only_afterwards(store: Scratch) {
    enqueue(&store, "prod", 0).await;
    store.work_scheduled().await;

    store.create(&environment("prod")).await.unwrap();
    let mut waiting = Box::pin(store.work_scheduled());
    let woken = tokio::time::timeout(Duration::ZERO, &mut waiting).await;
    assert!(woken.is_err(), "a change without work woke the waiter");
    enqueue(&store, "dev", 0).await;
    waiting.await;
}

async fn a_failed_change_enqueues_nothing_and_wakes_nobody(store: Scratch) {
    let work = NewWork::new("deploy", environment("prod"), 0, &());
    let missing = Expect::Present(environment("prod"));
    let failed = store
        .commit(Change::new().expect(missing).enqueue(work))
        .await;
    assert!(failed.is_err());
    let woken = tokio::time::timeout(Duration::ZERO, store.work_scheduled()).await;
    assert!(woken.is_err());
}

async fn an_item_id_is_never_used_again(store: Scratch) {
    enqueue(&store, "prod", 0).await;
    let first = claim(&store, 0).await.remove(0);
    store.commit(Change::new().complete(&first)).await.unwrap();
    let store = store.reopen().await;
    enqueue(&store, "prod", 0).await;
    assert!(claim(&store, 0).await[0].work.id > first.work.id);
}
