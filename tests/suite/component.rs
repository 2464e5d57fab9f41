#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use std::time::Duration;

use aws_sdk_proton::client::Waiters as _;
use aws_sdk_proton::operation::create_component::builders::CreateComponentFluentBuilder;
use aws_sdk_proton::operation::update_component::builders::UpdateComponentFluentBuilder;
use aws_sdk_proton::types::{
    Component, ComponentDeploymentUpdateType, DeploymentStatus, DeploymentUpdateType, Output,
    Provisioning, ServiceTemplateSupportedComponentSourceType, Tag,
};
use proton_grpc::control_plane::Limits;

use super::stack::{ACCOUNT, Stack, arn, code, compatible, refused, source};

const ROLE: &str = "arn:aws:iam::123456789012:role/proton";
const COMPONENT_ROLE: &str = "arn:aws:iam::123456789012:role/component";

const ENVIRONMENT_SCHEMA: &str = "schema:
  format: { openapi: \"3.0.0\" }
  environment_input_type: In
  types:
    In:
      type: object
      properties:
        zone: { type: string, default: north }
";
const INSTANCE_SCHEMA: &str = "schema:
  format: { openapi: \"3.0.0\" }
  service_input_type: In
  types:
    In:
      type: object
      properties:
        size: { type: string, default: small }
";
const MANIFEST: &str = "infrastructure:
  templates:
    - file: cloudformation.yaml
      rendering_engine: jinja
      template_language: cloudformation
";
const TERRAFORM_MANIFEST: &str = "infrastructure:
  templates:
    - file: \"*\"
      rendering_engine: hcl
      template_language: terraform
";
const ENVIRONMENT_TEMPLATE: &str = "Resources:
  Topic:
    Type: AWS::SNS::Topic
Outputs:
  Zone:
    Value: \"{{ environment.inputs.zone }}\"
";
const INSTANCE_TEMPLATE: &str = "Resources:
  Topic:
    Type: AWS::SNS::Topic
Outputs:
  Queue:
    Value: \"{{ service_instance.components.default.outputs.Queue | default('none') }}\"
";
/// Says where it is and, when attached, how large its instance is.
const TEMPLATE: &str = "Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: \"{{ component.name }}-{{ environment.outputs.Zone }}\"
Outputs:
  Queue:
    Value: !GetAtt Queue.QueueName
  Size:
    Value: \"{{ service_instance.inputs.size | default('none') if service_instance is defined else 'none' }}\"
";
/// Needs nothing of anybody.
const BARE: &str = "Resources: {}\n";
const SPEC: &str = "proton: ServiceSpec
instances:
  - name: dev
    environment: prod
    spec: {}
  - name: live
    environment: prod
    spec: { size: large }
";

impl Stack {
    /// An environment `prod` that takes components.
    async fn with_place(self) -> Self {
        self.create_environment_template("zone").await;
        let files = [
            ("schema/schema.yaml", ENVIRONMENT_SCHEMA),
            ("infrastructure/manifest.yaml", MANIFEST),
            ("infrastructure/cloudformation.yaml", ENVIRONMENT_TEMPLATE),
        ];
        self.upload("zone.tar.gz", &files);
        let version = self.client.create_environment_template_version();
        let version = version.template_name("zone").source(source("zone.tar.gz"));
        version.send().await.unwrap();
        self.registered("zone", "1", "0").await.unwrap();
        self.publish("zone", "1", "0").await;
        self.place("prod", Some(COMPONENT_ROLE)).await;
        self
    }

    async fn place(&self, name: &str, component_role: Option<&str>) {
        let create = self.client.create_environment().name(name);
        let create = create.template_name("zone").template_major_version("1");
        let create = create.spec("proton: EnvironmentSpec\nspec: {}\n");
        let create = create.set_component_role_arn(component_role.map(str::to_owned));
        create.proton_service_role_arn(ROLE).send().await.unwrap();
        let waiter = self.client.wait_until_environment_deployed().name(name);
        waiter.wait(Duration::from_secs(60)).await.unwrap();
    }

    /// A service `web` with the instances `dev` and `live`, whose template supports components or not.
    async fn with_hosts(self, supported: bool) -> Self {
        let template = self.client.create_service_template().name("app");
        let template = template.pipeline_provisioning(Provisioning::CustomerManaged);
        template.send().await.unwrap();
        let files = [
            ("schema/schema.yaml", INSTANCE_SCHEMA),
            ("instance_infrastructure/manifest.yaml", MANIFEST),
            (
                "instance_infrastructure/cloudformation.yaml",
                INSTANCE_TEMPLATE,
            ),
        ];
        self.upload("app.tar.gz", &files);
        let sources =
            supported.then(|| vec![ServiceTemplateSupportedComponentSourceType::DirectlyDefined]);
        let version = self.client.create_service_template_version();
        let version = version.template_name("app").source(source("app.tar.gz"));
        let version = version.set_supported_component_sources(sources);
        let version = version.compatible_environment_templates(compatible("zone", "1"));
        version.send().await.unwrap();
        let waiter = self.client.wait_until_service_template_version_registered();
        let waiter = waiter.template_name("app").major_version("1");
        let waiter = waiter.minor_version("0");
        waiter.wait(Duration::from_secs(60)).await.unwrap();
        let service = self.client.create_service().name("web").spec(SPEC);
        let service = service.template_name("app").template_major_version("1");
        let service = service.template_minor_version("0");
        service.send().await.unwrap();
        let waiter = self.client.wait_until_service_created().name("web");
        waiter.wait(Duration::from_secs(60)).await.unwrap();
        self
    }

    fn defining(&self, name: &str) -> CreateComponentFluentBuilder {
        let create = self.client.create_component().name(name);
        create.manifest(MANIFEST).template_file(TEMPLATE)
    }

    fn detached(&self, name: &str) -> CreateComponentFluentBuilder {
        self.defining(name).environment_name("prod")
    }

    fn attached(&self, name: &str, instance: &str) -> CreateComponentFluentBuilder {
        let create = self.defining(name).service_name("web");
        create.service_instance_name(instance)
    }

    fn redefining(&self, name: &str) -> UpdateComponentFluentBuilder {
        let update = self.client.update_component().name(name);
        update.deployment_type(ComponentDeploymentUpdateType::CurrentVersion)
    }

    async fn component(&self, name: &str) -> Component {
        let got = self.client.get_component().name(name).send().await;
        got.unwrap().component.unwrap()
    }

    /// The component once no deployment of it is under way.
    async fn component_settled(&self, name: &str) -> Component {
        let waiter = self.client.wait_until_component_deployed().name(name);
        waiter.wait(Duration::from_secs(60)).await.ok();
        self.component(name).await
    }

    async fn component_outputs(&self, name: &str) -> Vec<String> {
        let list = self.client.list_component_outputs().component_name(name);
        values(list.send().await.unwrap().outputs)
    }

    async fn redeploy_instance(&self, name: &str) -> Vec<String> {
        let update = self.client.update_service_instance();
        let update = update.service_name("web").name(name);
        let update = update.deployment_type(DeploymentUpdateType::CurrentVersion);
        update.send().await.unwrap();
        let waiter = self.client.wait_until_service_instance_deployed();
        let waiter = waiter.service_name("web").name(name);
        waiter.wait(Duration::from_secs(60)).await.unwrap();
        let list = self.client.list_service_instance_outputs();
        let list = list.service_name("web").service_instance_name(name);
        values(list.send().await.unwrap().outputs)
    }
}

fn values(outputs: Vec<Output>) -> Vec<String> {
    let values = outputs.into_iter().map(|output| output.value_string);
    values.map(Option::unwrap).collect()
}

fn bond(component: &Component) -> (Option<&str>, Option<&str>) {
    (
        component.service_name.as_deref(),
        component.service_instance_name.as_deref(),
    )
}

#[tokio::test]
async fn a_detached_component_is_deployed_into_its_environment() {
    let stack = Stack::new().with_place().await;
    let made = stack.detached("queue").send().await.unwrap();
    let made = made.component.unwrap();
    assert_eq!(made.deployment_status, DeploymentStatus::InProgress);
    assert_eq!(made.arn, arn("component/queue"));

    let component = stack.component_settled("queue").await;
    assert_eq!(component.deployment_status, DeploymentStatus::Succeeded);
    assert_eq!(component.environment_name, "prod");
    assert_eq!(bond(&component), (None, None));
    assert_eq!(
        component.last_succeeded_deployment_id,
        component.last_attempted_deployment_id
    );
    assert_eq!(
        stack.component_outputs("queue").await,
        ["queue-north", "none"]
    );
    let resources = stack.client.list_component_provisioned_resources();
    let resources = resources.component_name("queue").send().await.unwrap();
    let name = resources.provisioned_resources[0].name.as_deref().unwrap();
    assert!(
        name.starts_with("AWSProton-queue-cloudformation--"),
        "{name}"
    );
}

#[tokio::test]
async fn an_attached_component_reads_the_inputs_of_its_instance_and_gives_it_its_outputs() {
    let stack = Stack::new().with_place().await.with_hosts(true).await;
    stack.attached("queue", "live").send().await.unwrap();
    let component = stack.component_settled("queue").await;
    assert_eq!(component.deployment_status, DeploymentStatus::Succeeded);
    assert_eq!(component.environment_name, "prod");
    assert_eq!(bond(&component), (Some("web"), Some("live")));
    assert_eq!(
        stack.component_outputs("queue").await,
        ["queue-north", "large"]
    );
    assert_eq!(stack.redeploy_instance("live").await, ["queue-north"]);
    assert_eq!(stack.redeploy_instance("dev").await, ["none"]);
}

#[tokio::test]
async fn a_component_has_a_spec_of_its_own_when_it_is_given_one() {
    let stack = Stack::new().with_place().await.with_hosts(true).await;
    let spec = SPEC.replace("spec: {}", "spec: { size: tiny }");
    let create = stack.attached("queue", "dev").service_spec(&spec);
    create.send().await.unwrap();
    let component = stack.component_settled("queue").await;
    assert_eq!(component.service_spec.as_deref(), Some(&*spec));
    assert_eq!(
        stack.component_outputs("queue").await,
        ["queue-north", "tiny"]
    );
    let wrong = SPEC.replace("spec: {}", "spec: { size: 3 }");
    let update = stack.redefining("queue").service_spec(wrong);
    assert_eq!(code(update.send().await), "ValidationException");
    let keeping = SPEC.replace("spec: {}", "spec: { size: \"${Proton::CURRENT_VAL}\" }");
    let update = stack.redefining("queue").service_spec(keeping);
    let (_, message) = refused(update.send().await);
    assert!(message.contains("no current value to keep"), "{message}");
    let detached = stack.detached("other").service_spec(SPEC);
    assert_eq!(code(detached.send().await), "ValidationException");
}

#[tokio::test]
async fn attaching_and_detaching_deploy_the_component_and_only_it() {
    let stack = Stack::new().with_place().await.with_hosts(true).await;
    stack.detached("queue").send().await.unwrap();
    stack.component_settled("queue").await;
    let deployments = async |name: &str| {
        let list = stack.client.list_deployments().service_name("web");
        let list = list.service_instance_name(name).send().await.unwrap();
        list.deployments.len()
    };
    let attach = stack.redefining("queue").service_name("web");
    let attaching = attach.service_instance_name("dev").send().await.unwrap();
    assert_eq!(bond(&attaching.component.unwrap()), (None, None));
    let attached = stack.component_settled("queue").await;
    assert_eq!(bond(&attached), (Some("web"), Some("dev")));
    assert_eq!(stack.component_outputs("queue").await[1], "small");
    // The component's own deployment, and the instance's first.
    assert_eq!(deployments("dev").await, 2);

    let detach = stack.redefining("queue").service_name("");
    detach.service_instance_name("").send().await.unwrap();
    let detached = stack.component_settled("queue").await;
    assert_eq!(bond(&detached), (None, None));
    assert_eq!(stack.component_outputs("queue").await[1], "none");
}

#[tokio::test]
async fn an_instance_has_one_component_and_a_component_one_instance() {
    let stack = Stack::new().with_place().await.with_hosts(true).await;
    stack.attached("queue", "dev").send().await.unwrap();
    stack.component_settled("queue").await;
    let second = stack.attached("other", "dev").send().await;
    assert_eq!(code(second), "ValidationException");
    let elsewhere = stack.redefining("queue").service_name("web");
    let elsewhere = elsewhere.service_instance_name("live").send().await;
    assert_eq!(code(elsewhere), "ValidationException");
}

#[tokio::test]
async fn of_two_components_attached_at_once_one_is_refused() {
    let stack = Stack::new().with_place().await.with_hosts(true).await;
    let (one, other) = tokio::join!(
        stack.attached("one", "dev").send(),
        stack.attached("other", "dev").send()
    );
    assert_ne!(one.is_ok(), other.is_ok());
}

#[tokio::test]
async fn a_template_that_does_not_support_components_gets_none() {
    let stack = Stack::new().with_place().await.with_hosts(false).await;
    let (code, message) = refused(stack.attached("queue", "dev").send().await);
    assert_eq!(code, "ValidationException");
    assert!(message.contains("does not support components"), "{message}");
}

#[tokio::test]
async fn a_component_is_named_with_its_environment_or_its_instance() {
    let stack = Stack::new().with_place().await.with_hosts(true).await;
    let create = || stack.defining("queue");
    assert_eq!(code(create().send().await), "ValidationException");
    let half = create().service_name("web").environment_name("prod");
    assert_eq!(code(half.send().await), "ValidationException");
    let other = stack.attached("queue", "dev").environment_name("other");
    assert_eq!(code(other.send().await), "ValidationException");
    let missing = create().environment_name("nowhere").send().await;
    assert_eq!(code(missing), "ResourceNotFoundException");
    let missing = stack.attached("queue", "nothing").send().await;
    assert_eq!(code(missing), "ResourceNotFoundException");
    let agreed = stack.attached("queue", "dev").environment_name("prod");
    agreed.send().await.unwrap();
}

#[tokio::test]
async fn the_environment_must_have_what_components_are_provisioned_with() {
    let stack = Stack::new().with_place().await;
    stack.place("bare", None).await;
    let bare = stack.defining("queue").environment_name("bare");
    let (code, message) = refused(bare.send().await);
    assert_eq!(code, "ValidationException");
    assert!(message.contains("componentRoleArn"), "{message}");
    let terraform = stack.detached("queue").manifest(TERRAFORM_MANIFEST);
    assert_eq!(self::code(terraform.send().await), "ValidationException");
    let nonsense = stack.detached("queue").manifest("nonsense");
    assert_eq!(self::code(nonsense.send().await), "ValidationException");
}

#[tokio::test]
async fn a_component_and_its_instance_are_not_deployed_at_the_same_time() {
    let stack = Stack::scripted(Limits::default()).with_place().await;
    let stack = stack.with_hosts(true).await;
    let attached = stack.attached("queue", "dev").template_file(BARE);
    attached.send().await.unwrap();
    stack.component_settled("queue").await;

    let instance = || {
        let update = stack.client.update_service_instance();
        let update = update.service_name("web").name("dev");
        update.deployment_type(DeploymentUpdateType::CurrentVersion)
    };
    stack.engine.hold("+service/web/service-instance/dev");
    instance().send().await.unwrap();
    let update = || stack.redefining("queue").template_file(BARE);
    assert_eq!(code(update().send().await), "ConflictException");
    stack.go_on();
    let waiter = stack.client.wait_until_service_instance_deployed();
    let waiter = waiter.service_name("web").name("dev");
    waiter.wait(Duration::from_secs(60)).await.unwrap();

    stack.engine.hold("+component/queue");
    update().send().await.unwrap();
    assert_eq!(code(update().send().await), "ConflictException");
    assert_eq!(code(instance().send().await), "ConflictException");
}

#[tokio::test]
async fn only_a_detached_component_can_be_deleted() {
    let stack = Stack::new().with_place().await.with_hosts(true).await;
    stack.attached("queue", "dev").send().await.unwrap();
    stack.component_settled("queue").await;
    let delete = || stack.client.delete_component().name("queue").send();
    assert_eq!(code(delete().await), "ConflictException");
    let service = stack.client.delete_service().name("web").send().await;
    assert_eq!(code(service), "ConflictException");

    let detach = stack.redefining("queue").service_name("");
    detach.service_instance_name("").send().await.unwrap();
    stack.component_settled("queue").await;
    let deleting = delete().await.unwrap().component.unwrap();
    assert_eq!(
        deleting.deployment_status,
        DeploymentStatus::DeleteInProgress
    );
    let waiter = stack.client.wait_until_component_deleted().name("queue");
    waiter.wait(Duration::from_secs(60)).await.unwrap();
    assert_eq!(code(delete().await), "ResourceNotFoundException");
}

#[tokio::test]
async fn an_environment_with_a_component_cannot_be_deleted() {
    let stack = Stack::new().with_place().await;
    stack.detached("queue").send().await.unwrap();
    stack.component_settled("queue").await;
    let delete = || stack.client.delete_environment().name("prod").send();
    assert_eq!(code(delete().await), "ConflictException");
    let component = stack.client.delete_component().name("queue");
    component.send().await.unwrap();
    let waiter = stack.client.wait_until_component_deleted().name("queue");
    waiter.wait(Duration::from_secs(60)).await.unwrap();
    delete().await.unwrap();
    let late = stack.detached("late").send().await;
    assert!(matches!(
        &*code(late),
        "ConflictException" | "ResourceNotFoundException"
    ));
}

#[tokio::test]
async fn a_repeated_call_with_the_same_token_does_nothing_again() {
    let stack = Stack::new().with_place().await;
    let create = || stack.detached("queue").client_token("a");
    create().send().await.unwrap();
    let first = stack.component_settled("queue").await;
    assert_eq!(first.last_client_request_token.as_deref(), Some("a"));
    let again = create().send().await.unwrap().component.unwrap();
    assert_eq!(again, first);
    let (code, message) = refused(create().description("other").send().await);
    assert_eq!(code, "ValidationException");
    assert!(message.contains("IdempotentParameterMismatch"), "{message}");
    let taken = stack.detached("queue").client_token("b").send().await;
    assert_eq!(self::code(taken), "ConflictException");

    let update = || stack.redefining("queue").client_token("c");
    update().send().await.unwrap();
    let second = stack.component_settled("queue").await;
    assert_eq!(second.last_client_request_token.as_deref(), Some("c"));
    let again = update().send().await.unwrap().component.unwrap();
    assert_eq!(again, second);
    let other = update().description("other").send().await;
    assert_eq!(self::code(other), "ValidationException");
    stack.clock.advance(Duration::from_secs(8 * 60 * 60));
    let after = update().send().await.unwrap().component.unwrap();
    assert_eq!(after.deployment_status, DeploymentStatus::InProgress);
}

#[tokio::test]
async fn an_update_of_type_none_changes_the_description_alone() {
    let stack = Stack::new().with_place().await;
    stack.detached("queue").send().await.unwrap();
    let before = stack.component_settled("queue").await;
    let update = || {
        let update = stack.client.update_component().name("queue");
        update.deployment_type(ComponentDeploymentUpdateType::None)
    };
    let after = update().description("ours").send().await.unwrap();
    let after = after.component.unwrap();
    assert_eq!(after.description.as_deref(), Some("ours"));
    assert_eq!(
        after.last_attempted_deployment_id,
        before.last_attempted_deployment_id
    );
    let file = update().template_file(TEMPLATE).send().await;
    assert_eq!(code(file), "ValidationException");
}

#[tokio::test]
async fn a_failed_update_keeps_what_was_deployed() {
    let stack = Stack::new().with_place().await;
    stack.detached("queue").send().await.unwrap();
    let before = stack.component_settled("queue").await;
    let broken = TEMPLATE.replace("environment.outputs.Zone", "environment.outputs.Nothing");
    let update = stack.redefining("queue").template_file(broken);
    update.send().await.unwrap();
    let after = stack.component_settled("queue").await;
    assert_eq!(after.deployment_status, DeploymentStatus::Failed);
    assert!(after.deployment_status_message.is_some());
    assert_eq!(
        after.last_succeeded_deployment_id,
        before.last_succeeded_deployment_id
    );
    assert_eq!(stack.component_outputs("queue").await[0], "queue-north");
}

#[tokio::test]
async fn components_are_listed_by_name_and_by_what_they_belong_to() {
    let stack = Stack::new().with_place().await.with_hosts(true).await;
    stack.detached("b").send().await.unwrap();
    stack.attached("a", "dev").send().await.unwrap();
    stack.component_settled("a").await;
    stack.component_settled("b").await;
    let list = || stack.client.list_components();
    let names = |listed: &[aws_sdk_proton::types::ComponentSummary]| {
        let names: Vec<&str> = listed.iter().map(|component| &*component.name).collect();
        names.join(" ")
    };
    let all = list().send().await.unwrap();
    assert_eq!(names(all.components()), "a b");
    let page = list().max_results(1).send().await.unwrap();
    assert_eq!(names(page.components()), "a");
    let rest = list().max_results(1).set_next_token(page.next_token);
    assert_eq!(names(rest.send().await.unwrap().components()), "b");
    let placed = list().environment_name("prod").send().await.unwrap();
    assert_eq!(names(placed.components()), "a b");
    let of_service = list().service_name("web").send().await.unwrap();
    assert_eq!(names(of_service.components()), "a");
    let live = list().service_name("web").service_instance_name("live");
    assert_eq!(names(live.send().await.unwrap().components()), "");
    let half = list().service_instance_name("dev").send().await;
    assert_eq!(code(half), "ValidationException");
}

#[tokio::test]
async fn the_account_holds_as_many_components_as_its_quota() {
    let limits = Limits {
        components: 1,
        ..Limits::default()
    };
    let stack = Stack::with(limits).working().with_place().await;
    stack.detached("one").send().await.unwrap();
    let second = stack.detached("two").send().await;
    assert_eq!(code(second), "ServiceQuotaExceededException");
}

#[tokio::test]
async fn a_component_is_tagged_with_what_it_belongs_to() {
    let stack = Stack::new().with_place().await.with_hosts(true).await;
    let tag = Tag::builder().key("team").value("a").build().unwrap();
    let create = stack.attached("queue", "dev").tags(tag);
    create.send().await.unwrap();
    let list = stack.client.list_tags_for_resource();
    let listed = list.resource_arn(arn("component/queue")).send().await;
    let listed: Vec<_> = listed
        .unwrap()
        .tags
        .into_iter()
        .map(|tag| (tag.key, tag.value))
        .collect();
    let expected = [
        ("aws:proton:account", ACCOUNT.to_owned()),
        ("aws:proton:component", arn("component/queue")),
        ("aws:proton:environment", arn("environment/prod")),
        ("aws:proton:service", arn("service/web")),
        (
            "aws:proton:service-instance",
            arn("service/web/service-instance/dev"),
        ),
        ("team", "a".to_owned()),
    ];
    assert_eq!(listed, expected.map(|(key, value)| (key.to_owned(), value)));
}

#[tokio::test]
async fn a_cancelled_component_keeps_what_was_before() {
    let stack = Stack::scripted(Limits::default()).with_place().await;
    let create = stack.detached("queue").template_file(BARE);
    create.send().await.unwrap();
    let before = stack.component_settled("queue").await;
    let cancel = || {
        let cancel = stack.client.cancel_component_deployment();
        cancel.component_name("queue").send()
    };
    assert_eq!(code(cancel().await), "ConflictException");

    stack.engine.hold("+component/queue");
    stack.redefining("queue").send().await.unwrap();
    let cancelling = cancel().await.unwrap().component.unwrap();
    assert_eq!(cancelling.deployment_status, DeploymentStatus::Cancelling);
    // Waiters wait for a success or a failure, and this is neither.
    let mut cancelled = stack.component("queue").await;
    while cancelled.deployment_status == DeploymentStatus::Cancelling {
        tokio::task::yield_now().await;
        cancelled = stack.component("queue").await;
    }
    assert_eq!(cancelled.deployment_status, DeploymentStatus::Cancelled);
    assert_eq!(
        cancelled.deployment_status_message.as_deref(),
        Some("User initiated cancellation.")
    );
    assert_eq!(
        cancelled.last_succeeded_deployment_id,
        before.last_succeeded_deployment_id
    );
}
