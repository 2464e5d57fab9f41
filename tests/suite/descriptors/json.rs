//! AWS-JSON 1.0, written by reflection.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value};
use serde_json::{Map, Value as Json};

use super::{is_optional_list, is_timestamp, items, wire_name};

pub(crate) fn write(message: &DynamicMessage) -> Json {
    let mut members = Map::new();
    for field in message.descriptor().fields() {
        let given = match field.is_list() {
            true => message.has_field(&field) || !is_optional_list(&field),
            false => message.has_field(&field) || !field.supports_presence(),
        };
        if given {
            members.insert(
                field.json_name().to_owned(),
                value(&field, &message.get_field(&field)),
            );
        }
    }
    Json::Object(members)
}

fn value(field: &FieldDescriptor, found: &Value) -> Json {
    match (field.kind(), found) {
        (_, Value::List(list)) => list.iter().map(|item| value(field, item)).collect(),
        (_, Value::String(text)) => text.as_str().into(),
        (_, Value::Bool(truth)) => (*truth).into(),
        (_, Value::I32(number)) => (*number).into(),
        (Kind::Enum(kind), Value::EnumNumber(number)) => {
            wire_name(&kind.get_value(*number).expect("samples hold known values")).into()
        }
        (kind, Value::Message(time)) if is_timestamp(&kind) => seconds(time).into(),
        (kind, Value::Message(inner)) => match items(&kind) {
            Some(items) => value(&items, &inner.get_field(&items)),
            None => write(inner),
        },
        (kind, found) => panic!("{found} is no {kind:?}"),
    }
}

/// Epoch seconds, read from their decimal form.
fn seconds(time: &DynamicMessage) -> f64 {
    let part = |name: &str| {
        time.get_field_by_name(name)
            .expect("a time has this field")
            .into_owned()
    };
    let seconds = part("seconds").as_i64().expect("seconds are a number");
    let nanos = part("nanos").as_i32().expect("nanoseconds are a number");
    let milliseconds = i128::from(seconds) * 1000 + i128::from(nanos / 1_000_000);
    let (sign, size) = (
        if milliseconds < 0 { "-" } else { "" },
        milliseconds.unsigned_abs(),
    );
    format!("{sign}{}.{:03}", size / 1000, size % 1000)
        .parse()
        .expect("a decimal number")
}
