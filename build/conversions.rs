//! Conversions between the contract's types and the SDK's: `TryFrom` towards the SDK (its builders
//! insist on required members), `From` back. Names and types are checked by rustc.

use std::fmt::Write as _;

use crate::{
    contract::{Contract, Enum, Field, Kind, Message, Role},
    emit::{camel, ident, snake},
};

pub fn emit(contract: &Contract) -> String {
    let mut out = String::new();
    for message in contract.messages.iter().filter(|message| message.in_sdk) {
        match &message.role {
            Role::Request(operation) => out += &request(message, operation),
            Role::Response(operation) => {
                let output = format!("operation::{}::{operation}Output", snake(operation));
                out += &from_sdk(message, &output);
            }
            Role::List => out += &list(message),
            Role::Structure | Role::Union => {
                if message.sent {
                    out += &into_sdk(message);
                }
                if message.answered {
                    let source = format!("types::{}", message.name);
                    out += &match message.role {
                        Role::Union => union_from_sdk(message, &source),
                        _ => from_sdk(message, &source),
                    };
                }
            }
        }
    }
    for found in &contract.enums {
        out += &enumeration(found);
    }
    out
}

fn request(message: &Message, operation: &str) -> String {
    let setters: String = message.fields.iter().map(setter).collect();
    let from = if message.fields.is_empty() {
        "_"
    } else {
        "from"
    };
    try_from(
        &message.name,
        from,
        &format!(
            "operation::{}::builders::{operation}InputBuilder",
            snake(operation)
        ),
        &format!("Ok(Self::default(){setters})"),
    )
}

fn into_sdk(message: &Message) -> String {
    let target = format!("types::{}", message.name);
    let body = match message.role {
        Role::Union => {
            let arms: String = message
                .fields
                .iter()
                .map(|field| {
                    let variant = camel(&field.name);
                    format!(
                        "Some({}::{variant}(from)) => Ok(Self::{variant}(from.try_into()?)),",
                        kind_path(message)
                    )
                })
                .collect();
            format!(
                "match from.kind {{ {arms} None => Err(BuildError::missing_field(\"kind\", \"one must be set\")) }}"
            )
        }
        _ => {
            let setters: String = message.fields.iter().map(setter).collect();
            let built = format!("Self::builder(){setters}.build()");
            // A builder only insists on members that its structure holds bare.
            match message
                .fields
                .iter()
                .any(|field| field.required && is_bare(field))
            {
                true => built,
                false => format!("Ok({built})"),
            }
        }
    };
    try_from(&message.name, "from", &target, &body)
}

fn try_from(source: &str, from: &str, target: &str, body: &str) -> String {
    format!(
        "impl TryFrom<pb::{source}> for {target} {{
            type Error = BuildError;
            fn try_from({from}: pb::{source}) -> Result<Self, BuildError> {{ {body} }}
        }}"
    )
}

fn list(message: &Message) -> String {
    let [items] = message.fields.as_slice() else {
        unreachable!("a list has one field")
    };
    let (element, body) = match &items.kind {
        Kind::Enum(name) => (name, format!("Ok(enums::<pb::{name}>(from.items))")),
        Kind::Structure(name) => (
            name,
            "from.items.into_iter().map(TryInto::try_into).collect()".to_owned(),
        ),
        _ => panic!("{}: lists hold enums or structures", message.name),
    };
    try_from(
        &message.name,
        "from",
        &format!("Vec<types::{element}>"),
        &body,
    )
}

fn setter(field: &Field) -> String {
    let name = &ident(&field.name);
    let value = match (&field.kind, field.repeated) {
        (Kind::Enum(kind), true) => format!("enums::<pb::{kind}>(from.{name})"),
        (Kind::Structure(_), true) => {
            format!(
                "from.{name}.into_iter().map(TryInto::try_into).collect::<Result<Vec<_>, _>>()?"
            )
        }
        (Kind::Enum(kind), false) if field.required => format!("to_sdk::<pb::{kind}>(from.{name})"),
        (Kind::Enum(kind), false) => format!("from.{name}.and_then(to_sdk::<pb::{kind}>)"),
        (Kind::Structure(_) | Kind::Union(_) | Kind::List(_), false) => {
            format!("from.{name}.map(TryInto::try_into).transpose()?")
        }
        (Kind::Timestamp, _) => panic!("{name}: requests hold no timestamps"),
        _ => format!("from.{name}"),
    };
    let value = match (field.repeated, field.required, &field.kind) {
        (true, true, _) => format!("Some({value})"),
        (true, false, _) => format!("present({value})"),
        (false, true, Kind::String | Kind::Int32 | Kind::Bool) => format!("Some({value})"),
        _ => value,
    };
    format!(".set_{}({value})", field.name)
}

