//! `CreateEnvironment`.

use super::super::idempotency::Fingerprint;
use super::super::preview;
use super::super::render::Method;
use super::super::resource;
use super::super::version_choice::{self, Asked, Chosen};
use super::provisioning::Given;
use super::*;

pub(in super::super) async fn create_environment(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::CreateEnvironmentRequest,
) -> Result<pb::CreateEnvironmentResponse, Error> {
    tags::sort(&mut request.tags);
    let fingerprint = Fingerprint::take::<operation::CreateEnvironment>(&mut request);
    let key = key(caller, &request.name);
    let answer = |environment: &Environment| pb::CreateEnvironmentResponse {
        environment: Some(view(caller, environment)),
    };
    let mut attempts = Attempts::default();
    loop {
        if let Some(existing) = plane.load::<Environment>(&key).await? {
            fingerprint.check_repeat(&existing.value.named(), &existing.value.envelope)?;
            return Ok(answer(&existing.value));
        }
        let (environment, change) = first(plane, caller, &request, &fingerprint).await?;
        match plane.store().commit(change).await {
            Ok(_) => return Ok(answer(&environment)),
            Err(CommitError::Full { limit }) => return Err(full(limit)),
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

/// The environment as the call would make it.
pub(in super::super) async fn created(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::CreateEnvironmentRequest,
) -> Result<Environment, Error> {
    tags::sort(&mut request.tags);
    let fingerprint = Fingerprint::take::<operation::CreateEnvironment>(&mut request);
    let key = key(caller, &request.name);
    if let Some(existing) = plane.load::<Environment>(&key).await? {
        fingerprint.check_repeat(&existing.value.named(), &existing.value.envelope)?;
        return Err(preview::deploys_nothing());
    }
    let (environment, change) = first(plane, caller, &request, &fingerprint).await?;
    match plane.store().full(&change).await? {
        None => Ok(environment),
        Some(limit) => Err(full(limit)),
    }
}

fn full(limit: i64) -> Error {
    Error::quota_exceeded(format!(
        "the account holds {limit} environments, as many as it may"
    ))
}

/// The environment that is asked for, being deployed for the first time, and the change that makes it.
async fn first(
    plane: &ControlPlane,
    caller: &Caller,
    request: &pb::CreateEnvironmentRequest,
    fingerprint: &Fingerprint,
) -> Result<(Environment, Change), Error> {
    let (mut environment, held, when) = make(plane, caller, request, fingerprint).await?;
    let change = deployment::first(plane, caller, &mut environment, when)
        .and(resource::create(
            plane,
            key(caller, &request.name),
            &environment,
        ))
        .and(held)
        .expect(Expect::AtMost {
            scope: caller.scope(),
            kinds: vec![Kind::Environment],
            parent: None,
            limit: plane.limits().environments,
        });
    Ok((environment, change))
}

/// The environment that is asked for, what must hold when it is written, and when it is deployed.
async fn make(
    plane: &ControlPlane,
    caller: &Caller,
    request: &pb::CreateEnvironmentRequest,
    fingerprint: &Fingerprint,
) -> Result<(Environment, Change, When), Error> {
    let asked = Asked {
        major: Some(&request.template_major_version),
        minor: request.template_minor_version.as_deref(),
    };
    let of = Type::Environment;
    let chosen =
        version_choice::for_create(plane, caller, of, &request.template_name, asked).await?;
    let given = EnvironmentSpec::parse(&request.spec)?;
    given.keep_current(None)?;
    let inputs = spec::resolve(
        &chosen.bundle.schema,
        PartKind::Environment,
        &given.inputs,
        "environment",
    )?;
    let when = match chosen.method() {
        Some(_) => When::Now,
        None => When::Never(outputs_of(&inputs)),
    };
    let (means, held) = Means::first(plane, caller, &request.name, &given_means(request)).await?;
    means
        .check(plane, caller, &request.name, chosen.method())
        .await?;

    let now_ms = plane.now_ms();
    let wanted = FromTemplate {
        template: request.template_name.clone(),
        number: chosen.number,
        spec: request.spec.clone(),
        method: chosen.method(),
    };
    let environment = Environment {
        envelope: Envelope {
            request: fingerprint.request.clone(),
            tags: tags::from_request(request.tags.clone())?,
            managed_tags: managed_tags(caller, &request.template_name, &request.name),
            ..Envelope::plain(now_ms)
        },
        name: request.name.clone(),
        description: request.description.clone(),
        deployable: Deployable::first(&deployment::new_id(plane), wanted, now_ms),
        means,
    };
    Ok((environment, held.expect(Expect::Present(chosen.key)), when))
}

fn given_means(request: &pb::CreateEnvironmentRequest) -> Given<'_> {
    Given {
        proton_service_role_arn: request.proton_service_role_arn.as_ref(),
        codebuild_role_arn: request.codebuild_role_arn.as_ref(),
        component_role_arn: request.component_role_arn.as_ref(),
        connection_id: request.environment_account_connection_id.as_ref(),
        repository: request.provisioning_repository.as_ref(),
    }
}

/// What an environment that the customer manages puts out: what the spec says of it.
pub(super) fn outputs_of(inputs: &spec::Inputs) -> Outputs {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    inputs
        .iter()
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

impl Chosen {
    /// How environments of the version are provisioned; not at all if the customer manages them.
    pub(super) fn method(&self) -> Option<Method> {
        self.bundle
            .part(PartKind::Environment)
            .map(|part| Method::of(&part.manifest))
    }
}
