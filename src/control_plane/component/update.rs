//! `UpdateComponent`: another file, other inputs, another instance or none, or another description.

use pb::ComponentDeploymentUpdateType as UpdateType;

use super::super::idempotency::Fingerprint;
use super::attachment::Host;
use super::provisioning;
use super::*;

pub(in super::super) async fn update_component(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::UpdateComponentRequest,
) -> Result<pb::UpdateComponentResponse, Error> {
    let fingerprint = Fingerprint::take::<operation::UpdateComponent>(&mut request);
    let token_key = fingerprint.token_key(caller);
    let answer = |component: &Component| pb::UpdateComponentResponse {
        component: Some(view(caller, component)),
    };
    let mut attempts = Attempts::default();
    loop {
        let mut component = load(plane, caller, &request.name).await?;
        let used = match &token_key {
            Some(key) => plane.store().get(key).await?,
            None => None,
        };
        let created_at_ms = component.value.envelope.created_at_ms;
        let now_ms = plane.now_ms();
        if fingerprint.is_repeat(used.as_ref(), &request.name, created_at_ms, now_ms)? {
            return Ok(answer(&component.value));
        }
        let named = component.value.named();
        component.value.deployable.check_idle(&named)?;
        let mut change = apply(plane, caller, &mut component.value, &request).await?;
        if let Some(key) = token_key.clone() {
            let former = used.as_ref();
            let update =
                fingerprint.remember_update(key, former, &request.name, created_at_ms, now_ms);
            change = change.put(update);
        }
        if fingerprint.client_token.is_some() {
            let token = fingerprint.client_token.clone();
            component.value.last_client_request_token = token;
        }
        match plane
            .store()
            .commit(change.and(component.write(plane)))
            .await
        {
            Ok(_) => return Ok(answer(&component.value)),
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

/// The component as the call would leave it.
pub(in super::super) async fn updated(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UpdateComponentRequest,
) -> Result<Component, Error> {
    let mut component = load(plane, caller, &request.name).await?.value;
    component.deployable.check_idle(&component.named())?;
    apply(plane, caller, &mut component, &request).await?;
    Ok(component)
}

/// Changes the component, and answers with what else is to be written.
async fn apply(
    plane: &ControlPlane,
    caller: &Caller,
    component: &mut Component,
    request: &pb::UpdateComponentRequest,
) -> Result<Change, Error> {
    let change = match request.deployment_type() {
        UpdateType::None => {
            check_none(request)?;
            Change::new()
        }
        UpdateType::CurrentVersion => deploy(plane, caller, component, request).await?,
        UpdateType::Unspecified => unreachable!("validation refuses the unspecified"),
    };
    if request.description.is_some() {
        component.description.clone_from(&request.description);
    }
    component.envelope.edit(plane.now_ms());
    Ok(change)
}

/// NONE changes the description alone.
fn check_none(request: &pb::UpdateComponentRequest) -> Result<(), Error> {
    let given = [
        ("serviceInstanceName", &request.service_instance_name),
        ("serviceName", &request.service_name),
        ("serviceSpec", &request.service_spec),
        ("templateFile", &request.template_file),
    ];
    match given.iter().find(|(_, value)| value.is_some()) {
        None => Ok(()),
        Some((member, _)) => Err(Error::validation(format!(
            "{member}: must not be given with deploymentType NONE"
        ))),
    }
}

async fn deploy(
    plane: &ControlPlane,
    caller: &Caller,
    component: &mut Component,
    request: &pb::UpdateComponentRequest,
) -> Result<Change, Error> {
    let wanted = next(&component.deployable.current, request)?;
    let environment = environment::load(plane, caller, &component.environment).await?;
    provisioning::check(plane, caller, &environment.value, component.method).await?;
    let mut holds = Change::new();
    let before = component.deployable.current.attached.clone();
    if wanted.attached != before
        && let Some(former) = &before
    {
        let host = Host::load(plane, caller, former).await?;
        host.check_idle()?;
        holds = host.keep(holds);
    }
    if let Some(to) = &wanted.attached {
        let host = Host::load(plane, caller, to).await?;
        if host.environment() != component.environment {
            return Err(Error::validation(format!(
                "serviceInstanceName: {} is in environment {:?}, not in {:?}",
                to.named(),
                host.environment(),
                component.environment
            )));
        }
        host.check_idle()?;
        if before.is_none() {
            host.check_free(plane, caller).await?;
        }
        host.inputs(plane, caller, wanted.service_spec.as_deref())
            .await?;
        holds = match before {
            None => host.take(plane, holds),
            Some(_) => host.keep(holds),
        };
    }
    component.envelope.managed_tags = managed_tags(
        caller,
        &component.name,
        &component.environment,
        wanted.attached.as_ref(),
    );
    Ok(deployment::next(plane, caller, component, Some(wanted), When::Now).and(holds))
}

/// What is asked for: what is given, and for the rest what is in force.
fn next(current: &State, request: &pb::UpdateComponentRequest) -> Result<State, Error> {
    let names = (
        request.service_name.as_deref(),
        request.service_instance_name.as_deref(),
    );
    let attached = match names {
        (None, None) => current.attached.clone(),
        (Some(""), Some("")) => None,
        (Some(service), Some(instance)) if !service.is_empty() && !instance.is_empty() => {
            Some(Attachment {
                service: service.to_owned(),
                instance: instance.to_owned(),
            })
        }
        _ => {
            return Err(Error::validation(
                "serviceName and serviceInstanceName: both must be given, both empty, or neither",
            ));
        }
    };
    if let (Some(now), Some(next)) = (&current.attached, &attached)
        && now != next
    {
        return Err(Error::validation(format!(
            "serviceInstanceName: the component is attached to {}, from which it must be detached first",
            now.named()
        )));
    }
    if attached.is_none() && request.service_spec.is_some() {
        return Err(Error::validation(
            "serviceSpec: must not be given for a component that is not attached",
        ));
    }
    let given = request.service_spec.clone();
    let kept = current.service_spec.clone().filter(|_| attached.is_some());
    let template_file = request.template_file.clone();
    Ok(State {
        attached,
        service_spec: given.or(kept),
        template_file: template_file.unwrap_or_else(|| current.template_file.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attached(to: Option<(&str, &str)>) -> State {
        State {
            attached: to.map(|(service, instance)| Attachment {
                service: service.to_owned(),
                instance: instance.to_owned(),
            }),
            service_spec: to.map(|_| "spec".to_owned()),
            template_file: "file".to_owned(),
        }
    }

    /// The state after an update with these names, or the rule that it breaks.
    fn named(
        current: &State,
        service: Option<&str>,
        instance: Option<&str>,
    ) -> Result<State, Error> {
        let request = pb::UpdateComponentRequest {
            service_name: service.map(str::to_owned),
            service_instance_name: instance.map(str::to_owned),
            ..Default::default()
        };
        next(current, &request)
    }

    #[test]
    fn what_is_absent_stays() {
        let current = attached(Some(("web", "dev")));
        assert_eq!(named(&current, None, None).unwrap(), current);
    }

    #[test]
    fn empty_names_detach_and_take_the_inputs_away() {
        let current = attached(Some(("web", "dev")));
        assert_eq!(named(&current, Some(""), Some("")).unwrap(), attached(None));
    }

    #[test]
    fn names_attach_what_is_detached_and_nothing_else() {
        let to = |instance| named(&attached(None), Some("web"), Some(instance));
        let next = to("dev").unwrap();
        assert_eq!(next.attached, attached(Some(("web", "dev"))).attached);
        assert!(named(&next, Some("web"), Some("dev")).is_ok());
        assert!(named(&next, Some("web"), Some("prod")).is_err());
    }

    #[test]
    fn names_come_in_pairs() {
        for (service, instance) in [
            (Some("web"), None),
            (None, Some("dev")),
            (Some("web"), Some("")),
            (Some(""), Some("dev")),
        ] {
            assert!(named(&attached(None), service, instance).is_err());
        }
    }

    #[test]
    fn a_detached_component_has_no_inputs() {
        let request = pb::UpdateComponentRequest {
            service_spec: Some("spec".to_owned()),
            ..Default::default()
        };
        assert!(next(&attached(None), &request).is_err());
    }
}
