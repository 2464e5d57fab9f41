//! Why a template cannot be deployed, in the words CloudFormation has for it where it has some.

use std::fmt;

/// The longest message, in characters.
const MAX_CHARS: usize = 2000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Refusal(String);

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        match message.char_indices().nth(MAX_CHARS) {
            Some((end, _)) => Self(format!("{}...", &message[..end])),
            None => Self(message),
        }
    }

    /// The structure is not that of a template.
    pub(super) fn format(message: impl fmt::Display) -> Self {
        Self::new(format!("Template format error: {message}"))
    }

    /// The structure is fine, what it says is not.
    pub(super) fn error(message: impl fmt::Display) -> Self {
        Self::new(format!("Template error: {message}"))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
