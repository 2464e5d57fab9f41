//! Components.

use super::super::bundles::{MANIFEST, TERRAFORM_MANIFEST};
use super::deployment::State;
use super::environment::merge;
use super::service::part;
use super::spec::ServiceSpec;
use super::*;

#[derive(Clone, Debug)]
pub(super) struct Component {
    pub(super) meta: Meta,
    description: Option<String>,
    pub(super) environment: String,
    pub(super) method: Method,
    token: Option<String>,
    pub(super) deployed: Deployable,
}

impl Component {
    pub(super) fn view(&self, name: &str, is_full: bool) -> Value {
        let current = &self.deployed.current;
        let mut view = json!({
            "arn": arn(&format!("component/{name}")),
            "createdAt": time(self.meta.created),
            "environmentName": self.environment,
            "lastModifiedAt": time(self.meta.changed),
            "name": name,
            "serviceInstanceName": current.attached.as_ref().map(|to| &to.1),
            "serviceName": current.attached.as_ref().map(|to| &to.0),
        });
        merge(&mut view, self.deployed.view());
        if is_full {
            view["description"] = json!(self.description);
            view["lastClientRequestToken"] = json!(self.token);
            view["serviceSpec"] = json!(current.service_spec);
        }
        view
    }
}

impl Model {
    fn managed_by_component(
        &self,
        name: &str,
        environment: &str,
        attached: Option<&(String, String)>,
    ) -> Tags {
        let mut managed = vec![
            ("account", ACCOUNT.to_owned()),
            ("environment", arn(&format!("environment/{environment}"))),
            ("component", arn(&format!("component/{name}"))),
        ];
        if let Some((service, instance)) = attached {
            managed.push(("service", arn(&format!("service/{service}"))));
            managed.push(("service-instance", arn(&part(service, instance).resource())));
        }
        managed
            .into_iter()
            .map(|(key, value)| (format!("aws:proton:{key}"), value))
            .collect()
    }

    fn check_component(&self, environment: &str, method: Method, rules: &mut Rules) {
        let Some(environment) = self.check_ready(environment, rules) else {
            return;
        };
        rules.must(
            environment
                .deployed
                .current
                .method
                .is_none_or(|its| its == method),
            VALIDATION,
        );
        let has_means = match method {
            Method::CloudFormation => {
                self.has_role(environment, "componentRoleArn", "componentRoleArn")
            }
            Method::Terraform => !environment.repository.is_null(),
        };
        rules.must(has_means, VALIDATION);
    }

    /// What keeps a component from being deployed at an instance, which it is attached to newly or is already. The environment of
    /// the instance, if it is there.
    fn check_host(
        &self,
        to: &(String, String),
        is_new: bool,
        spec: Option<&str>,
        rules: &mut Rules,
    ) -> Option<String> {
        let (service, name) = to;
        let Ok(Target::Instance(..)) =
            self.named_target(&json!({"serviceName": service, "serviceInstanceName": name}))
        else {
            rules.must(false, NOT_FOUND);
            return None;
        };
        let instance = &self.services[service].instances[name];
        let is_busy = matches!(
            instance.status(),
            "IN_PROGRESS" | "CANCELLING" | "DELETE_IN_PROGRESS"
        );
        rules.must(!is_busy, CONFLICT);
        let current = &instance.deployed.current;
        let version =
            &self.templates[&(Of::Service, current.template.clone())].versions[&current.number];
        rules.must(!is_new || version.takes_components, VALIDATION);
        rules.must(!is_new || !self.is_attached_to(service, name), VALIDATION);
        // A component has no current values to keep.
        let spec = ServiceSpec::filled(spec.unwrap_or(&current.spec), None);
        let section = spec.as_ref().and_then(|(spec, _)| spec.instance(name));
        let bundle = version.bundle.expect("it is deployed");
        rules.must(
            section.is_some_and(|section| spec::fits(&section.inputs, bundle.kind, bundle.zone)),
            VALIDATION,
        );
        Some(instance.environment.clone())
    }

    pub(super) fn create_component(&mut self, r: &Value) -> Answer {
        let (operation, name) = ("CreateComponent", need(r, "name"));
        let target = Target::Component(name.to_owned());
        let token = owned(r, "clientToken");
        let known = |used: &Used| {
            self.components
                .get(&used.made)
                .is_some_and(|component| component.meta.token == token)
        };
        if let Some(name) = self.used(By::Management, operation, r, known)? {
            return self.target_answer(&Target::Component(name));
        }
        let mut rules = Rules::default();
        let tags = rules.take(tags(r));
        rules.must(!self.components.contains_key(name), CONFLICT);
        rules.must(self.components.len() < quota::COMPONENTS, QUOTA);
        let method = match need(r, "manifest") {
            MANIFEST => Some(Method::CloudFormation),
            TERRAFORM_MANIFEST => Some(Method::Terraform),
            _ => None,
        };
        rules.must(method.is_some(), VALIDATION);
        let (service, instance) = (owned(r, "serviceName"), owned(r, "serviceInstanceName"));
        rules.must(service.is_some() == instance.is_some(), VALIDATION);
        let attached = service.zip(instance);
        rules.must(attached.is_some() || r["serviceSpec"].is_null(), VALIDATION);
        let mut environment = owned(r, "environmentName");
        if let Some(to) = &attached {
            let its = self.check_host(to, true, text(r, "serviceSpec"), &mut rules);
            rules.must(
                environment.is_none() || its.is_none() || environment == its,
                VALIDATION,
            );
            environment = its.or(environment);
        }
        rules.must(environment.is_some() || attached.is_some(), VALIDATION);
        if let (Some(environment), Some(method)) = (&environment, method) {
            self.check_component(environment, method, &mut rules);
        }
        rules.end()?;
        let environment = environment.expect("it was found");
        let wanted = State {
            method,
            attached: attached.clone(),
            service_spec: owned(r, "serviceSpec"),
            file: need(r, "templateFile").to_owned(),
            ..State::default()
        };
        let mut meta = self.meta(r, tags.unwrap_or_default(), &[]);
        meta.managed = self.managed_by_component(name, &environment, attached.as_ref());
        let component = Component {
            meta,
            description: owned(r, "description"),
            environment,
            method: method.expect("it was found"),
            token,
            deployed: self.first(wanted),
        };
        self.components.insert(name.to_owned(), component);
        self.record(&target, None);
        self.remember(By::Management, operation, r, name, self.now);
        self.target_answer(&target)
    }

