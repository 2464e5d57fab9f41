//! What a deployment of a component renders, and what its environment must have for it.

use super::super::bundle::{Files, Manifest};
use super::super::environment::Environment;
use super::super::render::{self, EnvironmentOf, Namespace, Origin, Outputs};
use super::attachment::Host;
use super::*;

/// Whether components of this method can be deployed in the environment now. What provisions the environment provisions its
/// components; one that the customer provisions takes both kinds.
pub(super) async fn check(
    plane: &ControlPlane,
    caller: &Caller,
    environment: &Environment,
    method: Method,
) -> Result<(), Error> {
    let deployable = &environment.deployable;
    let named = environment.named();
    match deployable.status {
        Status::DeleteInProgress => {
            return Err(Error::conflict(format!("{named} is being deleted")));
        }
        status if deployable.succeeded.is_none() && status.is_busy() => {
            return Err(Error::conflict(format!(
                "{named} is being deployed for the first time"
            )));
        }
        _ if deployable.succeeded.is_none() => {
            return Err(Error::validation(format!(
                "{named} was never deployed with success"
            )));
        }
        _ => {}
    }
    match (method, deployable.current.method) {
        (Method::CloudFormation | Method::Terraform, None) => {}
        (one, Some(other)) if one == other => {}
        _ => {
            return Err(Error::validation(format!(
                "manifest: {named} is provisioned by another engine"
            )));
        }
    }
    let means = &environment.means;
    let (has, what) = match method {
        Method::Terraform => (means.repository.is_some(), "provisioningRepository"),
        _ => {
            let role = means
                .component_role(plane, caller, &environment.name)
                .await?;
            (role.is_some(), "componentRoleArn")
        }
    };
    match has {
        true => Ok(()),
        false => Err(Error::validation(format!(
            "{named} has no {what}, with which components are provisioned"
        ))),
    }
}

pub(super) async fn prepare(
    component: &Component,
    plane: &ControlPlane,
    caller: &Caller,
    deployment: &str,
) -> Result<Prepared, Trouble> {
    let wanted = component.deployable.wanted.as_ref();
    let wanted = wanted.expect("a deployment under way has a wanted state");
    let environment = environment::load(plane, caller, &component.environment)
        .await?
        .value;
    let outputs = environment::last_outputs(plane, caller, &environment).await?;
    let to = wanted.attached.as_ref();
    let attached = match to {
        None => None,
        Some(to) => {
            let host = Host::load(plane, caller, to).await?;
            let spec = wanted.service_spec.as_deref();
            Some(render::Attachment {
                service: host.service(),
                instance_name: to.instance.clone(),
                inputs: host.inputs(plane, caller, spec).await?,
            })
        }
    };
    let (manifest, files) = part(&component.manifest, &wanted.template_file)?;
    Ok(Prepared {
        manifest,
        files,
        namespace: Namespace::Component(render::Component {
            name: component.name.clone(),
            environment: EnvironmentOf {
                name: environment.name.clone(),
                account_id: environment.account(caller).to_owned(),
                outputs: outputs.map_or_else(Outputs::default, |(_, outputs)| outputs),
            },
            attached,
        }),
        origin: Origin {
            arn: arn(caller, &component.name),
            deployment_id: deployment.to_owned(),
            template: None,
            environment_arn: Some(environment::arn(caller, &component.environment)),
            service_arn: to.map(|to| service::arn(caller, &to.service)),
            service_instance_arn: to.map(|to| to.arn(caller)),
            tags: tags::propagated(&component.envelope.managed_tags),
        },
    })
}

/// What the manifest and the file amount to.
pub(super) fn part(manifest: &str, template_file: &str) -> Result<(Manifest, Files), Error> {
    render::component_part(manifest, template_file)
        .map_err(|problem| Error::validation(problem.message()))
}

pub(super) async fn place(
    component: &Component,
    plane: &ControlPlane,
    caller: &Caller,
    method: Method,
) -> Result<Place, Trouble> {
    let environment = environment::load(plane, caller, &component.environment)
        .await?
        .value;
    let role_arn = match method {
        Method::Terraform => None,
        _ => {
            let means = &environment.means;
            means
                .component_role(plane, caller, &environment.name)
                .await?
        }
    };
    Ok(Place {
        account_id: environment.account(caller).to_owned(),
        role_arn,
        tags: tags::propagated(&component.envelope.managed_tags),
    })
}
