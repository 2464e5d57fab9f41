//! What was left out: defaults, also of the members of mappings that were given, in the order of the schema.

use serde_json::Value;

use super::Walk;
use crate::control_plane::bundle::schema::{Additional, Type};
use crate::control_plane::spec::Inputs;

/// Bytes of a default that are copied in one step.
const TEXT_STEP: usize = 64;
/// What a value of a default costs, in steps: a schema can ask for many copies of it.
const VALUE_STEPS: u64 = 8;

impl<'a> Walk<'a> {
    /// Fills in inputs as a whole. Unlike in the mappings within them, what their type does not name is left out.
    pub(super) fn fill_inputs(&mut self, of: &'a Type, inputs: &Value) -> Inputs {
        let mut filled = Inputs::new();
        self.members(of, inputs, &mut filled);
        if let Additional::Of(of) = &of.additional_properties {
            self.others(Some(of), inputs, &mut filled);
        }
        filled
    }

    fn fill(&mut self, of: &'a Type, value: &Value) -> Value {
        if !self.enter() {
            return Value::Null;
        }
        let of = self.schema.resolve(of);
        let filled = match (value, &of.items) {
            (Value::Object(_), _) => {
                let mut filled = Inputs::new();
                self.members(of, value, &mut filled);
                let others = match &of.additional_properties {
                    Additional::Of(of) => Some(&**of),
                    Additional::Anything | Additional::Nothing => None,
                };
                self.others(others, value, &mut filled);
                filled.into()
            }
            (Value::Array(items), Some(of)) => {
                items.iter().map(|item| self.fill(of, item)).collect()
            }
            _ => value.clone(),
        };
        self.leave();
        filled
    }

    /// The members that the type names: its own, then those of the types that it is composed of and that the value fits.
    fn members(&mut self, of: &'a Type, given: &Value, filled: &mut Inputs) {
        for (name, property) in &of.properties {
            if !self.pay(1) {
                return;
            }
            if filled.contains_key(name) {
                continue;
            }
            let value = match given.get(name) {
                Some(value) => self.fill(property, value),
                None => match &self.schema.resolve(property).default {
                    Some(default) if self.pay(cost(default)) => self.fill(property, default),
                    _ => continue,
                },
            };
            filled.insert(name.clone(), value);
        }
        for part in &of.all_of {
            self.part(part, given, filled);
        }
        for parts in [&of.any_of, &of.one_of] {
            if let Some(part) = parts.iter().find(|part| self.fits(part, given)) {
                self.part(part, given, filled);
            }
        }
    }

    fn part(&mut self, part: &'a Type, given: &Value, filled: &mut Inputs) {
        if self.enter() {
            self.members(self.schema.resolve(part), given, filled);
            self.leave();
        }
    }

    /// The members that the type does not name, behind those it does.
    fn others(&mut self, of: Option<&'a Type>, given: &Value, filled: &mut Inputs) {
        for (name, value) in given.as_object().into_iter().flatten() {
            if !filled.contains_key(name) {
                let value = match of {
                    Some(of) => self.fill(of, value),
                    None => value.clone(),
                };
                filled.insert(name.clone(), value);
            }
        }
    }
}

fn cost(of: &Value) -> u64 {
    match of {
        Value::Array(items) => VALUE_STEPS + items.iter().map(cost).sum::<u64>(),
        Value::Object(members) => VALUE_STEPS + members.values().map(cost).sum::<u64>(),
        Value::String(text) => VALUE_STEPS + (text.len() / TEXT_STEP) as u64,
        Value::Null | Value::Bool(_) | Value::Number(_) => VALUE_STEPS,
    }
}
