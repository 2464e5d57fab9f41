//! Moving a store.

use std::io::BufReader;

use super::*;

/// A store with something of everything.
async fn filled() -> Scratch {
    let store = Scratch::new(Engine::Sqlite).await;
    let by = Index::new("environment.template");
    let child = Put::create_under("vpc", version("vpc", "1.0"), "new");
    let change = Change::new()
        .put(
            Put::create(environment("é\u{1F600}"), "\0\n\"")
                .indexed(by, "vpc")
                .indexed(by, "db"),
        )
        .put(child.expires_at(500))
        .put_blob("bundle", (0..=255).cycle().take(3 << 20).collect())
        .enqueue(NewWork::new("deploy", environment("prod"), 70, "payload"))
        .enqueue(NewWork::new("later", environment("prod"), 90, &()))
        .emit(event("a", 1))
        .emit(event("b", 2));
    store.commit(change).await.unwrap();
    for n in 0..600 {
        let put = Put::create(environment(&format!("{n:03}")), &n).indexed(by, "vpc");
        store.commit(Change::new().put(put)).await.unwrap();
    }
    // Numbers that were given and are not there any more.
    let rev = store.create(&template("gone")).await.unwrap();
    let delete = Change::new().delete(template("gone"), rev);
    store.commit(delete).await.unwrap();
    let claim = Claim {
        worker: "worker",
        now_ms: 70,
        lease_ms: 1000,
        limit: 1,
    };
    store.claim(claim).await.unwrap();
    store
}

async fn export(store: &Scratch) -> Vec<u8> {
    let mut lines = Vec::new();
    store.export(&mut lines, |_| {}).await.unwrap();
    lines
}

async fn import(store: &Scratch, lines: &[u8]) -> Result<Totals, ImportError> {
    // Read in small pieces.
    store
        .import(BufReader::with_capacity(1000, lines), |_| {})
        .await
}

#[tokio::test]
async fn a_store_moves_from_engine_to_engine_and_back_unchanged() {
    let original = filled().await;
    let lines = export(&original).await;
    let shared = Scratch::new(Engine::Postgres).await;
    let totals = import(&shared, &lines).await.unwrap();
    assert_eq!((totals.records, totals.blobs), (602, 1));
    assert_eq!((totals.work, totals.events), (2, 2));
    let back = Scratch::new(Engine::Sqlite).await;
    let again = export(&shared).await;
    import(&back, &again).await.unwrap();
    assert!(lines == again, "PostgreSQL holds something else");
    assert!(lines == export(&back).await, "SQLite holds something else");

    for store in [&original, &shared, &back] {
        let count = async |kind, parent| store.count(SCOPE, kind, parent).await.unwrap();
        assert_eq!(count(Kind::Environment, None).await, 601);
        assert_eq!(
            count(Kind::EnvironmentTemplateVersion, Some("vpc")).await,
            1
        );
        let work = NewWork::new("next", environment("prod"), 0, &());
        let rev = store.commit(Change::new().enqueue(work)).await.unwrap();
        assert_eq!(rev, 604, "a revision came again");
    }
    for store in [&shared, &back] {
        let claim = Claim {
            worker: "worker",
            now_ms: 70,
            lease_ms: 1,
            limit: 9,
        };
        let claimed = store.claim(claim).await.unwrap();
        let ids: Vec<_> = claimed.iter().map(|it| it.work.id).collect();
        assert_eq!(ids, [3, 1], "what was under way is due, and ids go on");
    }
}

on_each_engine! {
    an_import_that_fails_leaves_nothing_behind,
    only_an_empty_store_takes_an_import,
    an_empty_store_moves_too,
}

async fn an_import_that_fails_leaves_nothing_behind(store: Scratch) {
    let lines = String::from_utf8(export(&filled().await).await).unwrap();
    let cut = &lines[..lines.len() / 2];
    let newline = cut.rfind('\n').unwrap() + 1;
    let (header, rest) = lines.split_once('\n').unwrap();
    let twice = format!("{header}\n{}\n{rest}", rest.split_once('\n').unwrap().0);
    for (lines, why) in [
        (&lines[..newline], "the export has been cut short"),
        (cut, "line"),
        (rest, "line 1: the header is missing"),
        ("", "the export has been cut short"),
        (
            "{\"header\":{\"format\":2,\"revision\":0,\"work\":0}}",
            "line 1: format 2 is not known to this program, which reads 1",
        ),
        (&lines.replace("\"environment\"", "\"galaxy\""), "line 2: "),
        (
            &lines.replace("\"records\":602", "\"records\":601"),
            "line 609: ",
        ),
        (
            &twice,
            "environment \"000\" in 111122223333/us-east-1 is there twice",
        ),
    ] {
        let error = import(&store, lines.as_bytes()).await.unwrap_err();
        assert!(error.to_string().starts_with(why), "{error}, not {why}");
        let left = export(&store).await;
        assert_eq!(left.split(|byte| *byte == b'\n').count(), 3, "{error}");
        assert_eq!(
            store.count(SCOPE, Kind::Environment, None).await.unwrap(),
            0
        );
    }
    assert!(import(&store, lines.as_bytes()).await.is_ok());
}

async fn only_an_empty_store_takes_an_import(store: Scratch) {
    let lines = export(&filled().await).await;
    store.create(&environment("prod")).await.unwrap();
    let error = import(&store, &lines).await.unwrap_err();
    assert!(matches!(error, ImportError::NotEmpty), "{error}");
}

async fn an_empty_store_moves_too(store: Scratch) {
    let lines = export(&Scratch::new(Engine::Sqlite).await).await;
    assert_eq!(import(&store, &lines).await.unwrap(), Totals::default());
    store.create(&environment("prod")).await.unwrap();
}
