//! `DeleteService`: everything the service consists of is taken down at once.

use super::super::deployment::{self, When};
use super::super::service_instance;
use super::update::check_unattached;
use super::*;

/// Deletes the service, or says that it is being deleted. Of one that is not there nothing is known, which is no error.
pub(in super::super) async fn delete_service(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::DeleteServiceRequest,
) -> Result<pb::DeleteServiceResponse, Error> {
    let mut attempts = Attempts::default();
    loop {
        let Some((mut service, mut pipeline)) = read(plane, caller, &request.name).await? else {
            return Ok(pb::DeleteServiceResponse::default());
        };
        if service.value.operation != Some(Operation::Delete) {
            let change = begin(plane, caller, &mut service, pipeline.as_mut()).await?;
            if let Err(refusal) = plane.store().commit(change).await {
                attempts.again(refusal)?;
                continue;
            }
        }
        return Ok(pb::DeleteServiceResponse {
            service: Some(view(caller, &service.value, value(&pipeline))),
        });
    }
}

async fn begin(
    plane: &ControlPlane,
    caller: &Caller,
    service: &mut Loaded<Service>,
    pipeline: Option<&mut Loaded<Pipeline>>,
) -> Result<Change, Error> {
    if service.value.status != Status::DeleteFailed {
        service.value.check_idle()?;
    }
    let mut change = Change::new();
    for mut instance in service_instance::all(plane, caller, &service.value.name).await? {
        let named = instance.value.named();
        instance.value.deployable.check_idle(&named)?;
        check_unattached(plane, caller, &instance.value).await?;
        let taken_down = deployment::next(plane, caller, &mut instance.value, None, When::Now);
        change = change.and(taken_down).and(instance.write(plane));
    }
    if let Some(pipeline) = pipeline {
        let named = pipeline.value.named();
        pipeline.value.deployable.check_idle(&named)?;
        let taken_down = deployment::next(plane, caller, &mut pipeline.value, None, When::Now);
        change = change.and(taken_down).and(pipeline.write(plane));
    }
    let now_ms = plane.now_ms();
    service.value.status = Status::DeleteInProgress;
    service.value.message = None;
    service.value.operation = Some(Operation::Delete);
    service.value.envelope.last_modified_at_ms = now_ms;
    Ok(change
        .and(service.write(plane))
        .enqueue(work::work(service.key.clone(), now_ms)))
}
