//! `CreateServiceInstance`, and what the operations that make several instances at once share with it.

use super::super::attempts::Attempts;
use super::super::bundle::PartKind;
use super::super::deployment::{self, When};
use super::super::idempotency::Fingerprint;
use super::super::resource::{self, Tags};
use super::super::service::Service;
use super::super::service_pipeline::{self, Pipeline};
use super::super::service_sync::blocker::{self, Deed};
use super::super::spec::ServiceSpec;
use super::super::store::{CommitError, Expect, Record};
use super::super::version_choice::{self, Asked, Chosen};
use super::*;

/// The parts of an instance that do not follow from the spec.
pub(in super::super) struct Origin<'a> {
    pub(in super::super) service: &'a Service,
    /// The service's pipeline, if it has one that has been deployed.
    pub(in super::super) pipeline: Option<&'a Pipeline>,
    pub(in super::super) chosen: &'a Chosen,
    /// The spec and its text.
    pub(in super::super) spec: &'a ServiceSpec,
    pub(in super::super) text: &'a str,
}

impl Origin<'_> {
    /// An instance of the spec, and the change that makes it.
    pub(in super::super) async fn first(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        name: &str,
        own_tags: Tags,
        fingerprint: Option<&Fingerprint>,
    ) -> Result<(ServiceInstance, Change), Error> {
        let Self {
            service,
            chosen,
            spec,
            ..
        } = self;
        let section = spec.instance(name).ok_or_else(|| no_section(name))?;
        spec.instance_inputs(&chosen.bundle.schema, name)?;
        let environment =
            provisioning::check(plane, caller, &section.environment, chosen, true).await?;
        let now_ms = plane.now_ms();
        let wanted = State {
            version: FromTemplate {
                template: chosen.template.name.clone(),
                number: chosen.number,
                spec: self.text.to_owned(),
                method: Some(chosen.method_of(PartKind::ServiceInstance)),
            },
            upstream: Upstream {
                environment: environment.value.deployable.succeeded.clone(),
                pipeline: self
                    .pipeline
                    .and_then(|pipeline| pipeline.deployable.succeeded.clone()),
                component: None,
            },
        };
        let token = fingerprint.and_then(|fingerprint| fingerprint.client_token.clone());
        let mut instance = ServiceInstance {
            envelope: Envelope {
                request: fingerprint.map_or_else(String::new, |one| one.request.clone()),
                client_token: token.clone(),
                tags: tags::inherit(&service.envelope.tags, own_tags)?,
                managed_tags: managed_tags(
                    caller,
                    &service.envelope.managed_tags,
                    &service.name,
                    name,
                    &section.environment,
                ),
                ..Envelope::plain(now_ms)
            },
            service: service.name.clone(),
            name: name.to_owned(),
            environment: section.environment.clone(),
            last_client_request_token: token,
            standing: Standing::Kept,
            deployable: Deployable::first(&deployment::new_id(plane), wanted, now_ms),
        };
        let key = key(caller, &service.name, name);
        let change = deployment::first(plane, caller, &mut instance, When::Now)
            .and(resource::create_under(plane, &service.name, key, &instance))
            .expect(Expect::Rev(environment.key, environment.rev))
            .expect(Expect::Present(chosen.key.clone()));
        Ok((instance, change))
    }
}

/// A service holds so many instances; those that could not be taken down count.
pub(in super::super) fn quota(plane: &ControlPlane, caller: &Caller, service: &str) -> Expect {
    Expect::AtMost {
        scope: caller.scope(),
        kinds: vec![Kind::ServiceInstance],
        parent: Some(service.to_owned()),
        limit: plane.limits().instances_per_service,
    }
}

pub(super) fn no_section(name: &str) -> Error {
    Error::validation(format!("spec: it has no instance {name:?}"))
}

