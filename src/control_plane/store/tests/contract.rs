//! Records, lists, expectations, counters, blobs and expiry.

use super::*;

on_each_engine! {
    text_with_nul_names_nothing,
    a_created_record_reads_as_it_was_written,
    a_record_of_another_shape_is_malformed_and_named,
    a_taken_name_is_refused_and_nothing_else_of_the_change_happens,
    an_update_from_an_old_reading_is_refused,
    a_record_made_anew_does_not_take_the_updates_of_its_predecessor,
    expectations_on_other_records_guard_a_change,
    a_parent_with_children_stays_unless_they_go_with_it,
    a_record_that_others_refer_to_stays,
    a_quota_counts_several_kinds_together_and_many_records_at_once,
    entries_are_read_by_the_beginning_of_their_values,
    counts_are_kept_by_kind_and_by_parent,
    lists_go_bytewise_by_prefix_and_page_both_ways,
    an_index_finds_records_in_every_scope_and_pages_by_key,
    index_entries_go_with_their_record,
    many_records_are_read_in_the_order_asked_for,
    blobs_are_kept_replaced_and_forgotten,
    an_expired_record_keeps_its_name_until_swept,
}

const BY_TEMPLATE: Index = Index::new("environment.template");

async fn a_created_record_reads_as_it_was_written(store: Scratch) {
    let put = Put::create_under("parent", environment("prod"), &["spec"]).expires_at(7);
    let rev = store.commit(Change::new().put(put)).await.unwrap();

    let record = store.found(&environment("prod")).await;
    assert_eq!(record.read::<Vec<String>>().unwrap(), ["spec"]);
    assert_eq!(record.rev, rev);
    assert_eq!(record.parent.as_deref(), Some("parent"));
    assert_eq!(record.expires_at_ms, Some(7));
}

async fn a_record_of_another_shape_is_malformed_and_named(store: Scratch) {
    store.create(&environment("prod")).await.unwrap();
    let error = store.found(&environment("prod")).await.read::<u8>();
    assert_eq!(
        error.unwrap_err().to_string(),
        "environment \"prod\" in 111122223333/us-east-1 cannot be read as stored"
    );
}

async fn a_taken_name_is_refused_and_nothing_else_of_the_change_happens(store: Scratch) {
    store.create(&environment("prod")).await.unwrap();

    let change = Change::new()
        .put(Put::create(environment("dev"), "new"))
        .put_blob("bundle", vec![1])
        .enqueue(NewWork::new("deploy", environment("dev"), 0, &()))
        .put(Put::create(environment("prod"), "again"));
    let error = store.commit(change).await.unwrap_err();

    assert!(matches!(error, CommitError::Exists(key) if key == environment("prod")));
    assert_eq!(store.get(&environment("dev")).await.unwrap(), None);
    assert_eq!(store.blob("bundle").await.unwrap(), None);
    assert_eq!(store.next_run_at().await.unwrap(), None);
    assert_eq!(
        store.count(SCOPE, Kind::Environment, None).await.unwrap(),
        1
    );
}

async fn an_update_from_an_old_reading_is_refused(store: Scratch) {
    store.create(&environment("prod")).await.unwrap();
    let read = store.found(&environment("prod")).await;

    let first = Change::new().put(Put::update(&read, "first"));
    let second = Change::new().put(Put::update(&read, "second"));
    let rev = store.commit(first).await.unwrap();
    let error = store.commit(second).await.unwrap_err();

    assert!(matches!(error, CommitError::Changed(key) if key == environment("prod")));
    let now = store.found(&environment("prod")).await;
    assert_eq!(
        (now.rev, now.read::<String>().unwrap()),
        (rev, "first".to_owned())
    );
    let third = Change::new().put(Put::update_at(now.key, rev, "third"));
    store.commit(third).await.unwrap();
}

async fn a_record_made_anew_does_not_take_the_updates_of_its_predecessor(store: Scratch) {
    let rev = store.create(&environment("prod")).await.unwrap();
    let old = store.found(&environment("prod")).await;
    let delete = Change::new().delete(environment("prod"), rev);
    store.commit(delete).await.unwrap();
    store.create(&environment("prod")).await.unwrap();

    let late = store
        .commit(Change::new().put(Put::update(&old, "late")))
        .await;
    assert!(matches!(late, Err(CommitError::Changed(_))));
}

