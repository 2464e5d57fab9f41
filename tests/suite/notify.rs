#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use std::time::Duration;

use aws_sdk_proton::client::Waiters as _;
use aws_sdk_proton::operation::notify_resource_deployment_status_change::builders::NotifyResourceDeploymentStatusChangeFluentBuilder;
use aws_sdk_proton::types::{
    DeploymentStatus, DeploymentUpdateType, Environment, Output, RepositoryBranchInput,
    RepositoryProvider, ResourceDeploymentStatus,
};

use super::service_world::{DEV_IN_PROD, SERVICE_SCHEMA};
use super::stack::{ACCOUNT, OTHER_ACCOUNT, Stack, arn, code, environment_schema, source};

const CONNECTION: &str = "arn:aws:codestar-connections:us-east-1:123456789012:connection/00000000-0000-4000-8000-000000000000";
const ROLE: &str = "arn:aws:iam::123456789012:role/proton";
const SPEC: &str = "proton: EnvironmentSpec\nspec: {}\n";

const TERRAFORM: &str = "infrastructure:
  templates:
    - file: \"*\"
      rendering_engine: hcl
      template_language: terraform
";
const CODEBUILD: &str = "infrastructure:
  templates:
    - rendering_engine: codebuild
      settings:
        image: aws/codebuild/amazonlinux2-x86_64-standard:4.0
        runtimes: { nodejs: 16 }
        provision: [ \"true\" ]
        deprovision: [ \"true\" ]
";
const CLOUDFORMATION: &str = "infrastructure:
  templates:
    - file: main.tf
      rendering_engine: jinja
      template_language: cloudformation
";

impl Stack {
    /// An environment template whose only version is provisioned as the manifest says.
    async fn with_engine(self, manifest: &'static str) -> Self {
        self.create_environment_template("net").await;
        let schema = environment_schema("");
        let files = [
            ("schema/schema.yaml", &*schema),
            ("infrastructure/manifest.yaml", manifest),
            (
                "infrastructure/main.tf",
                "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n",
            ),
        ];
        self.upload("net.tar.gz", &files);
        let version = self.client.create_environment_template_version();
        let version = version.template_name("net").source(source("net.tar.gz"));
        version.send().await.unwrap();
        self.registered("net", "1", "0").await.unwrap();
        let link = self.client.create_repository().name("us/infra");
        let link = link.provider(RepositoryProvider::Github);
        link.connection_arn(CONNECTION).send().await.unwrap();
        self
    }

    /// An environment `prod` that is under way.
    async fn begun(&self, manifest: &str) {
        let create = self.client.create_environment().name("prod").spec(SPEC);
        let create = create.template_name("net").template_major_version("1");
        let create = create.template_minor_version("0");
        let create = match manifest {
            TERRAFORM => create.provisioning_repository(branch()),
            CODEBUILD => create.codebuild_role_arn(ROLE),
            _ => create.proton_service_role_arn(ROLE),
        };
        create.send().await.unwrap();
        self.sent().await;
    }

    /// Waits until the engine has what it needs: only then can somebody know of the deployment.
    async fn sent(&self) {
        self.sent_for("environment/prod").await;
    }

    async fn sent_for(&self, resource: &str) {
        while self.tell(resource, None).await == "ConflictException" {
            tokio::task::yield_now().await;
        }
    }

    async fn attempt(&self, status: Option<ResourceDeploymentStatus>) -> String {
        self.tell("environment/prod", status).await
    }

    async fn tell(&self, resource: &str, status: Option<ResourceDeploymentStatus>) -> String {
        let status = status.unwrap_or(ResourceDeploymentStatus::InProgress);
        match self.news(resource).status(status).send().await {
            Ok(_) => "done".to_owned(),
            refused => code(refused),
        }
    }

    /// Ends the deployment of a resource well, with one output.
    async fn succeeded(&self, resource: &str) {
        self.sent_for(resource).await;
        let news = self.news(resource).outputs(output("Of", resource));
        let end = news.status(ResourceDeploymentStatus::Succeeded);
        end.send().await.unwrap();
    }

    /// An environment `prod` in which everything is provisioned by Terraform, and a service template `web` for it.
    async fn with_terraform_service() -> Self {
        let stack = Self::new().with_engine(TERRAFORM).await;
        stack.begun(TERRAFORM).await;
        stack.succeeded("environment/prod").await;
        let settings = stack.client.update_account_settings();
        let settings = settings.pipeline_provisioning_repository(branch());
        settings.send().await.unwrap();
        stack.create_service_template("web").await;
        let files = [
            ("schema/schema.yaml", SERVICE_SCHEMA),
            ("instance_infrastructure/manifest.yaml", TERRAFORM),
            ("instance_infrastructure/main.tf", "# nothing\n"),
            ("pipeline_infrastructure/manifest.yaml", TERRAFORM),
            ("pipeline_infrastructure/main.tf", "# nothing\n"),
        ];
        stack
            .service_bundle_version("web", None, &["1"], &files)
            .await;
        stack
    }

    fn news(&self, resource: &str) -> NotifyResourceDeploymentStatusChangeFluentBuilder {
        let notify = self.client.notify_resource_deployment_status_change();
        notify.resource_arn(arn(resource))
    }

    async fn now(&self) -> Environment {
        let got = self.client.get_environment().name("prod").send().await;
        got.unwrap().environment.unwrap()
    }

    async fn put_out(&self) -> Vec<(String, String)> {
        let list = self.client.list_environment_outputs();
        let listed = list.environment_name("prod").send().await.unwrap();
        let pair = |output: Output| (output.key.unwrap(), output.value_string.unwrap());
        listed.outputs.into_iter().map(pair).collect()
    }
}

fn branch() -> RepositoryBranchInput {
    let branch = RepositoryBranchInput::builder().provider(RepositoryProvider::Github);
    branch.name("us/infra").branch("main").build().unwrap()
}

fn output(key: &str, value: &str) -> Output {
    Output::builder().key(key).value_string(value).build()
}

fn pairs<const N: usize>(outputs: [(&str, &str); N]) -> Vec<(String, String)> {
    outputs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec()
}

#[tokio::test]
async fn a_success_ends_the_deployment_with_outputs_and_message() {
    let stack = Stack::new().with_engine(TERRAFORM).await;
    stack.begun(TERRAFORM).await;
    let news = stack.news("environment/prod").outputs(output("Vpc", "v-1"));
    let news = news.status(ResourceDeploymentStatus::Succeeded);
    news.status_message("applied").send().await.unwrap();
    let environment = stack.now().await;
    assert_eq!(environment.deployment_status, DeploymentStatus::Succeeded);
    assert_eq!(
        environment.deployment_status_message.as_deref(),
        Some("applied")
    );
    assert_eq!(
        environment.last_succeeded_deployment_id,
        environment.last_attempted_deployment_id
    );
    assert_eq!(stack.put_out().await, pairs([("Vpc", "v-1")]));
    let resources = stack.client.list_environment_provisioned_resources();
    let resources = resources.environment_name("prod").send().await.unwrap();
    assert_eq!(resources.provisioned_resources.len(), 1);
}

#[tokio::test]
async fn a_failure_ends_the_deployment_and_says_why() {
    let stack = Stack::new().with_engine(TERRAFORM).await;
    stack.begun(TERRAFORM).await;
    let news = stack.news("environment/prod").status_message("no quota");
    let news = news.status(ResourceDeploymentStatus::Failed);
    news.send().await.unwrap();
    let environment = stack.now().await;
    assert_eq!(environment.deployment_status, DeploymentStatus::Failed);
    assert_eq!(
        environment.deployment_status_message.as_deref(),
        Some("no quota")
    );
    assert_eq!(environment.last_succeeded_deployment_id, None);
}

#[tokio::test]
async fn outputs_on_the_way_are_kept_and_later_ones_replace_them() {
    let stack = Stack::new().with_engine(TERRAFORM).await;
    stack.begun(TERRAFORM).await;
    let outputs = |outputs: Vec<Output>| {
        let news = stack.news("environment/prod");
        news.set_outputs(Some(outputs))
    };
    let two = outputs(vec![output("A", "1"), output("B", "2")]);
    let two = two.status(ResourceDeploymentStatus::InProgress);
    two.status_message("applying").send().await.unwrap();
    let environment = stack.now().await;
    assert_eq!(environment.deployment_status, DeploymentStatus::InProgress);
    assert_eq!(
        environment.deployment_status_message.as_deref(),
        Some("applying")
    );
    assert_eq!(stack.put_out().await, []);
    outputs(vec![output("C", "3")]).send().await.unwrap();
    let end = stack.news("environment/prod");
    let end = end.status(ResourceDeploymentStatus::Succeeded);
    end.send().await.unwrap();
    assert_eq!(stack.put_out().await, pairs([("C", "3")]));
    assert_eq!(stack.now().await.deployment_status_message, None);
}

#[tokio::test]
async fn a_build_hands_over_its_outputs() {
    let stack = Stack::new().with_engine(CODEBUILD).await;
    stack.begun(CODEBUILD).await;
    let news = stack.news("environment/prod").outputs(output("A", "1"));
    news.send().await.unwrap();
    assert_eq!(
        stack.now().await.deployment_status,
        DeploymentStatus::InProgress
    );
    let end = stack.attempt(Some(ResourceDeploymentStatus::Succeeded));
    assert_eq!(end.await, "done");
    assert_eq!(stack.put_out().await, pairs([("A", "1")]));
}

#[tokio::test]
async fn news_of_another_deployment_than_the_one_under_way_conflict() {
    let stack = Stack::new().with_engine(TERRAFORM).await;
    stack.begun(TERRAFORM).await;
    let of = |id: &str| {
        let news = stack.news("environment/prod").deployment_id(id);
        news.status(ResourceDeploymentStatus::Succeeded).send()
    };
    let other = of("00000000-0000-4000-8000-000000000000").await;
    assert_eq!(code(other), "ConflictException");
    let id = stack.now().await.last_attempted_deployment_id.unwrap();
    of(&id).await.unwrap();
}

#[tokio::test]
async fn without_a_deployment_under_way_only_outputs_can_be_set_right() {
    let stack = Stack::new().with_engine(TERRAFORM).await;
    stack.begun(TERRAFORM).await;
    let end = ResourceDeploymentStatus::Succeeded;
    assert_eq!(stack.attempt(Some(end.clone())).await, "done");
    assert_eq!(stack.attempt(Some(end)).await, "ConflictException");
    assert_eq!(stack.attempt(None).await, "ConflictException");
    let news = stack.news("environment/prod").outputs(output("A", "1"));
    news.send().await.unwrap();
    assert_eq!(stack.put_out().await, pairs([("A", "1")]));
}

#[tokio::test]
async fn what_says_itself_how_it_goes_is_not_notified_of() {
    let stack = Stack::new().with_engine(CLOUDFORMATION).await;
    stack.begun(CLOUDFORMATION).await;
    let waiter = stack.client.wait_until_environment_deployed().name("prod");
    waiter.wait(Duration::from_secs(60)).await.unwrap();
    assert_eq!(stack.attempt(None).await, "ValidationException");
    let outputs = stack.news("environment/prod").outputs(output("A", "1"));
    assert_eq!(code(outputs.send().await), "ValidationException");
}

#[tokio::test]
async fn only_what_is_deployed_can_be_notified_of() {
    let stack = Stack::new().with_engine(TERRAFORM).await;
    for resource in [
        "environment/nothing",
        "component/nothing",
        "service/nothing/pipeline",
        "service/nothing/service-instance/dev",
        "environment-template/net",
    ] {
        let refused = stack.news(resource).send().await;
        assert_eq!(code(refused), "ResourceNotFoundException", "{resource}");
    }
}

#[tokio::test]
async fn other_accounts_cannot_notify() {
    let stack = Stack::new().with_engine(TERRAFORM).await;
    stack.begun(TERRAFORM).await;
    let other = stack.other();
    let foreign = || {
        let notify = other.notify_resource_deployment_status_change();
        notify.status(ResourceDeploymentStatus::Succeeded)
    };
    let ours = foreign().resource_arn(arn("environment/prod")).send().await;
    assert_eq!(code(ours), "ResourceNotFoundException");
    let theirs = arn("environment/prod").replace("123456789012", OTHER_ACCOUNT);
    let theirs = stack
        .client
        .notify_resource_deployment_status_change()
        .resource_arn(theirs);
    assert_eq!(code(theirs.send().await), "ResourceNotFoundException");
}

#[tokio::test]
async fn what_was_cancelled_is_not_ended_by_late_news() {
    let stack = Stack::new().with_engine(TERRAFORM).await;
    stack.begun(TERRAFORM).await;
    let end = Some(ResourceDeploymentStatus::Succeeded);
    assert_eq!(stack.attempt(end.clone()).await, "done");
    let update = stack.client.update_environment().name("prod");
    let update = update.deployment_type(DeploymentUpdateType::CurrentVersion);
    update.send().await.unwrap();
    stack.sent().await;
    let cancel = stack.client.cancel_environment_deployment();
    cancel.environment_name("prod").send().await.unwrap();
    while stack.now().await.deployment_status == DeploymentStatus::Cancelling {
        tokio::task::yield_now().await;
    }
    assert_eq!(stack.attempt(end).await, "ConflictException");
    assert_eq!(
        stack.now().await.deployment_status,
        DeploymentStatus::Cancelled
    );
}

#[tokio::test]
async fn instances_pipelines_and_components_are_notified_of_by_their_arns() {
    let stack = Stack::with_terraform_service().await;
    let instance = "service/shop/service-instance/dev";
    let create = stack.creating_service("shop", DEV_IN_PROD);
    create.send().await.unwrap();
    // The pipeline's turn comes after the instances'.
    stack.succeeded(instance).await;
    stack.succeeded("service/shop/pipeline").await;
    let service = stack.settled_service("shop").await;
    assert_eq!(service.status.as_str(), "ACTIVE");

    let component = stack.client.create_component().name("queue");
    let component = component.manifest(TERRAFORM).template_file("# nothing\n");
    let component = component.environment_name("prod");
    component.send().await.unwrap();
    stack.succeeded("component/queue").await;

    let client = &stack.client;
    let of_instance = client.list_service_instance_outputs().service_name("shop");
    let of_instance = of_instance.service_instance_name("dev").send().await;
    let of_pipeline = client.list_service_pipeline_outputs().service_name("shop");
    let of_pipeline = of_pipeline.send().await.unwrap();
    let of_component = client.list_component_outputs().component_name("queue");
    let of_component = of_component.send().await.unwrap();
    for (outputs, resource) in [
        (of_instance.unwrap().outputs, instance),
        (of_pipeline.outputs, "service/shop/pipeline"),
        (of_component.outputs, "component/queue"),
    ] {
        assert_eq!(outputs, [output("Of", resource)]);
    }
}

#[tokio::test]
async fn the_account_that_an_environment_is_provisioned_in_notifies() {
    let stack = Stack::new().with_engine(CODEBUILD).await;
    let other = stack.other();
    let request = other.create_environment_account_connection();
    let request = request
        .environment_name("prod")
        .management_account_id(ACCOUNT);
    let role = ROLE.replace(ACCOUNT, OTHER_ACCOUNT);
    let request = request.codebuild_role_arn(role).send().await.unwrap();
    let id = request.environment_account_connection.unwrap().id;
    let accept = stack.client.accept_environment_account_connection().id(&id);
    accept.send().await.unwrap();

    let create = stack.client.create_environment().name("prod").spec(SPEC);
    let create = create.template_name("net").template_major_version("1");
    let create = create.template_minor_version("0");
    let create = create.environment_account_connection_id(id);
    create.send().await.unwrap();
    stack.sent().await;
    let notify = other.notify_resource_deployment_status_change();
    let notify = notify.resource_arn(arn("environment/prod"));
    let notify = notify.status(ResourceDeploymentStatus::Succeeded);
    notify.send().await.unwrap();
    let status = stack.now().await.deployment_status;
    assert_eq!(status, DeploymentStatus::Succeeded);
}
