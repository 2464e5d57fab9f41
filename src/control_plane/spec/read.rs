//! From the text of a spec to its sections.
//!
//! A text that is no spec is answered with Proton's own sentence, and with the line and the cause behind it. Keys that a spec does not have are
//! refused, since nobody would read what stands under them; names of inputs are the schema's business.

use std::fmt;

use super::error::Problems;
use super::{EnvironmentSpec, Inputs, InstanceSpec, MAX_CHARS, ServiceSpec, SpecError};
use crate::control_plane::bundle::yaml::{self, Node, Value};

/// The longest name of an instance or an environment.
const MAX_NAME: usize = 100;

impl EnvironmentSpec {
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let mut reader = Reader::default();
        let mut spec = Self::default();
        let tree = document(text, Form::Environment)?;
        if reader.sections(&tree, Form::Environment) {
            spec.inputs = reader.inputs(find(&tree, "spec"), "spec");
        }
        reader.end(Form::Environment, spec)
    }
}

impl ServiceSpec {
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let mut reader = Reader::default();
        let mut spec = Self::default();
        let tree = document(text, Form::Service)?;
        if reader.sections(&tree, Form::Service) {
            spec.pipeline =
                find(&tree, "pipeline").map(|node| reader.inputs(Some(node), "pipeline"));
            spec.instances = reader.instances(&tree);
        }
        reader.end(Form::Service, spec)
    }
}

#[derive(Clone, Copy)]
enum Form {
    Environment,
    Service,
}

impl Form {
    fn discriminator(self) -> &'static str {
        match self {
            Self::Environment => "EnvironmentSpec",
            Self::Service => "ServiceSpec",
        }
    }

    fn sections(self) -> &'static [&'static str] {
        match self {
            Self::Environment => &["proton", "spec"],
            Self::Service => &["proton", "pipeline", "instances"],
        }
    }

    fn malformed(self, cause: impl fmt::Display) -> SpecError {
        let lead = match self {
            Self::Environment => {
                "The provided Environment Spec file was not correctly formatted. Please check that it is valid yaml \
                 according to the Spec definition."
            }
            Self::Service => {
                "The provided Service Spec file was not correctly formatted. Please check that it is valid yaml \
                 according to the Spec definition."
            }
        };
        SpecError::malformed(lead, cause)
    }
}

fn document(text: &str, form: Form) -> Result<Node, SpecError> {
    let chars = text.chars().count();
    if chars > MAX_CHARS {
        return Err(SpecError::broken(format!(
            "spec has {chars} characters, the limit is {MAX_CHARS}"
        )));
    }
    yaml::parse("spec", text).map_err(|problem| form.malformed(problem))
}

/// The node under a key, also when nothing stands there.
fn find<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    node.as_map()?
        .iter()
        .find(|(known, _)| known == key)
        .map(|(_, node)| node)
}

/// Reads what can be read and notes what cannot.
#[derive(Default)]
struct Reader {
    problems: Problems,
}

impl Reader {
    fn end<T>(self, form: Form, spec: T) -> Result<T, SpecError> {
        match self.problems.into_text() {
            None => Ok(spec),
            Some(problems) => Err(form.malformed(problems)),
        }
    }

    fn note(&mut self, node: &Node, rule: impl fmt::Display) {
        self.problems
            .add(format_args!("line {}: {rule}", node.line));
    }

    /// Whether the text is a spec of this form at all.
    fn sections(&mut self, tree: &Node, form: Form) -> bool {
        let discriminator = form.discriminator();
        if tree.as_map().is_none() {
            self.note(
                tree,
                format_args!("a spec must be a mapping, not {}", sort_of(tree)),
            );
            return false;
        }
        match tree.get("proton") {
            None => self.note(
                tree,
                format_args!("proton is missing; it must be {discriminator}"),
            ),
            Some(node) if node.as_str() != Some(discriminator) => {
                self.note(node, format_args!("proton must be {discriminator}"));
                return false;
            }
            Some(_) => {}
        }
        self.keys(tree, form.sections(), "the spec");
        true
    }

    fn keys(&mut self, node: &Node, known: &[&str], of: &str) {
        for (key, value) in node.as_map().unwrap_or_default() {
            if !known.contains(&key.as_str()) {
                let known = known.join(", ");
                self.note(
                    value,
                    format_args!("{of} has a key {} that is none of {known}", shown(key)),
                );
            }
        }
    }

    /// The inputs of a section, where no section and an empty one are the same.
    fn inputs(&mut self, node: Option<&Node>, place: &str) -> Inputs {
        let Some(node) = node else {
            return Inputs::new();
        };
        match node.to_json() {
            serde_json::Value::Object(inputs) => inputs,
            serde_json::Value::Null => Inputs::new(),
            _ => {
                self.note(
                    node,
                    format_args!("{place} must be a mapping of inputs, not {}", sort_of(node)),
                );
                Inputs::new()
            }
        }
    }

    fn instances(&mut self, tree: &Node) -> Vec<InstanceSpec> {
        let Some(node) = find(tree, "instances") else {
            self.note(tree, "instances is missing");
            return Vec::new();
        };
        let Some(entries) = node.as_list() else {
            self.note(
                node,
                format_args!("instances must be a list, not {}", sort_of(node)),
            );
            return Vec::new();
        };
        let mut instances: Vec<InstanceSpec> = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let Some(instance) = self.instance(entry, index) else {
                continue;
            };
            if instances.iter().any(|known| known.name == instance.name) {
                let place = InstanceSpec::place(&instance.name);
                self.note(entry, format_args!("{place} is listed twice"));
            }
            instances.push(instance);
        }
        instances
    }

    fn instance(&mut self, entry: &Node, index: usize) -> Option<InstanceSpec> {
        let unnamed = format!("instances[{index}]");
        if entry.as_map().is_none() {
            self.note(
                entry,
                format_args!("{unnamed} must be a mapping, not {}", sort_of(entry)),
            );
            return None;
        }
        let name = self.name(entry, "name", &unnamed);
        let place = name.as_deref().map_or(unnamed, InstanceSpec::place);
        self.keys(entry, &["name", "environment", "spec"], &place);
        let environment = self.name(entry, "environment", &place);
        let inputs = self.inputs(find(entry, "spec"), &format!("{place}: spec"));
        Some(InstanceSpec {
            name: name?,
            environment: environment?,
            inputs,
        })
    }

    fn name(&mut self, entry: &Node, key: &str, place: &str) -> Option<String> {
        let Some(node) = entry.get(key) else {
            self.note(entry, format_args!("{place} has no {key}"));
            return None;
        };
        match node.as_text() {
            Some(name) if is_name(name) => Some(name.to_owned()),
            _ => {
                self.note(
                    node,
                    format_args!(
                        "{place}: {key} must be 1 to {MAX_NAME} letters, digits, - and _, beginning with a letter or digit"
                    ),
                );
                None
            }
        }
    }
}

/// Whether a resource may have this name.
fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|char: char| char.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn shown(key: &str) -> String {
    let cut: String = key.chars().take(60).collect();
    format!("{cut:?}")
}

/// What stands here, without saying it.
fn sort_of(node: &Node) -> &'static str {
    match node.value {
        Value::Null => "nothing",
        Value::Bool { .. } => "a boolean",
        Value::Number { .. } => "a number",
        Value::String(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a mapping",
    }
}
