//! Sensitive members never show in `Debug`.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_reflect::MessageDescriptor;

use crate::{
    descriptors::{is_redacted, messages, reachable, request, response, samples},
    operations,
};

const CANARY: &str = "a canary that must not sing";
const PLAIN: &str = "a plain text";

#[test]
fn debug_never_shows_a_sensitive_member() {
    let mut seen = BTreeSet::new();
    for operation in operations::ALL {
        let name = operation.facts.name;
        for variant in 0..samples::VARIANTS {
            for (message, debug) in [
                (request(name), operation.debug_request),
                (response(name), operation.debug_response),
            ] {
                let text = debug(&canaries(&message, variant));
                assert!(
                    !text.contains(CANARY),
                    "{} shows a sensitive member: {text}",
                    message.name()
                );
            }
        }
        seen.extend(sensitive([request(name), response(name)]));
    }
    assert_eq!(
        seen,
        sensitive(messages().into_values()),
        "not every sensitive message was looked at"
    );
}

#[test]
fn the_name_of_a_resource_holds_no_sensitive_member() {
    for operation in operations::ALL {
        for variant in 0..samples::VARIANTS {
            let message = request(operation.facts.name);
            let name = (operation.resource_name)(&canaries(&message, variant));
            assert!(!name.contains(CANARY), "{}: {name}", message.name());
        }
    }
}

#[test]
fn debug_shows_what_is_not_sensitive_and_that_something_was_hidden() {
    let operation = operations::ALL
        .iter()
        .find(|operation| operation.facts.name == "CreateService")
        .unwrap();
    let text = (operation.debug_request)(&canaries(&request("CreateService"), 0));
    assert!(text.contains(&format!("name: {PLAIN:?}")), "{text}");
    assert!(text.contains("spec: <sensitive>"), "{text}");
}

/// A message whose sensitive members, and nothing else, hold the canary.
fn canaries(message: &MessageDescriptor, variant: usize) -> Vec<u8> {
    let mut sample = samples::full_with(message, variant, &|field, _| {
        if is_redacted(field) { CANARY } else { PLAIN }.to_owned()
    });
    hide(&mut sample);
    sample.encode_to_vec()
}

/// Puts the canary into everything below a sensitive member that is a message itself.
fn hide(message: &mut prost_reflect::DynamicMessage) {
    use prost_reflect::{Kind, ReflectMessage as _, Value};
    fn sing(value: &mut Value) {
        match value {
            Value::String(text) => CANARY.clone_into(text),
            Value::List(list) => list.iter_mut().for_each(sing),
            Value::Message(inner) => inner.fields_mut().for_each(|(_, value)| sing(value)),
            _ => {}
        }
    }
    for field in message.descriptor().fields() {
        if !matches!(field.kind(), Kind::Message(_)) || !message.has_field(&field) {
            continue;
        }
        match message.get_field_mut(&field) {
            value if is_redacted(&field) => sing(value),
            Value::Message(inner) => hide(inner),
            Value::List(list) => list
                .iter_mut()
                .filter_map(Value::as_message_mut)
                .for_each(hide),
            _ => {}
        }
    }
}

fn sensitive(roots: impl IntoIterator<Item = MessageDescriptor>) -> BTreeSet<String> {
    let messages = reachable(roots).into_values();
    let sensitive = messages.filter(|message| message.fields().any(|field| is_redacted(&field)));
    sensitive.map(|message| message.name().to_owned()).collect()
}
