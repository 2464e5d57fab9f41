//! What is wrong with a bundle, said to the person who wrote it.
//!
//! The text ends in the `statusMessage` of a version in `REGISTRATION_FAILED`, so it names the file, the place in it and the rule, never a path
//! of the machine this runs on, and it is short enough for a status line whatever the bundle contains.

use std::fmt;

/// The longest message, in characters.
const MAX_CHARS: usize = 1000;

/// A bundle that cannot be registered, and what its author has to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    message: String,
}

impl Problem {
    pub(in crate::control_plane) fn new(message: impl Into<String>) -> Self {
        let mut message = message.into();
        if let Some((cut, _)) = message.char_indices().nth(MAX_CHARS) {
            let keep = message[..cut]
                .char_indices()
                .rev()
                .nth(2)
                .map_or(0, |(at, _)| at);
            message.truncate(keep);
            message.push_str("...");
        }
        Self { message }
    }

    /// A problem at one line of one file.
    pub(super) fn at(file: &str, line: u64, rule: impl fmt::Display) -> Self {
        Self::new(format!("{file} line {line}: {rule}"))
    }

    /// Puts a lead before the message, as in `Service template schema is not valid: …`.
    pub(super) fn under(self, lead: &str) -> Self {
        Self::new(format!("{lead}: {}", self.message))
    }

    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

/// Quotes what an author wrote, cut so that one hostile name cannot crowd out the rule it broke.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 120;
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{:?}", format!("{}...", &text[..cut])),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let problem = Problem::new("ä".repeat(5000));
        assert_eq!(problem.message().chars().count(), MAX_CHARS);
        assert!(problem.message().ends_with("ä..."));
    }

    #[test]
    fn a_message_of_just_the_limit_is_left_alone() {
        let text = "x".repeat(MAX_CHARS);
        assert_eq!(Problem::new(text.clone()).message(), text);
    }

    #[test]
    fn quoting_shows_control_characters_and_cuts_long_names() {
        assert_eq!(quoted("a\nb"), "\"a\\nb\"");
        assert!(quoted(&"n".repeat(4000)).len() < 130);
    }
}
