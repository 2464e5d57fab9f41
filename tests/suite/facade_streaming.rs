//! Lists that page by themselves and waits that watch a status.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use prost_reflect::{DynamicMessage, Value};
use proton_grpc::facade::{
    Settings, Upstream,
    upstream::{Answer, Changed, Endpoint, Watch},
};
use serde_json::Value as Json;
use tokio::{sync::Notify, time::Instant};
use tonic::{Code, Status, codec::Streaming};
use tonic_types::StatusExt as _;

use crate::{
    descriptors::{self, json, rules::Rules, samples},
    facade_errors::minimal,
    facade_world::{Reply, Stub, World, error, no_retries, ok},
};

/// The methods that page, and those that wait with the operation that they read with.
fn methods() -> (Vec<String>, Vec<(String, String)>) {
    let service = descriptors::service("ProtonStreamingService");
    let (mut pages, mut waits) = (Vec::new(), Vec::new());
    for method in service
        .methods()
        .filter(|method| method.is_server_streaming())
    {
        let name = method.name().to_owned();
        match name.starts_with("List") {
            true => pages.push(name),
            false => {
                let reads = method.input().name().replace("Request", "");
                waits.push((name, reads));
            }
        }
    }
    (pages, waits)
}

/// Everything that a stream sends, and how it ends.
async fn all(mut stream: Streaming<DynamicMessage>) -> (Vec<DynamicMessage>, Result<(), Status>) {
    let mut sent = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(message)) => sent.push(message),
            Ok(None) => return (sent, Ok(())),
            Err(status) => return (sent, Err(status)),
        }
    }
}

/// A page that ends with this token.
fn page(method: &str, token: Option<&str>) -> Json {
    let mut page = json::write(&samples::full(&descriptors::response(method), 0));
    let members = page.as_object_mut().unwrap();
    match token {
        Some(token) => members.insert("nextToken".to_owned(), token.into()),
        None => members.remove("nextToken"),
    };
    page
}

/// Whether the service knows a single page only: its token is always empty.
fn has_one_page(list: &str) -> bool {
    let request = descriptors::request(list);
    let token = request.get_field_by_name("next_token").unwrap();
    Rules::of(&token).size("string.max_len") == Some(0)
}

#[tokio::test]
async fn every_list_pages_to_its_end() {
    let (lists, _) = methods();
    assert_eq!(lists.len(), 21);
    let world = World::new(no_retries());
    for method in lists {
        let tokens = match has_one_page(&method) {
            true => vec![None],
            false => vec![Some("one"), Some("two"), None],
        };
        let pages: Vec<_> = tokens.iter().map(|token| page(&method, *token)).collect();
        world.stub.answers_in_turn(pages.iter().map(ok));
        let (sent, end) = all(world.stream(&method, minimal(&method)).await).await;
        assert!(end.is_ok(), "{method} {end:?}");
        let sent: Vec<_> = sent.iter().map(json::write).collect();
        assert_eq!(sent, pages, "{method}");
        let first = json::write(&minimal(&method));
        let seen = world.stub.seen();
        assert_eq!(seen.len(), pages.len());
        for (seen, token) in seen.iter().zip([None, Some("one"), Some("two")]) {
            let mut expected = first.clone();
            if let Some(token) = token {
                expected["nextToken"] = token.into();
            }
            assert_eq!(seen.operation, method);
            assert_eq!(seen.body, expected);
        }
    }
}

#[tokio::test]
async fn an_empty_token_ends_a_list() {
    let world = World::new(no_retries());
    for method in methods().0 {
        world.stub.answers_in_turn([ok(&page(&method, Some("")))]);
        let (sent, end) = all(world.stream(&method, minimal(&method)).await).await;
        assert_eq!((sent.len(), end.is_ok()), (1, true), "{method}");
    }
}

#[tokio::test]
async fn a_list_begins_where_it_is_told_to() {
    let world = World::new(no_retries());
    world.stub.answers(ok(&page("ListServices", None)));
    let mut request = minimal("ListServices");
    request.set_field_by_name("next_token", Value::String("there".to_owned()));
    let (sent, end) = all(world.stream("ListServices", request).await).await;
    assert_eq!((sent.len(), end.is_ok()), (1, true));
    assert_eq!(world.stub.seen_once().body["nextToken"], "there");
}

