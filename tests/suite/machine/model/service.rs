//! Services, and the operations on them, which are sequences of deployments of their parts.

use super::environment::merge;
use super::instance::{Instance, Standing};
use super::pipeline::{Pipeline, first_environment};
use super::spec::ServiceSpec;
use super::*;

#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) meta: Meta,
    description: Option<String>,
    pub(super) template: String,
    major: u32,
    /// The members that tell of it.
    pub(super) repository: Option<Value>,
    pub(super) spec: String,
    pub(super) status: &'static str,
    message: Option<String>,
    operation: Option<Operation>,
    pub(super) instances: BTreeMap<String, Instance>,
    pub(super) pipeline: Option<Pipeline>,
}

#[derive(Clone, Debug, PartialEq)]
enum Operation {
    /// First the instances, then the pipeline.
    Create {
        pipeline: bool,
    },
    Update {
        stage: Stage,
        added: Vec<String>,
        before: String,
    },
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Adding,
    RollingBack,
    Removing,
    Pipeline,
}

/// What an operation does next.
enum Next {
    ReleasePipeline,
    RollBack,
    Remove,
    DeployPipeline,
    End(&'static str),
    Disappear,
}

const REPOSITORY: [&str; 3] = ["repositoryConnectionArn", "repositoryId", "branchName"];

impl Service {
    pub(super) fn deployed(&self) -> impl Iterator<Item = &Deployable> {
        let instances = self.instances.values().map(|instance| &instance.deployed);
        instances.chain(self.pipeline.iter().map(|pipeline| &pipeline.deployed))
    }

    pub(super) fn visible(&self) -> impl Iterator<Item = (&String, &Instance)> {
        self.instances
            .iter()
            .filter(|(_, instance)| instance.is_visible())
    }

    /// The instances that stay.
    pub(super) fn kept(&self) -> Vec<(&String, &Instance)> {
        let instances = self.instances.iter();
        instances
            .filter(|(_, instance)| instance.standing == Standing::Kept)
            .collect()
    }

    pub(super) fn view(&self, name: &str, is_full: bool) -> Value {
        let mut view = json!({
            "arn": arn(&format!("service/{name}")),
            "createdAt": time(self.meta.created),
            "description": self.description,
            "lastModifiedAt": time(self.meta.changed),
            "name": name,
            "status": self.status,
            "statusMessage": self.message,
            "templateName": self.template,
        });
        if is_full {
            view["spec"] = json!(self.spec);
            view["pipeline"] = json!(self.pipeline.as_ref().map(|pipeline| pipeline.view(name)));
            merge(&mut view, self.repository.clone().unwrap_or(json!({})));
        }
        view
    }

    /// Whether parts can be changed one by one.
    pub(super) fn is_idle(&self) -> bool {
        self.operation.is_none() && self.status != "DELETE_FAILED"
    }

    pub(super) fn read_spec(&self) -> ServiceSpec {
        ServiceSpec::read(&self.spec).expect("only specs are kept")
    }

    fn is_busy(&self, of: impl Fn(&String) -> bool) -> bool {
        let mut instances = self.instances.iter();
        instances.any(|(name, instance)| of(name) && instance.deployed.is_busy())
    }

    fn is_pipeline_busy(&self) -> bool {
        self.pipeline
            .as_ref()
            .is_some_and(|pipeline| pipeline.deployed.is_busy())
    }

    fn next(&self) -> Option<Next> {
        match self.operation.as_ref() {
            None => self.repaired(),
            Some(Operation::Create { .. }) if self.is_busy(|_| true) => None,
            Some(Operation::Create { pipeline: false }) if self.is_pipeline_busy() => {
                Some(Next::ReleasePipeline)
            }
            Some(Operation::Create { .. }) if self.is_pipeline_busy() => None,
            Some(Operation::Create { .. }) => Some(Next::End(self.verdict("CREATE_FAILED"))),
            Some(Operation::Update { stage, added, .. }) => {
                let is_added = |name: &String| added.contains(name);
                match stage {
                    Stage::Adding | Stage::RollingBack if self.is_busy(is_added) => None,
                    Stage::Adding => {
                        let succeeded = |name| self.instances[name].deployed.status == "SUCCEEDED";
                        Some(if added.iter().all(succeeded) {
                            Next::Remove
                        } else {
                            Next::RollBack
                        })
                    }
                    Stage::RollingBack => {
                        let is_left = self.instances.keys().any(is_added);
                        Some(Next::End(match is_left {
                            false => "UPDATE_FAILED_CLEANUP_COMPLETE",
                            true => "UPDATE_FAILED_CLEANUP_FAILED",
                        }))
                    }
                    Stage::Removing if self.is_busy(|_| true) => None,
                    Stage::Removing if self.pipeline.is_some() => Some(Next::DeployPipeline),
                    Stage::Pipeline if self.is_pipeline_busy() => None,
                    Stage::Removing | Stage::Pipeline => {
                        Some(Next::End(self.verdict("UPDATE_FAILED")))
                    }
                }
            }
            Some(Operation::Delete) if self.is_busy(|_| true) || self.is_pipeline_busy() => None,
            Some(Operation::Delete) if self.instances.is_empty() && self.pipeline.is_none() => {
                Some(Next::Disappear)
            }
            Some(Operation::Delete) => Some(Next::End("DELETE_FAILED")),
        }
    }

