use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::control_plane::bundle::TemplateKind;

/// A schema whose input type is this, and which has these types beside it.
fn schema_of(input: &Value, others: &Value) -> Schema {
    let mut types = others.clone();
    types["In"] = input.clone();
    let schema = json!({"schema": {
        "format": {"openapi": "3.0.0"}, "environment_input_type": "In", "types": types,
    }});
    let kind = TemplateKind::Environment {
        customer_managed: false,
    };
    Schema::parse(kind, &schema.to_string()).unwrap()
}

/// A schema with these properties, of which none is required.
fn schema(properties: Value) -> Schema {
    schema_of(
        &json!({"type": "object", "properties": properties}),
        &json!({}),
    )
}

fn resolve_in(schema: &Schema, inputs: &Value) -> Result<Value, String> {
    let inputs = inputs.as_object().expect("inputs are a mapping");
    resolve(schema, PartKind::Environment, inputs, "environment")
        .map(Value::from)
        .map_err(|error| error.to_string())
}

fn resolved(schema: &Schema, inputs: Value) -> String {
    resolve_in(schema, &inputs).unwrap().to_string()
}

fn refused(schema: &Schema, inputs: Value) -> String {
    resolve_in(schema, &inputs).unwrap_err()
}

/// What is said of the one input `p` of this type with this value.
fn verdict(of: Value, value: Value) -> Result<(), String> {
    match resolve_in(&schema(json!({"p": of})), &json!({"p": value})) {
        Ok(inputs) => {
            assert_eq!(inputs["p"], value, "a value stays what it is");
            Ok(())
        }
        Err(message) => Err(message.replace("environment: spec.p ", "")),
    }
}

#[test]
fn defaults_are_merged_in_the_order_of_the_schema() {
    let schema = schema(json!({
        "z": {"type": "string", "default": "last"}, "port": {"type": "integer", "default": 80}, "note": {"type": "string"},
        "a": {"type": "boolean"}, "list": {"type": "array", "items": {"type": "string"}, "default": ["x"]},
    }));
    assert_eq!(
        resolved(&schema, json!({"a": true, "port": 8080})),
        r#"{"z":"last","port":8080,"a":true,"list":["x"]}"#
    );
}

#[test]
fn inputs_that_the_schema_does_not_name_are_accepted_and_left_out() {
    let schema = schema(json!({"a": {"type": "string"}}));
    assert_eq!(
        resolved(&schema, json!({"b": {"c": 1}, "a": "x"})),
        r#"{"a":"x"}"#
    );
}

#[test]
fn inputs_behind_additional_properties_are_known() {
    let of = |additional: Value| {
        schema_of(
            &json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": additional}),
            &json!({}),
        )
    };
    assert_eq!(
        resolved(&of(json!({"type": "integer"})), json!({"b": 1, "a": "x"})),
        r#"{"a":"x","b":1}"#
    );
    assert_eq!(
        refused(&of(json!(false)), json!({"b": 1})),
        "environment: spec.b is not known to the schema, which allows no others"
    );
}

#[test]
fn nested_mappings_get_their_defaults_and_keep_what_is_theirs() {
    let schema = schema(json!({
        "net": {"type": "object", "properties": {"cidr": {"type": "string", "default": "10.0.0.0/16"}, "zones": {"type": "integer"}}},
        "sets": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer", "default": 1}, "id": {}}}},
        "dft": {"type": "object", "default": {"y": 2}, "properties": {"x": {"default": 1}, "y": {}}},
        "none": {"type": "object", "properties": {"x": {"default": 1}}},
    }));
    assert_eq!(
        resolved(
            &schema,
            json!({"sets": [{"id": "a"}, {"n": 5, "id": "b"}], "net": {"own": true, "zones": 3}})
        ),
        r#"{"net":{"cidr":"10.0.0.0/16","zones":3,"own":true},"sets":[{"n":1,"id":"a"},{"n":5,"id":"b"}],"dft":{"x":1,"y":2}}"#
    );
}

