//! `${Proton::CURRENT_VAL}`: the value that the parameter has now.
//!
//! A placeholder is a string that is nothing else, at any depth. Its value is the one at the same place in the current spec of the environment,
//! instance or pipeline: under the same keys, and in lists at the same position. What the current spec does not say has no value to keep, not
//! even when the schema has a default.

use serde_json::Value;

use super::error::Problems;
use super::resolve::Place;
use super::{EnvironmentSpec, Inputs, InstanceSpec, MAX_CHARS, ServiceSpec, SpecError};

const PLACEHOLDER: &str = "${Proton::CURRENT_VAL}";

impl EnvironmentSpec {
    /// The spec with current values in the place of placeholders; `None` when it has none of them.
    pub fn keep_current(&self, current: Option<&Self>) -> Result<Option<Self>, SpecError> {
        let mut keep = Keep::default();
        let current = current.map(|current| &current.inputs);
        let inputs = keep.inputs(&self.inputs, current, &Place::Root("spec"), "environment");
        keep.end(Self { inputs }, Self::to_yaml)
    }
}

impl ServiceSpec {
    /// The spec with current values in the place of placeholders; `None` when it has none of them.
    pub fn keep_current(&self, current: Option<&Self>) -> Result<Option<Self>, SpecError> {
        let mut keep = Keep::default();
        let pipeline = self.pipeline.as_ref().map(|inputs| {
            let current = current.and_then(|current| current.pipeline.as_ref());
            keep.inputs(inputs, current, &Place::Section, "pipeline")
        });
        let instances = self
            .instances
            .iter()
            .map(|instance| {
                let current = current.and_then(|current| current.instance(&instance.name));
                keep.instance(instance, current)
            })
            .collect();
        let spec = Self {
            pipeline,
            instances,
        };
        keep.end(spec, Self::to_yaml)
    }
}

#[derive(Default)]
struct Keep {
    kept: bool,
    problems: Problems,
}

impl Keep {
    fn end<T>(self, spec: T, to_yaml: impl Fn(&T) -> String) -> Result<Option<T>, SpecError> {
        if let Some(problems) = self.problems.into_text() {
            return Err(SpecError::broken(problems));
        }
        if !self.kept {
            return Ok(None);
        }
        let chars = to_yaml(&spec).chars().count();
        if chars > MAX_CHARS {
            return Err(SpecError::broken(format!(
                "spec has {chars} characters with its current values, the limit is {MAX_CHARS}"
            )));
        }
        Ok(Some(spec))
    }

    fn instance(&mut self, of: &InstanceSpec, current: Option<&InstanceSpec>) -> InstanceSpec {
        let place = InstanceSpec::place(&of.name);
        let current = current.map(|current| &current.inputs);
        InstanceSpec {
            name: of.name.clone(),
            environment: of.environment.clone(),
            inputs: self.inputs(&of.inputs, current, &Place::Root("spec"), &place),
        }
    }

    fn inputs(
        &mut self,
        inputs: &Inputs,
        current: Option<&Inputs>,
        place: &Place<'_>,
        at: &str,
    ) -> Inputs {
        inputs
            .iter()
            .map(|(name, value)| {
                let current = current.and_then(|current| current.get(name));
                let value = self.value(value, current, &place.key(name), at);
                (name.clone(), value)
            })
            .collect()
    }

    fn value(
        &mut self,
        value: &Value,
        current: Option<&Value>,
        place: &Place<'_>,
        at: &str,
    ) -> Value {
        match value {
            Value::String(text) if text == PLACEHOLDER => {
                self.kept = true;
                current.cloned().unwrap_or_else(|| {
                    self.problems
                        .add(format_args!("{at}: {place} has no current value to keep"));
                    Value::Null
                })
            }
            Value::Object(members) => {
                let current = current.and_then(Value::as_object);
                self.inputs(members, current, place, at).into()
            }
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| {
                    let current = current.and_then(|current| current.get(index));
                    self.value(item, current, &place.item(index), at)
                })
                .collect(),
            _ => value.clone(),
        }
    }
}
