//! A template, section by section, with its structure checked.
//!
//! `Metadata`, `Rules` and `Hooks` are taken and not looked at: nothing that is evaluated here depends on them.

use std::collections::HashSet;

use super::conditions::Rule;
use super::expression::{Expression, Reference};
use super::refusal::Refusal;
use super::sam;
use super::value::Value;

const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Hooks",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
];
const RESOURCE_MEMBERS: &[&str] = &[
    "Condition",
    "CreationPolicy",
    "DeletionPolicy",
    "DependsOn",
    "Metadata",
    "Properties",
    "Type",
    "UpdatePolicy",
    "UpdateReplacePolicy",
    "Version",
];
const OUTPUT_MEMBERS: &[&str] = &["Condition", "Description", "Export", "Value"];
const MAX_DESCRIPTION: usize = 1024;
const MAX_NAME: usize = 255;
pub(super) const MAX_RESOURCES: usize = 500;

#[derive(Debug)]
pub(super) struct Template {
    pub(super) parameters: Vec<(String, Value)>,
    pub(super) mappings: Vec<(String, Value)>,
    pub(super) conditions: Vec<(String, Rule)>,
    pub(super) resources: Vec<(String, Resource)>,
    pub(super) outputs: Vec<(String, Output)>,
}

#[derive(Debug)]
pub(super) struct Resource {
    pub(super) kind: String,
    pub(super) properties: Expression,
    pub(super) depends_on: Vec<String>,
    pub(super) condition: Option<String>,
}

#[derive(Debug)]
pub(super) struct Output {
    pub(super) value: Expression,
    pub(super) export: Option<Expression>,
    pub(super) condition: Option<String>,
}

impl Template {
    pub(super) fn read(mut root: Value) -> Result<Self, Refusal> {
        check_sections(&root)?;
        check_head(&root)?;
        if section(&root, "Resources", MAX_RESOURCES)?.is_empty() {
            return Err(Refusal::format(
                "At least one Resources member must be defined.",
            ));
        }
        sam::expand(&mut root)?;
        let resources = root.get("Resources").and_then(Value::as_map);
        let resources = resources.expect("the section is there, and a map");
        check_count("Resources", resources.len(), MAX_RESOURCES)?;
        let conditions = section(&root, "Conditions", usize::MAX)?;
        let outputs = section(&root, "Outputs", 200)?;
        let template = Self {
            parameters: section(&root, "Parameters", 200)?.to_vec(),
            mappings: section(&root, "Mappings", 200)?.to_vec(),
            conditions: each(conditions, |_, value| Rule::read(value))?,
            resources: each(resources, resource)?,
            outputs: each(outputs, output)?,
        };
        template.check_mappings()?;
        template.check_names()?;
        Ok(template)
    }

