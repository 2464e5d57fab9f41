//! Sequences of steps, out of so few names that calls meet each other's work.
//!
//! A call is aimed at an end: mostly a good one, else an error that is documented for the operation. It is drawn anew, a few times,
//! until the model ends it so. Thus calls get by the rules and run into each of them, however seldom they would blindly.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::super::stack::{ACCOUNT, OTHER_ACCOUNT};
use super::bundles::{ASKING, BUNDLES, MANIFEST, PLAIN, TERRAFORM, TERRAFORM_MANIFEST};
use super::calls::{OPERATIONS, documented};
use super::model::spec::CURRENT;
use super::model::{By, CONFLICT, ILLEGAL, Model, NOT_FOUND, QUOTA, VALIDATION};
use super::{OK, Step};

const TEMPLATES: [&str; 3] = ["net", "byo", "spare"];
const SERVICE_TEMPLATES: [&str; 3] = ["web", "lone", "spare"];
const ENVIRONMENTS: [&str; 4] = ["dev", "prod", "far", "attic"];
const SERVICES: [&str; 3] = ["shop", "blog", "stall"];
const INSTANCES: [&str; 4] = ["one", "two", "three", "four"];
const COMPONENTS: [&str; 3] = ["queue", "cache", "bucket"];
const ROLE: &str = "arn:aws:iam::123456789012:role/proton";
const CONNECTION: &str = "arn:aws:codestar-connections:us-east-1:123456789012:connection/0f3ecc3c-0000-4000-8000-000000000000";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/0f3ecc3c-0000-4000-8000-000000000000";

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).unwrap();
        usize::try_from(self.next() % count).unwrap()
    }

    /// True so many times in a hundred.
    fn in_100(&mut self, times: usize) -> bool {
        self.below(100) < times
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// One of these so many times in a hundred, else nothing.
    fn maybe<T: Clone>(&mut self, times: usize, choices: &[T]) -> Option<T> {
        let choice = self.of(choices);
        self.in_100(times).then_some(choice)
    }
}

/// The members that are not null.
fn given(request: Value) -> Value {
    let Value::Object(members) = request else {
        unreachable!("requests are objects")
    };
    let given = members.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(given.collect())
}

/// How often a call is drawn for its aim, and how often of these before another operation is.
const DRAWS: usize = 36;
const DRAWS_EACH: usize = 6;

/// A sequence as it comes about.
pub(super) struct Generator {
    dice: Dice,
    /// What is decided.
    ahead: VecDeque<Step>,
}

impl Generator {
    /// Builds a world first.
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let ahead = world(&mut dice).into();
        Self { dice, ahead }
    }

    /// How many steps are decided.
    pub(super) fn ahead(&self) -> usize {
        self.ahead.len()
    }

    /// What happens next.
    pub(super) fn step(&mut self, model: &Model) -> Step {
        if let Some(step) = self.ahead.pop_front() {
            return step;
        }
        match self.dice.below(100) {
            0..5 => Step::Fail(engine_step(&mut self.dice, model)),
            5..13 => Step::LetGo,
            13..17 => Step::Mend,
            17 => Step::Pass(9 * 60 * 60 * 1000),
            _ => self.call(model),
        }
    }

    /// A call; what it deploys may be held, and cancelled then.
    fn call(&mut self, model: &Model) -> Step {
        let dice = &mut self.dice;
        let (is_well, by, operation, request) = aimed(dice, model);
        let deployed = deployed(dice, model, operation, &request);
        let call = Step::Call(by, operation, request);
        let Some(resource) = deployed.filter(|_| is_well && dice.in_100(35)) else {
            return call;
        };
        self.ahead.push_back(call);
        let is_delete = operation.starts_with("Delete");
        if !is_delete && dice.in_100(35) {
            let (operation, request) = cancel(&resource);
            self.ahead
                .push_back(Step::Call(By::Management, operation, request));
        }
        Step::Hold(format!("{}{resource}", if is_delete { '-' } else { '+' }))
    }
}

/// A call that ends as it is meant to, if one is found, and whether that is well.
fn aimed(dice: &mut Dice, model: &Model) -> (bool, By, &'static str, Value) {
    let aim = match dice.below(20) {
        0..10 => OK,
        10..13 => VALIDATION,
        13..15 => NOT_FOUND,
        15..18 => CONFLICT,
        _ => QUOTA,
    };
    let mut draws = DRAWS;
    loop {
        let operation = operation(dice);
        if aim != OK && !documented(operation).contains(&aim) {
            continue;
        }
        for _ in 0..DRAWS_EACH {
            let by = caller(dice, operation);
            let made = model.made_by(operation);
            let request = match made.is_empty() || dice.in_100(85) {
                true => given(request(dice, model, by, operation)),
                false => dice.of(&made),
            };
            let request = spoilt(dice, operation, request);
            draws -= 1;
            let is_met = match model.clone().call(by, operation, &request) {
                Ok(_) => aim == OK,
                Err(refusal) => refusal.codes.iter().all(|code| *code == aim),
            };
            if is_met || draws == 0 {
                return (is_met && aim == OK, by, operation, request);
            }
        }
    }
}

