//! What the audit trail says of calls, on both fronts.

#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_sdk_proton::Client;
use aws_sdk_proton::config::retry::RetryConfig;
use proton_grpc::{
    audit::{Seal, Settings, Trail, verify::verify},
    facade::{Ambient, Facade, Upstream},
    identity::{self, Identities, Place, Sources},
    server::{Bound, Gate, Health, Server, proton},
};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::sync::Notify;
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;

use crate::{
    descriptors,
    facade_errors::minimal,
    facade_world::{OWN_ID, Reply, Stub, answer, error, no_retries, ok, sdk},
    identity::{Behind, any_port, streamed, unary},
    stack::{ACCOUNT, REGION, Stack, refused},
};

/// An operation whose repeat may do harm.
const CHANGE: &str = "UpdateAccountSettings";
const READ: &str = "GetAccountSettings";

/// A server with a trail.
struct World {
    trail: Trail,
    directory: TempDir,
    channel: Channel,
    server: Server,
}

impl World {
    fn new(upstream: Upstream, identities: Identities, reads: bool) -> Self {
        Self::with(tempfile::tempdir().unwrap(), upstream, identities, reads)
    }

    fn with(directory: TempDir, upstream: Upstream, identities: Identities, reads: bool) -> Self {
        let settings = Settings {
            file: directory.path().join("audit"),
            seal: Seal::Plain,
            reads,
        };
        let trail = Trail::open(settings, Arc::new(SystemTime::now)).unwrap();
        let gate = Gate {
            audit: Some(trail.clone()),
            ..identities.into()
        };
        let facade = move || {
            let ambient = Ambient {
                request_id: Arc::new(|| OWN_ID.to_owned()),
                jitter: Arc::new(|longest| longest),
            };
            Facade::new(upstream.clone(), no_retries(), ambient)
        };
        let bound = any_port();
        let address = format!("http://{}", bound.listen());
        let server = Server::start(bound, Health::default(), gate, move || proton(facade()));
        Self {
            trail,
            directory,
            channel: Channel::from_shared(address).unwrap().connect_lazy(),
            server: server.unwrap(),
        }
    }

    /// In front of a stub.
    async fn stubbed(reads: bool) -> (Self, Arc<Stub>) {
        let stub = Arc::new(Stub::default());
        let upstream = Upstream::from_config(&sdk(&format!("http://{}/", stub.listen().await)));
        (Self::new(upstream, local(), reads), stub)
    }

    async fn call(&self, operation: &str) -> Result<Json, Status> {
        unary(&self.channel, operation, minimal(operation), &[]).await
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("audit")
    }

    /// What was recorded of calls, by their end.
    async fn records(self) -> Vec<Json> {
        self.server.drain(Duration::ZERO).await;
        self.trail.close().await;
        let file = self.directory.path().join("audit");
        let report = verify(std::slice::from_ref(&file), &Seal::Plain).unwrap();
        assert_eq!((report.broken, report.unfinished), (None, 0));
        let text = fs::read_to_string(file).unwrap();
        let records = text.lines().map(|line| serde_json::from_str(line).unwrap());
        records
            .filter(|record: &Json| record["front"].is_string())
            .collect()
    }
}

fn local() -> Identities {
    Identities::nobody_asks(Place {
        account: "000000000000".to_owned(),
        region: REGION.to_owned(),
    })
}

fn members(record: &Json, names: &[&str]) -> Json {
    names.iter().map(|name| record[*name].clone()).collect()
}

#[tokio::test]
async fn what_became_of_a_change_is_recorded() {
    let (world, stub) = World::stubbed(false).await;
    let unreadable = Reply::Answer(answer(200, "<html>"));
    let endings = [
        (ok(&json!({})), json!(["ok", null, null, "upstream-id"])),
        (
            error(400, "ValidationException"),
            json!([
                "rejected",
                "INVALID_ARGUMENT",
                "ValidationException",
                "upstream-id"
            ]),
        ),
        (
            error(400, "AccessDeniedException"),
            json!([
                "rejected",
                "PERMISSION_DENIED",
                "AccessDeniedException",
                "upstream-id"
            ]),
        ),
        (
            error(400, "ThrottlingException"),
            json!([
                "not_executed",
                "RESOURCE_EXHAUSTED",
                "ThrottlingException",
                "upstream-id"
            ]),
        ),
        (
            error(500, "InternalServerException"),
            json!([
                "unknown",
                "INTERNAL",
                "InternalServerException",
                "upstream-id"
            ]),
        ),
        (
            error(503, "ServiceUnavailable"),
            json!(["unknown", "UNKNOWN", "ServiceUnavailable", "upstream-id"]),
        ),
        (
            unreadable,
            json!(["unknown", "UNKNOWN", null, "upstream-id"]),
        ),
    ];
    for (reply, _) in &endings {
        stub.answers(reply.clone());
        let _ = world.call(CHANGE).await;
    }
    let records = world.records().await;
    let outcomes: Vec<_> = records
        .iter()
        .filter(|record| record["event"] == "outcome")
        .map(|record| members(record, &["outcome", "code", "aws_code", "request_id"]))
        .collect();
    let expected: Vec<_> = endings.into_iter().map(|(_, ending)| ending).collect();
    assert_eq!(outcomes, expected);
    let intents = records.iter().filter(|record| record["event"] == "intent");
    assert_eq!(intents.count(), expected.len());
}

