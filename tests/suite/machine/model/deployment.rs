//! Deployments, and what has them: they begin, are rendered, are with their engine, and end.

use super::super::bundles::ASKING;
use super::spec::ServiceSpec;
use super::template::Number;
use super::*;

/// Keys and values, in the engine's order.
type Outputs = Vec<(String, String)>;

/// What is deployed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    Environment(String),
    Instance(String, String),
    Pipeline(String),
    Component(String),
}

impl Target {
    pub(super) fn resource(&self) -> String {
        match self {
            Self::Environment(name) => format!("environment/{name}"),
            Self::Instance(service, name) => format!("service/{service}/service-instance/{name}"),
            Self::Pipeline(service) => format!("service/{service}/pipeline"),
            Self::Component(name) => format!("component/{name}"),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Environment(_) => "ENVIRONMENT",
            Self::Instance(..) => "SERVICE_INSTANCE",
            Self::Pipeline(_) => "SERVICE_PIPELINE",
            Self::Component(_) => "COMPONENT",
        }
    }
}

/// What a deployment asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    pub(super) template: String,
    pub(super) number: Number,
    pub(super) spec: String,
    /// None for what is only described.
    pub(super) method: Option<Method>,
    /// Of an instance: the successful deployments whose outputs it sees, and the component that is attached.
    pub(super) environment: Option<String>,
    pub(super) pipeline: Option<String>,
    pub(super) component: Option<Option<String>>,
    /// Of a component.
    pub(super) attached: Option<(String, String)>,
    pub(super) service_spec: Option<String>,
    pub(super) file: String,
}