    fn check_mappings(&self) -> Result<(), Refusal> {
        for (name, mapping) in &self.mappings {
            let rows = mapping.as_map().ok_or_else(|| {
                Refusal::format(format_args!(
                    "Every Mappings member {name} must be a map of maps"
                ))
            })?;
            for (key, row) in rows {
                let attributes = row.as_map().ok_or_else(|| {
                    Refusal::format(format_args!(
                        "Every Mappings attribute must be a map: {name}::{key}"
                    ))
                })?;
                let strange = attributes
                    .iter()
                    .find(|(_, value)| value.as_texts().is_none());
                if let Some((attribute, _)) = strange {
                    return Err(Refusal::format(format_args!(
                        "Every Mappings attribute must be a String or a List: {name}::{key}::{attribute}"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Everything that is named anywhere must be there, also where no condition leads.
    fn check_names(&self) -> Result<(), Refusal> {
        let names = Names {
            parameters: self.parameters.iter().map(|(name, _)| &**name).collect(),
            resources: self.resources.iter().map(|(name, _)| &**name).collect(),
            conditions: self.conditions.iter().map(|(name, _)| &**name).collect(),
        };
        for (_, rule) in &self.conditions {
            names.check("Conditions", |see| rule.visit(see))?;
        }
        for (_, resource) in &self.resources {
            names.check("Resources", |see| {
                resource
                    .condition
                    .iter()
                    .for_each(|name| see(Reference::Condition(name)));
                resource
                    .depends_on
                    .iter()
                    .for_each(|name| see(Reference::DependsOn(name)));
                resource.properties.visit(&|_| None, see);
            })?;
        }
        for (_, output) in &self.outputs {
            names.check("Outputs", |see| {
                output
                    .condition
                    .iter()
                    .for_each(|name| see(Reference::Condition(name)));
                let values = std::iter::once(&output.value).chain(&output.export);
                values.for_each(|value| value.visit(&|_| None, see));
            })?;
        }
        Ok(())
    }
}

struct Names<'a> {
    parameters: HashSet<&'a str>,
    resources: HashSet<&'a str>,
    conditions: HashSet<&'a str>,
}

impl Names<'_> {
    fn check<'e>(
        &self,
        block: &str,
        visit: impl FnOnce(&mut dyn FnMut(Reference<'e>)),
    ) -> Result<(), Refusal> {
        let mut wrong = None;
        let may_name_resources = block != "Conditions";
        visit(&mut |reference| {
            if wrong.is_none() {
                wrong = self.wrong(reference, block, may_name_resources);
            }
        });
        wrong.map_or(Ok(()), Err)
    }

    fn wrong(
        &self,
        reference: Reference<'_>,
        block: &str,
        may_name_resources: bool,
    ) -> Option<Refusal> {
        let is_resource = |name: &str| may_name_resources && self.resources.contains(name);
        match reference {
            Reference::Ref(name) => {
                let known = name.starts_with("AWS::") || self.parameters.contains(name);
                (!known && !is_resource(name)).then(|| match may_name_resources {
                    true => unresolved(name, block),
                    false => Refusal::format(format_args!(
                        "Unresolved dependencies [{name}]. Cannot reference resources in the Conditions block of the template"
                    )),
                })
            }
            Reference::DependsOn(name) => (!is_resource(name)).then(|| unresolved(name, block)),
            Reference::GetAtt(name) => (!is_resource(name)).then(|| {
                Refusal::error(format_args!(
                    "instance of Fn::GetAtt references undefined resource {name}"
                ))
            }),
            Reference::SubGetAtt(name, attribute) => (!is_resource(name)
                && !is_resource(&format!("{name}.{attribute}")))
            .then(|| {
                Refusal::error(format_args!(
                    "instance of Fn::Sub references invalid resource attribute {name}.{attribute}"
                ))
            }),
            Reference::Condition(name) => (!self.conditions.contains(name)).then(|| {
                Refusal::error(format_args!(
                    "unresolved condition dependency {name} in the {block} block of the template"
                ))
            }),
        }
    }
}

pub(super) fn unresolved(name: &str, block: &str) -> Refusal {
    Refusal::format(format_args!(
        "Unresolved resource dependencies [{name}] in the {block} block of the template"
    ))
}

fn check_sections(root: &Value) -> Result<(), Refusal> {
    let serverless = sam::is_asked_for(root)?;
    let entries = root.as_map().unwrap_or_default();
    let unknown: Vec<_> = (entries.iter().map(|(name, _)| name.as_str()))
        .filter(|name| !SECTIONS.contains(name) && (*name != "Globals" || !serverless))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(format!(
        "Invalid template property or properties [{}]",
        unknown.join(", ")
    )))
}

fn check_head(root: &Value) -> Result<(), Refusal> {
    let version = root.get("AWSTemplateFormatVersion");
    if version.is_some_and(|version| version.as_text() != Some("2010-09-09")) {
        return Err(Refusal::format(
            "AWSTemplateFormatVersion must be 2010-09-09",
        ));
    }
    match root.get("Description") {
        None => Ok(()),
        Some(Value::Text(text)) if text.len() <= MAX_DESCRIPTION => Ok(()),
        Some(Value::Text(_)) => Err(Refusal::format(format_args!(
            "'Description' length is greater than {MAX_DESCRIPTION}."
        ))),
        Some(_) => Err(Refusal::format(
            "every Description member must be a string.",
        )),
    }
}

/// The members of a section, whose names are checked.
fn section<'a>(root: &'a Value, name: &str, most: usize) -> Result<&'a [(String, Value)], Refusal> {
    let Some(section) = root.get(name) else {
        return Ok(&[]);
    };
    let members = section
        .as_map()
        .ok_or_else(|| Refusal::format(format_args!("The {name} section must be an object.")))?;
    check_count(name, members.len(), most)?;
    for (member, _) in members {
        let alphanumeric = member.chars().all(|c| c.is_ascii_alphanumeric());
        if member.is_empty() || member.len() > MAX_NAME || !alphanumeric {
            let member: String = member.chars().take(MAX_NAME).collect();
            return Err(Refusal::format(format_args!(
                "{name} name '{member}' is non alphanumeric."
            )));
        }
    }
    Ok(members)
}

fn check_count(section: &str, count: usize, most: usize) -> Result<(), Refusal> {
    if count <= most {
        return Ok(());
    }
    let members = section.to_lowercase();
    Err(Refusal::format(format_args!(
        "Number of {members}, {count}, is greater than maximum allowed, {most}"
    )))
}

fn each<T>(
    members: &[(String, Value)],
    read: impl Fn(&str, &Value) -> Result<T, Refusal>,
) -> Result<Vec<(String, T)>, Refusal> {
    let read = |(name, value): &(String, Value)| Ok((name.clone(), read(name, value)?));
    members.iter().map(read).collect()
}

fn resource(name: &str, value: &Value) -> Result<Resource, Refusal> {
    let members = value.as_map().ok_or_else(|| {
        Refusal::format(format_args!(
            "[/Resources/{name}] Any Resources member must be an object."
        ))
    })?;
    if let Some((member, _)) = members
        .iter()
        .find(|(member, _)| !RESOURCE_MEMBERS.contains(&member.as_str()))
    {
        return Err(Refusal::new(format!(
            "Invalid template resource property '{member}'"
        )));
    }
    let kind = value.get("Type").and_then(Value::as_text).ok_or_else(|| {
        Refusal::format(format_args!(
            "[/Resources/{name}] Every Resources object must contain a Type member."
        ))
    })?;
    if !is_type(kind) {
        return Err(Refusal::format(format_args!(
            "Unrecognized resource types: [{kind}]"
        )));
    }
    let properties = match value.get("Properties") {
        None => Expression::Map(Vec::new()),
        Some(properties @ Value::Map(_)) => Expression::read(properties)?,
        Some(_) => {
            return Err(Refusal::format(format_args!(
                "[/Resources/{name}/Properties] 'Properties' must be an object."
            )));
        }
    };
    for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
        let known = ["Delete", "Retain", "RetainExceptOnCreate", "Snapshot"];
        if let Some(set) = value.get(policy)
            && !set.as_text().is_some_and(|set| known.contains(&set))
        {
            return Err(Refusal::format(format_args!(
                "Unrecognized {policy} for resource {name}"
            )));
        }
    }
    let depends_on = value
        .get("DependsOn")
        .map_or(Some(Vec::new()), Value::as_texts);
    let depends_on = depends_on.ok_or_else(|| {
        Refusal::format(format_args!(
            "[/Resources/{name}/DependsOn] DependsOn must be a string or a list of strings."
        ))
    })?;
    Ok(Resource {
        kind: kind.to_owned(),
        properties,
        depends_on: depends_on.into_iter().map(str::to_owned).collect(),
        condition: condition(value, "Resources", name)?,
    })
}

/// `Vendor::Service::Thing`, or `Custom::` and a name.
fn is_type(kind: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '@' | '-'))
    };
    let words: Vec<_> = kind.split("::").collect();
    words.iter().all(|part| word(part))
        && match words[..] {
            // SAM's own types are gone once it has been at work.
            ["AWS", "Serverless", ..] => false,
            ["Custom", _] | [_, _, _] => true,
            [_, _, _, module] => module == "MODULE",
            _ => false,
        }
}