#[tokio::test]
async fn nobody_knows_what_became_of_a_change_whose_time_was_up() {
    let (world, stub) = World::stubbed(false).await;
    stub.answers(Reply::Silence);
    let message = minimal(CHANGE);
    let late = unary(&world.channel, CHANGE, message, &[("grpc-timeout", "1S")]);
    let (answer, ()) = tokio::join!(late, stub.asked());
    // Which it is depends on whose clock is the first: the client keeps the deadline, too.
    let ends = [Code::DeadlineExceeded, Code::Cancelled];
    assert!(ends.contains(&answer.unwrap_err().code()));
    let records = world.records().await;
    let outcome = members(&records[1], &["event", "outcome"]);
    assert_eq!(outcome, json!(["outcome", "unknown"]));
}

#[tokio::test]
async fn nobody_knows_what_became_of_a_change_that_was_cancelled() {
    let (world, stub) = World::stubbed(false).await;
    stub.answers(Reply::Silence);
    let channel = world.channel.clone();
    let call = tokio::spawn(async move { unary(&channel, CHANGE, minimal(CHANGE), &[]).await });
    stub.asked().await;
    call.abort();
    stub.left_alone().await;
    let records = world.records().await;
    let outcome = members(&records[1], &["event", "outcome", "code"]);
    assert_eq!(outcome, json!(["outcome", "unknown", "CANCELLED"]));
}

#[tokio::test]
async fn what_is_invalid_was_never_begun_and_leaves_no_record() {
    let (world, _stub) = World::stubbed(true).await;
    let empty = prost_reflect::DynamicMessage::new(descriptors::request("UpdateService"));
    let refused = unary(&world.channel, "UpdateService", empty, &[]).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(world.records().await, [] as [Json; 0]);
}