async fn expectations_on_other_records_guard_a_change(store: Scratch) {
    let rev = store.create(&template("vpc")).await.unwrap();
    let attempt = async |expect| {
        let change = Change::new().put(Put::create(environment("prod"), "new"));
        store.commit(change.expect(expect)).await
    };

    let present = attempt(Expect::Present(template("none"))).await;
    assert!(matches!(present, Err(CommitError::Changed(_))));
    let stale = attempt(Expect::Rev(template("vpc"), rev + 1)).await;
    assert!(matches!(stale, Err(CommitError::Changed(_))));
    let absent = attempt(Expect::Absent(template("vpc"))).await;
    assert!(matches!(absent, Err(CommitError::Exists(_))));
    assert!(attempt(Expect::Rev(template("vpc"), rev)).await.is_ok());
}

async fn a_parent_with_children_stays_unless_they_go_with_it(store: Scratch) {
    let put = Put::create(template("vpc"), "new");
    let child = Put::create_under("vpc", version("vpc", "1.0"), "new");
    let rev = store
        .commit(Change::new().put(put).put(child))
        .await
        .unwrap();
    let delete = || {
        let expect = Expect::NoChildren {
            scope: SCOPE.to_owned(),
            kind: Kind::EnvironmentTemplateVersion,
            parent: "vpc".to_owned(),
        };
        Change::new().expect(expect).delete(template("vpc"), rev)
    };

    let error = store.commit(delete()).await.unwrap_err();
    assert!(matches!(error, CommitError::HasChildren { .. }), "{error}");
    let both = delete().delete(version("vpc", "1.0"), rev);
    store.commit(both).await.unwrap();
    assert_eq!(store.get(&template("vpc")).await.unwrap(), None);
}

async fn a_record_that_others_refer_to_stays(store: Scratch) {
    let put = Put::create(environment("prod"), "new").indexed(BY_TEMPLATE, "vpc:1.0");
    let rev = store.commit(Change::new().put(put)).await.unwrap();
    let unreferenced = || Expect::Unreferenced {
        index: BY_TEMPLATE,
        value: "vpc:1.0".to_owned(),
    };

    let refused = store.commit(Change::new().expect(unreferenced())).await;
    assert!(matches!(refused, Err(CommitError::Referenced { .. })));
    let moved = Put::update_at(environment("prod"), rev, "new").indexed(BY_TEMPLATE, "vpc:2.0");
    store.commit(Change::new().put(moved)).await.unwrap();
    assert!(
        store
            .commit(Change::new().expect(unreferenced()))
            .await
            .is_ok()
    );
}

async fn a_quota_counts_several_kinds_together_and_many_records_at_once(store: Scratch) {
    let quota = || Expect::AtMost {
        scope: SCOPE.to_owned(),
        kinds: vec![Kind::EnvironmentTemplate, Kind::ServiceTemplate],
        parent: None,
        limit: 3,
    };
    let one = Put::create(Key::new(SCOPE, Kind::ServiceTemplate, "web"), "new");
    store
        .commit(Change::new().put(one).expect(quota()))
        .await
        .unwrap();

    let many = ["a", "b", "c"].map(|name| Put::create(template(name), "new"));
    let [a, b, c] = many;
    let two = Change::new().expect(quota()).put(a.clone()).put(b.clone());
    let three = Change::new().expect(quota()).put(a).put(b).put(c);
    assert_eq!(store.full(&three).await.unwrap(), Some(3));
    let error = store.commit(three).await.unwrap_err();
    assert!(matches!(error, CommitError::Full { limit: 3 }), "{error}");
    assert_eq!(store.full(&two).await.unwrap(), None);
    store.commit(two).await.unwrap();
}

