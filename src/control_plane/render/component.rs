//! Components bring their code with them: a manifest and one file, both as text.

use super::{Files, file};
use crate::control_plane::bundle::manifest::TerraformFiles;
use crate::control_plane::bundle::{Manifest, Problem};

/// The name that Terraform code gets when its manifest says `*`.
const TERRAFORM: &str = "component.tf";

/// What [`super::render`] takes, from the manifest and the template file of a component.
pub fn component_part(manifest: &str, template_file: &str) -> Result<(Manifest, Files), Problem> {
    let mut manifest = Manifest::read("manifest", manifest)?;
    if let Manifest::Terraform {
        files: files @ TerraformFiles::All,
    } = &mut manifest
    {
        *files = TerraformFiles::One(TERRAFORM.to_owned());
    }
    let name = match &manifest {
        Manifest::CloudFormation { file: name }
        | Manifest::Terraform {
            files: TerraformFiles::One(name),
        } => name.clone(),
        Manifest::Terraform {
            files: TerraformFiles::All,
        } => {
            unreachable!("the wildcard became a name")
        }
        Manifest::CodeBuild(_) => {
            return Err(Problem::new(
                "manifest: a component is provisioned with CloudFormation or Terraform, not with CodeBuild",
            ));
        }
    };
    let files = Files::from_iter([(name, file(template_file.to_owned()))]);
    Ok((manifest, files))
}
