//! Carries out deployments: renders what is wanted, drives the engine, and ends the deployment together with its resource.
//!
//! ```text
//! Rendering ──► Provisioning ──► Ended
//!  the rendering is kept        outcome, resource and follow-ups in one change
//!  before any engine sees it
//! ```
//! Each step is committed before the next begins, and engines are told the deployment's id, so a step that a crash repeats does
//! no harm. An item of work names the turn it is for: cancelling and notifying take the deployment to its next turn, and an
//! item that is left over then ends without effect.

use serde::{Deserialize, Serialize};

use super::attend::{Setback, Step};
use super::{after, render_in_background};
use crate::api::Error;
use crate::control_plane::component::Component;
use crate::control_plane::deployable::{Deploys, Place, Status, Trouble};
use crate::control_plane::deployment::{self, Blob, Deployment, Phase, Target, blob};
use crate::control_plane::environment::Environment;
use crate::control_plane::provision::{
    self, Action, Order, Outcome, Progress, ProvisionedResource,
};
use crate::control_plane::render::{self, Method, Rendering};
use crate::control_plane::resource::Loaded;
use crate::control_plane::service_instance::ServiceInstance;
use crate::control_plane::service_pipeline::Pipeline;
use crate::control_plane::store::{self, Change, Key, NewWork, Work};
use crate::control_plane::{Caller, ControlPlane};

pub(super) const KIND: &str = "deployment";

const CANCELLED: &str = "User initiated cancellation.";

#[derive(Serialize, Deserialize)]
struct Payload {
    turn: u32,
}

/// The work to do for a deployment, at the turn it is at.
pub(in crate::control_plane) fn work(deployment: Key, turn: u32, run_at_ms: i64) -> NewWork {
    NewWork::new(KIND, deployment, run_at_ms, &Payload { turn })
}

pub(super) async fn perform(plane: &ControlPlane, work: &Work) -> Result<Step, Setback> {
    let Some(deployment) = load(plane, work).await? else {
        return Ok(Step::Done(Change::new()));
    };
    match &deployment.value.target {
        Target::Environment { .. } => step::<Environment>(plane, deployment).await,
        Target::ServiceInstance { .. } => step::<ServiceInstance>(plane, deployment).await,
        Target::Pipeline { .. } => step::<Pipeline>(plane, deployment).await,
        Target::Component { .. } => step::<Component>(plane, deployment).await,
    }
}

pub(super) async fn give_up(
    plane: &ControlPlane,
    work: &Work,
    why: &str,
) -> Result<Change, store::Error> {
    let Some(deployment) = load(plane, work).await? else {
        return Ok(Change::new());
    };
    let message = why.to_owned();
    end(plane, deployment, Outcome::Failed { message }, None).await
}

/// The deployment, if the work is still for its turn.
async fn load(
    plane: &ControlPlane,
    work: &Work,
) -> Result<Option<Loaded<Deployment>>, store::Error> {
    let Some(record) = plane.store().get(&work.subject).await? else {
        return Ok(None);
    };
    let deployment = Loaded::<Deployment>::of(record)?;
    let turn = work
        .payload
        .read::<Payload>()
        .map(|payload| payload.turn)
        .ok();
    Ok(Some(deployment)
        .filter(|found| found.value.status.is_busy() && turn == Some(found.value.turn)))
}

/// Takes the deployment of a resource one step further.
async fn step<R: Deploys>(
    plane: &ControlPlane,
    deployment: Loaded<Deployment>,
) -> Result<Step, Setback> {
    let outcome = match deployment.value.phase {
        Phase::Rendering | Phase::Waiting if deployment.value.status == Status::Cancelling => {
            Outcome::Cancelled
        }
        Phase::Rendering => match prepare::<R>(plane, &deployment).await {
            Ok(Some((rendering, place))) => {
                let change = send::<R>(plane, deployment, &rendering, place).await?;
                return Ok(Step::Later {
                    change,
                    at_ms: plane.now_ms(),
                });
            }
            Ok(None) => Outcome::Succeeded {
                outputs: Vec::new(),
                resources: Vec::new(),
            },
            Err(Trouble::Unfit(message)) => Outcome::Failed { message },
            Err(Trouble::Setback(setback)) => return Err(setback),
        },
        Phase::Provisioning { .. } => match advance(plane, &deployment).await? {
            Progress::Ended(outcome) => outcome,
            Progress::Underway {
                memo,
                look_again_after,
            } => {
                let change = remember(plane, deployment, memo);
                return Ok(match look_again_after {
                    Some(pause) => Step::Later {
                        change,
                        at_ms: after(plane, pause),
                    },
                    None => Step::Done(change),
                });
            }
        },
        Phase::Waiting | Phase::Ended => return Ok(Step::Done(Change::new())),
    };
    Ok(Step::Done(
        end_of::<R>(plane, deployment, outcome, None).await?,
    ))
}

