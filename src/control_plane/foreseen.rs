//! Outputs that do not exist yet, for renderings that are only looked at.
//!
//! Templates may not use what is not there, so something has to stand in its place. What a CloudFormation template gives literally is
//! known beforehand. Anything else that is declared there, or mentioned where it would be used, gets a text that says what it will be,
//! `<NAME.outputs.KEY>`: it can stand in YAML, in JSON and in quotes without changing their meaning. Terraform and the commands of a
//! build do not say beforehand what they put out.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::bundle::Files;
use super::provision::local::declared_outputs;
use super::render::{EnvironmentOf, Outputs, PipelineInstance, Rendering};

/// How many outputs a mention may bring; more than a stack can have.
const MOST: usize = 200;

/// The outputs that a service instance of this name will have, as far as its rendering tells.
pub(super) fn outputs(of: &Rendering, name: &str) -> Outputs {
    let declared = declared_outputs(of).into_iter();
    declared
        .map(|(key, value)| {
            let value = value.unwrap_or_else(|| stand_in(name, &key));
            (key, value)
        })
        .collect()
}

fn stand_in(name: &str, key: &str) -> String {
    format!("<{name}.outputs.{key}>")
}

/// The outputs whose names appear in files: as `….outputs.KEY` or `….outputs["KEY"]`, whatever the language.
#[derive(Debug, Default)]
pub(super) struct Mentioned {
    /// Behind `environment`.
    of_environments: BTreeSet<String>,
    /// Behind anything else but a component.
    of_instances: BTreeSet<String>,
}

impl Mentioned {
    pub(super) fn of(files: &Files) -> Self {
        static MENTION: LazyLock<Regex> = LazyLock::new(|| {
            let mention =
                r#"(\w+)?(?:\[[^\]\n]*\])?\.outputs(?:\.(\w+)(\()?|\[\s*["']([\w-]+)["']\s*\])"#;
            Regex::new(mention).expect("the expression is valid")
        });
        let mut mentioned = Self::default();
        for (_, file) in files.iter() {
            let Ok(text) = str::from_utf8(&file.contents) else {
                continue;
            };
            for found in MENTION.captures_iter(text) {
                let of = match found.get(1).map(|word| word.as_str()) {
                    Some("environment") => &mut mentioned.of_environments,
                    // Nothing is there without a component, and templates are to cope with that.
                    Some("default") => continue,
                    _ => &mut mentioned.of_instances,
                };
                // A call is to a method of the mapping.
                let key = found.get(2).filter(|_| found.get(3).is_none());
                if let Some(key) = key.or(found.get(4))
                    && of.len() < MOST
                {
                    of.insert(key.as_str().to_owned());
                }
            }
        }
        mentioned
    }

    /// Adds what is mentioned and not known.
    pub(super) fn complete_environment(&self, environment: &mut EnvironmentOf) {
        complete(
            &mut environment.outputs,
            &environment.name,
            &self.of_environments,
        );
    }

    /// Adds what is mentioned and not known, of the instance but not of its environment.
    pub(super) fn complete_instance(&self, instance: &mut PipelineInstance) {
        complete(&mut instance.outputs, &instance.name, &self.of_instances);
    }
}

fn complete(outputs: &mut Outputs, name: &str, mentioned: &BTreeSet<String>) {
    for key in mentioned {
        if !outputs.iter().any(|(known, _)| known == key) {
            outputs.push((key.clone(), stand_in(name, key)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::render::Method;

    fn mentioned(text: &'static str) -> (Vec<String>, Vec<String>) {
        let found = Mentioned::of(&Files::from([("a.tf", text)]));
        let list = |names: BTreeSet<String>| names.into_iter().collect();
        (list(found.of_environments), list(found.of_instances))
    }

    #[test]
    fn outputs_are_found_in_any_language() {
        let text = "{{ environment.outputs.Vpc }} ${var.environment.outputs[\"sub-net\"]} .environment.outputs.Zone
            {{ service_instances[0].outputs.Url }} {{ one.outputs['Name'] }} {{ one.environment.outputs.Far }}";
        let (environment, instances) = mentioned(text);
        assert_eq!(environment, ["Far", "Vpc", "Zone", "sub-net"]);
        assert_eq!(instances, ["Name", "Url"]);
    }

    #[test]
    fn methods_and_components_are_no_outputs() {
        let text = "{{ environment.outputs.items() }} {{ service_instance.components.default.outputs.Arn }}";
        assert_eq!(mentioned(text), (vec![], vec![]));
    }

    #[test]
    fn literal_outputs_are_known_and_others_stood_in_for() {
        let template = "Resources: { T: { Type: AWS::SNS::Topic } }
Outputs:
  Port: { Value: 80 }
  Topic: { Value: !Ref T }
";
        let rendering = Rendering {
            method: Method::CloudFormation,
            files: Files::from([("cloudformation.yaml", template)]),
            build: None,
        };
        let outputs = outputs(&rendering, "dev");
        let expected = [("Port", "80"), ("Topic", "<dev.outputs.Topic>")];
        assert_eq!(outputs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
}
