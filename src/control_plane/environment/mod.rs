//! Environments: what services run in. One is deployed from a version of an environment template, or, if that is customer-managed,
//! only described by its spec.
//!
//! The record is here; `create` and `update` decide what may be asked for, `provisioning` says with which means it is deployed.

mod create;
mod provisioning;
mod update;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::attempts::Attempts;
use super::bundle::PartKind;
use super::deployable::{
    Deployable, Deploys, FromTemplate, Place, Prepared, Status, Trouble, index_versions,
};
use super::deployment::{self, Target, When};
use super::events::{Subject, name};
use super::pagination::Page;
use super::render::{self, Method, Namespace, Origin, Outputs};
use super::resource::{Envelope, Loaded, Resource, timestamp};
use super::spec::{self, EnvironmentSpec};
use super::store::{Change, CommitError, Expect, Index, Key, Kind, Put};
use super::template::Type;
use super::{Caller, ControlPlane, summary, tags, template_version};
use crate::api::{Error, operation, pb};

pub(super) use create::{create_environment, created};
pub(super) use provisioning::Means;
pub(super) use update::{update_environment, updated};

/// From `<scope>/<environment>` to the service instances and components that are in it.
pub(super) const IN_ENVIRONMENT: Index = Index::new("in_environment");

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Environment {
    pub(super) envelope: Envelope,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) deployable: Deployable<FromTemplate>,
    pub(super) means: Means,
}

impl Resource for Environment {
    fn envelope_mut(&mut self) -> &mut Envelope {
        &mut self.envelope
    }

    fn index(&self, put: Put, owner: &Caller) -> Put {
        let put = index_versions(put, owner, Type::Environment, self.deployable.states());
        let version = self.deployable.current.version();
        let put = summary::index(put, owner, self.deployable.is_failed(), Some(version));
        self.means.index(put, owner)
    }

    fn told(&self, _key: &Key) -> Option<(Subject<'_>, &'static str)> {
        let subject = Subject::Environment(&self.name);
        Some((
            subject,
            name(pb::DeploymentStatus::from(self.deployable.status)),
        ))
    }
}

impl Deploys for Environment {
    type State = FromTemplate;

    fn deployable(&self) -> &Deployable<FromTemplate> {
        &self.deployable
    }

    fn deployable_mut(&mut self) -> &mut Deployable<FromTemplate> {
        &mut self.deployable
    }

    fn target(&self) -> Target {
        Target::Environment {
            environment: self.name.clone(),
        }
    }

    fn shown(state: &FromTemplate) -> pb::DeploymentState {
        let environment = pb::EnvironmentState {
            spec: Some(state.spec.clone()),
            template_major_version: state.major(),
            template_minor_version: state.minor(),
            template_name: state.template.clone(),
        };
        pb::DeploymentState {
            kind: Some(pb::deployment_state::Kind::Environment(environment)),
        }
    }

    async fn prepare(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        deployment: &str,
    ) -> Result<Prepared, Trouble> {
        let wanted = self.deployable.wanted.as_ref();
        let wanted = wanted.expect("a deployment under way has a wanted state");
        let version = Type::Environment.version_key(caller, &wanted.template, wanted.number);
        let bundle = template_version::bundle(plane, Type::Environment, false, &version).await?;
        let given = EnvironmentSpec::parse(&wanted.spec).map_err(Error::from)?;
        let part = PartKind::Environment;
        let inputs = spec::resolve(&bundle.schema, part, &given.inputs, "environment");
        let part = bundle.into_part(part);
        let part = part.expect("the bundle of an environment has this part");
        Ok(Prepared {
            manifest: part.manifest,
            files: part.files,
            namespace: Namespace::Environment(render::Environment {
                name: self.name.clone(),
                inputs: inputs.map_err(Error::from)?,
            }),
            origin: Origin {
                arn: arn(caller, &self.name),
                deployment_id: deployment.to_owned(),
                template: Some(wanted.origin(caller, Type::Environment)),
                environment_arn: None,
                service_arn: None,
                service_instance_arn: None,
                tags: tags::propagated(&self.envelope.managed_tags),
            },
        })
    }

    async fn place(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        method: Method,
    ) -> Result<Place, Trouble> {
        let tags = tags::propagated(&self.envelope.managed_tags);
        self.means
            .place(plane, caller, &self.name, method, tags)
            .await
    }
}

