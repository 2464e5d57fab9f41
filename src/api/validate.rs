//! The limits of the contract (`buf.validate`), checked over the typed messages.
//!
//! Both wings call this: the facade before it spends an upstream call, the control plane before it
//! looks at anything. Every violation is found, not only the first; paths and rule ids are those
//! of the protovalidate libraries in other languages, so that a client may check with either.

use std::{fmt, marker::PhantomData, sync::OnceLock};

use regex::Regex;

use super::pb;

/// Something whose limits can be checked.
pub trait Validate {
    /// Adds every violation to `found`; `at` is where this message stands in the request.
    fn validate(&self, at: &Path<'_>, found: &mut Violations);

    /// The violations of a whole request.
    fn violations(&self) -> Violations {
        let mut found = Violations::default();
        self.validate(&Path::Root, &mut found);
        found
    }
}

/// A limit that a field breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path, such as `tags[2].key`.
    pub field: String,
    /// The rule's id, such as `string.max_len`.
    pub rule: &'static str,
    /// The rule in words. Never holds the value.
    pub message: String,
}

/// All violations of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter()
    }

    pub(crate) fn required(&mut self, at: &Path<'_>) {
        self.add(at, "required", "value is required".to_owned());
    }

    pub(crate) fn add(&mut self, at: &Path<'_>, rule: &'static str, message: String) {
        self.0.push(Violation {
            field: at.to_string(),
            rule,
            message,
        });
    }
}

/// Where a value stands in the request. Costs nothing until it is printed.
pub enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'static str),
    Item(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(crate) fn field(&'a self, name: &'static str) -> Path<'a> {
        Path::Field(self, name)
    }

    pub(crate) fn item(&'a self, index: usize) -> Path<'a> {
        Path::Item(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => f.write_str(name),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Item(list, index) => write!(f, "{list}[{index}]"),
        }
    }
}

struct StringRule {
    min: Option<usize>,
    max: Option<usize>,
    pattern: Option<Pattern>,
}

impl StringRule {
    fn check(&self, value: &str, at: &Path<'_>, found: &mut Violations) {
        // Lengths count characters, and a string has at most as many of them as bytes.
        let length = || value.chars().count();
        if let Some(min) = self.min
            && length() < min
        {
            found.add(
                at,
                "string.min_len",
                format!("must be at least {min} characters"),
            );
        }
        if let Some(max) = self.max
            && value.len() > max
            && length() > max
        {
            found.add(
                at,
                "string.max_len",
                format!("must be at most {max} characters"),
            );
        }
        if let Some(pattern) = &self.pattern
            && !pattern.matches(value)
        {
            found.add(
                at,
                "string.pattern",
                format!("does not match regex pattern `{}`", pattern.text),
            );
        }
    }
}

/// A regular expression that is compiled when it is first needed.
struct Pattern {
    text: &'static str,
    compiled: OnceLock<Regex>,
}

impl Pattern {
    const fn new(text: &'static str) -> Self {
        Self {
            text,
            compiled: OnceLock::new(),
        }
    }

    fn matches(&self, value: &str) -> bool {
        let compile =
            || Regex::new(self.text).expect("a test compiles every pattern of the contract");
        self.compiled.get_or_init(compile).is_match(value)
    }
}

struct RangeRule {
    low: i32,
    high: i32,
}

impl RangeRule {
    fn check(&self, value: i32, at: &Path<'_>, found: &mut Violations) {
        let Self { low, high } = self;
        if !(*low..=*high).contains(&value) {
            let message =
                format!("must be greater than or equal to {low} and less than or equal to {high}");
            found.add(at, "int32.gte_lte", message);
        }
    }
}

struct ListRule {
    min: Option<usize>,
    max: Option<usize>,
}

impl ListRule {
    fn check(&self, count: usize, at: &Path<'_>, found: &mut Violations) {
        if let Some(min) = self.min
            && count < min
        {
            found.add(
                at,
                "repeated.min_items",
                format!("must contain at least {min} item(s)"),
            );
        }
        if let Some(max) = self.max
            && count > max
        {
            found.add(
                at,
                "repeated.max_items",
                format!("must contain no more than {max} item(s)"),
            );
        }
    }
}

/// A value must be one that the enum defines. Zero means that none was set.
struct EnumRule<E> {
    required: bool,
    values: PhantomData<E>,
}

impl<E: TryFrom<i32>> EnumRule<E> {
    const fn new(required: bool) -> Self {
        Self {
            required,
            values: PhantomData,
        }
    }

    fn check(&self, value: i32, at: &Path<'_>, found: &mut Violations) {
        match value {
            0 if self.required => found.required(at),
            0 => found.add(at, "enum.not_in", "must not be in list [0]".to_owned()),
            _ if E::try_from(value).is_err() => {
                found.add(
                    at,
                    "enum.defined_only",
                    "must be one of the defined enum values".to_owned(),
                );
            }
            _ => {}
        }
    }
}

include!(concat!(env!("OUT_DIR"), "/validation.rs"));
