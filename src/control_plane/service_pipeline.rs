//! Service pipelines: what builds and delivers the code of a service. There is one for each service whose template supplies it; it
//! comes and goes with the service, and is provisioned in the account itself, by the account's settings.

use pb::DeploymentUpdateType as UpdateType;
use serde::{Deserialize, Serialize};

use super::attempts::Attempts;
use super::bundle::PartKind;
use super::deployable::{
    Deployable, Deploys, FromTemplate, Place, Prepared, Status, Trouble, index_versions,
};
use super::deployment::{self, Target, When};
use super::events::{Subject, name};
use super::render::{self, Method, Namespace, Origin, PipelineInstance};
use super::resource::{Envelope, Loaded, Resource, timestamp};
use super::service::Service;
use super::spec::{self, ServiceSpec};
use super::store::{self, Change, Expect, Key, Kind, Put};
use super::template::Type;
use super::version_choice::{self, Asked, Chosen};
use super::{
    Caller, ControlPlane, account, preview, service, service_instance, summary, tags,
    template_version,
};
use crate::api::{Error, pb};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pipeline {
    pub(super) envelope: Envelope,
    pub(super) service: String,
    /// The one of the service's first instance, for its deployments to belong to; empty without instances.
    pub(super) environment: String,
    /// An edit of the service will deploy it, when the instances are done.
    pub(super) is_awaited: bool,
    /// With the whole spec of the service, of which only the pipeline's section counts.
    pub(super) deployable: Deployable<FromTemplate>,
}

impl Resource for Pipeline {
    fn envelope_mut(&mut self) -> &mut Envelope {
        &mut self.envelope
    }

    fn index(&self, put: Put, owner: &Caller) -> Put {
        let put = index_versions(put, owner, Type::Service, self.deployable.states());
        let version = self.deployable.current.version();
        summary::index(put, owner, self.deployable.is_failed(), Some(version))
    }

    fn told(&self, _key: &Key) -> Option<(Subject<'_>, &'static str)> {
        let subject = Subject::ServicePipeline(&self.service);
        Some((
            subject,
            name(pb::DeploymentStatus::from(self.deployable.status)),
        ))
    }
}

impl Deploys for Pipeline {
    type State = FromTemplate;

    fn deployable(&self) -> &Deployable<FromTemplate> {
        &self.deployable
    }

    fn deployable_mut(&mut self) -> &mut Deployable<FromTemplate> {
        &mut self.deployable
    }

    fn target(&self) -> Target {
        Target::Pipeline {
            service: self.service.clone(),
            environment: self.environment.clone(),
        }
    }

    fn shown(state: &FromTemplate) -> pb::DeploymentState {
        let pipeline = pb::ServicePipelineState {
            spec: Some(state.spec.clone()),
            template_major_version: state.major(),
            template_minor_version: state.minor(),
            template_name: state.template.clone(),
        };
        pb::DeploymentState {
            kind: Some(pb::deployment_state::Kind::ServicePipeline(pipeline)),
        }
    }

    async fn prepare(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        deployment: &str,
    ) -> Result<Prepared, Trouble> {
        let service = service::load(plane, caller, &self.service).await?.value;
        let instances = service_instance::rendered(plane, caller, &service).await?;
        self.prepare_with(plane, caller, deployment, &service, instances)
            .await
    }

    async fn place(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        method: Method,
    ) -> Result<Place, Trouble> {
        let labels = tags::propagated(&self.envelope.managed_tags);
        account::pipeline_place(plane, caller, method, labels).await
    }

    async fn settled(
        plane: &ControlPlane,
        caller: &Caller,
        pipeline: &Loaded<Self>,
        status: Status,
        change: Change,
    ) -> Result<Change, store::Error> {
        let pipeline = &pipeline.value;
        let spec = match status {
            Status::Succeeded => Some(&*pipeline.deployable.current.spec),
            _ => None,
        };
        let part = service::Part::Pipeline;
        service::settled(plane, caller, &pipeline.service, part, spec, change).await
    }
}