impl Environment {
    /// In which account it is provisioned.
    pub(super) fn account<'a>(&'a self, caller: &'a Caller) -> &'a str {
        self.means.account().unwrap_or(caller.account())
    }

    /// Whether it is only described here, and the customer provisions it. So is every version of its template.
    pub(super) fn is_customer_managed(&self) -> bool {
        self.deployable.current.method.is_none()
    }

    pub(super) fn named(&self) -> String {
        named(&self.name)
    }
}

pub(super) fn key(caller: &Caller, name: &str) -> Key {
    caller.key(Kind::Environment, name)
}

pub(super) fn arn(caller: &Caller, name: &str) -> String {
    caller.arn(format_args!("environment/{name}"))
}

fn named(name: &str) -> String {
    format!("environment {name:?}")
}

/// The value of `IN_ENVIRONMENT`.
pub(super) fn index_value(caller: &Caller, name: &str) -> String {
    format!("{}/{name}", caller.scope())
}

pub(super) async fn load(
    plane: &ControlPlane,
    caller: &Caller,
    name: &str,
) -> Result<Loaded<Environment>, Error> {
    let found = plane.load(&key(caller, name)).await?;
    found.ok_or_else(|| Error::not_found(format!("{} does not exist", named(name))))
}

/// What the last successful deployment of the environment has put out, and which one that was.
pub(super) async fn last_outputs(
    plane: &ControlPlane,
    caller: &Caller,
    environment: &Environment,
) -> Result<Option<(String, Outputs)>, Error> {
    let Some(id) = &environment.deployable.succeeded else {
        return Ok(None);
    };
    let deployment = plane.deployment(caller, id).await?;
    Ok(deployment.map(|deployment| (id.clone(), deployment.value.outputs)))
}

pub(super) async fn get_environment(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetEnvironmentRequest,
) -> Result<pb::GetEnvironmentResponse, Error> {
    let environment = load(plane, caller, &request.name).await?;
    Ok(pb::GetEnvironmentResponse {
        environment: Some(view(caller, &environment.value)),
    })
}

pub(super) async fn list_environments(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::ListEnvironmentsRequest,
) -> Result<pb::ListEnvironmentsResponse, Error> {
    let (most, token) = (request.max_results.take(), request.next_token.take());
    let page = Page::of::<operation::ListEnvironments>(caller, &request, most, token)?;
    let templates = &request.environment_templates;
    let wanted = |environment: &Environment| {
        let state = &environment.deployable.current;
        let fits = |filter: &pb::EnvironmentTemplateFilter| {
            filter.template_name == state.template && filter.major_version == state.major()
        };
        templates.is_empty() || templates.iter().any(fits)
    };
    let (found, next_token) = plane
        .page(caller, Kind::Environment, "", &page, wanted)
        .await?;
    let environments = found
        .iter()
        .map(|environment| summary(caller, &environment.value));
    Ok(pb::ListEnvironmentsResponse {
        environments: environments.collect(),
        next_token,
    })
}