#[test]
fn what_is_required_must_be_given_unless_it_has_a_default() {
    let schema = schema_of(
        &json!({
            "type": "object", "required": ["a", "b", "net"],
            "properties": {"a": {"type": "string"}, "b": {"type": "string", "default": "x"}, "net": {"$ref": "#/schema/types/Net"}},
        }),
        &json!({"Net": {"type": "object", "required": ["cidr"], "properties": {"cidr": {"type": "string"}}}}),
    );
    assert_eq!(
        refused(&schema, json!({})),
        "environment: spec.a must be given; environment: spec.net must be given"
    );
    assert_eq!(
        refused(&schema, json!({"a": "", "net": {}})),
        "environment: spec.net.cidr must be given"
    );
    assert_eq!(
        resolved(&schema, json!({"net": {"cidr": "c"}, "a": ""})),
        r#"{"a":"","b":"x","net":{"cidr":"c"}}"#
    );
}

#[test]
fn a_default_that_breaks_its_own_type_fails_nothing() {
    let schema = schema(json!({
        "internal": {"type": "boolean", "default": "public"}, "password": {"type": "string", "minLength": 12, "default": ""},
    }));
    assert_eq!(
        resolved(&schema, json!({})),
        r#"{"internal":"public","password":""}"#
    );
    assert!(resolve_in(&schema, &json!({"internal": "public"})).is_err());
}

#[test]
fn nothing_is_coerced() {
    for (kind, value, rule) in [
        ("number", json!("80"), "must be a number, not a string"),
        ("integer", json!("80"), "must be an integer, not a string"),
        ("integer", json!(80.0), "must be an integer, not a fraction"),
        (
            "string",
            json!(80),
            "must be a string, not a number: put it in quotes",
        ),
        (
            "string",
            json!(true),
            "must be a string, not a boolean: put it in quotes",
        ),
        (
            "boolean",
            json!("yes"),
            "must be true or false, not a string",
        ),
        ("boolean", json!(1), "must be true or false, not a number"),
        ("array", json!("a,b"), "must be a list, not a string"),
        ("object", json!([]), "must be a mapping, not a list"),
        (
            "string",
            Value::Null,
            "must be a string, but nothing stands there",
        ),
    ] {
        assert_eq!(verdict(json!({"type": kind}), value), Err(rule.to_owned()));
    }
    for (kind, value) in [
        ("number", json!(1)),
        ("number", json!(1.0)),
        ("number", json!(1.5)),
        ("integer", json!(u64::MAX)),
        ("string", json!("80")),
    ] {
        assert_eq!(verdict(json!({"type": kind}), value), Ok(()));
    }
    let nullable = json!({"type": "string", "nullable": true, "enum": ["a"], "minLength": 1});
    assert_eq!(verdict(nullable, Value::Null), Ok(()));
}

