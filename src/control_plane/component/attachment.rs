//! The bond between a component and a service instance. An instance has one component at most, and neither of the two is deployed
//! while the other is: whoever deploys one expects the other to be as it was read. Whoever attaches also writes the instance anew,
//! so that of two components that are attached at once one finds it changed.

use serde::{Deserialize, Serialize};

use super::super::render::ServiceOf;
use super::super::service_instance::ServiceInstance;
use super::super::spec::{Inputs, ServiceSpec};
use super::super::store::{Index, Order};
use super::super::template::Type;
use super::super::template_version::{self, Version};
use super::*;

/// From `<scope>/<service>/<instance>` to the component that is attached there, or is about to be.
pub(super) const ATTACHED_TO: Index = Index::new("attached_to");

/// Names the instance that a component is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Attachment {
    pub(in super::super) service: String,
    pub(in super::super) instance: String,
}

impl Attachment {
    pub(super) fn index_value(&self, caller: &Caller) -> String {
        index_value(caller, &self.service, &self.instance)
    }

    pub(in super::super) fn arn(&self, caller: &Caller) -> String {
        service_instance::arn(caller, &self.service, &self.instance)
    }

    pub(super) fn named(&self) -> String {
        format!(
            "service instance {:?} of service {:?}",
            self.instance, self.service
        )
    }
}

fn index_value(caller: &Caller, service: &str, instance: &str) -> String {
    format!("{}/{service}/{instance}", caller.scope())
}

/// A component as the instance that it is attached to sees it.
#[derive(Debug)]
pub(in super::super) struct Attached {
    pub(in super::super) key: Key,
    pub(in super::super) rev: i64,
    pub(in super::super) name: String,
    pub(in super::super) is_busy: bool,
    /// Its last successful deployment.
    pub(in super::super) succeeded: Option<String>,
}

/// The component that is attached to a service instance, or is about to be.
pub(in super::super) async fn attached(
    plane: &ControlPlane,
    caller: &Caller,
    service: &str,
    instance: &str,
) -> Result<Option<Attached>, Error> {
    let value = index_value(caller, service, instance);
    let found = plane
        .store()
        .list_by(ATTACHED_TO, &value, None, 1, Order::Ascending)
        .await?;
    let Some(record) = found.into_iter().next() else {
        return Ok(None);
    };
    let component = Loaded::<Component>::of(record)?;
    Ok(Some(Attached {
        key: component.key,
        rev: component.rev,
        name: component.value.name,
        is_busy: component.value.deployable.status.is_busy(),
        succeeded: component.value.deployable.succeeded,
    }))
}

/// An instance that a component is deployed at.
pub(super) struct Host {
    instance: Loaded<ServiceInstance>,
    service: service::Service,
}

impl Host {
    pub(super) async fn load(
        plane: &ControlPlane,
        caller: &Caller,
        to: &Attachment,
    ) -> Result<Self, Error> {
        let service = service::load(plane, caller, &to.service).await?.value;
        let instance = service_instance::load(plane, caller, &to.service, &to.instance).await?;
        Ok(Self { instance, service })
    }

    pub(super) fn environment(&self) -> &str {
        &self.instance.value.environment
    }

    /// Nothing is deployed at an instance that is itself being deployed.
    pub(super) fn check_idle(&self) -> Result<(), Error> {
        let instance = &self.instance.value;
        match instance.status().is_busy() {
            false => Ok(()),
            true => Err(Error::conflict(format!(
                "{} is being deployed or deleted",
                instance.named()
            ))),
        }
    }

    /// Whether a component can be attached: the template version has to allow it, and there must be no other.
    pub(super) async fn check_free(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
    ) -> Result<(), Error> {
        let instance = &self.instance.value;
        let version = plane.load::<Version>(&self.version(caller)).await?;
        let fit = version.and_then(|version| version.value.fit);
        if !fit.is_some_and(|fit| fit.components) {
            return Err(Error::validation(format!(
                "the template version of {} does not support components",
                instance.named()
            )));
        }
        match attached(plane, caller, &instance.service, &instance.name).await? {
            None => Ok(()),
            Some(other) => Err(Error::validation(format!(
                "{} has component {:?} already",
                instance.named(),
                other.name
            ))),
        }
    }

    fn version(&self, caller: &Caller) -> Key {
        let version = &self.instance.value.deployable.current.version;
        Type::Service.version_key(caller, &version.template, version.number)
    }

    /// The inputs of the instance as this spec has them, or as its own has.
    pub(super) async fn inputs(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        spec: Option<&str>,
    ) -> Result<Inputs, Error> {
        let instance = &self.instance.value;
        let spec = spec.unwrap_or(&instance.deployable.current.version.spec);
        let no_pipeline = !self.service.has_pipeline;
        let version = self.version(caller);
        let bundle = template_version::bundle(plane, Type::Service, no_pipeline, &version).await?;
        let spec = ServiceSpec::parse(spec)?;
        // An instance's own spec has none left, and a component's has nothing to keep.
        spec.keep_current(None)?;
        Ok(spec.instance_inputs(&bundle.schema, &instance.name)?)
    }

    /// As templates see the service.
    pub(super) fn service(&self) -> ServiceOf {
        self.service.rendered()
    }

    /// The instance stays as it was read until the change is made.
    pub(super) fn keep(self, change: Change) -> Change {
        change.expect(Expect::Rev(self.instance.key, self.instance.rev))
    }

    /// Nobody else changes the instance, or attaches to it, until the change is made.
    pub(super) fn take(self, plane: &ControlPlane, change: Change) -> Change {
        change.and(self.instance.write(plane))
    }
}
