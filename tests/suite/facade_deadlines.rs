//! How long a call may take, and what becomes of it when nobody waits any more.

use std::time::Duration;

use proton_grpc::facade::Settings;
use serde_json::json;
use tokio::time::Instant;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    facade_errors::full,
    facade_world::{Reply, World, error, no_retries, ok},
};

#[tokio::test(start_paused = true)]
async fn an_answer_arrives_before_the_deadline() {
    for operation in ["GetService", "UpdateService"] {
        let world = World::new(Settings::default());
        world.stub.answers(Reply::Silence);
        world.set_timeout(Duration::from_secs(3));
        let begun = Instant::now();
        let status = world.call(operation, full(operation)).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert_eq!(begun.elapsed().as_millis(), 2980);
        let details = status.get_error_details();
        let facts = &details.error_info().unwrap().metadata;
        assert_eq!(facts["outcome"], "unknown");
        assert_eq!(facts["attempts"], "1");
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms"), None);
    }
}

/// A safe call may be repeated, but all repeats together have one deadline.
#[tokio::test(start_paused = true)]
async fn repeats_end_with_the_deadline() {
    let world = World::new(Settings::default());
    world.stub.answers(Reply::Silence);
    world.set_timeout(Duration::from_secs(15));
    let begun = Instant::now();
    let status = world
        .call("GetService", full("GetService"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(begun.elapsed().as_millis(), 14_980);
    assert_eq!(world.stub.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_arrives_too_late_is_not_begun() {
    let world = World::new(Settings::default());
    world.stub.answers(ok(&json!({})));
    world.set_timeout(Duration::from_millis(15));
    let status = world
        .call("UpdateService", full("UpdateService"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let details = status.get_error_details();
    let facts = &details.error_info().unwrap().metadata;
    assert_eq!(facts["outcome"], "not_executed");
    assert_eq!(facts["attempts"], "0");
    assert!(world.stub.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_kept_changes_nothing() {
    let world = World::new(no_retries());
    world.set_timeout(Duration::from_secs(1));
    world.stub.answers(ok(&json!({})));
    world.call("GetService", full("GetService")).await.unwrap();
    world.stub.answers(error(400, "ResourceNotFoundException"));
    let status = world.call("GetService", full("GetService")).await;
    assert_eq!(status.unwrap_err().code(), Code::NotFound);
}

/// Through the SDK's own HTTP client: the stub sees the connection close.
#[tokio::test]
async fn a_cancelled_call_ends_upstream_too() {
    let world = World::on_loopback(Settings::default()).await;
    world.stub.answers(Reply::Silence);
    for operation in ["GetService", "UpdateService"] {
        tokio::select! {
            answer = world.call(operation, full(operation)) => panic!("{answer:?}"),
            () = world.stub.asked() => {}
        }
        world.stub.left_alone().await;
        assert_eq!(world.stub.seen_once().operation, operation);
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_ends_upstream_too() {
    let world = World::on_loopback(Settings::default()).await;
    world.stub.answers(Reply::Silence);
    let stream = world.stream("ListServices", full("ListServices")).await;
    world.stub.asked().await;
    drop(stream);
    world.stub.left_alone().await;
}