    fn verdict(&self, failed: &'static str) -> &'static str {
        let pipeline = self.pipeline.as_ref();
        let is_pipeline_fine =
            pipeline.is_none_or(|pipeline| pipeline.deployed.status == "SUCCEEDED");
        let are_instances_fine = self
            .kept()
            .iter()
            .all(|(_, instance)| instance.deployed.succeeded.is_some());
        match is_pipeline_fine && are_instances_fine {
            false => failed,
            true if self.kept().len() < self.instances.len() => "UPDATE_COMPLETE_CLEANUP_FAILED",
            true => "ACTIVE",
        }
    }

    /// What failed is well again when all its parts have succeeded.
    fn repaired(&self) -> Option<Next> {
        let failed = self.status;
        let is_failed = ["CREATE_FAILED", "UPDATE_FAILED"].contains(&failed);
        let are_well = self
            .kept()
            .iter()
            .all(|(_, instance)| instance.deployed.status == "SUCCEEDED");
        let verdict = self.verdict(failed);
        (is_failed && are_well && verdict != failed).then_some(Next::End(verdict))
    }
}

/// A member of each request that names no section of the spec but is needed in all of it.
pub(super) fn part(service: &str, name: &str) -> Target {
    Target::Instance(service.to_owned(), name.to_owned())
}

impl Model {
    fn service_answer(&self, name: &str) -> Answer {
        match self.services.get(name) {
            Some(service) => Ok(json!({"service": service.view(name, true)})),
            None => refuse(NOT_FOUND),
        }
    }

    pub(super) fn create_service(&mut self, r: &Value) -> Answer {
        let (name, template) = (need(r, "name"), need(r, "templateName"));
        let mut rules = Rules::default();
        let tags = rules.take(tags(r));
        if let Some(known) = self.services.get(name) {
            known.meta.check_repeat(r)?;
            return self.service_answer(name);
        }
        rules.must(self.services.len() < quota::SERVICES, QUOTA);
        let number = rules.take(self.version_for_create(Of::Service, template, r));
        let spec = ServiceSpec::filled(need(r, "spec"), None);
        rules.must(spec.is_some(), VALIDATION);
        let (Some(number), Some((spec, _))) = (number, spec) else {
            return rules.end().map(|()| Value::Null);
        };
        rules.must(spec.instances.len() <= quota::INSTANCES, QUOTA);
        let has_pipeline = !self.templates[&(Of::Service, template.to_owned())].is_customers;
        let given = REPOSITORY
            .iter()
            .filter(|member| !r[**member].is_null())
            .count();
        match has_pipeline {
            true => rules.must(given == 3 && spec.pipeline.is_some(), VALIDATION),
            false => rules.must(given == 0 && spec.pipeline.is_none(), VALIDATION),
        }
        if has_pipeline {
            self.check_pipeline(&spec, &mut rules);
        }
        for section in &spec.instances {
            self.check_instance(template, number, section, true, &mut rules);
        }
        rules.end()?;

        let managed = [
            ("account", ACCOUNT.to_owned()),
            ("template", Of::Service.arn(template)),
            ("service", arn(&format!("service/{name}"))),
        ];
        let repository = REPOSITORY.map(|member| (member.to_owned(), r[member].clone()));
        let service = Service {
            meta: self.meta(r, tags.unwrap_or_default(), &managed),
            description: owned(r, "description"),
            template: template.to_owned(),
            major: number.0,
            repository: has_pipeline.then(|| Value::Object(repository.into_iter().collect())),
            spec: need(r, "spec").to_owned(),
            status: "CREATE_IN_PROGRESS",
            message: None,
            operation: Some(Operation::Create { pipeline: false }),
            instances: BTreeMap::new(),
            pipeline: None,
        };
        self.services.insert(name.to_owned(), service);
        for section in &spec.instances {
            self.add_instance(name, number, section, need(r, "spec"), &json!({}));
        }
        if has_pipeline {
            self.add_pipeline(name, number, &spec);
        }
        self.service_answer(name)
    }

