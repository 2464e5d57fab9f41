//! Valid messages made from the descriptors: one with every field set, or arbitrary ones.

use proptest::{collection, option, prelude::*, strategy::Union, string::string_regex};
use prost::Message as _;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value,
};

use super::{is_optional_list, is_timestamp, is_union, rules::Rules, values};

/// Texts of which one fits each pattern of the contract. A field's own name comes before them.
const TEXTS: [&str; 9] = [
    "7",
    "1.0",
    "123456789012",
    "a-bucket",
    "owner/repository",
    "arn:aws:iam::123456789012:role/proton",
    "arn:aws:codestar-connections:us-east-1:123456789012:connection/one",
    "0d5e7a4c-1b2f-4c3d-8e9f-a0b1c2d3e4f5",
    "",
];

/// How many variants of [`full`] it takes to have met every enum value and every case of a union.
pub(crate) const VARIANTS: usize = 14;

/// A valid message with every field set. Each variant takes another case of each union and another
/// value of each enum.
pub(crate) fn full(message: &MessageDescriptor, variant: usize) -> DynamicMessage {
    full_with(message, variant, &text)
}

/// The same with texts of the caller's choice.
pub(crate) fn full_with(
    message: &MessageDescriptor,
    variant: usize,
    text: &dyn Fn(&FieldDescriptor, &Rules) -> String,
) -> DynamicMessage {
    let mut sample = DynamicMessage::new(message.clone());
    let fields: Vec<_> = message.fields().collect();
    let one = is_union(message).then(|| variant % fields.len());
    for (index, field) in fields.into_iter().enumerate() {
        if one.is_none_or(|one| one == index) {
            sample.set_field(&field, value(&field, variant, text));
        }
    }
    sample
}

fn value(
    field: &FieldDescriptor,
    variant: usize,
    text: &dyn Fn(&FieldDescriptor, &Rules) -> String,
) -> Value {
    let rules = Rules::of(field);
    let single = |rules: &Rules| match field.kind() {
        Kind::String => Value::String(text(field, rules)),
        Kind::Bool => Value::Bool(true),
        Kind::Int32 => Value::I32(rules.number("int32.lte").unwrap_or(42)),
        Kind::Enum(found) => {
            let values = values(&found);
            Value::EnumNumber(values[variant % values.len()].number())
        }
        kind if is_timestamp(&kind) => timestamp(
            &kind,
            1_595_203_200 + i64::from(field.number()),
            123_000_000,
        ),
        Kind::Message(inner) => Value::Message(full_with(&inner, variant, text)),
        other => panic!("the contract has no {other:?} fields"),
    };
    match field.is_list() {
        true => Value::List(vec![
            single(&rules.items());
            rules.size("repeated.min_items").unwrap_or(1).max(1)
        ]),
        false => single(&rules),
    }
}

/// The message after a journey in Protobuf, where unset and default are one without presence.
pub(crate) fn travelled(message: &DynamicMessage) -> DynamicMessage {
    DynamicMessage::decode(message.descriptor(), message.encode_to_vec().as_slice())
        .expect("its own bytes")
}

pub(crate) fn timestamp(kind: &Kind, seconds: i64, nanos: i32) -> Value {
    let descriptor = kind.as_message().expect("a time is a message");
    let mut time = DynamicMessage::new(descriptor.clone());
    time.set_field_by_name("seconds", Value::I64(seconds));
    time.set_field_by_name("nanos", Value::I32(nanos));
    Value::Message(time)
}

pub(crate) fn text(field: &FieldDescriptor, rules: &Rules) -> String {
    let texts = [field.name()].into_iter().chain(TEXTS);
    let fitting = texts
        .into_iter()
        .find(|text| rules.broken_by_text(text).is_empty());
    fitting
        .unwrap_or_else(|| panic!("no sample text fits {}", field.full_name()))
        .to_owned()
}

