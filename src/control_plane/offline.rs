//! What deployments of a bundle would send, told without a control plane: for the authors of templates, before anything is registered.
//!
//! The bundle is that of version 1.0 of a template named `template`, and everything happens in one account. What only a deployment
//! would know gets a stand-in, as [`foreseen`](super::foreseen) has it for outputs; the deployment's id is all zeros.

use super::bundle::manifest::TerraformFiles;
use super::bundle::{Bundle, Files, Manifest, Part, PartKind, Problem};
use super::component::Attachment;
use super::foreseen::{self, Mentioned};
use super::render::{
    self, EnvironmentOf, Limits, Namespace, Origin, Outputs, PipelineInstance, Rendering,
    ServiceOf, TemplateVersion, component_part, render,
};
use super::spec::{self, EnvironmentSpec, Inputs, InstanceSpec, ServiceSpec, SpecError};
use super::template::Type;
use super::{
    Caller, component, environment, preview, service, service_instance, service_pipeline, tags,
};
use crate::api::{Error, pb};

const TEMPLATE: &str = "template";
const DEPLOYMENT: &str = "00000000-0000-0000-0000-000000000000";
const MANIFEST: &str = "manifest.yaml";
/// The environment of a component without a spec, and the service of one with it.
const ENVIRONMENT: &str = "environment";
const SERVICE: &str = "service";

/// In whose account something is deployed, and under which name.
#[derive(Clone, Debug)]
pub struct Scene {
    pub owner: Caller,
    /// Of the environment, the service or the component.
    pub name: String,
    /// What every environment has put out, as far as it matters.
    pub environment_outputs: Outputs,
}

/// What is deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Environment,
    ServiceInstance(String),
    Pipeline,
    Component,
}

/// What a deployment would send, or why it would fail.
pub type Deployment = (What, Result<pb::DeploymentContent, Problem>);

/// The deployment of an environment; none if the customer manages it.
pub fn environment(bundle: &Bundle, text: &str, scene: &Scene) -> Result<Vec<Deployment>, Error> {
    let given = EnvironmentSpec::parse(text)?.inputs;
    let kind = PartKind::Environment;
    let inputs = spec::resolve(&bundle.schema, kind, &given, "environment")?;
    let Some(part) = bundle.part(kind) else {
        return Ok(Vec::new());
    };
    let (owner, name) = (&scene.owner, &scene.name);
    let namespace = Namespace::Environment(render::Environment {
        name: name.clone(),
        inputs,
    });
    let tags = environment::managed_tags(owner, TEMPLATE, name);
    let origin = Origin {
        template: Some(version(owner, Type::Environment)),
        ..origin(environment::arn(owner, name), &tags)
    };
    let sent = send(part, &namespace, &origin).map(preview::content);
    Ok(vec![(What::Environment, sent)])
}

/// The deployments of a service: of all its instances and its pipeline, or of one instance.
pub fn service(
    bundle: &Bundle,
    text: &str,
    only: Option<&str>,
    scene: &Scene,
) -> Result<Vec<Deployment>, Error> {
    let spec = ServiceSpec::parse(text)?;
    spec.keep_current(None)?;
    let pipeline = bundle.part(PartKind::Pipeline);
    service::check_section(&spec, pipeline.is_some())?;
    if let Some(name) = only.filter(|name| spec.instance(name).is_none()) {
        return Err(no_instance(name).into());
    }
    let of = Offline {
        bundle,
        scene,
        service: service_of(&scene.name, pipeline.is_some()),
    };
    let (mut deployments, mut seen) = (Vec::new(), Vec::new());
    for section in &spec.instances {
        if only.is_some_and(|name| name != section.name) {
            continue;
        }
        let inputs = spec.instance_inputs(&bundle.schema, &section.name)?;
        let sent = of.instance(section, inputs.clone());
        seen.push(PipelineInstance {
            name: section.name.clone(),
            inputs,
            outputs: sent.as_ref().map_or_else(
                |_| Outputs::default(),
                |sent| foreseen::outputs(sent, &section.name),
            ),
            environment: environment_of(&section.environment, scene),
        });
        let what = What::ServiceInstance(section.name.clone());
        deployments.push((what, sent.map(preview::content)));
    }
    if let (Some(part), Some(given), None) = (pipeline, &spec.pipeline, only) {
        let inputs = spec::resolve(&bundle.schema, PartKind::Pipeline, given, "pipeline")?;
        let sent = of.pipeline(part, inputs, seen);
        deployments.push((What::Pipeline, sent.map(preview::content)));
    }
    Ok(deployments)
}