    pub(super) fn get_service(&self, r: &Value) -> Answer {
        self.service_answer(need(r, "name"))
    }

    pub(super) fn list_services(&self) -> Answer {
        let views = self
            .services
            .iter()
            .map(|(name, service)| service.view(name, false));
        Ok(json!({"services": views.collect::<Vec<_>>()}))
    }

    pub(super) fn is_attached_to(&self, service: &str, name: &str) -> bool {
        let to = (service.to_owned(), name.to_owned());
        let mut states = self
            .components
            .values()
            .flat_map(|component| component.deployed.states());
        states.any(|state| state.attached.as_ref() == Some(&to))
    }

    pub(super) fn update_service(&mut self, r: &Value) -> Answer {
        let (name, now) = (need(r, "name"), self.now);
        let Some(service) = self.services.get(name) else {
            return refuse(NOT_FOUND);
        };
        if let Some(given) = text(r, "spec") {
            let current = service.read_spec();
            let mut rules = Rules::default();
            rules.must(service.is_idle(), CONFLICT);
            rules.must(
                !service.is_busy(|_| true) && !service.is_pipeline_busy(),
                CONFLICT,
            );
            let Some((spec, text)) = ServiceSpec::filled(given, Some(&current)) else {
                rules.must(false, VALIDATION);
                return rules.end().map(|()| Value::Null);
            };
            rules.must(spec.pipeline == current.pipeline, VALIDATION);
            let same = |section: &spec::Section| {
                current
                    .instance(&section.name)
                    .is_none_or(|known| known == section)
            };
            rules.must(spec.instances.iter().all(same), VALIDATION);
            rules.must(
                !spec.instances.is_empty() || current.instances.is_empty(),
                VALIDATION,
            );
            rules.must(spec.instances.len() <= quota::INSTANCES, QUOTA);
            let added: Vec<_> = spec
                .instances
                .iter()
                .filter(|section| current.instance(&section.name).is_none())
                .cloned()
                .collect();
            let removed: Vec<_> = current
                .instances
                .iter()
                .filter(|section| spec.instance(&section.name).is_none())
                .cloned()
                .collect();
            rules.must(
                service.instances.len() + added.len() <= quota::INSTANCES,
                QUOTA,
            );
            rules.must(
                !added
                    .iter()
                    .any(|section| service.instances.contains_key(&section.name)),
                CONFLICT,
            );
            rules.must(
                !removed
                    .iter()
                    .any(|section| self.is_attached_to(name, &section.name)),
                CONFLICT,
            );
            let major = json!({"templateMajorVersion": service.major.to_string()});
            let mut number = (0, 0);
            if !added.is_empty()
                && let Some(chosen) =
                    rules.take(self.version_for_create(Of::Service, &service.template, &major))
            {
                number = chosen;
                for section in &added {
                    self.check_instance(&service.template, number, section, true, &mut rules);
                }
            }
            rules.end()?;

            for section in &added {
                self.add_instance(name, number, section, &text, &json!({}));
                self.block(name, Some(&section.name), &section.name);
            }
            for section in &removed {
                self.block(name, None, &section.name);
            }
            let service = self.services.get_mut(name).expect("it is there");
            for section in removed {
                service
                    .instances
                    .get_mut(&section.name)
                    .expect("it has a section")
                    .standing = Standing::Doomed;
            }
            if let Some(pipeline) = &mut service.pipeline {
                pipeline.is_awaited = true;
            }
            service.status = "UPDATE_IN_PROGRESS";
            service.message = None;
            service.operation = Some(Operation::Update {
                stage: Stage::Adding,
                added: added.into_iter().map(|section| section.name).collect(),
                before: std::mem::replace(&mut service.spec, text),
            });
        }
        let service = self.services.get_mut(name).expect("it is there");
        service.description = owned(r, "description").or(service.description.take());
        service.meta.edit(now);
        self.service_answer(name)
    }

