//! What identical reads share. Time is paused: it passes when nothing else can happen.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::join_all};
use proton_grpc::{
    api::pb::{
        DeleteServiceRequest, GetServiceRequest, ListServicesRequest,
        proton_service_server::ProtonService as _,
    },
    facade::{Facade, Reads, Settings, Upstream, deadline::Deadline},
    identity::Identities,
};
use serde_json::json;
use tokio::time::{Instant, advance, sleep, timeout};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::{
    facade_world::{InMemory, Reply, Stub, answer, error, ok, sdk},
    roles::{ambient, callers, entry, principal},
};

/// How long the upstream takes.
const TRIP: Duration = Duration::from_millis(300);
const MINUTE: Duration = Duration::from_secs(60);

struct World {
    stub: Arc<Stub>,
    facade: Facade,
    identities: Identities,
}

fn world(keep: Option<Duration>) -> World {
    let stub = Arc::new(Stub::default());
    let sdk = sdk("http://stub").into_builder();
    let sdk = sdk.http_client(InMemory(Arc::clone(&stub))).build();
    let settings = Settings {
        reads: Some(Reads::new(keep, Arc::new(Instant::now))),
        ..Settings::default()
    };
    World {
        facade: Facade::new(Upstream::from_config(&sdk), settings, ambient()),
        stub,
        identities: callers(&[
            entry("alice", "1", ""),
            entry("bob", "1", ""),
            entry("carol", "2", ""),
        ]),
    }
}

fn service(description: &str) -> Reply {
    ok(&json!({ "service": {
        "arn": "arn:aws:proton:us-east-1:111111111111:service/a",
        "createdAt": 1_700_000_000, "lastModifiedAt": 1_700_000_000, "name": "a",
        "spec": "spec", "status": "ACTIVE", "templateName": "t", "description": description,
    } }))
}

fn slow(reply: Reply) -> Reply {
    match reply {
        Reply::Answer(answer) => Reply::Late(TRIP, answer),
        other => other,
    }
}

impl World {
    async fn request<T>(&self, caller: &str, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let principal = principal(&self.identities, caller).await;
        request.extensions_mut().insert(principal);
        request
    }

    async fn ask(&self, request: Request<GetServiceRequest>) -> Result<String, Status> {
        let answer = self.facade.get_service(request).await?;
        assert_eq!(
            answer.metadata().get("x-amzn-requestid").unwrap(),
            "upstream-id"
        );
        Ok(answer.into_inner().service.unwrap().description.unwrap())
    }

    async fn get(&self, caller: &str, name: &str) -> Result<String, Status> {
        let message = GetServiceRequest { name: name.into() };
        self.ask(self.request(caller, message).await).await
    }

    async fn delete(&self, caller: &str) -> Result<(), Status> {
        let message = DeleteServiceRequest { name: "a".into() };
        let request = self.request(caller, message).await;
        self.facade.delete_service(request).await.map(drop)
    }

    fn calls(&self) -> usize {
        self.stub.seen().len()
    }
}