async fn entries_are_read_by_the_beginning_of_their_values(store: Scratch) {
    let change = [
        ("prod", "net 1"),
        ("dev", "net 1"),
        ("test", "net 2"),
        ("other", "mesh 1"),
    ]
    .into_iter()
    .fold(Change::new(), |change, (name, value)| {
        change.put(Put::create(environment(name), "x").indexed(BY_TEMPLATE, value))
    });
    store.commit(change).await.unwrap();
    let entry = |value: &str, name| Entry {
        value: value.to_owned(),
        key: environment(name),
    };
    assert_eq!(
        store.entries(BY_TEMPLATE, "net ").await.unwrap(),
        [
            entry("net 1", "dev"),
            entry("net 1", "prod"),
            entry("net 2", "test")
        ]
    );
    assert_eq!(store.entries(BY_TEMPLATE, "nothing").await.unwrap(), []);
}

async fn counts_are_kept_by_kind_and_by_parent(store: Scratch) {
    let versions = ["1.0", "1.1"].map(|n| Put::create_under("vpc", version("vpc", n), "new"));
    let [first, second] = versions;
    let rev = store
        .commit(Change::new().put(first).put(second))
        .await
        .unwrap();
    let other = Put::create_under("db", version("db", "1.0"), "new");
    store.commit(Change::new().put(other)).await.unwrap();
    let update = Put::update_at(version("vpc", "1.0"), rev, "published");
    let change = Change::new().put(update).delete(version("vpc", "1.1"), rev);
    store.commit(change).await.unwrap();

    let kind = Kind::EnvironmentTemplateVersion;
    assert_eq!(store.count(SCOPE, kind, None).await.unwrap(), 2);
    assert_eq!(store.count(SCOPE, kind, Some("vpc")).await.unwrap(), 1);
    assert_eq!(store.count(SCOPE, kind, Some("none")).await.unwrap(), 0);
    assert_eq!(store.count(OTHER_SCOPE, kind, None).await.unwrap(), 0);
}

async fn lists_go_bytewise_by_prefix_and_page_both_ways(store: Scratch) {
    for id in ["b", "a/2", "a", "B", "a/1", "a0", "é"] {
        store.create(&environment(id)).await.unwrap();
    }
    store
        .create(&Key::new(OTHER_SCOPE, Kind::Environment, "x"))
        .await
        .unwrap();
    store.create(&template("x")).await.unwrap();

    assert_eq!(
        store.ids(environments(9)).await,
        ["B", "a", "a/1", "a/2", "a0", "b", "é"]
    );
    let after = Range {
        after: Some("a/1"),
        ..environments(2)
    };
    assert_eq!(store.ids(after).await, ["a/2", "a0"]);
    let down = Range {
        order: Order::Descending,
        after: Some("a0"),
        ..environments(2)
    };
    assert_eq!(store.ids(down).await, ["a/2", "a/1"]);
    let prefix = Range {
        prefix: "a/",
        ..environments(9)
    };
    assert_eq!(store.ids(prefix.clone()).await, ["a/1", "a/2"]);
    let rest = Range {
        after: Some("a/1"),
        ..prefix.clone()
    };
    assert_eq!(store.ids(rest).await, ["a/2"]);
    let none = Range {
        after: Some("b"),
        ..prefix
    };
    assert!(store.ids(none).await.is_empty());
}

