//! The emitted checks give the verdicts of a slow interpreter of the same rules.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value};

use crate::{
    descriptors::{
        PACKAGE, is_timestamp, messages, request,
        rules::{Rules, is_match},
        samples,
    },
    operations,
};

#[test]
fn a_valid_request_of_any_operation_passes() {
    for operation in operations::ALL {
        let descriptor = request(operation.facts.name);
        for variant in 0..samples::VARIANTS {
            let sample = samples::full(&descriptor, variant);
            assert_eq!(interpreted(&sample), [], "{sample}");
            assert_eq!(
                (operation.violations)(&sample.encode_to_vec()),
                [],
                "{sample}"
            );
        }
    }
}

#[test]
fn every_rule_of_every_request_is_enforced_as_the_interpreter_does() {
    let mut ids = BTreeSet::new();
    for operation in operations::ALL {
        let descriptor = request(operation.facts.name);
        let full = samples::full(&descriptor, 0);
        // No field set: everything that is required is missing at once.
        let empty = ("nothing is set".to_owned(), DynamicMessage::new(descriptor));
        let valid_when_empty = interpreted(&empty.1).is_empty();
        let broken = broken(&full);
        for (how, request) in broken.iter().chain((!valid_when_empty).then_some(&empty)) {
            let expected = interpreted(request);
            assert!(
                !expected.is_empty(),
                "{} {how}: nothing is broken",
                operation.facts.name
            );
            let mut found = (operation.violations)(&request.encode_to_vec());
            found.sort();
            assert_eq!(found, expected, "{} {how}", operation.facts.name);
            ids.extend(found.into_iter().map(|(_, id)| id));
        }
    }
    let all = [
        "enum.defined_only",
        "enum.not_in",
        "int32.gte_lte",
        "repeated.max_items",
        "repeated.min_items",
        "required",
        "string.max_len",
        "string.min_len",
        "string.pattern",
    ];
    assert_eq!(ids.iter().map(String::as_str).collect::<Vec<_>>(), all);
}

/// The paths and ids of the rules that the message breaks, sorted.
fn interpreted(message: &DynamicMessage) -> Vec<(String, String)> {
    let mut found = Vec::new();
    interpret(message, "", &mut found);
    found.sort();
    found
}

fn interpret(message: &DynamicMessage, at: &str, found: &mut Vec<(String, String)>) {
    for oneof in message
        .descriptor()
        .oneofs()
        .filter(|oneof| !oneof.is_synthetic())
    {
        if !oneof.fields().any(|field| message.has_field(&field)) {
            found.push((format!("{at}{}", oneof.name()), "required".to_owned()));
        }
    }
    for field in message.descriptor().fields() {
        let rules = Rules::of(&field);
        let path = format!("{at}{}", field.name());
        if !message.has_field(&field) && rules.is_set("required") {
            found.push((path, "required".to_owned()));
        } else if let Value::List(list) = &*message.get_field(&field) {
            let few = rules
                .size("repeated.min_items")
                .is_some_and(|min| list.len() < min);
            let many = rules
                .size("repeated.max_items")
                .is_some_and(|max| list.len() > max);
            found.extend(few.then(|| (path.clone(), "repeated.min_items".to_owned())));
            found.extend(many.then(|| (path.clone(), "repeated.max_items".to_owned())));
            for (index, item) in list.iter().enumerate() {
                value(
                    &field,
                    item,
                    &rules.items(),
                    &format!("{path}[{index}]"),
                    found,
                );
            }
        } else if message.has_field(&field) || !field.supports_presence() {
            value(&field, &message.get_field(&field), &rules, &path, found);
        }
    }
}

fn value(
    field: &FieldDescriptor,
    value: &Value,
    rules: &Rules,
    at: &str,
    found: &mut Vec<(String, String)>,
) {
    let broken = match (value, field.kind()) {
        (Value::Message(inner), _) => return interpret(inner, &format!("{at}."), found),
        (Value::String(text), _) => rules.broken_by_text(text),
        (Value::I32(number), _) => {
            let low = rules.number("int32.gte").is_some_and(|low| *number < low);
            let high = rules.number("int32.lte").is_some_and(|high| *number > high);
            if low || high {
                vec!["int32.gte_lte"]
            } else {
                vec![]
            }
        }
        (Value::EnumNumber(number), Kind::Enum(kind)) => {
            let refused = rules.get("enum.not_in").unwrap_or(Value::List(vec![]));
            let refused = refused.as_list().unwrap().contains(&Value::I32(*number));
            let undefined = rules.is_set("enum.defined_only") && kind.get_value(*number).is_none();
            [(refused, "enum.not_in"), (undefined, "enum.defined_only")]
                .into_iter()
                .filter_map(|(broken, id)| broken.then_some(id))
                .collect()
        }
        _ => vec![],
    };
    found.extend(broken.into_iter().map(|id| (at.to_owned(), id.to_owned())));
}

