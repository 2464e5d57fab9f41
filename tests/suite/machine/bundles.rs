//! The bundles that versions are registered from, and the texts that components bring: few, but of each engine, and with schemas
//! of which some cannot follow others.

/// How something is provisioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    CloudFormation,
    Terraform,
}

/// Whether the schema knows the input `zone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    Unknown,
    Optional,
    Required,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Environment,
    /// Described only, by what it puts out.
    Described,
    Service,
    /// Without a pipeline.
    Lone,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Bundle {
    pub(super) key: &'static str,
    pub(super) kind: Kind,
    /// Of the environment or the instances; pipelines are always CloudFormation's.
    pub(super) method: Method,
    pub(super) zone: Zone,
}

const fn bundle(key: &'static str, kind: Kind, method: Method, zone: Zone) -> Bundle {
    Bundle {
        key,
        kind,
        method,
        zone,
    }
}

use Kind::{Described, Environment, Lone, Service};
use Method::{CloudFormation, Terraform};

pub(super) const BUNDLES: [Bundle; 10] = [
    bundle("net", Environment, CloudFormation, Zone::Unknown),
    bundle("net-zone", Environment, CloudFormation, Zone::Optional),
    bundle("net-strict", Environment, CloudFormation, Zone::Required),
    bundle("net-terraform", Environment, Terraform, Zone::Unknown),
    bundle("byo", Described, CloudFormation, Zone::Unknown),
    bundle("web", Service, CloudFormation, Zone::Unknown),
    bundle("web-zone", Service, CloudFormation, Zone::Optional),
    bundle("web-terraform", Service, Terraform, Zone::Unknown),
    bundle("lone", Lone, CloudFormation, Zone::Unknown),
    bundle("lone-terraform", Lone, Terraform, Zone::Unknown),
];

impl Bundle {
    pub(super) fn named(key: &str) -> Option<Self> {
        BUNDLES.into_iter().find(|bundle| bundle.key == key)
    }

    pub(super) fn schema(&self) -> String {
        let heads = match self.kind {
            Environment | Described => "  environment_input_type: In\n",
            Service => "  service_input_type: In\n  pipeline_input_type: Build\n",
            Lone => "  service_input_type: In\n",
        };
        let (name, default) = match self.kind {
            Described => ("said", ""),
            _ => ("size", ", default: small"),
        };
        let zone = match self.zone {
            Zone::Unknown => "",
            _ => "        zone: { type: string }\n",
        };
        let required = match self.zone {
            Zone::Required => "      required: [zone]\n",
            _ => "",
        };
        let build = match self.kind {
            Service => {
                "    Build: { type: object, properties: { tests: { type: string, default: all } } }\n"
            }
            _ => "",
        };
        format!(
            "schema:\n  format: {{ openapi: \"3.0.0\" }}\n{heads}  types:\n    In:\n      type: object\n      properties:\n        \
             {name}: {{ type: string{default} }}\n{zone}{required}{build}"
        )
    }

    /// The files of the archive.
    pub(super) fn files(&self) -> Vec<(String, String)> {
        let mut files = vec![("schema/schema.yaml".to_owned(), self.schema())];
        let mut part = |folder: &str, method, template: &str| {
            let (manifest, name, text) = match method {
                CloudFormation => (MANIFEST, "cloudformation.yaml", template),
                Terraform => (TERRAFORM_MANIFEST, "main.tf", "# nothing\n"),
            };
            files.push((format!("{folder}/manifest.yaml"), manifest.to_owned()));
            files.push((format!("{folder}/{name}"), text.to_owned()));
        };
        match self.kind {
            Environment => part("infrastructure", self.method, ENVIRONMENT),
            Described => {}
            Service | Lone => part("instance_infrastructure", self.method, INSTANCE),
        }
        if self.kind == Service {
            part("pipeline_infrastructure", CloudFormation, PIPELINE);
        }
        files
    }
}

pub(super) const MANIFEST: &str = "infrastructure:
  templates:
    - file: cloudformation.yaml
      rendering_engine: jinja
      template_language: cloudformation
";
pub(super) const TERRAFORM_MANIFEST: &str = "infrastructure:
  templates:
    - file: main.tf
      rendering_engine: hcl
      template_language: terraform
";
const ENVIRONMENT: &str =
    "Resources: {}\nSaid: \"{{ environment.name }} is {{ environment.inputs.size }}\"\n";
const INSTANCE: &str = "Resources: {}
Said: \"{{ service.name }} {{ service_instance.name }} {{ service_instance.inputs.size }}, {{ environment.outputs.said | default }}, {{ service_instance.components.default.outputs.said | default }}\"
";
const PIPELINE: &str = "Resources: {}
Said: \"{{ pipeline.inputs.tests }} of {{ service.repository_id }}{% for one in service_instances %}; {{ one.name }} {{ one.inputs.size }} ({{ one.outputs.said | default }}) in {{ one.environment.name }}{% endfor %}\"
";
/// A component that tells of its environment.
pub(super) const PLAIN: &str =
    "Resources: {}\nSaid: \"{{ component.name }} of {{ environment.outputs.said | default }}\"\n";
/// A component that must be attached.
pub(super) const ASKING: &str =
    "Resources: {}\nSaid: \"{{ service_instance.name }} is {{ service_instance.inputs.size }}\"\n";
/// Of a component that Terraform provisions.
pub(super) const TERRAFORM: &str = "# a queue\n";
