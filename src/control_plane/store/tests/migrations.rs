//! Databases that earlier versions made.

use super::*;

on_each_engine! {
    a_database_of_the_first_schema_opens_with_everything_in_it,
}

async fn a_database_of_the_first_schema_opens_with_everything_in_it(store: Scratch) {
    let old = first_schema(store.engine()).await;
    let store = old.open().await.unwrap();

    let record = store.found(&environment("prod")).await;
    assert_eq!(
        (record.rev, record.read::<String>().unwrap()),
        (2, "prod".to_owned())
    );
    assert_eq!(
        store.found(&version("vpc", "1.0")).await.parent.as_deref(),
        Some("vpc")
    );
    let token = Key::new(SCOPE, Kind::ClientToken, "token");
    assert_eq!(store.found(&token).await.expires_at_ms, Some(500));
    let index = Index::new("environment.template");
    let by = store.list_by(index, "vpc", None, 9, Order::Ascending).await;
    assert_eq!(by.unwrap(), [record]);
    let kind = Kind::EnvironmentTemplateVersion;
    assert_eq!(store.count(SCOPE, kind, Some("vpc")).await.unwrap(), 1);
    assert_eq!(store.blob("bundle").await.unwrap(), Some(vec![0, 255]));
    let claim = Claim {
        worker: "worker",
        now_ms: 70,
        lease_ms: 1,
        limit: 9,
    };
    let claimed = store.claim(claim).await.unwrap().remove(0);
    assert_eq!((claimed.work.id, claimed.work.attempt), (7, 2));
    assert_eq!(claimed.work.subject, environment("prod"));

    let change = Change::new().emit(event("prod", 1));
    let work = NewWork::new("deploy", environment("prod"), 0, &());
    let rev = store.commit(change.enqueue(work)).await.unwrap();
    assert_eq!(rev, 10, "a revision came again");
    assert_eq!(store.events(None, 9).await.unwrap().len(), 1);
    let next = store.claim(claim).await.unwrap().remove(0);
    assert!(next.work.id > 7);
}

/// What a program of the first version left behind.
async fn first_schema(engine: Engine) -> Place {
    match engine {
        Engine::Sqlite => {
            let dir = tempfile::tempdir().unwrap().keep();
            let conn = rusqlite::Connection::open(dir.join("proton.db")).unwrap();
            conn.execute_batch(include_str!("fixtures/0001_sqlite.sql"))
                .unwrap();
            Place::Directory(dir)
        }
        Engine::Postgres => {
            let url = cluster::shared().new_database().await;
            cluster::execute(&url, include_str!("fixtures/0001_postgres.sql")).await;
            Place::Database(url)
        }
    }
}