#[tokio::test]
async fn an_error_midway_comes_after_the_pages_before_it() {
    let (lists, _) = methods();
    let world = World::new(no_retries());
    for method in lists.into_iter().filter(|method| !has_one_page(method)) {
        world.stub.answers_in_turn([
            ok(&page(&method, Some("one"))),
            error(400, "ThrottlingException"),
        ]);
        let (sent, end) = all(world.stream(&method, minimal(&method)).await).await;
        assert_eq!(sent.len(), 1);
        let status = end.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.get_error_details().retry_info().is_some());
        assert!(status.metadata().get("grpc-retry-pushback-ms").is_some());
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_calls() {
    let world = World::new(no_retries());
    world
        .stub
        .answers_in_turn([ok(&page("ListServices", Some("one"))), Reply::Silence]);
    let mut stream = world.stream("ListServices", minimal("ListServices")).await;
    stream.message().await.unwrap();
    drop(stream);
    world.stub.left_alone().await;
    assert_eq!(world.stub.seen().len(), 2);
}

/// The response of a wait's operation in this status.
fn state(reads: &str, holder: &str, status: &str, message: &str) -> Json {
    let mut body = json::write(&samples::full(&descriptors::response(reads), 0));
    let field = match reads {
        _ if reads.ends_with("TemplateVersion") => "status",
        "GetService" if holder == "/service" => "status",
        _ => "deploymentStatus",
    };
    let place = body.pointer_mut(holder).unwrap();
    place[field] = status.into();
    place[format!("{field}Message")] = message.into();
    body
}

/// A waiter's holder of the status, a status that it waits at, those that it succeeds at and those
/// that it fails at, and its poll interval.
type Waiter = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    u64,
);

const WAITERS: [Waiter; 10] = [
    (
        "ComponentDeleted",
        "/component",
        "IN_PROGRESS",
        &[],
        &["DELETE_FAILED"],
        5,
    ),
    (
        "ComponentDeployed",
        "/component",
        "IN_PROGRESS",
        &["SUCCEEDED"],
        &["FAILED"],
        5,
    ),
    (
        "EnvironmentDeployed",
        "/environment",
        "IN_PROGRESS",
        &["SUCCEEDED"],
        &["FAILED"],
        5,
    ),
    (
        "EnvironmentTemplateVersionRegistered",
        "/environmentTemplateVersion",
        "REGISTRATION_IN_PROGRESS",
        &["DRAFT", "PUBLISHED"],
        &["REGISTRATION_FAILED"],
        2,
    ),
    (
        "ServiceCreated",
        "/service",
        "CREATE_IN_PROGRESS",
        &["ACTIVE"],
        &[
            "CREATE_FAILED_CLEANUP_COMPLETE",
            "CREATE_FAILED_CLEANUP_FAILED",
            "CREATE_FAILED",
        ],
        5,
    ),
    (
        "ServiceDeleted",
        "/service",
        "DELETE_IN_PROGRESS",
        &[],
        &["DELETE_FAILED"],
        5,
    ),
    (
        "ServiceInstanceDeployed",
        "/serviceInstance",
        "IN_PROGRESS",
        &["SUCCEEDED"],
        &["FAILED"],
        5,
    ),
    (
        "ServicePipelineDeployed",
        "/service/pipeline",
        "IN_PROGRESS",
        &["SUCCEEDED"],
        &["FAILED"],
        10,
    ),
    (
        "ServiceTemplateVersionRegistered",
        "/serviceTemplateVersion",
        "REGISTRATION_IN_PROGRESS",
        &["DRAFT", "PUBLISHED"],
        &["REGISTRATION_FAILED"],
        2,
    ),
    (
        "ServiceUpdated",
        "/service",
        "UPDATE_IN_PROGRESS",
        &["ACTIVE"],
        &[
            "UPDATE_FAILED_CLEANUP_COMPLETE",
            "UPDATE_FAILED_CLEANUP_FAILED",
            "UPDATE_FAILED",
            "UPDATE_COMPLETE_CLEANUP_FAILED",
        ],
        5,
    ),
];

/// The method of a waiter and the operation that it reads with.
fn method(waiter: &str) -> (String, String) {
    let (_, waits) = methods();
    waits
        .into_iter()
        .find(|(name, _)| name.ends_with(waiter))
        .unwrap_or_else(|| panic!("no wait for {waiter}"))
}

#[test]
fn every_wait_is_tested() {
    let (_, waits) = methods();
    let tested: std::collections::BTreeSet<_> =
        WAITERS.iter().map(|found| method(found.0)).collect();
    assert_eq!(tested, waits.into_iter().collect());
}

