//! Components: infrastructure that developers define themselves, next to a service instance whose template does not have it. A
//! component has no template: its manifest and its one file come with the request.
//!
//! ```text
//!  detached ──UpdateComponent with names──► attached to an instance, whose inputs it reads
//!     ▲                                        and whose templates see its outputs
//!     └─────UpdateComponent without names───────┘
//! ```
//! Attached or not, it is in an environment for good. The record is here; `create` and `update` decide what may be asked for,
//! `attachment` is the bond to an instance, `provisioning` says what is rendered and where.

mod attachment;
mod create;
mod provisioning;
mod update;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::attempts::Attempts;
use super::deployable::{Deployable, Deploys, Place, Prepared, Status, Trouble};
use super::deployment::{self, Target, When};
use super::environment::{self, IN_ENVIRONMENT};
use super::events::{Subject, name};
use super::pagination::Page;
use super::render::Method;
use super::resource::{Envelope, Loaded, Resource, timestamp};
use super::store::{Change, CommitError, Expect, Key, Kind, Put};
use super::{Caller, ControlPlane, service, service_instance, summary, tags};
use crate::api::{Error, operation, pb};

pub(super) use attachment::{Attachment, attached};
pub(super) use create::{create_component, created};
pub(super) use update::{update_component, updated};

use attachment::ATTACHED_TO;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Component {
    pub(super) envelope: Envelope,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) environment: String,
    /// Which file there is, and which engine it is for.
    pub(super) manifest: String,
    pub(super) method: Method,
    pub(super) last_client_request_token: Option<String>,
    pub(super) deployable: Deployable<State>,
}

/// What a deployment of a component is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) attached: Option<Attachment>,
    /// Where the inputs come from; without it, while attached, from the instance's own spec.
    pub(super) service_spec: Option<String>,
    pub(super) template_file: String,
}

impl Resource for Component {
    fn envelope_mut(&mut self) -> &mut Envelope {
        &mut self.envelope
    }

    fn index(&self, put: Put, owner: &Caller) -> Put {
        let put = put.indexed(
            IN_ENVIRONMENT,
            environment::index_value(owner, &self.environment),
        );
        let put = summary::index(put, owner, self.deployable.is_failed(), None);
        let attachments = self
            .deployable
            .states()
            .filter_map(|state| state.attached.as_ref());
        attachments.fold(put, |put, to| {
            put.indexed(ATTACHED_TO, to.index_value(owner))
        })
    }

    fn told(&self, _key: &Key) -> Option<(Subject<'_>, &'static str)> {
        let subject = Subject::Component(&self.name);
        Some((
            subject,
            name(pb::DeploymentStatus::from(self.deployable.status)),
        ))
    }
}

impl Deploys for Component {
    type State = State;

    fn deployable(&self) -> &Deployable<State> {
        &self.deployable
    }

    fn deployable_mut(&mut self) -> &mut Deployable<State> {
        &mut self.deployable
    }

    fn target(&self) -> Target {
        let state = self.deployable.wanted.as_ref();
        let attached = &state.unwrap_or(&self.deployable.current).attached;
        Target::Component {
            component: self.name.clone(),
            environment: self.environment.clone(),
            attached: attached.clone().map(|to| (to.service, to.instance)),
        }
    }

