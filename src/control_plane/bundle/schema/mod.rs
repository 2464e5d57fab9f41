//! `schema/schema.yaml`: the inputs a template takes.
//!
//! The head names a type for each part that has inputs; the types are Schema Objects of OpenAPI 3.0. Reading checks the structure only: a default that
//! breaks its own type registers, as it always did, and says so when it is used. Unknown keywords are ignored.

use super::files::File;
use super::limits::Limits;
use super::problem::{Problem, quoted};
use super::yaml::{self, Node};
use super::{PartKind, TemplateKind, layout};

mod types;

use types::Reader;
pub use types::{Additional, Type, TypeKind};

/// A checked schema and the text it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    text: String,
    types: Vec<(String, Type)>,
    inputs: Vec<(PartKind, String)>,
}

impl Schema {
    pub(super) fn read(kind: TemplateKind, file: &File, limits: &Limits) -> Result<Self, Problem> {
        let text = text_within(file, limits).map_err(|problem| under_title(kind, problem))?;
        Self::parse(kind, text)
    }

    /// Reads the text of a schema, such as that of a version that registered earlier.
    pub fn parse(kind: TemplateKind, text: &str) -> Result<Self, Problem> {
        Self::from_text(kind, text).map_err(|problem| under_title(kind, problem))
    }

    fn from_text(kind: TemplateKind, text: &str) -> Result<Self, Problem> {
        let tree = yaml::parse(layout::SCHEMA, text)?;
        let head = tree.get("schema").ok_or_else(|| missing("schema"))?;
        check_format(head)?;
        let types = Reader::types(head.get("types").ok_or_else(|| missing("types"))?)?;
        let mut schema = Schema {
            text: text.to_owned(),
            types,
            inputs: Vec::new(),
        };
        for part in kind.inputs() {
            let name = schema.check_input(*part, head)?;
            schema.inputs.push((*part, name));
        }
        if kind
            == (TemplateKind::Environment {
                customer_managed: true,
            })
        {
            schema.check_outputs_only(head)?;
        }
        Ok(schema)
    }

    /// The name of a part's input type, which must be an object with properties.
    fn check_input(&self, part: PartKind, head: &Node) -> Result<String, Problem> {
        let (key, shown) = input_key(part);
        let node = head.get(key).ok_or_else(|| missing(shown))?;
        let Some(name) = node.as_text() else {
            return Err(invalid(
                node,
                format_args!("{key} must name a type, not {}", node.described()),
            ));
        };
        let Some(input) = self.named(name) else {
            return Err(invalid(
                node,
                format_args!("{key} names {}, which types does not define", quoted(name)),
            ));
        };
        let input = self.resolve(input);
        if !matches!(input.kind, None | Some(TypeKind::Object)) {
            return Err(invalid(
                node,
                format_args!("{key} names {}, which must have type object", quoted(name)),
            ));
        }
        if !self.has_properties(input) {
            return Err(invalid(
                node,
                format_args!(
                    "{key} names {}, which must have at least one property",
                    quoted(name)
                ),
            ));
        }
        Ok(name.to_owned())
    }

    fn has_properties(&self, input: &Type) -> bool {
        let composed = || {
            input
                .all_of
                .iter()
                .chain(&input.any_of)
                .chain(&input.one_of)
        };
        !input.properties.is_empty()
            || composed().any(|part| !self.resolve(part).properties.is_empty())
    }

    /// The inputs of a customer-managed environment are its outputs: given by the customer, and strings.
    fn check_outputs_only(&self, head: &Node) -> Result<(), Problem> {
        let input = self
            .input(PartKind::Environment)
            .expect("an environment's input type was just checked");
        for (name, property) in &input.properties {
            let property = self.resolve(property);
            let rule = match (property.kind, &property.default) {
                (Some(TypeKind::String), None) => continue,
                (Some(TypeKind::String), Some(_)) => "must not have a default",
                _ => "must have type string",
            };
            let name = quoted(name);
            return Err(invalid(
                head,
                format_args!(
                    "property {name} {rule}: the customer gives the outputs of the environment"
                ),
            ));
        }
        Ok(())
    }

    /// The file as its author wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The type of a part's inputs; `None` for parts the template does not have.
    pub fn input(&self, part: PartKind) -> Option<&Type> {
        let (_, name) = self.inputs.iter().find(|(kind, _)| *kind == part)?;
        self.named(name).map(|input| self.resolve(input))
    }

    /// The type of this name under `types`.
    pub fn named(&self, name: &str) -> Option<&Type> {
        self.types
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, named)| named)
    }

    /// The type itself, or what its `$ref` leads to.
    pub fn resolve<'a>(&'a self, mut of: &'a Type) -> &'a Type {
        while let Some(name) = &of.reference {
            of = self
                .named(name)
                .expect("references were checked when the schema was read");
        }
        of
    }
}

fn text_within<'a>(file: &'a File, limits: &Limits) -> Result<&'a str, Problem> {
    let bytes = file.contents.len();
    if bytes > limits.schema_bytes {
        return Err(Problem::new(format!(
            "{} has {bytes} bytes, the limit is {}",
            layout::SCHEMA,
            limits.schema_bytes
        )));
    }
    let text = file.as_text(layout::SCHEMA)?;
    let chars = text.chars().count();
    if chars > limits.schema_chars {
        return Err(Problem::new(format!(
            "{} has {chars} characters, the limit is {}",
            layout::SCHEMA,
            limits.schema_chars
        )));
    }
    Ok(text)
}

fn under_title(kind: TemplateKind, problem: Problem) -> Problem {
    problem.under(&format!("{} template schema is not valid", kind.title()))
}

/// The property that names a part's input type, as the file and as messages spell it.
fn input_key(part: PartKind) -> (&'static str, &'static str) {
    match part {
        PartKind::Environment => ("environment_input_type", "environmentInputType"),
        PartKind::ServiceInstance => ("service_input_type", "serviceInputType"),
        PartKind::Pipeline => ("pipeline_input_type", "pipelineInputType"),
    }
}

fn check_format(head: &Node) -> Result<(), Problem> {
    let Some(version) = head.get("format").and_then(|format| format.get("openapi")) else {
        return Ok(());
    };
    match version.as_text() {
        Some(text) if text == "3.0" || text.starts_with("3.0.") => Ok(()),
        _ => Err(invalid(
            version,
            format_args!(
                "format.openapi must be \"3.0.0\", not {}",
                version.described()
            ),
        )),
    }
}

fn missing(property: &str) -> Problem {
    Problem::new(format!("Missing property [{property}]"))
}

fn invalid(node: &Node, rule: impl std::fmt::Display) -> Problem {
    Problem::at(layout::SCHEMA, node.line, rule)
}

#[cfg(test)]
mod tests;
