//! The deployments of a whole service: its new instances, those that go, and the pipeline that follows them.

use std::collections::HashMap;

use super::super::deployable::{Deploys as _, Trouble};
use super::super::foreseen::{self, Mentioned};
use super::super::reconcile::render_in_background;
use super::super::render::{Namespace, Outputs, deleted};
use super::super::service::{Service, Whole};
use super::super::service_instance::{self, ServiceInstance, Standing};
use super::super::service_pipeline::Pipeline;
use super::super::{Caller, ControlPlane, deployment};
use super::view;
use crate::api::pb::PreviewedDeployment;

pub(super) async fn deployments(
    plane: &ControlPlane,
    caller: &Caller,
    whole: Whole,
) -> Result<Vec<PreviewedDeployment>, Trouble> {
    let Whole {
        service,
        added,
        others,
        pipeline,
    } = whole;
    let (mut kept, gone): (Vec<_>, Vec<_>) = others
        .into_iter()
        .partition(|instance| instance.standing == Standing::Kept);
    let (mut previews, outputs) = additions(plane, caller, &service, &added).await?;
    for instance in &gone {
        previews.extend(removal(plane, caller, instance).await?);
    }
    if let Some(pipeline) = pipeline {
        service_instance::check_deployed(caller, &kept)?;
        kept.extend(added);
        previews.push(follow_up(plane, caller, &service, &pipeline, kept, outputs).await?);
    }
    Ok(previews)
}

/// The new instances, and the outputs that they will have, as far as that can be told.
async fn additions(
    plane: &ControlPlane,
    caller: &Caller,
    service: &Service,
    added: &[ServiceInstance],
) -> Result<(Vec<PreviewedDeployment>, HashMap<String, Outputs>), Trouble> {
    let (mut previews, mut outputs) = (Vec::new(), HashMap::new());
    for instance in added {
        let id = &instance.deployable.attempted;
        let prepared = service_instance::prepare_in(service, instance, plane, caller, id).await?;
        let sent = render_in_background(plane, prepared).await?;
        instance.place(plane, caller, sent.method).await?;
        let name = &instance.name;
        outputs.insert(name.clone(), foreseen::outputs(&sent, name));
        previews.push(view::deployment(caller, instance, false, sent));
    }
    Ok((previews, outputs))
}

/// What takes the instance down, if there is anything of it.
async fn removal(
    plane: &ControlPlane,
    caller: &Caller,
    instance: &ServiceInstance,
) -> Result<Option<PreviewedDeployment>, Trouble> {
    let Some(id) = &instance.deployable.sent else {
        return Ok(None);
    };
    let sent = deployment::rendering(plane, &deployment::key(caller, id)).await?;
    Ok(sent.map(|sent| view::deployment(caller, instance, true, deleted(&sent))))
}

/// The pipeline once the instances are there, the new ones with the outputs that are foreseen.
async fn follow_up(
    plane: &ControlPlane,
    caller: &Caller,
    service: &Service,
    pipeline: &Pipeline,
    instances: Vec<ServiceInstance>,
    mut foreseen: HashMap<String, Outputs>,
) -> Result<PreviewedDeployment, Trouble> {
    let instances = service_instance::rendered_of(plane, caller, service, instances).await?;
    let id = &pipeline.deployable().attempted;
    let mut prepared = pipeline
        .prepare_with(plane, caller, id, service, instances)
        .await?;
    let mentioned = Mentioned::of(&prepared.files);
    if let Namespace::Pipeline(seen) = &mut prepared.namespace {
        for instance in &mut seen.instances {
            if let Some(outputs) = foreseen.remove(&instance.name) {
                instance.outputs = outputs;
                mentioned.complete_instance(instance);
            }
        }
    }
    let sent = render_in_background(plane, prepared).await?;
    pipeline.place(plane, caller, sent.method).await?;
    Ok(view::deployment(caller, pipeline, false, sent))
}