#[test]
fn each_keyword_is_a_rule() {
    for (of, good, bad, rule) in [
        (
            json!({"minimum": 1}),
            json!(1),
            json!(0),
            "must be at least 1",
        ),
        (
            json!({"maximum": 65535}),
            json!(65535),
            json!(65536),
            "must be at most 65535",
        ),
        (
            json!({"minimum": 1, "exclusiveMinimum": true}),
            json!(1.5),
            json!(1),
            "must be more than 1",
        ),
        (
            json!({"maximum": 9, "exclusiveMaximum": true}),
            json!(8),
            json!(9.0),
            "must be less than 9",
        ),
        (
            json!({"multipleOf": 0.01}),
            json!(0.07),
            json!(0.075),
            "must be a multiple of 0.01",
        ),
        (
            json!({"minLength": 2}),
            json!("ää"),
            json!("ä"),
            "must have at least 2 characters",
        ),
        (
            json!({"maxLength": 2}),
            json!("ää"),
            json!("äää"),
            "must have at most 2 characters",
        ),
        (
            json!({"pattern": "b+"}),
            json!("abc"),
            json!("ac"),
            "must match the pattern \"b+\"",
        ),
        (
            json!({"enum": ["a", 1]}),
            json!(1.0),
            json!("b"),
            "must be one of \"a\", 1",
        ),
        (
            json!({"format": "date"}),
            json!("2024-02-29"),
            json!("2023-02-29"),
            "must be a date such as 2024-02-29",
        ),
        (
            json!({"format": "uuid"}),
            json!("123e4567-E89b-12d3-a456-426614174000"),
            json!("123e4567e89b12d3a456426614174000"),
            "must be a UUID",
        ),
        (
            json!({"minItems": 1}),
            json!([1]),
            json!([]),
            "must have at least 1 items",
        ),
        (
            json!({"maxItems": 1}),
            json!([1]),
            json!([1, 2]),
            "must have at most 1 items",
        ),
        (
            json!({"minProperties": 1}),
            json!({"a": 1}),
            json!({}),
            "must have at least 1 members",
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"minimum": 2}]}),
            json!(2),
            json!(1),
            "has none of the forms that the schema allows (anyOf)",
        ),
        (
            json!({"oneOf": [{"type": "integer"}, {"minimum": 2}]}),
            json!(1),
            json!(2),
            "must have exactly one of the forms that the schema allows (oneOf)",
        ),
        (
            json!({"allOf": [{"minimum": 1}, {"maximum": 2}]}),
            json!(2),
            json!(3),
            "must be at most 2",
        ),
    ] {
        assert_eq!(verdict(of.clone(), good), Ok(()), "{of}");
        assert_eq!(verdict(of, bad), Err(rule.to_owned()));
    }
    assert_eq!(
        verdict(
            json!({"uniqueItems": true}),
            json!([1, {"a": 2}, {"a": 2.0}])
        ),
        Err("environment: spec.p[2] repeats an item before it".to_owned())
    );
}

#[test]
fn what_means_nothing_is_ignored() {
    for (of, value) in [
        (
            json!({"type": "array", "minimum": 5, "maximum": 1}),
            json!([1, 2]),
        ),
        (json!({"type": "string", "format": "email"}), json!("x")),
        (json!({"type": "number", "format": "double"}), json!(1)),
        (json!({"type": "number", "format": "date"}), json!(1)),
        (json!({"type": "string", "x-unit": "s"}), json!("x")),
        (json!(null), json!([{"anything": 1}])),
    ] {
        assert_eq!(verdict(of.clone(), value), Ok(()), "{of}");
    }
}

