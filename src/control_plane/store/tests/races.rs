//! Many callers at once, on several threads; where processes share the store, each thread is one of them.

use std::thread;

use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::*;

on_each_engine! {
    of_a_hundred_creators_exactly_one_wins,
    a_quota_is_exact_under_a_rush,
    no_increment_is_lost_among_optimistic_writers,
    a_failing_change_takes_nothing_from_its_neighbours,
    every_item_is_claimed_by_one_worker,
    a_child_never_outlives_its_parent,
}

const THREADS: usize = 4;
const TASKS: usize = 25;

/// Runs a task for every number on its share of threads, all at once, and returns what they said.
async fn race<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    store: &Scratch,
    task: impl Fn(Arc<Store>, usize) -> F + Send + Sync,
) -> Vec<T> {
    let mut peers = Vec::new();
    for _ in 0..THREADS {
        peers.push(store.peer().await);
    }
    let share = |thread: usize| {
        let runtime = Builder::new_current_thread().build().unwrap();
        let tasks = (0..TASKS).map(|n| task(Arc::clone(&peers[thread]), thread * TASKS + n));
        runtime.block_on(
            tasks
                .fold(JoinSet::new(), |mut set, task| {
                    set.spawn_on(task, runtime.handle());
                    set
                })
                .join_all(),
        )
    };
    let share = &share;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || share(thread)))
            .collect();
        let said = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        said.collect()
    })
}

async fn of_a_hundred_creators_exactly_one_wins(store: Scratch) {
    let answers = race(&store, |store, _| async move {
        store.create(&environment("prod")).await
    })
    .await;
    let refused = |answer: &Result<_, _>| matches!(answer, Err(CommitError::Exists(_)));
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(answers.iter().filter(|answer| refused(answer)).count(), 99);
}

async fn a_quota_is_exact_under_a_rush(store: Scratch) {
    let answers = race(&store, |store, n| {
        let quota = Expect::AtMost {
            scope: SCOPE.to_owned(),
            kinds: vec![Kind::Environment],
            parent: None,
            limit: 10,
        };
        let put = Put::create(environment(&n.to_string()), "new");
        async move { store.commit(Change::new().put(put).expect(quota)).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
    let rest = |answer: &Result<_, _>| matches!(answer, Err(CommitError::Full { limit: 10 }));
    assert_eq!(answers.iter().filter(|answer| rest(answer)).count(), 90);
}

async fn no_increment_is_lost_among_optimistic_writers(store: Scratch) {
    let zero = Put::create(environment("prod"), &0);
    store.commit(Change::new().put(zero)).await.unwrap();
    race(&store, |store, _| async move {
        loop {
            let record = store.found(&environment("prod")).await;
            let next = record.read::<u64>().unwrap() + 1;
            let change = Change::new().put(Put::update(&record, &next));
            match store.commit(change).await {
                Ok(_) => return,
                Err(CommitError::Changed(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await;
    let total = store.found(&environment("prod")).await.read::<usize>();
    assert_eq!(total.unwrap(), THREADS * TASKS);
}

async fn a_failing_change_takes_nothing_from_its_neighbours(store: Scratch) {
    let answers = race(&store, |store, n| {
        let good = Change::new().put(Put::create(environment(&n.to_string()), "new"));
        let change = match n % 2 {
            0 => good,
            _ => good.expect(Expect::Present(template("none"))),
        };
        async move { (n, store.commit(change).await) }
    })
    .await;
    for (n, answer) in answers {
        assert_eq!(answer.is_ok(), n % 2 == 0);
        let found = store.get(&environment(&n.to_string())).await.unwrap();
        assert_eq!(found.is_some(), n % 2 == 0);
    }
    assert_eq!(
        store.count(SCOPE, Kind::Environment, None).await.unwrap(),
        50
    );
}

async fn every_item_is_claimed_by_one_worker(store: Scratch) {
    let enqueue = |change: Change, n: usize| {
        change.enqueue(NewWork::new("deploy", environment("prod"), 0, &n))
    };
    let change = (0..300).fold(Change::new(), enqueue);
    store.commit(change).await.unwrap();
    let claims = race(&store, |store, _| async move {
        let claim = Claim {
            worker: "worker",
            now_ms: 0,
            lease_ms: 1,
            limit: 3,
        };
        store.claim(claim).await.unwrap()
    })
    .await;
    let mut ids: Vec<_> = claims.into_iter().flatten().map(|it| it.work.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 300);
}

/// A parent is deleted while a child is made: one of the two must lose, whatever the order.
async fn a_child_never_outlives_its_parent(store: Scratch) {
    let rounds = match store.engine() {
        Engine::Sqlite => 20,
        Engine::Postgres => 4,
    };
    for _ in 0..rounds {
        let store = Scratch::new(store.engine()).await;
        let rev = store.create(&template("vpc")).await.unwrap();
        let answers = race(&store, |store, n| {
            let change = match n {
                50 => Change::new()
                    .delete(template("vpc"), rev)
                    .expect(Expect::NoChildren {
                        scope: SCOPE.to_owned(),
                        kind: Kind::EnvironmentTemplateVersion,
                        parent: "vpc".to_owned(),
                    }),
                _ => {
                    let child = Put::create_under("vpc", version("vpc", &n.to_string()), "new");
                    Change::new()
                        .expect(Expect::Present(template("vpc")))
                        .put(child)
                }
            };
            async move { (n == 50, store.commit(change).await.is_ok()) }
        })
        .await;
        let deleted = answers.iter().any(|&(deletes, done)| deletes && done);
        let children = answers.iter().any(|&(deletes, done)| !deletes && done);
        assert!(deleted != children);
    }
}
