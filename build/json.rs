//! AWS-JSON on prost's types: the serde attributes of every message, and the wire names of enums.

use std::fmt::Write as _;

use prost_build::Config;

use crate::contract::{Contract, Field, Kind, Message, PACKAGE, Role};

const HELPERS: &str = "crate::api::aws_json";

/// Requests are read and responses written, so that is what each message derives; what is forwarded is both.
pub fn attributes(contract: &Contract, config: &mut Config) {
    for message in &contract.messages {
        let path = format!(".{PACKAGE}.{}", message.name);
        let derive = derives(message);
        let container = match message.role {
            Role::Union | Role::List => "transparent",
            _ => "rename_all = \"camelCase\"",
        };
        config.message_attribute(&path, format!("{derive}\n#[serde({container})]"));
        if message.role == Role::Union {
            let kind = format!("{path}.kind");
            config.type_attribute(
                &kind,
                format!("{derive}\n#[serde(rename_all = \"camelCase\")]"),
            );
            continue;
        }
        for field in &message.fields {
            if let Some(attribute) = field_attribute(field) {
                config.field_attribute(format!("{path}.{}", field.name), attribute);
            }
        }
    }
}

fn derives(message: &Message) -> &'static str {
    match (message.sent, message.answered) {
        _ if message.forwarded => "#[derive(serde::Deserialize, serde::Serialize)]",
        (true, true) => "#[derive(serde::Deserialize, serde::Serialize)]",
        (true, false) => "#[derive(serde::Deserialize)]",
        _ => "#[derive(serde::Serialize)]",
    }
}

fn field_attribute(field: &Field) -> Option<String> {
    let mut parts = Vec::new();
    let optional = !field.required;
    match &field.kind {
        Kind::Enum(name) => {
            let form = match (field.repeated, optional) {
                (true, _) => "list",
                (false, true) => "optional",
                (false, false) => "plain",
            };
            let target = format!("crate::api::pb::{name}");
            parts.push(format!(
                "serialize_with = \"{HELPERS}::enums::write_{form}::<{target}, _>\""
            ));
            parts.push(format!(
                "deserialize_with = \"{HELPERS}::enums::read_{form}::<{target}, _>\""
            ));
        }
        Kind::Union(_) => parts.push(format!("deserialize_with = \"{HELPERS}::read_union\"")),
        Kind::Timestamp => parts.push(format!("serialize_with = \"{HELPERS}::timestamp::write\"")),
        _ if field.repeated && optional => {
            parts.push(format!("deserialize_with = \"{HELPERS}::null_as_empty\""));
        }
        _ => {}
    }
    let may_lack = optional
        || matches!(
            field.kind,
            Kind::Timestamp | Kind::Structure(_) | Kind::Union(_)
        );
    match (may_lack, field.repeated) {
        (true, true) if optional => {
            parts.push("default, skip_serializing_if = \"Vec::is_empty\"".to_owned())
        }
        (true, false) => {
            parts.push("default, skip_serializing_if = \"Option::is_none\"".to_owned())
        }
        _ => {}
    }
    (!parts.is_empty()).then(|| format!("#[serde({})]", parts.join(", ")))
}

/// How AWS-JSON writes each enum's values.
pub fn wire_names(contract: &Contract) -> String {
    let mut out = String::new();
    for found in &contract.enums {
        let name = &found.name;
        let (mut read, mut write_) = (String::new(), String::new());
        for value in &found.values {
            writeln!(read, "{:?} => Some(Self::{}),", value.wire, value.variant)
                .expect("writing to a string");
            writeln!(write_, "Self::{} => {:?},", value.variant, value.wire)
                .expect("writing to a string");
        }
        write!(
            out,
            "impl WireEnum for pb::{name} {{
                fn from_wire(text: &str) -> Option<Self> {{ match text {{ {read} _ => None }} }}
                fn to_wire(self) -> &'static str {{ match self {{ Self::Unspecified => \"\", {write_} }} }}
            }}"
        )
        .expect("writing to a string");
    }
    out
}