#[tokio::test(start_paused = true)]
async fn a_crowd_makes_one_call() {
    let world = world(None);
    world.stub.answers(slow(service("now")));
    for read in join_all((0..1000).map(|_| world.get("alice", "a"))).await {
        assert_eq!(read.unwrap(), "now");
    }
    assert_eq!(world.calls(), 1);
    // It is over for those who come later.
    world.get("alice", "a").await.unwrap();
    assert_eq!(world.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn reads_that_differ_share_nothing() {
    for keep in [None, Some(MINUTE)] {
        let world = world(keep);
        world.stub.answers(slow(service("now")));
        let list = world.request("alice", ListServicesRequest::default()).await;
        let list = world.facade.list_services(list).map(drop);
        let reads = [("alice", "a"), ("alice", "b"), ("bob", "a"), ("carol", "a")];
        let gets = join_all(reads.map(|(caller, name)| world.get(caller, name)));
        tokio::join!(list, gets);
        assert_eq!(world.calls(), 5);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_everybodys_and_nobodys_later() {
    let world = world(Some(MINUTE));
    world
        .stub
        .answers(slow(error(400, "ResourceNotFoundException")));
    for read in join_all((0..10).map(|_| world.get("alice", "a"))).await {
        let status = read.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.metadata["attempts"], "1");
    }
    assert_eq!(world.calls(), 1);
    world.stub.answers(service("made since"));
    assert_eq!(world.get("alice", "a").await.unwrap(), "made since");
}

#[tokio::test(start_paused = true)]
async fn whoever_began_may_go() {
    let world = world(None);
    world.stub.answers(slow(service("now")));
    let first = timeout(TRIP / 3, world.get("alice", "a"));
    let second = timeout(TRIP * 2, world.get("alice", "a"));
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_err());
    assert_eq!(second.unwrap().unwrap(), "now");
    assert_eq!(world.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_one_to_go_ends_the_call() {
    let world = world(None);
    world.stub.answers(Reply::Silence);
    for _ in 0..2 {
        let reads = join_all((0..3).map(|_| timeout(TRIP, world.get("alice", "a")))).await;
        assert!(reads.iter().all(Result::is_err));
        world.stub.left_alone().await;
        assert_eq!(world.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn each_has_its_own_deadline() {
    let world = world(None);
    world.stub.answers(slow(service("now")));
    let by = |time: Duration| {
        let world = &world;
        async move {
            let message = GetServiceRequest { name: "a".into() };
            let mut request = world.request("alice", message).await;
            request
                .extensions_mut()
                .insert(Deadline(Instant::now() + time));
            let start = Instant::now();
            (world.ask(request).await, start.elapsed())
        }
    };
    let ((hasty, waited), (patient, _)) = tokio::join!(by(TRIP / 3), by(TRIP * 2));
    let status = hasty.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(waited <= TRIP / 3);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["outcome"], "unknown");
    assert_eq!(patient.unwrap(), "now");
    assert_eq!(world.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_not_joined_for_ever() {
    let world = world(None);
    world.stub.answers_in_turn([Reply::Silence]);
    world.stub.answers(service("now"));
    let early = timeout(Duration::from_secs(5), world.get("alice", "a"));
    let late = async {
        sleep(Duration::from_secs(1)).await;
        timeout(TRIP, world.get("alice", "a")).await
    };
    let (early, late) = tokio::join!(early, late);
    assert!(early.is_err());
    assert_eq!(late.unwrap().unwrap(), "now");
}

/// A change is seen by every read that begins after its answer, whoever made it.
#[tokio::test(start_paused = true)]
async fn what_was_read_before_a_change_is_not_shared_after_it() {
    for keep in [None, Some(MINUTE)] {
        let world = world(keep);
        world
            .stub
            .answers_in_turn([slow(service("before")), service("of the change")]);
        world.stub.answers(service("after"));
        let (before, (), after) = tokio::join!(
            world.get("alice", "a"),
            async {
                sleep(TRIP / 3).await;
                world.delete("bob").await.unwrap();
            },
            async {
                sleep(TRIP / 2).await;
                world.get("alice", "a").await
            },
        );
        assert_eq!(before.unwrap(), "before");
        assert_eq!(after.unwrap(), "after");
        // What has landed since is of the era before.
        assert_eq!(world.get("alice", "a").await.unwrap(), "after");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_fails_or_is_given_up_counts_too() {
    let world = world(Some(MINUTE));
    world.stub.answers(service("now"));
    for reply in [error(400, "ConflictException"), Reply::Silence] {
        world.get("alice", "a").await.unwrap();
        world.calls();
        world.stub.answers_in_turn([reply]);
        let change = timeout(TRIP, world.delete("alice")).await;
        assert!(!matches!(change, Ok(Ok(()))));
        world.calls();
        world.get("alice", "a").await.unwrap();
        assert_eq!(world.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_kept_for_as_long_as_is_said() {
    let world = world(Some(MINUTE));
    world.stub.answers_in_turn([slow(service("old"))]);
    world.stub.answers(service("new"));
    let get = || async { world.get("alice", "a").await.unwrap() };
    assert_eq!(get().await, "old");
    // It is as old as the question, not as the answer.
    advance(MINUTE - TRIP * 2).await;
    assert_eq!(get().await, "old");
    advance(TRIP + TRIP / 3).await;
    assert_eq!(get().await, "new");
    assert_eq!(world.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_may_ask_for_what_is_there_now() {
    let world = world(Some(MINUTE));
    world.stub.answers(slow(service("old")));
    world.get("alice", "a").await.unwrap();
    let message = GetServiceRequest { name: "a".into() };
    let mut fresh = world.request("alice", message).await;
    let value = "max-age=0, no-cache".parse().unwrap();
    fresh.metadata_mut().insert("cache-control", value);
    world.stub.answers(service("new"));
    assert_eq!(world.ask(fresh).await.unwrap(), "new");
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_bounded() {
    let world = world(Some(MINUTE));
    let large = "x".repeat(1 << 20);
    for number in 0..40 {
        world.stub.answers(service(&large));
        world.get("alice", &format!("s-{number}")).await.unwrap();
    }
    world.calls();
    for number in 0..40 {
        world.get("alice", &format!("s-{number}")).await.unwrap();
    }
    let asked_again = world.calls();
    assert!((24..=40).contains(&asked_again), "{asked_again}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_an_id_is_shared_without_one() {
    let world = world(None);
    let mut bare = answer(200, json!({ "services": [] }).to_string());
    bare.headers_mut().remove("x-amzn-requestid");
    world.stub.answers(Reply::Late(TRIP, bare));
    let list = || async {
        let request = world.request("alice", ListServicesRequest::default()).await;
        world.facade.list_services(request).await.unwrap()
    };
    for answer in join_all([list(), list()]).await {
        assert!(answer.metadata().get("x-amzn-requestid").is_none());
    }
    assert_eq!(world.calls(), 1);
}