/// Deletes the environment, or says that it is being deleted. Of one that is not there nothing is known, which is no error.
pub(super) async fn delete_environment(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::DeleteEnvironmentRequest,
) -> Result<pb::DeleteEnvironmentResponse, Error> {
    let key = key(caller, &request.name);
    let mut attempts = Attempts::default();
    loop {
        let Some(mut environment) = plane.load::<Environment>(&key).await? else {
            return Ok(pb::DeleteEnvironmentResponse::default());
        };
        let named = environment.value.named();
        let deployable = &environment.value.deployable;
        let answer = |environment: &Environment| pb::DeleteEnvironmentResponse {
            environment: Some(view(caller, environment)),
        };
        if deployable.status == Status::DeleteInProgress {
            return Ok(answer(&environment.value));
        }
        deployable.check_idle(&named)?;
        let nothing_to_take_down = environment.value.is_customer_managed();
        let when = match nothing_to_take_down {
            true => When::Never(Outputs::default()),
            false => When::Now,
        };
        let change = deployment::next(plane, caller, &mut environment.value, None, when).expect(
            Expect::Unreferenced {
                index: IN_ENVIRONMENT,
                value: index_value(caller, &request.name),
            },
        );
        let change = match nothing_to_take_down {
            true => change.and(environment.delete(plane)),
            false => change.and(environment.write(plane)),
        };
        match plane.store().commit(change).await {
            Ok(_) => return Ok(answer(&environment.value)),
            Err(CommitError::Referenced { .. }) => {
                return Err(Error::conflict(format!(
                    "{named} still holds service instances or components"
                )));
            }
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

pub(super) async fn cancel_environment_deployment(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::CancelEnvironmentDeploymentRequest,
) -> Result<pb::CancelEnvironmentDeploymentResponse, Error> {
    let load = || load(plane, caller, &request.environment_name);
    let environment = deployment::cancel(plane, caller, load).await?;
    Ok(pb::CancelEnvironmentDeploymentResponse {
        environment: Some(view(caller, &environment)),
    })
}

pub(super) async fn list_environment_outputs(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::ListEnvironmentOutputsRequest,
) -> Result<pb::ListEnvironmentOutputsResponse, Error> {
    deployment::check_no_token(request.next_token.as_deref())?;
    let environment = load(plane, caller, &request.environment_name).await?.value;
    let asked = request.deployment_id.as_deref();
    Ok(pb::ListEnvironmentOutputsResponse {
        next_token: None,
        outputs: deployment::outputs(plane, caller, &environment, asked).await?,
    })
}

pub(super) async fn list_environment_provisioned_resources(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::ListEnvironmentProvisionedResourcesRequest,
) -> Result<pb::ListEnvironmentProvisionedResourcesResponse, Error> {
    deployment::check_no_token(request.next_token.as_deref())?;
    let environment = load(plane, caller, &request.environment_name).await?.value;
    Ok(pb::ListEnvironmentProvisionedResourcesResponse {
        next_token: None,
        provisioned_resources: deployment::resources(plane, caller, &environment).await?,
    })
}

/// The managed tags of a new environment.
pub(super) fn managed_tags(
    caller: &Caller,
    template: &str,
    name: &str,
) -> BTreeMap<String, String> {
    [
        ("aws:proton:account", caller.account().to_owned()),
        (
            "aws:proton:template",
            Type::Environment.arn(caller, template),
        ),
        ("aws:proton:environment", arn(caller, name)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// The members that environments show, in full and in lists.
macro_rules! view {
    ($message:ident, $caller:expr, $environment:expr $(, $more:ident: $value:expr)*) => {
        pb::$message {
            arn: arn($caller, &$environment.name),
            component_role_arn: $environment.means.component_role_arn.clone(),
            created_at: $environment.envelope.created_at(),
            deployment_status: pb::DeploymentStatus::from($environment.deployable.status).into(),
            deployment_status_message: $environment.deployable.message.clone(),
            description: $environment.description.clone(),
            environment_account_connection_id: $environment.means.connection_id(),
            environment_account_id: $environment.means.account().map(str::to_owned),
            last_attempted_deployment_id: Some($environment.deployable.attempted.clone()),
            last_deployment_attempted_at: timestamp($environment.deployable.attempted_at_ms),
            last_deployment_succeeded_at: $environment.deployable.succeeded_at_ms.and_then(timestamp),
            last_succeeded_deployment_id: $environment.deployable.succeeded.clone(),
            name: $environment.name.clone(),
            proton_service_role_arn: $environment.means.proton_service_role_arn.clone(),
            provisioning: $environment
                .is_customer_managed()
                .then(|| pb::Provisioning::CustomerManaged.into()),
            template_major_version: $environment.deployable.current.major(),
            template_minor_version: $environment.deployable.current.minor(),
            template_name: $environment.deployable.current.template.clone(),
            $($more: $value,)*
        }
    };
}

pub(super) fn view(caller: &Caller, environment: &Environment) -> pb::Environment {
    view!(
        Environment,
        caller,
        environment,
        codebuild_role_arn: environment.means.codebuild_role_arn.clone(),
        provisioning_repository: environment.means.repository.clone().map(|branch| branch.view(caller)),
        spec: Some(environment.deployable.current.spec.clone())
    )
}

fn summary(caller: &Caller, environment: &Environment) -> pb::EnvironmentSummary {
    view!(EnvironmentSummary, caller, environment)
}
