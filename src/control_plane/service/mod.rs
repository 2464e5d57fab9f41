//! Services: what developers run. A service is instances in environments and, unless its template leaves that to the customer, a
//! pipeline; it has a spec for all of them, but no version of its own.
//!
//! An operation on the service is a sequence of deployments of its parts. The record says which operation is under way and how far
//! it has come; `reconcile/service` takes it on whenever a part's deployment ends.

mod create;
mod delete;
mod update;

use serde::{Deserialize, Serialize};

use super::attempts::Attempts;
use super::events::{Subject, name};
use super::pagination::Page;
use super::reconcile::service as work;
use super::render::ServiceOf;
use super::resource::{Envelope, Loaded, Resource, Tags};
use super::service_instance::ServiceInstance;
use super::service_pipeline::{self, Pipeline};
use super::spec::ServiceSpec;
use super::store::{self, Change, Key, Kind, Put};
use super::{Caller, ControlPlane, summary, tags};
use crate::api::{Error, operation, pb};

pub(super) use create::{check_section, create_service, created, managed_tags};
pub(super) use delete::delete_service;
pub(super) use update::{update_service, updated};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Service {
    pub(super) envelope: Envelope,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) template: String,
    /// The major version that it was created from.
    pub(super) major: u32,
    /// Whether the template supplies a pipeline.
    pub(super) has_pipeline: bool,
    pub(super) repository: Option<Repository>,
    pub(super) spec: String,
    pub(super) status: Status,
    pub(super) message: Option<String>,
    /// What is under way.
    pub(super) operation: Option<Operation>,
}

/// A service and its parts as a call leaves them, with the deployments under way that it makes.
pub(super) struct Whole {
    pub(super) service: Service,
    /// The new instances, in the order of the spec.
    pub(super) added: Vec<ServiceInstance>,
    pub(super) others: Vec<ServiceInstance>,
    pub(super) pipeline: Option<Pipeline>,
}

/// The branch of a code repository that the pipeline builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Repository {
    pub(super) connection_arn: String,
    pub(super) id: String,
    pub(super) branch: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    CreateInProgress,
    CreateFailed,
    Active,
    DeleteInProgress,
    DeleteFailed,
    UpdateInProgress,
    UpdateFailedCleanupInProgress,
    UpdateFailedCleanupComplete,
    UpdateFailedCleanupFailed,
    UpdateFailed,
    UpdateCompleteCleanupFailed,
}

impl Status {
    fn is_failed(self) -> bool {
        match self {
            Self::CreateFailed
            | Self::DeleteFailed
            | Self::UpdateFailedCleanupInProgress
            | Self::UpdateFailedCleanupComplete
            | Self::UpdateFailedCleanupFailed
            | Self::UpdateFailed
            | Self::UpdateCompleteCleanupFailed => true,
            Self::CreateInProgress
            | Self::Active
            | Self::DeleteInProgress
            | Self::UpdateInProgress => false,
        }
    }
}

impl From<Status> for pb::ServiceStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::CreateInProgress => Self::CreateInProgress,
            Status::CreateFailed => Self::CreateFailed,
            Status::Active => Self::Active,
            Status::DeleteInProgress => Self::DeleteInProgress,
            Status::DeleteFailed => Self::DeleteFailed,
            Status::UpdateInProgress => Self::UpdateInProgress,
            Status::UpdateFailedCleanupInProgress => Self::UpdateFailedCleanupInProgress,
            Status::UpdateFailedCleanupComplete => Self::UpdateFailedCleanupComplete,
            Status::UpdateFailedCleanupFailed => Self::UpdateFailedCleanupFailed,
            Status::UpdateFailed => Self::UpdateFailed,
            Status::UpdateCompleteCleanupFailed => Self::UpdateCompleteCleanupFailed,
        }
    }
}

