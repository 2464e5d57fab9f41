use std::time::{Duration, Instant};

use super::*;
use crate::control_plane::bundle::TemplateKind;

fn schema(types: &str) -> Schema {
    let text = format!(
        "schema:\n  format: {{openapi: '3.0.0'}}\n  environment_input_type: In\n  types: {types}\n"
    );
    Schema::parse(
        TemplateKind::Environment {
            customer_managed: false,
        },
        &text,
    )
    .unwrap()
}

fn with(properties: &str, required: &str) -> Schema {
    schema(&format!(
        "{{In: {{type: object, properties: {{keep: {{type: string}}, {properties}}}, required: [{required}]}}}}"
    ))
}

fn refused(before: &Schema, after: &Schema) -> String {
    check(before, after).unwrap_err().message().to_owned()
}

/// The finding when the one property changes like this, or an empty text.
fn change(before: &str, after: &str) -> String {
    let property = |of: &str| with(&format!("p: {{{of}}}"), "");
    check(&property(before), &property(after))
        .err()
        .map_or(String::new(), |problem| problem.message().to_owned())
}

#[test]
fn texts_defaults_type_names_and_new_optional_inputs_may_change() {
    let before = with("p: {type: string, default: a, description: x}", "keep");
    let after = with(
        "q: {type: number}, p: {type: string, default: b, title: y}",
        "keep",
    )
    .clone();
    check(&before, &after).unwrap();
    let renamed = schema(
        "{Other: {properties: {keep: {type: string}, p: {type: string}}}, In: {$ref: '#/Other'}}",
    );
    check(&with("p: {type: string}", ""), &renamed).unwrap();
}

#[test]
fn what_a_spec_must_give_may_not_grow() {
    let before = with("p: {type: string}", "");
    assert!(
        refused(&before, &with("p: {type: string}", "p"))
            .contains("environment.p becomes required without a default")
    );
    assert!(
        refused(&before, &with("p: {type: string}, q: {type: string}", "q"))
            .contains("environment.q is new and required")
    );
    assert!(
        refused(&before, &with("p: {type: string}", "ghost"))
            .contains("environment.ghost is new and required")
    );
    check(
        &before,
        &with(
            "p: {type: string, default: x}, q: {type: string, default: y}",
            "p, q",
        ),
    )
    .unwrap();
}

#[test]
fn inputs_may_not_go_or_change_type() {
    assert!(
        refused(&with("p: {type: string}", ""), &with("", "")).contains("environment.p is removed")
    );
    assert!(
        change("type: string", "type: number")
            .contains("environment.p changes type from string to number")
    );
    assert!(
        change(
            "type: array, items: {type: string}",
            "type: array, items: {type: number}"
        )
        .contains("environment.p.items changes type")
    );
    assert!(
        change(
            "type: object, properties: {a: {type: string}}",
            "type: object, properties: {b: {type: string}}"
        )
        .contains("environment.p.a is removed")
    );
}

#[test]
fn values_that_were_accepted_stay_accepted() {
    for (before, after, says) in [
        (
            "type: string, enum: [a, b]",
            "type: string, enum: [a, c]",
            "loses values of its enum",
        ),
        ("type: string", "type: string, enum: [a]", "gains an enum"),
        ("type: string", "type: string, pattern: x", "pattern"),
        (
            "type: string, pattern: x",
            "type: string, pattern: y",
            "pattern",
        ),
        (
            "type: string, minLength: 1",
            "type: string, minLength: 2",
            "higher minLength",
        ),
        (
            "type: string",
            "type: string, maxLength: 9",
            "lower maxLength",
        ),
        ("type: string", "type: string, format: date", "format date"),
        (
            "type: string, nullable: true",
            "type: string",
            "no longer nullable",
        ),
        (
            "type: number, minimum: 1",
            "type: number, minimum: 1.5",
            "higher minimum",
        ),
        (
            "type: number, minimum: 1",
            "type: number, minimum: 1, exclusiveMinimum: true",
            "higher minimum",
        ),
        (
            "type: integer",
            "type: integer, maximum: 9",
            "lower maximum",
        ),
        ("type: number", "type: number, multipleOf: 2", "multipleOf"),
        ("type: array", "type: array, minItems: 1", "higher minItems"),
        (
            "type: array",
            "type: array, uniqueItems: true",
            "uniqueItems",
        ),
        (
            "type: array",
            "type: array, items: {type: string}",
            "restricts its items",
        ),
        (
            "type: object",
            "type: object, additionalProperties: false",
            "additionalProperties",
        ),
        (
            "type: object",
            "type: object, minProperties: 1",
            "higher minProperties",
        ),
        (
            "type: string",
            "type: string, anyOf: [{maxLength: 3}]",
            "anyOf",
        ),
    ] {
        let message = change(before, after);
        assert!(
            message.contains("environment.p ") && message.contains(says),
            "{before} -> {after}: {message}"
        );
    }
}

#[test]
fn loosening_is_fine() {
    for (before, after) in [
        ("type: string, enum: [a]", "type: string, enum: [b, a]"),
        ("type: string, enum: [a]", "type: string"),
        (
            "type: string, pattern: x, minLength: 3, maxLength: 5",
            "type: string, minLength: 2, maxLength: 6",
        ),
        (
            "type: number, minimum: 1, exclusiveMinimum: true, maximum: 5",
            "type: number, minimum: 1, maximum: 6",
        ),
        (
            "type: array, minItems: 2, items: {type: string}",
            "type: array, minItems: 1",
        ),
        ("type: array", "type: array, minimum: 7, pattern: x"),
        ("type: object, additionalProperties: false", "type: object"),
        ("type: string", "type: string, nullable: true, format: uuid"),
    ] {
        assert_eq!(change(before, after), "", "{before} -> {after}");
    }
}

#[test]
fn every_change_is_listed() {
    let before = with(
        "a: {type: string}, b: {type: string}, c: {type: string}",
        "",
    );
    let message = refused(&before, &with("b: {type: number}, d: {type: string}", "d"));
    for part in [
        "environment.a is removed",
        "environment.b changes type",
        "environment.c is removed",
        "environment.d is new",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn types_that_contain_themselves_end() {
    let tree = |leaf: &str| {
        schema(&format!(
            "{{In: {{properties: {{leaf: {{type: {leaf}}}, child: {{$ref: '#/In'}}}}}}}}"
        ))
    };
    check(&tree("string"), &tree("string")).unwrap();
    assert!(refused(&tree("string"), &tree("number")).contains("environment.leaf changes type"));
}

#[test]
fn a_maze_of_references_is_compared_quickly() {
    let maze = |count: usize| {
        let of = |n: usize| {
            format!(
                "T{n}: {{properties: {{a: {{$ref: '#/T{}'}}, b: {{$ref: '#/T{}'}}}}}}",
                (n + 1) % count,
                (n * 7 + 3) % count
            )
        };
        let types: Vec<_> = (0..count).map(of).collect();
        schema(&format!("{{In: {{$ref: '#/T0'}}, {}}}", types.join(", ")))
    };
    let (before, after) = (maze(600), maze(599));
    let start = Instant::now();
    check(&before, &after).unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}