/// The message with each of its rules broken once, and how.
fn broken(message: &DynamicMessage) -> Vec<(String, DynamicMessage)> {
    let mut out = Vec::new();
    for field in message
        .descriptor()
        .fields()
        .filter(|field| message.has_field(field))
    {
        let mut with = |how: &str, value: Option<Value>| {
            let mut message = message.clone();
            match value {
                Some(value) => message.set_field(&field, value),
                None => message.clear_field(&field),
            }
            out.push((format!("{} {how}", field.name()), message));
        };
        let rules = Rules::of(&field);
        let in_union = field
            .containing_oneof()
            .is_some_and(|oneof| !oneof.is_synthetic());
        if rules.is_set("required") || in_union {
            with("is missing", None);
        }
        match &*message.get_field(&field) {
            Value::List(list) => {
                let first = &list[0];
                if let Some(max) = rules.size("repeated.max_items") {
                    with(
                        "has too many items",
                        Some(Value::List(vec![first.clone(); max + 1])),
                    );
                }
                if rules.is_set("repeated.min_items") {
                    with("has too few items", Some(Value::List(vec![])));
                }
                for (how, item) in broken_values(&field, first, &rules.items()) {
                    with(&how, Some(Value::List(vec![first.clone(), item])));
                }
            }
            found => {
                for (how, value) in broken_values(&field, found, &rules) {
                    with(&how, Some(value));
                }
            }
        }
    }
    out
}

fn broken_values(field: &FieldDescriptor, value: &Value, rules: &Rules) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    let mut add = |how: &str, value: Value| out.push((how.to_owned(), value));
    match (value, field.kind()) {
        (_, kind) if is_timestamp(&kind) => {}
        (Value::Message(inner), _) => {
            out.extend(
                broken(inner)
                    .into_iter()
                    .map(|(how, inner)| (how, Value::Message(inner))),
            );
        }
        (Value::String(_), _) => {
            if let Some(min) = rules.size("string.min_len") {
                add("is too short", Value::String("a".repeat(min - 1)));
            }
            if let Some(max) = rules.size("string.max_len") {
                // Letters of two bytes, for lengths count letters.
                add("is too long", Value::String("é".repeat(max + 1)));
                add("is too long in ASCII", Value::String("a".repeat(max + 1)));
            }
            if let Some(pattern) = rules.pattern() {
                let wrong = ["-\u{e9} ", "-"]
                    .into_iter()
                    .find(|text| !is_match(&pattern, text));
                add(
                    "is of another pattern",
                    Value::String(wrong.expect("no pattern takes all").to_owned()),
                );
            }
        }
        (Value::I32(_), _) => {
            rules
                .number("int32.gte")
                .into_iter()
                .for_each(|low| add("is too low", Value::I32(low - 1)));
            rules
                .number("int32.lte")
                .into_iter()
                .for_each(|high| add("is too high", Value::I32(high + 1)));
        }
        (Value::EnumNumber(_), _) => {
            add("is unknown", Value::EnumNumber(-1));
            add("is newer", Value::EnumNumber(999));
            add("is unspecified", Value::EnumNumber(0));
        }
        _ => {}
    }
    out
}

