#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use std::time::Duration;

use aws_sdk_proton::client::Waiters as _;
use aws_sdk_proton::operation::create_environment::builders::CreateEnvironmentFluentBuilder;
use aws_sdk_proton::types::{
    Deployment, DeploymentState, DeploymentStatus, DeploymentUpdateType, Environment,
    EnvironmentTemplateFilter, Output, Provisioning,
};

use super::stack::{Stack, arn, code, refused, source};

const ROLE: &str = "arn:aws:iam::123456789012:role/proton";

const SCHEMA: &str = r#"
schema:
  format: { openapi: "3.0.0" }
  environment_input_type: Network
  types:
    Network:
      type: object
      properties:
        size: { type: string, default: small }
        count: { type: integer, minimum: 1, maximum: 9, default: 1 }
"#;
const MANIFEST: &str = "infrastructure:
  templates:
    - file: cloudformation.yaml
      rendering_engine: jinja
      template_language: cloudformation
";
const TEMPLATE: &str = r#"
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties:
      TopicName: "{{ environment.name }}-{{ environment.inputs.size }}"
Outputs:
  Size:
    Value: "{{ environment.inputs.size }}"
  Count:
    Value: "{{ environment.inputs.count }}"
  Topic:
    Value: !GetAtt Topic.TopicName
"#;

const SMALL: &str = "proton: EnvironmentSpec\nspec: {}\n";
const LARGE: &str = "proton: EnvironmentSpec\nspec:\n  size: large\n";

impl Stack {
    /// Registers and publishes the next version of the environment template `net`.
    async fn network_version(&self, major: Option<&str>, template: &str) -> String {
        let files = [
            ("schema/schema.yaml", SCHEMA),
            ("infrastructure/manifest.yaml", MANIFEST),
            ("infrastructure/cloudformation.yaml", template),
        ];
        self.upload("net.tar.gz", &files);
        let create = self.client.create_environment_template_version();
        let create = create.template_name("net").source(source("net.tar.gz"));
        let made = create.set_major_version(major.map(str::to_owned)).send();
        let made = made.await.unwrap().environment_template_version.unwrap();
        let (major, minor) = (made.major_version, made.minor_version);
        self.registered("net", &major, &minor).await.unwrap();
        self.publish("net", &major, &minor).await;
        format!("{major}.{minor}")
    }

    /// The environment template `net` with the published version 1.0.
    async fn with_network(self) -> Self {
        self.create_environment_template("net").await;
        assert_eq!(self.network_version(None, TEMPLATE).await, "1.0");
        self
    }

    fn creating(&self, name: &str) -> CreateEnvironmentFluentBuilder {
        let create = self.client.create_environment().name(name).spec(SMALL);
        let create = create.template_name("net").template_major_version("1");
        create.proton_service_role_arn(ROLE)
    }

    /// The environment once no deployment of it is under way.
    async fn settled(&self, name: &str) -> Environment {
        let waiter = self.client.wait_until_environment_deployed().name(name);
        waiter.wait(Duration::from_secs(60)).await.ok();
        self.environment(name).await
    }

    async fn environment(&self, name: &str) -> Environment {
        let got = self.client.get_environment().name(name).send().await;
        got.unwrap().environment.unwrap()
    }

    async fn created(&self, name: &str) -> Environment {
        self.creating(name).send().await.unwrap();
        self.settled(name).await
    }

    async fn outputs(&self, name: &str) -> Vec<(String, String)> {
        let list = self
            .client
            .list_environment_outputs()
            .environment_name(name);
        pairs(list.send().await.unwrap().outputs)
    }

    async fn deployment(&self, id: &str) -> Deployment {
        let got = self.client.get_deployment().id(id).send().await;
        got.unwrap().deployment.unwrap()
    }
}

fn pairs(outputs: Vec<Output>) -> Vec<(String, String)> {
    let pair = |output: Output| (output.key.unwrap(), output.value_string.unwrap());
    outputs.into_iter().map(pair).collect()
}

