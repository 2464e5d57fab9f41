#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use std::time::Duration;

use aws_sdk_proton::client::Waiters as _;
use aws_sdk_proton::types::{CountsSummary, DeploymentUpdateType, ResourceCountsSummary};

use super::stack::{Stack, environment_bundle, source};

const ROLE: &str = "arn:aws:iam::123456789012:role/proton";
const TEMPLATE: &str = "Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties:
      TopicName: \"{{ environment.inputs.size }}\"
";

impl Stack {
    /// Publishes the next version of the environment template `net`.
    async fn published(&self, major: Option<&str>, template: &'static str) {
        let mut files = environment_bundle("");
        for (path, text) in &mut files {
            if *path == "infrastructure/cloudformation.yaml" {
                *text = template;
            }
        }
        self.upload("net.tar.gz", &files);
        let create = self.client.create_environment_template_version();
        let create = create.template_name("net").source(source("net.tar.gz"));
        let made = create.set_major_version(major.map(str::to_owned)).send();
        let made = made.await.unwrap().environment_template_version.unwrap();
        let (major, minor) = (&*made.major_version, &*made.minor_version);
        self.registered("net", major, minor).await.unwrap();
        self.publish("net", major, minor).await;
    }

    async fn net(&self, name: &str) {
        let create = self.client.create_environment().name(name);
        let create = create.template_name("net").template_major_version("1");
        let create = create.spec("proton: EnvironmentSpec\nspec: {}\n");
        create.proton_service_role_arn(ROLE).send().await.unwrap();
        self.deployed_net(name).await;
    }

    async fn deployed_net(&self, name: &str) {
        let waiter = self.client.wait_until_environment_deployed().name(name);
        waiter.wait(Duration::from_secs(60)).await.ok();
    }

    async fn counts(&self) -> CountsSummary {
        let summary = self.client.get_resources_summary().send().await;
        summary.unwrap().counts.unwrap()
    }

    /// Of environments: all, failed, up to date, behind in the minor and behind in the major version.
    async fn environments(&self) -> [i32; 5] {
        shown(self.counts().await.environments.as_ref())
    }
}

fn shown(counts: Option<&ResourceCountsSummary>) -> [i32; 5] {
    let counts = counts.unwrap();
    let some = |count: Option<i32>| count.unwrap_or(-1);
    [
        counts.total,
        some(counts.failed),
        some(counts.up_to_date),
        some(counts.behind_minor),
        some(counts.behind_major),
    ]
}

#[tokio::test]
async fn an_account_without_anything_counts_nothing() {
    let stack = Stack::idle();
    let counts = stack.counts().await;
    let full = [
        &counts.environments,
        &counts.pipelines,
        &counts.service_instances,
        &counts.services,
    ];
    for kind in full {
        assert_eq!(shown(kind.as_ref()), [0; 5]);
    }
    assert_eq!(shown(counts.components.as_ref()), [0, 0, -1, -1, -1]);
    for kind in [&counts.environment_templates, &counts.service_templates] {
        assert_eq!(shown(kind.as_ref()), [0, -1, -1, -1, -1]);
    }
}

#[tokio::test]
async fn templates_are_counted_by_kind() {
    let stack = Stack::idle();
    stack.create_environment_template("a").await;
    stack.create_service_template("a").await;
    stack.create_service_template("b").await;
    let counts = stack.counts().await;
    assert_eq!(shown(counts.environment_templates.as_ref())[0], 1);
    assert_eq!(shown(counts.service_templates.as_ref())[0], 2);
}

#[tokio::test]
async fn what_is_published_makes_what_is_deployed_fall_behind() {
    let stack = Stack::new();
    stack.create_environment_template("net").await;
    stack.published(None, TEMPLATE).await;
    stack.net("a").await;
    stack.net("b").await;
    assert_eq!(stack.environments().await, [2, 0, 2, 0, 0]);
    stack.published(Some("1"), TEMPLATE).await;
    assert_eq!(stack.environments().await, [2, 0, 0, 2, 0]);
    let update = stack.client.update_environment().name("a");
    let update = update.deployment_type(DeploymentUpdateType::MinorVersion);
    update.send().await.unwrap();
    stack.deployed_net("a").await;
    assert_eq!(stack.environments().await, [2, 0, 1, 1, 0]);
    stack.published(None, TEMPLATE).await;
    assert_eq!(stack.environments().await, [2, 0, 0, 0, 2]);
    let templates = stack.counts().await.environment_templates;
    assert_eq!(templates.unwrap().total, 1);
}

#[tokio::test]
async fn failures_are_counted_whatever_the_version() {
    let stack = Stack::new();
    stack.create_environment_template("net").await;
    stack.published(None, TEMPLATE).await;
    stack.net("a").await;
    let broken = "Resources: {{ environment.inputs.nothing }}\n";
    stack.published(Some("1"), broken).await;
    stack.net("b").await;
    assert_eq!(stack.environments().await, [2, 1, 1, 1, 0]);
    let delete = stack.client.delete_environment().name("b");
    delete.send().await.unwrap();
    while stack
        .client
        .get_environment()
        .name("b")
        .send()
        .await
        .is_ok()
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(stack.environments().await, [1, 0, 0, 1, 0]);
}
