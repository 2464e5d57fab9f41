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

/// How many violations are kept. A hostile request breaks a rule with every two of its bytes, and a violation takes a
/// hundred.
const MOST_KEPT: usize = 100;

/// All violations of a request, the first hundred of them in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    kept: Vec<Violation>,
    count: usize,
}

impl Violations {
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are, with those that are not kept.
    pub fn count(&self) -> usize {
        self.count
    }

    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.kept.iter()
    }

    /// `2 validation errors detected: …`, with each violation in the words that are given for it.
    pub(crate) fn summary(&self, words: impl Fn(&Violation) -> String) -> String {
        let mut problems: Vec<String> = self.kept.iter().map(words).collect();
        let more = self.count - self.kept.len();
        if more > 0 {
            problems.push(format!("and {more} more"));
        }
        let noun = if self.count == 1 { "error" } else { "errors" };
        let problems = problems.join("; ");
        format!("{} validation {noun} detected: {problems}", self.count)
    }

    pub(crate) fn required(&mut self, at: &Path<'_>) {
        self.add(at, "required", "value is required".to_owned());
    }

    pub(crate) fn add(&mut self, at: &Path<'_>, rule: &'static str, message: String) {
        self.count += 1;
        if self.kept.len() < MOST_KEPT {
            self.kept.push(Violation {
                field: at.to_string(),
                rule,
                message,
            });
        }
    }
}

/// Where a value stands in the request. Costs nothing until it is printed.
pub enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(crate) fn field(&'a self, name: &'a str) -> Path<'a> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_violations_is_counted_and_not_kept() {
        let request = pb::TagResourceRequest {
            tags: vec![pb::Tag::default(); 100_000],
            ..Default::default()
        };
        let found = request.violations();
        assert!(found.count() > 100_000);
        assert_eq!(found.iter().count(), MOST_KEPT);
        let summary = found.summary(|found| found.field.clone());
        let more = found.count() - MOST_KEPT;
        assert!(summary.ends_with(&format!("; and {more} more")));
    }
}