impl Pipeline {
    /// As `prepare`, for a service whose instances are given.
    pub(super) async fn prepare_with(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        deployment: &str,
        service: &Service,
        instances: Vec<PipelineInstance>,
    ) -> Result<Prepared, Trouble> {
        let wanted = self.deployable.wanted.as_ref();
        let wanted = wanted.expect("a deployment under way has a wanted state");
        let version = Type::Service.version_key(caller, &wanted.template, wanted.number);
        let bundle = template_version::bundle(plane, Type::Service, false, &version).await?;
        let given = ServiceSpec::parse(&wanted.spec).map_err(Error::from)?;
        let part = PartKind::Pipeline;
        let given = given.pipeline.unwrap_or_default();
        let inputs = spec::resolve(&bundle.schema, part, &given, "pipeline");
        let part = bundle.into_part(part);
        let part = part.expect("a template with a pipeline has this part");
        Ok(Prepared {
            manifest: part.manifest,
            files: part.files,
            namespace: Namespace::Pipeline(render::Pipeline {
                service: service.rendered(),
                inputs: inputs.map_err(Error::from)?,
                instances,
            }),
            origin: Origin {
                arn: arn(caller, &self.service),
                deployment_id: deployment.to_owned(),
                template: Some(wanted.origin(caller, Type::Service)),
                environment_arn: None,
                service_arn: None,
                service_instance_arn: None,
                tags: tags::propagated(&self.envelope.managed_tags),
            },
        })
    }

    /// What it is deployed with when an edit of the service is done but for it.
    pub(super) fn after_edit(&mut self, service: &Service) -> Result<FromTemplate, Error> {
        self.is_awaited = false;
        self.environment = service::first_environment(&ServiceSpec::parse(&service.spec)?);
        Ok(FromTemplate {
            spec: service.spec.clone(),
            ..self.deployable.current.clone()
        })
    }

    pub(super) fn named(&self) -> String {
        format!("the pipeline of service {:?}", self.service)
    }

    /// The status that is shown.
    pub(super) fn status(&self) -> Status {
        match self.is_awaited {
            true => Status::InProgress,
            false => self.deployable.status,
        }
    }
}

pub(super) fn key(caller: &Caller, service: &str) -> Key {
    caller.key(Kind::ServicePipeline, service)
}

pub(super) fn arn(caller: &Caller, service: &str) -> String {
    caller.arn(format_args!("service/{service}/pipeline"))
}

/// The pipeline of a service, if the service is there and has one.
async fn load(
    plane: &ControlPlane,
    caller: &Caller,
    service: &str,
) -> Result<Loaded<Pipeline>, Error> {
    if let Some(found) = plane.load::<Pipeline>(&key(caller, service)).await? {
        return Ok(found);
    }
    service::load(plane, caller, service).await?;
    Err(Error::not_found(format!(
        "service {service:?} has no pipeline"
    )))
}

/// Whether the pipeline of a spec can be deployed from the version, and how.
pub(super) async fn check(
    plane: &ControlPlane,
    caller: &Caller,
    chosen: &Chosen,
    spec: &ServiceSpec,
) -> Result<Method, Error> {
    let Some(given) = &spec.pipeline else {
        return Err(Error::validation("spec: it has no section pipeline"));
    };
    let schema = &chosen.bundle.schema;
    spec::resolve(schema, PartKind::Pipeline, given, "pipeline")?;
    let method = chosen.method_of(PartKind::Pipeline);
    account::check_pipeline(plane, caller, method).await?;
    Ok(method)
}

