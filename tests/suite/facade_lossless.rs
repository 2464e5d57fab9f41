//! What goes in comes out: requests reach the upstream as AWS-JSON and responses the client, with
//! every member and nothing else.

use proptest::{strategy::Strategy as _, strategy::ValueTree as _, test_runner::TestRunner};
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _, Value};
use serde_json::{Value as Json, json};

use crate::{
    descriptors::{self, is_timestamp, is_union, json, rules::Rules, samples},
    facade_errors::{WITH_TOKEN, minimal, operations},
    facade_world::{Reply, World, answer, no_retries, ok},
};

/// Arbitrary messages of each operation.
const CASES: usize = 6;

fn arbitrary(message: &MessageDescriptor) -> Vec<DynamicMessage> {
    let mut runner = TestRunner::deterministic();
    let any = samples::arbitrary(message);
    let mut sample = || any.new_tree(&mut runner).unwrap().current();
    (0..CASES).map(|_| sample()).collect()
}

fn variants(message: &MessageDescriptor) -> Vec<DynamicMessage> {
    let full = |variant| samples::full(message, variant);
    (0..samples::VARIANTS).map(full).collect()
}

/// Sends the request and compares what the stub got.
async fn expect_sent(world: &World, operation: &str, request: DynamicMessage) {
    let mut expected = json::write(&samples::travelled(&request));
    world.call(operation, request).await.unwrap();
    let seen = world.stub.seen_once();
    assert_eq!(seen.operation, operation);
    assert_eq!(seen.headers["content-type"], "application/x-amz-json-1.0");
    if WITH_TOKEN.contains(&operation) && expected.get("clientToken").is_none() {
        let made = seen.body["clientToken"].as_str().unwrap();
        expected["clientToken"] = made.into();
    }
    assert_eq!(seen.body, expected, "{operation}");
}

#[tokio::test]
async fn every_request_reaches_the_upstream_in_full() {
    let world = World::new(no_retries());
    world.stub.answers(ok(&json!({})));
    for operation in operations() {
        let request = descriptors::request(&operation);
        for sample in variants(&request) {
            expect_sent(&world, &operation, sample).await;
        }
    }
}

#[tokio::test]
async fn any_valid_request_reaches_the_upstream_as_it_is() {
    let world = World::new(no_retries());
    world.stub.answers(ok(&json!({})));
    for operation in operations() {
        for sample in arbitrary(&descriptors::request(&operation)) {
            expect_sent(&world, &operation, sample).await;
        }
    }
}

#[tokio::test]
async fn what_a_request_leaves_out_stays_left_out() {
    let world = World::new(no_retries());
    world.stub.answers(ok(&json!({})));
    for operation in operations() {
        expect_sent(&world, &operation, minimal(&operation)).await;
    }
}

/// An update that clears a list and one that leaves it alone are two things.
#[tokio::test]
async fn a_list_that_is_there_and_empty_stays_so() {
    let world = World::new(no_retries());
    world.stub.answers(ok(&json!({})));
    let (mut lists, mut clearable) = (0, 0);
    for operation in operations() {
        for field in descriptors::request(&operation).fields() {
            if let Some(items) = descriptors::items(&field.kind()) {
                lists += 1;
                if Rules::of(&items).size("repeated.min_items").is_some() {
                    continue;
                }
                let mut request = minimal(&operation);
                let list = DynamicMessage::new(items.parent_message().clone());
                request.set_field(&field, Value::Message(list));
                world.call(&operation, request).await.unwrap();
                let seen = world.stub.seen_once();
                assert_eq!(seen.body[field.json_name()], json!([]), "{operation}");
                clearable += 1;
            }
        }
    }
    assert_eq!((lists, clearable), (3, 2));
}

/// Has the stub answer this and compares what the client gets.
async fn expect_received(world: &World, operation: &str, body: &Json, expected: &DynamicMessage) {
    world.stub.answers(ok(body));
    let answer = world.call(operation, minimal(operation)).await.unwrap();
    assert_eq!(
        answer.metadata().get("x-amzn-requestid").unwrap(),
        "upstream-id"
    );
    assert_eq!(
        answer.into_inner(),
        samples::travelled(expected),
        "{operation}"
    );
}

