//! What is deployed, and what a list of deployments can be narrowed to.

use serde::{Deserialize, Serialize};

use crate::api::{Error, pb};
use crate::control_plane::provision::TargetKind;
use crate::control_plane::store::{Key, Kind};
use crate::control_plane::{Caller, ControlPlane, service_instance};

/// What is deployed, by its names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::control_plane) enum Target {
    Environment {
        environment: String,
    },
    ServiceInstance {
        service: String,
        instance: String,
        environment: String,
    },
    /// A pipeline has no environment of its own; this is the one of the service's first instance, empty without instances.
    Pipeline {
        service: String,
        environment: String,
    },
    Component {
        component: String,
        environment: String,
        /// Service and instance, if it is attached.
        attached: Option<(String, String)>,
    },
}

impl Target {
    pub(in crate::control_plane) fn resource_type(&self) -> pb::DeploymentTargetResourceType {
        match self {
            Self::Environment { .. } => pb::DeploymentTargetResourceType::Environment,
            Self::ServiceInstance { .. } => pb::DeploymentTargetResourceType::ServiceInstance,
            Self::Pipeline { .. } => pb::DeploymentTargetResourceType::ServicePipeline,
            Self::Component { .. } => pb::DeploymentTargetResourceType::Component,
        }
    }

    /// The target as engines know it.
    pub(in crate::control_plane) fn provisioned(&self) -> TargetKind {
        match self.clone() {
            Self::Environment { environment } => TargetKind::Environment { name: environment },
            Self::ServiceInstance {
                service,
                instance,
                environment,
            } => TargetKind::ServiceInstance {
                environment,
                service,
                name: instance,
            },
            Self::Pipeline { service, .. } => TargetKind::Pipeline { service },
            Self::Component {
                component,
                environment,
                ..
            } => TargetKind::Component {
                environment,
                name: component,
            },
        }
    }

    /// Where the record of the resource is.
    pub(in crate::control_plane) fn key(&self, caller: &Caller) -> Key {
        match self {
            Self::Environment { environment } => caller.key(Kind::Environment, environment),
            Self::ServiceInstance {
                service, instance, ..
            } => service_instance::key(caller, service, instance),
            Self::Pipeline { service, .. } => caller.key(Kind::ServicePipeline, service),
            Self::Component { component, .. } => caller.key(Kind::Component, component),
        }
    }

    pub(in crate::control_plane) fn arn(&self, caller: &Caller) -> String {
        match self {
            Self::Environment { environment } => {
                caller.arn(format_args!("environment/{environment}"))
            }
            Self::ServiceInstance {
                service, instance, ..
            } => caller.arn(format_args!(
                "service/{service}/service-instance/{instance}"
            )),
            Self::Pipeline { service, .. } => {
                caller.arn(format_args!("service/{service}/pipeline"))
            }
            Self::Component { component, .. } => caller.arn(format_args!("component/{component}")),
        }
    }

    /// None for the pipeline of a service without instances.
    pub(in crate::control_plane) fn environment(&self) -> Option<&str> {
        match self {
            Self::Environment { environment }
            | Self::ServiceInstance { environment, .. }
            | Self::Pipeline { environment, .. }
            | Self::Component { environment, .. } => {
                Some(&**environment).filter(|name| !name.is_empty())
            }
        }
    }

    pub(in crate::control_plane) fn service(&self) -> Option<&str> {
        match self {
            Self::Environment { .. } => None,
            Self::ServiceInstance { service, .. } | Self::Pipeline { service, .. } => Some(service),
            Self::Component { attached, .. } => attached.as_ref().map(|(service, _)| &**service),
        }
    }

    pub(in crate::control_plane) fn instance(&self) -> Option<&str> {
        match self {
            Self::ServiceInstance { instance, .. } => Some(instance),
            Self::Component { attached, .. } => attached.as_ref().map(|(_, instance)| &**instance),
            _ => None,
        }
    }

    pub(in crate::control_plane) fn component(&self) -> Option<&str> {
        match self {
            Self::Component { component, .. } => Some(component),
            _ => None,
        }
    }

    /// What a list of deployments can be narrowed to.
    pub(super) fn belongs_to(&self) -> Vec<Narrow<'_>> {
        let mut all = Vec::new();
        all.extend(self.environment().map(Narrow::Environment));
        if let Some(service) = self.service() {
            all.push(Narrow::Service(service));
            all.extend(self.instance().map(|name| Narrow::Instance(service, name)));
        }
        all.extend(self.component().map(Narrow::Component));
        all
    }
}

/// One thing that deployments belong to.
#[derive(Clone, Copy)]
pub(super) enum Narrow<'a> {
    Environment(&'a str),
    Service(&'a str),
    Instance(&'a str, &'a str),
    Component(&'a str),
}

impl Narrow<'_> {
    pub(super) fn entry(self, scope: &str) -> String {
        match self {
            Self::Environment(name) => format!("{scope}/environment/{name}"),
            Self::Service(name) => format!("{scope}/service/{name}"),
            Self::Instance(service, name) => format!("{scope}/service/{service}/{name}"),
            Self::Component(name) => format!("{scope}/component/{name}"),
        }
    }

    /// Whether users know of it.
    pub(super) async fn is_known(
        self,
        plane: &ControlPlane,
        caller: &Caller,
    ) -> Result<bool, Error> {
        let key = match self {
            Self::Environment(name) => caller.key(Kind::Environment, name),
            Self::Service(name) => caller.key(Kind::Service, name),
            Self::Component(name) => caller.key(Kind::Component, name),
            Self::Instance(service, name) => {
                return service_instance::is_known(plane, caller, service, name).await;
            }
        };
        Ok(plane.store().get(&key).await?.is_some())
    }

    pub(super) fn not_found(self) -> Error {
        Error::not_found(match self {
            Self::Environment(name) => format!("environment {name:?} does not exist"),
            Self::Service(name) => format!("service {name:?} does not exist"),
            Self::Instance(service, name) => {
                format!("service {service:?} has no instance {name:?}")
            }
            Self::Component(name) => format!("component {name:?} does not exist"),
        })
    }
}