#[test]
fn a_pattern_that_cannot_be_matched_is_said_only_when_it_matters() {
    let schema = schema(json!({"p": {"type": "string", "pattern": "^(?!aws)"}, "q": {}}));
    assert_eq!(resolved(&schema, json!({"q": 1})), r#"{"q":1}"#);
    assert_eq!(
        refused(&schema, json!({"p": "x"})),
        "environment: spec.p cannot be checked: its pattern in the schema is not a regular expression that can be matched in linear \
         time, \"^(?!aws)\""
    );
}

#[test]
fn messages_name_the_place_and_never_the_value() {
    let properties = json!({"in": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string", "maxLength": 3}}}}});
    let schema = schema(properties.clone());
    assert_eq!(
        refused(&schema, json!({"in": [{}, {"a": "s3cret"}]})),
        "environment: spec.in[1].a must have at most 3 characters"
    );
    let kind = TemplateKind::Service {
        customer_managed_pipeline: false,
    };
    let text = json!({"schema": {"service_input_type": "In", "pipeline_input_type": "In", "types": {"In": {"properties": properties}}}});
    let schema = Schema::parse(kind, &text.to_string()).unwrap();
    let inputs = json!({"in": [{"a": 1}]});
    for (part, at, message) in [
        (
            PartKind::ServiceInstance,
            "instance \"dev\"",
            "instance \"dev\": spec.in[0].a must be a string, not a number: put it in quotes",
        ),
        (
            PartKind::Pipeline,
            "pipeline",
            "pipeline: in[0].a must be a string, not a number: put it in quotes",
        ),
        (
            PartKind::Environment,
            "environment",
            "environment: the template takes no inputs for this",
        ),
    ] {
        let error = resolve(&schema, part, inputs.as_object().unwrap(), at).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn all_problems_are_reported_as_far_as_there_is_room() {
    let of = json!({"type": "array", "items": {"type": "string"}});
    let message = verdict(of, vec![1; 500].into()).unwrap_err();
    assert!(message.contains("spec.p[0] must be"), "{message}");
    assert!(message.ends_with("; and 490 more"), "{message}");
    let hostile = format!("\n{}", "n".repeat(20_000));
    let of = json!({"type": "object", "additionalProperties": false});
    let message = verdict(of, json!({hostile: 1})).unwrap_err();
    assert!(message.len() < 200 && !message.contains('\n'), "{message}");
}

#[test]
fn compositions_give_their_members_and_defaults() {
    let schema = schema_of(
        &json!({
            "allOf": [{"$ref": "#/schema/types/Base"}],
            "oneOf": [
                {"properties": {"kind": {"enum": ["a"]}, "x": {"default": 1}}, "required": ["kind"]},
                {"properties": {"kind": {"enum": ["b"]}, "y": {"default": 2}}, "required": ["kind"]},
            ],
        }),
        &json!({"Base": {"properties": {"name": {"type": "string"}, "size": {"default": "s"}}}}),
    );
    assert_eq!(
        resolved(&schema, json!({"kind": "b", "name": "n", "x": 5})),
        r#"{"name":"n","size":"s","kind":"b","y":2}"#
    );
    assert!(refused(&schema, json!({"kind": "c"})).contains("oneOf"));
}

#[test]
fn a_form_that_does_not_fit_leaves_no_trace() {
    let of = json!({"anyOf": [{"anyOf": [{"type": "number"}, {"type": "string"}]}, {"type": "boolean"}]});
    for value in [json!("x"), json!(1), json!(true)] {
        assert_eq!(verdict(of.clone(), value), Ok(()));
    }
    assert!(verdict(of, json!([])).is_err());
}

#[test]
fn types_may_contain_themselves() {
    let tree = json!({"type": "object", "properties": {"v": {"default": 0}, "kids": {"type": "array", "items": {"$ref": "#/schema/types/In"}}}});
    assert_eq!(
        resolved(
            &schema_of(&tree, &json!({})),
            json!({"kids": [{"kids": []}, {"v": 1}]})
        ),
        r#"{"v":0,"kids":[{"v":0,"kids":[]},{"v":1}]}"#
    );
}

#[test]
fn hostile_schemas_cost_bounded_time_and_stack() {
    let named = |name: &str| json!({"$ref": format!("#/schema/types/{name}")});
    let mut nested = json!({"T40": {"type": "string"}});
    for level in 0..40 {
        let next = named(&format!("T{}", level + 1));
        nested[format!("T{level}")] = json!({"anyOf": [next, next]});
    }
    let nested = schema_of(&json!({"properties": {"p": named("T0")}}), &nested);

    let step = json!({"required": ["p"], "properties": {"p": named("In")}});
    let doubling = schema_of(
        &json!({"properties": {"p": {}}, "oneOf": [step, step]}),
        &json!({}),
    );
    let deep = (0..20).fold(json!({"q": 1}), |inner, _| json!({"p": inner}));

    let itself = schema_of(
        &json!({"properties": {"p": {}}, "allOf": [named("In")]}),
        &json!({}),
    );
    let grows = json!({"default": {}, "properties": {"p": named("D"), "q": named("D")}});
    let growing = schema_of(
        &json!({"properties": {"p": named("D")}}),
        &json!({"D": grows}),
    );
    let copied = schema(
        json!({"p": {"type": "array", "items": {"properties": {"d": {"default": "x".repeat(40_000)}}}}}),
    );
    let names: Vec<_> = (0..8_000).map(|index| json!(index)).collect();
    let listed = schema(json!({"p": {"type": "array", "items": {"enum": names}}}));
    let unique = schema(json!({"p": {"type": "array", "uniqueItems": true}}));
    let patterns: Inputs = (0..1_000)
        .map(|index| {
            (
                format!("p{index}"),
                json!({"pattern": format!("[^{index}]{{900}}")}),
            )
        })
        .collect();
    let given: Value = patterns
        .keys()
        .map(|name| (name.clone(), json!("x")))
        .collect::<Inputs>()
        .into();
    let patterned = schema(patterns.into());

    let states = schema(json!({"p": {"type": "array", "items": {"pattern": "(.{1,60}b){30}c$"}}}));
    let numbers: Vec<_> = (0..20_000).map(|index| json!(index)).collect();
    let cases = [
        (nested, json!({"p": 1})),
        (doubling, deep),
        (itself, json!({"p": 1})),
        (growing, json!({})),
        (copied, json!({"p": vec![json!({}); 10_000]})),
        (listed, json!({"p": vec![json!(-1); 10_000]})),
        (unique, json!({"p": numbers})),
        (patterned, given),
        (states, json!({"p": vec!["ab".repeat(12_000); 200]})),
    ];
    let run = move || {
        for (index, (schema, inputs)) in cases.iter().enumerate() {
            let start = Instant::now();
            let message = resolve_in(schema, inputs).unwrap_err();
            assert_eq!(
                message,
                "environment: checking this against the schema takes more work than is allowed",
                "case {index}"
            );
            let took = start.elapsed();
            eprintln!("case {index} took {took:?}");
            assert!(took < Duration::from_secs(20), "case {index} took {took:?}");
        }
    };
    // As small as the stack of a worker thread.
    let thread = std::thread::Builder::new().stack_size(1024 * 1024);
    thread.spawn(run).unwrap().join().unwrap();
}

#[test]
fn the_largest_honest_specs_are_within_the_budget() {
    let properties: Inputs = (0..500)
        .map(|index| {
            let of =
                json!({"type": "string", "pattern": "^[a-z]+$", "enum": ["a", "b", "c", "d", "e"]});
            (format!("p{index}"), of)
        })
        .collect();
    let inputs: Value = properties
        .keys()
        .map(|name| (name.clone(), json!("e")))
        .collect::<Inputs>()
        .into();
    resolve_in(&schema(properties.into()), &inputs).unwrap();
    let list = schema(
        json!({"p": {"type": "array", "uniqueItems": true, "items": {"type": "integer", "minimum": 0}}}),
    );
    let items: Vec<_> = (0..1_500).map(|index| json!(index)).collect();
    resolve_in(&list, &json!({"p": items})).unwrap();
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(NAMES.to_vec())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-4..6_i64).prop_map(Value::from),
        (-8..12_i64).prop_map(|halves| json!(halves as f64 / 2.0)),
        "[abä]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

fn object_type(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    (
        prop::collection::hash_map(name(), inner, 1..4),
        prop::collection::btree_set(name(), 1..3),
        prop_oneof![3 => Just(json!(true)), 1 => Just(json!(false)), 1 => Just(json!({"type": "string"}))],
        0..2_u64,
    )
        .prop_map(|(properties, required, additional, least)| {
            // Properties come in any order, and so does a hash map's.
            json!({"type": "object", "properties": properties, "required": required, "additionalProperties": additional,
                   "minProperties": least, "maxProperties": 3})
        })
}

fn any_type() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({})),
        Just(json!({"type": "boolean"})),
        (0..3_u64, 1..4_u64).prop_map(|(least, most)| json!({"type": "string", "minLength": least, "maxLength": most})),
        prop::sample::select(vec!["^a", "b$", "[^a]", "ä|ab", r"^\w*$"]).prop_map(|pattern| json!({"pattern": pattern})),
        (-2..3_i64, 0..4_i64, any::<bool>(), any::<bool>()).prop_map(|(least, most, open, closed)| {
            json!({"type": "number", "minimum": least, "exclusiveMinimum": open, "maximum": most, "exclusiveMaximum": closed})
        }),
        prop_oneof![Just(json!(0.5)), Just(json!(2)), Just(json!(1.5))].prop_map(|step| json!({"type": "number", "multipleOf": step})),
        (-1..2_i64).prop_map(|least| json!({"type": "integer", "minimum": least})),
        prop::collection::vec(value(), 1..3).prop_map(|mut values| {
            values.dedup();
            json!({"enum": values})
        }),
    ];
    let of = leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            3 => object_type(inner.clone()),
            2 => (inner.clone(), 0..2_u64, any::<bool>()).prop_map(|(items, least, unique)| {
                json!({"type": "array", "items": items, "minItems": least, "maxItems": 3, "uniqueItems": unique, "minimum": 7})
            }),
            1 => (prop::sample::select(vec!["allOf", "anyOf", "oneOf"]), prop::collection::vec(inner, 1..3))
                .prop_map(|(how, parts)| json!({how: parts})),
        ]
    });
    (
        of,
        prop::option::weighted(0.2, value()),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(mut of, default, nullable)| {
            if let Some(default) = default.filter(|default| !default.is_null()) {
                of["default"] = default;
            }
            if nullable {
                of["nullable"] = json!(true);
            }
            of
        })
}

