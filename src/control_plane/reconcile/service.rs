//! Takes the operation on a service to its next step, whenever a deployment of one of its parts has ended.
//!
//! ```text
//! create   Instances ──all ended──► Pipeline ──ended──► ACTIVE | CREATE_FAILED
//! update   Adding ──all succeeded──► Removing ──all ended──► Pipeline ──ended──► ACTIVE | UPDATE_FAILED |
//!             │                                                                  UPDATE_COMPLETE_CLEANUP_FAILED
//!             └──one failed──► RollingBack ──all ended──► UPDATE_FAILED_CLEANUP_COMPLETE | _FAILED
//! delete   ──all ended──► gone | DELETE_FAILED
//! ```
//! A step looks at all parts as they are and at nothing else, so it does not matter how often it is taken, or for whom: as long as
//! somebody is busy nothing happens, and whoever ends last finds the others ended. While an operation is under way only its steps
//! begin deployments of the parts, and each step writes the service, so two steps at once cannot both be taken.
//!
//! Without an operation, the parts of a service that failed may have been repaired one by one; then it is ACTIVE.

use super::attend::Setback;
use crate::control_plane::deployable::Status as Deployed;
use crate::control_plane::deployment::{self, Deployment, Phase, When};
use crate::control_plane::resource::Loaded;
use crate::control_plane::service::{CreateStage, Operation, Service, Status, UpdateStage};
use crate::control_plane::service_instance::{self, ServiceInstance, Standing};
use crate::control_plane::service_pipeline::{self, Pipeline};
use crate::control_plane::store::{self, Change, Expect, Key, Kind, NewWork, Work};
use crate::control_plane::{Caller, ControlPlane, service_sync};

pub(super) const KIND: &str = "service";

/// The work to do for a service: to look whether it can go on.
pub(in crate::control_plane) fn work(service: Key, now_ms: i64) -> NewWork {
    NewWork::new(KIND, service, now_ms, &())
}

pub(super) async fn perform(plane: &ControlPlane, work: &Work) -> Result<Change, Setback> {
    let Some(scene) = Scene::load(plane, &work.subject).await? else {
        return Ok(Change::new());
    };
    match scene.next() {
        None => Ok(Change::new()),
        Some(next) => scene.take(plane, next).await,
    }
}

/// The operation fails as it stands. What it waits for may still end, and can be repaired or deleted.
pub(super) async fn give_up(
    plane: &ControlPlane,
    work: &Work,
    why: &str,
) -> Result<Change, store::Error> {
    let Some(mut scene) = Scene::load(plane, &work.subject).await? else {
        return Ok(Change::new());
    };
    let status = match &scene.service.value.operation {
        None => return Ok(Change::new()),
        Some(Operation::Create { .. }) => Status::CreateFailed,
        Some(Operation::Update { .. }) => Status::UpdateFailed,
        Some(Operation::Delete) => Status::DeleteFailed,
    };
    let change = scene.released(plane).await?.and(scene.settle(plane));
    Ok(scene.end(plane, change, status, Some(why.to_owned())))
}

/// A service and its parts.
struct Scene {
    caller: Caller,
    service: Loaded<Service>,
    instances: Vec<Loaded<ServiceInstance>>,
    pipeline: Option<Loaded<Pipeline>>,
}

/// What an operation does next.
#[derive(Debug, PartialEq)]
enum Next {
    /// The pipeline's first deployment, which was waiting.
    ReleasePipeline,
    RollBack,
    Remove,
    DeployPipeline,
    End(Status, Option<String>),
    Disappear,
}

impl Scene {
    async fn load(plane: &ControlPlane, key: &Key) -> Result<Option<Self>, store::Error> {
        // The service first: a step that was taken since shows when this one is written.
        let Some(service) = plane.store().get(key).await? else {
            return Ok(None);
        };
        let caller = Caller::of(key);
        let pipeline = service_pipeline::key(&caller, &key.id);
        let pipeline = plane.store().get(&pipeline).await?;
        Ok(Some(Self {
            service: Loaded::of(service)?,
            instances: service_instance::all(plane, &caller, &key.id).await?,
            pipeline: pipeline.map(Loaded::of).transpose()?,
            caller,
        }))
    }

