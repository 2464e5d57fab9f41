//! Random changes against a store and against a model of the contract that fits in the head: the same answers, the same state.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::select;

use super::super::change::{Step, Write};
use super::*;

const KINDS: [Kind; 2] = [Kind::Environment, Kind::Service];
const SCOPES: [&str; 2] = [SCOPE, OTHER_SCOPE];
const IDS: [&str; 5] = ["a", "a/1", "a/1é", "a0", "b"];
const PARENTS: [&str; 2] = ["p", "q"];
const INDEXES: [Index; 2] = [Index::new("one"), Index::new("two")];
const VALUES: [&str; 2] = ["x", "y"];
const LEASE_MS: i64 = 10;

/// What can be done to a store. Times only grow.
#[derive(Clone, Debug)]
enum Action {
    Commit(Plan),
    Claim { limit: u32 },
    Sweep { limit: u32 },
    Deliver { limit: u32 },
    Pass { ms: i64 },
}

/// A change in outline: what revisions and claims it names depends on the state it meets.
#[derive(Clone, Debug)]
struct Plan {
    expects: Vec<Guard>,
    deletes: Vec<(Key, Seen)>,
    puts: Vec<(Key, Draft)>,
    blob: Option<(&'static str, Option<u8>)>,
    enqueued: Option<(Key, i64)>,
    emitted: u8,
    /// Which of the claims made so far, and what to do with it.
    held: Option<(usize, Deed)>,
}

#[derive(Clone, Copy, Debug)]
enum Seen {
    Now,
    Before,
}

#[derive(Clone, Debug)]
enum Guard {
    Rev(Key, Seen),
    Plain(Expect),
}

#[derive(Clone, Debug)]
struct Draft {
    /// `None` creates.
    seen: Option<Seen>,
    parent: Option<&'static str>,
    body: u8,
    indexes: Vec<(Index, &'static str)>,
    expires_in_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Complete,
    Reschedule { in_ms: i64 },
    Renew { for_ms: i64 },
}

/// The contract, in memory.
#[derive(Clone, Default)]
struct Model {
    records: BTreeMap<Key, (Record, BTreeSet<(Index, String)>)>,
    blobs: BTreeMap<String, Vec<u8>>,
    /// Item, fence, due time.
    work: BTreeMap<i64, (Work, i64, i64)>,
    enqueued: i64,
    events: BTreeMap<EventId, Event>,
}

impl Model {
    fn rev(&self, key: &Key) -> Option<i64> {
        self.records.get(key).map(|(record, _)| record.rev)
    }

    fn count(&self, scope: &str, kind: Kind, parent: Option<&str>) -> i64 {
        let counted = |record: &Record| {
            record.key.scope == scope
                && record.key.kind == kind
                && parent.is_none_or(|parent| record.parent.as_deref() == Some(parent))
        };
        self.records.values().filter(|it| counted(&it.0)).count() as i64
    }

    /// The state after the change, should it be committed as `rev`.
    fn after(&self, change: &Change, rev: i64) -> Result<Model, String> {
        let mut next = self.clone();
        for held in &change.held {
            next.step(held)?;
        }
        for expect in &change.expects {
            next.check_before(expect)?;
        }
        for (key, at) in &change.deletes {
            next.changed_unless(next.rev(key) == Some(*at), key)?;
            next.records.remove(key);
        }
        for put in &change.puts {
            next.put(put, rev)?;
        }
        for blob in &change.blobs {
            next.blobs.remove(&blob.key);
            let bytes = blob.bytes.clone();
            next.blobs
                .extend(bytes.map(|bytes| (blob.key.clone(), bytes)));
        }
        for work in &change.enqueued {
            next.enqueue(work);
        }
        for (place, event) in (0..).zip(&change.events) {
            next.events.insert(EventId { rev, place }, event.clone());
        }
        for expect in &change.expects {
            next.check_after(expect)?;
        }
        Ok(next)
    }

    fn changed_unless(&self, holds: bool, key: &Key) -> Result<(), String> {
        let error = || CommitError::Changed(key.clone()).to_string();
        holds.then_some(()).ok_or_else(error)
    }

