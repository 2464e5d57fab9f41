//! Which idempotency token a call carries upstream.

use std::collections::BTreeSet;

use prost_reflect::DynamicMessage;
use proton_grpc::facade::{RetryOwner, Settings};
use serde_json::json;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use crate::{
    facade_errors::{WITH_TOKEN, full, minimal, operations, without_token},
    facade_world::{World, error, ok},
};

fn world(trust_request_id: bool) -> World {
    let world = World::new(Settings {
        retry_owner: RetryOwner::Client,
        trust_request_id,
        ..Settings::default()
    });
    world.stub.answers(ok(&json!({})));
    world
}

/// Makes the call and answers the token that the stub saw.
async fn token(
    world: &World,
    operation: &str,
    message: DynamicMessage,
    headers: &[(&'static str, &str)],
) -> Option<String> {
    let mut request = Request::new(message);
    for (name, value) in headers {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    world.ask(operation, request).await.unwrap();
    let seen = world.stub.seen_once();
    seen.body["clientToken"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn the_field_goes_before_the_key_and_the_key_before_the_request_id() {
    let world = world(true);
    for operation in WITH_TOKEN {
        let both = [("idempotency-key", "a-key"), ("x-request-id", "an-id")];
        let given = token(&world, operation, full(operation), &both).await;
        assert_eq!(given.as_deref(), Some("client_token"), "{operation}");
        let key = token(&world, operation, without_token(operation), &both).await;
        assert_eq!(key.as_deref(), Some("a-key"), "{operation}");
        let derived = token(&world, operation, without_token(operation), &both[1..]).await;
        let derived = derived.unwrap();
        assert!(derived.len() <= 64 && derived.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}

#[tokio::test]
async fn a_repeat_of_a_logical_call_carries_the_same_token_and_nothing_else_does() {
    let world = world(true);
    let mut tokens = BTreeSet::new();
    for operation in WITH_TOKEN {
        for message in [without_token(operation), minimal(operation)] {
            for id in ["one", "two"] {
                let headers = [("x-request-id", id)];
                let first = token(&world, operation, message.clone(), &headers).await;
                let again = token(&world, operation, message.clone(), &headers).await;
                assert_eq!(first, again);
                tokens.insert(first);
            }
        }
    }
    assert_eq!(tokens.len(), 2 * 2 * WITH_TOKEN.len());
}

#[tokio::test]
async fn without_any_the_sdk_makes_one_for_each_call() {
    let world = world(false);
    for operation in WITH_TOKEN {
        // Nobody says that this is one for each logical call.
        let headers = [("x-request-id", "an-id")];
        let first = token(&world, operation, without_token(operation), &headers).await;
        let again = token(&world, operation, without_token(operation), &headers).await;
        assert!(first.is_some() && again.is_some() && first != again);
    }
}

#[tokio::test]
async fn a_call_with_a_lasting_token_is_safe_and_another_is_not() {
    for (trust, headers, code) in [
        (false, vec![("idempotency-key", "a-key")], Code::Unavailable),
        (true, vec![("x-request-id", "an-id")], Code::Unavailable),
        (false, vec![("x-request-id", "an-id")], Code::Unknown),
        (true, vec![], Code::Unknown),
    ] {
        let world = world(trust);
        world.stub.answers(error(503, "ServiceUnavailable"));
        for operation in WITH_TOKEN {
            let mut request = Request::new(without_token(operation));
            for (name, value) in &headers {
                request.metadata_mut().insert(*name, value.parse().unwrap());
            }
            let status = world.ask(operation, request).await.unwrap_err();
            assert_eq!(status.code(), code, "{operation} {headers:?}");
        }
    }
}

#[tokio::test]
async fn a_key_that_can_be_no_token_is_refused_by_its_name() {
    let world = world(true);
    let long = "x".repeat(65);
    for key in [&long, "two words", "caf\u{e9}", "tab\there", ""] {
        let mut request = Request::new(without_token("CreateComponent"));
        let value = http::HeaderValue::from_bytes(key.as_bytes()).unwrap();
        let headers =
            http::HeaderMap::from_iter([(http::HeaderName::from_static("idempotency-key"), value)]);
        *request.metadata_mut() = tonic::metadata::MetadataMap::from_headers(headers);
        let status = world.ask("CreateComponent", request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{key}");
        let details = status.get_error_details();
        let violations = &details.bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "idempotency-key");
        assert!(world.stub.seen().is_empty());
    }
    let longest = "~".repeat(64);
    let headers = [("idempotency-key", longest.as_str())];
    let message = without_token("CreateComponent");
    let carried = token(&world, "CreateComponent", message, &headers).await;
    assert_eq!(carried, Some(longest));
}

#[tokio::test]
async fn operations_without_a_token_get_none() {
    let world = world(true);
    let headers = [("idempotency-key", "a-key"), ("x-request-id", "an-id")];
    for operation in operations() {
        if !WITH_TOKEN.contains(&operation.as_str()) {
            let carried = token(&world, &operation, full(&operation), &headers).await;
            assert_eq!(carried, None, "{operation}");
        }
    }
}
