//! `CreateService`: the service, its instances, which are deployed at once, and its pipeline, which waits for them.

use super::super::deployable::{Deployable, FromTemplate};
use super::super::deployment::{self, When};
use super::super::idempotency::Fingerprint;
use super::super::preview;
use super::super::resource;
use super::super::service_instance::Origin;
use super::super::store::{CommitError, Expect};
use super::super::template::Type;
use super::super::version_choice::{self, Asked, Chosen};
use super::*;

pub(in super::super) async fn create_service(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::CreateServiceRequest,
) -> Result<pb::CreateServiceResponse, Error> {
    tags::sort(&mut request.tags);
    let fingerprint = Fingerprint::take::<operation::CreateService>(&mut request);
    let mut attempts = Attempts::default();
    loop {
        if let Some((existing, pipeline)) = read(plane, caller, &request.name).await? {
            fingerprint.check_repeat(&existing.value.named(), &existing.value.envelope)?;
            return Ok(pb::CreateServiceResponse {
                service: Some(view(caller, &existing.value, value(&pipeline))),
            });
        }
        let (made, change) = make(plane, caller, &request, &fingerprint).await?;
        match plane.store().commit(change).await {
            Ok(_) => {
                return Ok(pb::CreateServiceResponse {
                    service: Some(view(caller, &made.service, made.pipeline.as_ref())),
                });
            }
            Err(CommitError::Full { limit }) => return Err(full(limit)),
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

/// The service as the call would make it.
pub(in super::super) async fn created(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::CreateServiceRequest,
) -> Result<Whole, Error> {
    tags::sort(&mut request.tags);
    let fingerprint = Fingerprint::take::<operation::CreateService>(&mut request);
    if let Some((existing, _)) = read(plane, caller, &request.name).await? {
        fingerprint.check_repeat(&existing.value.named(), &existing.value.envelope)?;
        return Err(preview::deploys_nothing());
    }
    let (made, change) = make(plane, caller, &request, &fingerprint).await?;
    match plane.store().full(&change).await? {
        None => Ok(made),
        Some(limit) => Err(full(limit)),
    }
}

fn full(limit: i64) -> Error {
    Error::quota_exceeded(format!(
        "the account holds {limit} services, as many as it may"
    ))
}

/// What is asked for, and the change that makes it.
async fn make(
    plane: &ControlPlane,
    caller: &Caller,
    request: &pb::CreateServiceRequest,
    fingerprint: &Fingerprint,
) -> Result<(Whole, Change), Error> {
    let asked = Asked {
        major: Some(&request.template_major_version),
        minor: request.template_minor_version.as_deref(),
    };
    let of = Type::Service;
    let chosen =
        version_choice::for_create(plane, caller, of, &request.template_name, asked).await?;
    let given = ServiceSpec::parse(&request.spec)?;
    given.keep_current(None)?;
    check_count(plane, &request.name, given.instances.len())?;
    let has_pipeline = !chosen.template.customer_managed;
    let repository = check_pipeline(request, &given, has_pipeline)?;

    let now_ms = plane.now_ms();
    let service = Service {
        envelope: Envelope {
            request: fingerprint.request.clone(),
            tags: tags::from_request(request.tags.clone())?,
            managed_tags: managed_tags(caller, &request.template_name, &request.name),
            ..Envelope::plain(now_ms)
        },
        name: request.name.clone(),
        description: request.description.clone(),
        template: request.template_name.clone(),
        major: chosen.number.major,
        has_pipeline,
        repository,
        spec: request.spec.clone(),
        status: Status::CreateInProgress,
        message: None,
        operation: Some(Operation::Create {
            stage: CreateStage::Instances,
        }),
    };
    let key = key(caller, &service.name);
    let mut change = Change::new()
        .and(resource::create(plane, key.clone(), &service))
        .expect(Expect::Present(chosen.key.clone()))
        .expect(Expect::AtMost {
            scope: caller.scope(),
            kinds: vec![Kind::Service],
            parent: None,
            limit: plane.limits().services,
        })
        .enqueue(work::work(key, now_ms));
    let origin = Origin {
        service: &service,
        pipeline: None,
        chosen: &chosen,
        spec: &given,
        text: &service.spec,
    };
    let mut added = Vec::new();
    for section in &given.instances {
        let (instance, made) = origin
            .first(plane, caller, &section.name, Tags::new(), None)
            .await?;
        added.push(instance);
        change = change.and(made);
    }
    let mut pipeline = None;
    if has_pipeline {
        let mut made = first_pipeline(plane, caller, &service, &chosen, &given).await?;
        let key = service_pipeline::key(caller, &service.name);
        change = change
            .and(deployment::first(plane, caller, &mut made, When::Later))
            .and(resource::create(plane, key, &made));
        pipeline = Some(made);
    }
    let made = Whole {
        service,
        added,
        others: Vec::new(),
        pipeline,
    };
    Ok((made, change))
}

pub(super) fn check_count(plane: &ControlPlane, service: &str, count: usize) -> Result<(), Error> {
    let limit = plane.limits().instances_per_service;
    match i64::try_from(count).is_ok_and(|count| count <= limit) {
        true => Ok(()),
        false => Err(over_quota(service, limit)),
    }
}

pub(super) fn over_quota(service: &str, limit: i64) -> Error {
    Error::quota_exceeded(format!(
        "{} can hold {limit} instances, those included that could not be taken down",
        named(service)
    ))
}

/// A template with a pipeline needs to know what it builds; one without has no use for it.
fn check_pipeline(
    request: &pb::CreateServiceRequest,
    given: &ServiceSpec,
    has_pipeline: bool,
) -> Result<Option<Repository>, Error> {
    let members = [
        (
            "repositoryConnectionArn",
            &request.repository_connection_arn,
        ),
        ("repositoryId", &request.repository_id),
        ("branchName", &request.branch_name),
    ];
    let broken = |member: &str, rule: &str| Err(Error::validation(format!("{member}: {rule}")));
    if !has_pipeline {
        if let Some((member, _)) = members.iter().find(|(_, value)| value.is_some()) {
            return broken(
                member,
                "must not be given for a template without a pipeline",
            );
        }
        check_section(given, has_pipeline)?;
        return Ok(None);
    }
    check_section(given, has_pipeline)?;
    match members {
        [(_, Some(connection)), (_, Some(id)), (_, Some(branch))] => Ok(Some(Repository {
            connection_arn: connection.clone(),
            id: id.clone(),
            branch: branch.clone(),
        })),
        _ => {
            let missing = members.iter().find(|(_, value)| value.is_none());
            let (member, _) = missing.expect("not all are given");
            broken(member, "must be given for a template with a pipeline")
        }
    }
}

/// The spec speaks of a pipeline if the template has one.
pub(in super::super) fn check_section(
    given: &ServiceSpec,
    has_pipeline: bool,
) -> Result<(), Error> {
    match (has_pipeline, &given.pipeline) {
        (true, Some(_)) | (false, None) => Ok(()),
        (true, None) => Err(Error::validation(
            "spec: the template has a pipeline, so the spec needs that section",
        )),
        (false, Some(_)) => Err(Error::validation(
            "spec: the template has no pipeline, so neither has the spec",
        )),
    }
}

async fn first_pipeline(
    plane: &ControlPlane,
    caller: &Caller,
    service: &Service,
    chosen: &Chosen,
    given: &ServiceSpec,
) -> Result<Pipeline, Error> {
    let method = service_pipeline::check(plane, caller, chosen, given).await?;
    let now_ms = plane.now_ms();
    let wanted = FromTemplate {
        template: service.template.clone(),
        number: chosen.number,
        spec: service.spec.clone(),
        method: Some(method),
    };
    Ok(Pipeline {
        envelope: Envelope {
            tags: service.envelope.tags.clone(),
            managed_tags: service.envelope.managed_tags.clone(),
            ..Envelope::plain(now_ms)
        },
        service: service.name.clone(),
        environment: first_environment(given),
        is_awaited: false,
        deployable: Deployable::first(&deployment::new_id(plane), wanted, now_ms),
    })
}

/// The managed tags of a new service; its pipeline has the same.
pub(in super::super) fn managed_tags(caller: &Caller, template: &str, name: &str) -> Tags {
    [
        ("aws:proton:account", caller.account().to_owned()),
        ("aws:proton:template", Type::Service.arn(caller, template)),
        ("aws:proton:service", arn(caller, name)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}
