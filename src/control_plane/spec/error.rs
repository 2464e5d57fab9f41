//! What is wrong with a spec, said to the person who wrote it: every problem at once, as far as a message can hold them.

use std::fmt::{self, Write};

use crate::api;

/// Problems that one message names; how many more there are it counts.
const SHOWN: usize = 10;
/// Characters after which a message names no further problem.
const ROOM: usize = 2000;

/// A spec that is refused. Its text is for the caller, and holds no value of the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    message: String,
}

impl SpecError {
    /// A spec that breaks one rule.
    pub(in crate::control_plane) fn broken(rule: impl Into<String>) -> Self {
        Self {
            message: rule.into(),
        }
    }

    /// A text that is no spec; `lead` is Proton's own sentence for it.
    pub(super) fn malformed(lead: &str, cause: impl fmt::Display) -> Self {
        Self {
            message: format!("{lead} ({cause})"),
        }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SpecError {}

impl From<SpecError> for api::Error {
    fn from(error: SpecError) -> Self {
        Self::validation(error.message)
    }
}

/// Problems as they are found.
#[derive(Default)]
pub(super) struct Problems {
    shown: String,
    named: usize,
    count: usize,
}

impl Problems {
    pub(super) fn add(&mut self, problem: fmt::Arguments<'_>) {
        self.count += 1;
        if self.named == SHOWN || self.shown.len() > ROOM {
            return;
        }
        self.named += 1;
        if self.named > 1 {
            self.shown.push_str("; ");
        }
        self.shown
            .write_fmt(problem)
            .expect("writing into a String does not fail");
    }
    /// All problems in one text, if there are any.
    pub(super) fn into_text(mut self) -> Option<String> {
        if self.count == 0 {
            return None;
        }
        if self.count > self.named {
            self.shown += &format!("; and {} more", self.count - self.named);
        }
        Some(self.shown)
    }
}