fn caller(dice: &mut Dice, operation: &str) -> By {
    let others = match operation {
        "ListTagsForResource" | "TagResource" | "UntagResource" => 2,
        other if other.contains("EnvironmentAccountConnection") => 50,
        _ => 0,
    };
    match dice.in_100(others) {
        true => By::Other,
        false => By::Management,
    }
}

/// What changes deployments comes often, what ends families seldom.
fn operation(dice: &mut Dice) -> &'static str {
    let weight = |operation: &str| match operation {
        "DeleteService" | "DeleteEnvironment" | "DeleteRepository" => 1,
        "DeleteEnvironmentTemplate" | "DeleteServiceTemplate" => 1,
        "DeleteEnvironmentTemplateVersion" | "DeleteServiceTemplateVersion" => 1,
        "CreateEnvironmentTemplateVersion" | "CreateServiceTemplateVersion" => 4,
        "UpdateServiceSyncBlocker" => 4,
        "CreateEnvironment" | "CreateService" | "CreateServiceInstance" | "CreateComponent" => 6,
        "UpdateEnvironment" | "UpdateService" | "UpdateServiceInstance" | "UpdateComponent" => 6,
        "UpdateServicePipeline" | "NotifyResourceDeploymentStatusChange" => 6,

        read if read.starts_with("Get") || read.starts_with("List") => 1,
        _ => 2,
    };
    let mut at = dice.below(OPERATIONS.iter().map(|operation| weight(operation)).sum());
    let drawn = OPERATIONS.iter().find(|operation| {
        let weight = weight(operation);
        let is_it = at < weight;
        at = at.saturating_sub(weight);
        is_it
    });
    drawn.expect("the dice is below the sum")
}

/// The resource that a call deploys, or one of those.
fn deployed(dice: &mut Dice, model: &Model, operation: &str, request: &Value) -> Option<String> {
    let text = |member: &str| request[member].as_str().unwrap_or_default();
    let verbs = ["Create", "Update", "Delete"];
    let what = verbs.iter().find_map(|verb| operation.strip_prefix(verb))?;
    let part = |service: &str, name: &str| format!("service/{service}/service-instance/{name}");
    Some(match what {
        "Environment" => format!("environment/{}", text("name")),
        "Component" => format!("component/{}", text("name")),
        "ServiceInstance" => part(text("serviceName"), text("name")),
        "ServicePipeline" => format!("service/{}/pipeline", text("serviceName")),
        "Service" => {
            let service = text("name");
            let mut parts = vec![format!("service/{service}/pipeline")];
            let spec = serde_json::from_str(text("spec")).ok();
            let spec: Option<Value> = spec.or_else(|| model.spec_of(service));
            let sections = spec.as_ref().and_then(|spec| spec["instances"].as_array());
            let names = sections.into_iter().flatten();
            let names = names.filter_map(|section| section["name"].as_str());
            parts.extend(names.map(|name| part(service, name)));
            dice.of(&parts)
        }
        _ => return None,
    })
}

fn cancel(resource: &str) -> (&'static str, Value) {
    let parts: Vec<&str> = resource.split('/').collect();
    match parts[..] {
        ["environment", name] => (
            "CancelEnvironmentDeployment",
            json!({"environmentName": name}),
        ),
        ["component", name] => ("CancelComponentDeployment", json!({"componentName": name})),
        ["service", service, "pipeline"] => (
            "CancelServicePipelineDeployment",
            json!({"serviceName": service}),
        ),
        ["service", service, _, name] => {
            let request = json!({"serviceName": service, "serviceInstanceName": name});
            ("CancelServiceInstanceDeployment", request)
        }
        _ => unreachable!("nothing else is deployed"),
    }
}

/// Breaks a limit now and then. Ids of blockers have none.
fn spoilt(dice: &mut Dice, operation: &str, mut request: Value) -> Value {
    const LIMITED: [&str; 9] = [
        "name",
        "templateName",
        "serviceName",
        "environmentName",
        "serviceInstanceName",
        "componentName",
        "repositoryName",
        "id",
        "resourceArn",
    ];
    if dice.in_100(8) && operation != "UpdateServiceSyncBlocker" {
        let present = |member: &&&str| request.get(**member).is_some();
        let present: Vec<_> = LIMITED.iter().filter(present).collect();
        if !present.is_empty() {
            request[*dice.of(&present)] = ILLEGAL.into();
        }
    }
    if dice.in_100(10) && request.get("maxResults").is_some() {
        request["maxResults"] = dice.of(&[0, 101]).into();
    }
    request
}

