//! Opening, closing and what a caller who goes away leaves behind.

use std::fs;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::pin::pin;
use std::task::{Context, Waker};

use super::*;

on_each_engine! {
    what_was_committed_is_there_after_reopening,
    a_schema_from_the_future_is_refused,
    a_closed_store_answers_unavailable,
    closing_finishes_what_was_queued_even_if_nobody_waits,
}

async fn what_was_committed_is_there_after_reopening(store: Scratch) {
    let rev = store.create(&environment("prod")).await.unwrap();
    let store = store.reopen().await;
    assert_eq!(store.found(&environment("prod")).await.rev, rev);
    assert!(store.create(&environment("dev")).await.unwrap() > rev);
}

#[tokio::test]
async fn a_second_opener_is_told_who_has_the_directory() {
    let store = Scratch::new(Engine::Sqlite).await;
    let error = Store::open(store.directory())
        .err()
        .expect("the directory is taken");
    let OpenError::InUse { pid, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*pid, std::process::id().to_string());
}

async fn a_schema_from_the_future_is_refused(store: Scratch) {
    store.close().await;
    store.say_schema(99).await;
    let error = store.open_again().await.err().expect("the schema is newer");
    assert!(
        matches!(
            error,
            OpenError::Newer {
                found: 99,
                known: 2,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn directory_and_files_are_private() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    let store = Store::open(&dir).unwrap();
    store.create(&environment("prod")).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for entry in fs::read_dir(&dir).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

async fn a_closed_store_answers_unavailable(store: Scratch) {
    store.close().await;
    store.close().await;
    let read = store.get(&environment("prod")).await;
    assert!(matches!(read, Err(Error::Unavailable(_))));
    let write = store.create(&environment("prod")).await;
    assert!(matches!(write, Err(CommitError::Unavailable(_))));
}

async fn closing_finishes_what_was_queued_even_if_nobody_waits(store: Scratch) {
    for n in 0..50 {
        let key = environment(&n.to_string());
        let mut commit = pin!(store.create(&key));
        // Polled once the change is queued, or even done; then the caller goes away.
        let _ = commit
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
    }
    let store = store.reopen().await;
    assert_eq!(
        store.count(SCOPE, Kind::Environment, None).await.unwrap(),
        50
    );
}