    fn next(&self) -> Option<Next> {
        match self.service.value.operation.as_ref() {
            None => self.repaired(),
            Some(Operation::Create { stage }) => self.next_of_create(*stage),
            Some(Operation::Update { stage, added, .. }) => self.next_of_update(*stage, added),
            Some(Operation::Delete) => self.next_of_delete(),
        }
    }

    fn next_of_create(&self, stage: CreateStage) -> Option<Next> {
        if self.busy(|_| true) {
            return None;
        }
        match stage {
            CreateStage::Instances if self.pipeline_busy() => Some(Next::ReleasePipeline),
            _ if self.pipeline_busy() => None,
            _ => Some(self.verdict(Status::CreateFailed)),
        }
    }

    fn next_of_update(&self, stage: UpdateStage, added: &[String]) -> Option<Next> {
        let is_added = |instance: &ServiceInstance| added.contains(&instance.name);
        match stage {
            UpdateStage::Adding if self.busy(is_added) => None,
            UpdateStage::Adding => {
                let failed = self.instances.iter().map(|instance| &instance.value);
                let mut failed = failed.filter(|instance| is_added(instance));
                match failed.any(|instance| instance.deployable.status != Deployed::Succeeded) {
                    true => Some(Next::RollBack),
                    false => Some(Next::Remove),
                }
            }
            UpdateStage::RollingBack if self.busy(is_added) => None,
            UpdateStage::RollingBack => {
                let message = self.service.value.message.clone();
                let left = self
                    .instances
                    .iter()
                    .any(|instance| is_added(&instance.value));
                Some(match left {
                    false => Next::End(Status::UpdateFailedCleanupComplete, message),
                    true => Next::End(Status::UpdateFailedCleanupFailed, message),
                })
            }
            UpdateStage::Removing if self.busy(|_| true) => None,
            UpdateStage::Removing if self.pipeline.is_some() => Some(Next::DeployPipeline),
            UpdateStage::Removing => Some(self.verdict(Status::UpdateFailed)),
            UpdateStage::Pipeline if self.pipeline_busy() => None,
            UpdateStage::Pipeline => Some(self.verdict(Status::UpdateFailed)),
        }
    }

    fn next_of_delete(&self) -> Option<Next> {
        if self.busy(|_| true) || self.pipeline_busy() {
            return None;
        }
        let mut left: Vec<String> = self
            .instances
            .iter()
            .map(|instance| format!("instance {:?}", instance.value.name))
            .collect();
        left.extend(self.pipeline.as_ref().map(|_| "the pipeline".to_owned()));
        Some(match left.is_empty() {
            true => Next::Disappear,
            false => {
                let message = format!("{} could not be deleted", left.join(", "));
                Next::End(Status::DeleteFailed, Some(message))
            }
        })
    }

    /// How an operation ends whose parts have ended; when they have failed, like this.
    fn verdict(&self, failed: Status) -> Next {
        let unsuccessful = self.kept(|instance| instance.deployable.succeeded.is_none());
        let pipeline = self
            .pipeline
            .as_ref()
            .map(|pipeline| &pipeline.value.deployable);
        let pipeline = pipeline.filter(|pipeline| pipeline.status != Deployed::Succeeded);
        if let Some(pipeline) = pipeline {
            return Next::End(failed, pipeline.message.clone());
        }
        if !unsuccessful.is_empty() {
            return Next::End(failed, Some(failed_to_deploy(&unsuccessful)));
        }
        match self.leftovers() {
            names if names.is_empty() => Next::End(Status::Active, None),
            names => {
                let message = format!("instances could not be deleted: {}", names.join(", "));
                Next::End(Status::UpdateCompleteCleanupFailed, Some(message))
            }
        }
    }