/// The type as a general validator of JSON Schema, draft 4, has to have it.
fn draft_4(of: &Value) -> Value {
    let Value::Object(keywords) = of else {
        return of.clone();
    };
    let mut out = Inputs::new();
    for (keyword, value) in keywords {
        let value = match (keyword.as_str(), value) {
            ("default" | "nullable", _) => continue,
            ("properties", Value::Object(properties)) => properties
                .iter()
                .map(|(name, of)| (name.clone(), draft_4(of)))
                .collect::<Inputs>()
                .into(),
            ("required", Value::Array(names)) => {
                let has_default = |name: &Value| {
                    let name = name.as_str().unwrap();
                    of["properties"]
                        .get(name)
                        .is_some_and(|property| property.get("default").is_some())
                };
                let names: Vec<_> = names
                    .iter()
                    .filter(|name| !has_default(name))
                    .cloned()
                    .collect();
                if names.is_empty() {
                    continue;
                }
                names.into()
            }
            ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => {
                parts.iter().map(draft_4).collect()
            }
            ("items" | "additionalProperties", of) => draft_4(of),
            _ => value.clone(),
        };
        out.insert(keyword.clone(), value);
    }
    if of.get("nullable").is_some() {
        return json!({"anyOf": [{"type": "null"}, out]});
    }
    out.into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn values_are_accepted_as_a_general_validator_accepts_them(of in any_type(), values in prop::collection::vec(value(), 1..12)) {
        let general = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft4)
            .with_pattern_options(jsonschema::PatternOptions::regex())
            .build(&draft_4(&of))
            .unwrap();
        let schema = schema(json!({"p": of}));
        for value in values {
            let ours = resolve_in(&schema, &json!({"p": value}));
            prop_assert_eq!(ours.is_ok(), general.is_valid(&value), "{}: {:?}", value, ours);
        }
    }

    #[test]
    fn given_values_keep_their_types_and_the_schema_its_order(of in object_type(any_type()), inputs in prop::collection::btree_map(name(), value(), 1..4)) {
        let schema = schema_of(&of, &json!({}));
        let inputs = json!(inputs);
        if let Ok(resolved) = resolve_in(&schema, &inputs) {
            let order: Vec<_> = of["properties"].as_object().unwrap().keys().collect();
            let places: Vec<_> = resolved.as_object().unwrap().keys().map(|name| order.iter().position(|known| *known == name)).collect();
            let named = places.iter().take_while(|place| place.is_some()).count();
            prop_assert!(places[..named].is_sorted() && places[named..].iter().all(Option::is_none), "{:?}", places);
            for (name, value) in inputs.as_object().unwrap() {
                match resolved.get(name) {
                    Some(kept) => prop_assert!(contains(kept, value), "{} became {}", value, kept),
                    None => prop_assert!(!order.contains(&name)),
                }
            }
        }
    }
}

/// Whether a value is the given one, but for members that were filled in.
fn contains(kept: &Value, given: &Value) -> bool {
    match (kept, given) {
        (Value::Object(kept), Value::Object(given)) => given
            .iter()
            .all(|(name, given)| kept.get(name).is_some_and(|kept| contains(kept, given))),
        (Value::Array(kept), Value::Array(given)) => {
            kept.len() == given.len()
                && kept
                    .iter()
                    .zip(given)
                    .all(|(kept, given)| contains(kept, given))
        }
        // Unlike values, texts tell 1 from 1.0.
        _ => format!("{kept}") == format!("{given}"),
    }
}
