//! A field's `buf.validate` rules, read and applied the slow way.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
};

use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage as _, Value};
use regex::Regex;

use super::option;

#[derive(Clone, Default)]
pub(crate) struct Rules(Option<DynamicMessage>);

impl Rules {
    pub(crate) fn of(field: &FieldDescriptor) -> Self {
        let rules = option(&field.options(), "buf.validate.field");
        Self(rules.map(|rules| rules.as_message().expect("rules are a message").clone()))
    }

    /// The rules of a list's items.
    pub(crate) fn items(&self) -> Self {
        Self(
            self.get("repeated.items")
                .map(|rules| rules.as_message().expect("rules are a message").clone()),
        )
    }

    /// A rule by its path, such as `string.max_len`, if it is set.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        let mut found = Value::Message(self.0.clone()?);
        for name in path.split('.') {
            let message = found.as_message()?;
            let field = message.descriptor().get_field_by_name(name)?;
            if !message.has_field(&field) {
                return None;
            }
            found = message.get_field(&field).into_owned();
        }
        Some(found)
    }

    pub(crate) fn is_set(&self, path: &str) -> bool {
        self.get(path).is_some()
    }

    pub(crate) fn size(&self, path: &str) -> Option<usize> {
        let size = self.get(path)?.as_u64().expect("a size is a number");
        Some(usize::try_from(size).expect("sizes are small"))
    }

    pub(crate) fn number(&self, path: &str) -> Option<i32> {
        self.get(path)?.as_i32()
    }

    pub(crate) fn pattern(&self) -> Option<String> {
        Some(
            self.get("string.pattern")?
                .as_str()
                .expect("a pattern is text")
                .to_owned(),
        )
    }

    /// Every rule as `path=value`, so that none goes unnoticed.
    pub(crate) fn facts(&self) -> Vec<String> {
        let mut out = Vec::new();
        if let Some(rules) = &self.0 {
            flatten(rules, "", &mut out);
        }
        out
    }

    /// The ids of the string rules that the text breaks.
    pub(crate) fn broken_by_text(&self, text: &str) -> Vec<&'static str> {
        let length = text.chars().count();
        let rules = [
            (
                "string.min_len",
                self.size("string.min_len").is_some_and(|min| length < min),
            ),
            (
                "string.max_len",
                self.size("string.max_len").is_some_and(|max| length > max),
            ),
            (
                "string.pattern",
                self.pattern()
                    .is_some_and(|pattern| !is_match(&pattern, text)),
            ),
        ];
        rules
            .into_iter()
            .filter(|(_, broken)| *broken)
            .map(|(id, _)| id)
            .collect()
    }
}

fn flatten(message: &DynamicMessage, at: &str, out: &mut Vec<String>) {
    for (field, value) in message.fields() {
        let path = format!("{at}{}", field.name());
        match value {
            Value::Message(inner) => flatten(inner, &format!("{path}."), out),
            value => out.push(format!("{path}={value}")),
        }
    }
}

pub(crate) fn is_match(pattern: &str, text: &str) -> bool {
    static COMPILED: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap();
    let regex = compiled
        .entry(pattern.to_owned())
        .or_insert_with(|| Regex::new(pattern).unwrap());
    regex.is_match(text)
}
