//! `UpdateService`: another description, or an edit of the spec, which says anew which instances there are. Those that stay have to
//! stay as they are.

use super::super::component;
use super::super::deployable::Deploys as _;
use super::super::deployment::{self, When};
use super::super::preview;
use super::super::service_instance::{self, Origin, ServiceInstance, Standing};
use super::super::service_sync::blocker::{self, Deed};
use super::super::store::{CommitError, Expect};
use super::super::template::Type;
use super::super::version_choice::{self, Asked};
use super::create::{check_count, over_quota};
use super::*;

pub(in super::super) async fn update_service(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UpdateServiceRequest,
) -> Result<pb::UpdateServiceResponse, Error> {
    let mut attempts = Attempts::default();
    loop {
        let found = read(plane, caller, &request.name).await?;
        let (mut service, mut pipeline) = found.ok_or_else(|| not_found(&request.name))?;
        if request.description.is_some() {
            service.value.description.clone_from(&request.description);
        }
        service.value.envelope.edit(plane.now_ms());
        let change = match &request.spec {
            None => Change::new(),
            Some(given) => {
                edit(plane, caller, &mut service, pipeline.as_mut(), given)
                    .await?
                    .change
            }
        };
        match plane.store().commit(change.and(service.write(plane))).await {
            Ok(_) => {
                return Ok(pb::UpdateServiceResponse {
                    service: Some(view(caller, &service.value, value(&pipeline))),
                });
            }
            Err(CommitError::Full { limit }) => return Err(over_quota(&request.name, limit)),
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

/// The service as the call would leave it, once the instances are done and the pipeline follows.
pub(in super::super) async fn updated(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UpdateServiceRequest,
) -> Result<Whole, Error> {
    let found = read(plane, caller, &request.name).await?;
    let (mut service, mut pipeline) = found.ok_or_else(|| not_found(&request.name))?;
    let Some(given) = &request.spec else {
        return Err(preview::deploys_nothing());
    };
    let edit = edit(plane, caller, &mut service, pipeline.as_mut(), given).await?;
    if let Some(limit) = plane.store().full(&edit.change).await? {
        return Err(over_quota(&request.name, limit));
    }
    let (service, mut pipeline) = (service.value, pipeline.map(|pipeline| pipeline.value));
    if let Some(pipeline) = &mut pipeline {
        let wanted = pipeline.after_edit(&service)?;
        deployment::next(plane, caller, pipeline, Some(wanted), When::Now);
    }
    Ok(Whole {
        service,
        added: edit.added,
        others: edit.others,
        pipeline,
    })
}

/// What begins with the edit of a spec.
struct Edit {
    /// The new instances.
    added: Vec<ServiceInstance>,
    /// All others, those included that are to go.
    others: Vec<ServiceInstance>,
    /// What is to be written besides the service.
    change: Change,
}

async fn edit(
    plane: &ControlPlane,
    caller: &Caller,
    service: &mut Loaded<Service>,
    pipeline: Option<&mut Loaded<Pipeline>>,
    given: &str,
) -> Result<Edit, Error> {
    service.value.check_idle()?;
    let current = ServiceSpec::parse(&service.value.spec)?;
    let (spec, text) = filled(given, &current)?;
    let difference = Difference::between(&current, &spec)?;
    check_count(plane, &service.value.name, spec.instances.len())?;

    let mut change = Change::new();
    let mut others = Vec::new();
    for mut instance in service_instance::all(plane, caller, &service.value.name).await? {
        let named = instance.value.named();
        instance.value.deployable.check_idle(&named)?;
        let name = &instance.value.name;
        if instance.value.standing == Standing::Leftover && difference.added.contains(name) {
            return Err(Error::conflict(format!(
                "{named} was removed, but could not be taken down yet; the next edit without it tries again"
            )));
        }
        if difference.removed.contains(name) {
            check_unattached(plane, caller, &instance.value).await?;
            instance.value.standing = Standing::Doomed;
            change = change.and(instance.write(plane));
        } else {
            change = change.expect(Expect::Rev(instance.key, instance.rev));
        }
        others.push(instance.value);
    }
    if let Some(pipeline) = pipeline {
        let named = pipeline.value.named();
        pipeline.value.deployable().check_idle(&named)?;
        pipeline.value.is_awaited = true;
        change = change.and(pipeline.write(plane));
    }
    let (added, made) = add(
        plane,
        caller,
        &service.value,
        &spec,
        &text,
        &difference.added,
    )
    .await?;
    let deeds: Vec<_> = difference.deeds().collect();
    let name = &service.value.name;
    let change = blocker::block(plane, caller, change.and(made), name, &deeds).await?;
    service.value.status = Status::UpdateInProgress;
    service.value.message = None;
    service.value.operation = Some(Operation::Update {
        stage: UpdateStage::Adding,
        added: difference.added,
        spec_before: std::mem::replace(&mut service.value.spec, text),
    });
    let change = change
        .expect(service_instance::quota(plane, caller, &service.value.name))
        .enqueue(work::work(service.key.clone(), plane.now_ms()));
    Ok(Edit {
        added,
        others,
        change,
    })
}

/// The new instances, and the change that makes them. They are of the major version that the service was made from.
async fn add(
    plane: &ControlPlane,
    caller: &Caller,
    service: &Service,
    spec: &ServiceSpec,
    text: &str,
    names: &[String],
) -> Result<(Vec<ServiceInstance>, Change), Error> {
    let (mut added, mut change) = (Vec::new(), Change::new());
    if names.is_empty() {
        return Ok((added, change));
    }
    let major = service.major.to_string();
    let asked = Asked {
        major: Some(&major),
        minor: None,
    };
    let (of, template) = (Type::Service, &service.template);
    let chosen = version_choice::for_create(plane, caller, of, template, asked).await?;
    let pipeline = service_pipeline::key(caller, &service.name);
    let pipeline = plane.load::<Pipeline>(&pipeline).await?;
    let origin = Origin {
        service,
        pipeline: pipeline.as_ref().map(|pipeline| &pipeline.value),
        chosen: &chosen,
        spec,
        text,
    };
    for name in names {
        let (instance, made) = origin.first(plane, caller, name, Tags::new(), None).await?;
        added.push(instance);
        change = change.and(made);
    }
    Ok((added, change))
}

/// An instance stays for as long as a component is attached to it.
pub(super) async fn check_unattached(
    plane: &ControlPlane,
    caller: &Caller,
    instance: &ServiceInstance,
) -> Result<(), Error> {
    match component::attached(plane, caller, &instance.service, &instance.name).await? {
        None => Ok(()),
        Some(component) => Err(Error::conflict(format!(
            "component {:?} is attached to {}",
            component.name,
            instance.named()
        ))),
    }
}

/// What an edit does to the instances.
#[derive(Debug, PartialEq)]
struct Difference {
    added: Vec<String>,
    removed: Vec<String>,
}

impl Difference {
    fn deeds(&self) -> impl Iterator<Item = (&str, Deed)> {
        let added = self.added.iter().map(|name| (&**name, Deed::Created));
        added.chain(self.removed.iter().map(|name| (&**name, Deed::Deleted)))
    }

    fn between(current: &ServiceSpec, next: &ServiceSpec) -> Result<Self, Error> {
        if next.pipeline != current.pipeline {
            return Err(Error::validation(
                "spec: the pipeline section differs from the service's; UpdateServicePipeline changes it",
            ));
        }
        let changed = next.instances.iter().find(|section| {
            let known = current.instance(&section.name);
            known.is_some_and(|known| known != *section)
        });
        if let Some(section) = changed {
            return Err(Error::validation(format!(
                "spec: instance {:?} differs from the service's; UpdateServiceInstance changes it",
                section.name
            )));
        }
        if next.instances.is_empty() && !current.instances.is_empty() {
            return Err(Error::validation(
                "spec: an instance must stay; DeleteService deletes all",
            ));
        }
        let only_in = |one: &ServiceSpec, other: &ServiceSpec| {
            let sections = one.instances.iter();
            sections
                .filter(|section| other.instance(&section.name).is_none())
                .map(|section| section.name.clone())
                .collect()
        };
        Ok(Self {
            added: only_in(next, current),
            removed: only_in(current, next),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::spec::{Inputs, InstanceSpec};
    use super::*;
    use crate::api::Code;

    fn inputs(size: &str) -> Inputs {
        let size = ("size".to_owned(), size.into());
        [size].into_iter().collect()
    }

    fn spec(pipeline: Option<&str>, instances: &[(&str, &str)]) -> ServiceSpec {
        let section = |(name, size): &(&str, &str)| InstanceSpec {
            name: (*name).to_owned(),
            environment: "prod".to_owned(),
            inputs: inputs(size),
        };
        ServiceSpec {
            pipeline: pipeline.map(inputs),
            instances: instances.iter().map(section).collect(),
        }
    }

    fn code(current: &ServiceSpec, next: &ServiceSpec) -> Option<Code> {
        Difference::between(current, next)
            .err()
            .map(|error| error.code)
    }

    #[test]
    fn instances_come_and_go_by_name() {
        let current = spec(None, &[("dev", "s"), ("prod", "l")]);
        let next = spec(None, &[("new", "s"), ("prod", "l")]);
        let difference = Difference::between(&current, &next).unwrap();
        assert_eq!(difference.added, ["new"]);
        assert_eq!(difference.removed, ["dev"]);
    }

    #[test]
    fn what_stays_must_stay_the_same() {
        let current = spec(Some("s"), &[("dev", "s")]);
        assert_eq!(code(&current, &current), None);
        let changed = [
            spec(Some("l"), &[("dev", "s")]),
            spec(None, &[("dev", "s")]),
            spec(Some("s"), &[("dev", "l")]),
        ];
        for next in changed {
            assert_eq!(code(&current, &next), Some(Code::Validation));
        }
        let mut moved = current.clone();
        moved.instances[0].environment = "test".to_owned();
        assert_eq!(code(&current, &moved), Some(Code::Validation));
    }

    #[test]
    fn the_last_instance_cannot_be_removed() {
        let (some, none) = (spec(None, &[("dev", "s")]), spec(None, &[]));
        assert_eq!(code(&some, &none), Some(Code::Validation));
        assert_eq!(code(&none, &none), None);
        assert_eq!(code(&none, &some), None);
    }
}
