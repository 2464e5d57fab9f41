//! Events: what is told of a life, in which form, and to a file.

#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use aws_sdk_proton::types::{ComponentDeploymentUpdateType, DeploymentUpdateType};
use proton_grpc::control_plane::events::Sink;
use proton_grpc::control_plane::store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::service_world::{ROLE, both};
use super::stack::{ACCOUNT, OTHER_ACCOUNT, REGION, Stack, arn};

const MANIFEST: &str = "infrastructure:
  templates:
    - file: cloudformation.yaml
      rendering_engine: jinja
      template_language: cloudformation
";

/// A control plane at work that tells a file.
struct Telling {
    stack: Stack,
    file: PathBuf,
    _directory: TempDir,
}

impl Telling {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("events.jsonl");
        let store = Store::open(&directory.path().join("data")).unwrap();
        let sink = Sink::file(file.clone()).unwrap();
        Self {
            stack: Stack::over(store, Some(sink)).working(),
            file,
            _directory: directory,
        }
    }

    /// One of everything was made, changed and deleted.
    async fn after_a_life() -> Vec<Value> {
        let Self {
            stack,
            file,
            _directory,
        } = Self::new();
        let stack = stack.with_web().await;
        let telling = Self {
            stack,
            file,
            _directory,
        };
        let connection = telling.stack.whole_life().await;
        telling.told_until(&connection, "DELETED").await
    }

    fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.file).unwrap();
        let whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        whole
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Everything that was told until this.
    async fn told_until(&self, resource: &str, status: &str) -> Vec<Value> {
        let is_last = |event: &Value| {
            event["resources"][0] == resource && event["detail"]["status"] == status
        };
        self.stack
            .until("the last event is told", async || {
                let events = self.events();
                events.last().is_some_and(is_last).then_some(events)
            })
            .await
    }
}

impl Stack {
    /// One of everything is made, changed and deleted; the last is this.
    async fn whole_life(&self) -> String {
        self.service_comes_and_goes().await;
        self.component_comes_and_goes().await;
        for name in ["dev", "prod"] {
            let delete = self.client.delete_environment().name(name);
            delete.send().await.unwrap();
            self.until("the environment is gone", async || {
                let got = self.client.get_environment().name(name).send().await;
                got.err().map(drop)
            })
            .await;
        }
        self.templates_go().await;
        self.connection_comes_and_goes().await
    }

    async fn service_comes_and_goes(&self) {
        self.created_service("shop", &both()).await;
        self.engine.fail("+service/shop/service-instance/dev");
        let update = self.client.update_service_instance().service_name("shop");
        let update = update
            .name("dev")
            .deployment_type(DeploymentUpdateType::CurrentVersion);
        update.send().await.unwrap();
        self.settled_instance("shop", "dev").await;
        self.engine.mend();
        let delete = self.client.delete_service().name("shop");
        delete.send().await.unwrap();
        self.service_goes("shop").await;
    }

    async fn component_comes_and_goes(&self) {
        let update = self.client.update_environment().name("dev");
        let update = update.deployment_type(DeploymentUpdateType::None);
        update.component_role_arn(ROLE).send().await.unwrap();
        let create = self.client.create_component().name("queue");
        let create = create.environment_name("dev").manifest(MANIFEST);
        create
            .template_file("Resources: {}\n")
            .send()
            .await
            .unwrap();
        self.component_rests().await;

        self.engine.hold("+component/queue");
        let update = self.client.update_component().name("queue");
        let update = update.deployment_type(ComponentDeploymentUpdateType::CurrentVersion);
        let update = update.template_file("Resources: {} # more\n");
        update.send().await.unwrap();
        let cancel = self.client.cancel_component_deployment();
        cancel.component_name("queue").send().await.unwrap();
        self.component_rests().await;
        self.engine.let_go();

        let delete = self.client.delete_component().name("queue");
        delete.send().await.unwrap();
        self.until("the component is gone", async || {
            let got = self.client.get_component().name("queue").send().await;
            got.err().map(drop)
        })
        .await;
    }

    async fn component_rests(&self) {
        self.until("the deployment of the component ends", async || {
            let got = self.client.get_component().name("queue").send().await;
            let status = got.unwrap().component.unwrap().deployment_status;
            let rests = ["SUCCEEDED", "CANCELLED"].contains(&status.as_str());
            rests.then_some(())
        })
        .await;
    }

