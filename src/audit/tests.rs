//! The trail on a real file, and on disks that do as tests say.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    Call, Ending, Front, Outcome, Scribe, Seal, Settings, Trail, Unwritten,
    file::{Disk, File, Tail},
    verify::{Report, verify},
};
use crate::identity::{Identities, Place, Principal};

/// A trail in a directory of its own.
struct Kept {
    directory: TempDir,
    seal: Seal,
    reads: bool,
}

impl Kept {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            seal: Seal::Plain,
            reads: false,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("audit.jsonl")
    }

    fn try_open(&self) -> io::Result<Trail> {
        let settings = Settings {
            file: self.path(),
            seal: self.seal.clone(),
            reads: self.reads,
        };
        Trail::open(settings, clock())
    }

    fn open(&self) -> Trail {
        self.try_open().unwrap()
    }

    fn over(&self, disk: impl Disk + 'static) -> Trail {
        Trail::over(disk, self.seal.clone(), self.reads, clock()).unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    fn records(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path()).unwrap();
        let records = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        records.collect()
    }

    fn events(&self) -> Vec<String> {
        let event = |record: &Value| record["event"].as_str().unwrap().to_owned();
        self.records().iter().map(event).collect()
    }

    fn verify(&self) -> Report {
        verify(&[self.path()], &self.seal).unwrap()
    }

    #[track_caller]
    fn holds(&self) -> Report {
        let report = self.verify();
        assert_eq!(report.broken, None, "{report:?}");
        report
    }
}

/// Every look takes a millisecond.
fn clock() -> crate::identity::Clock {
    let millis = AtomicU64::new(0);
    Arc::new(move || {
        let millis = millis.fetch_add(1, Ordering::Relaxed);
        UNIX_EPOCH + Duration::from_secs(1_700_000_000) + Duration::from_millis(millis)
    })
}

/// Time stands still.
fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn scribe(trail: &Trail) -> Scribe {
    let id = HeaderValue::from_static("the caller's own");
    let headers = HeaderMap::from_iter([("x-request-id".parse().unwrap(), id)]);
    Scribe::new(trail, Front::Grpc, Some("192.0.2.1:7".to_owned()), &headers)
}

async fn somebody() -> Principal {
    let place = Place {
        account: "111111111111".to_owned(),
        region: "eu-west-1".to_owned(),
    };
    let client = crate::identity::Client {
        certificate: None,
        machine: crate::identity::Machine::Other,
    };
    let identities = Identities::nobody_asks(place);
    identities.of_call(&HeaderMap::new(), client).await.unwrap()
}

async fn change(trail: &Trail, name: &str) -> Call {
    let mut call = scribe(trail).call("UpdateService", true);
    call.by(&somebody().await);
    call.concerns("Service", name);
    call
}

/// A change from beginning to end.
async fn changed(trail: &Trail, name: &str) -> Result<(), Unwritten> {
    let mut call = change(trail, name).await;
    call.intend().await?;
    call.end(Ending::ok(Some("upstream".to_owned()))).await
}

async fn refused(trail: &Trail, by: Option<&Principal>) {
    let mut call = scribe(trail).call("ListServices", false);
    if let Some(by) = by {
        call.by(by);
    }
    let ending = Ending {
        refused: true,
        ..Ending::failed(Outcome::NotExecuted, "UNAUTHENTICATED")
    };
    call.end(ending).await.unwrap();
}

