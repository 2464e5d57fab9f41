//! Deployments: the record of each attempt to bring a resource into a state, or to take it down.
//!
//! A deployment is accepted in one change with its resource and its work (`start`); `reconcile/deployment` renders it, drives an
//! engine, and ends it together with its resource. What it was asked for and what it sent stay readable in blobs beside it,
//! since lists need neither.
//!
//! Ids are UUIDs whose first 48 bits are the time, so that deployments order by age.

use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::deployable::{Deployable, Deploys, Place, Status};
use super::pagination::Page;
use super::provision::{Action, ProvisionedResource, ProvisioningEngine, TargetKind};
use super::reconcile::deployment as work;
use super::render::{Method, Outputs, Rendering};
use super::resource::{self, Envelope, Loaded, Resource, timestamp};
use super::store::{Change, Index, Key, Kind, Order, Put, Range};
use super::{Caller, ControlPlane, service_instance};
use crate::api::{Error, operation, pb};

/// From `<scope>/<what>` to the deployments that have to do with it; see [`Target::belongs_to`].
const BELONGS_TO: Index = Index::new("deployment_of");

/// What is deployed, by its names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Target {
    Environment {
        environment: String,
    },
    ServiceInstance {
        service: String,
        instance: String,
        environment: String,
    },
    /// A pipeline has no environment of its own; this is the one of the service's first instance.
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
    fn resource_type(&self) -> pb::DeploymentTargetResourceType {
        match self {
            Self::Environment { .. } => pb::DeploymentTargetResourceType::Environment,
            Self::ServiceInstance { .. } => pb::DeploymentTargetResourceType::ServiceInstance,
            Self::Pipeline { .. } => pb::DeploymentTargetResourceType::ServicePipeline,
            Self::Component { .. } => pb::DeploymentTargetResourceType::Component,
        }
    }

    /// The target as engines know it.
    pub(super) fn provisioned(&self) -> TargetKind {
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
    pub(super) fn key(&self, caller: &Caller) -> Key {
        match self {
            Self::Environment { environment } => caller.key(Kind::Environment, environment),
            Self::ServiceInstance {
                service, instance, ..
            } => service_instance::key(caller, service, instance),
            Self::Pipeline { service, .. } => caller.key(Kind::ServicePipeline, service),
            Self::Component { component, .. } => caller.key(Kind::Component, component),
        }
    }

    pub(super) fn arn(&self, caller: &Caller) -> String {
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

    pub(super) fn environment(&self) -> &str {
        match self {
            Self::Environment { environment }
            | Self::ServiceInstance { environment, .. }
            | Self::Pipeline { environment, .. }
            | Self::Component { environment, .. } => environment,
        }
    }

    pub(super) fn service(&self) -> Option<&str> {
        match self {
            Self::Environment { .. } => None,
            Self::ServiceInstance { service, .. } | Self::Pipeline { service, .. } => Some(service),
            Self::Component { attached, .. } => attached.as_ref().map(|(service, _)| &**service),
        }
    }

    pub(super) fn instance(&self) -> Option<&str> {
        match self {
            Self::ServiceInstance { instance, .. } => Some(instance),
            Self::Component { attached, .. } => attached.as_ref().map(|(_, instance)| &**instance),
            _ => None,
        }
    }

    pub(super) fn component(&self) -> Option<&str> {
        match self {
            Self::Component { component, .. } => Some(component),
            _ => None,
        }
    }

    /// What a list of deployments can be narrowed to.
    fn belongs_to(&self) -> Vec<Narrow<'_>> {
        let mut all = vec![Narrow::Environment(self.environment())];
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
enum Narrow<'a> {
    Environment(&'a str),
    Service(&'a str),
    Instance(&'a str, &'a str),
    Component(&'a str),
}

impl Narrow<'_> {
    fn entry(self, scope: &str) -> String {
        match self {
            Self::Environment(name) => format!("{scope}/environment/{name}"),
            Self::Service(name) => format!("{scope}/service/{name}"),
            Self::Instance(service, name) => format!("{scope}/service/{service}/{name}"),
            Self::Component(name) => format!("{scope}/component/{name}"),
        }
    }

    fn key(self, caller: &Caller) -> Key {
        match self {
            Self::Environment(name) => caller.key(Kind::Environment, name),
            Self::Service(name) => caller.key(Kind::Service, name),
            Self::Instance(service, name) => service_instance::key(caller, service, name),
            Self::Component(name) => caller.key(Kind::Component, name),
        }
    }

    fn not_found(self) -> Error {
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

/// How far a deployment has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// Its time comes when others have ended; nothing is in the work queue for it.
    Waiting,
    Rendering,
    /// An engine is at it, and remembers this.
    Provisioning {
        method: Method,
        place: Place,
        memo: serde_json::Value,
    },
    Ended,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Deployment {
    pub(super) envelope: Envelope,
    pub(super) id: String,
    pub(super) target: Target,
    pub(super) target_created_at_ms: i64,
    pub(super) action: Action,
    pub(super) status: Status,
    pub(super) message: Option<String>,
    pub(super) completed_at_ms: Option<i64>,
    /// The target's deployments when this one began.
    pub(super) attempted_before: Option<String>,
    pub(super) succeeded_before: Option<String>,
    pub(super) phase: Phase,
    /// Which work item is the one to go on with it: items with another number are out of date.
    pub(super) turn: u32,
    pub(super) outputs: Outputs,
    pub(super) resources: Vec<ProvisionedResource>,
}

impl Resource for Deployment {
    fn envelope_mut(&mut self) -> &mut Envelope {
        &mut self.envelope
    }

    fn index(&self, put: Put, owner: &Caller) -> Put {
        let scope = owner.scope();
        let entries = self.target.belongs_to().into_iter();
        entries.fold(put, |put, narrow| {
            put.indexed(BELONGS_TO, narrow.entry(&scope))
        })
    }
}

impl Deployment {
    pub(super) fn arn(&self, caller: &Caller) -> String {
        caller.arn(format_args!("deployment/{}", self.id))
    }

    /// Brings the deployment to its end.
    pub(super) fn end(&mut self, status: Status, message: Option<String>, now_ms: i64) {
        self.status = status;
        self.message = message;
        self.phase = Phase::Ended;
        self.turn += 1;
        self.completed_at_ms = Some(now_ms);
        self.envelope.last_modified_at_ms = now_ms;
    }
}

pub(super) fn key(caller: &Caller, id: &str) -> Key {
    caller.key(Kind::Deployment, id)
}

/// Where the state before, the state asked for and what was sent to the engine are kept.
pub(super) fn blob(deployment: &Key, what: Blob) -> String {
    let what = match what {
        Blob::Initial => "initial",
        Blob::Wanted => "wanted",
        Blob::Rendering => "rendering",
    };
    format!("{}/deployment/{}/{what}", deployment.scope, deployment.id)
}

#[derive(Clone, Copy)]
pub(super) enum Blob {
    Initial,
    Wanted,
    Rendering,
}

/// A new id, later than those before: UUID version 7, with a count of those of the same millisecond in front of what is random.
pub(super) fn new_id(plane: &ControlPlane) -> String {
    let moment = plane.moment();
    let (time, count) = (format!("{:012x}", moment >> 12), moment & 0xfff);
    let random = plane.ambient().uuid();
    format!(
        "{}-{}-7{count:03x}-{}",
        &time[..8],
        &time[8..],
        &random[19..]
    )
}

/// When the work of a deployment is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum When {
    Now,
    /// When others have ended; somebody will `release` it.
    Later,
    /// There is none: the deployment has succeeded as soon as it is recorded, and leaves these outputs.
    Never(Outputs),
}

/// The first deployment of a resource that is being made: its record, state and work, for the change that also writes the
/// resource.
pub(super) fn first<R: Deploys>(
    plane: &ControlPlane,
    caller: &Caller,
    resource: &mut R,
    when: When,
) -> Change {
    record(plane, caller, resource, None, when)
}

/// The next deployment of a resource, of what is wanted, or of nothing, which takes it down: as `first`.
pub(super) fn next<R: Deploys>(
    plane: &ControlPlane,
    caller: &Caller,
    resource: &mut R,
    wanted: Option<R::State>,
    when: When,
) -> Change {
    let before = resource.deployable().clone();
    let (id, now_ms) = (new_id(plane), plane.now_ms());
    resource.deployable_mut().begin(&id, wanted, now_ms);
    record(plane, caller, resource, Some(&before), when)
}

fn record<R: Deploys>(
    plane: &ControlPlane,
    caller: &Caller,
    resource: &mut R,
    before: Option<&Deployable<R::State>>,
    when: When,
) -> Change {
    let now_ms = plane.now_ms();
    let begun = resource.deployable().clone();
    let mut deployment = Deployment {
        envelope: Envelope::plain(now_ms),
        id: begun.attempted.clone(),
        target: resource.target(),
        target_created_at_ms: resource.envelope_mut().created_at_ms,
        action: match begun.wanted {
            Some(_) => Action::Provision,
            None => Action::Deprovision,
        },
        status: begun.status,
        message: None,
        completed_at_ms: None,
        attempted_before: before.map(|before| before.attempted.clone()),
        succeeded_before: before.and_then(|before| before.succeeded.clone()),
        phase: Phase::Rendering,
        turn: 0,
        outputs: Outputs::default(),
        resources: Vec::new(),
    };
    let key = key(caller, &deployment.id);
    let mut change = Change::new();
    match when {
        When::Now => change = change.enqueue(work::work(key.clone(), 0, now_ms)),
        When::Later => deployment.phase = Phase::Waiting,
        When::Never(outputs) => {
            let status = match deployment.action {
                Action::Provision => Status::Succeeded,
                Action::Deprovision => Status::DeleteComplete,
            };
            deployment.end(status, None, now_ms);
            deployment.outputs = outputs;
            resource.deployable_mut().end(status, None);
        }
    }
    if let Some(before) = before.filter(|before| before.succeeded.is_some()) {
        change = change.put_blob(
            blob(&key, Blob::Initial),
            state_bytes(&R::shown(&before.current)),
        );
    }
    if let Some(wanted) = &begun.wanted {
        change = change.put_blob(blob(&key, Blob::Wanted), state_bytes(&R::shown(wanted)));
    }
    change.put(resource::create(key, &deployment))
}

/// Lets a deployment begin that waited for others, in the change that also says why.
pub(super) fn release(plane: &ControlPlane, waiting: &mut Loaded<Deployment>) -> Change {
    let now_ms = plane.now_ms();
    waiting.value.phase = Phase::Rendering;
    waiting.value.turn += 1;
    waiting.value.envelope.last_modified_at_ms = now_ms;
    let work = work::work(waiting.key.clone(), waiting.value.turn, now_ms);
    Change::new().put(waiting.put()).enqueue(work)
}

fn state_bytes(state: &pb::DeploymentState) -> Vec<u8> {
    state.encode_to_vec()
}

/// What a deployment has sent to its engine, if it has come so far.
pub(super) async fn rendering(
    plane: &ControlPlane,
    deployment: &Key,
) -> Result<Option<Rendering>, Error> {
    let packed = plane
        .store()
        .blob(&blob(deployment, Blob::Rendering))
        .await?;
    let rendering = packed.as_deref().map(Rendering::unpack).transpose();
    rendering.map_err(|cause| {
        tracing::error!(error = &cause as &dyn std::error::Error, %deployment, "a rendering cannot be read");
        Error::internal()
    })
}

impl ControlPlane {
    pub(super) async fn deployment(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<Option<Loaded<Deployment>>, Error> {
        self.load(&key(caller, id)).await
    }
}

/// Asks the deployment of a resource to stop: the change to both.
pub(super) async fn cancel<R: Deploys>(
    plane: &ControlPlane,
    caller: &Caller,
    resource: &mut Loaded<R>,
) -> Result<Change, Error> {
    let arn = resource.value.target().arn(caller);
    let deployable = resource.value.deployable_mut();
    deployable.check_cancellable(&arn)?;
    deployable.status = Status::Cancelling;
    let now_ms = plane.now_ms();
    let found = plane.deployment(caller, &deployable.attempted).await?;
    let mut deployment = found.expect("a deployment under way cannot be deleted");
    deployment.value.status = Status::Cancelling;
    deployment.value.turn += 1;
    deployment.value.envelope.last_modified_at_ms = now_ms;
    let again = work::work(deployment.key.clone(), deployment.value.turn, now_ms);
    Ok(Change::new()
        .put(resource.put())
        .put(deployment.put())
        .enqueue(again))
}

/// The outputs of a resource: of its last success, or of the deployment that is asked for.
pub(super) async fn outputs<R: Deploys>(
    plane: &ControlPlane,
    caller: &Caller,
    resource: &R,
    asked: Option<&str>,
) -> Result<Vec<pb::Output>, Error> {
    let Some(id) = asked.or(resource.deployable().succeeded.as_deref()) else {
        return Ok(Vec::new());
    };
    let target = resource.target();
    let found = plane.deployment(caller, id).await?;
    let own = found.filter(|found| found.value.target.key(caller) == target.key(caller));
    match (own, asked) {
        (Some(deployment), _) => Ok(output_view(&deployment.value.outputs)),
        (None, None) => Ok(Vec::new()),
        (None, Some(asked)) => Err(Error::validation(format!(
            "deploymentId: {} has no deployment {asked}",
            target.arn(caller)
        ))),
    }
}

/// What the last success of a resource provisioned.
pub(super) async fn resources<R: Deploys>(
    plane: &ControlPlane,
    caller: &Caller,
    resource: &R,
) -> Result<Vec<pb::ProvisionedResource>, Error> {
    let Some(id) = &resource.deployable().succeeded else {
        return Ok(Vec::new());
    };
    let deployment = plane.deployment(caller, id).await?;
    let provisioned = deployment.map_or(Vec::new(), |deployment| deployment.value.resources);
    Ok(provisioned.into_iter().map(resource_view).collect())
}

fn output_view(outputs: &Outputs) -> Vec<pb::Output> {
    let view = |(key, value): &(String, String)| pb::Output {
        key: Some(key.clone()),
        value_string: Some(value.clone()),
    };
    outputs.iter().map(view).collect()
}

fn resource_view(resource: ProvisionedResource) -> pb::ProvisionedResource {
    let engine = match resource.engine {
        ProvisioningEngine::CloudFormation => pb::ProvisionedResourceEngine::Cloudformation,
        ProvisioningEngine::Terraform => pb::ProvisionedResourceEngine::Terraform,
    };
    pb::ProvisionedResource {
        identifier: Some(resource.identifier),
        name: Some(resource.name),
        provisioning_engine: Some(engine.into()),
    }
}

/// Lists whose answers are one page have a token all the same, which is never given.
pub(super) fn check_no_token(token: Option<&str>) -> Result<(), Error> {
    match token {
        None | Some("") => Ok(()),
        Some(_) => Err(Error::validation("nextToken: this list has a single page")),
    }
}

pub(super) async fn get_deployment(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetDeploymentRequest,
) -> Result<pb::GetDeploymentResponse, Error> {
    check_service_named(
        request.service_name.as_deref(),
        request.service_instance_name.as_deref(),
    )?;
    let found = plane.deployment(caller, &request.id).await?;
    let narrowed = |deployment: &Deployment| {
        let target = &deployment.target;
        let fits =
            |asked: &Option<String>, has: Option<&str>| asked.is_none() || asked.as_deref() == has;
        fits(&request.environment_name, Some(target.environment()))
            && fits(&request.service_name, target.service())
            && fits(&request.service_instance_name, target.instance())
            && fits(&request.component_name, target.component())
    };
    let deployment = found
        .filter(|found| narrowed(&found.value))
        .ok_or_else(|| not_found(&request.id))?;
    Ok(pb::GetDeploymentResponse {
        deployment: Some(full_view(plane, caller, &deployment).await?),
    })
}

fn not_found(id: &str) -> Error {
    Error::not_found(format!("deployment {id} does not exist"))
}

fn check_service_named(service: Option<&str>, instance: Option<&str>) -> Result<(), Error> {
    match (service, instance) {
        (None, Some(_)) => Err(Error::validation(
            "serviceInstanceName: serviceName must be given with it",
        )),
        _ => Ok(()),
    }
}

pub(super) async fn list_deployments(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::ListDeploymentsRequest,
) -> Result<pb::ListDeploymentsResponse, Error> {
    let (most, token) = (request.max_results.take(), request.next_token.take());
    let page = Page::of::<operation::ListDeployments>(caller, &request, most, token)?;
    let narrows = narrows(&request)?;
    for narrow in &narrows {
        if plane.store().get(&narrow.key(caller)).await?.is_none() {
            return Err(narrow.not_found());
        }
    }
    let found = match narrows.last() {
        None => all(plane, caller, &page).await?,
        Some(_) => belonging(plane, caller, &page, &narrows).await?,
    };
    let (found, next_token) = page.cut(found, |deployment| deployment.id.clone());
    let deployments = found.iter().map(|deployment| summary(caller, deployment));
    Ok(pb::ListDeploymentsResponse {
        deployments: deployments.collect(),
        next_token,
    })
}

/// The filters of a request, the narrowest last.
fn narrows(request: &pb::ListDeploymentsRequest) -> Result<Vec<Narrow<'_>>, Error> {
    let (service, instance) = (
        request.service_name.as_deref(),
        request.service_instance_name.as_deref(),
    );
    check_service_named(service, instance)?;
    let mut all = Vec::new();
    all.extend(request.environment_name.as_deref().map(Narrow::Environment));
    all.extend(service.map(Narrow::Service));
    all.extend(
        service
            .zip(instance)
            .map(|(service, name)| Narrow::Instance(service, name)),
    );
    all.extend(request.component_name.as_deref().map(Narrow::Component));
    Ok(all)
}

async fn all(plane: &ControlPlane, caller: &Caller, page: &Page) -> Result<Vec<Deployment>, Error> {
    let scope = caller.scope();
    let records = plane.store().list(Range {
        scope: &scope,
        kind: Kind::Deployment,
        prefix: "",
        after: page.after(),
        limit: u32::try_from(page.look_for()).expect("pages are small"),
        order: Order::Descending,
    });
    let records = records.await?;
    Ok(records
        .iter()
        .map(|record| record.read())
        .collect::<Result<_, _>>()?)
}

/// The deployments that belong to all of these, found by the narrowest.
async fn belonging(
    plane: &ControlPlane,
    caller: &Caller,
    page: &Page,
    narrows: &[Narrow<'_>],
) -> Result<Vec<Deployment>, Error> {
    let scope = caller.scope();
    let entries: Vec<String> = narrows.iter().map(|narrow| narrow.entry(&scope)).collect();
    let narrowest = entries.last().expect("there is a filter");
    let limit = u32::try_from(page.look_for()).expect("pages are small");
    let mut after = page.after().map(|id| key(caller, id));
    let mut found = Vec::new();
    loop {
        let records = plane
            .store()
            .list_by(
                BELONGS_TO,
                narrowest,
                after.as_ref(),
                limit,
                Order::Descending,
            )
            .await?;
        let last = records.last().map(|record| record.key.clone());
        let full = records.len() == limit as usize;
        for record in records {
            let deployment: Deployment = record.read()?;
            let has: Vec<String> = deployment
                .target
                .belongs_to()
                .into_iter()
                .map(|narrow| narrow.entry(&scope))
                .collect();
            if entries.iter().all(|entry| has.contains(entry)) {
                found.push(deployment);
            }
        }
        if !full || found.len() >= page.look_for() {
            found.truncate(page.look_for());
            return Ok(found);
        }
        after = last;
    }
}

pub(super) async fn delete_deployment(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::DeleteDeploymentRequest,
) -> Result<pb::DeleteDeploymentResponse, Error> {
    /// The part of a record that tells which deployments its resource needs.
    #[derive(Deserialize)]
    struct Holder {
        deployable: Held,
    }
    #[derive(Deserialize)]
    struct Held {
        succeeded: Option<String>,
        sent: Option<String>,
    }

    let mut attempts = super::attempts::Attempts::default();
    loop {
        let deployment = plane
            .deployment(caller, &request.id)
            .await?
            .ok_or_else(|| not_found(&request.id))?;
        if deployment.value.status.is_busy() {
            return Err(Error::validation("id: the deployment is under way"));
        }
        let target_key = deployment.value.target.key(caller);
        let holder = plane.store().get(&target_key).await?;
        let mut change = Change::new();
        if let Some(record) = holder {
            let held = record.read::<Holder>()?.deployable;
            let id = Some(&request.id);
            if held.succeeded.as_ref() == id || held.sent.as_ref() == id {
                return Err(Error::validation(
                    "id: the outputs and resources of its target depend on the deployment",
                ));
            }
            // Lest the target begin to depend on it meanwhile.
            change = change.expect(super::store::Expect::Rev(record.key.clone(), record.rev));
        }
        let view = full_view(plane, caller, &deployment).await?;
        let key = &deployment.key;
        let change = [Blob::Initial, Blob::Wanted, Blob::Rendering]
            .into_iter()
            .fold(change, |change, what| change.delete_blob(blob(key, what)))
            .delete(key.clone(), deployment.rev);
        match plane.store().commit(change).await {
            Ok(_) => {
                return Ok(pb::DeleteDeploymentResponse {
                    deployment: Some(view),
                });
            }
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

/// The members that deployments show, in full and in lists.
macro_rules! view {
    ($message:ident, $caller:expr, $deployment:expr $(, $more:ident: $value:expr)*) => {
        pb::$message {
            arn: $deployment.arn($caller),
            completed_at: $deployment.completed_at_ms.and_then(timestamp),
            component_name: $deployment.target.component().map(str::to_owned),
            created_at: $deployment.envelope.created_at(),
            deployment_status: pb::DeploymentStatus::from($deployment.status).into(),
            environment_name: $deployment.target.environment().to_owned(),
            id: $deployment.id.clone(),
            last_attempted_deployment_id: $deployment.attempted_before.clone(),
            last_modified_at: $deployment.envelope.last_modified_at(),
            last_succeeded_deployment_id: $deployment.succeeded_before.clone(),
            service_instance_name: $deployment.target.instance().map(str::to_owned),
            service_name: $deployment.target.service().map(str::to_owned),
            target_arn: $deployment.target.arn($caller),
            target_resource_created_at: timestamp($deployment.target_created_at_ms),
            target_resource_type: $deployment.target.resource_type().into(),
            $($more: $value,)*
        }
    };
}

fn summary(caller: &Caller, deployment: &Deployment) -> pb::DeploymentSummary {
    view!(DeploymentSummary, caller, deployment)
}

async fn full_view(
    plane: &ControlPlane,
    caller: &Caller,
    deployment: &Loaded<Deployment>,
) -> Result<pb::Deployment, Error> {
    let state = async |what| -> Result<Option<pb::DeploymentState>, Error> {
        let bytes = plane.store().blob(&blob(&deployment.key, what)).await?;
        let state = bytes.as_deref().map(pb::DeploymentState::decode);
        Ok(state.transpose().expect("only states are kept as states"))
    };
    let (initial, wanted) = (state(Blob::Initial).await?, state(Blob::Wanted).await?);
    Ok(view!(
        Deployment,
        caller,
        deployment.value,
        deployment_status_message: deployment.value.message.clone(),
        initial_state: initial,
        target_state: wanted
    ))
}