/// A bundle that services are made from.
struct Offline<'a> {
    bundle: &'a Bundle,
    scene: &'a Scene,
    service: ServiceOf,
}

impl Offline<'_> {
    fn instance(&self, section: &InstanceSpec, inputs: Inputs) -> Result<Rendering, Problem> {
        let part = self.bundle.part(PartKind::ServiceInstance);
        let part = part.expect("the bundle of a service has this part");
        let (owner, service) = (&self.scene.owner, &self.service.name);
        let mut environment = environment_of(&section.environment, self.scene);
        Mentioned::of(&part.files).complete_environment(&mut environment);
        let namespace = Namespace::ServiceInstance(render::ServiceInstance {
            environment,
            service: self.service.clone(),
            name: section.name.clone(),
            inputs,
            component: None,
        });
        let tags = service_instance::managed_tags(
            owner,
            &service::managed_tags(owner, TEMPLATE, service),
            service,
            &section.name,
            &section.environment,
        );
        let origin = Origin {
            template: Some(version(owner, Type::Service)),
            environment_arn: Some(environment::arn(owner, &section.environment)),
            ..origin(service_instance::arn(owner, service, &section.name), &tags)
        };
        send(part, &namespace, &origin)
    }

    fn pipeline(
        &self,
        part: &Part,
        inputs: Inputs,
        mut instances: Vec<PipelineInstance>,
    ) -> Result<Rendering, Problem> {
        let (owner, service) = (&self.scene.owner, &self.service.name);
        let mentioned = Mentioned::of(&part.files);
        for instance in &mut instances {
            mentioned.complete_instance(instance);
            mentioned.complete_environment(&mut instance.environment);
        }
        let namespace = Namespace::Pipeline(render::Pipeline {
            service: self.service.clone(),
            inputs,
            instances,
        });
        let tags = service::managed_tags(owner, TEMPLATE, service);
        let origin = Origin {
            template: Some(version(owner, Type::Service)),
            ..origin(service_pipeline::arn(owner, service), &tags)
        };
        send(part, &namespace, &origin)
    }
}

/// The deployment of a component, from a directory with its manifest and its one file. With a spec it is attached to an instance
/// of it, whose inputs it sees as they are given: defaults are in the schema of the service's bundle, which is elsewhere.
pub fn component(
    files: &Files,
    text: Option<&str>,
    instance: Option<&str>,
    scene: &Scene,
) -> Result<Vec<Deployment>, Error> {
    let host = match text {
        Some(text) => Some(host(ServiceSpec::parse(text)?, instance)?),
        None => None,
    };
    let sent = component_rendering(files, host, scene);
    Ok(vec![(What::Component, sent.map(preview::content))])
}

