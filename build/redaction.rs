//! `Debug` for messages with sensitive fields: it prints that a value is there, never the value.

use std::fmt::Write as _;

use crate::contract::{Contract, Field, Message, PACKAGE};

fn sensitive(contract: &Contract) -> impl Iterator<Item = &Message> {
    contract
        .messages
        .iter()
        .filter(|message| message.fields.iter().any(|field| field.redacted))
}

/// The messages whose `Debug` is written here instead of derived.
pub fn messages(contract: &Contract) -> Vec<String> {
    sensitive(contract)
        .map(|message| format!(".{PACKAGE}.{}", message.name))
        .collect()
}

pub fn emit(contract: &Contract) -> String {
    let mut out = String::new();
    for message in sensitive(contract) {
        let name = &message.name;
        let fields: String = message.fields.iter().map(debug_field).collect();
        write!(
            out,
            "impl std::fmt::Debug for {name} {{
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{
                    f.debug_struct(\"{name}\"){fields}.finish()
                }}
            }}"
        )
        .expect("writing to a string");
    }
    out
}

fn debug_field(field: &Field) -> String {
    let name = &field.name;
    match field.redacted {
        true => format!(".field(\"{name}\", &crate::api::redact::Redacted)"),
        false => format!(".field(\"{name}\", &self.{})", crate::emit::ident(name)),
    }
}
