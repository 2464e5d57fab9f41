//! What the control plane ought to answer: a small account of Proton's rules, that shares no code with the control plane and knows
//! neither stores nor transactions. Everything that is under way comes to its end at once, unless it is held.
//!
//! Where a call breaks several rules, nothing says which one it is told of, so a refusal is any of them.

mod account;
mod component;
mod connection;
mod deployment;
mod environment;
mod instance;
mod pipeline;
mod service;
pub(super) mod spec;
mod sync;
mod template;
mod version;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::stack::{ACCOUNT, OTHER_ACCOUNT, REGION, START_MS};
use super::bundles::Method;
use component::Component;
use connection::Connection;
use deployment::{Deployable, Deployment, Target};
use environment::Environment;
use service::Service;
use sync::{Blocker, Config, Synced};
use template::{Of, Template};

/// Stands for any text.
pub(super) const ANY: &str = "<any>";
/// Stands for any text, or none.
pub(super) const MAYBE: &str = "<maybe>";
/// What no name, id or ARN may be.
pub(super) const ILLEGAL: &str = "no name!";
/// Begins a spec that is known by its value only.
pub(super) const NORMALISED: &str = "<normalised>";

pub(super) const VALIDATION: &str = "ValidationException";
pub(super) const CONFLICT: &str = "ConflictException";
pub(super) const NOT_FOUND: &str = "ResourceNotFoundException";
pub(super) const QUOTA: &str = "ServiceQuotaExceededException";
pub(super) const DENIED: &str = "AccessDeniedException";

/// How long a client token is remembered.
const TOKEN_LIFE_MS: i64 = 8 * 60 * 60 * 1000;

/// How much there may be, here and in the control plane under test.
pub(super) mod quota {
    pub(crate) const TEMPLATES: usize = 4;
    pub(crate) const VERSIONS: usize = 3;
    pub(crate) const ENVIRONMENTS: usize = 3;
    pub(crate) const SERVICES: usize = 2;
    pub(crate) const INSTANCES: usize = 3;
    pub(crate) const COMPONENTS: usize = 2;
    pub(crate) const CONNECTIONS: usize = 3;
}

/// Whose call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Management,
    /// The account that lets environments be provisioned in it.
    Other,
}

impl By {
    fn account(self) -> &'static str {
        match self {
            Self::Management => ACCOUNT,
            Self::Other => OTHER_ACCOUNT,
        }
    }
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    /// Any of them.
    pub(super) codes: Vec<&'static str>,
    /// What the message says somewhere.
    pub(super) says: &'static str,
}

pub(super) type Answer = Result<Value, Refusal>;

fn refuse<T>(code: &'static str) -> Result<T, Refusal> {
    Err(Refusal {
        codes: vec![code],
        says: "",
    })
}

fn mismatch<T>() -> Result<T, Refusal> {
    Err(Refusal {
        codes: vec![VALIDATION],
        says: "IdempotentParameterMismatch",
    })
}

/// The rules that a call breaks.
#[derive(Default)]
struct Rules(Vec<&'static str>);

impl Rules {
    fn must(&mut self, holds: bool, code: &'static str) {
        if !holds {
            self.0.push(code);
        }
    }

    /// What may itself be refused.
    fn take<T>(&mut self, result: Result<T, &'static str>) -> Option<T> {
        result.map_err(|code| self.0.push(code)).ok()
    }

    fn end(self) -> Result<(), Refusal> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(Refusal {
                codes: self.0,
                says: "",
            }),
        }
    }
}

pub(super) type Tags = BTreeMap<String, String>;

/// What all resources have.
#[derive(Clone, Debug, Default)]
struct Meta {
    created: i64,
    changed: i64,
    /// The request that made it, without its token.
    request: Value,
    token: Option<String>,
    /// Whether a user has changed it since.
    edited: bool,
    tags: Tags,
    managed: Tags,
}

impl Meta {
    fn edit(&mut self, now: i64) {
        self.edited = true;
        self.changed = now;
    }

    /// Whether a create without a token may be answered with what is there.
    fn check_repeat(&self, request: &Value) -> Result<(), Refusal> {
        if tags(request).is_err() {
            return refuse(VALIDATION);
        }
        match (self.request == fingerprint(request), self.edited) {
            (false, _) => mismatch(),
            (true, true) => refuse(CONFLICT),
            (true, false) => Ok(()),
        }
    }
}