fn engine_step(dice: &mut Dice, model: &Model) -> String {
    let resources = model.deployables();
    let resource = match resources.is_empty() || dice.in_100(20) {
        true => dice
            .of(&[
                "environment/far",
                "service/shop/service-instance/three",
                "component/queue",
            ])
            .to_owned(),
        false => dice.of(&resources),
    };
    format!("{}{resource}", dice.of(&["+", "+", "-"]))
}

/// Calls that build a world in which most others can succeed; now and then not all of it.
#[rustfmt::skip]
fn world(dice: &mut Dice) -> Vec<Step> {
    let is_terraform = dice.in_100(30);
    let engine = if is_terraform { "-terraform" } else { "" };
    let (role, repository) = match is_terraform {
        true => (Value::Null, json!({"provider": "GITHUB", "name": "me/infra", "branch": "main"})),
        false => (ROLE.into(), Value::Null),
    };
    let published = |name: &str| json!({"templateName": name, "majorVersion": "1", "minorVersion": "0", "status": "PUBLISHED"});
    let version = |name: &str| json!({"templateName": name, "source": source(&format!("{name}{engine}")), "clientToken": format!("world-{name}")});
    let service_version = |name: &str| {
        let mut request = version(name);
        request["compatibleEnvironmentTemplates"] = json!([{"templateName": "net", "majorVersion": "1"}]);
        request["supportedComponentSources"] = json!(["DIRECTLY_DEFINED"]);
        request
    };
    let environment = |name: &str| json!({
        "name": name, "templateName": "net", "templateMajorVersion": "1", "protonServiceRoleArn": role, "componentRoleArn": ROLE,
        "provisioningRepository": repository, "spec": json!({"proton": "EnvironmentSpec", "spec": {"size": "small"}}).to_string(),
    });
    let spec = json!({"proton": "ServiceSpec", "pipeline": {"tests": "some"}, "instances": [
        {"name": "one", "environment": "dev", "spec": {"size": "small"}}, {"name": "two", "environment": "dev", "spec": {"size": "large"}},
    ]});
    let mut calls = vec![
        ("CreateEnvironmentAccountConnection", json!({
            "environmentName": "far", "managementAccountId": ACCOUNT, "clientToken": "world", "roleArn": ROLE, "componentRoleArn": ROLE,
        })),
        ("AcceptEnvironmentAccountConnection", json!({"id": "<c1>"})),
        ("CreateRepository", json!({"provider": "GITHUB", "name": "me/infra", "connectionArn": CONNECTION})),
        ("CreateEnvironmentTemplate", json!({"name": "net"})),
        ("CreateEnvironmentTemplateVersion", version("net")),
        ("UpdateEnvironmentTemplateVersion", published("net")),
        ("CreateServiceTemplate", json!({"name": "web"})),
        ("CreateServiceTemplateVersion", service_version("web")),
        ("UpdateServiceTemplateVersion", published("web")),
        ("CreateServiceTemplate", json!({"name": "lone", "pipelineProvisioning": "CUSTOMER_MANAGED"})),
        ("CreateServiceTemplateVersion", service_version("lone")),
        ("UpdateServiceTemplateVersion", published("lone")),
        ("UpdateAccountSettings", json!({"pipelineServiceRoleArn": ROLE})),
        ("CreateEnvironment", environment("dev")),
        ("CreateEnvironment", environment("prod")),
        ("CreateService", json!({
            "name": "shop", "templateName": "web", "templateMajorVersion": "1", "spec": spec.to_string(),
            "repositoryConnectionArn": CONNECTION, "repositoryId": "me/shop", "branchName": "main",
        })),
        ("CreateServiceSyncConfig", json!({
            "serviceName": "shop", "repositoryProvider": "GITHUB", "repositoryName": "me/infra", "branch": "main", "filePath": "ops.yaml",
        })),
    ];
    match dice.below(10) {
        0 => calls.truncate(dice.below(calls.len())),
        1..5 => drop(calls.pop()),
        _ => {}
    }
    let by = |operation| match operation {
        "CreateEnvironmentAccountConnection" => By::Other,
        _ => By::Management,
    };
    calls.into_iter().map(|(operation, request)| Step::Call(by(operation), operation, given(request))).collect()
}

fn source(key: &str) -> Value {
    json!({"s3": {"bucket": "templates", "key": key}})
}

/// An input, seldom one that cannot be.
fn size(dice: &mut Dice) -> Value {
    match dice.below(7) {
        0 => 5.into(),
        _ => dice.of(&["small", "large", "huge", "small", CURRENT, "large"])[..].into(),
    }
}