fn versions(environment: &Environment) -> String {
    format!(
        "{}.{}",
        environment.template_major_version, environment.template_minor_version
    )
}

#[tokio::test]
async fn an_environment_is_deployed_and_shows_its_outputs() {
    let stack = Stack::new().with_network().await;
    let made = stack.creating("prod").spec(LARGE).send().await.unwrap();
    let made = made.environment.unwrap();
    assert_eq!(made.deployment_status, DeploymentStatus::InProgress);
    assert_eq!(
        (made.arn, versions(&stack.environment("prod").await)),
        (arn("environment/prod"), "1.0".to_owned())
    );

    let environment = stack.settled("prod").await;
    assert_eq!(environment.deployment_status, DeploymentStatus::Succeeded);
    assert_eq!(environment.deployment_status_message, None);
    assert_eq!(
        environment.last_succeeded_deployment_id,
        environment.last_attempted_deployment_id
    );
    assert_eq!(
        environment.last_deployment_succeeded_at,
        environment.last_deployment_attempted_at
    );
    assert_eq!(environment.spec.as_deref(), Some(LARGE));
    assert_eq!(environment.environment_account_id, None);
    let expected = [("Size", "large"), ("Count", "1"), ("Topic", "prod-large")];
    assert_eq!(
        stack.outputs("prod").await,
        expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
    );

    let resources = stack.client.list_environment_provisioned_resources();
    let resources = resources.environment_name("prod").send().await.unwrap();
    let [stack_of_it] = &resources.provisioned_resources[..] else {
        panic!("one stack was provisioned, not {resources:?}");
    };
    let name = stack_of_it.name.as_deref().unwrap();
    assert!(
        name.starts_with("AWSProton-prod-cloudformation--"),
        "{name}"
    );
}

#[tokio::test]
async fn an_update_shows_the_last_success_until_it_succeeds() {
    let stack = Stack::new().with_network().await;
    stack.created("prod").await;
    stack.network_version(Some("1"), TEMPLATE).await;
    let update = stack.client.update_environment().name("prod").spec(LARGE);
    let update = update.deployment_type(DeploymentUpdateType::MinorVersion);
    let answer = update.send().await.unwrap().environment.unwrap();
    assert_eq!(versions(&answer), "1.0");
    assert_eq!(answer.spec.as_deref(), Some(SMALL));
    assert_eq!(answer.deployment_status, DeploymentStatus::InProgress);
    assert_ne!(
        answer.last_attempted_deployment_id,
        answer.last_succeeded_deployment_id
    );

    let environment = stack.settled("prod").await;
    assert_eq!(versions(&environment), "1.1");
    assert_eq!(environment.spec.as_deref(), Some(LARGE));
}

#[tokio::test]
async fn a_failed_update_tells_why_and_keeps_what_was_deployed() {
    let stack = Stack::new().with_network().await;
    let before = stack.created("prod").await;
    stack
        .network_version(
            Some("1"),
            "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n    Properties: null\n",
        )
        .await;
    let update = stack.client.update_environment().name("prod");
    let update = update.deployment_type(DeploymentUpdateType::MinorVersion);
    update.send().await.unwrap();
    let after = stack.settled("prod").await;
    assert_eq!(after.deployment_status, DeploymentStatus::Failed);
    assert_eq!(
        after.deployment_status_message.as_deref(),
        Some("[/Resources/Topic/Properties] 'null' values are not allowed in templates")
    );
    assert_eq!(versions(&after), "1.0");
    assert_eq!(
        after.last_succeeded_deployment_id,
        before.last_succeeded_deployment_id
    );
    assert_eq!(stack.outputs("prod").await.len(), 3);
}

