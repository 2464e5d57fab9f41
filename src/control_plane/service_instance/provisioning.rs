//! What a deployment of an instance renders, and what its environment must have for it.

use super::super::bundle::{Bundle, PartKind};
use super::super::environment::Environment;
use super::super::render::{
    self, ComponentOf, EnvironmentOf, Namespace, Origin, Outputs, PipelineInstance,
};
use super::super::service::Service;
use super::super::spec::ServiceSpec;
use super::super::store::{Order, Range};
use super::super::template_version::{self, MajorVersion};
use super::super::version_choice::Chosen;
use super::*;

/// The environment, if an instance of the version can be deployed there now. What fits is looked at when an instance is made or
/// moves to another major version.
pub(super) async fn check(
    plane: &ControlPlane,
    caller: &Caller,
    environment: &str,
    chosen: &Chosen,
    must_fit: bool,
) -> Result<Loaded<Environment>, Error> {
    let environment = environment::load(plane, caller, environment).await?;
    let Environment {
        name,
        deployable,
        means,
        ..
    } = &environment.value;
    let named = environment.value.named();
    match (deployable.status, &deployable.succeeded) {
        (Status::DeleteInProgress, _) => {
            return Err(Error::conflict(format!("{named} is being deleted")));
        }
        (_, Some(_)) => {}
        (status, None) if status.is_busy() => {
            return Err(Error::conflict(format!(
                "{named} is being deployed for the first time"
            )));
        }
        (_, None) => {
            return Err(Error::validation(format!(
                "{named} was never deployed with success"
            )));
        }
    }
    let of = &deployable.current;
    if must_fit {
        check_fit(chosen, of, &named)?;
    }
    let method = chosen.method_of(PartKind::ServiceInstance);
    if let Some(engine) = of.method
        && matches!(
            (engine, method),
            (Method::CloudFormation, Method::Terraform)
                | (Method::Terraform, Method::CloudFormation)
        )
    {
        return Err(Error::validation(format!(
            "{named} is provisioned by {engine:?}, and the instance by {method:?}"
        )));
    }
    means.check_service(plane, caller, name, method).await?;
    Ok(environment)
}

fn check_fit(chosen: &Chosen, environment: &FromTemplate, named: &str) -> Result<(), Error> {
    let fit = chosen.fit.as_ref();
    let fit = fit.expect("a service template's version says what it goes with");
    let fits = |version: &MajorVersion| {
        version.template == environment.template && version.major == environment.major()
    };
    match fit.environments.iter().any(fits) {
        true => Ok(()),
        false => Err(Error::validation(format!(
            "version {} of {} does not go with major version {} of {}, of which {named} is",
            chosen.number,
            Type::Service.named(&chosen.template.name),
            environment.major(),
            Type::Environment.named(&environment.template)
        ))),
    }
}

pub(super) async fn prepare(
    instance: &ServiceInstance,
    plane: &ControlPlane,
    caller: &Caller,
    deployment: &str,
) -> Result<Prepared, Trouble> {
    let service = service::load(plane, caller, &instance.service).await?.value;
    prepare_in(&service, instance, plane, caller, deployment).await
}

/// As `prepare`, for an instance whose service is given.
pub(in super::super) async fn prepare_in(
    service: &Service,
    instance: &ServiceInstance,
    plane: &ControlPlane,
    caller: &Caller,
    deployment: &str,
) -> Result<Prepared, Trouble> {
    let wanted = instance.deployable.wanted.as_ref();
    let State { version, upstream } = wanted.expect("a deployment under way has a wanted state");
    let bundle = bundle(plane, caller, service, version).await?;
    let given = ServiceSpec::parse(&version.spec).map_err(Error::from)?;
    let inputs = given.instance_inputs(&bundle.schema, &instance.name);
    let environment = environment::load(plane, caller, &instance.environment).await?;
    let from = upstream.environment.as_deref();
    let environment = EnvironmentOf {
        name: instance.environment.clone(),
        account_id: environment.value.account(caller).to_owned(),
        outputs: outputs(plane, caller, from).await?,
    };
    let component = match &upstream.component {
        None => None,
        Some(component) => Some(ComponentOf {
            name: component.name.clone(),
            outputs: outputs(plane, caller, component.deployment.as_deref()).await?,
        }),
    };
    let part = bundle.into_part(PartKind::ServiceInstance);
    let part = part.expect("the bundle of a service has this part");
    Ok(Prepared {
        manifest: part.manifest,
        files: part.files,
        namespace: Namespace::ServiceInstance(render::ServiceInstance {
            environment,
            service: service.rendered(),
            name: instance.name.clone(),
            inputs: inputs.map_err(Error::from)?,
            component,
        }),
        origin: Origin {
            arn: arn(caller, &instance.service, &instance.name),
            deployment_id: deployment.to_owned(),
            template: Some(version.origin(caller, Type::Service)),
            environment_arn: Some(environment::arn(caller, &instance.environment)),
            service_arn: None,
            service_instance_arn: None,
            tags: tags::propagated(&instance.envelope.managed_tags),
        },
    })
}

