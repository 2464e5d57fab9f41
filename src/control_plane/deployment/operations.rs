//! The operations on deployments: get, list, delete.

use prost::Message as _;
use serde::Deserialize;

use super::target::Narrow;
use super::{BELONGS_TO, Blob, Deployment, blob, key};
use crate::api::{Error, operation, pb};
use crate::control_plane::attempts::Attempts;
use crate::control_plane::pagination::Page;
use crate::control_plane::resource::{Loaded, timestamp};
use crate::control_plane::store::{Change, Expect, Kind, Order, Range};
use crate::control_plane::{Caller, ControlPlane};

/// What deployments show as their environment that have none: the API insists on a name that environments can have.
const NO_ENVIRONMENT: &str = "no-environment";

pub(in crate::control_plane) async fn get_deployment(
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
        fits(&request.environment_name, target.environment())
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

pub(in crate::control_plane) async fn list_deployments(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::ListDeploymentsRequest,
) -> Result<pb::ListDeploymentsResponse, Error> {
    let (most, token) = (request.max_results.take(), request.next_token.take());
    let page = Page::of::<operation::ListDeployments>(caller, &request, most, token)?;
    let narrows = narrows(&request)?;
    for narrow in &narrows {
        if !narrow.is_known(plane, caller).await? {
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

pub(in crate::control_plane) async fn delete_deployment(
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

    let mut attempts = Attempts::default();
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
            change = change.expect(Expect::Rev(record.key.clone(), record.rev));
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
            environment_name: ($deployment.target.environment())
                .unwrap_or(NO_ENVIRONMENT)
                .to_owned(),
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
