//! Specs: what users ask of a template, checked against the template's schema.
//!
//! ```text
//!  text ──read──► EnvironmentSpec ──keep_current──► resolve ──► the inputs that templates see
//!                 ServiceSpec          │              ▲
//!                                      ▼              │
//!                        write ──► the stored text   bundle::Schema
//! ```
//!
//! Reading knows the forms of a spec and nothing of a schema; [`resolve`] knows the schema and nothing of the forms. The text that is stored is the
//! user's own, unless it held `${Proton::CURRENT_VAL}`: then it is written anew with the values that were kept.
//!
//! Values keep the types that YAML gives them, nothing is coerced. Defaults are merged into what templates see and never into what is stored. A
//! spec may hold secrets, so neither messages nor `Debug` show a value of it.

mod current;
mod error;
mod read;
mod resolve;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;

pub use error::SpecError;
pub use resolve::resolve;

use super::bundle::{PartKind, Schema};

/// Inputs by name, in the order of the text. Two are equal whatever their order.
pub type Inputs = serde_json::Map<String, serde_json::Value>;

/// The API's limit on the text of a spec, in characters.
pub const MAX_CHARS: usize = 51_200;

/// `proton: EnvironmentSpec`.
#[derive(Clone, Default, PartialEq)]
pub struct EnvironmentSpec {
    pub inputs: Inputs,
}

/// `proton: ServiceSpec`.
#[derive(Clone, Default, PartialEq)]
pub struct ServiceSpec {
    /// `None` when the text has no such section.
    pub pipeline: Option<Inputs>,
    /// Names are unique.
    pub instances: Vec<InstanceSpec>,
}

/// One entry under `instances`.
#[derive(Clone, PartialEq)]
pub struct InstanceSpec {
    pub name: String,
    pub environment: String,
    pub inputs: Inputs,
}

impl InstanceSpec {
    /// How messages name the entry.
    fn place(name: &str) -> String {
        format!("instance {name:?}")
    }
}

impl ServiceSpec {
    pub fn instance(&self, name: &str) -> Option<&InstanceSpec> {
        self.instances.iter().find(|instance| instance.name == name)
    }

    /// The inputs of one instance as its templates see them, and those of the component attached to it.
    pub fn instance_inputs(&self, schema: &Schema, name: &str) -> Result<Inputs, SpecError> {
        let place = InstanceSpec::place(name);
        let instance = self
            .instance(name)
            .ok_or_else(|| SpecError::broken(format!("the spec has no {place} under instances")))?;
        resolve(schema, PartKind::ServiceInstance, &instance.inputs, &place)
    }

    /// Puts an entry in the place of the one with its name, or behind all others.
    pub fn with_instance(&mut self, instance: InstanceSpec) {
        let place = self
            .instances
            .iter_mut()
            .find(|known| known.name == instance.name);
        match place {
            Some(known) => *known = instance,
            None => self.instances.push(instance),
        }
    }

    pub fn without_instance(&mut self, name: &str) {
        self.instances.retain(|instance| instance.name != name);
    }

    pub fn with_pipeline(&mut self, pipeline: Option<Inputs>) {
        self.pipeline = pipeline;
    }
}

impl fmt::Debug for EnvironmentSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvironmentSpec").finish_non_exhaustive()
    }
}

impl fmt::Debug for ServiceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceSpec")
            .field("instances", &self.instances)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for InstanceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceSpec")
            .field("name", &self.name)
            .field("environment", &self.environment)
            .finish_non_exhaustive()
    }
}