    fn check_before(&self, expect: &Expect) -> Result<(), String> {
        match expect {
            Expect::Absent(key) if self.rev(key).is_some() => {
                Err(CommitError::Exists(key.clone()).to_string())
            }
            Expect::Present(key) => self.changed_unless(self.rev(key).is_some(), key),
            Expect::Rev(key, rev) => self.changed_unless(self.rev(key) == Some(*rev), key),
            _ => Ok(()),
        }
    }

    fn check_after(&self, expect: &Expect) -> Result<(), String> {
        let error = match expect.clone() {
            Expect::NoChildren {
                scope,
                kind,
                parent,
            } if self.count(&scope, kind, Some(&parent)) > 0 => {
                CommitError::HasChildren { kind, parent }
            }
            Expect::Unreferenced { index, value }
                if self
                    .records
                    .values()
                    .any(|it| it.1.contains(&(index, value.clone()))) =>
            {
                CommitError::Referenced { index, value }
            }
            Expect::AtMost {
                scope,
                kinds,
                parent,
                limit,
            } if kinds
                .iter()
                .map(|kind| self.count(&scope, *kind, parent.as_deref()))
                .sum::<i64>()
                > limit =>
            {
                CommitError::Full { limit }
            }
            _ => return Ok(()),
        };
        Err(error.to_string())
    }

    fn put(&mut self, put: &Put, rev: i64) -> Result<(), String> {
        let found = self.records.get(&put.key).map(|it| &it.0);
        let parent = match (&put.write, found) {
            (Write::Create { parent }, None) => parent.clone(),
            (Write::Create { .. }, Some(_)) => {
                return Err(CommitError::Exists(put.key.clone()).to_string());
            }
            (Write::Update { rev }, _) => {
                self.changed_unless(self.rev(&put.key) == Some(*rev), &put.key)?;
                found.and_then(|record| record.parent.clone())
            }
        };
        let record = Record {
            key: put.key.clone(),
            rev,
            parent,
            expires_at_ms: put.expires_at_ms,
            body: put.body.clone(),
        };
        self.records
            .insert(put.key.clone(), (record, put.indexes.clone()));
        Ok(())
    }

    fn enqueue(&mut self, new: &NewWork) {
        self.enqueued += 1;
        let work = Work {
            id: self.enqueued,
            kind: new.kind.clone(),
            subject: new.subject.clone(),
            attempt: 0,
            run_at_ms: new.run_at_ms,
            payload: new.payload.clone(),
        };
        self.work.insert(work.id, (work, 0, new.run_at_ms));
    }

    fn step(&mut self, held: &super::super::change::Held) -> Result<(), String> {
        let item = self.work.get_mut(&held.id).filter(|it| it.1 == held.fence);
        let (work, fence, due) = item.ok_or_else(|| CommitError::LostClaim(held.id).to_string())?;
        match &held.step {
            Step::Complete => drop(self.work.remove(&held.id)),
            Step::Reschedule(back) => {
                *work = back.clone();
                *fence += 1;
                *due = back.run_at_ms;
            }
            Step::Renew { lease_until_ms } => *due = *lease_until_ms,
        }
        Ok(())
    }

    /// The ids to be claimed are those longest due.
    fn claim(&mut self, now_ms: i64, limit: u32) -> Vec<Claimed> {
        let mut due: Vec<_> = self.work.values_mut().filter(|it| it.2 <= now_ms).collect();
        due.sort_by_key(|it| (it.2, it.0.id));
        let claimed = due
            .into_iter()
            .take(limit as usize)
            .map(|(work, fence, due)| {
                work.attempt += 1;
                *fence += 1;
                *due = now_ms + LEASE_MS;
                Claimed {
                    work: work.clone(),
                    fence: *fence,
                }
            });
        let mut claimed: Vec<_> = claimed.collect();
        claimed.sort_by_key(|it| (it.work.run_at_ms, it.work.id));
        claimed
    }

