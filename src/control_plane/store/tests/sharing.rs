//! Several processes on one database: what one does, the others see. Their races are in `races`.

use tokio::task::JoinSet;

use super::*;

async fn place() -> Place {
    Place::Database(cluster::shared().new_database().await)
}

#[tokio::test]
async fn many_processes_may_start_on_an_empty_database_at_once() {
    let place = place().await;
    let mut starting = JoinSet::new();
    for _ in 0..8 {
        let place = place.clone();
        starting.spawn(async move { place.open().await.unwrap() });
    }
    let stores = starting.join_all().await;
    stores[0].create(&environment("prod")).await.unwrap();
    stores[7].found(&environment("prod")).await;
}

#[tokio::test]
async fn what_one_process_acknowledged_every_other_sees() {
    let place = place().await;
    let (one, two) = (place.open().await.unwrap(), place.open().await.unwrap());
    let first = one.create(&environment("prod")).await.unwrap();
    let read = two.found(&environment("prod")).await;
    assert_eq!(read.rev, first);
    let second = two
        .commit(Change::new().put(Put::update(&read, "next")))
        .await
        .unwrap();
    assert!(second > first);
    let late = one
        .commit(Change::new().put(Put::update(&read, "late")))
        .await;
    assert!(matches!(late, Err(CommitError::Changed(_))));
}

#[tokio::test]
async fn a_claim_outlives_its_process_until_the_lease_ends() {
    let place = place().await;
    let (one, two) = (place.open().await.unwrap(), place.open().await.unwrap());
    let work = NewWork::new("deploy", environment("prod"), 0, &());
    one.commit(Change::new().enqueue(work)).await.unwrap();
    let claim = |now_ms| Claim {
        worker: "worker",
        now_ms,
        lease_ms: 100,
        limit: 9,
    };
    let former = one.claim(claim(0)).await.unwrap().remove(0);
    one.close().await;
    let next = place.open().await.unwrap();
    assert!(next.claim(claim(99)).await.unwrap().is_empty());
    assert_eq!(two.next_run_at().await.unwrap(), Some(100));
    let holder = two.claim(claim(100)).await.unwrap().remove(0);
    assert_eq!(holder.work.attempt, 2);
    let late = next.commit(Change::new().complete(&former)).await;
    assert!(matches!(late, Err(CommitError::LostClaim(_))));
    next.commit(Change::new().complete(&holder)).await.unwrap();
}

#[tokio::test]
async fn work_and_events_of_another_process_are_noticed_after_a_while() {
    let place = place().await;
    let soon = Duration::from_millis(20);
    let waiting = place.open_looking_every(soon).await.unwrap();
    let other = place.open().await.unwrap();
    let work = NewWork::new("deploy", environment("prod"), 7, &());
    let change = Change::new().enqueue(work).emit(event("a", 1));
    other.commit(change).await.unwrap();
    waiting.work_scheduled().await;
    assert_eq!(waiting.next_run_at().await.unwrap(), Some(7));
    waiting.events_emitted().await;
    assert_eq!(waiting.events(None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_named_without_its_password() {
    let url = "postgres://proton:secret@127.0.0.1:1/proton";
    let place = Place::Database(url.to_owned());
    let error = place.open().await.err().expect("nobody listens there");
    assert_eq!(
        error.to_string(),
        "cannot use database postgres://127.0.0.1:1/proton"
    );
}

#[tokio::test]
async fn a_server_is_verified_where_the_url_asks_for_it() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let _server = cluster::Server::start_with_tls(port);
    let trusted = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/control_plane/store/tests/fixtures/tls/ca.pem"
    );
    let open = async |host: &str, parameters: &str| {
        let url = format!("postgres://proton@{host}:{port}/postgres?sslmode={parameters}");
        Place::Database(url).open().await
    };
    let verified = format!("verify-full&sslrootcert={trusted}");
    let store = open("localhost", &verified).await.unwrap();
    store.create(&environment("prod")).await.unwrap();
    assert!(open("localhost", "disable").await.is_ok());
    assert!(open("127.0.0.1", &verified).await.is_err(), "another name");
    assert!(open("localhost", "require").await.is_err(), "not trusted");
}