fn environment_spec(dice: &mut Dice) -> String {
    let mut inputs = Map::new();
    if dice.in_100(70) {
        inputs.insert("size".to_owned(), size(dice));
    }
    for (input, times) in [("zone", 25), ("colour", 10), ("said", 20)] {
        if let Some(value) = dice.maybe(times, &["a", "b"]) {
            inputs.insert(input.to_owned(), value.into());
        }
    }
    let kind = dice.of(&[
        "EnvironmentSpec",
        "EnvironmentSpec",
        "EnvironmentSpec",
        "EnvironmentSpec",
        "ServiceSpec",
    ]);
    json!({"proton": kind, "spec": inputs}).to_string()
}

fn section(dice: &mut Dice, name: &str) -> Value {
    let mut inputs = Map::new();
    if dice.in_100(70) {
        inputs.insert("size".to_owned(), size(dice));
    }
    if dice.in_100(10) {
        inputs.insert("zone".to_owned(), "a".into());
    }
    let environment = dice.of(&["dev", "dev", "prod", "far"]);
    json!({"name": name, "environment": environment, "spec": inputs})
}

/// A new spec, or the service's with a change.
fn service_spec(dice: &mut Dice, model: &Model, service: &str, has_pipeline: bool) -> String {
    let known = model.spec_of(service).filter(|_| dice.in_100(85));
    let mut spec = known.unwrap_or_else(|| {
        let mut spec = json!({"proton": "ServiceSpec", "instances": []});
        if has_pipeline {
            spec["pipeline"] = json!({"tests": "some"});
        }
        let sections: Vec<_> = INSTANCES.iter().filter(|_| dice.in_100(50)).collect();
        spec["instances"] = sections
            .into_iter()
            .map(|name| section(dice, name))
            .collect();
        spec
    });
    let instances = spec["instances"].as_array_mut().expect("it is a list");
    match dice.below(12) {
        0..3 if !instances.is_empty() => {
            let at = dice.below(instances.len());
            instances.remove(at);
        }
        3..6 => {
            let name = dice.of(&INSTANCES);
            instances.push(section(dice, name));
        }
        6..8 if !instances.is_empty() => {
            let at = dice.below(instances.len());
            let size = dice.of(&["small", "large", CURRENT]);
            instances[at]["spec"] = json!({"size": size});
        }
        8 if has_pipeline => spec["pipeline"] = json!({"tests": dice.of(&["none", CURRENT])}),
        9 if dice.in_100(30) => return "nonsense".to_owned(),
        _ => {}
    }
    spec.to_string()
}

/// The spec of a service whose section of an instance says something else.
fn instance_spec(dice: &mut Dice, model: &Model, service: &str, name: &str) -> String {
    let Some(mut spec) = model.spec_of(service).filter(|_| dice.in_100(90)) else {
        return service_spec(dice, model, service, true);
    };
    let instances = spec["instances"].as_array_mut().expect("it is a list");
    match instances.iter_mut().find(|section| section["name"] == name) {
        Some(known) => {
            known["spec"] = json!({"size": size(dice)});
        }
        None => instances.push(section(dice, name)),
    }
    spec.to_string()
}

fn tags(dice: &mut Dice) -> Option<Value> {
    let keys = ["team", "stage", "cost", "team", "stage", "aws:own"];
    let count = 1 + dice.below(2);
    let tags: Vec<_> = (0..count)
        .map(|_| json!({"key": dice.of(&keys), "value": dice.of(&["a", "b", ""])}))
        .collect();
    dice.in_100(25).then(|| tags.into())
}

fn token(dice: &mut Dice) -> String {
    match dice.in_100(30) {
        true => dice.of(&["t1", "t2"]).to_owned(),
        false => format!("fresh-{}", dice.below(1_000_000)),
    }
}

fn an_arn(dice: &mut Dice, model: &Model) -> String {
    dice.of(&model.arns())
}

/// Templates are made as what they are for.
fn template_request(dice: &mut Dice, name: &str) -> Value {
    json!({
        "name": name,
        "description": dice.maybe(20, &["one", "two"]),
        "displayName": dice.maybe(20, &["One", "Two"]),
        "encryptionKey": dice.maybe(5, &[KEY]),
        "tags": tags(dice),
    })
}