/// What is to be sent, and where; nothing if there is nothing to take down.
async fn prepare<R: Deploys>(
    plane: &ControlPlane,
    deployment: &Loaded<Deployment>,
) -> Result<Option<(Rendering, Place)>, Trouble> {
    let caller = Caller::of(&deployment.key);
    let Some(resource) = plane
        .load::<R>(&deployment.value.target.key(&caller))
        .await?
    else {
        return Err(Trouble::Unfit("the resource is gone".to_owned()));
    };
    let rendering = match deployment.value.action {
        Action::Provision => {
            let prepared = resource
                .value
                .prepare(plane, &caller, &deployment.value.id)
                .await?;
            render_in_background(plane, prepared).await?
        }
        Action::Deprovision => {
            let Some(sent) = resource.value.deployable().sent.as_deref() else {
                return Ok(None);
            };
            let key = Key {
                id: sent.to_owned(),
                ..deployment.key.clone()
            };
            let sent = sent_by(plane, &key).await?;
            render::deleted(&sent)
        }
    };
    let place = resource
        .value
        .place(plane, &caller, rendering.method)
        .await?;
    Ok(Some((rendering, place)))
}

/// Keeps the rendering and hands the deployment over to the engine.
async fn send<R: Deploys>(
    plane: &ControlPlane,
    mut deployment: Loaded<Deployment>,
    rendering: &Rendering,
    place: Place,
) -> Result<Change, store::Error> {
    let caller = Caller::of(&deployment.key);
    deployment.value.phase = Phase::Provisioning {
        method: rendering.method,
        place,
        memo: serde_json::Value::Null,
    };
    deployment.value.envelope.last_modified_at_ms = plane.now_ms();
    let mut change = deployment
        .write(plane)
        .put_blob(blob(&deployment.key, Blob::Rendering), rendering.pack());
    let record = plane
        .store()
        .get(&deployment.value.target.key(&caller))
        .await?;
    if let Some(record) = record {
        let mut resource = Loaded::<R>::of(record)?;
        resource.value.deployable_mut().sent = Some(deployment.value.id.clone());
        change = change.and(resource.write(plane));
    }
    Ok(change)
}

async fn advance(
    plane: &ControlPlane,
    deployment: &Loaded<Deployment>,
) -> Result<Progress, Setback> {
    let caller = Caller::of(&deployment.key);
    let rendering = sent_by(plane, &deployment.key).await?;
    let target = target(&caller, &deployment.value);
    let (method, order) = order(plane, &caller, &deployment.value, &target, &rendering);
    plane.engines().of(method).advance(&order).await
}

fn target(caller: &Caller, deployment: &Deployment) -> provision::Target {
    provision::Target {
        arn: deployment.target.arn(caller),
        kind: deployment.target.provisioned(),
        created_at_ms: deployment.target_created_at_ms,
    }
}

/// What the engine of this method is to do.
fn order<'a>(
    plane: &ControlPlane,
    caller: &'a Caller,
    deployment: &'a Deployment,
    target: &'a provision::Target,
    rendering: &'a Rendering,
) -> (Method, Order<'a>) {
    let Phase::Provisioning {
        method,
        place,
        memo,
    } = &deployment.phase
    else {
        unreachable!("only what is being provisioned is ordered");
    };
    let order = Order {
        deployment_id: &deployment.id,
        target,
        action: deployment.action,
        cancelling: deployment.status == Status::Cancelling,
        account_id: &place.account_id,
        region: caller.region(),
        role_arn: place.role_arn.as_deref(),
        rendering,
        tags: &place.tags,
        memo,
        started_at_ms: deployment.envelope.created_at_ms,
        now_ms: plane.now_ms(),
    };
    (*method, order)
}