    async fn templates_go(&self) {
        let version = self.client.delete_service_template_version();
        let version = version.template_name("web").major_version("1");
        version.minor_version("0").send().await.unwrap();
        let template = self.client.delete_service_template().name("web");
        template.send().await.unwrap();
        let version = self.client.delete_environment_template_version();
        let version = version.template_name("net").major_version("1");
        version.minor_version("0").send().await.unwrap();
        let template = self.client.delete_environment_template().name("net");
        template.send().await.unwrap();
    }

    async fn connection_comes_and_goes(&self) -> String {
        let create = self.other().create_environment_account_connection();
        let create = create.environment_name("far").role_arn(ROLE);
        let made = create.management_account_id(ACCOUNT).send().await.unwrap();
        let made = made.environment_account_connection.unwrap();
        let id = made.id;
        let accept = self.client.accept_environment_account_connection();
        accept.id(&id).send().await.unwrap();
        let reject = self.client.reject_environment_account_connection();
        reject.id(&id).send().await.unwrap();
        let delete = self.other().delete_environment_account_connection();
        delete.id(&id).send().await.unwrap();
        made.arn
    }
}

/// The statuses of each resource in the order in which they were told; each must follow from the one before.
fn lives(events: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut lives = BTreeMap::<String, Vec<String>>::new();
    for event in events {
        let resource = event["resources"][0].as_str().unwrap();
        let name = resource.splitn(6, ':').nth(5).unwrap();
        let name = match name.split_once('/') {
            Some(("environment-account-connection", _)) => "connection",
            _ => name,
        };
        let life = lives.entry(name.to_owned()).or_default();
        let before = event["detail"]["previousStatus"].as_str();
        assert_eq!(before, life.last().map(String::as_str), "{event}");
        let status = event["detail"]["status"].as_str().unwrap();
        assert_ne!(before, Some(status), "{event}");
        life.push(status.to_owned());
    }
    lives
}

#[tokio::test]
async fn a_life_is_told_whole_and_in_order() {
    let lives = lives(&Telling::after_a_life().await);
    let registered = ["REGISTRATION_IN_PROGRESS", "DRAFT", "PUBLISHED", "DELETED"];
    let template = ["DRAFT", "PUBLISHED", "DRAFT", "DELETED"];
    let deployed = ["IN_PROGRESS", "SUCCEEDED", "DELETE_IN_PROGRESS", "DELETED"];
    let expected: [(&str, &[&str]); 11] = [
        (
            "component/queue",
            &[
                "IN_PROGRESS",
                "SUCCEEDED",
                "IN_PROGRESS",
                "CANCELLING",
                "CANCELLED",
                "DELETE_IN_PROGRESS",
                "DELETED",
            ],
        ),
        (
            "connection",
            &["PENDING", "CONNECTED", "REJECTED", "DELETED"],
        ),
        ("environment-template/net", &template),
        ("environment-template/net:1.0", &registered),
        ("environment/dev", &deployed),
        ("environment/prod", &deployed),
        ("service-template/web", &template),
        ("service-template/web:1.0", &registered),
        (
            "service/shop",
            &[
                "CREATE_IN_PROGRESS",
                "ACTIVE",
                "DELETE_IN_PROGRESS",
                "DELETED",
            ],
        ),
        ("service/shop/pipeline", &deployed),
        ("service/shop/service-instance/prod", &deployed),
    ];
    let instance = [
        "IN_PROGRESS",
        "SUCCEEDED",
        "IN_PROGRESS",
        "FAILED",
        "DELETE_IN_PROGRESS",
        "DELETED",
    ];
    let mut expected: BTreeMap<String, Vec<String>> = expected
        .into_iter()
        .map(|(name, life)| (name.to_owned(), owned(life)))
        .collect();
    expected.insert(
        "service/shop/service-instance/dev".to_owned(),
        owned(&instance),
    );
    assert_eq!(lives, expected);
}

fn owned(life: &[&str]) -> Vec<String> {
    life.iter().map(|status| (*status).to_owned()).collect()
}