/// What is done to a service, and how far that has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Operation {
    /// All instances are deployed, then the pipeline.
    Create {
        stage: CreateStage,
    },
    Update {
        stage: UpdateStage,
        /// The names of the new instances.
        added: Vec<String>,
        spec_before: String,
    },
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum CreateStage {
    Instances,
    Pipeline,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum UpdateStage {
    Adding,
    /// An addition failed, so all of them are taken down again.
    RollingBack,
    Removing,
    Pipeline,
}

impl Resource for Service {
    fn envelope_mut(&mut self) -> &mut Envelope {
        &mut self.envelope
    }

    fn index(&self, put: Put, owner: &Caller) -> Put {
        summary::index(put, owner, self.status.is_failed(), None)
    }

    fn told(&self, _key: &Key) -> Option<(Subject<'_>, &'static str)> {
        let subject = Subject::Service(&self.name);
        Some((subject, name(pb::ServiceStatus::from(self.status))))
    }
}

impl Service {
    pub(super) fn named(&self) -> String {
        named(&self.name)
    }

    /// As templates see it.
    pub(super) fn rendered(&self) -> ServiceOf {
        let of = |member: fn(&Repository) -> &String| {
            self.repository
                .as_ref()
                .map(member)
                .cloned()
                .unwrap_or_default()
        };
        ServiceOf {
            name: self.name.clone(),
            branch_name: of(|repository| &repository.branch),
            repository_id: of(|repository| &repository.id),
            repository_connection_arn: of(|repository| &repository.connection_arn),
        }
    }

    /// Parts can be changed one by one while nothing is done to the whole.
    pub(super) fn check_idle(&self) -> Result<(), Error> {
        let what = match (&self.operation, self.status) {
            (Some(Operation::Create { .. }), _) => "is being created",
            (Some(Operation::Update { .. }), _) => "is being edited",
            (Some(Operation::Delete), _) => "is being deleted",
            (None, Status::DeleteFailed) => "is partly deleted, and can only be deleted",
            (None, _) => return Ok(()),
        };
        Err(Error::conflict(format!("{} {what}", self.named())))
    }
}

/// What a service consists of.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    Instance(&'a str),
    Pipeline,
}

pub(super) fn key(caller: &Caller, name: &str) -> Key {
    caller.key(Kind::Service, name)
}

pub(super) fn arn(caller: &Caller, name: &str) -> String {
    caller.arn(format_args!("service/{name}"))
}

fn named(name: &str) -> String {
    format!("service {name:?}")
}

pub(super) async fn load(
    plane: &ControlPlane,
    caller: &Caller,
    name: &str,
) -> Result<Loaded<Service>, Error> {
    let found = plane.load(&key(caller, name)).await?;
    found.ok_or_else(|| not_found(name))
}

fn not_found(name: &str) -> Error {
    Error::not_found(format!("{} does not exist", named(name)))
}

/// A service and its pipeline, as they are at one moment.
async fn read(
    plane: &ControlPlane,
    caller: &Caller,
    name: &str,
) -> Result<Option<(Loaded<Service>, Option<Loaded<Pipeline>>)>, Error> {
    let keys = [key(caller, name), service_pipeline::key(caller, name)];
    let mut records = plane.store().get_many(&keys).await?;
    let (pipeline, service) = (records.pop().flatten(), records.pop().flatten());
    let Some(service) = service else {
        return Ok(None);
    };
    let pipeline = pipeline.map(Loaded::of).transpose()?;
    Ok(Some((Loaded::of(service)?, pipeline)))
}

fn value(pipeline: &Option<Loaded<Pipeline>>) -> Option<&Pipeline> {
    pipeline.as_ref().map(|pipeline| &pipeline.value)
}

/// A spec that a request gives, with its placeholders filled in from the service's, and its text.
pub(super) fn filled(given: &str, current: &ServiceSpec) -> Result<(ServiceSpec, String), Error> {
    let spec = ServiceSpec::parse(given)?;
    Ok(match spec.keep_current(Some(current))? {
        None => (spec, given.to_owned()),
        Some(filled) => {
            let text = filled.to_yaml();
            (filled, text)
        }
    })
}