/// The use of a client token.
#[derive(Clone, Debug)]
struct Used {
    request: Value,
    /// What it has made or changed, and when that was created.
    made: String,
    created: i64,
    at: i64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    now: i64,
    ids: usize,
    /// What the engine holds or lets fail, as the script has it.
    held: BTreeSet<String>,
    failing: BTreeSet<String>,
    /// By account, operation and token.
    tokens: BTreeMap<(&'static str, String, String), Used>,
    settings: BTreeMap<&'static str, Value>,
    repositories: BTreeMap<String, (Meta, Value)>,
    templates: BTreeMap<(Of, String), Template>,
    syncs: BTreeMap<Synced, Config>,
    environments: BTreeMap<String, Environment>,
    connections: Vec<Connection>,
    services: BTreeMap<String, Service>,
    blockers: BTreeMap<String, Vec<Blocker>>,
    components: BTreeMap<String, Component>,
    deployments: Vec<Deployment>,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            now: START_MS,
            ..Self::default()
        }
    }

    pub(super) fn hold(&mut self, step: &str) {
        self.held.insert(step.to_owned());
    }

    pub(super) fn fail(&mut self, step: &str) {
        self.failing.insert(step.to_owned());
    }

    pub(super) fn let_go(&mut self) {
        self.held.clear();
        self.pass(1000);
    }

    pub(super) fn mend(&mut self) {
        self.failing.clear();
    }

    pub(super) fn pass(&mut self, ms: i64) {
        self.now += ms;
        self.settle();
    }

    /// What the call is answered with. `settle` does what follows from it.
    pub(super) fn call(&mut self, by: By, operation: &str, request: &Value) -> Answer {
        if !is_well_formed(request) {
            return refuse(VALIDATION);
        }
        let r = request;
        let of = match operation.contains("ServiceTemplate") {
            true => Of::Service,
            false => Of::Environment,
        };
        match operation {
            "GetAccountSettings" => self.get_account_settings(),
            "UpdateAccountSettings" => self.update_account_settings(r),
            "GetResourcesSummary" => self.get_resources_summary(),
            "CreateRepository" => self.create_repository(r),
            "GetRepository" => self.get_repository(r),
            "ListRepositories" => self.list_repositories(),
            "DeleteRepository" => self.delete_repository(r),
            "GetRepositorySyncStatus" | "GetTemplateSyncStatus" => refuse(NOT_FOUND),
            "ListRepositorySyncDefinitions" => Ok(json!({"syncDefinitions": []})),
            "CreateEnvironmentTemplate" | "CreateServiceTemplate" => self.create_template(of, r),
            "GetEnvironmentTemplate" | "GetServiceTemplate" => self.get_template(of, r),
            "ListEnvironmentTemplates" | "ListServiceTemplates" => self.list_templates(of),
            "UpdateEnvironmentTemplate" | "UpdateServiceTemplate" => self.update_template(of, r),
            "DeleteEnvironmentTemplate" | "DeleteServiceTemplate" => self.delete_template(of, r),
            "CreateEnvironmentTemplateVersion" | "CreateServiceTemplateVersion" => {
                self.create_version(of, r)
            }
            "GetEnvironmentTemplateVersion" | "GetServiceTemplateVersion" => {
                self.get_version(of, r)
            }
            "ListEnvironmentTemplateVersions" | "ListServiceTemplateVersions" => {
                self.list_versions(of, r)
            }
            "UpdateEnvironmentTemplateVersion" | "UpdateServiceTemplateVersion" => {
                self.update_version(of, r)
            }
            "DeleteEnvironmentTemplateVersion" | "DeleteServiceTemplateVersion" => {
                self.delete_version(of, r)
            }
            "CreateTemplateSyncConfig" | "CreateServiceSyncConfig" => self.create_sync(r),
            "GetTemplateSyncConfig" | "GetServiceSyncConfig" => self.get_sync(r),
            "UpdateTemplateSyncConfig" | "UpdateServiceSyncConfig" => self.update_sync(r),
            "DeleteTemplateSyncConfig" | "DeleteServiceSyncConfig" => self.delete_sync(r),
            "GetServiceSyncBlockerSummary" => self.get_blockers(r),
            "UpdateServiceSyncBlocker" => self.resolve_blocker(r),
            "GetServiceInstanceSyncStatus" => refuse(NOT_FOUND),
            "CreateEnvironment" => self.create_environment(r),
            "GetEnvironment" => self.get_environment(r),
            "ListEnvironments" => self.list_environments(r),
            "UpdateEnvironment" => self.update_environment(r),
            "DeleteEnvironment" => self.delete_environment(r),
            "CreateEnvironmentAccountConnection" => self.create_connection(by, r),
            "GetEnvironmentAccountConnection" => self.get_connection(by, r),
            "ListEnvironmentAccountConnections" => self.list_connections(by, r),
            "UpdateEnvironmentAccountConnection" => self.update_connection(by, r),
            "DeleteEnvironmentAccountConnection" => self.delete_connection(by, r),
            "AcceptEnvironmentAccountConnection" => self.decide_connection(by, r, true),
            "RejectEnvironmentAccountConnection" => self.decide_connection(by, r, false),
            "CreateService" => self.create_service(r),
            "GetService" => self.get_service(r),
            "ListServices" => self.list_services(),
            "UpdateService" => self.update_service(r),
            "DeleteService" => self.delete_service(r),
            "CreateServiceInstance" => self.create_instance(r),
            "GetServiceInstance" => self.get_instance(r),
            "ListServiceInstances" => self.list_instances(r),
            "UpdateServiceInstance" => self.update_instance(r),
            "UpdateServicePipeline" => self.update_pipeline(r),
            "CreateComponent" => self.create_component(r),
            "GetComponent" => self.get_component(r),
            "ListComponents" => self.list_components(r),
            "UpdateComponent" => self.update_component(r),
            "DeleteComponent" => self.delete_component(r),
            "GetDeployment" => self.get_deployment(r),
            "ListDeployments" => self.list_deployments(r),
            "DeleteDeployment" => self.delete_deployment(r),
            "NotifyResourceDeploymentStatusChange" => self.notify(r),
            "ListTagsForResource" => self.list_tags(by, r),
            "TagResource" => self.tag(by, r),
            "UntagResource" => self.untag(by, r),
            cancel if cancel.starts_with("Cancel") => self.cancel(&self.named_target(r)?),
            list if list.ends_with("Outputs") => self.list_outputs(r),
            list if list.ends_with("ProvisionedResources") => self.list_resources(r),
            unknown => panic!("{unknown} is no operation"),
        }
    }

    /// A new name for an id.
    fn id(&mut self, kind: char) -> String {
        self.ids += 1;
        format!("<{kind}{}>", self.ids)
    }

    /// What a client token has made or changed before, if that is remembered and the request was the same.
    fn used(
        &self,
        by: By,
        operation: &str,
        request: &Value,
        made: impl Fn(&Used) -> bool,
    ) -> Result<Option<String>, Refusal> {
        let Some(token) = text(request, "clientToken") else {
            return Ok(None);
        };
        let key = (by.account(), operation.to_owned(), token.to_owned());
        let used = self.tokens.get(&key);
        let used = used.filter(|used| self.now < used.at + TOKEN_LIFE_MS && made(used));
        match used {
            None => Ok(None),
            Some(used) if used.request == fingerprint(request) => Ok(Some(used.made.clone())),
            // What is wrong by itself comes before what is wrong beside another request.
            Some(_) if tags(request).is_err() => refuse(VALIDATION),
            Some(_) => mismatch(),
        }
    }

    fn remember(&mut self, by: By, operation: &str, request: &Value, made: &str, created: i64) {
        if let Some(token) = text(request, "clientToken") {
            let key = (by.account(), operation.to_owned(), token.to_owned());
            let used = Used {
                request: fingerprint(request),
                made: made.to_owned(),
                created,
                at: self.now,
            };
            self.tokens.insert(key, used);
        }
    }

    /// The envelope of what a request makes now.
    fn meta(&self, request: &Value, tags: Tags, managed: &[(&str, String)]) -> Meta {
        let managed = managed.iter();
        Meta {
            created: self.now,
            changed: self.now,
            request: fingerprint(request),
            token: text(request, "clientToken").map(str::to_owned),
            edited: false,
            tags,
            managed: managed
                .map(|(key, value)| (format!("aws:proton:{key}"), value.clone()))
                .collect(),
        }
    }

    /// Everything under way comes to where it ends or is held.
    pub(super) fn settle(&mut self) {
        self.register_versions();
        loop {
            let deployments = self.settle_deployments();
            let services = self.settle_services();
            if !deployments && !services {
                break;
            }
        }
    }

    /// Reads that show all there is.
    pub(super) fn reads(&self) -> Vec<(&'static str, Value)> {
        let mut reads = self.quick_reads();
        for (of, name) in self.templates.keys() {
            let (get, list) = match of {
                Of::Environment => ("GetEnvironmentTemplate", "ListEnvironmentTemplateVersions"),
                Of::Service => ("GetServiceTemplate", "ListServiceTemplateVersions"),
            };
            reads.push((get, json!({"name": name})));
            reads.push((list, json!({"templateName": name})));
        }
        for name in self.environments.keys() {
            reads.push(("GetEnvironment", json!({"name": name})));
            reads.push(("ListEnvironmentOutputs", json!({"environmentName": name})));
            reads.push((
                "ListTagsForResource",
                json!({"resourceArn": arn(&format!("environment/{name}"))}),
            ));
        }
        for (service, found) in &self.services {
            for (name, _) in found.visible() {
                let named = json!({"serviceName": service, "serviceInstanceName": name});
                reads.push((
                    "GetServiceInstance",
                    json!({"serviceName": service, "name": name}),
                ));
                reads.push(("ListServiceInstanceOutputs", named.clone()));
                reads.push(("GetServiceSyncBlockerSummary", named));
            }
            reads.push((
                "ListTagsForResource",
                json!({"resourceArn": arn(&format!("service/{service}"))}),
            ));
        }
        for name in self.components.keys() {
            reads.push(("GetComponent", json!({"name": name})));
            reads.push(("ListComponentOutputs", json!({"componentName": name})));
            reads.push((
                "ListTagsForResource",
                json!({"resourceArn": arn(&format!("component/{name}"))}),
            ));
        }
        for deployment in &self.deployments {
            reads.push(("GetDeployment", json!({"id": deployment.id})));
        }
        for list in [
            "ListRepositories",
            "ListServiceInstances",
            "GetAccountSettings",
            "GetResourcesSummary",
        ] {
            reads.push((list, json!({})));
        }
        reads.push((
            "ListEnvironmentAccountConnections",
            json!({"requestedBy": "MANAGEMENT_ACCOUNT"}),
        ));
        reads
    }

    /// Reads that show what is going on by itself.
    pub(super) fn quick_reads(&self) -> Vec<(&'static str, Value)> {
        let mut reads = vec![("ListDeployments", json!({})), ("ListServices", json!({}))];
        reads.extend(
            self.services
                .keys()
                .map(|name| ("GetService", json!({"name": name}))),
        );
        for (service, blockers) in &self.blockers {
            let levels = blockers.iter().map(Blocker::instance);
            let is_shown = |name: &&str| self.instance(service, name).is_ok();
            let levels: BTreeSet<_> = levels
                .filter(|level| level.as_ref().is_none_or(is_shown))
                .collect();
            let summary = |instance| {
                let request = json!({"serviceName": service, "serviceInstanceName": instance});
                ("GetServiceSyncBlockerSummary", request)
            };
            reads.extend(levels.into_iter().map(summary));
        }
        for ((of, name), template) in &self.templates {
            let get = match of {
                Of::Environment => "GetEnvironmentTemplateVersion",
                Of::Service => "GetServiceTemplateVersion",
            };
            reads.extend(template.versions.iter().filter(|(_, version)| version.meta.changed == self.now).map(|((major, minor), _)| {
                (get, json!({"templateName": name, "majorVersion": major.to_string(), "minorVersion": minor.to_string()}))
            }));
        }
        reads
    }
}