#[tokio::test(start_paused = true)]
async fn a_wait_sends_the_state_at_once_and_on_every_change() {
    for (waiter, holder, waiting, successes, _, poll) in WAITERS {
        let (name, reads) = method(waiter);
        for success in successes {
            let world = World::new(no_retries());
            let waits = state(&reads, holder, waiting, "on it");
            let done = state(&reads, holder, success, "done");
            let replies = [&waits, &waits, &waits, &done];
            world.stub.answers_in_turn(replies.map(ok));
            let begun = Instant::now();
            let mut stream = world.stream(&name, minimal(&reads)).await;
            let first = stream.message().await.unwrap().unwrap();
            assert_eq!(json::write(&first), waits, "{name}");
            assert!(begun.elapsed() < Duration::from_secs(1));
            let (rest, end) = all(stream).await;
            assert!(end.is_ok(), "{name} {end:?}");
            let rest: Vec<_> = rest.iter().map(json::write).collect();
            assert_eq!(rest, [done], "{name}");
            // Three polls between four reads.
            assert_eq!(begun.elapsed().as_secs(), 3 * poll, "{name}");
            assert_eq!(world.stub.seen().len(), 4);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_once_where_it_has_nothing_to_wait_for() {
    for (waiter, holder, _, successes, _, _) in WAITERS {
        let (name, reads) = method(waiter);
        for success in successes {
            let world = World::new(no_retries());
            world.stub.answers(ok(&state(&reads, holder, success, "")));
            let (sent, end) = all(world.stream(&name, minimal(&reads)).await).await;
            assert_eq!((sent.len(), end.is_ok()), (1, true), "{name}");
            assert_eq!(world.stub.seen().len(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_vain_ends_in_the_resources_own_words_after_its_last_state() {
    for (waiter, holder, waiting, _, failures, _) in WAITERS {
        let (name, reads) = method(waiter);
        for failure in failures {
            let world = World::new(no_retries());
            let failed = state(&reads, holder, failure, "the stack rolled back");
            let replies = [&state(&reads, holder, waiting, ""), &failed];
            world.stub.answers_in_turn(replies.map(ok));
            let (sent, end) = all(world.stream(&name, minimal(&reads)).await).await;
            assert_eq!(json::write(&sent[1]), failed, "{name}");
            assert_eq!(sent.len(), 2);
            let status = end.unwrap_err();
            assert_eq!(status.code(), Code::FailedPrecondition, "{name}");
            assert_eq!(status.message(), "the stack rolled back");
            let details = status.get_error_details();
            assert_eq!(details.error_info().unwrap().reason, "WAIT_FAILED");
            assert!(details.request_info().is_some());
            let precondition = &details.precondition_failure().unwrap().violations[0];
            assert_eq!(precondition.r#type, "STATUS");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_deleted_and_otherwise_not_found() {
    for (waiter, holder, waiting, _, _, _) in WAITERS {
        let (name, reads) = method(waiter);
        let world = World::new(no_retries());
        world.stub.answers_in_turn([
            ok(&state(&reads, holder, waiting, "")),
            error(400, "ResourceNotFoundException"),
        ]);
        let (sent, end) = all(world.stream(&name, minimal(&reads)).await).await;
        assert_eq!(sent.len(), 1);
        match waiter.ends_with("Deleted") {
            true => end.unwrap(),
            false => assert_eq!(end.unwrap_err().code(), Code::NotFound, "{name}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_its_deadline() {
    for (waiter, holder, waiting, ..) in WAITERS {
        let (name, reads) = method(waiter);
        let world = World::new(no_retries());
        world.stub.answers(ok(&state(&reads, holder, waiting, "")));
        world.set_timeout(Duration::from_secs(23));
        let begun = Instant::now();
        let (sent, end) = all(world.stream(&name, minimal(&reads)).await).await;
        assert_eq!(sent.len(), 1);
        assert_eq!(end.unwrap_err().code(), Code::DeadlineExceeded, "{name}");
        assert_eq!(begun.elapsed().as_millis(), 22_980, "{name}");
    }
}

/// A service without a pipeline has nothing that could be deployed yet.
#[tokio::test(start_paused = true)]
async fn a_resource_without_the_status_is_sent_once_and_waited_for() {
    let (name, reads) = method("ServicePipelineDeployed");
    let world = World::new(no_retries());
    let mut without = state(&reads, "/service/pipeline", "IN_PROGRESS", "");
    without["service"]
        .as_object_mut()
        .unwrap()
        .remove("pipeline");
    let with = state(&reads, "/service/pipeline", "SUCCEEDED", "");
    let replies = [&without, &without, &without, &with];
    world.stub.answers_in_turn(replies.map(ok));
    let begun = Instant::now();
    let (sent, end) = all(world.stream(&name, minimal(&reads)).await).await;
    let sent: Vec<_> = sent.iter().map(json::write).collect();
    assert_eq!(sent, [without, with]);
    assert!(end.is_ok());
    assert_eq!(begun.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn the_pace_of_waits_is_the_operators_to_choose() {
    let (name, reads) = method("EnvironmentDeployed");
    let world = World::new(Settings {
        wait_poll: Some(Duration::from_millis(300)),
        ..no_retries()
    });
    let status = |status| ok(&state(&reads, "/environment", status, ""));
    let waits = std::iter::repeat_n(status("IN_PROGRESS"), 4);
    world
        .stub
        .answers_in_turn(waits.chain([status("SUCCEEDED")]));
    let begun = Instant::now();
    let (_, end) = all(world.stream(&name, minimal(&reads)).await).await;
    assert!(end.is_ok());
    assert_eq!(begun.elapsed().as_millis(), 4 * 300);
}

/// A control plane in this process that tells when its environment has changed.
struct Telling {
    statuses: Mutex<VecDeque<&'static str>>,
    steps: Arc<Mutex<Vec<String>>>,
    change: Arc<Notify>,
}

impl Endpoint for Telling {
    fn answer(&self, _: http::Request<bytes::Bytes>) -> Answer {
        let status = self.statuses.lock().unwrap().pop_front().unwrap();
        self.steps.lock().unwrap().push(status.to_owned());
        let body = state("GetEnvironment", "/environment", status, "").to_string();
        Box::pin(async move { http::Response::new(body.into()) })
    }

    fn watch(&self, arn: &str) -> Option<Box<dyn Watch>> {
        self.steps.lock().unwrap().push(arn.to_owned());
        Some(Box::new(Told {
            has_begun: false,
            steps: self.steps.clone(),
            change: self.change.clone(),
        }))
    }
}

struct Told {
    has_begun: bool,
    steps: Arc<Mutex<Vec<String>>>,
    change: Arc<Notify>,
}

impl Watch for Told {
    fn changed(&mut self) -> Changed<'_> {
        Box::pin(async {
            if std::mem::replace(&mut self.has_begun, true) {
                self.change.notified().await;
                self.steps.lock().unwrap().push("told".to_owned());
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_on_this_process_watches_then_reads_then_sleeps_until_told() {
    let (steps, change) = (Arc::default(), Arc::new(Notify::new()));
    let endpoint = Arc::new(Telling {
        statuses: Mutex::new(["IN_PROGRESS", "IN_PROGRESS", "SUCCEEDED"].into()),
        steps: Arc::clone(&steps),
        change: change.clone(),
    });
    let upstream = Upstream::embedded(endpoint, "us-east-1");
    let world = World::over(Arc::new(Stub::default()), upstream, no_retries());
    let (name, reads) = method("EnvironmentDeployed");
    let begun = Instant::now();
    change.notify_one();
    let (sent, end) = all(world.stream(&name, minimal(&reads)).await).await;
    assert_eq!((sent.len(), end.is_ok()), (2, true));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let response = state("GetEnvironment", "/environment", "IN_PROGRESS", "");
    let arn = response["environment"]["arn"].as_str().unwrap();
    let steps = steps.lock().unwrap();
    let expected = ["IN_PROGRESS", arn, "IN_PROGRESS", "told", "SUCCEEDED"];
    assert_eq!(*steps, expected);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_sleeps_until_told_keeps_its_deadline() {
    let endpoint = Arc::new(Telling {
        statuses: Mutex::new(["IN_PROGRESS", "IN_PROGRESS"].into()),
        steps: Arc::default(),
        change: Arc::default(),
    });
    let upstream = Upstream::embedded(endpoint, "us-east-1");
    let world = World::over(Arc::new(Stub::default()), upstream, no_retries());
    world.set_timeout(Duration::from_secs(7));
    let (name, reads) = method("EnvironmentDeployed");
    let (sent, end) = all(world.stream(&name, minimal(&reads)).await).await;
    assert_eq!(sent.len(), 1);
    assert_eq!(end.unwrap_err().code(), Code::DeadlineExceeded);
}
