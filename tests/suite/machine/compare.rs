//! Whether an answer is the one that the model expects. The model knows no ids: it names them `<d1>`, and what an id is turns out
//! when an answer first shows it. From then on it has to stay so.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value};

use super::model::{ANY, MAYBE, NORMALISED, spec};

/// Ids by the names that the model has for them.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids(BTreeMap<String, String>);

/// What nothing has.
const NOBODY: &str = "ffffffff-ffff-4fff-8fff-ffffffffffff";

static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new("<[a-z][0-9]+>").unwrap());

impl Ids {
    /// The request with ids in place of their names.
    pub(super) fn fill(&self, request: &Value) -> Value {
        let id = |name: &Captures<'_>| self.0.get(&name[0]).map_or(NOBODY, |id| id).to_owned();
        match request {
            Value::String(text) => NAME.replace_all(text, id).into_owned().into(),
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(members) => {
                let filled = members.iter();
                let filled = filled.map(|(key, value)| (key.clone(), self.fill(value)));
                Value::Object(filled.collect())
            }
            other => other.clone(),
        }
    }

    /// Says where the two differ first.
    pub(super) fn agree(
        &mut self,
        expected: &Value,
        actual: &Value,
        at: &str,
    ) -> Result<(), String> {
        let agrees = match (expected, actual) {
            (Value::Object(expected), Value::Object(actual)) => {
                return self.agree_on_members(expected, actual, at);
            }
            (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
                let pairs = expected.iter().zip(actual).enumerate();
                return pairs
                    .map(|(index, (one, other))| self.agree(one, other, &format!("{at}[{index}]")))
                    .collect();
            }
            (Value::Number(expected), Value::Number(actual)) => {
                expected.as_f64() == actual.as_f64()
            }
            (Value::String(expected), Value::String(actual)) => {
                self.agree_on_text(expected, actual)
            }
            (expected, actual) => expected == actual,
        };
        match agrees {
            true => Ok(()),
            false => Err(format!(
                "{at}: expected {}, got {actual}",
                self.fill(expected)
            )),
        }
    }

    fn agree_on_members(
        &mut self,
        expected: &Map<String, Value>,
        actual: &Map<String, Value>,
        at: &str,
    ) -> Result<(), String> {
        for (key, value) in expected.iter().filter(|(_, value)| !value.is_null()) {
            match actual.get(key) {
                Some(actual) => self.agree(value, actual, &format!("{at}.{key}"))?,
                // Whether an empty list is there at all makes no difference.
                None if value == MAYBE || value == &Value::Array(Vec::new()) => {}
                None => return Err(format!("{at}.{key}: expected {value}, got nothing")),
            }
        }
        let unexpected = |key: &&String| expected.get(*key).is_none_or(Value::is_null);
        match actual.keys().find(unexpected) {
            Some(key) => Err(format!("{at}.{key}: expected nothing, got {}", actual[key])),
            None => Ok(()),
        }
    }

    fn agree_on_text(&mut self, expected: &str, actual: &str) -> bool {
        if expected == ANY || expected == MAYBE {
            return true;
        }
        if let Some(value) = expected.strip_prefix(NORMALISED) {
            let read = |text| spec::normal(&serde_saphyr::from_str(text).unwrap_or(Value::Null));
            return read(value) == read(actual);
        }
        let Some(name) = NAME.find(expected) else {
            return expected == actual;
        };
        let (before, after) = (&expected[..name.start()], &expected[name.end()..]);
        let id = actual
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after));
        match (id, self.0.get(name.as_str())) {
            (Some(id), Some(known)) => id == known,
            (Some(id), None) if !id.is_empty() && !self.0.values().any(|known| known == id) => {
                self.0.insert(name.as_str().to_owned(), id.to_owned());
                true
            }
            _ => false,
        }
    }
}
