//! The contract by reflection.

pub(crate) mod json;
pub(crate) mod rules;
pub(crate) mod samples;

use std::collections::BTreeMap;

use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, EnumValueDescriptor, ExtensionDescriptor,
    FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, ServiceDescriptor, Value,
};
use proton_grpc::api;

pub(crate) const PACKAGE: &str = "proton.v1";

pub(crate) fn pool() -> &'static DescriptorPool {
    api::descriptor_pool()
}

pub(crate) fn service(name: &str) -> ServiceDescriptor {
    pool()
        .get_service_by_name(&format!("{PACKAGE}.{name}"))
        .expect("the contract has this service")
}

pub(crate) fn message(name: &str) -> MessageDescriptor {
    pool()
        .get_message_by_name(&format!("{PACKAGE}.{name}"))
        .expect("the contract has this message")
}

pub(crate) fn request(operation: &str) -> MessageDescriptor {
    message(&format!("{operation}Request"))
}

pub(crate) fn response(operation: &str) -> MessageDescriptor {
    message(&format!("{operation}Response"))
}

pub(crate) fn extension(name: &str) -> ExtensionDescriptor {
    pool()
        .get_extension_by_name(name)
        .expect("the contract declares this option")
}

/// An option of the contract's own, if it is set.
pub(crate) fn option(options: &DynamicMessage, name: &str) -> Option<Value> {
    let extension = extension(name);
    options
        .has_extension(&extension)
        .then(|| options.get_extension(&extension).into_owned())
}

/// Every message that these can hold, themselves included, by name.
pub(crate) fn reachable(
    roots: impl IntoIterator<Item = MessageDescriptor>,
) -> BTreeMap<String, MessageDescriptor> {
    let mut found = BTreeMap::new();
    let mut left: Vec<_> = roots.into_iter().collect();
    while let Some(message) = left.pop() {
        if message.package_name() == PACKAGE && !found.contains_key(message.name()) {
            left.extend(
                message
                    .fields()
                    .filter_map(|field| field.kind().as_message().cloned()),
            );
            found.insert(message.name().to_owned(), message);
        }
    }
    found
}

/// Whether something that the file declares is no part of the Proton API.
pub(crate) fn is_invented(file: &FileDescriptor) -> bool {
    file.name() == "proton/v1/preview.proto"
}

/// Every message of the API.
pub(crate) fn messages() -> BTreeMap<String, MessageDescriptor> {
    reachable(
        service("ProtonService")
            .methods()
            .flat_map(|method| [method.input(), method.output()]),
    )
}

pub(crate) fn is_timestamp(kind: &Kind) -> bool {
    kind.as_message()
        .is_some_and(|message| message.full_name() == "google.protobuf.Timestamp")
}

/// Whether one of the message's fields is set at a time.
pub(crate) fn is_union(message: &MessageDescriptor) -> bool {
    message.oneofs().any(|oneof| !oneof.is_synthetic())
}

/// The field of a message that stands for a list that can be absent.
pub(crate) fn items(kind: &Kind) -> Option<FieldDescriptor> {
    let message = kind.as_message()?;
    let mut fields = message.fields();
    let items = fields
        .next()
        .filter(|field| field.is_list() && field.name() == "items")?;
    (message.name().ends_with("List") && fields.next().is_none()).then_some(items)
}

/// Whether the API may leave the list out.
pub(crate) fn is_optional_list(field: &FieldDescriptor) -> bool {
    option(&field.options(), "proton.v1.optional_list")
        .is_some_and(|value| value == Value::Bool(true))
}

pub(crate) fn is_redacted(field: &FieldDescriptor) -> bool {
    let redact = field
        .options()
        .get_field_by_name("debug_redact")
        .map(|value| value.into_owned());
    redact == Some(Value::Bool(true))
}

/// An enum's values without the zero that stands for none.
pub(crate) fn values(found: &EnumDescriptor) -> Vec<EnumValueDescriptor> {
    found.values().filter(|value| value.number() != 0).collect()
}

/// How AWS-JSON writes an enum value.
pub(crate) fn wire_name(value: &EnumValueDescriptor) -> String {
    match option(&value.options(), "proton.v1.wire_name") {
        Some(name) => name.as_str().expect("a wire name is text").to_owned(),
        None => {
            let zero = value.parent_enum().default_value();
            let prefix = zero
                .name()
                .strip_suffix("UNSPECIFIED")
                .expect("the zero value ends so");
            value
                .name()
                .strip_prefix(prefix)
                .expect("values carry the enum's name")
                .to_owned()
        }
    }
}