pub(in super::super) async fn create_service_instance(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::CreateServiceInstanceRequest,
) -> Result<pb::CreateServiceInstanceResponse, Error> {
    tags::sort(&mut request.tags);
    let fingerprint = Fingerprint::take::<operation::CreateServiceInstance>(&mut request);
    let token_key = fingerprint.token_key(caller);
    let answer = |instance: &ServiceInstance| pb::CreateServiceInstanceResponse {
        service_instance: Some(view(caller, instance)),
    };
    let mut attempts = Attempts::default();
    loop {
        let used = match &token_key {
            Some(key) => plane.store().get(key).await?,
            None => None,
        };
        if let Some(original) = original(plane, caller, &fingerprint, used.as_ref()).await? {
            return Ok(answer(&original));
        }
        let (instance, mut change) = make(plane, caller, &request, &fingerprint).await?;
        if let Some(token_key) = token_key.clone() {
            let key = key(caller, &request.service_name, &request.name);
            let now_ms = plane.now_ms();
            change = change.put(fingerprint.remember(token_key, used.as_ref(), &key.id, now_ms));
        }
        match plane.store().commit(change).await {
            Ok(_) => return Ok(answer(&instance)),
            Err(CommitError::Full { limit }) => return Err(full(&request.service_name, limit)),
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

/// The instance as the call would make it.
pub(in super::super) async fn created(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::CreateServiceInstanceRequest,
) -> Result<ServiceInstance, Error> {
    let fingerprint = Fingerprint::take::<operation::CreateServiceInstance>(&mut request);
    let (instance, change) = make(plane, caller, &request, &fingerprint).await?;
    match plane.store().full(&change).await? {
        None => Ok(instance),
        Some(limit) => Err(full(&request.service_name, limit)),
    }
}

fn full(service: &str, limit: i64) -> Error {
    Error::validation(format!(
        "service {service:?} holds {limit} instances, as many as it may"
    ))
}

/// The instance that an earlier call with the same client token made.
async fn original(
    plane: &ControlPlane,
    caller: &Caller,
    fingerprint: &Fingerprint,
    used: Option<&Record>,
) -> Result<Option<ServiceInstance>, Error> {
    let Some(id) = fingerprint.made(used, plane.now_ms())? else {
        return Ok(None);
    };
    let key = caller.key(Kind::ServiceInstance, id);
    let Some(instance) = plane.load::<ServiceInstance>(&key).await? else {
        return Ok(None);
    };
    let is_original = fingerprint.is_original(&instance.value.envelope)?;
    let original = is_original.then_some(instance.value);
    Ok(original.filter(ServiceInstance::is_visible))
}

/// The instance that is asked for, and the change that makes it and gives it a section in the service's spec.
async fn make(
    plane: &ControlPlane,
    caller: &Caller,
    request: &pb::CreateServiceInstanceRequest,
    fingerprint: &Fingerprint,
) -> Result<(ServiceInstance, Change), Error> {
    let mut service = service::load(plane, caller, &request.service_name).await?;
    service.value.check_idle()?;
    let name = &request.name;
    let key = key(caller, &service.value.name, name);
    if let Some(taken) = plane.load::<ServiceInstance>(&key).await? {
        let why = match taken.value.is_visible() {
            true => "exists already",
            false => {
                "was removed, but could not be taken down yet; the next edit of the service tries again"
            }
        };
        return Err(Error::conflict(format!("{} {why}", taken.value.named())));
    }
    let asked = Asked {
        major: request.template_major_version.as_deref(),
        minor: request.template_minor_version.as_deref(),
    };
    let template = &service.value.template;
    let chosen = version_choice::for_create(plane, caller, Type::Service, template, asked).await?;
    let mut of_service = ServiceSpec::parse(&service.value.spec)?;
    let (spec, text) = service::filled(&request.spec, &of_service)?;
    let pipeline = plane
        .load::<Pipeline>(&service_pipeline::key(caller, &service.value.name))
        .await?;
    let origin = Origin {
        service: &service.value,
        pipeline: pipeline.as_ref().map(|pipeline| &pipeline.value),
        chosen: &chosen,
        spec: &spec,
        text: &text,
    };
    let own_tags = tags::from_request(request.tags.clone())?;
    let (instance, change) = origin
        .first(plane, caller, name, own_tags, Some(fingerprint))
        .await?;
    of_service.with_instance(spec.instance(name).expect("it was found").clone());
    service.value.spec = of_service.to_yaml();
    service.value.envelope.edit(plane.now_ms());
    let change = change
        .and(service.write(plane))
        .expect(quota(plane, caller, &service.value.name));
    let deeds = [(&**name, Deed::Created)];
    let change = blocker::block(plane, caller, change, &service.value.name, &deeds).await?;
    Ok((instance, change))
}