fn from_sdk(message: &Message, source: &str) -> String {
    let fields: String = message
        .fields
        .iter()
        .map(|field| format!("{}: {},", ident(&field.name), getter(field)))
        .collect();
    let from = if message.fields.is_empty() {
        "_"
    } else {
        "from"
    };
    format!(
        "impl From<{source}> for pb::{} {{
            fn from({from}: {source}) -> Self {{ Self {{ {fields} }} }}
        }}",
        message.name
    )
}

fn getter(field: &Field) -> String {
    let name = &ident(&field.name);
    let list = match (field.repeated, field.required) {
        (true, true) => format!("from.{name}"),
        _ => format!("from.{name}.unwrap_or_default()"),
    };
    match (&field.kind, field.repeated) {
        (Kind::Enum(kind), true) => {
            format!("{list}.into_iter().map(number::<pb::{kind}>).collect()")
        }
        (Kind::Structure(_), true) => format!("{list}.into_iter().map(Into::into).collect()"),
        (_, true) => list,
        (Kind::Enum(kind), false) if field.required => format!("number::<pb::{kind}>(from.{name})"),
        (Kind::Enum(kind), false) => format!("from.{name}.map(number::<pb::{kind}>)"),
        (Kind::Timestamp, false) if field.required => format!("required_timestamp(from.{name})"),
        (Kind::Timestamp, false) => format!("from.{name}.map(timestamp)"),
        (Kind::Structure(_) | Kind::Union(_), false) => format!("from.{name}.map(Into::into)"),
        _ => format!("from.{name}"),
    }
}

fn union_from_sdk(message: &Message, source: &str) -> String {
    let mut arms = String::new();
    for field in &message.fields {
        let variant = camel(&field.name);
        write!(
            arms,
            "{source}::{variant}(from) => Some({}::{variant}(from.into())),",
            kind_path(message)
        )
        .expect("writing to a string");
    }
    let name = &message.name;
    format!(
        "impl From<{source}> for pb::{name} {{
            fn from(from: {source}) -> Self {{
                let kind = match from {{ {arms} _ => {{ newer(\"{name}\", \"a kind\"); None }} }};
                Self {{ kind }}
            }}
        }}"
    )
}

fn enumeration(found: &Enum) -> String {
    let name = &found.name;
    let mut out = String::new();
    if found.sent {
        let arms: String = (found.values.iter())
            .map(|value| format!("Self::{0} => Some(types::{name}::{0}),", value.variant))
            .collect();
        write!(
            out,
            "impl ToSdk for pb::{name} {{
                type Sdk = types::{name};
                fn to_sdk(self) -> Option<types::{name}> {{ match self {{ Self::Unspecified => None, {arms} }} }}
            }}"
        )
        .expect("writing to a string");
    }
    if found.answered {
        let arms: String = found
            .values
            .iter()
            .map(|value| format!("types::{name}::{0} => Self::{0},", value.variant))
            .collect();
        write!(
            out,
            "impl From<types::{name}> for pb::{name} {{
                fn from(from: types::{name}) -> Self {{
                    match from {{ {arms} other => {{ newer(\"{name}\", other.as_str()); Self::Unspecified }} }}
                }}
            }}"
        )
        .expect("writing to a string");
    }
    out
}

fn kind_path(message: &Message) -> String {
    format!("pb::{}::Kind", snake(&message.name))
}

/// Whether the SDK's structure holds the required member itself, not an `Option` of it.
fn is_bare(field: &Field) -> bool {
    field.repeated
        || !matches!(
            field.kind,
            Kind::Structure(_) | Kind::Union(_) | Kind::List(_)
        )
}