#[tokio::test]
async fn what_is_undefined_in_a_template_fails_the_deployment() {
    let stack = Stack::new().with_network().await;
    stack
        .network_version(
            Some("1"),
            "Resources:\n  A: {{ environment.inputs.nothing }}\n",
        )
        .await;
    let environment = stack.created("prod").await;
    assert_eq!(environment.deployment_status, DeploymentStatus::Failed);
    let message = environment.deployment_status_message.unwrap();
    assert!(message.contains("cloudformation.yaml"), "{message}");
    assert_eq!(environment.last_succeeded_deployment_id, None);
    assert_eq!(stack.outputs("prod").await, []);
}

#[tokio::test]
async fn only_one_deployment_is_under_way_at_a_time() {
    let stack = Stack::idle();
    let working = stack.plane.clone();
    let work = tokio::spawn(proton_grpc::control_plane::reconcile::run(
        working,
        std::future::pending(),
    ));
    let stack = stack.with_network().await;
    work.abort();
    stack.creating("prod").send().await.unwrap();
    let update = stack.client.update_environment().name("prod");
    let update = update.deployment_type(DeploymentUpdateType::CurrentVersion);
    assert_eq!(code(update.send().await), "ConflictException");
    let delete = stack.client.delete_environment().name("prod");
    assert_eq!(code(delete.send().await), "ConflictException");
}

#[tokio::test]
async fn a_cancelled_deployment_keeps_what_was_before() {
    let stack = Stack::paced(Duration::from_secs(30)).with_network().await;
    stack.creating("prod").send().await.unwrap();
    stack.clock.advance(Duration::from_secs(30));
    assert_eq!(
        stack.settled("prod").await.deployment_status,
        DeploymentStatus::Succeeded
    );
    let cancel = || {
        stack
            .client
            .cancel_environment_deployment()
            .environment_name("prod")
    };
    assert_eq!(code(cancel().send().await), "ConflictException");

    let update = stack.client.update_environment().name("prod").spec(LARGE);
    let update = update.deployment_type(DeploymentUpdateType::CurrentVersion);
    update.send().await.unwrap();
    let cancelling = cancel().send().await.unwrap().environment.unwrap();
    assert_eq!(cancelling.deployment_status, DeploymentStatus::Cancelling);
    let cancelled = stack.settled("prod").await;
    assert_eq!(cancelled.deployment_status, DeploymentStatus::Cancelled);
    assert_eq!(
        cancelled.deployment_status_message.as_deref(),
        Some("User initiated cancellation.")
    );
    assert_eq!(cancelled.spec.as_deref(), Some(SMALL));
}

#[tokio::test]
async fn a_deleted_environment_is_gone_and_deleting_it_again_is_no_error() {
    let stack = Stack::new().with_network().await;
    stack.created("prod").await;
    let delete = || stack.client.delete_environment().name("prod").send();
    let deleting = delete().await.unwrap().environment.unwrap();
    assert_eq!(
        deleting.deployment_status,
        DeploymentStatus::DeleteInProgress
    );
    while stack
        .client
        .get_environment()
        .name("prod")
        .send()
        .await
        .is_ok()
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(delete().await.unwrap().environment, None);
    let listed = stack.client.list_deployments().send().await.unwrap();
    assert_eq!(
        listed.deployments[0].deployment_status,
        DeploymentStatus::DeleteComplete
    );
    assert_eq!(listed.deployments.len(), 2);
    let named = stack
        .client
        .list_deployments()
        .environment_name("prod")
        .send()
        .await;
    assert_eq!(code(named), "ResourceNotFoundException");
}

#[tokio::test]
async fn a_repeated_create_answers_the_same_environment() {
    let stack = Stack::new().with_network().await;
    let first = stack.created("prod").await;
    let again = stack
        .creating("prod")
        .send()
        .await
        .unwrap()
        .environment
        .unwrap();
    assert_eq!(again, first);
    let (code, message) = refused(stack.creating("prod").spec(LARGE).send().await);
    assert_eq!(code, "ValidationException");
    assert!(message.contains("IdempotentParameterMismatch"), "{message}");
    let update = stack
        .client
        .update_environment()
        .name("prod")
        .description("d");
    let update = update.deployment_type(DeploymentUpdateType::None);
    update.send().await.unwrap();
    assert_eq!(
        self::code(stack.creating("prod").send().await),
        "ConflictException"
    );
}

