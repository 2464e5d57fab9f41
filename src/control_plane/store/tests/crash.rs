//! Acknowledged means kept, through SIGKILL.
//!
//! A child process (this test binary, run again) commits from several tasks and prints each change once it is acknowledged. It is
//! killed at some point, over and over in the same directory; then whatever it printed must be there, and whatever is there must
//! be whole. `STORE_CRASH_KILLS` says how often.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use tokio::task::JoinSet;

use super::*;

on_each_engine! {
    every_acknowledged_change_survives_a_kill,
}

const PLACE: &str = "STORE_CRASH_PLACE";
const ROUND: &str = "STORE_CRASH_ROUND";
const KILLS: &str = "STORE_CRASH_KILLS";
const TASKS: u32 = 8;
const BY_TASK: Index = Index::new("crash.task");

/// The `n`-th change of a task in one life of the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    round: u32,
    task: u32,
    n: u32,
}

impl Mark {
    fn id(self) -> String {
        format!("{}.{}.{}", self.round, self.task, self.n)
    }

    fn of(id: &str) -> Self {
        let mut parts = id.split('.').map(|part| part.parse().unwrap());
        let mut next = || parts.next().expect("a mark has three parts");
        let (round, task, n) = (next(), next(), next());
        Self { round, task, n }
    }

    fn key(self) -> Key {
        environment(&self.id())
    }

    /// What the task counts its changes in.
    fn cursor(self) -> Key {
        template(&format!("{}.{}", self.round, self.task))
    }

    /// A record, an index entry, a blob of several pages, a work item and the cursor: there or not, but together.
    fn change(self, cursor: Put) -> Change {
        let task = self.task.to_string();
        let record = Put::create_under(&task, self.key(), &self.n).indexed(BY_TASK, &task);
        Change::new()
            .put(record)
            .put(cursor)
            .put_blob(self.id(), vec![7; 9000])
            .enqueue(NewWork::new("check", self.key(), 0, &()))
    }
}

async fn every_acknowledged_change_survives_a_kill(store: Scratch) {
    let usual = match store.engine() {
        Engine::Sqlite => 20,
        // What is under test here is only that an answer waits for the server's.
        Engine::Postgres => 4,
    };
    let kills: u32 = env::var(KILLS).map_or(usual, |kills| kills.parse().unwrap());
    let mut acknowledged = Vec::new();
    store.close().await;
    for round in 0..kills {
        // Scattered between "as good as at once" and a few hundred changes.
        let patience = round.wrapping_mul(2_654_435_761) % 300;
        acknowledged.extend(life(&store.place.name(), round, patience));
        let store = store.open_again().await.unwrap();
        // Whatever a shared database may still be doing for the dead comes before this.
        store.commit(Change::new()).await.unwrap();
        verify(&store, &acknowledged).await;
        store.close().await;
    }
    assert!(acknowledged.len() > kills as usize);
}

/// Starts a child, kills it after some acknowledgements, and returns all that it printed until then.
fn life(place: &str, round: u32, patience: u32) -> Vec<(Mark, i64)> {
    let mut child = spawn(place, round);
    let printed = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let mut acknowledged = Vec::new();
    for line in printed.lines() {
        let line = line.unwrap();
        let Some((id, rev)) = line.strip_prefix("kept ").and_then(|it| it.split_once(' ')) else {
            continue;
        };
        acknowledged.push((Mark::of(id), rev.parse().unwrap()));
        if acknowledged.len() > patience as usize {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert!(!status.success() && status.code().is_none(), "{status}");
    acknowledged
}

fn spawn(place: &str, round: u32) -> Child {
    let (_, module) = module_path!().split_once("::").expect("we are in a crate");
    Command::new(env::current_exe().unwrap())
        .arg("--exact")
        .arg(format!("{module}::commits_until_killed"))
        .env(PLACE, place)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The child of the crash test. Without its variables it has nothing to do.
#[tokio::test]
async fn commits_until_killed() {
    let (Ok(place), Ok(round)) = (env::var(PLACE), env::var(ROUND)) else {
        return;
    };
    let store = Arc::new(Place::named(&place).open().await.unwrap());
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let first = Mark {
            round: round.parse().unwrap(),
            task,
            n: 0,
        };
        tasks.spawn(commit_forever(Arc::clone(&store), first));
    }
    tasks.join_all().await;
}

async fn commit_forever(store: Arc<Store>, mut mark: Mark) {
    let mut cursor = Put::create(mark.cursor(), &mark.n);
    loop {
        let rev = store.commit(mark.change(cursor)).await.unwrap();
        // One write, past the capturing of the test harness.
        let line = format!("\nkept {} {rev}\n", mark.id());
        std::io::stdout().write_all(line.as_bytes()).unwrap();
        mark.n += 1;
        cursor = Put::update_at(mark.cursor(), rev, &mark.n);
    }
}

async fn verify(store: &Store, acknowledged: &[(Mark, i64)]) {
    for (mark, rev) in acknowledged {
        assert_eq!(store.found(&mark.key()).await.rev, *rev);
    }
    let records = store.list(environments(u32::MAX)).await.unwrap();
    let mut marks: Vec<_> = records.iter().map(|it| Mark::of(&it.key.id)).collect();
    marks.sort();
    for (at, mark) in marks.iter().enumerate() {
        assert!(store.blob(&mark.id()).await.unwrap().is_some());
        let next = marks.get(at + 1).filter(|next| next.n > 0);
        match next {
            Some(next) => assert_eq!(next.n, mark.n + 1, "a change is missing before {next:?}"),
            None => {
                let cursor = store.found(&mark.cursor()).await.read::<u32>().unwrap();
                assert_eq!(cursor, mark.n);
            }
        }
    }
    verify_totals(store, &marks).await;
}

/// Counters, index and queue agree with the records.
async fn verify_totals(store: &Store, marks: &[Mark]) {
    let total = marks.len() as i64;
    assert_eq!(
        store.count(SCOPE, Kind::Environment, None).await.unwrap(),
        total
    );
    for task in 0..TASKS {
        let of_task = marks.iter().filter(|mark| mark.task == task).count();
        let task = task.to_string();
        let count = store.count(SCOPE, Kind::Environment, Some(&task)).await;
        assert_eq!(count.unwrap(), of_task as i64);
        let indexed = store
            .list_by(BY_TASK, &task, None, u32::MAX, Order::Ascending)
            .await;
        assert_eq!(indexed.unwrap().len(), of_task);
    }
    let all = Claim {
        worker: "verifier",
        now_ms: 0,
        lease_ms: 0,
        limit: u32::MAX,
    };
    let queued = store.claim(all).await.unwrap();
    assert_eq!(queued.len(), marks.len());
}