/// Any valid message.
pub(crate) fn arbitrary(message: &MessageDescriptor) -> BoxedStrategy<DynamicMessage> {
    let fields: Vec<_> = message.fields().collect();
    let descriptor = message.clone();
    let set = move |values: Vec<(FieldDescriptor, Option<Value>)>| {
        let mut message = DynamicMessage::new(descriptor.clone());
        for (field, value) in values {
            if let Some(value) = value {
                message.set_field(&field, value);
            }
        }
        message
    };
    match is_union(message) {
        true => {
            let cases = fields.into_iter().map(|field| {
                arbitrary_value(&field).prop_map(move |value| vec![(field.clone(), Some(value))])
            });
            Union::new(cases).prop_map(set).boxed()
        }
        false => fields
            .into_iter()
            .map(arbitrary_field)
            .collect::<Vec<_>>()
            .prop_map(set)
            .boxed(),
    }
}

fn arbitrary_field(field: FieldDescriptor) -> BoxedStrategy<(FieldDescriptor, Option<Value>)> {
    let required = match field.is_list() {
        true => !is_optional_list(&field),
        false => !field.supports_presence() || Rules::of(&field).is_set("required"),
    };
    let value = arbitrary_value(&field);
    let value = if required {
        value.prop_map(Some).boxed()
    } else {
        option::of(value).boxed()
    };
    value.prop_map(move |value| (field.clone(), value)).boxed()
}

fn arbitrary_value(field: &FieldDescriptor) -> BoxedStrategy<Value> {
    let rules = Rules::of(field);
    if field.is_list() {
        let least = rules.size("repeated.min_items").unwrap_or(0);
        let most = rules.size("repeated.max_items").unwrap_or(3).min(3);
        return collection::vec(single(field, rules.items()), least..=most)
            .prop_map(Value::List)
            .boxed();
    }
    single(field, rules)
}

fn single(field: &FieldDescriptor, rules: Rules) -> BoxedStrategy<Value> {
    match field.kind() {
        Kind::String => arbitrary_text(rules).prop_map(Value::String).boxed(),
        Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::Int32 => {
            let (low, high) = (rules.number("int32.gte"), rules.number("int32.lte"));
            (low.unwrap_or(i32::MIN)..=high.unwrap_or(i32::MAX))
                .prop_map(Value::I32)
                .boxed()
        }
        Kind::Enum(found) => {
            let numbers: Vec<_> = values(&found).iter().map(|value| value.number()).collect();
            proptest::sample::select(numbers)
                .prop_map(Value::EnumNumber)
                .boxed()
        }
        // Times that AWS-JSON can say: between the years 1 and 9999, to the millisecond.
        kind if is_timestamp(&kind) => (-62_135_596_800_i64..=253_402_300_799, 0..1000)
            .prop_map(move |(seconds, milliseconds)| {
                timestamp(&kind, seconds, milliseconds * 1_000_000)
            })
            .boxed(),
        Kind::Message(inner) => arbitrary(&inner).prop_map(Value::Message).boxed(),
        other => panic!("the contract has no {other:?} fields"),
    }
}

fn arbitrary_text(rules: Rules) -> BoxedStrategy<String> {
    let any_text = format!(
        "(?s).{{{},{}}}",
        rules.size("string.min_len").unwrap_or(0),
        rules.size("string.max_len").unwrap_or(20).min(20)
    );
    // The generator takes no anchors. In the contract's patterns `^` and `$` are nothing else, and
    // short repetitions keep most texts below their limits.
    let pattern = rules.pattern().map(|pattern| {
        let pattern = pattern.replace(['^', '$'], "");
        ["+", "*"]
            .into_iter()
            .fold(pattern, |pattern, sign| shorten(&pattern, sign))
    });
    let texts = string_regex(&pattern.unwrap_or(any_text))
        .expect("patterns without anchors generate texts");
    texts
        .prop_filter("fits its rules", move |text| {
            rules.broken_by_text(text).is_empty()
        })
        .boxed()
}

/// Limits the repetitions by this sign, which inside of classes stands for itself.
fn shorten(pattern: &str, sign: &str) -> String {
    let least = if sign == "+" { 1 } else { 0 };
    [")", "]", "."]
        .into_iter()
        .fold(pattern.to_owned(), |pattern, before| {
            pattern.replace(
                &format!("{before}{sign}"),
                &format!("{before}{{{least},5}}"),
            )
        })
}
