//! What types ask for, in words. Only the schema is quoted, never a value that was given.

use std::fmt;

use serde_json::Value;

use crate::control_plane::bundle::schema::TypeKind;

/// What a value has to be, with the one thing that is nearly always wrong.
pub(super) struct Expected<'a>(pub(super) TypeKind, pub(super) &'a Value);

impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            TypeKind::String => "a string",
            TypeKind::Number => "a number",
            TypeKind::Integer => "an integer",
            TypeKind::Boolean => "true or false",
            TypeKind::Array => "a list",
            TypeKind::Object => "a mapping",
        })?;
        f.write_str(match self.1 {
            Value::Null => ", but nothing stands there",
            Value::Number(_) if self.0 == TypeKind::Integer => ", not a fraction",
            Value::Bool(_) if self.0 == TypeKind::String => ", not a boolean: put it in quotes",
            Value::Number(_) if self.0 == TypeKind::String => ", not a number: put it in quotes",
            Value::Bool(_) => ", not a boolean",
            Value::Number(_) => ", not a number",
            Value::String(_) => ", not a string",
            Value::Array(_) => ", not a list",
            Value::Object(_) => ", not a mapping",
        })
    }
}

/// The values of an enum, as far as a message can hold them.
pub(super) struct Listed<'a>(pub(super) &'a [Value]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 12;
        for (index, value) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let text: String = value.to_string().chars().take(60).collect();
            write!(f, "{comma}{text}")?;
        }
        if self.0.len() > SHOWN {
            write!(f, " and {} more", self.0.len() - SHOWN)?;
        }
        Ok(())
    }
}

pub(super) fn cut(pattern: &str) -> String {
    let text: String = pattern.chars().take(120).collect();
    format!("{text:?}")
}