pub(super) async fn update_service_pipeline(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UpdateServicePipelineRequest,
) -> Result<pb::UpdateServicePipelineResponse, Error> {
    let answer = |pipeline: &Pipeline| pb::UpdateServicePipelineResponse {
        pipeline: Some(view(caller, pipeline)),
    };
    let mut attempts = Attempts::default();
    loop {
        let mut pipeline = load(plane, caller, &request.service_name).await?;
        if request.deployment_type() == UpdateType::None {
            // The model insists on a spec, which is of no use here.
            version_choice::check_none(asked(&request), "NONE")?;
            return Ok(answer(&pipeline.value));
        }
        let change = deploy(plane, caller, &mut pipeline.value, &request).await?;
        pipeline.value.envelope.edit(plane.now_ms());
        match plane
            .store()
            .commit(change.and(pipeline.write(plane)))
            .await
        {
            Ok(_) => return Ok(answer(&pipeline.value)),
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

fn asked(request: &pb::UpdateServicePipelineRequest) -> Asked<'_> {
    Asked {
        major: request.template_major_version.as_deref(),
        minor: request.template_minor_version.as_deref(),
    }
}

/// The pipeline as the call would leave it.
pub(super) async fn updated(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UpdateServicePipelineRequest,
) -> Result<Pipeline, Error> {
    let mut pipeline = load(plane, caller, &request.service_name).await?.value;
    if request.deployment_type() == UpdateType::None {
        version_choice::check_none(asked(&request), "NONE")?;
        return Err(preview::deploys_nothing());
    }
    deploy(plane, caller, &mut pipeline, &request).await?;
    Ok(pipeline)
}

/// Begins the deployment, and answers with what else is to be written.
async fn deploy(
    plane: &ControlPlane,
    caller: &Caller,
    pipeline: &mut Pipeline,
    request: &pb::UpdateServicePipelineRequest,
) -> Result<Change, Error> {
    let service = service::load(plane, caller, &pipeline.service).await?;
    service.value.check_idle()?;
    pipeline.deployable.check_idle(&pipeline.named())?;
    let current = &pipeline.deployable.current;
    let (of, number, how) = (Type::Service, current.number, request.deployment_type());
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
    let (spec, text) = service::filled(&request.spec, &of_service)?;
    let method = check(plane, caller, &chosen, &spec).await?;
    version_choice::check_switch(&pipeline.named(), current.method, Some(method))?;
    let wanted = FromTemplate {
        template: current.template.clone(),
        number: chosen.number,
        spec: text,
        method: Some(method),
    };
    pipeline.environment = service::first_environment(&of_service);
    let change = deployment::next(plane, caller, pipeline, Some(wanted), When::Now);
    Ok(change
        .expect(Expect::Rev(service.key, service.rev))
        .expect(Expect::Present(chosen.key)))
}

pub(super) async fn cancel_service_pipeline_deployment(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::CancelServicePipelineDeploymentRequest,
) -> Result<pb::CancelServicePipelineDeploymentResponse, Error> {
    let load = || load(plane, caller, &request.service_name);
    let pipeline = deployment::cancel(plane, caller, load).await?;
    Ok(pb::CancelServicePipelineDeploymentResponse {
        pipeline: Some(view(caller, &pipeline)),
    })
}

pub(super) async fn list_service_pipeline_outputs(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::ListServicePipelineOutputsRequest,
) -> Result<pb::ListServicePipelineOutputsResponse, Error> {
    deployment::check_no_token(request.next_token.as_deref())?;
    let pipeline = load(plane, caller, &request.service_name).await?.value;
    let asked = request.deployment_id.as_deref();
    Ok(pb::ListServicePipelineOutputsResponse {
        next_token: None,
        outputs: deployment::outputs(plane, caller, &pipeline, asked).await?,
    })
}

pub(super) async fn list_service_pipeline_provisioned_resources(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::ListServicePipelineProvisionedResourcesRequest,
) -> Result<pb::ListServicePipelineProvisionedResourcesResponse, Error> {
    deployment::check_no_token(request.next_token.as_deref())?;
    let pipeline = load(plane, caller, &request.service_name).await?.value;
    Ok(pb::ListServicePipelineProvisionedResourcesResponse {
        next_token: None,
        provisioned_resources: deployment::resources(plane, caller, &pipeline).await?,
    })
}

pub(super) fn view(caller: &Caller, pipeline: &Pipeline) -> pb::ServicePipeline {
    let deployable = &pipeline.deployable;
    pb::ServicePipeline {
        arn: arn(caller, &pipeline.service),
        created_at: pipeline.envelope.created_at(),
        deployment_status: pb::DeploymentStatus::from(pipeline.status()).into(),
        deployment_status_message: deployable.message.clone(),
        last_attempted_deployment_id: Some(deployable.attempted.clone()),
        last_deployment_attempted_at: timestamp(deployable.attempted_at_ms),
        last_deployment_succeeded_at: deployable.succeeded_at_ms.and_then(timestamp),
        last_succeeded_deployment_id: deployable.succeeded.clone(),
        spec: Some(deployable.current.spec.clone()),
        template_major_version: deployable.current.major(),
        template_minor_version: deployable.current.minor(),
        template_name: deployable.current.template.clone(),
    }
}