impl State {
    fn shown(&self, of: &Target) -> Value {
        let versioned = json!({
            "spec": self.spec,
            "templateMajorVersion": self.number.0.to_string(),
            "templateMinorVersion": self.number.1.to_string(),
            "templateName": self.template,
        });
        match of {
            Target::Environment(_) => json!({"environment": versioned}),
            Target::Pipeline(_) => json!({"servicePipeline": versioned}),
            Target::Instance(..) => {
                let mut instance = versioned;
                let components: Vec<_> = self.component.iter().flatten().collect();
                instance["lastSuccessfulComponentDeploymentIds"] = json!(components);
                instance["lastSuccessfulEnvironmentDeploymentId"] = json!(self.environment);
                instance["lastSuccessfulServicePipelineDeploymentId"] = json!(self.pipeline);
                json!({"serviceInstance": instance})
            }
            Target::Component(_) => json!({"component": {
                "serviceInstanceName": self.attached.as_ref().map(|to| &to.1),
                "serviceName": self.attached.as_ref().map(|to| &to.0),
                "serviceSpec": self.service_spec,
                "templateFile": self.file,
            }}),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Deployable {
    pub(super) status: &'static str,
    pub(super) message: Option<String>,
    attempted_at: i64,
    succeeded_at: Option<i64>,
    pub(super) attempted: String,
    pub(super) succeeded: Option<String>,
    /// The last deployment that came to an engine, and to which.
    sent: Option<(String, Method)>,
    pub(super) current: State,
    wanted: Option<State>,
}

impl Deployable {
    pub(super) fn is_busy(&self) -> bool {
        matches!(
            self.status,
            "IN_PROGRESS" | "DELETE_IN_PROGRESS" | "CANCELLING"
        )
    }

    pub(super) fn states(&self) -> impl Iterator<Item = &State> {
        std::iter::once(&self.current).chain(&self.wanted)
    }

    pub(super) fn view(&self) -> Value {
        json!({
            "deploymentStatus": self.status,
            "deploymentStatusMessage": self.message,
            "lastAttemptedDeploymentId": self.attempted,
            "lastDeploymentAttemptedAt": time(self.attempted_at),
            "lastDeploymentSucceededAt": self.succeeded_at.map(time),
            "lastSucceededDeploymentId": self.succeeded,
        })
    }

    /// The members that show a template version.
    pub(super) fn version_view(&self) -> Value {
        json!({
            "templateMajorVersion": self.current.number.0.to_string(),
            "templateMinorVersion": self.current.number.1.to_string(),
            "templateName": self.current.template,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Waiting,
    Fresh,
    /// With its engine, and what that will put out.
    Engine(Method, Outputs),
    Ended,
}

#[derive(Clone, Debug)]
pub(super) struct Deployment {
    pub(super) id: String,
    pub(super) meta: Meta,
    target: Target,
    target_created: i64,
    environment: String,
    attached: Option<(String, String)>,
    provisions: bool,
    status: &'static str,
    message: Option<String>,
    completed: Option<i64>,
    before: Option<String>,
    succeeded_before: Option<String>,
    initial: Value,
    wanted: Value,
    phase: Phase,
    outputs: Outputs,
    resources: Vec<Value>,
}

enum Outcome {
    Succeeded(Outputs, Vec<Value>),
    Failed(String),
    Cancelled,
}

impl Deployment {
    fn service(&self) -> Option<&str> {
        match &self.target {
            Target::Instance(service, _) | Target::Pipeline(service) => Some(service),
            _ => self.attached.as_ref().map(|to| &*to.0),
        }
    }

    fn instance(&self) -> Option<&str> {
        match &self.target {
            Target::Instance(_, name) => Some(name),
            _ => self.attached.as_ref().map(|to| &*to.1),
        }
    }

    fn component(&self) -> Option<&str> {
        match &self.target {
            Target::Component(name) => Some(name),
            _ => None,
        }
    }

    fn is_narrowed_by(&self, r: &Value) -> bool {
        let fits =
            |member, has: Option<&str>| text(r, member).is_none_or(|asked| has == Some(asked));
        fits("environmentName", Some(&self.environment))
            && fits("serviceName", self.service())
            && fits("serviceInstanceName", self.instance())
            && fits("componentName", self.component())
    }

    fn view(&self, is_full: bool) -> Value {
        let mut view = json!({
            "arn": arn(&format!("deployment/{}", self.id)),
            "completedAt": self.completed.map(time),
            "componentName": self.component(),
            "createdAt": time(self.meta.created),
            "deploymentStatus": self.status,
            "environmentName": self.environment,
            "id": self.id,
            "lastAttemptedDeploymentId": self.before,
            "lastModifiedAt": time(self.meta.changed),
            "lastSucceededDeploymentId": self.succeeded_before,
            "serviceInstanceName": self.instance(),
            "serviceName": self.service(),
            "targetArn": arn(&self.target.resource()),
            "targetResourceCreatedAt": time(self.target_created),
            "targetResourceType": self.target.kind(),
        });
        if is_full {
            view["deploymentStatusMessage"] = json!(self.message);
            view["initialState"] = self.initial.clone();
            view["targetState"] = self.wanted.clone();
        }
        view
    }
}

/// Beginning.
impl Model {
    /// For a resource that is being made; `record` goes on when it is there.
    pub(super) fn first(&mut self, wanted: State) -> Deployable {
        Deployable {
            status: "IN_PROGRESS",
            message: None,
            attempted_at: self.now,
            succeeded_at: None,
            attempted: self.id('d'),
            succeeded: None,
            sent: None,
            current: wanted.clone(),
            wanted: Some(wanted),
        }
    }

    /// The next deployment of what is there: of a state, or of nothing.
    pub(super) fn next(&mut self, target: &Target, wanted: Option<State>) {
        let (id, now) = (self.id('d'), self.now);
        let deployed = self.deployed_mut(target).expect("it is there");
        let before = deployed.clone();
        deployed.status = if wanted.is_some() {
            "IN_PROGRESS"
        } else {
            "DELETE_IN_PROGRESS"
        };
        deployed.message = None;
        deployed.attempted_at = now;
        deployed.attempted = id;
        if let (None, Some(wanted)) = (&deployed.succeeded, &wanted) {
            deployed.current = wanted.clone();
        }
        deployed.wanted = wanted;
        self.record(target, Some(before));
    }

    pub(super) fn record(&mut self, target: &Target, before: Option<Deployable>) {
        let deployed = self.deployed(target).expect("it is there").clone();
        let state = deployed.wanted.as_ref().unwrap_or(&deployed.current);
        let (environment, target_created) = self.whereabouts(target);
        let initial = before.as_ref().filter(|before| before.succeeded.is_some());
        let deployment = Deployment {
            id: deployed.attempted.clone(),
            meta: Meta {
                created: self.now,
                changed: self.now,
                ..Meta::default()
            },
            target: target.clone(),
            target_created,
            environment,
            attached: state.attached.clone(),
            provisions: deployed.wanted.is_some(),
            status: deployed.status,
            message: None,
            completed: None,
            before: before.as_ref().map(|before| before.attempted.clone()),
            succeeded_before: before.as_ref().and_then(|before| before.succeeded.clone()),
            initial: initial.map_or(Value::Null, |before| before.current.shown(target)),
            wanted: deployed
                .wanted
                .as_ref()
                .map_or(Value::Null, |wanted| wanted.shown(target)),
            phase: Phase::Fresh,
            outputs: Vec::new(),
            resources: Vec::new(),
        };
        self.deployments.push(deployment);
    }

    /// The deployment that was begun last waits for others.
    pub(super) fn wait(&mut self) {
        self.deployments.last_mut().expect("one has begun").phase = Phase::Waiting;
    }

    /// What waits may begin.
    pub(super) fn release(&mut self, id: &str) {
        let now = self.now;
        let mut deployments = self.deployments.iter_mut();
        let waiting = deployments
            .find(|deployment| deployment.id == id && deployment.phase == Phase::Waiting);
        if let Some(waiting) = waiting {
            waiting.phase = Phase::Fresh;
            waiting.meta.changed = now;
        }
    }

    /// The deployment that was begun last has nothing to do.
    pub(super) fn succeed_at_once(&mut self, outputs: Outputs) {
        let last = self.deployments.len() - 1;
        self.end(last, Outcome::Succeeded(outputs, Vec::new()));
    }

    pub(super) fn deployed(&self, target: &Target) -> Option<&Deployable> {
        match target {
            Target::Environment(name) => self.environments.get(name).map(|found| &found.deployed),
            Target::Instance(service, name) => {
                let instance = self.services.get(service)?.instances.get(name)?;
                Some(&instance.deployed)
            }
            Target::Pipeline(service) => {
                let pipeline = self.services.get(service)?.pipeline.as_ref()?;
                Some(&pipeline.deployed)
            }
            Target::Component(name) => self.components.get(name).map(|found| &found.deployed),
        }
    }

    pub(super) fn deployed_mut(&mut self, target: &Target) -> Option<&mut Deployable> {
        match target {
            Target::Environment(name) => self
                .environments
                .get_mut(name)
                .map(|found| &mut found.deployed),
            Target::Instance(service, name) => {
                let instance = self.services.get_mut(service)?.instances.get_mut(name)?;
                Some(&mut instance.deployed)
            }
            Target::Pipeline(service) => {
                let pipeline = self.services.get_mut(service)?.pipeline.as_mut()?;
                Some(&mut pipeline.deployed)
            }
            Target::Component(name) => self
                .components
                .get_mut(name)
                .map(|found| &mut found.deployed),
        }
    }

    /// The environment, and when the target was made.
    fn whereabouts(&self, target: &Target) -> (String, i64) {
        match target {
            Target::Environment(name) => (name.clone(), self.environments[name].meta.created),
            Target::Instance(service, name) => {
                let instance = &self.services[service].instances[name];
                (instance.environment.clone(), instance.meta.created)
            }
            Target::Pipeline(service) => {
                let pipeline = self.services[service]
                    .pipeline
                    .as_ref()
                    .expect("it is there");
                (pipeline.environment.clone(), pipeline.meta.created)
            }
            Target::Component(name) => {
                let component = &self.components[name];
                (component.environment.clone(), component.meta.created)
            }
        }
    }

    fn remove(&mut self, target: &Target) {
        match target {
            Target::Environment(name) => drop(self.environments.remove(name)),
            Target::Component(name) => drop(self.components.remove(name)),
            Target::Instance(service, name) => {
                if let Some(service) = self.services.get_mut(service) {
                    service.instances.remove(name);
                }
            }
            Target::Pipeline(service) => {
                if let Some(service) = self.services.get_mut(service) {
                    service.pipeline = None;
                }
            }
        }
    }
}

/// Going on, and ending.
impl Model {
    /// Takes every deployment as far as it goes; says whether one went on.
    pub(super) fn settle_deployments(&mut self) -> bool {
        let mut went_on = false;
        for at in 0..self.deployments.len() {
            while self.step(at) {
                went_on = true;
            }
        }
        went_on
    }

    /// The names of the deployments that are with their engines.
    pub(in super::super) fn held(&self) -> Vec<String> {
        let deployments = self.deployments.iter();
        let held = deployments.filter(|deployment| matches!(deployment.phase, Phase::Engine(..)));
        held.map(|deployment| deployment.id.clone()).collect()
    }

    fn step(&mut self, at: usize) -> bool {
        let deployment = &self.deployments[at];
        let is_cancelled = deployment.status == "CANCELLING";
        let sign = if deployment.provisions { '+' } else { '-' };
        let step = format!("{sign}{}", deployment.target.resource());
        let outcome = match &deployment.phase {
            Phase::Ended => return false,
            _ if is_cancelled => Outcome::Cancelled,
            Phase::Waiting => return false,
            Phase::Fresh => match self.prepared(at) {
                Ok(Some((method, outputs))) => {
                    let deployment = &mut self.deployments[at];
                    deployment.phase = Phase::Engine(method, outputs);
                    let (target, id) = (deployment.target.clone(), deployment.id.clone());
                    self.deployed_mut(&target).expect("it is there").sent = Some((id, method));
                    return true;
                }
                Ok(None) => Outcome::Succeeded(Vec::new(), Vec::new()),
                Err(message) => Outcome::Failed(message),
            },
            Phase::Engine(..) if self.held.contains(&step) => return false,
            Phase::Engine(..) if self.failing.contains(&step) => {
                Outcome::Failed(format!("{step} failed"))
            }
            Phase::Engine(_, outputs) => {
                let resource = deployment.target.resource();
                let resource = json!({"name": resource, "identifier": format!("stack of {resource}"), "provisioningEngine": "CLOUDFORMATION"});
                let resources = if deployment.provisions {
                    vec![resource]
                } else {
                    Vec::new()
                };
                Outcome::Succeeded(outputs.clone(), resources)
            }
        };
        self.end(at, outcome);
        true
    }

    fn end(&mut self, at: usize, outcome: Outcome) {
        let now = self.now;
        let deployment = &mut self.deployments[at];
        let (status, message) = match (&outcome, deployment.provisions) {
            (Outcome::Succeeded(..), true) => ("SUCCEEDED", None),
            (Outcome::Succeeded(..), false) => ("DELETE_COMPLETE", None),
            (Outcome::Failed(message), true) => ("FAILED", Some(message.clone())),
            (Outcome::Failed(message), false) => ("DELETE_FAILED", Some(message.clone())),
            (Outcome::Cancelled, _) => {
                ("CANCELLED", Some("User initiated cancellation.".to_owned()))
            }
        };
        deployment.phase = Phase::Ended;
        deployment.status = status;
        deployment.message.clone_from(&message);
        deployment.completed = Some(now);
        deployment.meta.changed = now;
        if let Outcome::Succeeded(outputs, resources) = outcome {
            if deployment.outputs.is_empty() {
                deployment.outputs = outputs;
            }
            deployment.resources = resources;
        }
        let (target, id) = (deployment.target.clone(), deployment.id.clone());
        let Some(deployed) = self
            .deployed_mut(&target)
            .filter(|deployed| deployed.attempted == id)
        else {
            return;
        };
        deployed.status = status;
        deployed.message = message;
        let wanted = deployed.wanted.take();
        if let ("SUCCEEDED", Some(wanted)) = (status, wanted) {
            let spec = wanted.spec.clone();
            deployed.current = wanted;
            deployed.succeeded_at = Some(deployed.attempted_at);
            deployed.succeeded = Some(id);
            self.take_over(&target, &spec);
        }
        if status == "DELETE_COMPLETE" {
            self.remove(&target);
        }
    }

    /// What has succeeded is from now on what the service's spec says.
    fn take_over(&mut self, target: &Target, text: &str) {
        let (Target::Instance(service, _) | Target::Pipeline(service)) = target else {
            return;
        };
        let Some(from) = ServiceSpec::read(text) else {
            return;
        };
        let service = self.services.get_mut(service).expect("its parts are there");
        let before = ServiceSpec::read(&service.spec).expect("only specs are kept");
        let mut spec = before.clone();
        match target {
            Target::Instance(_, name) => from
                .instance(name)
                .cloned()
                .into_iter()
                .for_each(|section| spec.put(section)),
            _ => spec.pipeline = from.pipeline,
        }
        if spec != before {
            service.spec = spec.text();
        }
    }

    /// Which engine gets the deployment, and what it puts out; no engine if there is nothing to take down. The error is what the
    /// deployment fails with.
    fn prepared(&self, at: usize) -> Result<Option<(Method, Outputs)>, String> {
        let deployment = &self.deployments[at];
        let deployed = self.deployed(&deployment.target).expect("it is there");
        let Some(wanted) = &deployed.wanted else {
            let Some((_, method)) = deployed.sent else {
                return Ok(None);
            };
            self.check_place(&deployment.target, method)?;
            return Ok(Some((method, Vec::new())));
        };
        let said = self.said(&deployment.target, wanted)?;
        let method = wanted
            .method
            .expect("what is only described is not deployed");
        self.check_place(&deployment.target, method)?;
        let outputs = match method {
            Method::CloudFormation => vec![("said".to_owned(), said)],
            Method::Terraform => Vec::new(),
        };
        Ok(Some((method, outputs)))
    }

    /// What is needed where it goes may be gone since it was asked for.
    fn check_place(&self, target: &Target, method: Method) -> Result<(), String> {
        let is_there = match target {
            _ if method == Method::Terraform => match target {
                Target::Pipeline(_) => self.settings.contains_key("pipelineProvisioningRepository"),
                _ => true,
            },
            Target::Pipeline(_) => self.settings.contains_key("pipelineServiceRoleArn"),
            other => {
                let environment = &self.environments[&self.whereabouts(other).0];
                environment
                    .connection
                    .as_ref()
                    .is_none_or(|id| self.connected(id).is_some())
            }
        };
        if is_there {
            Ok(())
        } else {
            Err(ANY.to_owned())
        }
    }

    /// What the template says of itself.
    fn said(&self, target: &Target, wanted: &State) -> Result<String, String> {
        let put_out = |id: Option<&str>| {
            let mut deployments = self.deployments.iter();
            let found = id.and_then(|id| deployments.find(|deployment| deployment.id == id));
            let said =
                found.and_then(|found| found.outputs.iter().find(|output| output.0 == "said"));
            said.map_or(String::new(), |said| said.1.clone())
        };
        let size = |text: &str, instance: &str| {
            let spec = ServiceSpec::read(text).expect("only specs are kept");
            let section = spec.instance(instance);
            section.map_or("small".to_owned(), |section| {
                spec::input(&section.inputs, "size", "small").to_owned()
            })
        };
        match target {
            Target::Environment(name) => {
                let inputs = spec::environment(&wanted.spec).expect("only specs are kept");
                Ok(format!(
                    "{name} is {}",
                    spec::input(&inputs, "size", "small")
                ))
            }
            Target::Instance(service, name) => Ok(format!(
                "{service} {name} {}, {}, {}",
                size(&wanted.spec, name),
                put_out(wanted.environment.as_deref()),
                put_out(wanted.component.iter().flatten().next().map(|id| &**id)),
            )),
            Target::Pipeline(name) => {
                let service = &self.services[name];
                let kept = service.kept();
                let failed = kept
                    .iter()
                    .filter(|(_, instance)| instance.deployed.succeeded.is_none());
                let failed: Vec<String> = failed
                    .map(|(instance, _)| {
                        arn(&Target::Instance(name.clone(), (*instance).clone()).resource())
                    })
                    .collect();
                if !failed.is_empty() {
                    return Err(format!(
                        "Service Instance(s): [{}] failed to deploy - canceling pipeline deployment",
                        failed.join(", ")
                    ));
                }
                let spec = ServiceSpec::read(&wanted.spec).expect("only specs are kept");
                let inputs = spec.pipeline.unwrap_or_default();
                let repository = service
                    .repository
                    .as_ref()
                    .map_or("", |repository| need(repository, "repositoryId"));
                let mut said = format!("{} of {repository}", spec::input(&inputs, "tests", "all"));
                for section in ServiceSpec::read(&service.spec)
                    .expect("only specs are kept")
                    .instances
                {
                    if let Some((_, instance)) =
                        kept.iter().find(|(name, _)| **name == section.name)
                    {
                        let current = &instance.deployed.current;
                        said += &format!(
                            "; {} {} ({}) in {}",
                            section.name,
                            size(&current.spec, &section.name),
                            put_out(instance.deployed.succeeded.as_deref()),
                            instance.environment
                        );
                    }
                }
                Ok(said)
            }
            Target::Component(name) => {
                let component = &self.components[name];
                let environment = &self.environments[&component.environment];
                match (wanted.file == ASKING, &wanted.attached) {
                    (true, None) => Err(ANY.to_owned()),
                    (true, Some((service, instance))) => {
                        let own = &self.services[service].instances[instance]
                            .deployed
                            .current
                            .spec;
                        let text = wanted.service_spec.as_ref().unwrap_or(own);
                        Ok(format!("{instance} is {}", size(text, instance)))
                    }
                    (false, _) => Ok(format!(
                        "{name} of {}",
                        put_out(environment.deployed.succeeded.as_deref())
                    )),
                }
            }
        }
    }
}

/// The operations.
impl Model {
    /// The target that the members of a request name.
    pub(super) fn named_target(&self, r: &Value) -> Result<Target, Refusal> {
        let target = if let Some(name) = owned(r, "environmentName") {
            Target::Environment(name)
        } else if let Some(name) = owned(r, "componentName") {
            Target::Component(name)
        } else if let Some(name) = owned(r, "serviceInstanceName") {
            Target::Instance(need(r, "serviceName").to_owned(), name)
        } else {
            Target::Pipeline(need(r, "serviceName").to_owned())
        };
        self.visible(target)
    }

    /// The target, if users know of it.
    fn visible(&self, target: Target) -> Result<Target, Refusal> {
        let hidden = match &target {
            Target::Instance(service, name) => {
                let service = self.services.get(service);
                service
                    .and_then(|service| service.instances.get(name))
                    .is_some_and(|instance| !instance.is_visible())
            }
            _ => false,
        };
        match self.deployed(&target).is_some() && !hidden {
            true => Ok(target),
            false => refuse(NOT_FOUND),
        }
    }

    /// The answer that shows the target.
    pub(super) fn target_answer(&self, target: &Target) -> Answer {
        Ok(match target {
            Target::Environment(name) => {
                json!({"environment": self.environments[name].view(name, true)})
            }
            Target::Instance(service, name) => {
                json!({"serviceInstance": self.services[service].instances[name].view(service, name, true)})
            }
            Target::Pipeline(service) => {
                let pipeline = self.services[service]
                    .pipeline
                    .as_ref()
                    .expect("it is there");
                json!({"pipeline": pipeline.view(service)})
            }
            Target::Component(name) => json!({"component": self.components[name].view(name, true)}),
        })
    }

    pub(super) fn cancel(&mut self, target: &Target) -> Answer {
        let now = self.now;
        let deployed = self.deployed_mut(target).expect("it is there");
        if deployed.status != "IN_PROGRESS" {
            return refuse(CONFLICT);
        }
        deployed.status = "CANCELLING";
        let id = deployed.attempted.clone();
        let mut deployments = self.deployments.iter_mut();
        let deployment = deployments
            .find(|deployment| deployment.id == id)
            .expect("it is under way");
        deployment.status = "CANCELLING";
        deployment.meta.changed = now;
        self.target_answer(target)
    }

    pub(super) fn list_outputs(&self, r: &Value) -> Answer {
        let target = self.named_target(r)?;
        let asked = text(r, "deploymentId");
        let succeeded = self
            .deployed(&target)
            .and_then(|deployed| deployed.succeeded.as_deref());
        let found = asked.or(succeeded).and_then(|id| {
            self.deployments
                .iter()
                .find(|deployment| deployment.id == id)
        });
        let found = found.filter(|deployment| deployment.target == target);
        if asked.is_some() && found.is_none() {
            return refuse(VALIDATION);
        }
        let outputs = found.map_or(&[][..], |deployment| &deployment.outputs);
        let outputs = outputs
            .iter()
            .map(|(key, value)| json!({"key": key, "valueString": value}));
        Ok(json!({"outputs": outputs.collect::<Vec<_>>()}))
    }

    pub(super) fn list_resources(&self, r: &Value) -> Answer {
        let target = self.named_target(r)?;
        let succeeded = self
            .deployed(&target)
            .and_then(|deployed| deployed.succeeded.as_deref());
        let found = succeeded.and_then(|id| {
            self.deployments
                .iter()
                .find(|deployment| deployment.id == id)
        });
        Ok(
            json!({"provisionedResources": found.map_or(&[][..], |deployment| &deployment.resources)}),
        )
    }

    pub(super) fn get_deployment(&self, r: &Value) -> Answer {
        if text(r, "serviceInstanceName").is_some() && text(r, "serviceName").is_none() {
            return refuse(VALIDATION);
        }
        let mut deployments = self.deployments.iter();
        match deployments
            .find(|deployment| deployment.id == need(r, "id") && deployment.is_narrowed_by(r))
        {
            Some(deployment) => Ok(json!({"deployment": deployment.view(true)})),
            None => refuse(NOT_FOUND),
        }
    }

    pub(super) fn list_deployments(&self, r: &Value) -> Answer {
        let service = owned(r, "serviceName");
        let instance = owned(r, "serviceInstanceName");
        let mut rules = Rules::default();
        rules.must(instance.is_none() || service.is_some(), VALIDATION);
        let is_there = |target: Target| self.visible(target).is_ok();
        rules.must(
            owned(r, "environmentName").is_none_or(|name| is_there(Target::Environment(name))),
            NOT_FOUND,
        );
        rules.must(
            owned(r, "componentName").is_none_or(|name| is_there(Target::Component(name))),
            NOT_FOUND,
        );
        rules.must(
            service
                .as_ref()
                .is_none_or(|name| self.services.contains_key(name)),
            NOT_FOUND,
        );
        if let (Some(service), Some(instance)) = (service, instance) {
            rules.must(is_there(Target::Instance(service, instance)), NOT_FOUND);
        }
        rules.end()?;
        let narrowed = self
            .deployments
            .iter()
            .rev()
            .filter(|deployment| deployment.is_narrowed_by(r));
        Ok(
            json!({"deployments": narrowed.map(|deployment| deployment.view(false)).collect::<Vec<_>>()}),
        )
    }

    pub(super) fn delete_deployment(&mut self, r: &Value) -> Answer {
        let id = need(r, "id");
        let Some(at) = self
            .deployments
            .iter()
            .position(|deployment| deployment.id == id)
        else {
            return refuse(NOT_FOUND);
        };
        let deployment = &self.deployments[at];
        let held = self.deployed(&deployment.target).is_some_and(|deployed| {
            let sent = deployed.sent.as_ref().map(|sent| &*sent.0);
            deployed.succeeded.as_deref() == Some(id) || sent == Some(id)
        });
        let mut rules = Rules::default();
        rules.must(deployment.phase == Phase::Ended, VALIDATION);
        rules.must(!held, VALIDATION);
        rules.end()?;
        Ok(json!({"deployment": self.deployments.remove(at).view(true)}))
    }

    fn target_of(&self, resource: &str) -> Result<Target, Refusal> {
        let own = resource.strip_prefix(&arn("")).unwrap_or_default();
        let parts: Vec<String> = own.split('/').map(str::to_owned).collect();
        let parts: Vec<&str> = parts.iter().map(|part| &**part).collect();
        let target = match parts[..] {
            ["environment", name] => Target::Environment(name.to_owned()),
            ["component", name] => Target::Component(name.to_owned()),
            ["service", service, "pipeline"] => Target::Pipeline(service.to_owned()),
            ["service", service, "service-instance", name] => {
                Target::Instance(service.to_owned(), name.to_owned())
            }
            _ => return refuse(NOT_FOUND),
        };
        // Also a hidden one, which is still being taken down.
        match self.deployed(&target) {
            Some(_) => Ok(target),
            None => refuse(NOT_FOUND),
        }
    }

    pub(super) fn notify(&mut self, r: &Value) -> Answer {
        let target = self.target_of(need(r, "resourceArn"))?;
        let deployed = self.deployed(&target).expect("it is visible").clone();
        if deployed.current.method.is_none() {
            return refuse(VALIDATION);
        }
        let named = text(r, "deploymentId");
        let underway = self
            .deployments
            .iter()
            .position(|deployment| deployment.id == deployed.attempted);
        let engine = underway.and_then(|at| match &self.deployments[at].phase {
            Phase::Engine(method, _) => Some((at, *method)),
            _ => None,
        });
        let mut rules = Rules::default();
        let Some((at, method)) = engine else {
            let sent = deployed.sent.as_ref().map(|sent| sent.1);
            let is_managed = sent.or(deployed.current.method) == Some(Method::CloudFormation);
            rules.must(!is_managed, VALIDATION);
            rules.must(text(r, "status").is_none(), CONFLICT);
            rules.must(deployed.succeeded.is_some(), CONFLICT);
            rules.must(
                named.is_none_or(|named| deployed.succeeded.as_deref() == Some(named)),
                CONFLICT,
            );
            rules.end()?;
            let at = self
                .deployments
                .iter()
                .position(|deployment| Some(&deployment.id) == deployed.succeeded.as_ref());
            self.hand_over(at.expect("what outputs depend on is not deleted"), r);
            return Ok(json!({}));
        };
        rules.must(method == Method::Terraform, VALIDATION);
        rules.must(
            named.is_none_or(|named| named == deployed.attempted),
            CONFLICT,
        );
        rules.end()?;
        self.hand_over(at, r);
        let message = owned(r, "statusMessage");
        match text(r, "status") {
            Some("SUCCEEDED") => {
                let resource = json!({"name": self.folder(&target), "identifier": ANY, "provisioningEngine": "TERRAFORM"});
                let resources = if self.deployments[at].provisions {
                    vec![resource]
                } else {
                    Vec::new()
                };
                self.end(at, Outcome::Succeeded(Vec::new(), resources));
                self.deployments[at].message.clone_from(&message);
                if let Some(deployed) = self.deployed_mut(&target) {
                    deployed.message = message;
                }
            }
            Some("FAILED") => self.end(
                at,
                Outcome::Failed(message.unwrap_or_else(|| ANY.to_owned())),
            ),
            _ if message.is_some() => {
                self.deployments[at].message.clone_from(&message);
                self.deployed_mut(&target).expect("it is there").message = message;
            }
            _ => {}
        }
        Ok(json!({}))
    }

    /// Where the files of a target lie in a repository.
    fn folder(&self, target: &Target) -> String {
        let environment = self.whereabouts(target).0;
        match target {
            Target::Environment(name) => name.clone(),
            Target::Instance(service, name) => format!("{environment}/{service}-{name}"),
            Target::Pipeline(service) => format!("{service}/pipeline"),
            Target::Component(name) => format!("{environment}/{name}"),
        }
    }

    fn hand_over(&mut self, at: usize, r: &Value) {
        self.deployments[at].meta.changed = self.now;
        if let Some(outputs) = r["outputs"].as_array() {
            let output = |output: &Value| {
                (
                    need(output, "key").to_owned(),
                    need(output, "valueString").to_owned(),
                )
            };
            self.deployments[at].outputs = outputs.iter().map(output).collect();
        }
    }
}