    /// A service that failed is well again when all its parts have succeeded.
    fn repaired(&self) -> Option<Next> {
        let failed = self.service.value.status;
        if !matches!(failed, Status::CreateFailed | Status::UpdateFailed) {
            return None;
        }
        let unwell = |instance: &ServiceInstance| instance.deployable.status != Deployed::Succeeded;
        if !self.kept(unwell).is_empty() {
            return None;
        }
        match self.verdict(failed) {
            Next::End(status, _) if status == failed => None,
            well => Some(well),
        }
    }

    fn busy(&self, of: impl Fn(&ServiceInstance) -> bool) -> bool {
        let mut instances = self.instances.iter().map(|instance| &instance.value);
        instances.any(|instance| of(instance) && instance.deployable.status.is_busy())
    }

    fn pipeline_busy(&self) -> bool {
        let pipeline = self.pipeline.as_ref();
        pipeline.is_some_and(|pipeline| pipeline.value.deployable.status.is_busy())
    }

    /// The names of the instances that stay and are like this.
    fn kept(&self, like: impl Fn(&ServiceInstance) -> bool) -> Vec<&str> {
        let kept = self.instances.iter().map(|instance| &instance.value);
        kept.filter(|instance| instance.standing == Standing::Kept && like(instance))
            .map(|instance| &*instance.name)
            .collect()
    }

    /// The names of the instances that were to go and are still there.
    fn leftovers(&self) -> Vec<&str> {
        let left = self.instances.iter().map(|instance| &instance.value);
        left.filter(|instance| instance.standing != Standing::Kept)
            .map(|instance| &*instance.name)
            .collect()
    }
}

fn failed_to_deploy(instances: &[&str]) -> String {
    format!("instances failed to deploy: {}", instances.join(", "))
}

/// The changes that steps are.
impl Scene {
    async fn take(mut self, plane: &ControlPlane, next: Next) -> Result<Change, Setback> {
        Ok(match next {
            Next::ReleasePipeline => self.release_pipeline(plane).await?,
            Next::RollBack => self.roll_back(plane),
            Next::Remove => self.remove(plane),
            Next::DeployPipeline => self.deploy_pipeline(plane)?,
            Next::End(status, message) => {
                let change = self.settle(plane);
                self.end(plane, change, status, message)
            }
            Next::Disappear => self.disappear(plane).await?,
        })
    }

    async fn release_pipeline(&mut self, plane: &ControlPlane) -> Result<Change, store::Error> {
        let change = self.released(plane).await?;
        self.service.value.operation = Some(Operation::Create {
            stage: CreateStage::Pipeline,
        });
        Ok(change.and(self.service.write(plane)))
    }

    /// Lets the deployment of the pipeline begin, if it waits.
    async fn released(&self, plane: &ControlPlane) -> Result<Change, store::Error> {
        let Some(pipeline) = &self.pipeline else {
            return Ok(Change::new());
        };
        let id = &pipeline.value.deployable.attempted;
        let found = plane
            .store()
            .get(&deployment::key(&self.caller, id))
            .await?;
        let found = found.map(Loaded::<Deployment>::of).transpose()?;
        let waiting = found.filter(|found| found.value.phase == Phase::Waiting);
        Ok(waiting.map_or_else(Change::new, |mut waiting| {
            deployment::release(plane, &mut waiting)
        }))
    }

    /// All additions are taken down, and everything else is as if nobody had asked.
    fn roll_back(&mut self, plane: &ControlPlane) -> Change {
        let Some(Operation::Update {
            added, spec_before, ..
        }) = self.service.value.operation.clone()
        else {
            unreachable!("only an update is rolled back");
        };
        let mut change = Change::new();
        let mut failed = Vec::new();
        for instance in &mut self.instances {
            if added.contains(&instance.value.name) {
                if instance.value.deployable.status != Deployed::Succeeded {
                    failed.push(instance.value.name.clone());
                }
                change = change.and(take_down(plane, &self.caller, instance));
            } else if instance.value.standing == Standing::Doomed {
                instance.value.standing = Standing::Kept;
                change = change.and(instance.write(plane));
            }
        }
        change = change.and(self.let_go_of_pipeline(plane));
        let failed: Vec<&str> = failed.iter().map(|name| &**name).collect();
        let service = &mut self.service.value;
        service.status = Status::UpdateFailedCleanupInProgress;
        service.message = Some(failed_to_deploy(&failed));
        service.spec.clone_from(&spec_before);
        service.operation = Some(Operation::Update {
            stage: UpdateStage::RollingBack,
            added,
            spec_before,
        });
        change.and(self.service.write(plane))
    }

