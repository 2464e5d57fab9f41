//! What a rendering may cost.
//!
//! The engine counts its steps (`fuel`), which bounds loops but not what one step makes: `a ~ a` doubles a text, a literal nests a list once
//! more, `replace` multiplies. So whatever makes a value pays for it from one purse, by the size of the value written out as a tree. That bounds
//! the memory, the depth that printing, comparing and freeing recurse to, and the time of the filters.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use super::error::invalid;

/// How deep lists and mappings may be nested in each other.
const DEPTH: usize = 32;
/// What a value takes beside its text, roughly.
const VALUE: usize = 64;

/// The purse of one rendering; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    left: Arc<AtomicUsize>,
    limit: usize,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            left: Arc::new(AtomicUsize::new(bytes)),
            limit: bytes,
        }
    }

    pub(super) fn spend(&self, bytes: usize) -> Result<(), Error> {
        // One rendering runs in one thread, so load and store do not race.
        let left = self.left.load(Ordering::Relaxed).checked_sub(bytes);
        self.left.store(left.unwrap_or(0), Ordering::Relaxed);
        left.map(drop).ok_or_else(|| {
            let limit = self.limit;
            invalid(format!(
                "the values of this template take more than {limit} bytes"
            ))
        })
    }

    /// Pays for a value.
    pub(super) fn own(&self, value: Value) -> Result<Value, Error> {
        self.weigh(&value, true, 0)?;
        Ok(value)
    }

    /// Pays for what a namespace keeps. It must not come to contain itself, not even by what a macro refers to.
    pub(super) fn keep(&self, value: Value) -> Result<Value, Error> {
        self.weigh(&value, false, 0)?;
        Ok(value)
    }

    fn weigh(&self, value: &Value, namespaces: bool, depth: usize) -> Result<(), Error> {
        check_depth(depth)?;
        self.spend(VALUE + value.as_str().map_or(0, str::len))?;
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                for item in value.try_iter()?.checked() {
                    self.weigh(&item?, namespaces, depth + 1)?;
                }
            }
            ValueKind::Map => {
                let object = value.as_object().expect("a mapping is an object");
                let engine = ["::Namespace", "::Macro", "::Loop"];
                if !namespaces && engine.iter().any(|name| object.type_name().ends_with(name)) {
                    return Err(invalid(
                        "a namespace keeps plain values, no namespaces, macros or loops",
                    ));
                }
                for (key, value) in object.try_iter_pairs().into_iter().flatten() {
                    self.weigh(&key, namespaces, depth + 1)?;
                    self.weigh(&value, namespaces, depth + 1)?;
                }
            }
            _ if !namespaces && value.as_object().is_some() => {
                return Err(invalid("a namespace keeps plain values, no functions"));
            }
            _ => {}
        }
        Ok(())
    }

    /// A text that pays for itself while it grows.
    pub(super) fn text(&self) -> Text<'_> {
        Text {
            budget: self,
            text: String::new(),
            refused: None,
        }
    }
}

pub(super) fn check_depth(depth: usize) -> Result<(), Error> {
    if depth > DEPTH {
        return Err(invalid(format!("values are nested more than {DEPTH} deep")));
    }
    Ok(())
}

/// Text under way.
pub(super) struct Text<'b> {
    budget: &'b Budget,
    text: String,
    refused: Option<Error>,
}

impl Text<'_> {
    pub(super) fn push(&mut self, text: &str) -> Result<(), Error> {
        self.budget.spend(text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    pub(super) fn push_times(&mut self, text: &str, times: usize) -> Result<(), Error> {
        self.budget.spend(text.len().saturating_mul(times))?;
        self.text.push_str(&text.repeat(times));
        Ok(())
    }

    /// Writes through the formatting machinery, which has no room for the reason of a refusal.
    pub(super) fn push_fmt(&mut self, arguments: fmt::Arguments<'_>) -> Result<(), Error> {
        self.write_fmt(arguments).map_err(|_| {
            self.refused
                .take()
                .unwrap_or_else(|| invalid("the value cannot be written"))
        })
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn into_string(self) -> String {
        self.text
    }

    pub(super) fn into_value(self) -> Value {
        Value::from(self.text)
    }
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text).map_err(|error| {
            self.refused = Some(error);
            fmt::Error
        })
    }
}
