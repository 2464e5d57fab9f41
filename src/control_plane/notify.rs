//! `NotifyResourceDeploymentStatusChange`: those who provision outside of the control plane say how it goes. Automation behind a
//! pull request ends the deployment this way; the commands of a build hand over their outputs.
//!
//! ```text
//!                      no status     IN_PROGRESS          SUCCEEDED, FAILED
//!  under way           outputs, message                   ends the deployment, with outputs and message
//!  nothing under way   outputs       conflict             conflict
//! ```
//! CloudFormation says itself how it goes, and nobody else is believed.

use super::attempts::Attempts;
use super::component::Component;
use super::deployable::Deploys;
use super::deployment::{self, Deployment, Phase};
use super::environment::{self, Environment};
use super::provision::Outcome;
use super::reconcile::deployment as work;
use super::render::{Method, Outputs};
use super::resource::Loaded;
use super::service_instance::{self, ServiceInstance};
use super::service_pipeline::{self, Pipeline};
use super::store::{Change, Key, Kind};
use super::{Caller, ControlPlane, component};
use crate::api::{Error, pb};
use pb::ResourceDeploymentStatus as Status;

pub(super) async fn notify_resource_deployment_status_change(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::NotifyResourceDeploymentStatusChangeRequest,
) -> Result<pb::NotifyResourceDeploymentStatusChangeResponse, Error> {
    let arn = &request.resource_arn;
    let (owner, key) = locate(caller, arn).ok_or_else(|| not_found(arn))?;
    let news = News::of(&request)?;
    let told = Told {
        plane,
        caller,
        owner: &owner,
        key: &key,
        news: &news,
    };
    match key.kind {
        Kind::Environment => told.of::<Environment>().await?,
        Kind::ServiceInstance => told.of::<ServiceInstance>().await?,
        Kind::ServicePipeline => told.of::<Pipeline>().await?,
        _ => told.of::<Component>().await?,
    }
    Ok(pb::NotifyResourceDeploymentStatusChangeResponse {})
}

/// Whose record an ARN names, and which.
fn locate(caller: &Caller, arn: &str) -> Option<(Caller, Key)> {
    let owner = Caller::new(arn.split(':').nth(4)?, caller.region());
    let parts: Vec<&str> = owner.own(arn)?.split('/').collect();
    let key = match parts[..] {
        ["environment", name] => environment::key(&owner, name),
        ["component", name] => component::key(&owner, name),
        ["service", service, "service-instance", name] => {
            service_instance::key(&owner, service, name)
        }
        // Some ARNs of pipelines end in an id, which says nothing: a service has one pipeline at most.
        ["service", service, "pipeline"] | ["service", service, "pipeline", _] => {
            service_pipeline::key(&owner, service)
        }
        _ => return None,
    };
    Some((owner, key))
}

fn not_found(arn: &str) -> Error {
    Error::not_found(format!("there is no resource {arn} that is deployed"))
}

/// What a notification says.
struct News<'a> {
    arn: &'a str,
    deployment: Option<&'a str>,
    status: Option<Status>,
    message: Option<&'a str>,
    /// In place of all that were known.
    outputs: Option<Outputs>,
}

impl<'a> News<'a> {
    fn of(request: &'a pb::NotifyResourceDeploymentStatusChangeRequest) -> Result<Self, Error> {
        let output = |(index, output): (usize, &pb::Output)| match &output.key {
            Some(key) => Ok((key.clone(), output.value_string.clone().unwrap_or_default())),
            None => Err(Error::validation(format!(
                "outputs[{index}].key: must be given"
            ))),
        };
        let outputs = request.outputs.as_ref().map(|given| {
            let outputs = given.items.iter().enumerate().map(output);
            outputs.collect::<Result<Outputs, Error>>()
        });
        Ok(Self {
            arn: &request.resource_arn,
            deployment: request.deployment_id.as_deref(),
            status: request.status.map(|_| request.status()),
            message: request.status_message.as_deref(),
            outputs: outputs.transpose()?,
        })
    }

    fn check_deployment(&self, id: &str) -> Result<(), Error> {
        match self.deployment {
            Some(other) if other != id => Err(Error::conflict(format!(
                "deploymentId: {} is at deployment {id}, not at {other}",
                self.arn
            ))),
            _ => Ok(()),
        }
    }
}

/// A notification, and whose it is.
struct Told<'a> {
    plane: &'a ControlPlane,
    caller: &'a Caller,
    owner: &'a Caller,
    key: &'a Key,
    news: &'a News<'a>,
}

