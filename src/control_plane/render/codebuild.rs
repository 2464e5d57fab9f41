//! CodeBuild: the folder in which the commands run, the inputs as a file, and the settings of the build.

use serde_json::Value;

use super::jinja::Templates;
use super::{Build, Files, Limits, Namespace, Origin, RenderError, file, hcl, jackson};
use crate::control_plane::bundle::manifest::{CodeBuild, InputType};
use crate::control_plane::provision::{TargetKind, build_stack_name};

/// The resource that the commands provision.
const RESOURCE_ARN: &str = "RESOURCE_ARN";
/// A name for the stack that the commands may make; the CDK reads it from here.
const STACK_NAME: &str = "STACK_NAME";
const MANIFEST: &str = "manifest.yaml";

/// The part's files, and beside them the inputs, in place of a sample that the author may have left.
pub(super) fn files(settings: &CodeBuild, files: &Files, namespace: &Namespace) -> Files {
    let values = namespace.values();
    let (name, inputs) = match settings.input_type {
        InputType::Json => ("proton-inputs.json", jackson::print(&Value::Object(values))),
        InputType::Hcl => ("proton-inputs.tfvars", hcl::assignments(&values)),
    };
    let own = files
        .iter()
        .map(|(path, file)| (path.to_owned(), file.clone()));
    own.chain([(name.to_owned(), file(inputs))]).collect()
}

pub(super) fn build(
    settings: &CodeBuild,
    namespace: &Namespace,
    origin: &Origin,
    limits: &Limits,
) -> Result<Build, RenderError> {
    let templates = Templates::new(namespace, limits);
    let mut variables = settings.env.variables.clone();
    variables.insert(RESOURCE_ARN.to_owned(), origin.arn.clone());
    // The author's own name for it stands.
    variables
        .entry(STACK_NAME.to_owned())
        .or_insert_with(|| build_stack_name(&target(namespace), &origin.arn));
    let project_properties = settings
        .project_properties
        .iter()
        .map(|(name, value)| Ok((name.clone(), rendered(&templates, value)?)))
        .collect::<Result<_, RenderError>>()?;
    Ok(Build {
        image: settings.image.clone(),
        runtimes: settings.runtimes.clone(),
        variables,
        secrets_manager: settings.env.secrets_manager.clone(),
        provision: settings.provision.clone(),
        deprovision: settings.deprovision.clone(),
        project_properties,
    })
}

fn target(namespace: &Namespace) -> TargetKind {
    match namespace {
        Namespace::Environment(environment) => TargetKind::Environment {
            name: environment.name.clone(),
        },
        Namespace::ServiceInstance(instance) => TargetKind::ServiceInstance {
            environment: instance.environment.name.clone(),
            service: instance.service.name.clone(),
            name: instance.name.clone(),
        },
        Namespace::Pipeline(pipeline) => TargetKind::Pipeline {
            service: pipeline.service.name.clone(),
        },
        Namespace::Component(component) => TargetKind::Component {
            environment: component.environment.name.clone(),
            name: component.name.clone(),
        },
    }
}

/// The value with its texts rendered; a text that is one expression becomes that expression's value.
fn rendered(templates: &Templates<'_>, value: &Value) -> Result<Value, RenderError> {
    Ok(match value {
        Value::String(text) => templates.evaluate(MANIFEST, text)?,
        Value::Array(items) => {
            let items = items.iter().map(|item| rendered(templates, item));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(name, value)| Ok((name.clone(), rendered(templates, value)?)));
            Value::Object(entries.collect::<Result<_, RenderError>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}