async fn bundle(
    plane: &ControlPlane,
    caller: &Caller,
    service: &Service,
    version: &FromTemplate,
) -> Result<Bundle, Error> {
    let key = Type::Service.version_key(caller, &version.template, version.number);
    template_version::bundle(plane, Type::Service, !service.has_pipeline, &key).await
}

/// What the deployment has put out that was chosen when this one was asked for.
async fn outputs(
    plane: &ControlPlane,
    caller: &Caller,
    deployment: Option<&str>,
) -> Result<Outputs, Trouble> {
    let Some(id) = deployment else {
        return Ok(Outputs::default());
    };
    match plane.deployment(caller, id).await? {
        Some(deployment) => Ok(deployment.value.outputs),
        None => Err(Trouble::Unfit(format!(
            "deployment {id}, whose outputs are needed, was deleted"
        ))),
    }
}

/// The instances of a service as its pipeline sees them: those that stay, in the order of the spec, each as it was last deployed
/// with success.
pub(in super::super) async fn rendered(
    plane: &ControlPlane,
    caller: &Caller,
    service: &Service,
) -> Result<Vec<PipelineInstance>, Trouble> {
    let kept = all(plane, caller, &service.name).await?.into_iter();
    let kept: Vec<_> = kept
        .map(|instance| instance.value)
        .filter(|instance| instance.standing == Standing::Kept)
        .collect();
    check_deployed(caller, &kept)?;
    rendered_of(plane, caller, service, kept).await
}

/// A pipeline is deployed only if all instances of its service have been.
pub(in super::super) fn check_deployed(
    caller: &Caller,
    instances: &[ServiceInstance],
) -> Result<(), Trouble> {
    let failed: Vec<String> = instances
        .iter()
        .filter(|instance| instance.deployable.succeeded.is_none())
        .map(|instance| arn(caller, &instance.service, &instance.name))
        .collect();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Trouble::Unfit(format!(
            "Service Instance(s): [{}] failed to deploy - canceling pipeline deployment",
            failed.join(", ")
        ))),
    }
}

/// As `rendered`, for instances that are given. One that was never deployed has no outputs.
pub(in super::super) async fn rendered_of(
    plane: &ControlPlane,
    caller: &Caller,
    service: &Service,
    mut kept: Vec<ServiceInstance>,
) -> Result<Vec<PipelineInstance>, Trouble> {
    let spec = ServiceSpec::parse(&service.spec).map_err(Error::from)?;
    let place = |name: &str| spec.instances.iter().position(|known| known.name == name);
    kept.sort_by_key(|instance| place(&instance.name).unwrap_or(usize::MAX));
    let mut rendered = Vec::new();
    for instance in kept {
        rendered.push(as_rendered(plane, caller, service, instance).await?);
    }
    Ok(rendered)
}

async fn as_rendered(
    plane: &ControlPlane,
    caller: &Caller,
    service: &Service,
    instance: ServiceInstance,
) -> Result<PipelineInstance, Trouble> {
    let version = &instance.deployable.current.version;
    let bundle = bundle(plane, caller, service, version).await?;
    let spec = ServiceSpec::parse(&version.spec).map_err(Error::from)?;
    let inputs = spec.instance_inputs(&bundle.schema, &instance.name);
    let environment = environment::load(plane, caller, &instance.environment)
        .await?
        .value;
    let put_out = environment::last_outputs(plane, caller, &environment).await?;
    Ok(PipelineInstance {
        inputs: inputs.map_err(Error::from)?,
        outputs: outputs(plane, caller, instance.deployable.succeeded.as_deref()).await?,
        environment: EnvironmentOf {
            account_id: environment.account(caller).to_owned(),
            outputs: put_out.map_or_else(Outputs::default, |(_, outputs)| outputs),
            name: environment.name,
        },
        name: instance.name,
    })
}

/// Every instance of a service, also those that nobody sees, by name.
pub(in super::super) async fn all(
    plane: &ControlPlane,
    caller: &Caller,
    service: &str,
) -> Result<Vec<Loaded<ServiceInstance>>, store::Error> {
    let (scope, prefix) = (caller.scope(), format!("{service} "));
    let range = Range {
        scope: &scope,
        kind: Kind::ServiceInstance,
        prefix: &prefix,
        after: None,
        limit: u32::MAX,
        order: Order::Ascending,
    };
    let records = plane.store().list(range).await?;
    records.into_iter().map(Loaded::of).collect()
}
