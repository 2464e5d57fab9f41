//! Service instances: what of a service runs in one environment. They come into being with the service, by an edit of its spec, or
//! one by one; and go with the service or by an edit of its spec.
//!
//! The record is here; `create` and `update` decide what may be asked for, `provisioning` says what is rendered and where, `list`
//! sorts and filters.

mod create;
mod list;
mod provisioning;
mod update;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::deployable::{
    Deployable, Deploys, FromTemplate, Place, Prepared, Status, Trouble, index_versions,
};
use super::deployment::{self, Target};
use super::environment::{self, IN_ENVIRONMENT};
use super::events::{Subject, name};
use super::render::Method;
use super::resource::{Envelope, Loaded, Resource, timestamp};
use super::store::{self, Change, Key, Kind, Put};
use super::template::Type;
use super::{Caller, ControlPlane, service, summary, tags};
use crate::api::{Error, operation, pb};

pub(super) use create::{Origin, create_service_instance, created, quota};
pub(super) use list::list_service_instances;
pub(super) use provisioning::{all, check_deployed, prepare_in, rendered, rendered_of};
pub(super) use update::{update_service_instance, updated};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ServiceInstance {
    pub(super) envelope: Envelope,
    pub(super) service: String,
    pub(super) name: String,
    pub(super) environment: String,
    pub(super) last_client_request_token: Option<String>,
    pub(super) standing: Standing,
    pub(super) deployable: Deployable<State>,
}

/// Whether the spec of the service still has the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Standing {
    Kept,
    /// It is to be taken down, or is being taken down.
    Doomed,
    /// It could not be taken down. Nobody sees it, but the next edit of the service tries again.
    Leftover,
}

/// What a deployment of an instance is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// With the whole spec of the service, of which only the instance's own section counts.
    pub(super) version: FromTemplate,
    pub(super) upstream: Upstream,
}

/// The successful deployments of others whose outputs are rendered in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Upstream {
    pub(super) environment: Option<String>,
    pub(super) pipeline: Option<String>,
    pub(super) component: Option<AttachedComponent>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AttachedComponent {
    pub(super) name: String,
    pub(super) deployment: Option<String>,
}

impl Resource for ServiceInstance {
    fn envelope_mut(&mut self) -> &mut Envelope {
        &mut self.envelope
    }

    fn index(&self, put: Put, owner: &Caller) -> Put {
        let versions = self.deployable.states().map(|state| &state.version);
        let put = index_versions(put, owner, Type::Service, versions).indexed(
            IN_ENVIRONMENT,
            environment::index_value(owner, &self.environment),
        );
        let version = self.deployable.current.version.version();
        match self.is_visible() {
            true => summary::index(put, owner, self.deployable.is_failed(), Some(version)),
            false => put,
        }
    }

    fn told(&self, _key: &Key) -> Option<(Subject<'_>, &'static str)> {
        let subject = Subject::ServiceInstance {
            service: &self.service,
            name: &self.name,
        };
        Some((
            subject,
            name(pb::DeploymentStatus::from(self.deployable.status)),
        ))
    }
}

impl Deploys for ServiceInstance {
    type State = State;

    fn deployable(&self) -> &Deployable<State> {
        &self.deployable
    }

    fn deployable_mut(&mut self) -> &mut Deployable<State> {
        &mut self.deployable
    }

    fn target(&self) -> Target {
        Target::ServiceInstance {
            service: self.service.clone(),
            instance: self.name.clone(),
            environment: self.environment.clone(),
        }
    }

