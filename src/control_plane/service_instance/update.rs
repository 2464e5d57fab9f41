//! `UpdateServiceInstance`: another version, or other inputs from its own section of a spec.

use pb::DeploymentUpdateType as UpdateType;

use super::super::attempts::Attempts;
use super::super::bundle::PartKind;
use super::super::component;
use super::super::deployment::{self, When};
use super::super::idempotency::Fingerprint;
use super::super::preview;
use super::super::service_pipeline::{self, Pipeline};
use super::super::service_sync::blocker::{self, Deed};
use super::super::spec::ServiceSpec;
use super::super::store::Expect;
use super::super::version_choice::{self, Asked};
use super::create::no_section;
use super::*;

pub(in super::super) async fn update_service_instance(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::UpdateServiceInstanceRequest,
) -> Result<pb::UpdateServiceInstanceResponse, Error> {
    let fingerprint = Fingerprint::take::<operation::UpdateServiceInstance>(&mut request);
    let token_key = fingerprint.token_key(caller);
    let answer = |instance: &ServiceInstance| pb::UpdateServiceInstanceResponse {
        service_instance: Some(view(caller, instance)),
    };
    let mut attempts = Attempts::default();
    loop {
        let used = match &token_key {
            Some(key) => plane.store().get(key).await?,
            None => None,
        };
        let mut instance = load(plane, caller, &request.service_name, &request.name).await?;
        let (id, created_at_ms) = (&instance.key.id, instance.value.envelope.created_at_ms);
        let now_ms = plane.now_ms();
        if fingerprint.is_repeat(used.as_ref(), id, created_at_ms, now_ms)? {
            return Ok(answer(&instance.value));
        }
        if request.deployment_type() == UpdateType::None {
            check_nothing(&request)?;
            return Ok(answer(&instance.value));
        }
        let mut change = deploy(plane, caller, &mut instance.value, &request).await?;
        instance.value.envelope.edit(now_ms);
        instance.value.last_client_request_token = fingerprint.client_token.clone();
        change = change.and(instance.write(plane));
        if let Some(token_key) = token_key.clone() {
            let id = &instance.key.id;
            change = change.put(fingerprint.remember_update(
                token_key,
                used.as_ref(),
                id,
                created_at_ms,
                now_ms,
            ));
        }
        match plane.store().commit(change).await {
            Ok(_) => return Ok(answer(&instance.value)),
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

fn asked(request: &pb::UpdateServiceInstanceRequest) -> Asked<'_> {
    Asked {
        major: request.template_major_version.as_deref(),
        minor: request.template_minor_version.as_deref(),
    }
}

/// The instance as the call would leave it.
pub(in super::super) async fn updated(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UpdateServiceInstanceRequest,
) -> Result<ServiceInstance, Error> {
    let instance = load(plane, caller, &request.service_name, &request.name).await?;
    let mut instance = instance.value;
    if request.deployment_type() == UpdateType::None {
        check_nothing(&request)?;
        return Err(preview::deploys_nothing());
    }
    deploy(plane, caller, &mut instance, &request).await?;
    Ok(instance)
}

/// An instance has nothing that could be changed without a deployment.
fn check_nothing(request: &pb::UpdateServiceInstanceRequest) -> Result<(), Error> {
    version_choice::check_none(asked(request), "NONE")?;
    match request.spec {
        None => Ok(()),
        Some(_) => Err(Error::validation(
            "spec: must not be given with deploymentType NONE",
        )),
    }
}

/// Begins the deployment, and answers with what else is to be written.
async fn deploy(
    plane: &ControlPlane,
    caller: &Caller,
    instance: &mut ServiceInstance,
    request: &pb::UpdateServiceInstanceRequest,
) -> Result<Change, Error> {
    let service = service::load(plane, caller, &instance.service).await?;
    service.value.check_idle()?;
    instance.deployable.check_idle(&instance.named())?;
    let component = component::attached(plane, caller, &instance.service, &instance.name).await?;
    if let Some(component) = component.as_ref().filter(|component| component.is_busy) {
        return Err(Error::conflict(format!(
            "component {:?}, which is attached to {}, is being deployed",
            component.name,
            instance.named()
        )));
    }

    let (current, how) = (
        &instance.deployable.current.version,
        request.deployment_type(),
    );
    let (of, number) = (Type::Service, current.number);
    let chosen = version_choice::for_update(
        plane,
        caller,
        of,
        &current.template,
        number,
        how,
        asked(request),
    )
    .await?;
    let of_service = ServiceSpec::parse(&service.value.spec)?;
    let (spec, text) = match &request.spec {
        Some(given) => service::filled(given, &of_service)?,
        None => (ServiceSpec::parse(&current.spec)?, current.spec.clone()),
    };
    let section = spec
        .instance(&instance.name)
        .ok_or_else(|| no_section(&instance.name))?;
    if section.environment != instance.environment {
        return Err(Error::validation(format!(
            "spec: {} stays in environment {:?}",
            instance.named(),
            instance.environment
        )));
    }
    spec.instance_inputs(&chosen.bundle.schema, &instance.name)?;
    let method = chosen.method_of(PartKind::ServiceInstance);
    version_choice::check_switch(&instance.named(), current.method, Some(method))?;
    let moves = how == UpdateType::MajorVersion;
    let environment =
        provisioning::check(plane, caller, &instance.environment, &chosen, moves).await?;
    let pipeline = service_pipeline::key(caller, &instance.service);
    let pipeline = plane.load::<Pipeline>(&pipeline).await?;

    let mut change = Change::new()
        .expect(Expect::Rev(service.key, service.rev))
        .expect(Expect::Present(chosen.key));
    if let Some(component) = &component {
        change = change.expect(Expect::Rev(component.key.clone(), component.rev));
    }
    let wanted = State {
        version: FromTemplate {
            template: current.template.clone(),
            number: chosen.number,
            spec: text,
            method: Some(method),
        },
        upstream: Upstream {
            environment: environment.value.deployable.succeeded,
            pipeline: pipeline.and_then(|pipeline| pipeline.value.deployable.succeeded),
            component: component.map(|component| AttachedComponent {
                name: component.name,
                deployment: component.succeeded,
            }),
        },
    };
    let change = change.and(deployment::next(
        plane,
        caller,
        instance,
        Some(wanted),
        When::Now,
    ));
    let deeds = [(&*instance.name, Deed::Updated)];
    blocker::block(plane, caller, change, &instance.service, &deeds).await
}