    pub(super) fn get_component(&self, r: &Value) -> Answer {
        let name = need(r, "name");
        match self.components.get(name) {
            Some(component) => Ok(json!({"component": component.view(name, true)})),
            None => refuse(NOT_FOUND),
        }
    }

    pub(super) fn list_components(&self, r: &Value) -> Answer {
        if text(r, "serviceInstanceName").is_some() && text(r, "serviceName").is_none() {
            return refuse(VALIDATION);
        }
        let fits = |view: &Value, member| text(r, member).is_none_or(|asked| view[member] == asked);
        let views = self
            .components
            .iter()
            .map(|(name, component)| component.view(name, false));
        let members = ["environmentName", "serviceName", "serviceInstanceName"];
        let found = views.filter(|view| members.iter().all(|member| fits(view, member)));
        Ok(json!({"components": found.collect::<Vec<_>>()}))
    }

    pub(super) fn update_component(&mut self, r: &Value) -> Answer {
        let (operation, name, now) = ("UpdateComponent", need(r, "name"), self.now);
        let target = Target::Component(name.to_owned());
        let Some(component) = self.components.get(name) else {
            return refuse(NOT_FOUND);
        };
        let created = component.meta.created;
        let same = |used: &Used| used.made != name || used.created == created;
        if self.used(By::Management, operation, r, same)?.is_some() {
            return self.target_answer(&target);
        }
        let mut rules = Rules::default();
        rules.must(!component.deployed.is_busy(), CONFLICT);
        let given = |member: &str| !r[member].is_null();
        if need(r, "deploymentType") == "NONE" {
            let members = [
                "serviceName",
                "serviceInstanceName",
                "serviceSpec",
                "templateFile",
            ];
            rules.must(!members.iter().any(|member| given(member)), VALIDATION);
            rules.end()?;
        } else {
            let current = component.deployed.current.clone();
            let attached = match (text(r, "serviceName"), text(r, "serviceInstanceName")) {
                (None, None) => current.attached.clone(),
                (Some(""), Some("")) => None,
                (Some(service), Some(instance)) if !service.is_empty() && !instance.is_empty() => {
                    Some((service.to_owned(), instance.to_owned()))
                }
                _ => {
                    rules.must(false, VALIDATION);
                    None
                }
            };
            let moves =
                current.attached.is_some() && attached.is_some() && attached != current.attached;
            rules.must(!moves, VALIDATION);
            rules.must(attached.is_some() || !given("serviceSpec"), VALIDATION);
            self.check_component(&component.environment, component.method, &mut rules);
            let spec =
                owned(r, "serviceSpec").or(current.service_spec.filter(|_| attached.is_some()));
            if let Some(former) = current.attached.as_ref().filter(|_| attached.is_none()) {
                // Where it is detached from must be at rest too.
                let instance = &self.services[&former.0].instances[&former.1];
                rules.must(!instance.deployed.is_busy(), CONFLICT);
            }
            if let Some(to) = &attached {
                let its =
                    self.check_host(to, current.attached.is_none(), spec.as_deref(), &mut rules);
                rules.must(
                    its.is_none_or(|its| its == component.environment),
                    VALIDATION,
                );
            }
            rules.end()?;
            let managed =
                self.managed_by_component(name, &component.environment, attached.as_ref());
            let wanted = State {
                attached,
                service_spec: spec,
                file: owned(r, "templateFile").unwrap_or(current.file),
                method: current.method,
                ..State::default()
            };
            self.components
                .get_mut(name)
                .expect("it is there")
                .meta
                .managed = managed;
            self.next(&target, Some(wanted));
        }
        let component = self.components.get_mut(name).expect("it is there");
        component.description = owned(r, "description").or(component.description.take());
        component.token = owned(r, "clientToken").or(component.token.take());
        component.meta.edit(now);
        self.remember(By::Management, operation, r, name, created);
        self.target_answer(&target)
    }

    pub(super) fn delete_component(&mut self, r: &Value) -> Answer {
        let target = self.named_target(&json!({"componentName": r["name"]}))?;
        let deployed = self.deployed(&target).expect("it is there");
        if deployed.status == "DELETE_IN_PROGRESS" {
            return self.target_answer(&target);
        }
        let mut rules = Rules::default();
        rules.must(!deployed.is_busy(), CONFLICT);
        rules.must(deployed.current.attached.is_none(), CONFLICT);
        rules.end()?;
        self.next(&target, None);
        self.target_answer(&target)
    }
}