    fn shown(state: &State) -> pb::DeploymentState {
        let State { version, upstream } = state;
        let component = upstream.component.as_ref();
        let instance = pb::ServiceInstanceState {
            last_successful_component_deployment_ids: component
                .and_then(|component| component.deployment.clone())
                .into_iter()
                .collect(),
            last_successful_environment_deployment_id: upstream.environment.clone(),
            last_successful_service_pipeline_deployment_id: upstream.pipeline.clone(),
            spec: version.spec.clone(),
            template_major_version: version.major(),
            template_minor_version: version.minor(),
            template_name: version.template.clone(),
        };
        pb::DeploymentState {
            kind: Some(pb::deployment_state::Kind::ServiceInstance(instance)),
        }
    }

    async fn prepare(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        deployment: &str,
    ) -> Result<Prepared, Trouble> {
        provisioning::prepare(self, plane, caller, deployment).await
    }

    async fn place(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        method: Method,
    ) -> Result<Place, Trouble> {
        let environment = environment::load(plane, caller, &self.environment).await?;
        let labels = tags::propagated(&self.envelope.managed_tags);
        let means = &environment.value.means;
        means
            .place(plane, caller, &self.environment, method, labels)
            .await
    }

    /// What has succeeded is from now on what the service's spec says; and the service may have waited for it.
    async fn settled(
        plane: &ControlPlane,
        caller: &Caller,
        instance: &Loaded<Self>,
        status: Status,
        change: Change,
    ) -> Result<Change, store::Error> {
        let instance = &instance.value;
        let spec = match status {
            Status::Succeeded => Some(&*instance.deployable.current.version.spec),
            _ => None,
        };
        let part = service::Part::Instance(&instance.name);
        service::settled(plane, caller, &instance.service, part, spec, change).await
    }
}

impl ServiceInstance {
    pub(super) fn named(&self) -> String {
        named(&self.service, &self.name)
    }

    /// The status that is shown: an instance that waits for being taken down is told apart from one that stays.
    pub(super) fn status(&self) -> Status {
        match (self.standing, self.deployable.status) {
            (Standing::Doomed, status) if !status.is_busy() && status != Status::DeleteFailed => {
                Status::DeleteInProgress
            }
            (_, status) => status,
        }
    }

    pub(super) fn is_visible(&self) -> bool {
        self.standing != Standing::Leftover
    }
}

/// A space orders before every character of a name, so instances order by service first.
pub(super) fn key(caller: &Caller, service: &str, instance: &str) -> Key {
    caller.key(Kind::ServiceInstance, format!("{service} {instance}"))
}

pub(super) fn arn(caller: &Caller, service: &str, instance: &str) -> String {
    caller.arn(format_args!(
        "service/{service}/service-instance/{instance}"
    ))
}

fn named(service: &str, instance: &str) -> String {
    format!("service instance {instance:?} of service {service:?}")
}

/// An instance that users know of.
pub(super) async fn load(
    plane: &ControlPlane,
    caller: &Caller,
    service: &str,
    instance: &str,
) -> Result<Loaded<ServiceInstance>, Error> {
    let found = plane
        .load::<ServiceInstance>(&key(caller, service, instance))
        .await?;
    found
        .filter(|found| found.value.is_visible())
        .ok_or_else(|| Error::not_found(format!("{} does not exist", named(service, instance))))
}

/// Whether users know of an instance of this name. One that was removed but could not be taken down is no longer theirs.
pub(super) async fn is_known(
    plane: &ControlPlane,
    caller: &Caller,
    service: &str,
    instance: &str,
) -> Result<bool, Error> {
    /// The part of an instance's record that tells.
    #[derive(Deserialize)]
    struct Seen {
        standing: Standing,
    }

    let record = plane.store().get(&key(caller, service, instance)).await?;
    let seen = record.map(|record| record.read::<Seen>()).transpose()?;
    Ok(seen.is_some_and(|seen| seen.standing != Standing::Leftover))
}

pub(super) async fn get_service_instance(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetServiceInstanceRequest,
) -> Result<pb::GetServiceInstanceResponse, Error> {
    let instance = load(plane, caller, &request.service_name, &request.name).await?;
    Ok(pb::GetServiceInstanceResponse {
        service_instance: Some(view(caller, &instance.value)),
    })
}