#[tokio::test]
async fn an_update_of_type_none_deploys_nothing() {
    let stack = Stack::new().with_network().await;
    let before = stack.created("prod").await;
    let update = || {
        let update = stack.client.update_environment().name("prod");
        update.deployment_type(DeploymentUpdateType::None)
    };
    let after = update()
        .description("ours")
        .send()
        .await
        .unwrap()
        .environment
        .unwrap();
    assert_eq!(after.description.as_deref(), Some("ours"));
    assert_eq!(
        after.last_attempted_deployment_id,
        before.last_attempted_deployment_id
    );
    assert_eq!(
        code(update().spec(LARGE).send().await),
        "ValidationException"
    );
    assert_eq!(
        code(update().template_minor_version("0").send().await),
        "ValidationException"
    );
}

#[tokio::test]
async fn the_spec_is_checked_before_anything_is_deployed() {
    let stack = Stack::new().with_network().await;
    let spec = "proton: EnvironmentSpec\nspec:\n  count: 10\n";
    let (code, message) = refused(stack.creating("prod").spec(spec).send().await);
    assert_eq!(code, "ValidationException");
    assert!(message.contains("count"), "{message}");
    assert_eq!(
        self::code(stack.creating("prod").spec("[").send().await),
        "ValidationException"
    );
}

#[tokio::test]
async fn a_placeholder_keeps_the_current_value() {
    let stack = Stack::new().with_network().await;
    let nothing_yet = "proton: EnvironmentSpec\nspec:\n  size: ${Proton::CURRENT_VAL}\n";
    let (code, message) = refused(stack.creating("prod").spec(nothing_yet).send().await);
    assert_eq!(code, "ValidationException");
    assert_eq!(
        message,
        "environment: spec.size has no current value to keep"
    );

    stack.creating("prod").spec(LARGE).send().await.unwrap();
    stack.settled("prod").await;
    let spec = "proton: EnvironmentSpec\nspec:\n  size: ${Proton::CURRENT_VAL}\n  count: 2\n";
    let update = stack.client.update_environment().name("prod").spec(spec);
    let update = update.deployment_type(DeploymentUpdateType::CurrentVersion);
    update.send().await.unwrap();
    let environment = stack.settled("prod").await;
    assert!(!environment.spec.unwrap().contains("CURRENT_VAL"));
    let outputs = stack.outputs("prod").await;
    assert_eq!(outputs[0].1, "large");
    assert_eq!(outputs[1].1, "2");
}

#[tokio::test]
async fn the_bundle_decides_which_means_are_needed() {
    let stack = Stack::new().with_network().await;
    let without = stack.client.create_environment().name("prod").spec(SMALL);
    let without = without.template_name("net").template_major_version("1");
    let (code, message) = refused(without.send().await);
    assert_eq!(code, "ValidationException");
    assert!(message.starts_with("protonServiceRoleArn"), "{message}");
    let connection = "00000000-0000-4000-8000-000000000001";
    let unknown = stack.creating("prod").set_proton_service_role_arn(None);
    let unknown = unknown.environment_account_connection_id(connection);
    assert_eq!(self::code(unknown.send().await), "ValidationException");
    let both = stack
        .creating("prod")
        .environment_account_connection_id(connection);
    assert_eq!(self::code(both.send().await), "ValidationException");
}

