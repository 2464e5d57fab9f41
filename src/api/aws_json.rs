//! AWS-JSON 1.0 on the contract's messages: the parts that serde's derive cannot do alone.
//!
//! Members carry AWS's names, enums their bare values, unions one key, times epoch seconds to the
//! millisecond. Absent members are left out; `null` reads as absent; unknown members are ignored.

use serde::{Deserialize, Deserializer, Serializer, de::DeserializeOwned};

use super::{
    Error, error, pb,
    validate::{Path, Violation, Violations},
};

/// Writes a response.
pub fn write(message: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("responses hold nothing that JSON lacks")
}

/// Reads a request. An empty body reads as `{}`.
pub fn read<T: DeserializeOwned + prost::Name>(body: &[u8]) -> Result<T, Error> {
    let body = if body.is_empty() { b"{}" } else { body };
    // Serde would read an array as the members in their order.
    match body.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice(body).map_err(|_| diagnose(T::NAME, body)),
        _ => Err(diagnose(T::NAME, body)),
    }
}

/// Says what is wrong with a body that could not be read: every required member that is missing,
/// else that it is no such JSON. Off the path of good requests, so it may take its time.
fn diagnose(message: &str, body: &[u8]) -> Error {
    let Ok(serde_json::Value::Object(members)) = serde_json::from_slice(body) else {
        return Error::new(error::Code::Serialization, "the body is not a JSON object");
    };
    let descriptor = super::descriptor_pool()
        .get_message_by_name(&format!("proton.v1.{message}"))
        .expect("the descriptors hold every message");
    let mut missing = Violations::default();
    find_missing(&descriptor, &members, &Path::Root, &mut missing);
    match missing.is_empty() {
        true => Error::new(
            error::Code::Serialization,
            "a member of the body has the wrong type",
        ),
        false => {
            let words = |found: &Violation| format!("value at '{}' must not be null", found.field);
            Error::new(error::Code::Validation, missing.summary(words))
        }
    }
}