pub(super) async fn cancel_service_instance_deployment(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::CancelServiceInstanceDeploymentRequest,
) -> Result<pb::CancelServiceInstanceDeploymentResponse, Error> {
    let (service, name) = (&request.service_name, &request.service_instance_name);
    let load = || load(plane, caller, service, name);
    let instance = deployment::cancel(plane, caller, load).await?;
    Ok(pb::CancelServiceInstanceDeploymentResponse {
        service_instance: Some(view(caller, &instance)),
    })
}

pub(super) async fn list_service_instance_outputs(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::ListServiceInstanceOutputsRequest,
) -> Result<pb::ListServiceInstanceOutputsResponse, Error> {
    deployment::check_no_token(request.next_token.as_deref())?;
    let (service, name) = (&request.service_name, &request.service_instance_name);
    let instance = load(plane, caller, service, name).await?.value;
    let asked = request.deployment_id.as_deref();
    Ok(pb::ListServiceInstanceOutputsResponse {
        next_token: None,
        outputs: deployment::outputs(plane, caller, &instance, asked).await?,
    })
}

pub(super) async fn list_service_instance_provisioned_resources(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::ListServiceInstanceProvisionedResourcesRequest,
) -> Result<pb::ListServiceInstanceProvisionedResourcesResponse, Error> {
    deployment::check_no_token(request.next_token.as_deref())?;
    let (service, name) = (&request.service_name, &request.service_instance_name);
    let instance = load(plane, caller, service, name).await?.value;
    Ok(pb::ListServiceInstanceProvisionedResourcesResponse {
        next_token: None,
        provisioned_resources: deployment::resources(plane, caller, &instance).await?,
    })
}

/// The members that instances show, in full and in lists.
macro_rules! view {
    ($message:ident, $caller:expr, $instance:expr $(, $more:ident: $value:expr)*) => {
        pb::$message {
            arn: arn($caller, &$instance.service, &$instance.name),
            created_at: $instance.envelope.created_at(),
            deployment_status: pb::DeploymentStatus::from($instance.status()).into(),
            deployment_status_message: $instance.deployable.message.clone(),
            environment_name: $instance.environment.clone(),
            last_attempted_deployment_id: Some($instance.deployable.attempted.clone()),
            last_deployment_attempted_at: timestamp($instance.deployable.attempted_at_ms),
            last_deployment_succeeded_at: $instance.deployable.succeeded_at_ms.and_then(timestamp),
            last_succeeded_deployment_id: $instance.deployable.succeeded.clone(),
            name: $instance.name.clone(),
            service_name: $instance.service.clone(),
            template_major_version: $instance.deployable.current.version.major(),
            template_minor_version: $instance.deployable.current.version.minor(),
            template_name: $instance.deployable.current.version.template.clone(),
            $($more: $value,)*
        }
    };
}

fn view(caller: &Caller, instance: &ServiceInstance) -> pb::ServiceInstance {
    view!(
        ServiceInstance,
        caller,
        instance,
        last_client_request_token: instance.last_client_request_token.clone(),
        spec: Some(instance.deployable.current.version.spec.clone())
    )
}

fn summary(caller: &Caller, instance: &ServiceInstance) -> pb::ServiceInstanceSummary {
    view!(ServiceInstanceSummary, caller, instance)
}

/// The managed tags of a new instance.
pub(super) fn managed_tags(
    caller: &Caller,
    of_service: &BTreeMap<String, String>,
    service: &str,
    name: &str,
    environment: &str,
) -> BTreeMap<String, String> {
    let own = [
        (
            "aws:proton:environment".to_owned(),
            environment::arn(caller, environment),
        ),
        (
            "aws:proton:service-instance".to_owned(),
            arn(caller, service, name),
        ),
    ];
    of_service.clone().into_iter().chain(own).collect()
}
