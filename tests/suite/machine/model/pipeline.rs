//! Service pipelines.

use super::deployment::State;
use super::environment::merge;
use super::spec::ServiceSpec;
use super::template::Number;
use super::*;

#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) meta: Meta,
    /// The one of the first instance.
    pub(super) environment: String,
    /// An edit of the service will deploy it.
    pub(super) is_awaited: bool,
    pub(super) deployed: Deployable,
}

impl Pipeline {
    pub(super) fn view(&self, service: &str) -> Value {
        let mut view = json!({
            "arn": arn(&format!("service/{service}/pipeline")),
            "createdAt": time(self.meta.created),
            "spec": self.deployed.current.spec,
        });
        merge(&mut view, self.deployed.view());
        merge(&mut view, self.deployed.version_view());
        if self.is_awaited {
            view["deploymentStatus"] = "IN_PROGRESS".into();
        }
        view
    }
}

/// Where the pipeline of a spec belongs; a service without instances is nowhere yet.
pub(super) fn first_environment(spec: &ServiceSpec) -> String {
    let first = spec.instances.first();
    first.map_or("no-environment".to_owned(), |first| {
        first.environment.clone()
    })
}

impl Model {
    /// What keeps the pipeline of a spec from being deployed. All are provisioned by CloudFormation.
    pub(super) fn check_pipeline(&self, spec: &ServiceSpec, rules: &mut Rules) {
        let tests = spec
            .pipeline
            .as_ref()
            .map(|inputs| inputs.get("tests").is_none_or(Value::is_string));
        rules.must(tests == Some(true), VALIDATION);
        rules.must(
            self.settings.contains_key("pipelineServiceRoleArn"),
            VALIDATION,
        );
    }

    /// Makes the pipeline, which waits for the instances.
    pub(super) fn add_pipeline(&mut self, service: &str, number: Number, spec: &ServiceSpec) {
        let found = &self.services[service];
        let wanted = State {
            template: found.template.clone(),
            number,
            spec: found.spec.clone(),
            method: Some(Method::CloudFormation),
            ..State::default()
        };
        let meta = Meta {
            created: self.now,
            tags: found.meta.tags.clone(),
            managed: found.meta.managed.clone(),
            ..Meta::default()
        };
        let pipeline = Pipeline {
            meta,
            environment: first_environment(spec),
            is_awaited: false,
            deployed: self.first(wanted),
        };
        self.services
            .get_mut(service)
            .expect("it is there")
            .pipeline = Some(pipeline);
        self.record(&Target::Pipeline(service.to_owned()), None);
        self.wait();
    }

    pub(super) fn update_pipeline(&mut self, r: &Value) -> Answer {
        let (service, now) = (need(r, "serviceName"), self.now);
        let target = self.named_target(&json!({"serviceName": service}))?;
        let found = &self.services[service];
        let pipeline = found.pipeline.as_ref().expect("it is there");
        let current = &pipeline.deployed.current;
        let mut rules = Rules::default();
        let number =
            rules.take(self.version_for_update(Of::Service, &found.template, current.number, r));
        if need(r, "deploymentType") == "NONE" {
            rules.end()?;
            return self.target_answer(&target);
        }
        rules.must(found.is_idle() && !pipeline.deployed.is_busy(), CONFLICT);
        let of_service = found.read_spec();
        let filled = ServiceSpec::filled(need(r, "spec"), Some(&of_service));
        match &filled {
            Some((spec, _)) => self.check_pipeline(spec, &mut rules),
            None => rules.must(false, VALIDATION),
        }
        rules.end()?;
        let wanted = State {
            number: number.expect("it was found"),
            spec: filled.expect("it was found").1,
            ..current.clone()
        };
        let found = self.services.get_mut(service).expect("it is there");
        let pipeline = found.pipeline.as_mut().expect("it is there");
        pipeline.environment = first_environment(&of_service);
        pipeline.meta.edit(now);
        self.next(&target, Some(wanted));
        self.target_answer(&target)
    }
}