#[tokio::test]
async fn a_change_is_recorded_before_it_is_begun_and_before_it_is_answered() {
    let kept = Kept::new();
    let trail = kept.open();
    let mut call = change(&trail, "shop").await;
    call.intend().await.unwrap();
    assert_eq!(kept.events(), ["opened", "intent"]);
    call.end(Ending::ok(Some("upstream".to_owned())))
        .await
        .unwrap();

    let records = kept.records();
    let zeros = "0".repeat(64);
    assert_eq!(records[0]["previous"], *zeros);
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record["sequence"], index + 1);
    }
    let intent = serde_json::json!({
        "sequence": 2,
        "time": "2023-11-14T22:13:20.002000Z",
        "event": "intent",
        "call": "1-1",
        "front": "grpc",
        "principal": {
            "id": "local", "kind": "local", "account": "111111111111", "region": "eu-west-1",
        },
        "peer": "192.0.2.1:7",
        "operation": "UpdateService",
        "resource": "Service/shop",
        "caller_request_id": "the caller's own",
        "previous": records[0]["hash"],
        "hash": records[1]["hash"],
    });
    assert_eq!(records[1], intent);
    let outcome = &records[2];
    assert_eq!(outcome["event"], "outcome");
    assert_eq!(outcome["call"], "1-1");
    assert_eq!(outcome["outcome"], "ok");
    assert_eq!(outcome["request_id"], "upstream");
    assert_eq!(outcome["duration_us"], 2000);

    let report = kept.holds();
    assert_eq!((report.records, report.unfinished), (3, 0));
    assert_eq!(report.hash.as_deref(), outcome["hash"].as_str());
}