#[tokio::test]
async fn what_is_missing_is_not_found_and_what_is_not_published_is_no_default() {
    let stack = Stack::new().with_network().await;
    let create = || stack.creating("prod");
    assert_eq!(
        code(create().template_name("other").send().await),
        "ResourceNotFoundException"
    );
    assert_eq!(
        code(create().template_major_version("2").send().await),
        "ResourceNotFoundException"
    );
    assert_eq!(
        code(create().template_minor_version("7").send().await),
        "ResourceNotFoundException"
    );
    stack.environment_version("net", None).await;
    assert_eq!(
        code(create().template_major_version("2").send().await),
        "ValidationException"
    );
    let draft = create()
        .template_major_version("2")
        .template_minor_version("0");
    draft.send().await.unwrap();
}

#[tokio::test]
async fn a_version_that_is_deployed_cannot_be_deleted() {
    let stack = Stack::new().with_network().await;
    stack.network_version(None, TEMPLATE).await;
    stack.created("prod").await;
    let delete = stack.client.delete_environment_template_version();
    let delete = delete
        .template_name("net")
        .major_version("1")
        .minor_version("0");
    assert_eq!(code(delete.send().await), "ConflictException");
}

#[tokio::test]
async fn a_customer_managed_environment_puts_out_what_its_spec_says() {
    let stack = Stack::new();
    let template = stack.client.create_environment_template().name("own");
    template
        .provisioning(Provisioning::CustomerManaged)
        .send()
        .await
        .unwrap();
    let schema = "schema:\n  format: { openapi: \"3.0.0\" }\n  environment_input_type: Own\n  types:\n    Own:\n      type: object\n      properties:\n        VpcId: { type: string }\n";
    stack.upload("own.tar.gz", &[("schema/schema.yaml", schema)]);
    let version = stack.client.create_environment_template_version();
    version
        .template_name("own")
        .source(source("own.tar.gz"))
        .send()
        .await
        .unwrap();
    stack.registered("own", "1", "0").await.unwrap();
    stack.publish("own", "1", "0").await;

    let spec = "proton: EnvironmentSpec\nspec:\n  VpcId: vpc-1\n";
    let create = stack.client.create_environment().name("vpc").spec(spec);
    let create = create.template_name("own").template_major_version("1");
    let made = create.send().await.unwrap().environment.unwrap();
    assert_eq!(made.deployment_status, DeploymentStatus::Succeeded);
    assert_eq!(made.provisioning, Some(Provisioning::CustomerManaged));
    assert_eq!(
        stack.outputs("vpc").await,
        [("VpcId".to_owned(), "vpc-1".to_owned())]
    );
    let spec = spec.replace("vpc-1", "vpc-2");
    let update = stack.client.update_environment().name("vpc").spec(spec);
    update
        .deployment_type(DeploymentUpdateType::CurrentVersion)
        .send()
        .await
        .unwrap();
    assert_eq!(stack.outputs("vpc").await[0].1, "vpc-2");
    stack
        .client
        .delete_environment()
        .name("vpc")
        .send()
        .await
        .unwrap();
    assert!(
        stack
            .client
            .get_environment()
            .name("vpc")
            .send()
            .await
            .is_err()
    );
}

