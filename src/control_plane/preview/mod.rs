//! What deployments send: of one that is only considered, and of one that was made. The Proton API knows nothing of it; for those who
//! write templates it is the shortest way from a spec to what the engine gets.
//!
//! A preview goes the way of its call up to the point where that one writes (`created` and `updated` of the families), then the
//! way of the deployments up to the point where those send.

mod service;
mod view;

pub(super) use view::content;

use super::deployable::{Deploys, Trouble};
use super::reconcile::render_in_background;
use super::{
    Caller, ControlPlane, component, deployment, environment, service as services,
    service_instance, service_pipeline,
};
use crate::api::{Error, pb};
use pb::previewed_call::Kind as Call;

pub(super) async fn preview_deployment(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::PreviewDeploymentRequest,
) -> Result<pb::PreviewDeploymentResponse, Error> {
    let Some(call) = request.call.and_then(|call| call.kind) else {
        unreachable!("validation insists on a call");
    };
    let deployments = match call {
        Call::CreateComponent(call) => {
            one(
                plane,
                caller,
                component::created(plane, caller, call).await?,
            )
            .await
        }
        Call::CreateEnvironment(call) => {
            one(
                plane,
                caller,
                environment::created(plane, caller, call).await?,
            )
            .await
        }
        Call::CreateService(call) => {
            let whole = services::created(plane, caller, call).await?;
            service::deployments(plane, caller, whole).await
        }
        Call::CreateServiceInstance(call) => {
            one(
                plane,
                caller,
                service_instance::created(plane, caller, call).await?,
            )
            .await
        }
        Call::UpdateComponent(call) => {
            one(
                plane,
                caller,
                component::updated(plane, caller, call).await?,
            )
            .await
        }
        Call::UpdateEnvironment(call) => {
            one(
                plane,
                caller,
                environment::updated(plane, caller, call).await?,
            )
            .await
        }
        Call::UpdateService(call) => {
            let whole = services::updated(plane, caller, call).await?;
            service::deployments(plane, caller, whole).await
        }
        Call::UpdateServiceInstance(call) => {
            one(
                plane,
                caller,
                service_instance::updated(plane, caller, call).await?,
            )
            .await
        }
        Call::UpdateServicePipeline(call) => {
            one(
                plane,
                caller,
                service_pipeline::updated(plane, caller, call).await?,
            )
            .await
        }
    };
    let deployments = deployments.map_err(refused)?;
    let first = deployments.first().ok_or_else(deploys_nothing)?;
    Ok(pb::PreviewDeploymentResponse {
        content: first.content.clone(),
        deployments,
    })
}

/// The deployment of a resource, which is in the state that a call would leave; none if the call deploys nothing.
async fn one<R: Deploys>(
    plane: &ControlPlane,
    caller: &Caller,
    resource: R,
) -> Result<Vec<pb::PreviewedDeployment>, Trouble> {
    let deployable = resource.deployable();
    if deployable.wanted.is_none() {
        return Ok(Vec::new());
    }
    let id = &deployable.attempted;
    let prepared = resource.prepare(plane, caller, id).await?;
    let sent = render_in_background(plane, prepared).await?;
    resource.place(plane, caller, sent.method).await?;
    Ok(vec![view::deployment(caller, &resource, false, sent)])
}

/// Of a call whose preview would be empty.
pub(super) fn deploys_nothing() -> Error {
    Error::validation("call: it deploys nothing")
}

fn refused(trouble: Trouble) -> Error {
    match trouble {
        Trouble::Unfit(message) => Error::validation(message),
        Trouble::Setback(cause) => {
            tracing::error!(
                error = &*cause as &dyn std::error::Error,
                "a preview failed"
            );
            Error::internal()
        }
    }
}

pub(super) async fn get_deployment_content(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetDeploymentContentRequest,
) -> Result<pb::GetDeploymentContentResponse, Error> {
    let id = &request.id;
    let deployment = plane
        .deployment(caller, id)
        .await?
        .ok_or_else(|| Error::not_found(format!("deployment {id} does not exist")))?;
    let sent = deployment::rendering(plane, &deployment.key).await?;
    let sent = sent.ok_or_else(|| Error::not_found(format!("deployment {id} has sent nothing")))?;
    Ok(pb::GetDeploymentContentResponse {
        content: Some(content(sent)),
    })
}