#[tokio::test]
async fn reads_and_streams_are_recorded_once_each_if_that_is_wanted() {
    for reads in [false, true] {
        let (world, stub) = World::stubbed(reads).await;
        stub.answers(ok(&json!({})));
        world.call(READ).await.unwrap();
        let page = |token: Json| ok(&json!({ "environments": [], "nextToken": token }));
        stub.answers_in_turn([page(json!("more")), page(json!("more")), page(Json::Null)]);
        let method = "ListEnvironments";
        let pages = streamed(&world.channel, method, minimal(method), &[]).await;
        assert_eq!(pages.unwrap().len(), 3);
        let records = world.records().await;
        let read = |operation| json!(["read", operation, "ok"]);
        let expected = match reads {
            true => vec![read(READ), read(method)],
            false => vec![],
        };
        let records = records.iter();
        let told = records.map(|record| members(record, &["event", "operation", "outcome"]));
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn who_is_not_let_in_is_recorded_on_both_fronts() {
    let directory = tempfile::tempdir().unwrap();
    let callers = directory.path().join("callers");
    fs::write(
        &callers,
        "[[caller]]\nspiffe = 'spiffe://prod.example/a'\naccount = '111111111111'\n",
    )
    .unwrap();
    let settings = identity::Settings {
        local: Place {
            account: "000000000000".to_owned(),
            region: REGION.to_owned(),
        },
        sources: Some(Sources {
            callers,
            trust_domain: Some("prod.example".parse().unwrap()),
            tokens: None,
            proxied: None,
            roles: false,
        }),
    };
    let (identities, _) = Identities::open(settings, Arc::new(SystemTime::now)).unwrap();
    let (_stack, (world, client)) = both_fronts(directory, identities);
    let refusal = world.call(READ).await.unwrap_err();
    assert_eq!(refusal.code(), Code::Unauthenticated);
    let refusal = refused(
        client
            .create_environment_template()
            .name("web")
            .send()
            .await,
    );
    assert_eq!(refusal.0, "UnrecognizedClientException");

    let records = world.records().await;
    let told = ["event", "front", "operation", "code", "principal"];
    assert_eq!(
        records
            .iter()
            .map(|record| members(record, &told))
            .collect::<Vec<_>>(),
        [
            json!(["refused", "grpc", READ, "UNAUTHENTICATED", null]),
            json!([
                "refused",
                "aws-json",
                "CreateEnvironmentTemplate",
                "UnrecognizedClientException",
                null
            ]),
        ]
    );
    assert!(
        records[0]["peer"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );
}

/// A control plane behind both fronts, and an SDK's client of the second.
fn both_fronts(directory: TempDir, identities: Identities) -> (Stack, (World, Client)) {
    let stack = Stack::idle();
    let upstream = Upstream::embedded(Arc::new(Behind(stack.plane.clone())), REGION);
    let mut world = World::with(directory, upstream, identities, false);
    let bound: Bound = any_port();
    let address = format!("http://{}", bound.listen());
    world.server = world
        .server
        .with_aws_json(bound, stack.plane.clone())
        .unwrap();
    let config = aws_sdk_proton::config::Builder::from(&sdk(&address));
    let config = config.retry_config(RetryConfig::disabled()).build();
    (stack, (world, Client::from_conf(config)))
}

#[tokio::test]
async fn a_change_of_the_control_plane_is_recorded_once_whatever_front_it_comes_by() {
    let (_stack, (world, client)) = both_fronts(tempfile::tempdir().unwrap(), local());
    world.call("CreateEnvironmentTemplate").await.unwrap();
    let name = "aws-json";
    let create = || client.create_environment_template().name(name).send();
    create().await.unwrap();
    create().await.unwrap();
    let other = client
        .create_environment_template()
        .name(name)
        .description("other");
    assert_eq!(refused(other.send().await).0, "ValidationException");
    let none = client.get_environment_template().name("none").send().await;
    assert_eq!(refused(none).0, "ResourceNotFoundException");

    let records = world.records().await;
    let told = ["event", "front", "outcome", "code"];
    let [intent, outcome] = ["intent", "outcome"];
    assert_eq!(
        records
            .iter()
            .map(|record| members(record, &told))
            .collect::<Vec<_>>(),
        [
            json!([intent, "grpc", null, null]),
            json!([outcome, "grpc", "ok", null]),
            json!([intent, "aws-json", null, null]),
            json!([outcome, "aws-json", "ok", null]),
            json!([intent, "aws-json", null, null]),
            json!([outcome, "aws-json", "ok", null]),
            json!([intent, "aws-json", null, null]),
            json!([outcome, "aws-json", "rejected", "ValidationException"]),
        ]
    );
    assert_eq!(records[2]["resource"], "EnvironmentTemplate/aws-json");
    assert_eq!(records[0]["principal"]["account"], "000000000000");
    // The control plane's own, for a key that it does not know.
    assert_eq!(records[2]["principal"]["account"], ACCOUNT);
    assert!(records[3]["request_id"].is_string());
    assert!(records[5]["request_id"] != records[3]["request_id"]);
}

#[tokio::test]
async fn without_a_trail_to_write_changes_are_refused_and_reads_go_on() {
    let (_stack, (world, client)) = both_fronts(tempfile::tempdir().unwrap(), local());
    world.trail.close().await;
    let before = fs::read(world.file()).unwrap();

    let refusal = world.call("CreateEnvironmentTemplate").await.unwrap_err();
    assert_eq!(refusal.code(), Code::Unavailable);
    let info = refusal.get_details_error_info().unwrap();
    assert_eq!(info.reason, "AUDIT_UNAVAILABLE");
    assert_eq!(info.metadata["outcome"], "not_executed");
    let create = client
        .create_environment_template()
        .name("web")
        .send()
        .await;
    assert_eq!(refused(create).0, "ServiceUnavailable");

    let templates = client.list_environment_templates().send().await.unwrap();
    assert!(templates.templates.is_empty(), "nothing was made");
    world.call(READ).await.unwrap();
    assert_eq!(fs::read(world.file()).unwrap(), before);
}

#[tokio::test]
async fn a_change_that_cannot_be_recorded_any_more_is_not_answered_as_if_it_were() {
    for (operation, code) in [
        (CHANGE, Code::Unknown),
        ("DeleteService", Code::Unavailable),
    ] {
        let (world, stub) = World::stubbed(false).await;
        let let_go = Arc::new(Notify::new());
        stub.answers(Reply::Later(Arc::clone(&let_go), answer(200, "{}")));
        let (channel, trail) = (world.channel.clone(), world.trail.clone());
        let call =
            tokio::spawn(async move { unary(&channel, operation, minimal(operation), &[]).await });
        stub.asked().await;
        trail.close().await;
        let_go.notify_one();
        let refusal = call.await.unwrap().unwrap_err();
        assert_eq!(refusal.code(), code);
        let info = refusal.get_details_error_info().unwrap();
        assert_eq!(info.metadata["outcome"], "unknown");
        let report = verify(&[world.file()], &Seal::Plain).unwrap();
        assert_eq!((report.broken, report.unfinished), (None, 1));
    }
}