#[tokio::test]
async fn every_response_reaches_the_client_in_full() {
    let world = World::new(no_retries());
    for operation in operations() {
        for sample in variants(&descriptors::response(&operation)) {
            expect_received(&world, &operation, &json::write(&sample), &sample).await;
        }
    }
}

#[tokio::test]
async fn any_response_reaches_the_client_as_it_is() {
    let world = World::new(no_retries());
    for operation in operations() {
        for sample in arbitrary(&descriptors::response(&operation)) {
            expect_received(&world, &operation, &json::write(&sample), &sample).await;
        }
    }
}

/// Changes every field of a message and of all below it, last first.
fn change(message: &mut DynamicMessage, with: &impl Fn(&mut DynamicMessage, &Kind, u32)) {
    for field in message.descriptor().fields() {
        if !message.has_field(&field) {
            continue;
        }
        match message.get_field_mut(&field) {
            Value::Message(inner) => change(inner, with),
            Value::List(list) => {
                for item in list {
                    if let Value::Message(inner) = item {
                        change(inner, with);
                    }
                }
            }
            _ => {}
        }
        with(message, &field.kind(), field.number());
    }
}

#[tokio::test]
async fn an_enum_value_that_is_newer_than_the_contract_is_unspecified() {
    let world = World::new(no_retries());
    for operation in operations() {
        let mut sample = samples::full(&descriptors::response(&operation), 0);
        change(&mut sample, &|message, kind, number| {
            if let Kind::Enum(_) = kind {
                let unspecified = match message.get_field_by_number(number).as_deref() {
                    Some(Value::List(list)) => Value::List(vec![Value::EnumNumber(0); list.len()]),
                    _ => Value::EnumNumber(0),
                };
                message.set_field_by_number(number, unspecified);
            }
        });
        // `UNSPECIFIED` is a name that no endpoint knows.
        expect_received(&world, &operation, &json::write(&sample), &sample).await;
    }
}

#[tokio::test]
async fn a_time_that_is_missing_is_absent_and_not_the_epoch() {
    let world = World::new(no_retries());
    for operation in operations() {
        let mut sample = samples::full(&descriptors::response(&operation), 0);
        change(&mut sample, &|message, kind, number| {
            if is_timestamp(kind) {
                message.clear_field_by_number(number);
            }
        });
        expect_received(&world, &operation, &json::write(&sample), &sample).await;
    }
}

#[tokio::test]
async fn members_that_are_newer_than_the_contract_are_ignored() {
    /// A union has one member only, whatever its age.
    fn add_members(json: &mut Json, message: &MessageDescriptor) {
        let Some(members) = json.as_object_mut() else {
            return;
        };
        for field in message.fields() {
            let (Some(inner), Some(value)) = (
                field.kind().as_message().cloned(),
                members.get_mut(field.json_name()),
            ) else {
                continue;
            };
            match value {
                Json::Array(items) => items.iter_mut().for_each(|item| add_members(item, &inner)),
                value => add_members(value, &inner),
            }
        }
        if !is_union(message) {
            members.insert("brandNew".to_owned(), json!({ "a": [1, null] }));
        }
    }
    let world = World::new(no_retries());
    for operation in operations() {
        let sample = samples::full(&descriptors::response(&operation), 0);
        let mut body = json::write(&sample);
        add_members(&mut body, &sample.descriptor());
        expect_received(&world, &operation, &body, &sample).await;
    }
}

#[tokio::test]
async fn an_empty_answer_is_an_answer() {
    let world = World::new(no_retries());
    for body in ["", "{}"] {
        world.stub.answers(Reply::Answer(answer(200, body)));
        for operation in operations() {
            world.call(&operation, minimal(&operation)).await.unwrap();
        }
    }
}
