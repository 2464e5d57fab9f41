//! What goes wrong in a template.

use std::borrow::Cow;

use minijinja::{Error, ErrorKind};

/// A rule of the syntax that is broken, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) line: usize,
    pub(super) rule: String,
}

impl Broken {
    pub(super) fn new(line: usize, rule: impl Into<String>) -> Self {
        let rule = rule.into();
        Self { line, rule }
    }
}

/// An error of a filter, an operator or a function.
pub(super) fn invalid(rule: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, rule)
}

pub(super) fn undefined() -> Error {
    Error::from(ErrorKind::UndefinedError)
}