#[rustfmt::skip]
fn request(dice: &mut Dice, model: &Model, by: By, operation: &str) -> Value {
    let d = dice;
    let strange = if operation.starts_with("Create") { 40 } else { 12 };
    let mut name = |known: Vec<String>, all: &[&str]| match known.is_empty() || d.in_100(strange) {
        true => d.of(all).to_owned(),
        false => d.of(&known),
    };
    let template = &*name(model.templates_of("ENVIRONMENT"), &TEMPLATES);
    let service_template = &*name(model.templates_of("SERVICE"), &SERVICE_TEMPLATES);
    let environment = &*name(model.environments(), &ENVIRONMENTS);
    let service = &*name(model.services(), &SERVICES);
    let instance = &*name(model.instances_of(service), &INSTANCES);
    let component = &*name(model.components(), &COMPONENTS);
    let (major, minor) = (d.of(&["1", "1", "1", "2"]), d.of(&["0", "0", "1", "2"]));
    let provider = d.of(&["GITHUB", "GITHUB", "GITHUB", "BITBUCKET"]);
    let repository = d.of(&["me/infra", "me/infra", "me/apps"]);
    let most = d.maybe(70, &[1, 2, 3]);
    let description = d.maybe(30, &["one", "two"]);
    let id = |d: &mut Dice, ids: Vec<String>| match ids.is_empty() || d.in_100(10) {
        true => "<x0>".to_owned(),
        false => d.of(&ids),
    };
    let branch = |d: &mut Dice| json!({"provider": provider, "name": repository, "branch": d.of(&["main", "next"])});
    let of_type = |d: &mut Dice| match d.in_100(50) {
        true => json!({"templateName": template, "templateType": "ENVIRONMENT"}),
        false => json!({"templateName": service_template, "templateType": "SERVICE"}),
    };
    let and = |mut one: Value, other: Value| {
        one.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        one
    };
    let repository_of = json!({"repositoryProvider": provider, "repositoryName": repository});
    let version = |name: &str| json!({"templateName": name, "majorVersion": major, "minorVersion": minor});
    let versions = |d: &mut Dice, name: &str| json!({"templateName": name, "majorVersion": d.maybe(60, &[major]), "maxResults": most});
    let new_version = |d: &mut Dice, name: &str, usual: &[&str]| {
        let any: Vec<&str> = BUNDLES.iter().map(|bundle| bundle.key).chain(["nothing"]).collect();
        let key = if d.in_100(85) { d.of(usual) } else { d.of(&any) };
        json!({
            "templateName": name, "majorVersion": d.maybe(60, &[major]), "description": description, "clientToken": token(d),
            "source": source(key), "tags": tags(d),
        })
    };
    let fits = |d: &mut Dice| {
        let all = [("net", "1"), ("net", "1"), ("net", "2"), ("byo", "1"), ("net", "9")];
        let count = 1 + d.below(2);
        (0..count).map(|_| d.of(&all)).map(|(name, major)| json!({"templateName": name, "majorVersion": major})).collect::<Value>()
    };
    let edit_version = |d: &mut Dice, name: &str| and(version(name), json!({
        "status": d.maybe(70, &["PUBLISHED", "PUBLISHED", "PUBLISHED", "DRAFT", "REGISTRATION_FAILED"]), "description": description,
    }));
    let how = |d: &mut Dice| {
        let how = d.of(&["NONE", "CURRENT_VERSION", "CURRENT_VERSION", "CURRENT_VERSION", "MINOR_VERSION", "MAJOR_VERSION"]);
        let times = if how.starts_with('M') { 40 } else { 5 };
        json!({"deploymentType": how, "templateMajorVersion": d.maybe(times, &[major]), "templateMinorVersion": d.maybe(times, &[minor])})
    };
    let of_instance = json!({"serviceName": service, "serviceInstanceName": instance});
    let narrowed = |d: &mut Dice| json!({
        "environmentName": d.maybe(20, &[environment]), "serviceName": d.maybe(40, &[service]),
        "serviceInstanceName": d.maybe(20, &[instance]), "componentName": d.maybe(10, &[component]),
    });
    let deployment = |d: &mut Dice| {
        let id = id(d, model.ids('d'));
        d.maybe(30, &[id])
    };
    match operation {
        "GetAccountSettings" | "GetResourcesSummary" => json!({}),
        "UpdateAccountSettings" => json!({
            "pipelineServiceRoleArn": d.maybe(40, &[ROLE, ROLE, ROLE, ROLE, ""]), "pipelineCodebuildRoleArn": d.maybe(20, &[ROLE, ""]),
            "pipelineProvisioningRepository": d.in_100(30).then(|| branch(d)), "deletePipelineProvisioningRepository": d.maybe(15, &[true, false]),
        }),
        "CreateRepository" => json!({
            "provider": provider, "name": repository, "connectionArn": CONNECTION, "encryptionKey": d.maybe(20, &[KEY]), "tags": tags(d),
        }),
        "GetRepository" | "DeleteRepository" => json!({"provider": provider, "name": repository}),
        "ListRepositories" | "ListEnvironmentTemplates" | "ListServiceTemplates" | "ListServices" => json!({"maxResults": most}),
        "GetRepositorySyncStatus" => and(repository_of, json!({"branch": "main", "syncType": d.of(&["TEMPLATE_SYNC", "SERVICE_SYNC"])})),
        "ListRepositorySyncDefinitions" => and(repository_of, json!({"syncType": d.of(&["TEMPLATE_SYNC", "SERVICE_SYNC"]), "nextToken": d.maybe(5, &["x"])})),
        "CreateEnvironmentTemplate" => and(template_request(d, template), json!({
            "provisioning": d.maybe(if template == "byo" { 95 } else { 5 }, &["CUSTOMER_MANAGED"]),
        })),
        "GetEnvironmentTemplate" | "DeleteEnvironmentTemplate" => json!({"name": template}),
        "UpdateEnvironmentTemplate" => json!({"name": template, "description": description, "displayName": d.maybe(50, &["One", "Two"])}),
        "CreateEnvironmentTemplateVersion" => match template {
            "byo" => new_version(d, template, &["byo"]),
            _ => new_version(d, template, &["net", "net", "net-zone", "net-strict", "net-terraform"]),
        },
        "GetEnvironmentTemplateVersion" | "DeleteEnvironmentTemplateVersion" => version(template),
        "ListEnvironmentTemplateVersions" => versions(d, template),
        "UpdateEnvironmentTemplateVersion" => edit_version(d, template),
        "CreateServiceTemplate" => and(template_request(d, service_template), json!({
            "pipelineProvisioning": d.maybe(if service_template == "lone" { 95 } else { 5 }, &["CUSTOMER_MANAGED"]),
        })),
        "GetServiceTemplate" | "DeleteServiceTemplate" => json!({"name": service_template}),
        "UpdateServiceTemplate" => json!({"name": service_template, "description": description, "displayName": d.maybe(50, &["One", "Two"])}),
        "CreateServiceTemplateVersion" => {
            let usual: &[&str] = if service_template == "lone" { &["lone", "lone", "lone-terraform"] } else { &["web", "web", "web-zone", "web-terraform"] };
            and(new_version(d, service_template, usual), json!({
                "compatibleEnvironmentTemplates": fits(d), "supportedComponentSources": d.maybe(50, &[json!(["DIRECTLY_DEFINED"])]),
            }))
        }
        "GetServiceTemplateVersion" | "DeleteServiceTemplateVersion" => version(service_template),
        "ListServiceTemplateVersions" => versions(d, service_template),
        "UpdateServiceTemplateVersion" => and(edit_version(d, service_template), json!({
            "compatibleEnvironmentTemplates": d.in_100(20).then(|| fits(d)), "supportedComponentSources": d.maybe(30, &[json!(["DIRECTLY_DEFINED"])]),
        })),
        "CreateTemplateSyncConfig" | "UpdateTemplateSyncConfig" => and(and(repository_of, of_type(d)), json!({
            "branch": d.of(&["main", "next"]), "subdirectory": d.maybe(50, &["templates"]),
        })),
        "GetTemplateSyncConfig" | "DeleteTemplateSyncConfig" => of_type(d),
        "GetTemplateSyncStatus" => and(of_type(d), json!({"templateVersion": major})),
        "CreateEnvironment" => {
            let is_terraform = d.in_100(25);
            let connection = match model.connection_for(environment) {
                Some(known) => d.maybe(80, &[known]),
                None => d.in_100(10).then(|| id(d, model.ids('c'))),
            };
            let role = d.maybe(if connection.is_some() || is_terraform { 5 } else { 95 }, &[ROLE]);
            json!({
                "name": environment, "templateName": template, "templateMajorVersion": major,
                "templateMinorVersion": d.maybe(20, &[minor]), "spec": environment_spec(d), "description": description,
                "protonServiceRoleArn": role, "componentRoleArn": d.maybe(60, &[ROLE]), "codebuildRoleArn": d.maybe(10, &[ROLE]),
                "environmentAccountConnectionId": connection, "tags": tags(d),
                "provisioningRepository": d.in_100(if is_terraform { 95 } else { 3 }).then(|| branch(d)),
            })
        }
        "GetEnvironment" | "DeleteEnvironment" => json!({"name": environment}),
        "ListEnvironments" => json!({
            "maxResults": most,
            "environmentTemplates": d.maybe(40, &[json!([{"templateName": "net", "majorVersion": major}]), json!([{"templateName": "byo", "majorVersion": "1"}, {"templateName": "net", "majorVersion": "2"}])]),
        }),
        "UpdateEnvironment" => {
            let how = how(d);
            let spec = if how["deploymentType"] == "NONE" { 10 } else { 70 };
            and(how, json!({
                "name": environment, "spec": d.in_100(spec).then(|| environment_spec(d)), "description": description,
                "protonServiceRoleArn": d.maybe(10, &[ROLE]), "componentRoleArn": d.maybe(15, &[ROLE]), "codebuildRoleArn": d.maybe(10, &[ROLE]),
                "environmentAccountConnectionId": d.in_100(10).then(|| id(d, model.ids('c'))),
                "provisioningRepository": d.in_100(7).then(|| branch(d)),
            }))
        }
        "CancelEnvironmentDeployment" => json!({"environmentName": environment}),
        "ListEnvironmentOutputs" => json!({"environmentName": environment, "deploymentId": deployment(d), "nextToken": d.maybe(3, &["x"])}),
        "ListEnvironmentProvisionedResources" => json!({"environmentName": environment, "nextToken": d.maybe(3, &["x"])}),
        "CreateEnvironmentAccountConnection" => json!({
            "environmentName": environment, "managementAccountId": match d.in_100(90) == (by == By::Other) { true => ACCOUNT, false => OTHER_ACCOUNT },
            "clientToken": token(d), "roleArn": d.maybe(80, &[ROLE]), "componentRoleArn": d.maybe(50, &[ROLE]), "codebuildRoleArn": d.maybe(20, &[ROLE]), "tags": tags(d),
        }),
        "ListEnvironmentAccountConnections" => json!({
            "requestedBy": d.of(&["MANAGEMENT_ACCOUNT", "ENVIRONMENT_ACCOUNT"]), "maxResults": most, "environmentName": d.maybe(20, &[environment]),
            "statuses": d.maybe(30, &[json!(["PENDING"]), json!(["CONNECTED", "REJECTED"])]),
        }),
        "UpdateEnvironmentAccountConnection" => json!({
            "id": id(d, model.ids('c')), "roleArn": d.maybe(30, &[ROLE]), "componentRoleArn": d.maybe(30, &[ROLE]), "codebuildRoleArn": d.maybe(20, &[ROLE]),
        }),
        on_connection if on_connection.ends_with("EnvironmentAccountConnection") => json!({"id": id(d, model.ids('c'))}),
        "CreateService" => {
            let has_pipeline = service_template == "web";
            let times = if has_pipeline { 96 } else { 3 };
            json!({
                "name": service, "templateName": service_template, "templateMajorVersion": major, "templateMinorVersion": d.maybe(20, &[minor]),
                "spec": service_spec(d, model, "", has_pipeline), "description": description, "tags": tags(d),
                "repositoryConnectionArn": d.maybe(times, &[CONNECTION]), "repositoryId": d.maybe(times, &["me/shop"]), "branchName": d.maybe(times, &["main"]),
            })
        }
        "GetService" | "DeleteService" => json!({"name": service}),
        "UpdateService" => json!({"name": service, "description": description, "spec": d.in_100(85).then(|| service_spec(d, model, service, true))}),
        "CreateServiceInstance" => json!({
            "name": instance, "serviceName": service, "spec": instance_spec(d, model, service, instance), "clientToken": token(d), "tags": tags(d),
            "templateMajorVersion": d.maybe(40, &[major]), "templateMinorVersion": d.maybe(15, &[minor]),
        }),
        "GetServiceInstance" => json!({"serviceName": service, "name": instance}),
        "ListServiceInstances" => {
            let filters = [
                ("name", instance), ("deploymentStatus", "SUCCEEDED"), ("deploymentStatus", "DELETE_IN_PROGRESS"), ("templateName", service_template),
                ("serviceName", service), ("environmentName", environment), ("deployedTemplateVersionStatus", "UP_TO_DATE"),
                ("deployedTemplateVersionStatus", "MINOR_VERSION_BEHIND"), ("createdAtAfter", "2023-11-14T22:13:21.5Z"),
                ("createdAtBefore", "2023-11-14T22:13:21.5Z"), ("lastDeploymentAttemptedAtAfter", "2023-11-14T22:13:22.5Z"),
                ("lastDeploymentAttemptedAtBefore", "2023-11-14T22:13:22.5Z"),
            ];
            let chosen = filters.iter().filter(|_| d.in_100(10)).map(|(key, value)| json!({"key": key, "value": value}));
            let chosen: Vec<_> = chosen.collect();
            json!({
                "serviceName": d.maybe(30, &[service]), "maxResults": most, "filters": (!chosen.is_empty()).then_some(chosen),
                "sortBy": d.maybe(60, &["name", "deploymentStatus", "templateName", "serviceName", "environmentName", "lastDeploymentAttemptedAt", "createdAt"]),
                "sortOrder": d.maybe(50, &["ASCENDING", "DESCENDING"]),
            })
        }
        "UpdateServiceInstance" => {
            let how = how(d);
            let spec = if how["deploymentType"] == "NONE" { 10 } else { 70 };
            and(how, json!({
                "serviceName": service, "name": instance, "clientToken": token(d), "spec": d.in_100(spec).then(|| instance_spec(d, model, service, instance)),
            }))
        }
        "CancelServiceInstanceDeployment" | "GetServiceInstanceSyncStatus" => of_instance,
        "ListServiceInstanceOutputs" => and(of_instance, json!({"deploymentId": deployment(d), "nextToken": d.maybe(3, &["x"])})),
        "ListServiceInstanceProvisionedResources" => of_instance,
        "UpdateServicePipeline" => and(how(d), json!({"serviceName": service, "spec": service_spec(d, model, service, true)})),
        "CancelServicePipelineDeployment" | "ListServicePipelineProvisionedResources" => json!({"serviceName": service}),
        "ListServicePipelineOutputs" => json!({"serviceName": service, "deploymentId": deployment(d)}),
        "CreateServiceSyncConfig" | "UpdateServiceSyncConfig" => and(repository_of, json!({
            "serviceName": service, "branch": d.of(&["main", "next"]), "filePath": "ops.yaml",
        })),
        "GetServiceSyncConfig" | "DeleteServiceSyncConfig" => json!({"serviceName": service}),
        "GetServiceSyncBlockerSummary" => json!({"serviceName": service, "serviceInstanceName": d.maybe(60, &[instance])}),
        "UpdateServiceSyncBlocker" => json!({"id": id(d, model.ids('b')), "resolvedReason": "seen"}),
        "CreateComponent" => {
            let is_attached = d.in_100(60);
            let times = |here: bool| if here { 97 } else { 3 };
            let (manifest, file) = d.of(&[(MANIFEST, PLAIN), (MANIFEST, ASKING), (TERRAFORM_MANIFEST, TERRAFORM), ("nonsense", PLAIN)]);
            json!({
                "name": component, "manifest": manifest, "templateFile": file, "clientToken": token(d), "description": description, "tags": tags(d),
                "environmentName": d.maybe(if is_attached { 20 } else { 97 }, &[environment]), "serviceName": d.maybe(times(is_attached), &[service]),
                "serviceInstanceName": d.maybe(times(is_attached), &[instance]),
                "serviceSpec": d.in_100(if is_attached { 40 } else { 3 }).then(|| instance_spec(d, model, service, instance)),
            })
        }
        "GetComponent" | "DeleteComponent" => json!({"name": component}),
        "ListComponents" => json!({
            "maxResults": most, "environmentName": d.maybe(20, &[environment]), "serviceName": d.maybe(30, &[service]), "serviceInstanceName": d.maybe(20, &[instance]),
        }),
        "UpdateComponent" => {
            let is_none = d.in_100(20);
            let times = |times| if is_none { 3 } else { times };
            let (to_service, to_instance) = d.of(&[("", ""), (service, instance), (service, instance), (service, "")]);
            let names = d.in_100(times(50));
            let files: &[&str] = if model.is_handed_over(component) { &[TERRAFORM] } else { &[PLAIN, ASKING] };
            json!({
                "name": component, "deploymentType": if is_none { "NONE" } else { "CURRENT_VERSION" }, "clientToken": token(d), "description": description,
                "serviceName": names.then_some(to_service), "serviceInstanceName": names.then_some(to_instance), "templateFile": d.maybe(times(40), files),
                "serviceSpec": d.in_100(times(20)).then(|| instance_spec(d, model, service, instance)),
            })
        }
        "CancelComponentDeployment" | "ListComponentProvisionedResources" => json!({"componentName": component}),
        "ListComponentOutputs" => json!({"componentName": component, "deploymentId": deployment(d)}),
        "GetDeployment" => and(json!({"id": id(d, model.ids('d'))}), narrowed(d)),
        "ListDeployments" => and(json!({"maxResults": most}), narrowed(d)),
        "DeleteDeployment" => json!({"id": id(d, model.ids('d'))}),
        "ListTagsForResource" => json!({"resourceArn": an_arn(d, model), "maxResults": most}),
        "TagResource" => json!({"resourceArn": an_arn(d, model), "tags": tags(d).unwrap_or(json!([{"key": "team", "value": "c"}]))}),
        "UntagResource" => json!({"resourceArn": an_arn(d, model), "tagKeys": [d.of(&["team", "stage", "aws:own"])]}),
        "NotifyResourceDeploymentStatusChange" => {
            let resources = model.deployables();
            let resource = if resources.is_empty() { "environment/dev".to_owned() } else { d.of(&resources) };
            json!({
                "resourceArn": format!("arn:aws:proton:us-east-1:{ACCOUNT}:{resource}"), "status": d.maybe(70, &["IN_PROGRESS", "SUCCEEDED", "SUCCEEDED", "FAILED"]),
                "statusMessage": d.maybe(50, &["applied"]), "deploymentId": d.in_100(20).then(|| id(d, model.ids('d'))),
                "outputs": d.maybe(50, &[json!([{"key": "said", "valueString": "told"}]), json!([{"key": "a", "valueString": "1"}, {"key": "said", "valueString": "2"}])]),
            })
        }
        unknown => panic!("{unknown} is no operation"),
    }
}