    fn expired(&self, now_ms: i64) -> usize {
        self.records
            .values()
            .filter(|it| it.0.is_expired(now_ms))
            .count()
    }
}

/// A store and its model, with what a caller would remember.
struct Pair {
    store: Scratch,
    model: Model,
    claims: Vec<Claimed>,
    now_ms: i64,
}

impl Pair {
    async fn act(&mut self, action: Action) {
        match action {
            Action::Commit(plan) => self.commit(&plan).await,
            Action::Claim { limit } => {
                let claim = Claim {
                    worker: "w",
                    now_ms: self.now_ms,
                    lease_ms: LEASE_MS,
                    limit,
                };
                let claimed = self.store.claim(claim).await.unwrap();
                assert_eq!(claimed, self.model.claim(self.now_ms, limit));
                self.claims.extend(claimed);
            }
            Action::Sweep { limit } => self.sweep(limit).await,
            Action::Deliver { limit } => {
                let waiting = self.store.events(None, limit).await.unwrap();
                let ids: Vec<_> = waiting.iter().map(|it| it.id).collect();
                self.store.delivered(&ids).await.unwrap();
                self.model.events.retain(|id, _| !ids.contains(id));
            }
            Action::Pass { ms } => self.now_ms += ms,
        }
    }

    async fn commit(&mut self, plan: &Plan) {
        let new = i64::MAX;
        let expected = self.model.after(&self.change(plan), new);
        let answer = self.store.commit(self.change(plan)).await;
        match (answer, expected) {
            (Ok(rev), Ok(_)) => {
                let known = self.model.records.values().map(|it| it.0.rev);
                assert!(known.max().unwrap_or(0) < rev, "revision {rev} came again");
                self.model = self.model.after(&self.change(plan), rev).unwrap();
            }
            (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected),
            (answer, expected) => panic!("{answer:?}, expected {:?}", expected.err()),
        }
    }

    /// Among records that expired in the same moment any may go first, so the model follows the store.
    async fn sweep(&mut self, limit: u32) {
        let expired = self.model.expired(self.now_ms);
        let swept = self.store.sweep(self.now_ms, limit).await.unwrap();
        assert_eq!(swept, expired.min(limit as usize));
        for key in self.model.records.clone().into_keys() {
            if self.store.get(&key).await.unwrap().is_none() {
                let (record, _) = self.model.records.remove(&key).expect("we iterate over it");
                assert!(record.is_expired(self.now_ms));
            }
        }
        assert_eq!(self.model.expired(self.now_ms), expired - swept);
    }

    fn change(&self, plan: &Plan) -> Change {
        let mut change = Change::new();
        for guard in &plan.expects {
            change = change.expect(match guard.clone() {
                Guard::Rev(key, seen) => Expect::Rev(key.clone(), self.seen(&key, seen)),
                Guard::Plain(expect) => expect,
            });
        }
        for (key, seen) in &plan.deletes {
            change = change.delete(key.clone(), self.seen(key, *seen));
        }
        for (key, draft) in &plan.puts {
            change = change.put(self.put(key, draft));
        }
        change = match plan.blob {
            Some((key, Some(byte))) => change.put_blob(key, vec![byte]),
            Some((key, None)) => change.delete_blob(key),
            None => change,
        };
        if let Some((subject, in_ms)) = &plan.enqueued {
            let run_at_ms = self.now_ms + in_ms;
            change = change.enqueue(NewWork::new("k", subject.clone(), run_at_ms, &()));
        }
        for n in 0..plan.emitted {
            change = change.emit(Event {
                resource: format!("arn:{n}"),
                at_ms: self.now_ms,
                body: Body::of(&n),
            });
        }
        match plan.held {
            Some((at, deed)) if !self.claims.is_empty() => {
                self.held(change, self.claims[at % self.claims.len()].clone(), deed)
            }
            _ => change,
        }
    }

    fn held(&self, change: Change, mut claimed: Claimed, deed: Deed) -> Change {
        match deed {
            Deed::Complete => change.complete(&claimed),
            Deed::Renew { for_ms } => change.renew(&claimed, self.now_ms + for_ms),
            Deed::Reschedule { in_ms } => {
                claimed.work.run_at_ms = self.now_ms + in_ms;
                change.reschedule(&claimed)
            }
        }
    }

