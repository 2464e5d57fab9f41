//! Environments.

use super::deployment::State;
use super::template::Number;
use super::*;

#[derive(Clone, Debug)]
pub(super) struct Environment {
    pub(super) meta: Meta,
    description: Option<String>,
    roles: BTreeMap<&'static str, String>,
    pub(super) connection: Option<String>,
    /// As it is shown.
    pub(super) repository: Value,
    pub(super) deployed: Deployable,
}

const ROLES: [&str; 3] = [
    "protonServiceRoleArn",
    "codebuildRoleArn",
    "componentRoleArn",
];

impl Environment {
    pub(super) fn view(&self, name: &str, is_full: bool) -> Value {
        let role = |role| self.roles.get(role);
        let mut view = json!({
            "arn": arn(&format!("environment/{name}")),
            "componentRoleArn": role("componentRoleArn"),
            "createdAt": time(self.meta.created),
            "description": self.description,
            "environmentAccountConnectionId": self.connection,
            "environmentAccountId": self.connection.as_ref().map(|_| OTHER_ACCOUNT),
            "name": name,
            "protonServiceRoleArn": role("protonServiceRoleArn"),
            "provisioning": self.deployed.current.method.is_none().then_some("CUSTOMER_MANAGED"),
        });
        merge(&mut view, self.deployed.view());
        merge(&mut view, self.deployed.version_view());
        if is_full {
            view["codebuildRoleArn"] = json!(role("codebuildRoleArn"));
            view["provisioningRepository"] = self.repository.clone();
            view["spec"] = json!(self.deployed.current.spec);
        }
        view
    }

    /// Whether it has what its own provisioning needs, and nothing that does not go with that.
    fn check_means(&self, method: Option<Method>, rules: &mut Rules) {
        let has_role = self.roles.contains_key("protonServiceRoleArn");
        rules.must(!(has_role && self.connection.is_some()), VALIDATION);
        match method {
            Some(Method::CloudFormation) => {
                rules.must(self.repository.is_null(), VALIDATION);
                rules.must(has_role || self.connection.is_some(), VALIDATION);
            }
            Some(Method::Terraform) => {
                rules.must(!self.repository.is_null(), VALIDATION);
                rules.must(!has_role && self.connection.is_none(), VALIDATION);
            }
            None => {}
        }
    }
}

pub(super) fn merge(view: &mut Value, more: Value) {
    let Value::Object(more) = more else {
        unreachable!("views are objects")
    };
    view.as_object_mut()
        .expect("views are objects")
        .extend(more);
}

impl Model {
    fn take_means(&self, environment: &mut Environment, name: &str, r: &Value, rules: &mut Rules) {
        for role in ROLES {
            if let Some(given) = owned(r, role) {
                environment.roles.insert(role, given);
            }
        }
        if let Some(id) = owned(r, "environmentAccountConnectionId") {
            rules.must(self.is_for(&id, name), VALIDATION);
            environment.connection = Some(id);
        }
        if let Some(branch) = self.branch(&r["provisioningRepository"]) {
            environment.repository = rules.take(branch).unwrap_or_default();
        }
    }

    /// The state that a version and a spec make.
    fn environment_state(
        &self,
        template: &str,
        number: Number,
        text: String,
        rules: &mut Rules,
    ) -> State {
        let bundle = self.bundle(Of::Environment, template, number);
        let inputs = spec::environment(&text).unwrap_or_default();
        rules.must(spec::fits(&inputs, bundle.kind, bundle.zone), VALIDATION);
        let is_described = self.templates[&(Of::Environment, template.to_owned())].is_customers;
        State {
            template: template.to_owned(),
            number,
            spec: text,
            method: (!is_described).then_some(bundle.method),
            ..State::default()
        }
    }

    /// What is only described is there at once.
    fn describe(&mut self, name: &str) {
        let state = &self.environments[name]
            .deployed
            .states()
            .last()
            .expect("there is one")
            .clone();
        if state.method.is_none() {
            let inputs = spec::environment(&state.spec).unwrap_or_default();
            let said = inputs.get("said").and_then(Value::as_str);
            self.succeed_at_once(
                said.map(|said| ("said".to_owned(), said.to_owned()))
                    .into_iter()
                    .collect(),
            );
        }
    }

    pub(super) fn create_environment(&mut self, r: &Value) -> Answer {
        let (name, template) = (need(r, "name"), need(r, "templateName"));
        let target = Target::Environment(name.to_owned());
        let mut rules = Rules::default();
        let tags = rules.take(tags(r));
        if let Some(known) = self.environments.get(name) {
            known.meta.check_repeat(r)?;
            return self.target_answer(&target);
        }
        rules.must(self.environments.len() < quota::ENVIRONMENTS, QUOTA);
        let number = rules.take(self.version_for_create(Of::Environment, template, r));
        // There is no current value yet.
        let inputs =
            spec::environment(need(r, "spec")).and_then(|inputs| spec::fill(&inputs, None));
        rules.must(inputs.is_some(), VALIDATION);
        let state = number.map(|number| {
            self.environment_state(template, number, need(r, "spec").to_owned(), &mut rules)
        });
        let managed = [
            ("account", ACCOUNT.to_owned()),
            ("template", Of::Environment.arn(template)),
            ("environment", arn(&target.resource())),
        ];
        let method = state.as_ref().map(|state| state.method);
        let mut environment = Environment {
            meta: self.meta(r, tags.unwrap_or_default(), &managed),
            description: owned(r, "description"),
            roles: BTreeMap::new(),
            connection: None,
            repository: Value::Null,
            deployed: self.clone().first(state.clone().unwrap_or_default()),
        };
        self.take_means(&mut environment, name, r, &mut rules);
        if let Some(method) = method {
            environment.check_means(method, &mut rules);
        }
        rules.end()?;
        environment.deployed = self.first(state.expect("else a rule is broken"));
        self.environments.insert(name.to_owned(), environment);
        self.record(&target, None);
        self.describe(name);
        self.target_answer(&target)
    }