async fn an_index_finds_records_in_every_scope_and_pages_by_key(store: Scratch) {
    let keys = [
        environment("a"),
        environment("b"),
        Key::new(SCOPE, Kind::Service, "a"),
        Key::new(OTHER_SCOPE, Kind::Environment, "a"),
    ];
    for key in &keys {
        let put = Put::create(key.clone(), "new").indexed(BY_TEMPLATE, "vpc");
        store.commit(Change::new().put(put)).await.unwrap();
    }
    let page = async |after: Option<&Key>, limit, order| {
        let records = store.list_by(BY_TEMPLATE, "vpc", after, limit, order).await;
        let keys = records.unwrap().into_iter().map(|record| record.key);
        keys.collect::<Vec<_>>()
    };

    assert_eq!(page(None, 9, Order::Ascending).await, keys);
    assert_eq!(page(Some(&keys[0]), 2, Order::Ascending).await, keys[1..3]);
    let down = page(Some(&keys[3]), 2, Order::Descending).await;
    assert_eq!(down, [keys[2].clone(), keys[1].clone()]);
    assert_eq!(page(None, 1, Order::Descending).await, keys[3..]);
    assert!(
        store
            .list_by(BY_TEMPLATE, "v", None, 9, Order::Ascending)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn index_entries_go_with_their_record(store: Scratch) {
    let put = Put::create(environment("prod"), "new").indexed(BY_TEMPLATE, "vpc");
    let rev = store.commit(Change::new().put(put)).await.unwrap();
    let delete = Change::new().delete(environment("prod"), rev);
    store.commit(delete).await.unwrap();
    store.create(&environment("prod")).await.unwrap();
    let found = store
        .list_by(BY_TEMPLATE, "vpc", None, 9, Order::Ascending)
        .await;
    assert!(found.unwrap().is_empty());
}

async fn many_records_are_read_in_the_order_asked_for(store: Scratch) {
    store.create(&environment("a")).await.unwrap();
    store.create(&environment("b")).await.unwrap();
    let keys = [environment("b"), environment("none"), environment("a")];
    let found = store.get_many(&keys).await.unwrap();
    let found = found.into_iter().map(|record| Some(record?.key.id));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [Some("b".to_owned()), None, Some("a".to_owned())]
    );
}

async fn blobs_are_kept_replaced_and_forgotten(store: Scratch) {
    let bundle = vec![7; 10 << 20];
    store
        .commit(Change::new().put_blob("k", vec![1]))
        .await
        .unwrap();
    store
        .commit(Change::new().put_blob("k", bundle.clone()))
        .await
        .unwrap();
    assert!(store.blob("k").await.unwrap() == Some(bundle));
    store.commit(Change::new().delete_blob("k")).await.unwrap();
    assert_eq!(store.blob("k").await.unwrap(), None);
}

async fn an_expired_record_keeps_its_name_until_swept(store: Scratch) {
    let token = |id: &str| Key::new(SCOPE, Kind::ClientToken, id);
    for (id, at) in [("early", 100), ("late", 300), ("middle", 200)] {
        let put = Put::create_under("vpc", token(id), "new").indexed(BY_TEMPLATE, "vpc");
        store
            .commit(Change::new().put(put.expires_at(at)))
            .await
            .unwrap();
    }
    store.create(&token("eternal")).await.unwrap();

    let early = store.found(&token("early")).await;
    assert!(early.is_expired(100) && !early.is_expired(99));
    let again = store.create(&token("early")).await;
    assert!(matches!(again, Err(CommitError::Exists(_))));

    assert_eq!(store.sweep(200, 1).await.unwrap(), 1);
    assert_eq!(store.get(&token("early")).await.unwrap(), None);
    assert_eq!(store.sweep(200, 9).await.unwrap(), 1);
    assert_eq!(store.sweep(200, 9).await.unwrap(), 0);
    assert_eq!(
        store.count(SCOPE, Kind::ClientToken, None).await.unwrap(),
        2
    );
    assert_eq!(
        store
            .count(SCOPE, Kind::ClientToken, Some("vpc"))
            .await
            .unwrap(),
        1
    );
    let left = store
        .list_by(BY_TEMPLATE, "vpc", None, 9, Order::Ascending)
        .await;
    assert_eq!(left.unwrap()[0].key, token("late"));
}

async fn text_with_nul_names_nothing(store: Scratch) {
    store.create(&environment("prod")).await.unwrap();
    let nul = environment("prod\0");
    assert_eq!(store.get(&nul).await.unwrap(), None);
    let found = store.get_many(&[nul.clone(), environment("prod")]).await;
    assert!(matches!(&found.unwrap()[..], [None, Some(_)]));
    let after = Range {
        after: Some("a\0"),
        ..environments(9)
    };
    store.list(after).await.unwrap();
    assert_eq!(store.blob("a\0").await.unwrap(), None);
    let by = store.list_by(BY_TEMPLATE, "\0", None, 9, Order::Ascending);
    assert!(by.await.unwrap().is_empty());
    let refused = store.create(&nul).await;
    assert!(matches!(refused, Err(CommitError::Unavailable(_))));
    // A body is JSON, in which NUL is an escape.
    let put = Put::create(environment("dev"), "\0");
    store.commit(Change::new().put(put)).await.unwrap();
    let dev = store.found(&environment("dev")).await;
    assert_eq!(dev.read::<String>().unwrap(), "\0");
}
