//! Watches: woken by what changes announce, in every process, and by nothing else.

use super::*;

on_each_engine! {
    an_announcement_wakes_who_watches_the_name_in_every_process,
    an_announcement_wakes_nobody_who_watches_something_else,
    what_was_announced_since_the_last_look_is_not_missed,
    a_refused_change_announces_nothing,
    every_name_of_a_change_is_announced,
}

/// Longer than an announcement takes.
const SOON: Duration = Duration::from_secs(10);

async fn announce(store: &Store, names: &[&str]) {
    let change = names.iter().copied().fold(Change::new(), Change::announce);
    store.commit(change).await.unwrap();
}

async fn watch(store: &Store, name: &str) -> Watch {
    let mut watch = store.watch(name);
    watch.changed().await;
    watch
}

/// Returns when the one store hears what the other announces, and has heard all of it.
async fn hears(store: &Store, other: &Store) {
    let mut first = watch(store, "first").await;
    loop {
        announce(other, &["first"]).await;
        if is_woken(&mut first, Duration::from_millis(100)).await {
            break;
        }
    }
    // Announcements arrive in their order.
    let mut last = watch(store, "last").await;
    announce(other, &["last"]).await;
    assert!(is_woken(&mut last, SOON).await);
}

async fn is_woken(watch: &mut Watch, within: Duration) -> bool {
    let woken = tokio::time::timeout(within, watch.changed());
    woken.await.is_ok()
}

async fn an_announcement_wakes_who_watches_the_name_in_every_process(store: Scratch) {
    let other = store.peer().await;
    hears(&store, &other).await;
    let mut here = watch(&other, "a").await;
    let mut there = watch(&store, "a").await;
    announce(&other, &["a"]).await;
    assert!(is_woken(&mut here, SOON).await);
    assert!(is_woken(&mut there, SOON).await);
}

async fn an_announcement_wakes_nobody_who_watches_something_else(store: Scratch) {
    let other = store.peer().await;
    hears(&store, &other).await;
    let mut a = watch(&store, "a").await;
    let mut b = watch(&store, "b").await;
    announce(&other, &["a"]).await;
    assert!(is_woken(&mut a, SOON).await);
    assert!(!is_woken(&mut b, Duration::ZERO).await);
}

async fn what_was_announced_since_the_last_look_is_not_missed(store: Scratch) {
    hears(&store, &*store.peer().await).await;
    let mut watch = store.watch("a");
    announce(&store, &["a"]).await;
    watch.changed().await;
    announce(&store, &["a"]).await;
    announce(&store, &["a"]).await;
    assert!(is_woken(&mut watch, Duration::ZERO).await);
    assert!(!is_woken(&mut watch, Duration::ZERO).await);
}

async fn a_refused_change_announces_nothing(store: Scratch) {
    hears(&store, &*store.peer().await).await;
    let mut watch = watch(&store, "a").await;
    let missing = Expect::Present(environment("prod"));
    let change = Change::new().expect(missing).announce("a");
    assert!(store.commit(change).await.is_err());
    assert!(!is_woken(&mut watch, Duration::ZERO).await);
}

async fn every_name_of_a_change_is_announced(store: Scratch) {
    let other = store.peer().await;
    hears(&store, &other).await;
    // Together they are longer than what PostgreSQL carries in one notification.
    let names: Vec<String> = (0..200).map(|n| format!("{n:->400}")).collect();
    let mut watches = Vec::new();
    for name in &names {
        watches.push(watch(&store, name).await);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    announce(&other, &names).await;
    for mut watch in watches {
        assert!(is_woken(&mut watch, SOON).await);
    }
}

#[tokio::test]
async fn who_was_cut_off_from_the_others_looks_again() {
    let url = cluster::shared().new_database().await;
    let named = |name: &str| Place::Database(format!("{url}&application_name={name}"));
    let name = unique_name();
    let look_every = Duration::from_millis(50);
    let listening = named(&name).open_looking_every(look_every).await.unwrap();
    let other = named("another").open().await.unwrap();
    hears(&listening, &other).await;
    let mut watch = watch(&listening, "a").await;
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name = '{name}' AND query = 'LISTEN proton_grpc'"
    );
    cluster::execute(&url, &cut).await;
    assert!(is_woken(&mut watch, SOON).await, "it was not told to look");
    hears(&listening, &other).await;
}