fn find_missing(
    message: &prost_reflect::MessageDescriptor,
    members: &serde_json::Map<String, serde_json::Value>,
    at: &Path<'_>,
    missing: &mut Violations,
) {
    for field in message.fields() {
        let path = at.field(field.json_name());
        let inner = message_inside(&field);
        match (members.get(field.json_name()), inner) {
            (None | Some(serde_json::Value::Null), None)
                if !field.supports_presence() && !field.is_list() =>
            {
                missing.required(&path);
            }
            (None | Some(serde_json::Value::Null), _)
                if field.is_list() && !is_optional_list(&field) =>
            {
                missing.required(&path);
            }
            (Some(serde_json::Value::Object(inside)), Some(inner)) => {
                find_missing(&inner, inside, &path, missing);
            }
            (Some(serde_json::Value::Array(items)), Some(inner)) => {
                for (index, item) in items.iter().enumerate() {
                    if let serde_json::Value::Object(inside) = item {
                        find_missing(&inner, inside, &path.item(index), missing);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The message that a member or its items are. A list that can be absent is a message around its
/// items, which the JSON does not show.
fn message_inside(
    field: &prost_reflect::FieldDescriptor,
) -> Option<prost_reflect::MessageDescriptor> {
    let message = field.kind().as_message().cloned()?;
    match message.get_field_by_name("items") {
        Some(items) => items.kind().as_message().cloned(),
        None => Some(message),
    }
}

fn is_optional_list(field: &prost_reflect::FieldDescriptor) -> bool {
    let extension = super::descriptor_pool()
        .get_extension_by_name("proton.v1.optional_list")
        .expect("the contract declares its own options");
    field
        .options()
        .get_extension(&extension)
        .as_bool()
        .unwrap_or_default()
}

/// Reads `null` as an empty list.
pub(super) fn null_as_empty<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a union. One without a member is for validation to refuse, as it is over gRPC.
pub(super) fn read_union<'de, T: Default + DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let Some(mut members) = Option::<serde_json::Map<_, _>>::deserialize(deserializer)? else {
        return Ok(None);
    };
    members.retain(|_, member: &mut serde_json::Value| !member.is_null());
    match members.is_empty() {
        true => Ok(Some(T::default())),
        false => T::deserialize(serde_json::Value::Object(members))
            .map(Some)
            .map_err(serde::de::Error::custom),
    }
}

/// A value of an enum as AWS-JSON writes it.
pub(crate) fn name(value: impl WireEnum) -> &'static str {
    value.to_wire()
}

/// An enum's values as AWS-JSON writes them.
pub(crate) trait WireEnum: Sized + TryFrom<i32> {
    fn from_wire(text: &str) -> Option<Self>;
    fn to_wire(self) -> &'static str;
}

include!(concat!(env!("OUT_DIR"), "/wire_names.rs"));

pub(super) mod enums {
    //! Enums are `i32` in prost's types and text on the wire.

    use std::{fmt, marker::PhantomData};

    use serde::{
        Deserialize, Deserializer, Serializer,
        de::{Error, Visitor},
        ser::SerializeSeq as _,
    };

    use super::WireEnum;

    /// What a text reads as that is no value of the enum. Validation refuses it by its path.
    const UNKNOWN: i32 = -1;

    struct Value<E>(i32, PhantomData<E>);

    impl<'de, E: WireEnum + Into<i32>> Deserialize<'de> for Value<E> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Text<E>(PhantomData<E>);
            impl<E: WireEnum + Into<i32>> Visitor<'_> for Text<E> {
                type Value = i32;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a string")
                }
                fn visit_str<X: Error>(self, text: &str) -> Result<i32, X> {
                    Ok(E::from_wire(text).map_or(UNKNOWN, Into::into))
                }
            }
            let number = deserializer.deserialize_str(Text::<E>(PhantomData))?;
            Ok(Self(number, PhantomData))
        }
    }

    pub(crate) fn read_plain<'de, E, D>(deserializer: D) -> Result<i32, D::Error>
    where
        E: WireEnum + Into<i32>,
        D: Deserializer<'de>,
    {
        Ok(Value::<E>::deserialize(deserializer)?.0)
    }

    pub(crate) fn read_optional<'de, E, D>(deserializer: D) -> Result<Option<i32>, D::Error>
    where
        E: WireEnum + Into<i32>,
        D: Deserializer<'de>,
    {
        Ok(Option::<Value<E>>::deserialize(deserializer)?.map(|value| value.0))
    }

    pub(crate) fn read_list<'de, E, D>(deserializer: D) -> Result<Vec<i32>, D::Error>
    where
        E: WireEnum + Into<i32>,
        D: Deserializer<'de>,
    {
        let values = Option::<Vec<Value<E>>>::deserialize(deserializer)?.unwrap_or_default();
        Ok(values.into_iter().map(|value| value.0).collect())
    }

    fn text<E: WireEnum>(number: i32) -> &'static str {
        E::try_from(number).map_or("", E::to_wire)
    }

    pub(crate) fn write_plain<E: WireEnum, S: Serializer>(
        number: &i32,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text::<E>(*number))
    }

    pub(crate) fn write_optional<E: WireEnum, S: Serializer>(
        number: &Option<i32>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match number {
            Some(number) => write_plain::<E, S>(number, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn write_list<E: WireEnum, S: Serializer>(
        numbers: &[i32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(numbers.len()))?;
        for number in numbers {
            list.serialize_element(text::<E>(*number))?;
        }
        list.end()
    }
}

pub(super) mod timestamp {
    //! Times are epoch seconds with at most three decimals.

    use super::Serializer;

    pub(crate) fn write<S: Serializer>(
        time: &Option<prost_types::Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => {
                let milliseconds = time.seconds * 1000 + i64::from(time.nanos) / 1_000_000;
                serializer.serialize_f64(milliseconds as f64 / 1000.0)
            }
            None => serializer.serialize_none(),
        }
    }
}