    pub(super) fn delete_service(&mut self, r: &Value) -> Answer {
        let (name, now) = (need(r, "name"), self.now);
        let Some(service) = self.services.get(name) else {
            return Ok(json!({}));
        };
        if service.operation == Some(Operation::Delete) {
            return self.service_answer(name);
        }
        let mut rules = Rules::default();
        rules.must(service.operation.is_none(), CONFLICT);
        rules.must(
            !service.is_busy(|_| true) && !service.is_pipeline_busy(),
            CONFLICT,
        );
        let attached = service
            .instances
            .keys()
            .any(|instance| self.is_attached_to(name, instance));
        rules.must(!attached, CONFLICT);
        rules.end()?;
        let parts: Vec<String> = service.instances.keys().cloned().collect();
        let has_pipeline = service.pipeline.is_some();
        for instance in parts {
            self.next(&part(name, &instance), None);
        }
        if has_pipeline {
            self.next(&Target::Pipeline(name.to_owned()), None);
        }
        let service = self.services.get_mut(name).expect("it is there");
        service.status = "DELETE_IN_PROGRESS";
        service.message = None;
        service.operation = Some(Operation::Delete);
        service.meta.changed = now;
        self.service_answer(name)
    }
}

/// The steps of operations.
impl Model {
    /// Takes every operation to its next step; says whether one went on.
    pub(super) fn settle_services(&mut self) -> bool {
        let names: Vec<String> = self.services.keys().cloned().collect();
        let mut went_on = false;
        for name in names {
            if let Some(next) = self.services[&name].next() {
                self.take(&name, next);
                went_on = true;
            }
        }
        went_on
    }

    fn take(&mut self, name: &str, next: Next) {
        match next {
            Next::ReleasePipeline => {
                let service = self.services.get_mut(name).expect("it is there");
                service.operation = Some(Operation::Create { pipeline: true });
                let pipeline = service.pipeline.as_ref().expect("it is busy");
                let id = pipeline.deployed.attempted.clone();
                self.release(&id);
            }
            Next::RollBack => self.roll_back(name),
            Next::Remove => {
                self.enter(name, Stage::Removing);
                let service = &self.services[name];
                let doomed = service.instances.iter();
                let doomed = doomed.filter(|(_, instance)| instance.standing != Standing::Kept);
                for instance in doomed.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
                    self.next(&part(name, &instance), None);
                }
            }
            Next::DeployPipeline => self.deploy_pipeline(name),
            Next::End(status) => self.end_operation(name, status),
            Next::Disappear => {
                self.services.remove(name);
                self.syncs.remove(&(None, name.to_owned()));
                self.blockers.remove(name);
            }
        }
    }

    fn enter(&mut self, name: &str, next: Stage) {
        let service = self.services.get_mut(name).expect("it is there");
        if let Some(Operation::Update { stage, .. }) = &mut service.operation {
            *stage = next;
        }
    }

    fn roll_back(&mut self, name: &str) {
        self.enter(name, Stage::RollingBack);
        let service = self.services.get_mut(name).expect("it is there");
        let Some(Operation::Update { added, before, .. }) = service.operation.clone() else {
            unreachable!("only an update is rolled back");
        };
        service.status = "UPDATE_FAILED_CLEANUP_IN_PROGRESS";
        service.message = Some(ANY.to_owned());
        service.spec = before;
        if let Some(pipeline) = &mut service.pipeline {
            pipeline.is_awaited = false;
        }
        for (instance, found) in &mut service.instances {
            found.standing = match (added.contains(instance), found.standing) {
                (true, _) => Standing::Doomed,
                (false, Standing::Doomed) => Standing::Kept,
                (false, other) => other,
            };
        }
        let mut added = added;
        added.sort();
        for instance in added {
            self.next(&part(name, &instance), None);
        }
    }

    fn leave_behind(&mut self, name: &str) {
        let service = self.services.get_mut(name).expect("it is there");
        for instance in service.instances.values_mut() {
            if instance.standing == Standing::Doomed {
                instance.standing = Standing::Leftover;
            }
        }
    }

    fn deploy_pipeline(&mut self, name: &str) {
        self.leave_behind(name);
        self.enter(name, Stage::Pipeline);
        let service = self.services.get_mut(name).expect("it is there");
        let (text, environment) = (
            service.spec.clone(),
            first_environment(&service.read_spec()),
        );
        let pipeline = service.pipeline.as_mut().expect("it is awaited");
        pipeline.is_awaited = false;
        pipeline.environment = environment;
        let wanted = deployment::State {
            spec: text,
            ..pipeline.deployed.current.clone()
        };
        self.next(&Target::Pipeline(name.to_owned()), Some(wanted));
    }

    fn end_operation(&mut self, name: &str, status: &'static str) {
        self.leave_behind(name);
        let now = self.now;
        let service = self.services.get_mut(name).expect("it is there");
        if let Some(pipeline) = &mut service.pipeline {
            pipeline.is_awaited = false;
        }
        service.status = status;
        service.message = (status != "ACTIVE").then(|| MAYBE.to_owned());
        service.operation = None;
        service.meta.changed = now;
    }
}
