//! `CreateComponent`.

use super::super::idempotency::Fingerprint;
use super::super::resource;
use super::super::store::Record;
use super::attachment::Host;
use super::provisioning;
use super::*;

pub(in super::super) async fn create_component(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::CreateComponentRequest,
) -> Result<pb::CreateComponentResponse, Error> {
    tags::sort(&mut request.tags);
    let fingerprint = Fingerprint::take::<operation::CreateComponent>(&mut request);
    let token_key = fingerprint.token_key(caller);
    let answer = |component: &Component| pb::CreateComponentResponse {
        component: Some(view(caller, component)),
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
        check_absent(plane, caller, &request.name).await?;
        let (component, mut change) = first(plane, caller, &request, &fingerprint).await?;
        if let Some(key) = token_key.clone() {
            let now_ms = plane.now_ms();
            change = change.put(fingerprint.remember(key, used.as_ref(), &request.name, now_ms));
        }
        match plane.store().commit(change).await {
            Ok(_) => return Ok(answer(&component)),
            Err(CommitError::Full { limit }) => return Err(full(limit)),
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

/// The component as the call would make it.
pub(in super::super) async fn created(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::CreateComponentRequest,
) -> Result<Component, Error> {
    let fingerprint = Fingerprint::take::<operation::CreateComponent>(&mut request);
    check_absent(plane, caller, &request.name).await?;
    let (component, change) = first(plane, caller, &request, &fingerprint).await?;
    match plane.store().full(&change).await? {
        None => Ok(component),
        Some(limit) => Err(full(limit)),
    }
}

async fn check_absent(plane: &ControlPlane, caller: &Caller, name: &str) -> Result<(), Error> {
    match plane.store().get(&key(caller, name)).await? {
        None => Ok(()),
        Some(_) => Err(Error::conflict(format!("{} exists already", named(name)))),
    }
}

fn full(limit: i64) -> Error {
    Error::quota_exceeded(format!(
        "the account holds {limit} components, as many as it may"
    ))
}

/// The component that is asked for, being deployed for the first time, and the change that makes it.
async fn first(
    plane: &ControlPlane,
    caller: &Caller,
    request: &pb::CreateComponentRequest,
    fingerprint: &Fingerprint,
) -> Result<(Component, Change), Error> {
    let (mut component, holds) = make(plane, caller, request, fingerprint).await?;
    let change = deployment::first(plane, caller, &mut component, When::Now)
        .and(holds)
        .and(resource::create(
            plane,
            key(caller, &request.name),
            &component,
        ))
        .expect(Expect::AtMost {
            scope: caller.scope(),
            kinds: vec![Kind::Component],
            parent: None,
            limit: plane.limits().components,
        });
    Ok((component, change))
}

/// The component that an earlier call with the same client token made.
async fn original(
    plane: &ControlPlane,
    caller: &Caller,
    fingerprint: &Fingerprint,
    used: Option<&Record>,
) -> Result<Option<Component>, Error> {
    let Some(name) = fingerprint.made(used, plane.now_ms())? else {
        return Ok(None);
    };
    let Some(component) = plane.load::<Component>(&key(caller, &name)).await? else {
        return Ok(None);
    };
    let is_original = fingerprint.is_original(&component.value.envelope)?;
    Ok(is_original.then_some(component.value))
}

/// The component that is asked for, and what must stay as it is for it.
async fn make(
    plane: &ControlPlane,
    caller: &Caller,
    request: &pb::CreateComponentRequest,
    fingerprint: &Fingerprint,
) -> Result<(Component, Change), Error> {
    let attached = attachment(request)?;
    let (manifest, _) = provisioning::part(&request.manifest, &request.template_file)?;
    let method = Method::of(&manifest);
    let host = match &attached {
        None => None,
        Some(to) => Some(Host::load(plane, caller, to).await?),
    };
    let name = environment_name(request, host.as_ref())?;
    let environment = environment::load(plane, caller, name).await?;
    provisioning::check(plane, caller, &environment.value, method).await?;
    let mut holds = Change::new().expect(Expect::Rev(environment.key, environment.rev));
    if let Some(host) = host {
        host.check_idle()?;
        host.check_free(plane, caller).await?;
        host.inputs(plane, caller, request.service_spec.as_deref())
            .await?;
        holds = host.take(plane, holds);
    }

    let now_ms = plane.now_ms();
    let wanted = State {
        attached,
        service_spec: request.service_spec.clone(),
        template_file: request.template_file.clone(),
    };
    let component = Component {
        envelope: Envelope {
            request: fingerprint.request.clone(),
            client_token: fingerprint.client_token.clone(),
            tags: tags::from_request(request.tags.clone())?,
            managed_tags: managed_tags(
                caller,
                &request.name,
                &environment.value.name,
                wanted.attached.as_ref(),
            ),
            ..Envelope::plain(now_ms)
        },
        name: request.name.clone(),
        description: request.description.clone(),
        environment: environment.value.name,
        manifest: request.manifest.clone(),
        method,
        last_client_request_token: fingerprint.client_token.clone(),
        deployable: Deployable::first(&deployment::new_id(plane), wanted, now_ms),
    };
    Ok((component, holds))
}

fn attachment(request: &pb::CreateComponentRequest) -> Result<Option<Attachment>, Error> {
    match (&request.service_name, &request.service_instance_name) {
        (Some(service), Some(instance)) => Ok(Some(Attachment {
            service: service.clone(),
            instance: instance.clone(),
        })),
        (None, None) if request.service_spec.is_some() => Err(Error::validation(
            "serviceSpec: must not be given without serviceName and serviceInstanceName",
        )),
        (None, None) => Ok(None),
        (Some(_), None) => Err(Error::validation(
            "serviceInstanceName: must be given with serviceName",
        )),
        (None, Some(_)) => Err(Error::validation(
            "serviceName: must be given with serviceInstanceName",
        )),
    }
}

/// The environment that is named, which is the instance's if there is one.
fn environment_name<'a>(
    request: &'a pb::CreateComponentRequest,
    host: Option<&'a Host>,
) -> Result<&'a str, Error> {
    match (
        request.environment_name.as_deref(),
        host.map(Host::environment),
    ) {
        (Some(given), Some(its)) if given != its => Err(Error::validation(format!(
            "environmentName: the service instance is in environment {its:?}"
        ))),
        (given, its) => its.or(given).ok_or_else(|| {
            Error::validation(
                "environmentName: must be given, or serviceName and serviceInstanceName",
            )
        }),
    }
}