#[tokio::test]
async fn the_file_is_its_owners_and_this_processs_alone() {
    let kept = Kept::new();
    let _trail = kept.open();
    let mode = fs::metadata(kept.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let error = kept.try_open().unwrap_err();
    assert_eq!(error.to_string(), "another process writes it");
}

#[tokio::test]
async fn the_chain_goes_on_after_a_restart() {
    let kept = Kept::new();
    for _ in 0..2 {
        let trail = kept.open();
        changed(&trail, "shop").await.unwrap();
        trail.close().await;
    }
    let story = ["opened", "intent", "outcome", "closed"];
    assert_eq!(kept.events(), [story, story].concat());
    assert_eq!(kept.records()[6]["call"], "5-1", "names are of one run");
    kept.holds();
}

#[tokio::test]
async fn no_byte_can_be_changed_unseen() {
    let kept = Kept::new();
    let trail = kept.open();
    changed(&trail, "a \"quoted\" name").await.unwrap();
    trail.close().await;
    let good = kept.bytes();
    for at in 0..good.len() {
        for change in [1, 0x20, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= change;
            fs::write(kept.path(), &bad).unwrap();
            let line = 1 + good[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
            let report = kept.verify();
            match report.broken {
                Some(place) => assert_eq!(place.line, line, "byte {at}"),
                // Without its line feed the last line is one that is still being written.
                None => assert!(at == good.len() - 1 && report.cut_off > 0, "byte {at}"),
            }
        }
    }
}

#[tokio::test]
async fn no_record_can_be_taken_out_put_in_or_moved_unseen() {
    let kept = Kept::new();
    let trail = kept.open();
    for name in ["a", "b"] {
        changed(&trail, name).await.unwrap();
    }
    trail.close().await;
    let text = String::from_utf8(kept.bytes()).unwrap();
    let good: Vec<&str> = text.lines().collect();
    for at in 1..good.len() - 1 {
        let mut without = good.clone();
        without.remove(at);
        let mut twice = good.clone();
        twice.insert(at, good[at]);
        let mut swapped = good.clone();
        swapped.swap(at, at + 1);
        for (bad, line) in [(without, at + 1), (twice, at + 2), (swapped, at + 1)] {
            fs::write(kept.path(), bad.join("\n") + "\n").unwrap();
            let place = kept.verify().broken.expect("it is seen");
            assert_eq!(place.line, line as u64);
        }
    }
}

#[tokio::test]
async fn only_who_has_the_key_makes_a_chain_that_holds() {
    let mut kept = Kept::new();
    kept.seal = Seal::keyed(b"the key of the operator, 32 long");
    let trail = kept.open();
    changed(&trail, "shop").await.unwrap();
    trail.close().await;
    kept.holds();
    for other in [Seal::Plain, Seal::keyed(b"another")] {
        kept.seal = other;
        assert_eq!(kept.verify().broken.unwrap().line, 1);
        let error = kept.try_open().unwrap_err().to_string();
        assert_eq!(
            error,
            "its last record was changed, or made with another key"
        );
    }
}

#[tokio::test]
async fn what_is_no_trail_is_not_written_to() {
    let kept = Kept::new();
    for text in ["root:x:0:0\n", "{\"sequence\":2,", "\n", "{}\n"] {
        fs::write(kept.path(), text).unwrap();
        let error = kept.try_open().unwrap_err().to_string();
        assert_eq!(
            error, "it is something else than an audit trail",
            "{text:?}"
        );
        assert_eq!(kept.bytes(), text.as_bytes());
    }
}

/// A process may die while it sets aside what the one before has left.
#[tokio::test]
async fn a_crash_while_recovering_is_recovered_from() {
    let kept = Kept::new();
    kept.open().close().await;
    let first = kept.bytes();
    fs::write(kept.path(), &first[..9]).unwrap();
    kept.open().close().await;
    let recovered = kept.bytes();
    for length in 9..recovered.len() {
        fs::write(kept.path(), &recovered[..length]).unwrap();
        kept.open().close().await;
        assert_eq!(kept.holds().cut_off, 0, "cut at {length}");
    }
}

/// The process may die while any byte of its last record is written.
#[tokio::test]
async fn a_crash_anywhere_leaves_a_chain_that_goes_on() {
    let kept = Kept::new();
    let trail = kept.open();
    changed(&trail, "shop").await.unwrap();
    trail.close().await;
    let whole = kept.bytes();
    let ends: Vec<usize> = (1..=whole.len())
        .filter(|end| whole[end - 1] == b'\n')
        .collect();
    for length in ends[ends.len() - 2]..=whole.len() {
        fs::write(kept.path(), &whole[..length]).unwrap();
        let before = ends.iter().filter(|end| **end <= length).count() as u64;
        let is_cut = !ends.contains(&length);
        // Only its line feed may be missing.
        let is_torn = is_cut && !ends.contains(&(length + 1));
        let report = kept.holds();
        assert_eq!((report.records, report.cut_off > 0), (before, is_cut));

        // The next process dies at its end, too, and then one goes on.
        kept.open().close().await;
        let again = kept.bytes();
        fs::write(kept.path(), &again[..again.len() - 5]).unwrap();
        let trail = kept.open();
        changed(&trail, "shop").await.unwrap();
        trail.close().await;
        let report = kept.holds();
        assert_eq!(report.torn, 1 + u64::from(is_torn), "cut at {length}");
        assert_eq!(report.cut_off, 0);
        assert!(
            kept.bytes().starts_with(&whole[..length]),
            "nothing is taken away"
        );
    }
}

/// A disk between the trail and a real file.
struct Faulty {
    file: File,
    plan: Arc<Plan>,
}

#[derive(Default)]
struct Plan {
    /// How many bytes there is still room for.
    room: Mutex<Option<usize>>,
    appends: AtomicU64,
    /// Each write waits for one of these.
    hold: Mutex<Option<mpsc::Receiver<()>>>,
}

impl Plan {
    fn set_room(&self, bytes: Option<usize>) {
        *self.room.lock().unwrap() = bytes;
    }
}

impl Disk for Faulty {
    fn open(&mut self) -> io::Result<Tail> {
        self.file.open()
    }

    fn is_moved(&self) -> bool {
        self.file.is_moved()
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if let Some(hold) = &*self.plan.hold.lock().unwrap() {
            hold.recv().unwrap();
        }
        self.plan.appends.fetch_add(1, Ordering::Relaxed);
        let mut room = self.plan.room.lock().unwrap();
        match &mut *room {
            Some(left) if *left < lines.len() => {
                let part = std::mem::take(left);
                self.file.append(&lines[..part])?;
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => self.file.append(lines),
        }
    }
}

fn faulty(kept: &Kept) -> (Trail, Arc<Plan>) {
    let plan = Arc::<Plan>::default();
    let disk = Faulty {
        file: File::new(kept.path(), kept.seal.clone()),
        plan: Arc::clone(&plan),
    };
    (kept.over(disk), plan)
}

#[tokio::test]
async fn without_room_on_the_disk_no_change_is_begun_until_there_is_some() {
    let kept = Kept::new();
    let (trail, disk) = faulty(&kept);
    let mut writable = trail.writable();
    for room in [0, 1, 100] {
        disk.set_room(Some(room));
        assert_eq!(changed(&trail, "shop").await, Err(Unwritten));
        assert!(!*writable.borrow_and_update());
        assert_eq!(changed(&trail, "shop").await, Err(Unwritten));
        disk.set_room(None);
        changed(&trail, "shop").await.unwrap();
        assert!(*writable.borrow_and_update());
        kept.holds();
    }
    assert_eq!(kept.holds().torn, 2);
    // What is recorded of the changes that were refused: nothing.
    let intents = kept
        .events()
        .iter()
        .filter(|event| *event == "intent")
        .count();
    assert_eq!(intents, 3);
}

#[tokio::test]
async fn a_disk_that_fills_up_under_a_change_is_told() {
    let kept = Kept::new();
    let (trail, disk) = faulty(&kept);
    let mut call = change(&trail, "shop").await;
    call.intend().await.unwrap();
    disk.set_room(Some(10));
    assert_eq!(call.end(Ending::ok(None)).await, Err(Unwritten));
    disk.set_room(None);
    changed(&trail, "shop").await.unwrap();
    assert_eq!(kept.holds().unfinished, 1);
}

#[tokio::test]
async fn the_trail_recovers_without_being_asked() {
    let kept = Kept::new();
    let (trail, disk) = faulty(&kept);
    disk.set_room(Some(0));
    assert_eq!(changed(&trail, "shop").await, Err(Unwritten));
    disk.set_room(None);
    trail
        .writable()
        .wait_for(|writable| *writable)
        .await
        .unwrap();
}

#[tokio::test]
async fn those_who_wait_together_are_written_together_and_in_order() {
    const CALLS: usize = 64;
    let kept = Kept::new();
    let (trail, disk) = faulty(&kept);
    let (release, hold) = mpsc::channel();
    *disk.hold.lock().unwrap() = Some(hold);
    let before = disk.appends.load(Ordering::Relaxed);

    let mut calls = Vec::new();
    for index in 0..CALLS {
        calls.push(change(&trail, &index.to_string()).await);
    }
    let mut intents = join_all(calls.iter_mut().map(Call::intend));
    // All are asked for before the disk does anything.
    assert!(futures_util::FutureExt::now_or_never(&mut intents).is_none());
    for _ in 0..4 * CALLS {
        release.send(()).unwrap();
    }
    assert!(intents.await.iter().all(Result::is_ok));
    let together = disk.appends.load(Ordering::Relaxed) - before;
    assert!(together <= 2, "{together} writes for {CALLS} changes");

    let ends = calls.into_iter().map(|call| call.end(Ending::ok(None)));
    assert!(join_all(ends).await.iter().all(Result::is_ok));
    let report = kept.holds();
    assert_eq!(
        (report.records, report.unfinished),
        (1 + 2 * CALLS as u64, 0)
    );
    let records = kept.records();
    let names = records.iter().filter(|record| record["event"] == "intent");
    let names: Vec<_> = names
        .map(|record| record["resource"].as_str().unwrap())
        .collect();
    let expected: Vec<_> = (0..CALLS).map(|index| format!("Service/{index}")).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_change_that_is_cut_off_is_recorded_as_what_it_is() {
    let kept = Kept::new();
    let (trail, disk) = faulty(&kept);

    // Before its intent is on disk nothing was begun.
    let (release, hold) = mpsc::channel();
    *disk.hold.lock().unwrap() = Some(hold);
    let mut call = change(&trail, "a").await;
    let intent = Box::pin(call.intend());
    assert!(futures_util::FutureExt::now_or_never(intent).is_none());
    drop(call);
    for _ in 0..100 {
        release.send(()).unwrap();
    }

    let mut call = change(&trail, "b").await;
    call.intend().await.unwrap();
    drop(call);

    let mut call = change(&trail, "c").await;
    call.intend().await.unwrap();
    let panic = catch_unwind(AssertUnwindSafe(move || {
        let _call = call;
        panic!("as tests do");
    }));
    assert!(panic.is_err());

    // One of which nothing is recorded yet leaves nothing.
    drop(change(&trail, "d").await);
    trail.close().await;
    let records = kept.records();
    let outcomes: Vec<_> = records
        .iter()
        .filter(|record| record["event"] == "outcome")
        .map(|record| [&record["resource"], &record["outcome"], &record["code"]])
        .map(|members| members.map(|member| member.as_str().unwrap()))
        .collect();
    assert_eq!(
        outcomes,
        [
            ["Service/a", "not_executed", "CANCELLED"],
            ["Service/b", "unknown", "CANCELLED"],
            ["Service/c", "unknown", "PANIC"],
        ]
    );
    assert_eq!(kept.holds().unfinished, 0);
}

#[tokio::test]
async fn reads_are_recorded_if_that_is_wanted() {
    let mut kept = Kept::new();
    for (reads, events) in [(false, 0), (true, 2)] {
        kept.reads = reads;
        let trail = kept.open();
        let mut call = scribe(&trail).call("GetService", false);
        call.intend().await.unwrap();
        call.end(Ending::ok(None)).await.unwrap();
        drop(scribe(&trail).call("ListServices", false));
        trail.close().await;
        let read = kept
            .events()
            .iter()
            .filter(|event| *event == "read")
            .count();
        assert_eq!(read, events);
    }
}

#[tokio::test]
async fn nobody_fills_the_disk_with_refusals() {
    let kept = Kept::new();
    let file = File::new(kept.path(), Seal::Plain);
    let trail = Trail::over(file, Seal::Plain, false, Arc::new(noon)).unwrap();
    for _ in 0..1000 {
        refused(&trail, None).await;
    }
    let somebody = somebody().await;
    for _ in 0..20 {
        refused(&trail, Some(&somebody)).await;
    }
    trail.close().await;
    let records = kept.records();
    let refused = records.iter().filter(|record| record["event"] == "refused");
    let (known, nobody): (Vec<_>, Vec<_>) =
        refused.partition(|record| record["principal"].is_object());
    assert_eq!((nobody.len(), known.len()), (10, 20));
    let omitted = records
        .iter()
        .filter_map(|record| record["records"].as_u64());
    assert_eq!(omitted.sum::<u64>(), 990);
    kept.holds();
}

#[tokio::test]
async fn a_name_without_end_is_cut() {
    let kept = Kept::new();
    let trail = kept.open();
    changed(&trail, &"\u{1}é".repeat(1 << 20)).await.unwrap();
    assert!(kept.bytes().len() < 20_000);
    kept.holds();
}

#[tokio::test]
async fn a_trail_goes_on_in_a_new_file_when_the_old_one_is_moved_away() {
    let kept = Kept::new();
    let old = kept.directory.path().join("audit.1");
    let trail = kept.open();
    changed(&trail, "a").await.unwrap();
    trail.reopen();
    changed(&trail, "b").await.unwrap();
    fs::rename(kept.path(), &old).unwrap();
    changed(&trail, "c").await.unwrap();
    trail.reopen();
    changed(&trail, "d").await.unwrap();
    trail.close().await;

    let events = |path: &Path| fs::read_to_string(path).unwrap().lines().count();
    assert_eq!((events(&old), events(&kept.path())), (8, 4));
    let both = [old.clone(), kept.path()];
    let report = verify(&both, &Seal::Plain).unwrap();
    assert_eq!((report.records, report.broken), (12, None));
    assert_eq!(verify(&both[1..], &Seal::Plain).unwrap().broken, None);
    let reversed = [kept.path(), old];
    let place = verify(&reversed, &Seal::Plain).unwrap().broken.unwrap();
    assert_eq!((place.file.as_path(), place.line), (&*reversed[1], 1));
}

#[tokio::test]
async fn nothing_is_recorded_after_the_end() {
    let kept = Kept::new();
    let trail = kept.open();
    trail.close().await;
    assert_eq!(changed(&trail, "shop").await, Err(Unwritten));
    trail.close().await;
    assert_eq!(kept.events(), ["opened", "closed"]);
}
