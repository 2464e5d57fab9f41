//! What templates may say: the parameter namespace of each kind of resource.
//!
//! One structure serves all engines. As [`Namespace::values`] it is the file of inputs that Terraform and CodeBuild read; as
//! [`Namespace::variables`] it is what Jinja sees, with the aliases and the empty component that only Jinja knows.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, Value as Variable};
use serde_json::{Map, Value, json};

use super::jinja::from_json;

/// Checked inputs in the order of the schema, with defaults, without absent ones.
pub type Inputs = Map<String, Value>;

/// In the order of the engine.
pub type Outputs = Vec<(String, String)>;

#[derive(Clone, Debug, PartialEq)]
pub enum Namespace {
    Environment(Environment),
    ServiceInstance(ServiceInstance),
    Pipeline(Pipeline),
    Component(Component),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    pub name: String,
    pub inputs: Inputs,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ServiceInstance {
    pub environment: EnvironmentOf,
    pub service: ServiceOf,
    pub name: String,
    pub inputs: Inputs,
    pub component: Option<ComponentOf>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    pub service: ServiceOf,
    pub inputs: Inputs,
    pub instances: Vec<PipelineInstance>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PipelineInstance {
    pub name: String,
    pub inputs: Inputs,
    pub outputs: Outputs,
    pub environment: EnvironmentOf,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    pub name: String,
    pub environment: EnvironmentOf,
    pub attached: Option<Attachment>,
}

/// The service instance that a component is attached to.
#[derive(Clone, Debug, PartialEq)]
pub struct Attachment {
    pub service: ServiceOf,
    pub instance_name: String,
    pub inputs: Inputs,
}

/// The environment that something is deployed into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentOf {
    pub name: String,
    pub account_id: String,
    pub outputs: Outputs,
}

/// The service that something belongs to. Without a repository all but the name are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceOf {
    pub name: String,
    pub branch_name: String,
    pub repository_id: String,
    pub repository_connection_arn: String,
}

/// The component attached to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentOf {
    pub name: String,
    pub outputs: Outputs,
}

impl Namespace {
    /// The word for the resource in names of files.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Environment(_) => "environment",
            Self::ServiceInstance(_) => "service_instance",
            Self::Pipeline(_) => "pipeline",
            Self::Component(_) => "component",
        }
    }

    /// The values by their names, in the order of Proton's files.
    pub(super) fn values(&self) -> Map<String, Value> {
        let values = match self {
            Self::Environment(environment) => json!({
                "environment": { "name": environment.name, "inputs": environment.inputs },
            }),
            Self::ServiceInstance(instance) => json!({
                "environment": environment(&instance.environment),
                "service": service(&instance.service),
                "service_instance": { "name": instance.name, "inputs": instance.inputs },
            }),
            Self::Pipeline(pipeline) => json!({
                "pipeline": { "inputs": pipeline.inputs },
                "service": service(&pipeline.service),
                "service_instances": pipeline.instances.iter().map(pipeline_instance).collect::<Vec<_>>(),
            }),
            Self::Component(component) => match &component.attached {
                None => json!({
                    "component": { "name": component.name },
                    "environment": environment(&component.environment),
                }),
                Some(attached) => json!({
                    "component": { "name": component.name },
                    "environment": environment(&component.environment),
                    "service": service(&attached.service),
                    "service_instance": { "name": attached.instance_name, "inputs": attached.inputs },
                }),
            },
        };
        let Value::Object(values) = values else {
            unreachable!("each kind has named values");
        };
        values
    }

    /// The component attached to this instance, by the name that components of this kind have.
    pub(super) fn components(&self) -> Map<String, Value> {
        let Self::ServiceInstance(ServiceInstance {
            component: Some(component),
            ..
        }) = self
        else {
            return Map::new();
        };
        let component = json!({ "name": component.name, "outputs": outputs(&component.outputs) });
        Map::from_iter([("default".to_owned(), component)])
    }

    /// What Jinja templates see.
    pub(super) fn variables(&self) -> Vec<(String, Variable)> {
        let mut variables: Vec<_> = self
            .values()
            .iter()
            .map(|(name, value)| (name.clone(), from_json(value)))
            .collect();
        if let Self::ServiceInstance(_) = self {
            let found = |name: &str| {
                let found = variables.iter().find(|(other, _)| other == name);
                found
                    .map(|(_, value)| value.clone())
                    .expect("instances have this variable")
            };
            let (environment, instance) = (found("environment"), found("service_instance"));
            let field = |name| instance.get_attr(name).expect("an instance is a mapping");
            let default = self
                .components()
                .get("default")
                .map_or_else(|| Variable::from_object(NoComponent), from_json);
            let components = Variable::from_pairs([("default", default)]);
            let instance = Variable::from_pairs([
                ("name", field("name")),
                ("inputs", field("inputs")),
                ("components", components),
                // The name of old for `environment`.
                ("environment", environment),
            ]);
            variables.retain(|(name, _)| name != "service_instance");
            variables.push(("service_instance".to_owned(), instance));
        }
        variables
    }

    /// The names of inputs that hold a dash, which Jinja alone would take for a minus.
    pub(super) fn dashed_inputs(&self) -> impl Iterator<Item = &str> {
        let inputs: Vec<&Inputs> = match self {
            Self::Environment(environment) => vec![&environment.inputs],
            Self::ServiceInstance(instance) => vec![&instance.inputs],
            Self::Pipeline(pipeline) => {
                let instances = pipeline.instances.iter().map(|instance| &instance.inputs);
                std::iter::once(&pipeline.inputs).chain(instances).collect()
            }
            Self::Component(component) => component
                .attached
                .iter()
                .map(|attached| &attached.inputs)
                .collect(),
        };
        let names = inputs.into_iter().flat_map(Map::keys).map(String::as_str);
        names.filter(|name| name.contains('-'))
    }
}

fn environment(environment: &EnvironmentOf) -> Value {
    json!({
        "account_id": environment.account_id,
        "name": environment.name,
        "outputs": outputs(&environment.outputs),
    })
}

fn service(service: &ServiceOf) -> Value {
    json!({
        "name": service.name,
        "repository_connection_arn": service.repository_connection_arn,
        "repository_id": service.repository_id,
        "branch_name": service.branch_name,
    })
}

fn pipeline_instance(instance: &PipelineInstance) -> Value {
    json!({
        "name": instance.name,
        "inputs": instance.inputs,
        "outputs": outputs(&instance.outputs),
        "environment": environment(&instance.environment),
    })
}

fn outputs(outputs: &Outputs) -> Value {
    let outputs = outputs
        .iter()
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())));
    Value::Object(outputs.collect())
}

/// `components.default` of an instance without a component: `{}`, and so are its outputs, so that a template may ask for either.
#[derive(Debug)]
struct NoComponent;

impl Object for NoComponent {
    fn get_value(self: &Arc<Self>, key: &Variable) -> Option<Variable> {
        let empty = || Variable::from_pairs(std::iter::empty::<(String, Variable)>());
        (key.as_str() == Some("outputs")).then(empty)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Empty
    }
}