fn output(name: &str, value: &Value) -> Result<Output, Refusal> {
    let members = value
        .as_map()
        .ok_or_else(|| Refusal::format(format_args!("Output {name} is malformed.")))?;
    if let Some((member, _)) = members
        .iter()
        .find(|(member, _)| !OUTPUT_MEMBERS.contains(&member.as_str()))
    {
        return Err(Refusal::new(format!(
            "Invalid template output property '{member}'"
        )));
    }
    let given = value
        .get("Value")
        .ok_or_else(|| Refusal::format("Every Outputs member must contain a Value object"))?;
    let export = match value.get("Export") {
        None => None,
        Some(export) => {
            let name = export.get("Name").ok_or_else(|| {
                Refusal::format(format_args!(
                    "Output {name} is malformed. The Name field of every Export member must be specified"
                ))
            })?;
            Some(Expression::read(name)?)
        }
    };
    Ok(Output {
        value: Expression::read(given)?,
        export,
        condition: condition(value, "Outputs", name)?,
    })
}

fn condition(value: &Value, block: &str, name: &str) -> Result<Option<String>, Refusal> {
    match value.get("Condition") {
        None => Ok(None),
        Some(Value::Text(condition)) => Ok(Some(condition.clone())),
        Some(_) => Err(Refusal::format(format_args!(
            "[/{block}/{name}/Condition] every Condition member must be a string."
        ))),
    }
}