/// What is there after a success that the engine did not see itself.
pub(in crate::control_plane) async fn handed_over(
    plane: &ControlPlane,
    deployment: &Loaded<Deployment>,
) -> Result<Vec<ProvisionedResource>, Error> {
    let rendering = deployment::rendering(plane, &deployment.key).await?;
    let (Some(rendering), Action::Provision) = (rendering, deployment.value.action) else {
        return Ok(Vec::new());
    };
    let caller = Caller::of(&deployment.key);
    let target = target(&caller, &deployment.value);
    let (_, order) = order(plane, &caller, &deployment.value, &target, &rendering);
    Ok(vec![provision::local::handed_over(&order)])
}

async fn sent_by(plane: &ControlPlane, deployment: &Key) -> Result<Rendering, Setback> {
    let rendering = deployment::rendering(plane, deployment).await?;
    Ok(rendering.ok_or("the rendering is not in the store")?)
}

fn remember(
    plane: &ControlPlane,
    mut deployment: Loaded<Deployment>,
    next: serde_json::Value,
) -> Change {
    let Phase::Provisioning { memo, .. } = &mut deployment.value.phase else {
        unreachable!("only what is being provisioned has a memo");
    };
    if *memo == next {
        return Change::new();
    }
    *memo = next;
    deployment.value.envelope.last_modified_at_ms = plane.now_ms();
    deployment.write(plane)
}

/// The change that ends the deployment and says so on its resource, with a note if the outcome has no message of its own.
pub(in crate::control_plane) async fn end(
    plane: &ControlPlane,
    deployment: Loaded<Deployment>,
    outcome: Outcome,
    note: Option<String>,
) -> Result<Change, store::Error> {
    match &deployment.value.target {
        Target::Environment { .. } => end_of::<Environment>(plane, deployment, outcome, note).await,
        Target::ServiceInstance { .. } => {
            end_of::<ServiceInstance>(plane, deployment, outcome, note).await
        }
        Target::Pipeline { .. } => end_of::<Pipeline>(plane, deployment, outcome, note).await,
        Target::Component { .. } => end_of::<Component>(plane, deployment, outcome, note).await,
    }
}

async fn end_of<R: Deploys>(
    plane: &ControlPlane,
    mut deployment: Loaded<Deployment>,
    outcome: Outcome,
    note: Option<String>,
) -> Result<Change, store::Error> {
    let caller = Caller::of(&deployment.key);
    let (status, message) = conclusion(deployment.value.action, &outcome);
    let message = message.or(note);
    deployment
        .value
        .end(status, message.clone(), plane.now_ms());
    if let Outcome::Succeeded { outputs, resources } = outcome {
        // What was handed over by notification is what the author means, whatever the engine finds.
        if deployment.value.outputs.is_empty() {
            deployment.value.outputs = outputs;
        }
        deployment.value.resources = resources;
    }
    let change = deployment.write(plane);

    let record = plane
        .store()
        .get(&deployment.value.target.key(&caller))
        .await?;
    let Some(record) = record else {
        return Ok(change);
    };
    let mut resource = Loaded::<R>::of(record)?;
    if resource.value.deployable().attempted != deployment.value.id {
        return Ok(change);
    }
    resource.value.deployable_mut().end(status, message);
    let change = match status {
        Status::DeleteComplete => change.and(resource.delete(plane)),
        _ => change.and(resource.write(plane)),
    };
    R::settled(plane, &caller, &resource, status, change).await
}

/// How a deployment ends that has come to this outcome.
fn conclusion(action: Action, outcome: &Outcome) -> (Status, Option<String>) {
    match (action, outcome) {
        (Action::Provision, Outcome::Succeeded { .. }) => (Status::Succeeded, None),
        (Action::Provision, Outcome::Failed { message }) => (Status::Failed, Some(message.clone())),
        (Action::Provision, Outcome::Cancelled) => (Status::Cancelled, Some(CANCELLED.to_owned())),
        (Action::Deprovision, Outcome::Succeeded { .. }) => (Status::DeleteComplete, None),
        (Action::Deprovision, Outcome::Failed { message }) => {
            (Status::DeleteFailed, Some(message.clone()))
        }
        (Action::Deprovision, Outcome::Cancelled) => {
            (Status::DeleteFailed, Some(CANCELLED.to_owned()))
        }
    }
}
