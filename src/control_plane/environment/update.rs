//! `UpdateEnvironment`: another version, another spec, other means, or another description.

use pb::DeploymentUpdateType as UpdateType;

use super::super::version_choice::{self, Asked};
use super::create::outputs_of;
use super::provisioning::Given;
use super::*;

pub(in super::super) async fn update_environment(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UpdateEnvironmentRequest,
) -> Result<pb::UpdateEnvironmentResponse, Error> {
    let mut attempts = Attempts::default();
    loop {
        let mut environment = load(plane, caller, &request.name).await?;
        let named = environment.value.named();
        environment.value.deployable.check_idle(&named)?;
        let change = apply(plane, caller, &mut environment.value, &request).await?;
        let change = change.and(environment.write(plane));
        match plane.store().commit(change).await {
            Ok(_) => {
                return Ok(pb::UpdateEnvironmentResponse {
                    environment: Some(view(caller, &environment.value)),
                });
            }
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

/// The environment as the call would leave it.
pub(in super::super) async fn updated(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UpdateEnvironmentRequest,
) -> Result<Environment, Error> {
    let mut environment = load(plane, caller, &request.name).await?.value;
    environment.deployable.check_idle(&environment.named())?;
    apply(plane, caller, &mut environment, &request).await?;
    Ok(environment)
}

/// Changes the environment, and answers with what else is to be written.
async fn apply(
    plane: &ControlPlane,
    caller: &Caller,
    environment: &mut Environment,
    request: &pb::UpdateEnvironmentRequest,
) -> Result<Change, Error> {
    let asked = Asked {
        major: request.template_major_version.as_deref(),
        minor: request.template_minor_version.as_deref(),
    };
    let given = Given {
        proton_service_role_arn: request.proton_service_role_arn.as_ref(),
        codebuild_role_arn: request.codebuild_role_arn.as_ref(),
        component_role_arn: request.component_role_arn.as_ref(),
        connection_id: request.environment_account_connection_id.as_ref(),
        repository: request.provisioning_repository.as_ref(),
    };
    let held = environment
        .means
        .change(plane, caller, &request.name, &given)
        .await?;
    if request.description.is_some() {
        environment.description.clone_from(&request.description);
    }
    environment.envelope.edit(plane.now_ms());

    if request.deployment_type() == UpdateType::None {
        version_choice::check_none(asked, "NONE")?;
        if request.spec.is_some() {
            return Err(Error::validation(
                "spec: must not be given with deploymentType NONE",
            ));
        }
        environment
            .means
            .check(
                plane,
                caller,
                &request.name,
                environment.deployable.current.method,
            )
            .await?;
        return Ok(held);
    }
    Ok(held.and(deploy(plane, caller, environment, request, asked).await?))
}

async fn deploy(
    plane: &ControlPlane,
    caller: &Caller,
    environment: &mut Environment,
    request: &pb::UpdateEnvironmentRequest,
    asked: Asked<'_>,
) -> Result<Change, Error> {
    let current = &environment.deployable.current;
    let chosen = version_choice::for_update(
        plane,
        caller,
        Type::Environment,
        &current.template,
        current.number,
        request.deployment_type(),
        asked,
    )
    .await?;
    let method = chosen.method();
    version_choice::check_switch(&environment.named(), current.method, method)?;

    let text = next_spec(&current.spec, request.spec.as_deref())?;
    let given = EnvironmentSpec::parse(&text)?;
    let inputs = spec::resolve(
        &chosen.bundle.schema,
        PartKind::Environment,
        &given.inputs,
        "environment",
    )?;
    environment
        .means
        .check(plane, caller, &request.name, method)
        .await?;

    let wanted = FromTemplate {
        template: current.template.clone(),
        number: chosen.number,
        spec: text,
        method,
    };
    let when = match method {
        Some(_) => When::Now,
        None => When::Never(outputs_of(&inputs)),
    };
    let change = deployment::next(plane, caller, environment, Some(wanted), when);
    Ok(change.expect(Expect::Present(chosen.key)))
}

/// The spec to deploy: the given one with its placeholders filled in, else the one in use.
fn next_spec(current: &str, given: Option<&str>) -> Result<String, Error> {
    let Some(text) = given else {
        return Ok(current.to_owned());
    };
    let current = EnvironmentSpec::parse(current)?;
    let filled = EnvironmentSpec::parse(text)?.keep_current(Some(&current))?;
    Ok(filled.map_or_else(|| text.to_owned(), |spec| spec.to_yaml()))
}