#[tokio::test]
async fn every_kind_of_event_has_its_form() {
    let events = Telling::after_a_life().await;
    let ids: BTreeSet<&str> = events.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), events.len());
    let connection = events.last().unwrap()["detail"]["id"].as_str().unwrap();
    let connection_arn = arn(&format!("environment-account-connection/{connection}"))
        .replace(ACCOUNT, OTHER_ACCOUNT);
    let version = |name: &str, status: &str, before: &str| {
        json!({
            "name": name,
            "majorVersion": "1",
            "minorVersion": "0",
            "status": status,
            "previousStatus": before,
        })
    };
    let named = |name: &str, status: &str, before: &str| json!({ "name": name, "status": status, "previousStatus": before });
    for (title, resource, detail) in [
        (
            "Environment Template",
            arn("environment-template/net"),
            named("net", "PUBLISHED", "DRAFT"),
        ),
        (
            "Environment Template Version",
            arn("environment-template/net:1.0"),
            version("net", "DRAFT", "REGISTRATION_IN_PROGRESS"),
        ),
        (
            "Service Template",
            arn("service-template/web"),
            named("web", "PUBLISHED", "DRAFT"),
        ),
        (
            "Service Template Version",
            arn("service-template/web:1.0"),
            version("web", "PUBLISHED", "DRAFT"),
        ),
        (
            "Environment",
            arn("environment/prod"),
            json!({ "name": "prod", "status": "IN_PROGRESS" }),
        ),
        (
            "Service",
            arn("service/shop"),
            named("shop", "ACTIVE", "CREATE_IN_PROGRESS"),
        ),
        (
            "Service Instance",
            arn("service/shop/service-instance/dev"),
            json!({
                "name": "dev",
                "serviceName": "shop",
                "status": "FAILED",
                "previousStatus": "IN_PROGRESS",
            }),
        ),
        (
            "Service Pipeline",
            arn("service/shop/pipeline"),
            json!({
                "serviceName": "shop",
                "status": "SUCCEEDED",
                "previousStatus": "IN_PROGRESS",
            }),
        ),
        (
            "Environment Account Connection",
            connection_arn,
            json!({ "id": connection, "status": "CONNECTED", "previousStatus": "PENDING" }),
        ),
        (
            "Component",
            arn("component/queue"),
            named("queue", "DELETED", "DELETE_IN_PROGRESS"),
        ),
    ] {
        let found = events
            .iter()
            .find(|event| event["resources"][0] == *resource && event["detail"] == detail);
        let found = found.unwrap_or_else(|| panic!("no event {detail} of {resource}"));
        let account = if title.contains("Connection") {
            OTHER_ACCOUNT
        } else {
            ACCOUNT
        };
        let expected = json!({
            "version": "0",
            "id": found["id"],
            "detail-type": format!("AWS Proton {title} Status Change"),
            "source": "aws.proton",
            "account": account,
            "time": "2023-11-14T22:13:20Z",
            "region": REGION,
            "resources": [resource],
            "detail": detail,
        });
        // As text, since the order of the members is part of the form.
        assert_eq!(found.to_string(), expected.to_string());
    }
}

#[tokio::test]
async fn what_is_only_edited_is_not_told() {
    let telling = Telling::new();
    let client = &telling.stack.client;
    telling.stack.create_environment_template("net").await;
    let update = client.update_environment_template().name("net");
    update.description("a network").send().await.unwrap();
    let tag = aws_sdk_proton::types::Tag::builder().key("k").value("v");
    let tagging = client
        .tag_resource()
        .resource_arn(arn("environment-template/net"));
    tagging.tags(tag.build().unwrap()).send().await.unwrap();
    let delete = client.delete_environment_template().name("net");
    delete.send().await.unwrap();
    let events = telling
        .told_until(&arn("environment-template/net"), "DELETED")
        .await;
    assert_eq!(
        lives(&events)["environment-template/net"],
        ["DRAFT", "DELETED"]
    );
}

#[tokio::test]
async fn nothing_waits_where_nobody_is_told() {
    let directory = TempDir::new().unwrap();
    let stack = Stack::over(Store::open(directory.path()).unwrap(), None);
    stack.create_environment_template("net").await;
    stack.plane.close().await;
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.backlog().await.unwrap(), None);
}

#[tokio::test]
async fn what_happened_before_the_start_is_told() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("events.jsonl");
    let sink = || Some(Sink::file(file.clone()).unwrap());
    let data = directory.path().join("data");
    let stack = Stack::over(Store::open(&data).unwrap(), sink());
    stack.create_environment_template("net").await;
    stack.plane.close().await;
    let telling = Telling {
        stack: Stack::over(Store::open(&data).unwrap(), sink()).working(),
        file,
        _directory: directory,
    };
    let events = telling
        .told_until(&arn("environment-template/net"), "DRAFT")
        .await;
    assert_eq!(events.len(), 1);
}