impl Told<'_> {
    async fn of<R: Deploys>(&self) -> Result<(), Error> {
        let mut attempts = Attempts::default();
        loop {
            let found = self.plane.load::<R>(self.key).await?;
            let resource = found.ok_or_else(|| not_found(self.news.arn))?;
            let environment = self.environment(&resource.value).await?;
            self.check_caller(environment.as_ref())?;
            let is_described_only = self.key.kind == Kind::Environment
                && environment.is_some_and(|found| found.is_customer_managed());
            if is_described_only {
                return Err(Error::validation(format!(
                    "resourceArn: {} is not provisioned, only described",
                    self.news.arn
                )));
            }
            let change = self.change(resource).await?;
            match self.plane.store().commit(change).await {
                Ok(_) => return Ok(()),
                Err(refusal) => attempts.again(refusal)?,
            }
        }
    }

    /// The environment that decides where the resource is provisioned. For pipelines none does.
    async fn environment<R: Deploys>(&self, resource: &R) -> Result<Option<Environment>, Error> {
        let target = resource.target();
        let Some(name) = target.environment() else {
            return Ok(None);
        };
        if self.key.kind == Kind::ServicePipeline {
            return Ok(None);
        }
        let key = environment::key(self.owner, name);
        let found = self.plane.load::<Environment>(&key).await?;
        Ok(found.map(|found| found.value))
    }

    /// Notifications come from the owner, or from the account that the resource is provisioned in.
    fn check_caller(&self, environment: Option<&Environment>) -> Result<(), Error> {
        let account = environment.map(|environment| environment.account(self.owner));
        match self.owner == self.caller || account == Some(self.caller.account()) {
            true => Ok(()),
            false => Err(not_found(self.news.arn)),
        }
    }

    async fn change<R: Deploys>(&self, resource: Loaded<R>) -> Result<Change, Error> {
        let deployable = resource.value.deployable();
        let attempted = self
            .plane
            .deployment(self.owner, &deployable.attempted)
            .await?;
        let underway = attempted.and_then(|deployment| match deployment.value.phase {
            Phase::Provisioning { method, .. } => Some((deployment, method)),
            _ => None,
        });
        let Some((deployment, method)) = underway else {
            return self
                .afterwards(deployable.sent.as_deref(), deployable.succeeded.as_deref())
                .await;
        };
        self.check_method(method)?;
        self.news.check_deployment(&deployment.value.id)?;
        match self.news.status {
            Some(Status::Succeeded) => {
                let outcome = Outcome::Succeeded {
                    outputs: Outputs::default(),
                    resources: work::handed_over(self.plane, &deployment).await?,
                };
                self.end(deployment, outcome).await
            }
            Some(Status::Failed) => {
                let message = self
                    .news
                    .message
                    .unwrap_or("the deployment was reported as failed");
                let message = message.to_owned();
                self.end(deployment, Outcome::Failed { message }).await
            }
            _ => Ok(self.meanwhile(resource, deployment)),
        }
    }

    fn check_method(&self, method: Method) -> Result<(), Error> {
        match method {
            Method::Terraform | Method::CodeBuild => Ok(()),
            Method::CloudFormation => Err(Error::validation(format!(
                "resourceArn: {} is provisioned by CloudFormation, which says itself how it goes",
                self.news.arn
            ))),
        }
    }

    /// Replaces the outputs, if there are any in the news.
    fn take_outputs(&self, deployment: &mut Deployment) {
        if let Some(outputs) = &self.news.outputs {
            deployment.outputs.clone_from(outputs);
        }
    }

    async fn end(
        &self,
        mut deployment: Loaded<Deployment>,
        outcome: Outcome,
    ) -> Result<Change, Error> {
        self.take_outputs(&mut deployment.value);
        let note = self.news.message.map(str::to_owned);
        Ok(work::end(self.plane, deployment, outcome, note).await?)
    }

    /// The deployment goes on.
    fn meanwhile<R: Deploys>(
        &self,
        mut resource: Loaded<R>,
        mut deployment: Loaded<Deployment>,
    ) -> Change {
        self.take_outputs(&mut deployment.value);
        deployment.value.envelope.last_modified_at_ms = self.plane.now_ms();
        let Some(message) = self.news.message else {
            return deployment.write(self.plane);
        };
        deployment.value.message = Some(message.to_owned());
        resource.value.deployable_mut().message = Some(message.to_owned());
        deployment.write(self.plane).and(resource.write(self.plane))
    }

    /// Nothing is under way: the outputs of the last success can be set right.
    async fn afterwards(
        &self,
        sent: Option<&str>,
        succeeded: Option<&str>,
    ) -> Result<Change, Error> {
        let conflict = |what: &str| Err(Error::conflict(format!("{what} of {}", self.news.arn)));
        if let Some(sent) = sent {
            let sent = deployment::key(self.owner, sent);
            let sent = deployment::rendering(self.plane, &sent).await?;
            sent.map_or(Ok(()), |sent| self.check_method(sent.method))?;
        }
        if self.news.status.is_some() {
            return conflict("there is no deployment under way");
        }
        let succeeded = match succeeded {
            Some(id) => self.plane.deployment(self.owner, id).await?,
            None => None,
        };
        let Some(mut deployment) = succeeded else {
            return conflict("there is no successful deployment");
        };
        self.news.check_deployment(&deployment.value.id)?;
        self.take_outputs(&mut deployment.value);
        deployment.value.envelope.last_modified_at_ms = self.plane.now_ms();
        Ok(deployment.write(self.plane))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_target_is_found_by_its_arn() {
        let caller = Caller::new("123456789012", "us-east-1");
        let found = |resource: &str| {
            let (owner, key) = locate(&caller, &caller.arn(resource))?;
            assert_eq!(owner, caller);
            Some(key)
        };
        assert_eq!(
            found("environment/prod"),
            Some(environment::key(&caller, "prod"))
        );
        assert_eq!(
            found("component/queue"),
            Some(component::key(&caller, "queue"))
        );
        assert_eq!(
            found("service/web/service-instance/dev"),
            Some(service_instance::key(&caller, "web", "dev"))
        );
        let pipeline = Some(service_pipeline::key(&caller, "web"));
        assert_eq!(found("service/web/pipeline"), pipeline);
        assert_eq!(
            found("service/web/pipeline/3f2b8c6e-1a44-4b7e-9a57-0c6d5e4f3a2b"),
            pipeline
        );
        for other in ["service/web", "environment-template/net", "deployment/1"] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn an_arn_names_its_owner_but_no_other_region() {
        let caller = Caller::new("123456789012", "us-east-1");
        let other = Caller::new("210987654321", "us-east-1");
        let (owner, _) = locate(&caller, &other.arn("environment/prod")).unwrap();
        assert_eq!(owner, other);
        let elsewhere = Caller::new("123456789012", "eu-west-1");
        assert_eq!(locate(&caller, &elsewhere.arn("environment/prod")), None);
    }
}
