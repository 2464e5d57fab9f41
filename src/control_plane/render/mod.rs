//! From a part of a bundle and what a deployment knows to the files that its engine gets.
//!
//! ```text
//!  part (manifest, files) ─┐             ┌─ cloudformation: one template, Jinja rendered
//!  Namespace (F)           ├──► render ──┼─ terraform: *.tf as they are, variables and values beside them
//!  Origin                 ─┘             └─ codebuild: the folder, the inputs as a file, the build's settings
//!                                             │
//!                                         Rendering ──pack──► blob ──unpack──► engine
//! ```
//!
//! Everything here is a pure function: same bundle, namespace and origin, same bytes. Templates come from strangers; what a rendering may cost
//! is bounded by [`Limits`], and what is wrong with a template is said in a [`RenderError`] for its author.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::bundle::{File, Files, Manifest};

mod cloudformation;
mod codebuild;
mod component;
mod error;
mod hcl;
mod jackson;
mod jinja;
mod limits;
mod namespace;
mod origin;
mod packed;
mod terraform;

#[cfg(test)]
mod tests;

pub use component::component_part;
pub use error::RenderError;
pub use limits::Limits;
pub use namespace::{
    Attachment, Component, ComponentOf, Environment, EnvironmentOf, Inputs, Namespace, Outputs,
    Pipeline, PipelineInstance, ServiceInstance, ServiceOf,
};
pub use origin::{Origin, TemplateVersion};

/// What a deployment sends to its engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendering {
    pub method: Method,
    pub files: Files,
    /// With [`Method::CodeBuild`].
    pub build: Option<Build>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Method {
    /// One file, the template.
    CloudFormation,
    /// The files of one folder in the provisioning repository.
    Terraform,
    /// The files of the folder in which the commands run.
    CodeBuild,
}

impl Method {
    /// By which what has this manifest is provisioned.
    pub fn of(manifest: &Manifest) -> Self {
        match manifest {
            Manifest::CloudFormation { .. } => Self::CloudFormation,
            Manifest::Terraform { .. } => Self::Terraform,
            Manifest::CodeBuild(_) => Self::CodeBuild,
        }
    }
}

/// The settings of a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Build {
    /// Without one the provisioner chooses.
    pub image: Option<String>,
    pub runtimes: BTreeMap<String, String>,
    /// With those that Proton adds.
    pub variables: BTreeMap<String, String>,
    /// Variables whose values are references into Secrets Manager.
    pub secrets_manager: BTreeMap<String, String>,
    pub provision: Vec<String>,
    pub deprovision: Vec<String>,
    /// Properties of the build project, rendered.
    pub project_properties: Map<String, Value>,
}

/// Renders the files of a part by its manifest.
pub fn render(
    manifest: &Manifest,
    files: &Files,
    namespace: &Namespace,
    origin: &Origin,
    limits: &Limits,
) -> Result<Rendering, RenderError> {
    match manifest {
        Manifest::CloudFormation { file } => {
            let template = files.get(file).ok_or_else(|| {
                RenderError::new(format!("{file}, which the manifest names, is missing"))
            })?;
            let text = template.as_text(file)?;
            Ok(Rendering {
                method: Method::CloudFormation,
                files: cloudformation::files(file, text, namespace, limits)?,
                build: None,
            })
        }
        Manifest::Terraform { .. } => Ok(Rendering {
            method: Method::Terraform,
            files: terraform::files(files, namespace, origin),
            build: None,
        }),
        Manifest::CodeBuild(settings) => Ok(Rendering {
            method: Method::CodeBuild,
            files: codebuild::files(settings, files, namespace),
            build: Some(codebuild::build(settings, namespace, origin, limits)?),
        }),
    }
}

/// What is sent when the resource of a rendering is deleted. Only Terraform's folder changes: it says then that it belongs to nobody.
pub fn deleted(previous: &Rendering) -> Rendering {
    match previous.method {
        Method::Terraform => Rendering {
            files: terraform::deleted(&previous.files),
            ..previous.clone()
        },
        Method::CloudFormation | Method::CodeBuild => previous.clone(),
    }
}

fn file(text: impl Into<Bytes>) -> File {
    File {
        contents: text.into(),
        executable: false,
    }
}