/// Whether the request keeps to the limits of its members.
fn is_well_formed(request: &Value) -> bool {
    let mut members = request.as_object().expect("requests are objects").values();
    let most = request["maxResults"].as_i64().unwrap_or(1);
    !members.any(|member| member == ILLEGAL)
        && (1..=100).contains(&most)
        && text(request, "nextToken").is_none()
}

fn text<'a>(request: &'a Value, member: &str) -> Option<&'a str> {
    request[member].as_str()
}

fn owned(request: &Value, member: &str) -> Option<String> {
    text(request, member).map(str::to_owned)
}

/// A member that calls always have.
fn need<'a>(request: &'a Value, member: &str) -> &'a str {
    text(request, member).expect("it is required")
}

/// The parameters that tell one create from another.
fn fingerprint(request: &Value) -> Value {
    let mut request = request.clone();
    if let Some(members) = request.as_object_mut() {
        members.remove("clientToken");
        members.sort_keys();
        if let Some(tags) = members.get_mut("tags").and_then(Value::as_array_mut) {
            tags.sort_by_key(|tag| tag["key"].to_string());
        }
    }
    request
}

/// The tags of a request, if a customer may set them.
fn tags(request: &Value) -> Result<Tags, &'static str> {
    let given = request["tags"].as_array().cloned().unwrap_or_default();
    let pair = |tag: &Value| (need(tag, "key").to_owned(), need(tag, "value").to_owned());
    let tags: Tags = given.iter().map(pair).collect();
    match tags.len() == given.len() && !tags.keys().any(|key| is_reserved(key)) {
        true => Ok(tags),
        false => Err(VALIDATION),
    }
}