    fn shown(state: &State) -> pb::DeploymentState {
        let component = pb::ComponentState {
            service_instance_name: state.attached.as_ref().map(|to| to.instance.clone()),
            service_name: state.attached.as_ref().map(|to| to.service.clone()),
            service_spec: state.service_spec.clone(),
            template_file: Some(state.template_file.clone()),
        };
        pb::DeploymentState {
            kind: Some(pb::deployment_state::Kind::Component(component)),
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
        provisioning::place(self, plane, caller, method).await
    }
}

impl Component {
    pub(super) fn named(&self) -> String {
        named(&self.name)
    }
}

pub(super) fn key(caller: &Caller, name: &str) -> Key {
    caller.key(Kind::Component, name)
}

pub(super) fn arn(caller: &Caller, name: &str) -> String {
    caller.arn(format_args!("component/{name}"))
}

fn named(name: &str) -> String {
    format!("component {name:?}")
}

async fn load(
    plane: &ControlPlane,
    caller: &Caller,
    name: &str,
) -> Result<Loaded<Component>, Error> {
    let found = plane.load(&key(caller, name)).await?;
    found.ok_or_else(|| Error::not_found(format!("{} does not exist", named(name))))
}

pub(super) async fn get_component(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetComponentRequest,
) -> Result<pb::GetComponentResponse, Error> {
    let component = load(plane, caller, &request.name).await?;
    Ok(pb::GetComponentResponse {
        component: Some(view(caller, &component.value)),
    })
}

pub(super) async fn list_components(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::ListComponentsRequest,
) -> Result<pb::ListComponentsResponse, Error> {
    let (most, token) = (request.max_results.take(), request.next_token.take());
    let page = Page::of::<operation::ListComponents>(caller, &request, most, token)?;
    if request.service_instance_name.is_some() && request.service_name.is_none() {
        return Err(Error::validation(
            "serviceInstanceName: serviceName must be given with it",
        ));
    }
    let wanted = |component: &Component| {
        let attached = component.deployable.current.attached.as_ref();
        let fits =
            |asked: &Option<String>, has: Option<&String>| asked.is_none() || asked.as_ref() == has;
        fits(&request.environment_name, Some(&component.environment))
            && fits(&request.service_name, attached.map(|to| &to.service))
            && fits(
                &request.service_instance_name,
                attached.map(|to| &to.instance),
            )
    };
    let (found, next_token) = plane
        .page(caller, Kind::Component, "", &page, wanted)
        .await?;
    let components = found.iter().map(|found| summary(caller, &found.value));
    Ok(pb::ListComponentsResponse {
        components: components.collect(),
        next_token,
    })
}

/// Deletes the component, or says that it is being deleted.
pub(super) async fn delete_component(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::DeleteComponentRequest,
) -> Result<pb::DeleteComponentResponse, Error> {
    let mut attempts = Attempts::default();
    loop {
        let mut component = load(plane, caller, &request.name).await?;
        let answer = |component: &Component| pb::DeleteComponentResponse {
            component: Some(view(caller, component)),
        };
        let deployable = &component.value.deployable;
        if deployable.status == Status::DeleteInProgress {
            return Ok(answer(&component.value));
        }
        deployable.check_idle(&component.value.named())?;
        if let Some(to) = &deployable.current.attached {
            return Err(Error::conflict(format!(
                "{} is attached to {}, from which it must be detached first",
                component.value.named(),
                to.named()
            )));
        }
        let change = deployment::next(plane, caller, &mut component.value, None, When::Now);
        match plane
            .store()
            .commit(change.and(component.write(plane)))
            .await
        {
            Ok(_) => return Ok(answer(&component.value)),
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

pub(super) async fn cancel_component_deployment(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::CancelComponentDeploymentRequest,
) -> Result<pb::CancelComponentDeploymentResponse, Error> {
    let load = || load(plane, caller, &request.component_name);
    let component = deployment::cancel(plane, caller, load).await?;
    Ok(pb::CancelComponentDeploymentResponse {
        component: Some(view(caller, &component)),
    })
}

pub(super) async fn list_component_outputs(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::ListComponentOutputsRequest,
) -> Result<pb::ListComponentOutputsResponse, Error> {
    deployment::check_no_token(request.next_token.as_deref())?;
    let component = load(plane, caller, &request.component_name).await?.value;
    let asked = request.deployment_id.as_deref();
    Ok(pb::ListComponentOutputsResponse {
        next_token: None,
        outputs: deployment::outputs(plane, caller, &component, asked).await?,
    })
}

pub(super) async fn list_component_provisioned_resources(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::ListComponentProvisionedResourcesRequest,
) -> Result<pb::ListComponentProvisionedResourcesResponse, Error> {
    deployment::check_no_token(request.next_token.as_deref())?;
    let component = load(plane, caller, &request.component_name).await?.value;
    Ok(pb::ListComponentProvisionedResourcesResponse {
        next_token: None,
        provisioned_resources: deployment::resources(plane, caller, &component).await?,
    })
}

/// The managed tags of a component in this environment and at this instance.
pub(super) fn managed_tags(
    caller: &Caller,
    name: &str,
    environment: &str,
    attached: Option<&Attachment>,
) -> BTreeMap<String, String> {
    let own = [
        ("aws:proton:account", caller.account().to_owned()),
        (
            "aws:proton:environment",
            environment::arn(caller, environment),
        ),
        ("aws:proton:component", arn(caller, name)),
    ];
    let of_instance = attached.map(|to| {
        [
            ("aws:proton:service", service::arn(caller, &to.service)),
            ("aws:proton:service-instance", to.arn(caller)),
        ]
    });
    let all = own.into_iter().chain(of_instance.into_iter().flatten());
    all.map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The members that components show, in full and in lists.
macro_rules! view {
    ($message:ident, $caller:expr, $component:expr $(, $more:ident: $value:expr)*) => {
        pb::$message {
            arn: arn($caller, &$component.name),
            created_at: $component.envelope.created_at(),
            deployment_status: pb::DeploymentStatus::from($component.deployable.status).into(),
            deployment_status_message: $component.deployable.message.clone(),
            environment_name: $component.environment.clone(),
            last_attempted_deployment_id: Some($component.deployable.attempted.clone()),
            last_deployment_attempted_at: timestamp($component.deployable.attempted_at_ms),
            last_deployment_succeeded_at: $component.deployable.succeeded_at_ms.and_then(timestamp),
            last_modified_at: $component.envelope.last_modified_at(),
            last_succeeded_deployment_id: $component.deployable.succeeded.clone(),
            name: $component.name.clone(),
            service_instance_name: $component
                .deployable
                .current
                .attached
                .as_ref()
                .map(|to| to.instance.clone()),
            service_name: $component
                .deployable
                .current
                .attached
                .as_ref()
                .map(|to| to.service.clone()),
            $($more: $value,)*
        }
    };
}

fn view(caller: &Caller, component: &Component) -> pb::Component {
    view!(
        Component,
        caller,
        component,
        description: component.description.clone(),
        last_client_request_token: component.last_client_request_token.clone(),
        service_spec: component.deployable.current.service_spec.clone()
    )
}

fn summary(caller: &Caller, component: &Component) -> pb::ComponentSummary {
    view!(ComponentSummary, caller, component)
}