/// The environment that the deployments of a pipeline belong to.
pub(super) fn first_environment(spec: &ServiceSpec) -> String {
    let first = spec.instances.first();
    first
        .map(|first| first.environment.clone())
        .unwrap_or_default()
}

/// Adds to the change that ends a part's deployment what follows for the service: the section of the spec that has succeeded takes
/// its place in the service's own, and what waits for the part goes on.
pub(super) async fn settled(
    plane: &ControlPlane,
    caller: &Caller,
    service: &str,
    part: Part<'_>,
    succeeded: Option<&str>,
    change: Change,
) -> Result<Change, store::Error> {
    let key = key(caller, service);
    let change = change.enqueue(work::work(key.clone(), plane.now_ms()));
    let (Some(succeeded), Some(record)) = (succeeded, plane.store().get(&key).await?) else {
        return Ok(change);
    };
    let mut service = Loaded::<Service>::of(record)?;
    Ok(match merged(&service.value.spec, part, succeeded) {
        None => change,
        Some(spec) => {
            service.value.spec = spec;
            change.and(service.write(plane))
        }
    })
}

/// The spec with the part's section of another one, if that makes a difference.
fn merged(spec: &str, part: Part<'_>, from: &str) -> Option<String> {
    let parse = |text| ServiceSpec::parse(text).expect("only specs that parse are kept");
    let (mut spec, mut from) = (parse(spec), parse(from));
    match part {
        Part::Instance(name) => {
            let section = from.instance(name)?.clone();
            if spec.instance(name) == Some(&section) {
                return None;
            }
            spec.with_instance(section);
        }
        Part::Pipeline if spec.pipeline == from.pipeline => return None,
        Part::Pipeline => spec.with_pipeline(from.pipeline.take()),
    }
    Some(spec.to_yaml())
}

pub(super) async fn get_service(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetServiceRequest,
) -> Result<pb::GetServiceResponse, Error> {
    let found = read(plane, caller, &request.name).await?;
    let (service, pipeline) = found.ok_or_else(|| not_found(&request.name))?;
    Ok(pb::GetServiceResponse {
        service: Some(view(caller, &service.value, value(&pipeline))),
    })
}

pub(super) async fn list_services(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::ListServicesRequest,
) -> Result<pb::ListServicesResponse, Error> {
    let (most, token) = (request.max_results.take(), request.next_token.take());
    let page = Page::of::<operation::ListServices>(caller, &request, most, token)?;
    let (found, next_token) = plane
        .page::<Service>(caller, Kind::Service, "", &page, |_| true)
        .await?;
    Ok(pb::ListServicesResponse {
        next_token,
        services: found
            .iter()
            .map(|service| summary(caller, &service.value))
            .collect(),
    })
}

/// The members that services show, in full and in lists.
macro_rules! view {
    ($message:ident, $caller:expr, $service:expr $(, $more:ident: $value:expr)*) => {
        pb::$message {
            arn: arn($caller, &$service.name),
            created_at: $service.envelope.created_at(),
            description: $service.description.clone(),
            last_modified_at: $service.envelope.last_modified_at(),
            name: $service.name.clone(),
            status: pb::ServiceStatus::from($service.status).into(),
            status_message: $service.message.clone(),
            template_name: $service.template.clone(),
            $($more: $value,)*
        }
    };
}

fn view(caller: &Caller, service: &Service, pipeline: Option<&Pipeline>) -> pb::Service {
    let repository = service.repository.as_ref();
    view!(
        Service,
        caller,
        service,
        branch_name: repository.map(|repository| repository.branch.clone()),
        pipeline: pipeline.map(|pipeline| service_pipeline::view(caller, pipeline)),
        repository_connection_arn: repository.map(|repository| repository.connection_arn.clone()),
        repository_id: repository.map(|repository| repository.id.clone()),
        spec: service.spec.clone()
    )
}

fn summary(caller: &Caller, service: &Service) -> pb::ServiceSummary {
    view!(ServiceSummary, caller, service)
}