fn is_reserved(key: &str) -> bool {
    key.starts_with("aws:")
}

fn time(ms: i64) -> Value {
    json!(ms as f64 / 1000.0)
}

fn arn(resource: &str) -> String {
    arn_of(By::Management, resource)
}

fn arn_of(by: By, resource: &str) -> String {
    format!("arn:aws:proton:{REGION}:{}:{resource}", by.account())
}

/// What there is to name in calls.
impl Model {
    /// The names of the ids of deployments, connections or blockers.
    pub(super) fn ids(&self, kind: char) -> Vec<String> {
        match kind {
            'd' => self
                .deployments
                .iter()
                .map(|deployment| deployment.id.clone())
                .collect(),
            'c' => self
                .connections
                .iter()
                .map(|connection| connection.id.clone())
                .collect(),
            _ => self
                .blockers
                .values()
                .flatten()
                .map(|blocker| blocker.id.clone())
                .collect(),
        }
    }

    /// Whatever is deployed, by the end of its ARN.
    pub(super) fn deployables(&self) -> Vec<String> {
        let mut found: Vec<String> = self
            .environments
            .keys()
            .map(|name| format!("environment/{name}"))
            .collect();
        found.extend(
            self.components
                .keys()
                .map(|name| format!("component/{name}")),
        );
        for (name, service) in &self.services {
            found.extend(
                service
                    .instances
                    .keys()
                    .map(|instance| service::part(name, instance).resource()),
            );
            found.extend(
                service
                    .pipeline
                    .iter()
                    .map(|_| format!("service/{name}/pipeline")),
            );
        }
        found
    }