    fn put(&self, key: &Key, draft: &Draft) -> Put {
        let key = key.clone();
        let put = match (draft.seen, draft.parent) {
            (Some(seen), _) => {
                let rev = self.seen(&key, seen);
                Put::update_at(key, rev, &draft.body)
            }
            (None, None) => Put::create(key, &draft.body),
            (None, Some(parent)) => Put::create_under(parent, key, &draft.body),
        };
        let index = |put: Put, (index, value): &(Index, &'static str)| put.indexed(*index, *value);
        let put = draft.indexes.iter().fold(put, index);
        match draft.expires_in_ms {
            Some(ms) => put.expires_at(self.now_ms + ms),
            None => put,
        }
    }

    fn seen(&self, key: &Key, seen: Seen) -> i64 {
        let now = self.model.rev(key).unwrap_or(0);
        match seen {
            Seen::Now => now,
            Seen::Before => now - 1,
        }
    }

    async fn agree(&self) {
        let Self { store, model, .. } = self;
        for (scope, kind) in SCOPES.into_iter().flat_map(|s| KINDS.map(|k| (s, k))) {
            for parent in [None, Some(PARENTS[0]), Some(PARENTS[1])] {
                let count = store.count(scope, kind, parent).await.unwrap();
                assert_eq!(count, model.count(scope, kind, parent));
            }
            self.agree_on_lists(scope, kind).await;
        }
        for (index, value) in INDEXES.into_iter().flat_map(|i| VALUES.map(|v| (i, v))) {
            self.agree_on_index(index, value).await;
        }
        for key in ["a", "b"] {
            assert_eq!(
                store.blob(key).await.unwrap().as_ref(),
                model.blobs.get(key)
            );
        }
        let next = model.work.values().map(|it| it.2).min();
        assert_eq!(store.next_run_at().await.unwrap(), next);
        let events = store.events(None, u32::MAX).await.unwrap();
        let events = events.into_iter().map(|it| (it.id, it.event));
        assert!(events.eq(model.events.clone()));
    }

    async fn agree_on_lists(&self, scope: &str, kind: Kind) {
        let of_kind = |record: &&Record| record.key.scope == scope && record.key.kind == kind;
        let records = self.model.records.values().map(|it| &it.0).filter(of_kind);
        let all: Vec<_> = records.cloned().collect();
        for (prefix, order) in ["", "a", "a/"].into_iter().flat_map(both_ways) {
            let mut expected = all.clone();
            expected.retain(|record| record.key.id.starts_with(prefix));
            if order == Order::Descending {
                expected.reverse();
            }
            let mut paged: Vec<Record> = Vec::new();
            loop {
                let after = paged.last().map(|record| record.key.id.clone());
                let after = after.as_deref();
                let page = Range {
                    scope,
                    kind,
                    prefix,
                    after,
                    limit: 2,
                    order,
                };
                match self.store.list(page).await.unwrap() {
                    page if page.is_empty() => break,
                    page => paged.extend(page),
                }
            }
            assert_eq!(paged, expected);
        }
    }

    async fn agree_on_index(&self, index: Index, value: &str) {
        let entry = (index, value.to_owned());
        let indexed = self
            .model
            .records
            .values()
            .filter(|it| it.1.contains(&entry));
        let mut expected: Vec<_> = indexed.map(|it| it.0.clone()).collect();
        for (value, order) in both_ways(value) {
            let mut paged: Vec<Record> = Vec::new();
            loop {
                let after = paged.last().map(|record| record.key.clone());
                let page = self
                    .store
                    .list_by(index, value, after.as_ref(), 2, order)
                    .await;
                match page.unwrap() {
                    page if page.is_empty() => break,
                    page => paged.extend(page),
                }
            }
            assert_eq!(paged, expected);
            expected.reverse();
        }
    }
}

fn both_ways(text: &str) -> [(&str, Order); 2] {
    [(text, Order::Ascending), (text, Order::Descending)]
}

fn key() -> impl Strategy<Value = Key> {
    let parts = (select(&SCOPES), select(&KINDS), select(&IDS));
    parts.prop_map(|(scope, kind, id)| Key::new(scope, kind, id))
}

fn seen() -> impl Strategy<Value = Seen> {
    prop_oneof![9 => Just(Seen::Now), 1 => Just(Seen::Before)]
}

fn guard() -> impl Strategy<Value = Guard> {
    let quota = (
        select(&SCOPES),
        proptest::option::of(select(&PARENTS)),
        1..6_i64,
    );
    let quota = quota.prop_map(|(scope, parent, limit)| Expect::AtMost {
        scope: scope.to_owned(),
        kinds: KINDS.to_vec(),
        parent: parent.map(str::to_owned),
        limit,
    });
    let childless = (select(&SCOPES), select(&KINDS), select(&PARENTS));
    let childless = childless.prop_map(|(scope, kind, parent)| Expect::NoChildren {
        scope: scope.to_owned(),
        kind,
        parent: parent.to_owned(),
    });
    let unreferenced = (select(&INDEXES), select(&VALUES));
    let unreferenced = unreferenced.prop_map(|(index, value)| Expect::Unreferenced {
        index,
        value: value.to_owned(),
    });
    prop_oneof![
        (key(), seen()).prop_map(|(key, seen)| Guard::Rev(key, seen)),
        key().prop_map(|key| Guard::Plain(Expect::Absent(key))),
        key().prop_map(|key| Guard::Plain(Expect::Present(key))),
        quota.prop_map(Guard::Plain),
        childless.prop_map(Guard::Plain),
        unreferenced.prop_map(Guard::Plain),
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let parts = (
        proptest::option::of(seen()),
        proptest::option::of(select(&PARENTS)),
        any::<u8>(),
        proptest::collection::vec((select(&INDEXES), select(&VALUES)), 0..3),
        proptest::option::weighted(0.3, 0..20_i64),
    );
    parts.prop_map(|(seen, parent, body, indexes, expires_in_ms)| Draft {
        seen,
        parent,
        body,
        indexes,
        expires_in_ms,
    })
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        Just(Deed::Complete),
        (0..20_i64).prop_map(|in_ms| Deed::Reschedule { in_ms }),
        (0..20_i64).prop_map(|for_ms| Deed::Renew { for_ms }),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let parts = (
        proptest::collection::vec(guard(), 0..2),
        proptest::collection::vec((key(), seen()), 0..2),
        proptest::collection::vec((key(), draft()), 0..3),
        proptest::option::of((select(&["a", "b"]), proptest::option::of(any::<u8>()))),
        proptest::option::of((key(), 0..20_i64)),
        0..3_u8,
        proptest::option::weighted(0.3, (any::<usize>(), deed())),
    );
    parts.prop_map(
        |(expects, deletes, puts, blob, enqueued, emitted, held)| Plan {
            expects,
            deletes,
            puts,
            blob,
            enqueued,
            emitted,
            held,
        },
    )
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => plan().prop_map(Action::Commit),
        2 => (0..4_u32).prop_map(|limit| Action::Claim { limit }),
        1 => (0..4_u32).prop_map(|limit| Action::Sweep { limit }),
        1 => (0..4_u32).prop_map(|limit| Action::Deliver { limit }),
        2 => (1..12_i64).prop_map(|ms| Action::Pass { ms }),
    ]
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn sqlite_does_what_the_model_does(actions in proptest::collection::vec(action(), 1..40)) {
        compare(Engine::Sqlite, actions);
    }
}

// Each comparison asks a hundred times, over a socket.
proptest! {
    #![proptest_config(cases(8))]

    #[test]
    fn postgres_does_what_the_model_does(actions in proptest::collection::vec(action(), 1..40)) {
        compare(Engine::Postgres, actions);
    }
}

/// `STORE_MODEL_CASES` asks for more.
fn cases(cases: u32) -> ProptestConfig {
    let more = std::env::var("STORE_MODEL_CASES");
    ProptestConfig {
        cases: more.map_or(cases, |more| more.parse().unwrap()),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn compare(engine: Engine, actions: Vec<Action>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut pair = Pair {
            store: Scratch::new(engine).await,
            model: Model::default(),
            claims: Vec::new(),
            now_ms: 1000,
        };
        for action in actions {
            pair.act(action).await;
            pair.agree().await;
        }
    });
}
