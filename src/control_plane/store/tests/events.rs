//! Events: emitted with a change, read in order, forgotten once delivered.

use super::*;

on_each_engine! {
    events_come_in_the_order_in_which_they_happened,
    what_is_delivered_is_forgotten_and_the_rest_stays,
    a_refused_change_emits_nothing,
    one_holder_delivers_until_its_time_is_over,
    emitted_events_wake_also_whoever_waits_only_afterwards,
    no_event_appears_behind_one_that_was_read,
}

async fn emit(store: &Store, events: &[Event]) -> Result<i64, CommitError> {
    let change = events.iter().cloned().fold(Change::new(), Change::emit);
    store.commit(change).await
}

async fn waiting(store: &Store, after: Option<EventId>, limit: u32) -> Vec<Event> {
    let events = store.events(after, limit).await.unwrap();
    events.into_iter().map(|it| it.event).collect()
}

async fn events_come_in_the_order_in_which_they_happened(store: Scratch) {
    let events = ["a", "b", "a", "c"].map(|name| event(name, 1));
    emit(&store, &events[..3]).await.unwrap();
    emit(&store, &events[3..]).await.unwrap();
    assert_eq!(waiting(&store, None, 9).await, events);
    let first = store.events(None, 2).await.unwrap();
    assert_eq!(waiting(&store, Some(first[1].id), 9).await, events[2..]);
    let store = store.reopen().await;
    assert_eq!(waiting(&store, None, 3).await, events[..3]);
}

async fn what_is_delivered_is_forgotten_and_the_rest_stays(store: Scratch) {
    let events = ["a", "b", "c"].map(|name| event(name, 1));
    emit(&store, &events).await.unwrap();
    let ids: Vec<_> = store.events(None, 9).await.unwrap();
    store.delivered(&[ids[0].id, ids[2].id]).await.unwrap();
    assert_eq!(waiting(&store, None, 9).await, events[1..2]);
    // Who lost the answer says it again.
    store.delivered(&[ids[0].id, ids[1].id]).await.unwrap();
    assert!(waiting(&store, None, 9).await.is_empty());
    emit(&store, &events[..1]).await.unwrap();
    let next = store.events(Some(ids[2].id), 9).await.unwrap();
    assert_eq!(next.len(), 1, "an id came again");
}

async fn a_refused_change_emits_nothing(store: Scratch) {
    let missing = Expect::Present(environment("prod"));
    let change = Change::new().expect(missing).emit(event("a", 1));
    assert!(store.commit(change).await.is_err());
    assert!(waiting(&store, None, 9).await.is_empty());
    let woken = tokio::time::timeout(Duration::ZERO, store.events_emitted()).await;
    assert!(woken.is_err());
}

async fn one_holder_delivers_until_its_time_is_over(store: Scratch) {
    let ask =
        async |holder, now_ms, until_ms| store.deliver(holder, now_ms, until_ms).await.unwrap();
    assert!(ask("one", 100, 200).await);
    assert!(!ask("two", 199, 300).await);
    assert!(ask("one", 150, 250).await);
    assert!(!ask("two", 249, 300).await);
    assert!(ask("two", 250, 300).await);
    assert!(!ask("one", 260, 360).await);
    // Given up, it is free at once.
    assert!(ask("two", 270, 270).await);
    assert!(ask("one", 270, 370).await);
}

async fn emitted_events_wake_also_whoever_waits_only_afterwards(store: Scratch) {
    emit(&store, &[event("a", 1)]).await.unwrap();
    store.events_emitted().await;
    store.create(&environment("prod")).await.unwrap();
    let woken = tokio::time::timeout(Duration::ZERO, store.events_emitted()).await;
    assert!(woken.is_err(), "a change without events woke the waiter");
}

/// Whoever reads events and remembers the last must not miss one that was numbered before and became visible after.
async fn no_event_appears_behind_one_that_was_read(store: Scratch) {
    const WRITERS: u32 = 4;
    const EACH: u32 = 50;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.peer().await;
        writers.spawn(async move {
            for n in 0..EACH {
                emit(&store, &[event(&writer.to_string(), n)])
                    .await
                    .unwrap();
            }
        });
    }
    let mut read: Vec<Emitted> = Vec::new();
    while read.len() < (WRITERS * EACH) as usize {
        let after = read.last().map(|it| it.id);
        read.extend(store.events(after, 7).await.unwrap());
        tokio::task::yield_now().await;
    }
    writers.join_all().await;
    assert_eq!(store.events(None, u32::MAX).await.unwrap(), read);
    for writer in 0..WRITERS {
        let resource = format!("arn:{writer}");
        let of_one = read.iter().filter(|it| it.event.resource == resource);
        let order: Vec<u32> = of_one.map(|it| it.event.body.read().unwrap()).collect();
        assert_eq!(order, (0..EACH).collect::<Vec<_>>());
    }
}
