//! Values of a template.
//!
//! To CloudFormation every scalar is text in the end: `80`, `"80"` and a parameter of that value are the same. So no other scalar is
//! kept, and nothing is lost of `1.20`, `0755` or an unquoted date.

/// A value, before its functions are evaluated or after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Value {
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(in super::super) fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    pub(in super::super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn as_map(&self) -> Option<&[(String, Value)]> {
        match self {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// One text, or a list of nothing but texts.
    pub(super) fn as_texts(&self) -> Option<Vec<&str>> {
        match self {
            Self::Text(text) => Some(vec![text]),
            Self::List(items) => items.iter().map(Value::as_text).collect(),
            Self::Map(_) => None,
        }
    }
}