    /// Whatever has to go is taken down, also what an earlier edit could not.
    fn remove(&mut self, plane: &ControlPlane) -> Change {
        let mut change = Change::new();
        for instance in &mut self.instances {
            if instance.value.standing != Standing::Kept {
                change = change.and(take_down(plane, &self.caller, instance));
            }
        }
        self.enter(UpdateStage::Removing);
        change
            .and(self.service.write(plane))
            // There may have been nothing to take down, so that nobody would say when it is done.
            .enqueue(work(self.service.key.clone(), plane.now_ms()))
    }

    fn deploy_pipeline(&mut self, plane: &ControlPlane) -> Result<Change, Setback> {
        let mut change = self.leave_behind(plane);
        let pipeline = self.pipeline.as_mut().expect("there is one to deploy");
        let wanted = pipeline.value.after_edit(&self.service.value)?;
        let deployed = deployment::next(
            plane,
            &self.caller,
            &mut pipeline.value,
            Some(wanted),
            When::Now,
        );
        change = change.and(deployed).and(pipeline.write(plane));
        self.enter(UpdateStage::Pipeline);
        Ok(change.and(self.service.write(plane)))
    }

    async fn disappear(&self, plane: &ControlPlane) -> Result<Change, Setback> {
        let name = &self.service.value.name;
        let change = self.service.delete(plane).expect(Expect::NoChildren {
            scope: self.caller.scope(),
            kind: Kind::ServiceInstance,
            parent: name.clone(),
        });
        let synced = service_sync::synced(&self.caller, name);
        let (change, _) = synced.forget(plane, change).await?;
        Ok(change)
    }

    fn enter(&mut self, next: UpdateStage) {
        match &mut self.service.value.operation {
            Some(Operation::Update { stage, .. }) => *stage = next,
            _ => unreachable!("only an update has these stages"),
        }
    }

    /// The parts are left as they are, to be changed one by one.
    fn settle(&mut self, plane: &ControlPlane) -> Change {
        self.leave_behind(plane).and(self.let_go_of_pipeline(plane))
    }

    /// What is to go and still there is hidden, until the next edit tries again. A deletion of the service hides nothing.
    fn leave_behind(&mut self, plane: &ControlPlane) -> Change {
        let doomed = self.instances.iter_mut();
        let doomed = doomed.filter(|instance| instance.value.standing == Standing::Doomed);
        doomed.fold(Change::new(), |change, instance| {
            instance.value.standing = Standing::Leftover;
            change.and(instance.write(plane))
        })
    }

    fn let_go_of_pipeline(&mut self, plane: &ControlPlane) -> Change {
        match &mut self.pipeline {
            Some(pipeline) if pipeline.value.is_awaited => {
                pipeline.value.is_awaited = false;
                pipeline.write(plane)
            }
            _ => Change::new(),
        }
    }

    fn end(
        &mut self,
        plane: &ControlPlane,
        change: Change,
        status: Status,
        message: Option<String>,
    ) -> Change {
        let service = &mut self.service.value;
        service.status = status;
        service.message = message;
        service.operation = None;
        service.envelope.last_modified_at_ms = plane.now_ms();
        change.and(self.service.write(plane))
    }
}

fn take_down(
    plane: &ControlPlane,
    caller: &Caller,
    instance: &mut Loaded<ServiceInstance>,
) -> Change {
    if instance.value.standing == Standing::Kept {
        instance.value.standing = Standing::Doomed;
    }
    let change = deployment::next(plane, caller, &mut instance.value, None, When::Now);
    change.and(instance.write(plane))
}
