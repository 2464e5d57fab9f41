//! `manifest.yaml`: which engine provisions a part, and from which files.
//!
//! There are three engines, told apart by `rendering_engine` and `template_language`; each fixes the method of provisioning. Text of a manifest may
//! hold Jinja; it stays as it is until a deployment renders it.

use serde_json::Map;

use super::files::Files;
use super::problem::{Problem, quoted};
use super::yaml::{self, Node};

mod codebuild;

pub use codebuild::{CodeBuild, Env, InputType};

/// How a part is provisioned.
#[derive(Clone, Debug, PartialEq)]
pub enum Manifest {
    /// `jinja` + `cloudformation`: one template, rendered and deployed as a stack.
    CloudFormation { file: String },
    /// `hcl` + `terraform`: files that are committed unrendered, with variables beside them.
    Terraform { files: TerraformFiles },
    /// `codebuild`: commands of the author's.
    CodeBuild(Box<CodeBuild>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TerraformFiles {
    /// `file: "*"`: every `*.tf` of the folder, none of its subfolders.
    All,
    One(String),
}

const TRIPLES: &str = "either jinja with template_language cloudformation, hcl with template_language terraform, \
                       or codebuild without a template_language";

impl Manifest {
    /// Reads a manifest; `file` is its name in messages.
    pub fn read(file: &str, text: &str) -> Result<Self, Problem> {
        let tree = yaml::parse(file, text)?;
        let reader = Reader { file };
        reader.entry(reader.only_entry(&tree)?)
    }

    /// The files of the part's folder that the engine gets.
    pub(super) fn select(&self, folder: &str, files: Files) -> Result<Files, Problem> {
        match self {
            Self::CloudFormation { file }
            | Self::Terraform {
                files: TerraformFiles::One(file),
            } => {
                let found = files.get(file).cloned();
                let missing = || {
                    Problem::new(format!(
                        "{folder}/manifest.yaml names {}, which is not in {folder}/",
                        quoted(file)
                    ))
                };
                let mut selected = Files::default();
                selected.insert(file.clone(), found.ok_or_else(missing)?)?;
                Ok(selected)
            }
            Self::Terraform {
                files: TerraformFiles::All,
            } => {
                let selected = files.only(|path| path.ends_with(".tf") && !path.contains('/'));
                if selected.is_empty() {
                    return Err(Problem::new(format!(
                        "{folder}/ holds no *.tf file, and its manifest.yaml asks for all of them"
                    )));
                }
                Ok(selected)
            }
            Self::CodeBuild(_) => Ok(files),
        }
    }
}

struct Reader<'a> {
    file: &'a str,
}

impl Reader<'_> {
    fn problem(&self, node: &Node, rule: impl std::fmt::Display) -> Problem {
        Problem::at(self.file, node.line, rule)
    }

    fn only_entry<'n>(&self, tree: &'n Node) -> Result<&'n Node, Problem> {
        let Some(infrastructure) = tree.get("infrastructure") else {
            return Err(self.problem(tree, "the top of a manifest is the property infrastructure"));
        };
        let Some(templates) = infrastructure.get("templates") else {
            return Err(self.problem(infrastructure, "infrastructure.templates is missing"));
        };
        match templates.as_list() {
            Some([entry]) => Ok(entry),
            Some(entries) => {
                let count = entries.len();
                Err(self.problem(
                    templates,
                    format_args!(
                        "infrastructure.templates has {count} entries, exactly one is allowed"
                    ),
                ))
            }
            None => Err(self.problem(
                templates,
                "infrastructure.templates must be a list with one entry",
            )),
        }
    }

    fn entry(&self, entry: &Node) -> Result<Manifest, Problem> {
        let Some(engine) = entry.get("rendering_engine") else {
            return Err(match entry.get("engine") {
                Some(engine) => self.problem(
                    engine,
                    "engine is the preview format: write rendering_engine: jinja and template_language: cloudformation",
                ),
                None => self.problem(entry, format_args!("rendering_engine is missing; it is {TRIPLES}")),
            });
        };
        let language = entry.get("template_language");
        match (engine.as_str(), language.map(Node::as_str)) {
            (Some("jinja"), Some(Some("cloudformation"))) => Ok(Manifest::CloudFormation {
                file: self.file(entry)?,
            }),
            (Some("hcl"), Some(Some("terraform"))) => Ok(Manifest::Terraform {
                files: self.terraform_files(entry)?,
            }),
            (Some("codebuild"), None) => Ok(Manifest::CodeBuild(Box::new(self.codebuild(entry)?))),
            _ => {
                let language = language.map_or("no template_language".to_owned(), |language| {
                    format!("template_language {}", language.described())
                });
                let engine_shown = engine.described();
                Err(self.problem(engine, format_args!("rendering_engine {engine_shown} with {language} is unknown; it is {TRIPLES}")))
            }
        }
    }

    /// The one file of a template, as a clean path inside the folder.
    fn file(&self, entry: &Node) -> Result<String, Problem> {
        let Some(node) = entry.get("file") else {
            return Err(self.problem(
                entry,
                "file is missing; it names the template in this folder",
            ));
        };
        let name = node.as_str().ok_or_else(|| {
            self.problem(
                node,
                format_args!("file must be a name, not {}", node.described()),
            )
        })?;
        let name = name.strip_prefix("./").unwrap_or(name);
        if name == "*" {
            return Err(self.problem(node, "file must name one file; \"*\" is for Terraform"));
        }
        let clean =
            !name.is_empty() && name.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !clean {
            return Err(self.problem(
                node,
                format_args!(
                    "file must name a file inside this folder, not {}",
                    quoted(name)
                ),
            ));
        }
        Ok(name.to_owned())
    }

    fn terraform_files(&self, entry: &Node) -> Result<TerraformFiles, Problem> {
        if entry.get("file").and_then(Node::as_str) == Some("*") {
            return Ok(TerraformFiles::All);
        }
        let name = self.file(entry)?;
        if !name.ends_with(".tf") {
            return Err(self.problem(
                entry,
                format_args!(
                    "file must be \"*\" or name a *.tf file, not {}",
                    quoted(&name)
                ),
            ));
        }
        Ok(TerraformFiles::One(name))
    }
}

#[cfg(test)]
mod tests;