#[tokio::test]
async fn deployments_are_listed_newest_first_and_show_both_states() {
    let stack = Stack::new().with_network().await;
    let first = stack
        .created("prod")
        .await
        .last_attempted_deployment_id
        .unwrap();
    stack.clock.advance(Duration::from_secs(1));
    let update = stack.client.update_environment().name("prod").spec(LARGE);
    update
        .deployment_type(DeploymentUpdateType::CurrentVersion)
        .send()
        .await
        .unwrap();
    let second = stack
        .settled("prod")
        .await
        .last_attempted_deployment_id
        .unwrap();
    stack.clock.advance(Duration::from_secs(1));
    stack.created("other").await;

    let list = stack.client.list_deployments().environment_name("prod");
    let listed = list.send().await.unwrap().deployments;
    let ids: Vec<&str> = listed.iter().map(|deployment| &*deployment.id).collect();
    assert_eq!(ids, [&*second, &*first]);
    assert_eq!(
        stack
            .client
            .list_deployments()
            .send()
            .await
            .unwrap()
            .deployments
            .len(),
        3
    );

    let spec = |state: Option<DeploymentState>| match state {
        Some(DeploymentState::Environment(state)) => state.spec,
        _ => None,
    };
    let (one, two) = (
        stack.deployment(&first).await,
        stack.deployment(&second).await,
    );
    assert_eq!(one.initial_state, None);
    assert_eq!(spec(one.target_state).as_deref(), Some(SMALL));
    assert_eq!(spec(two.initial_state).as_deref(), Some(SMALL));
    assert_eq!(spec(two.target_state).as_deref(), Some(LARGE));
    assert_eq!(two.last_succeeded_deployment_id.as_deref(), Some(&*first));
    assert_eq!(two.target_arn, arn("environment/prod"));

    let narrowed = stack
        .client
        .get_deployment()
        .id(&first)
        .environment_name("other");
    assert_eq!(code(narrowed.send().await), "ResourceNotFoundException");
    let last = stack.client.delete_deployment().id(&second);
    assert_eq!(code(last.send().await), "ValidationException");
    stack
        .client
        .delete_deployment()
        .id(&first)
        .send()
        .await
        .unwrap();
    assert_eq!(
        code(stack.client.get_deployment().id(&first).send().await),
        "ResourceNotFoundException"
    );
}

#[tokio::test]
async fn outputs_of_a_past_deployment_stay_readable() {
    let stack = Stack::new().with_network().await;
    let first = stack
        .created("prod")
        .await
        .last_attempted_deployment_id
        .unwrap();
    let update = stack.client.update_environment().name("prod").spec(LARGE);
    update
        .deployment_type(DeploymentUpdateType::CurrentVersion)
        .send()
        .await
        .unwrap();
    stack.settled("prod").await;
    stack.created("other").await;
    let of = |name: &str| {
        let list = stack
            .client
            .list_environment_outputs()
            .environment_name(name);
        list.deployment_id(&first).send()
    };
    assert_eq!(pairs(of("prod").await.unwrap().outputs)[0].1, "small");
    assert_eq!(code(of("other").await), "ValidationException");
}

#[tokio::test]
async fn environments_are_listed_by_name_and_by_template() {
    let stack = Stack::new().with_network().await;
    for name in ["b", "a", "c"] {
        stack.created(name).await;
    }
    let list = || stack.client.list_environments();
    let names = |environments: &[aws_sdk_proton::types::EnvironmentSummary]| {
        let names: Vec<&str> = environments
            .iter()
            .map(|environment| &*environment.name)
            .collect();
        names.join(" ")
    };
    assert_eq!(names(list().send().await.unwrap().environments()), "a b c");
    let page = list().max_results(2).send().await.unwrap();
    assert_eq!(names(page.environments()), "a b");
    let rest = list()
        .max_results(2)
        .set_next_token(page.next_token)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (names(rest.environments()), rest.next_token),
        ("c".to_owned(), None)
    );
    let filter = |major: &str| {
        let filter = EnvironmentTemplateFilter::builder().template_name("net");
        filter.major_version(major).build().unwrap()
    };
    let of = |major: &str| list().environment_templates(filter(major)).send();
    assert_eq!(of("1").await.unwrap().environments.len(), 3);
    assert_eq!(of("2").await.unwrap().environments.len(), 0);
}

#[tokio::test]
async fn an_environment_that_is_being_deployed_survives_a_restart() {
    let stack = Stack::new()
        .with_network()
        .await
        .reopen(Duration::from_secs(1))
        .await;
    stack.creating("prod").send().await.unwrap();
    let stack = stack.reopen(Duration::from_secs(2)).await.working();
    assert_eq!(
        stack.settled("prod").await.deployment_status,
        DeploymentStatus::Succeeded
    );
}