    pub(super) fn get_environment(&self, r: &Value) -> Answer {
        let name = need(r, "name");
        match self.environments.get(name) {
            Some(environment) => Ok(json!({"environment": environment.view(name, true)})),
            None => refuse(NOT_FOUND),
        }
    }

    pub(super) fn list_environments(&self, r: &Value) -> Answer {
        let filters = r["environmentTemplates"].as_array();
        let wanted = |environment: &Environment| {
            let current = &environment.deployed.current;
            let fits = |filter: &Value| {
                filter["templateName"] == *current.template
                    && filter["majorVersion"] == current.number.0.to_string()
            };
            filters.is_none_or(|filters| filters.iter().any(fits))
        };
        let found = self
            .environments
            .iter()
            .filter(|(_, environment)| wanted(environment));
        let views = found.map(|(name, environment)| environment.view(name, false));
        Ok(json!({"environments": views.collect::<Vec<_>>()}))
    }

    pub(super) fn update_environment(&mut self, r: &Value) -> Answer {
        let (name, now) = (need(r, "name"), self.now);
        let target = Target::Environment(name.to_owned());
        let Some(known) = self.environments.get(name) else {
            return refuse(NOT_FOUND);
        };
        let mut environment = known.clone();
        let current = environment.deployed.current.clone();
        let given = |member: &str| !r[member].is_null();
        let mut rules = Rules::default();
        rules.must(!environment.deployed.is_busy(), CONFLICT);
        match environment.connection {
            None => rules.must(!given("environmentAccountConnectionId"), VALIDATION),
            Some(_) => {
                rules.must(
                    !given("protonServiceRoleArn") && !given("provisioningRepository"),
                    VALIDATION,
                );
            }
        }
        self.take_means(&mut environment, name, r, &mut rules);
        let deploys = need(r, "deploymentType") != "NONE";
        rules.must(deploys || !given("spec"), VALIDATION);
        let number = rules.take(self.version_for_update(
            Of::Environment,
            &current.template,
            current.number,
            r,
        ));
        let text = match text(r, "spec") {
            None => Some(current.spec.clone()),
            Some(text) => spec::environment(text).and_then(|inputs| {
                let filled = spec::fill(&inputs, spec::environment(&current.spec).as_ref())?;
                Some(if filled == inputs {
                    text.to_owned()
                } else {
                    spec::of_environment(filled)
                })
            }),
        };
        rules.must(text.is_some(), VALIDATION);
        let state = number.zip(text).filter(|_| deploys);
        let state = state.map(|(number, text)| {
            self.environment_state(&current.template, number, text, &mut rules)
        });
        let method = state.as_ref().map_or(current.method, |state| state.method);
        rules.must(method == current.method, VALIDATION);
        environment.check_means(method, &mut rules);
        rules.end()?;
        environment.description = owned(r, "description").or(environment.description);
        environment.meta.edit(now);
        self.environments.insert(name.to_owned(), environment);
        if let Some(state) = state {
            self.next(&target, Some(state));
            self.describe(name);
        }
        self.target_answer(&target)
    }

    pub(super) fn delete_environment(&mut self, r: &Value) -> Answer {
        let name = need(r, "name");
        let target = Target::Environment(name.to_owned());
        let Some(environment) = self.environments.get(name) else {
            return Ok(json!({}));
        };
        if environment.deployed.status == "DELETE_IN_PROGRESS" {
            return self.target_answer(&target);
        }
        let mut rules = Rules::default();
        rules.must(!environment.deployed.is_busy(), CONFLICT);
        rules.must(
            !self
                .components
                .values()
                .any(|component| component.environment == name),
            CONFLICT,
        );
        let mut instances = self
            .services
            .values()
            .flat_map(|service| service.instances.values());
        rules.must(
            !instances.any(|instance| instance.environment == name),
            CONFLICT,
        );
        rules.end()?;
        let is_described = environment.deployed.current.method.is_none();
        self.next(&target, None);
        let mut answer = self.target_answer(&target);
        if is_described {
            self.succeed_at_once(Vec::new());
            answer.as_mut().expect("it is shown")["environment"]["deploymentStatus"] =
                "DELETE_COMPLETE".into();
        }
        answer
    }

    /// What keeps an instance or a component from being deployed in an environment now.
    pub(super) fn check_ready(&self, name: &str, rules: &mut Rules) -> Option<&Environment> {
        let Some(environment) = self.environments.get(name) else {
            rules.must(false, NOT_FOUND);
            return None;
        };
        let deployed = &environment.deployed;
        rules.must(deployed.status != "DELETE_IN_PROGRESS", CONFLICT);
        let code = if deployed.is_busy() {
            CONFLICT
        } else {
            VALIDATION
        };
        rules.must(deployed.succeeded.is_some(), code);
        Some(environment)
    }

    /// Whether an environment has the role, itself or by its connection. Its own comes first where both may have one.
    pub(super) fn has_role(
        &self,
        environment: &Environment,
        own: &str,
        of_connection: &str,
    ) -> bool {
        match &environment.connection {
            None => environment.roles.contains_key(own),
            Some(id) => self.connected(id).is_some_and(|connection| {
                connection.role(of_connection).is_some()
                    || (own == "componentRoleArn" && environment.roles.contains_key(own))
            }),
        }
    }
}