    pub(super) fn arns(&self) -> Vec<String> {
        let mut found: Vec<String> = self
            .deployables()
            .iter()
            .map(|resource| arn(resource))
            .collect();
        found.push(arn("environment/nobody"));
        found.extend(
            self.services
                .keys()
                .map(|name| arn(&format!("service/{name}"))),
        );
        found.extend(
            self.repositories
                .keys()
                .map(|id| arn(&format!("repository/{id}"))),
        );
        for ((of, name), template) in &self.templates {
            found.push(of.arn(name));
            found.extend(
                template
                    .versions
                    .keys()
                    .map(|(major, minor)| of.arn(&format!("{name}:{major}.{minor}"))),
            );
        }
        let connection = |connection: &Connection| {
            arn_of(
                connection.environment_account,
                &format!("environment-account-connection/{}", connection.id),
            )
        };
        found.extend(self.connections.iter().map(connection));
        let deployment = |deployment: &Deployment| arn(&format!("deployment/{}", deployment.id));
        found.extend(self.deployments.iter().rev().take(3).map(deployment));
        found
    }

    pub(super) fn templates_of(&self, type_: &str) -> Vec<String> {
        let of = Of::named(type_);
        let own = self.templates.keys().filter(|key| key.0 == of);
        own.map(|key| key.1.clone()).collect()
    }

    /// The requests that made what is there, to be sent again.
    pub(super) fn made_by(&self, operation: &str) -> Vec<Value> {
        let metas: Vec<&Meta> = match operation {
            "CreateEnvironment" => self.environments.values().map(|made| &made.meta).collect(),
            "CreateService" => self.services.values().map(|made| &made.meta).collect(),
            _ => Vec::new(),
        };
        metas.into_iter().map(|meta| meta.request.clone()).collect()
    }

    pub(super) fn environments(&self) -> Vec<String> {
        self.environments.keys().cloned().collect()
    }

    pub(super) fn services(&self) -> Vec<String> {
        self.services.keys().cloned().collect()
    }

    pub(super) fn components(&self) -> Vec<String> {
        self.components.keys().cloned().collect()
    }

    /// The connection by which the environment can be provisioned.
    pub(super) fn connection_for(&self, environment: &str) -> Option<String> {
        let ids = self.ids('c');
        ids.into_iter().find(|id| self.is_for(id, environment))
    }

    pub(super) fn instances_of(&self, service: &str) -> Vec<String> {
        self.services.get(service).map_or(Vec::new(), |service| {
            service.instances.keys().cloned().collect()
        })
    }

    /// The value of a service's spec.
    pub(super) fn spec_of(&self, service: &str) -> Option<Value> {
        let text = &self.services.get(service)?.spec;
        serde_json::from_str(text.strip_prefix(NORMALISED).unwrap_or(text)).ok()
    }

    /// Whether Terraform provisions the component.
    pub(super) fn is_handed_over(&self, component: &str) -> bool {
        self.components
            .get(component)
            .is_some_and(|component| component.method == Method::Terraform)
    }
}
