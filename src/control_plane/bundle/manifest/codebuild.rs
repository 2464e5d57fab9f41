//! The settings of a part that CodeBuild provisions.

use std::collections::BTreeMap;

use super::{Map, Node, Problem, Reader, quoted};

/// Commands, and the build they run in.
#[derive(Clone, Debug, PartialEq)]
pub struct CodeBuild {
    /// The build image; without one the provisioner chooses.
    pub image: Option<String>,
    /// Language runtimes and their versions, as in a build specification.
    pub runtimes: BTreeMap<String, String>,
    pub env: Env,
    /// Run to create and to update.
    pub provision: Vec<String>,
    /// Run to delete.
    pub deprovision: Vec<String>,
    /// Properties of the build project, merged into it; text in them is rendered with the inputs.
    pub project_properties: Map<String, serde_json::Value>,
    pub input_type: InputType,
}

/// Environment variables of the commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    pub variables: BTreeMap<String, String>,
    /// Variables whose values are references into Secrets Manager.
    pub secrets_manager: BTreeMap<String, String>,
}

/// The form of the file that tells the commands their inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputType {
    #[default]
    Json,
    Hcl,
}

impl Reader<'_> {
    pub(super) fn codebuild(&self, entry: &Node) -> Result<CodeBuild, Problem> {
        let Some(settings) = entry.get("settings") else {
            return Err(self.problem(
                entry,
                "settings is missing; it holds provision and deprovision, the commands to run",
            ));
        };
        if settings.as_map().is_none() {
            return Err(self.problem(
                settings,
                format_args!("settings must be a mapping, not {}", settings.described()),
            ));
        }
        Ok(CodeBuild {
            image: settings
                .get("image")
                .map(|image| self.text("settings.image", image))
                .transpose()?,
            runtimes: self.texts("settings.runtimes", settings.get("runtimes"))?,
            env: self.env(settings)?,
            provision: self.commands("provision", settings)?,
            deprovision: self.commands("deprovision", settings)?,
            project_properties: self.project_properties(settings)?,
            input_type: self.input_type(entry, settings)?,
        })
    }

    fn env(&self, settings: &Node) -> Result<Env, Problem> {
        let Some(env) = settings.get("env") else {
            return Ok(Env::default());
        };
        let Some(entries) = env.as_map() else {
            return Err(self.problem(
                env,
                "settings.env must be a mapping with variables or secrets_manager",
            ));
        };
        // What is not understood here would be missing in the build without a word.
        if let Some((name, node)) = entries
            .iter()
            .find(|(name, _)| !matches!(name.as_str(), "variables" | "secrets_manager"))
        {
            let name = quoted(name);
            return Err(self.problem(
                node,
                format_args!("settings.env holds variables and secrets_manager, not {name}"),
            ));
        }
        Ok(Env {
            variables: self.texts("settings.env.variables", env.get("variables"))?,
            secrets_manager: self
                .texts("settings.env.secrets_manager", env.get("secrets_manager"))?,
        })
    }

    fn commands(&self, name: &str, settings: &Node) -> Result<Vec<String>, Problem> {
        let Some(list) = settings.get(name) else {
            return Err(self.problem(
                settings,
                format_args!("settings.{name} is missing; it lists commands"),
            ));
        };
        let Some(items) = list.as_list() else {
            return Err(self.problem(
                list,
                format_args!(
                    "settings.{name} must be a list of commands, not {}",
                    list.described()
                ),
            ));
        };
        let commands = items.iter().map(|item| {
            item.as_text().map(str::to_owned).ok_or_else(|| {
                let found = item.described();
                self.problem(item, format_args!("settings.{name} must list text, not {found}; quote a command that contains \": \""))
            })
        });
        commands.collect()
    }

    fn project_properties(
        &self,
        settings: &Node,
    ) -> Result<Map<String, serde_json::Value>, Problem> {
        match settings
            .get("project_properties")
            .map(|node| (node, node.to_json()))
        {
            None => Ok(Map::new()),
            Some((_, serde_json::Value::Object(properties))) => Ok(properties),
            Some((node, _)) => {
                Err(self.problem(node, "settings.project_properties must be a mapping"))
            }
        }
    }

    /// The documentation names `input_type` without its place, so it may stand in the settings or beside them.
    fn input_type(&self, entry: &Node, settings: &Node) -> Result<InputType, Problem> {
        let places: Vec<_> = [settings, entry]
            .into_iter()
            .filter_map(|place| place.get("input_type"))
            .collect();
        let types =
            places.iter().map(
                |node| match node.as_str().map(str::to_ascii_uppercase).as_deref() {
                    Some("JSON") => Ok(InputType::Json),
                    Some("HCL") => Ok(InputType::Hcl),
                    _ => Err(self.problem(
                        node,
                        format_args!("input_type is JSON or HCL, not {}", node.described()),
                    )),
                },
            );
        match types.collect::<Result<Vec<_>, _>>()?[..] {
            [] => Ok(InputType::default()),
            [first, second] if first != second => {
                Err(self.problem(places[1], "input_type is given twice, differently"))
            }
            [first, ..] => Ok(first),
        }
    }

    fn texts(&self, name: &str, node: Option<&Node>) -> Result<BTreeMap<String, String>, Problem> {
        let Some(node) = node else {
            return Ok(BTreeMap::new());
        };
        let Some(entries) = node.as_map() else {
            return Err(self.problem(
                node,
                format_args!("{name} must be a mapping, not {}", node.described()),
            ));
        };
        entries
            .iter()
            .map(|(key, value)| {
                let place = format!("{name}.{}", key.chars().take(100).collect::<String>());
                Ok((key.clone(), self.text(&place, value)?))
            })
            .collect()
    }

    fn text(&self, name: &str, node: &Node) -> Result<String, Problem> {
        let text = node.as_text().map(str::to_owned);
        text.ok_or_else(|| {
            self.problem(
                node,
                format_args!("{name} must be text, not {}", node.described()),
            )
        })
    }
}