fn component_rendering(
    files: &Files,
    host: Option<InstanceSpec>,
    scene: &Scene,
) -> Result<Rendering, Problem> {
    let (manifest, files) = component_files(files)?;
    let (owner, name) = (&scene.owner, &scene.name);
    let place = match &host {
        Some(host) => &*host.environment,
        None => ENVIRONMENT,
    };
    let to = host.as_ref().map(|host| Attachment {
        service: SERVICE.to_owned(),
        instance: host.name.clone(),
    });
    let tags = component::managed_tags(owner, name, place, to.as_ref());
    let origin = Origin {
        environment_arn: Some(environment::arn(owner, place)),
        service_arn: to.as_ref().map(|to| service::arn(owner, &to.service)),
        service_instance_arn: to.as_ref().map(|to| to.arn(owner)),
        ..origin(component::arn(owner, name), &tags)
    };
    let mut environment = environment_of(place, scene);
    Mentioned::of(&files).complete_environment(&mut environment);
    let namespace = Namespace::Component(render::Component {
        name: name.clone(),
        environment,
        attached: host.map(|host| render::Attachment {
            service: service_of(SERVICE, false),
            instance_name: host.name,
            inputs: host.inputs,
        }),
    });
    Ok(render(
        &manifest,
        &files,
        &namespace,
        &origin,
        &Limits::default(),
    )?)
}

/// The instance of the spec that is named, or its only one.
fn host(spec: ServiceSpec, instance: Option<&str>) -> Result<InstanceSpec, SpecError> {
    match (instance, &spec.instances[..]) {
        (Some(name), _) => spec
            .instance(name)
            .cloned()
            .ok_or_else(|| no_instance(name)),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(SpecError::broken(
            "the spec has several instances or none; name the one that the component is attached to",
        )),
    }
}

fn no_instance(name: &str) -> SpecError {
    SpecError::broken(format!("the spec has no instance {name:?} under instances"))
}

fn component_files(files: &Files) -> Result<(Manifest, Files), Problem> {
    let text = |path: &str| match files.get(path) {
        Some(file) => file.as_text(path),
        None => Err(Problem::new(format!("{path} is missing"))),
    };
    let manifest = text(MANIFEST)?;
    let file = match Manifest::read(MANIFEST, manifest)? {
        Manifest::CloudFormation { file }
        | Manifest::Terraform {
            files: TerraformFiles::One(file),
        } => file,
        Manifest::Terraform {
            files: TerraformFiles::All,
        } => {
            let mut code = files.paths().filter(|path| path.ends_with(".tf"));
            match (code.next(), code.next()) {
                (Some(only), None) => only.to_owned(),
                _ => return Err(Problem::new("a component has one *.tf file")),
            }
        }
        // Refused with the reason below.
        Manifest::CodeBuild(_) => MANIFEST.to_owned(),
    };
    component_part(manifest, text(&file)?)
}

fn send(part: &Part, namespace: &Namespace, origin: &Origin) -> Result<Rendering, Problem> {
    let limits = Limits::default();
    render(&part.manifest, &part.files, namespace, origin, &limits)
        .map_err(|error| Problem::new(format!("{}/{error}", part.kind.folder())))
}

fn origin(arn: String, managed: &super::resource::Tags) -> Origin {
    Origin {
        arn,
        deployment_id: DEPLOYMENT.to_owned(),
        template: None,
        environment_arn: None,
        service_arn: None,
        service_instance_arn: None,
        tags: tags::propagated(managed),
    }
}

fn version(owner: &Caller, of: Type) -> TemplateVersion {
    TemplateVersion {
        arn: of.arn(owner, TEMPLATE),
        major: "1".to_owned(),
        minor: "0".to_owned(),
    }
}

fn environment_of(name: &str, scene: &Scene) -> EnvironmentOf {
    EnvironmentOf {
        name: name.to_owned(),
        account_id: scene.owner.account().to_owned(),
        outputs: scene.environment_outputs.clone(),
    }
}

/// A service with stand-ins for its repository, if its pipeline needs one.
fn service_of(name: &str, has_pipeline: bool) -> ServiceOf {
    let stand_in = |member: &str| match has_pipeline {
        true => format!("<{name}.{member}>"),
        false => String::new(),
    };
    ServiceOf {
        name: name.to_owned(),
        branch_name: stand_in("branch_name"),
        repository_id: stand_in("repository_id"),
        repository_connection_arn: stand_in("repository_connection_arn"),
    }
}
