//! Deployments: the record of each attempt to bring a resource into a state, or to take it down.
//!
//! A deployment is accepted in one change with its resource and its work (`first`, `next`); `reconcile/deployment` renders it, drives
//! an engine, and ends it together with its resource. What it was asked for and what it sent stay readable in blobs beside it,
//! since lists need neither.
//!
//! Ids are UUIDs whose first 48 bits are the time, so that deployments order by age.

mod operations;
mod target;

use prost::Message as _;
use serde::{Deserialize, Serialize};

pub(super) use operations::{delete_deployment, get_deployment, list_deployments};
pub(super) use target::Target;

use super::deployable::{Deployable, Deploys, Place, Status};
use super::provision::{Action, ProvisionedResource, ProvisioningEngine};
use super::reconcile::deployment as work;
use super::render::{Method, Outputs, Rendering};
use super::resource::{self, Envelope, Loaded, Resource};
use super::store::{Change, Index, Key, Kind, Put};
use super::{Caller, ControlPlane};
use crate::api::{Error, pb};

/// From `<scope>/<what>` to the deployments that have to do with it; see [`Target::belongs_to`].
const BELONGS_TO: Index = Index::new("deployment_of");

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
    change.and(resource::create(plane, key, &deployment))
}

/// Lets a deployment begin that waited for others, in the change that also says why.
pub(super) fn release(plane: &ControlPlane, waiting: &mut Loaded<Deployment>) -> Change {
    let now_ms = plane.now_ms();
    waiting.value.phase = Phase::Rendering;
    waiting.value.turn += 1;
    waiting.value.envelope.last_modified_at_ms = now_ms;
    let work = work::work(waiting.key.clone(), waiting.value.turn, now_ms);
    waiting.write(plane).enqueue(work)
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
    Ok(resource
        .write(plane)
        .and(deployment.write(plane))
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