/// Each pattern of the contract with texts that it takes and texts that it refuses.
const PATTERNS: &[(&str, &[&str], &[&str])] = &[
    (
        r"^arn:(aws|aws-cn|aws-us-gov):[a-zA-Z0-9-]+:[a-zA-Z0-9-]*:[0-9]{12}:([0-9A-Za-z_+=,.@-]+[/:])*[0-9A-Za-z_+=,.@-]+$",
        &[
            "arn:aws:proton:us-east-1:123456789012:environment/prod",
            "arn:aws-cn:iam::123456789012:role/a/b",
        ],
        &[
            "arn:aws:proton:us-east-1:12345678901:environment/prod",
            "arn:aws:proton:us-east-1:١٢٣٤٥٦٧٨٩٠١٢:environment/prod",
            "arn:gcp:proton:us-east-1:123456789012:environment/prod",
            "arn:aws:proton:us-east-1:123456789012:environment/",
        ],
    ),
    (
        r"^[0-9]{12}$",
        &["123456789012"],
        &[
            "12345678901",
            "1234567890123",
            "١٢٣٤٥٦٧٨٩٠١٢",
            "123456789012\n",
        ],
    ),
    (r"^[!-~]*$", &["", "a-token~!"], &["a token", "é", "a\n"]),
    (
        r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        &["0d5e7a4c-1b2f-4c3d-8e9f-a0b1c2d3e4f5"],
        &[
            "0D5E7A4C-1B2F-4C3D-8E9F-A0B1C2D3E4F5",
            "0d5e7a4c1b2f4c3d8e9fa0b1c2d3e4f5",
            "",
        ],
    ),
    // The dot is AWS's: any letter stands between the two numbers.
    (
        r"^(0|([1-9][0-9]*)).(0|([1-9][0-9]*))$",
        &["1.0", "10.12", "0.0", "1x2"],
        &["1", "01.0", "1.", "1.0.0"],
    ),
    (r"^[A-Za-z0-9+=/]+$", &["bmV4dA=="], &["", "a-b", "é"]),
    // Not anchored, and so wide, in the model already.
    (
        r"[A-Za-z0-9_.-].*/[A-Za-z0-9_.-].*",
        &["owner/repository", "a/b/c"],
        &["repository", "/b", "a/"],
    ),
    (
        r"^[0-9A-Za-z]+[0-9A-Za-z_\-]*$",
        &["prod", "a-b_c", "7"],
        &["", "-prod", "_prod", "a b", "é", "a\n"],
    ),
    (
        r"(^$)|^[0-9A-Za-z]+[0-9A-Za-z_\-]*$",
        &["", "prod"],
        &["-prod", " "],
    ),
    (
        r"^arn:(aws|aws-cn|aws-us-gov):iam::[0-9]{12}:role/([0-9A-Za-z_+=,.@-]{1,512}[/:])*([0-9A-Za-z_+=,.@-]{1,64})$",
        &[
            "arn:aws:iam::123456789012:role/proton",
            "arn:aws:iam::123456789012:role/service-role/proton",
        ],
        &[
            "",
            "arn:aws:iam::123456789012:user/proton",
            "arn:aws:iam::123456789012:role/",
        ],
    ),
    (
        r"(^$)|(^arn:(aws|aws-cn|aws-us-gov):iam::[0-9]{12}:role/([0-9A-Za-z_+=,.@-]{1,512}[/:])*([0-9A-Za-z_+=,.@-]{1,64})$)",
        &["", "arn:aws:iam::123456789012:role/proton"],
        &["-", "arn:aws:iam::123456789012:user/proton"],
    ),
    (
        r"^[a-z0-9]+[a-z0-9.-]+[a-z0-9]+$",
        &["bundles", "my.bundles-1"],
        &["ab", "-bundles", "Bundles", "bundles-"],
    ),
    (
        r"^(0|([1-9][0-9]*))$",
        &["0", "1", "42"],
        &["", "01", "-1", "1.0", "١"],
    ),
];

#[test]
fn every_pattern_compiles_and_behaves() {
    let mut patterns = BTreeSet::new();
    for message in messages()
        .into_values()
        .filter(|message| message.package_name() == PACKAGE)
    {
        for field in message.fields() {
            let rules = Rules::of(&field);
            patterns.extend(rules.pattern().into_iter().chain(rules.items().pattern()));
        }
    }
    let known: BTreeSet<String> = PATTERNS
        .iter()
        .map(|(pattern, ..)| (*pattern).to_owned())
        .collect();
    assert_eq!(patterns, known);
    for (pattern, takes, refuses) in PATTERNS {
        for text in *takes {
            assert!(is_match(pattern, text), "{pattern} refuses {text:?}");
        }
        for text in *refuses {
            assert!(!is_match(pattern, text), "{pattern} takes {text:?}");
        }
    }
}
