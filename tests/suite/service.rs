#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use std::time::Duration;

use aws_sdk_proton::types::{DeploymentStatus, DeploymentUpdateType, ServiceStatus, Tag};
use proton_grpc::control_plane::Limits;

use super::service_world::{both, lone_spec, said, spec};
use super::stack::{Stack, arn, code, refused};

const DEV: (&str, &str, &str) = ("dev", "dev", "small");
const PROD: (&str, &str, &str) = ("prod", "prod", "large");
const NEW: (&str, &str, &str) = ("new", "dev", "tiny");

async fn new() -> Stack {
    Stack::scripted(Limits::default()).with_web().await
}

impl Stack {
    async fn pipeline_said(&self, service: &str) -> String {
        let list = self
            .client
            .list_service_pipeline_outputs()
            .service_name(service);
        said(list.send().await.unwrap().outputs)
    }

    async fn tags_of(&self, resource: &str) -> Vec<String> {
        let list = self
            .client
            .list_tags_for_resource()
            .resource_arn(arn(resource));
        let tags = list.send().await.unwrap().tags;
        tags.into_iter()
            .map(|tag| format!("{}={}", tag.key, tag.value))
            .collect()
    }
}

#[tokio::test]
async fn a_service_is_active_when_its_instances_and_after_them_its_pipeline_are_deployed() {
    let stack = new().await;
    stack.engine.hold("+service/shop/service-instance/prod");
    let made = stack
        .creating_service("shop", &both())
        .description("sells")
        .send()
        .await;
    let made = made.unwrap().service.unwrap();
    assert_eq!(made.status, ServiceStatus::CreateInProgress);
    assert_eq!(
        (&*made.arn, &*made.template_name),
        (&*arn("service/shop"), "web")
    );
    assert_eq!(made.repository_id.as_deref(), Some("me/web"));
    assert_eq!(made.branch_name.as_deref(), Some("main"));
    assert_eq!(made.description.as_deref(), Some("sells"));
    assert_eq!(made.spec, both());
    let pipeline = made.pipeline.unwrap();
    assert_eq!(pipeline.deployment_status, DeploymentStatus::InProgress);
    assert_eq!(pipeline.arn, arn("service/shop/pipeline"));

    let dev = stack.settled_instance("shop", "dev").await;
    assert_eq!(dev.deployment_status, DeploymentStatus::Succeeded);
    assert_eq!(
        stack.service("shop").await.status,
        ServiceStatus::CreateInProgress
    );
    stack
        .have_begun(&[
            "+service/shop/service-instance/dev",
            "+service/shop/service-instance/prod",
        ])
        .await;

    stack.go_on();
    let service = stack.settled_service("shop").await;
    assert_eq!(
        (service.status, service.status_message),
        (ServiceStatus::Active, None)
    );
    let pipeline = service.pipeline.unwrap();
    assert_eq!(pipeline.deployment_status, DeploymentStatus::Succeeded);
    assert_eq!(
        (
            &*pipeline.template_major_version,
            &*pipeline.template_minor_version
        ),
        ("1", "0")
    );
    assert_eq!(stack.engine.begun(), ["+service/shop/pipeline"]);
    assert_eq!(
        stack.pipeline_said("shop").await,
        "some of me/web; dev small (shop dev small, dev is small) in dev; prod large (shop prod large, prod is small) in prod"
    );
}

#[tokio::test]
async fn a_pipeline_fails_for_the_instances_that_failed_before_it() {
    let stack = new().await;
    stack.engine.fail("+service/shop/service-instance/prod");
    let service = stack.created_service("shop", &both()).await;
    assert_eq!(service.status, ServiceStatus::CreateFailed);
    let pipeline = service.pipeline.unwrap();
    assert_eq!(pipeline.deployment_status, DeploymentStatus::Failed);
    let message = format!(
        "Service Instance(s): [{}] failed to deploy - canceling pipeline deployment",
        arn("service/shop/service-instance/prod")
    );
    assert_eq!(
        pipeline.deployment_status_message.as_deref(),
        Some(&*message)
    );
    assert_eq!(service.status_message.as_deref(), Some(&*message));
    let prod = stack.instance("shop", "prod").await;
    assert_eq!(prod.deployment_status, DeploymentStatus::Failed);
    assert_eq!(
        prod.deployment_status_message.as_deref(),
        Some("+service/shop/service-instance/prod failed")
    );
    let dev = stack.instance("shop", "dev").await;
    assert_eq!(dev.deployment_status, DeploymentStatus::Succeeded);
}

#[tokio::test]
async fn a_service_that_failed_is_active_when_its_parts_are_repaired() {
    let stack = new().await;
    stack.engine.fail("+service/shop/service-instance/prod");
    stack.created_service("shop", &both()).await;
    stack.engine.mend();

    let update = stack
        .client
        .update_service_instance()
        .service_name("shop")
        .name("prod");
    let update = update.deployment_type(DeploymentUpdateType::CurrentVersion);
    update.send().await.unwrap();
    stack.settled_instance("shop", "prod").await;
    assert_eq!(
        stack.service("shop").await.status,
        ServiceStatus::CreateFailed
    );

    let update = stack
        .client
        .update_service_pipeline()
        .service_name("shop")
        .spec(both());
    let update = update.deployment_type(DeploymentUpdateType::CurrentVersion);
    update.send().await.unwrap();
    let service = stack.service_reaches("shop", ServiceStatus::Active).await;
    assert_eq!(service.status_message, None);
}

#[tokio::test]
async fn a_service_without_a_pipeline_has_none_and_may_have_no_instance_yet() {
    let stack = new().await.with_lone().await;
    stack
        .creating_lone("jobs", &lone_spec(&[]))
        .send()
        .await
        .unwrap();
    let service = stack.settled_service("jobs").await;
    assert_eq!(service.status, ServiceStatus::Active);
    assert!(service.pipeline.is_none());
    stack
        .creating_lone("more", &lone_spec(&[DEV]))
        .send()
        .await
        .unwrap();
    assert_eq!(
        stack.settled_service("more").await.status,
        ServiceStatus::Active
    );
    stack.engine.fail("+service/worse/service-instance/dev");
    stack
        .creating_lone("worse", &lone_spec(&[DEV]))
        .send()
        .await
        .unwrap();
    let worse = stack.settled_service("worse").await;
    assert_eq!(worse.status, ServiceStatus::CreateFailed);
    assert_eq!(
        worse.status_message.as_deref(),
        Some("instances failed to deploy: dev")
    );
}

#[tokio::test]
async fn a_service_and_its_repository_go_with_the_pipeline_of_the_template() {
    let stack = new().await.with_lone().await;
    let refuse = async |create: aws_sdk_proton::operation::create_service::builders::CreateServiceFluentBuilder| {
        let (code, message) = refused(create.send().await);
        assert_eq!(code, "ValidationException");
        message.split(':').next().unwrap().to_owned()
    };
    let web = || stack.creating_service("shop", &both());
    assert_eq!(refuse(web().set_repository_id(None)).await, "repositoryId");
    assert_eq!(refuse(web().set_branch_name(None)).await, "branchName");
    assert_eq!(
        refuse(web().set_repository_connection_arn(None)).await,
        "repositoryConnectionArn"
    );
    assert_eq!(
        refuse(stack.creating_service("shop", &lone_spec(&[DEV]))).await,
        "spec"
    );
    let lone = || stack.creating_lone("shop", &lone_spec(&[DEV]));
    assert_eq!(refuse(lone().branch_name("main")).await, "branchName");
    assert_eq!(refuse(stack.creating_lone("shop", &both())).await, "spec");
}

#[tokio::test]
async fn a_pipeline_needs_the_setting_of_the_account() {
    let stack = new().await;
    let settings = stack.client.update_account_settings();
    settings.pipeline_service_role_arn("").send().await.unwrap();
    let (code, message) = refused(stack.creating_service("shop", &both()).send().await);
    assert_eq!(code, "ValidationException");
    assert!(message.contains("pipelineServiceRoleArn"), "{message}");
}

#[tokio::test]
async fn instances_go_where_they_fit() {
    let stack = new().await.with_lone().await;
    let refuse = async |spec: &str| code(stack.creating_service("shop", spec).send().await);
    assert_eq!(
        refuse(&spec(&[("dev", "nowhere", "small")])).await,
        "ResourceNotFoundException"
    );
    assert_eq!(
        refuse("proton: ServiceSpec\npipeline: {}\n").await,
        "ValidationException"
    );
    let wrong = both().replace("size: large", "size: 5");
    assert_eq!(refuse(&wrong).await, "ValidationException");
    let placeholder = both().replace("size: large", "size: ${Proton::CURRENT_VAL}");
    assert_eq!(refuse(&placeholder).await, "ValidationException");

    stack.net_version(None).await;
    assert_eq!(stack.web_version(None, &["2"]).await, "2.0");
    let create = stack
        .creating_service("shop", &both())
        .template_major_version("2");
    let (code, message) = refused(create.send().await);
    assert_eq!(code, "ValidationException");
    assert!(message.contains("does not go with"), "{message}");

    stack.lone_terraform().await;
    let create = stack.creating_lone("shop", &lone_spec(&[DEV]));
    let (code, message) = refused(create.template_major_version("2").send().await);
    assert_eq!(code, "ValidationException");
    assert!(message.contains("Terraform"), "{message}");
}

#[tokio::test]
async fn instances_wait_for_an_environment_that_has_outputs() {
    let stack = new().await;
    let in_test = spec(&[("test", "test", "small")]);
    stack.engine.hold("+environment/test");
    stack.begin_environment("test").await;
    let refuse = async || code(stack.creating_service("shop", &in_test).send().await);
    assert_eq!(refuse().await, "ConflictException");
    stack.engine.fail("+environment/test");
    stack.go_on();
    stack
        .until("the environment failed", async || {
            let got = stack.client.get_environment().name("test").send().await;
            let status = got.unwrap().environment.unwrap().deployment_status;
            (status == DeploymentStatus::Failed).then_some(())
        })
        .await;
    assert_eq!(refuse().await, "ValidationException");
}

#[tokio::test]
async fn an_environment_stays_while_instances_are_in_it() {
    let stack = new().await;
    stack.created_service("shop", &both()).await;
    let delete = async |name: &str| stack.client.delete_environment().name(name).send().await;
    assert_eq!(code(delete("dev").await), "ConflictException");
    stack
        .client
        .delete_service()
        .name("shop")
        .send()
        .await
        .unwrap();
    stack.service_goes("shop").await;
    delete("dev").await.unwrap();
}

#[tokio::test]
async fn a_create_that_is_repeated_answers_with_the_service() {
    let stack = new().await;
    let create = || stack.creating_service("shop", &both());
    create().send().await.unwrap();
    stack.settled_service("shop").await;
    let again = create().send().await.unwrap().service.unwrap();
    assert_eq!(again.status, ServiceStatus::Active);
    assert!(again.pipeline.is_some());
    let (other, message) = refused(create().description("other").send().await);
    assert_eq!(other, "ValidationException");
    assert!(message.contains("IdempotentParameterMismatch"));
    stack
        .client
        .update_service()
        .name("shop")
        .description("x")
        .send()
        .await
        .unwrap();
    assert_eq!(code(create().send().await), "ConflictException");
}

#[tokio::test]
async fn a_description_changes_at_once() {
    let stack = new().await;
    let before = stack.created_service("shop", &both()).await;
    stack.clock.advance(Duration::from_secs(5));
    let update = stack
        .client
        .update_service()
        .name("shop")
        .description("sells");
    let after = update.send().await.unwrap().service.unwrap();
    assert_eq!(
        (after.status, after.description.as_deref()),
        (ServiceStatus::Active, Some("sells"))
    );
    assert_ne!(after.last_modified_at, before.last_modified_at);
    assert_eq!(stack.engine.begun().len(), 3);
}

#[tokio::test]
async fn an_edit_adds_then_removes_then_deploys_the_pipeline() {
    let stack = new().await;
    stack.created_service("shop", &both()).await;
    stack.engine.begun();
    stack.engine.hold("+service/shop/service-instance/new");
    let next = spec(&[PROD, NEW]);
    let edit = stack.client.update_service().name("shop").spec(&next);
    let edited = edit.send().await.unwrap().service.unwrap();
    assert_eq!(edited.status, ServiceStatus::UpdateInProgress);
    assert_eq!(edited.spec, next);
    assert_eq!(
        edited.pipeline.unwrap().deployment_status,
        DeploymentStatus::InProgress
    );
    let dev = stack.instance("shop", "dev").await;
    assert_eq!(dev.deployment_status, DeploymentStatus::DeleteInProgress);
    let new = stack.instance("shop", "new").await;
    assert_eq!(new.deployment_status, DeploymentStatus::InProgress);

    stack.go_on();
    let service = stack.settled_service("shop").await;
    assert_eq!(service.status, ServiceStatus::Active);
    assert_eq!(
        stack.engine.begun(),
        [
            "+service/shop/service-instance/new",
            "-service/shop/service-instance/dev",
            "+service/shop/pipeline"
        ]
    );
    assert_eq!(stack.instances("shop").await, ["new", "prod"]);
    let pipeline = service.pipeline.unwrap();
    assert_eq!(pipeline.spec.as_deref(), Some(&*next));
    assert!(stack.pipeline_said("shop").await.contains("; prod large"));
    assert!(
        stack
            .pipeline_said("shop")
            .await
            .ends_with("; new tiny (shop new tiny, dev is small) in dev")
    );
}

#[tokio::test]
async fn an_edit_keeps_values_and_everything_that_is_there() {
    let stack = new().await;
    stack.created_service("shop", &both()).await;
    let edit = async |spec: String| {
        stack
            .client
            .update_service()
            .name("shop")
            .spec(spec)
            .send()
            .await
    };
    assert_eq!(
        code(edit(both().replace("large", "huge")).await),
        "ValidationException"
    );
    assert_eq!(
        code(edit(both().replace("some", "none")).await),
        "ValidationException"
    );
    assert_eq!(
        code(edit(lone_spec(&[DEV, PROD])).await),
        "ValidationException"
    );
    assert_eq!(code(edit(spec(&[])).await), "ValidationException");
    assert_eq!(
        code(edit("proton: EnvironmentSpec\nspec: {}\n".to_owned()).await),
        "ValidationException"
    );

    let kept = both().replace("size: large", "size: \"${Proton::CURRENT_VAL}\"");
    edit(kept).await.unwrap();
    let service = stack.settled_service("shop").await;
    assert_eq!(service.status, ServiceStatus::Active);
    assert!(service.spec.contains("large") && !service.spec.contains("CURRENT_VAL"));
}

#[tokio::test]
async fn nothing_else_is_done_to_a_service_meanwhile() {
    let stack = new().await;
    stack.created_service("shop", &both()).await;
    stack.engine.hold("+service/shop/service-instance/new");
    let edit = async || {
        stack
            .client
            .update_service()
            .name("shop")
            .spec(spec(&[DEV, PROD, NEW]))
            .send()
            .await
    };
    edit().await.unwrap();
    assert_eq!(code(edit().await), "ConflictException");
    assert_eq!(
        code(stack.client.delete_service().name("shop").send().await),
        "ConflictException"
    );
    let update = stack
        .client
        .update_service_instance()
        .service_name("shop")
        .name("dev");
    let update = update.deployment_type(DeploymentUpdateType::CurrentVersion);
    assert_eq!(code(update.send().await), "ConflictException");
    let update = stack
        .client
        .update_service_pipeline()
        .service_name("shop")
        .spec(both());
    let update = update.deployment_type(DeploymentUpdateType::CurrentVersion);
    assert_eq!(code(update.send().await), "ConflictException");
    let cancel = stack
        .client
        .cancel_service_pipeline_deployment()
        .service_name("shop");
    assert_eq!(code(cancel.send().await), "ConflictException");
    stack.go_on();
    assert_eq!(
        stack.settled_service("shop").await.status,
        ServiceStatus::Active
    );

    stack.engine.hold("+service/shop/service-instance/dev");
    let update = stack
        .client
        .update_service_instance()
        .service_name("shop")
        .name("dev");
    let update = update.deployment_type(DeploymentUpdateType::CurrentVersion);
    update.send().await.unwrap();
    assert_eq!(code(edit().await), "ConflictException");
    assert_eq!(
        code(stack.client.delete_service().name("shop").send().await),
        "ConflictException"
    );
}

#[tokio::test]
async fn an_addition_that_fails_undoes_the_edit() {
    let stack = new().await;
    let before = stack.created_service("shop", &both()).await;
    stack.engine.begun();
    stack.engine.fail("+service/shop/service-instance/new");
    let other = ("other", "dev", "small");
    let service = stack
        .edited_service("shop", &spec(&[PROD, NEW, other]))
        .await;
    assert_eq!(service.status, ServiceStatus::UpdateFailedCleanupComplete);
    assert_eq!(
        service.status_message.as_deref(),
        Some("instances failed to deploy: new")
    );
    assert_eq!(service.spec, both());
    assert_eq!(stack.instances("shop").await, ["dev", "prod"]);
    let dev = stack.instance("shop", "dev").await;
    assert_eq!(dev.deployment_status, DeploymentStatus::Succeeded);
    let (was, is) = (before.pipeline.unwrap(), service.pipeline.unwrap());
    assert_eq!(is.deployment_status, DeploymentStatus::Succeeded);
    assert_eq!(
        is.last_attempted_deployment_id,
        was.last_attempted_deployment_id
    );
    stack
        .have_begun(&[
            "+service/shop/service-instance/new",
            "+service/shop/service-instance/other",
            "-service/shop/service-instance/new",
            "-service/shop/service-instance/other",
        ])
        .await;
    stack.engine.mend();
    assert_eq!(
        stack.edited_service("shop", &spec(&[PROD])).await.status,
        ServiceStatus::Active
    );
}

#[tokio::test]
async fn an_addition_that_cannot_be_undone_is_hidden_until_the_next_edit() {
    let stack = new().await;
    stack.created_service("shop", &both()).await;
    stack.engine.fail("+service/shop/service-instance/new");
    stack.engine.fail("-service/shop/service-instance/new");
    let service = stack.edited_service("shop", &spec(&[DEV, PROD, NEW])).await;
    assert_eq!(service.status, ServiceStatus::UpdateFailedCleanupFailed);
    assert_eq!(stack.instances("shop").await, ["dev", "prod"]);
    let get = stack
        .client
        .get_service_instance()
        .service_name("shop")
        .name("new");
    assert_eq!(code(get.send().await), "ResourceNotFoundException");
    let edit = stack
        .client
        .update_service()
        .name("shop")
        .spec(spec(&[DEV, PROD, NEW]));
    assert_eq!(code(edit.send().await), "ConflictException");

    stack.engine.mend();
    assert_eq!(
        stack.edited_service("shop", &both()).await.status,
        ServiceStatus::Active
    );
    let service = stack.edited_service("shop", &spec(&[DEV, PROD, NEW])).await;
    assert_eq!(service.status, ServiceStatus::Active);
}

#[tokio::test]
async fn a_removal_that_fails_is_hidden_counts_and_is_tried_again() {
    let limits = Limits {
        instances_per_service: 2,
        ..Limits::default()
    };
    let stack = Stack::scripted(limits).with_web().await;
    stack.created_service("shop", &both()).await;
    stack.engine.fail("-service/shop/service-instance/dev");
    let service = stack.edited_service("shop", &spec(&[PROD])).await;
    assert_eq!(service.status, ServiceStatus::UpdateCompleteCleanupFailed);
    assert_eq!(
        service.status_message.as_deref(),
        Some("instances could not be deleted: dev")
    );
    assert_eq!(stack.instances("shop").await, ["prod"]);
    assert!(!stack.pipeline_said("shop").await.contains("dev is small"));
    let edit = stack
        .client
        .update_service()
        .name("shop")
        .spec(spec(&[PROD, NEW]));
    assert_eq!(code(edit.send().await), "ServiceQuotaExceededException");

    stack.engine.mend();
    assert_eq!(
        stack.edited_service("shop", &spec(&[PROD])).await.status,
        ServiceStatus::Active
    );
    let service = stack.edited_service("shop", &spec(&[PROD, NEW])).await;
    assert_eq!(service.status, ServiceStatus::Active);
}

#[tokio::test]
async fn a_hidden_instance_is_not_found_from_any_side() {
    let stack = new().await;
    stack.created_service("shop", &both()).await;
    stack.engine.fail("-service/shop/service-instance/dev");
    stack.edited_service("shop", &spec(&[PROD])).await;
    let client = &stack.client;
    let hidden = arn("service/shop/service-instance/dev");
    let tags = client.list_tags_for_resource().resource_arn(&hidden);
    let untag = client.untag_resource().resource_arn(&hidden);
    let deployments = client.list_deployments().service_name("shop");
    let blockers = client.get_service_sync_blocker_summary();
    let blockers = blockers.service_name("shop");
    let outputs = client.list_service_instance_outputs().service_name("shop");
    let answers = [
        code(tags.send().await),
        code(untag.tag_keys("team").send().await),
        code(deployments.service_instance_name("dev").send().await),
        code(blockers.service_instance_name("dev").send().await),
        code(outputs.service_instance_name("dev").send().await),
    ];
    assert_eq!(answers, ["ResourceNotFoundException"; 5]);
}

#[tokio::test]
async fn an_edit_whose_pipeline_fails_is_not_undone() {
    let stack = new().await;
    stack.created_service("shop", &both()).await;
    stack.engine.fail("+service/shop/pipeline");
    let next = spec(&[PROD, NEW]);
    let service = stack.edited_service("shop", &next).await;
    assert_eq!(service.status, ServiceStatus::UpdateFailed);
    assert_eq!(
        service.status_message.as_deref(),
        Some("+service/shop/pipeline failed")
    );
    assert_eq!(service.spec, next);
    assert_eq!(stack.instances("shop").await, ["new", "prod"]);
    assert_eq!(
        service.pipeline.unwrap().deployment_status,
        DeploymentStatus::Failed
    );

    stack.engine.mend();
    let update = stack
        .client
        .update_service_pipeline()
        .service_name("shop")
        .spec(next);
    let update = update.deployment_type(DeploymentUpdateType::CurrentVersion);
    update.send().await.unwrap();
    stack.service_reaches("shop", ServiceStatus::Active).await;
}

#[tokio::test]
async fn new_instances_are_of_the_major_version_that_the_service_was_made_from() {
    let stack = new().await;
    stack.created_service("shop", &both()).await;
    assert_eq!(stack.web_version(Some("1"), &["1"]).await, "1.1");
    assert_eq!(stack.web_version(None, &["1"]).await, "2.0");
    stack.edited_service("shop", &spec(&[DEV, PROD, NEW])).await;
    let new = stack.instance("shop", "new").await;
    assert_eq!(
        (&*new.template_major_version, &*new.template_minor_version),
        ("1", "1")
    );
    let dev = stack.instance("shop", "dev").await;
    assert_eq!(dev.template_minor_version, "0");
}

#[tokio::test]
async fn a_service_is_deleted_with_everything_at_once() {
    let stack = new().await;
    stack.created_service("shop", &both()).await;
    stack.engine.begun();
    for step in [
        "-service/shop/pipeline",
        "-service/shop/service-instance/dev",
    ] {
        stack.engine.hold(step);
    }
    let delete = async || {
        stack
            .client
            .delete_service()
            .name("shop")
            .send()
            .await
            .unwrap()
            .service
    };
    let deleted = delete().await.unwrap();
    assert_eq!(deleted.status, ServiceStatus::DeleteInProgress);
    assert_eq!(
        deleted.pipeline.unwrap().deployment_status,
        DeploymentStatus::DeleteInProgress
    );
    assert_eq!(
        delete().await.unwrap().status,
        ServiceStatus::DeleteInProgress
    );
    stack
        .have_begun(&[
            "-service/shop/pipeline",
            "-service/shop/service-instance/dev",
            "-service/shop/service-instance/prod",
        ])
        .await;
    stack.go_on();
    stack.service_goes("shop").await;
    assert!(delete().await.is_none());
    let again = stack.created_service("shop", &both()).await;
    assert_eq!(again.status, ServiceStatus::Active);
}

#[tokio::test]
async fn what_could_not_be_deleted_can_be_deleted_again_and_nothing_else() {
    let stack = new().await;
    stack.created_service("shop", &both()).await;
    stack.engine.fail("-service/shop/service-instance/dev");
    stack
        .client
        .delete_service()
        .name("shop")
        .send()
        .await
        .unwrap();
    let service = stack.settled_service("shop").await;
    assert_eq!(service.status, ServiceStatus::DeleteFailed);
    assert_eq!(
        service.status_message.as_deref(),
        Some("instance \"dev\" could not be deleted")
    );
    let dev = stack.instance("shop", "dev").await;
    assert_eq!(dev.deployment_status, DeploymentStatus::DeleteFailed);
    let edit = stack.client.update_service().name("shop").spec(both());
    assert_eq!(code(edit.send().await), "ConflictException");

    stack.engine.mend();
    stack
        .client
        .delete_service()
        .name("shop")
        .send()
        .await
        .unwrap();
    stack.service_goes("shop").await;
}

#[tokio::test]
async fn an_operation_goes_on_where_the_process_before_left_it() {
    let stack = new().await;
    stack.created_service("shop", &both()).await;
    stack.engine.hold("+service/shop/service-instance/new");
    let edit = stack
        .client
        .update_service()
        .name("shop")
        .spec(spec(&[PROD, NEW]));
    edit.send().await.unwrap();
    stack
        .until("it has begun", async || {
            let begun = stack.engine.begun();
            begun
                .contains(&"+service/shop/service-instance/new".to_owned())
                .then_some(())
        })
        .await;
    stack.engine.let_go();
    let stack = stack.reopen(Duration::from_secs(600)).await.working();
    let service = stack.settled_service("shop").await;
    assert_eq!(service.status, ServiceStatus::Active);
    assert_eq!(stack.instances("shop").await, ["new", "prod"]);
}

#[tokio::test]
async fn there_are_no_more_services_and_instances_than_the_quotas_allow() {
    let limits = Limits {
        services: 1,
        instances_per_service: 1,
        ..Limits::default()
    };
    let stack = Stack::scripted(limits).with_web().await;
    let create = |name: &str, spec: &str| stack.creating_service(name, spec).send();
    assert_eq!(
        code(create("shop", &both()).await),
        "ServiceQuotaExceededException"
    );
    create("shop", &spec(&[DEV])).await.unwrap();
    assert_eq!(
        code(create("other", &spec(&[DEV])).await),
        "ServiceQuotaExceededException"
    );
    stack.settled_service("shop").await;
    let edit = stack
        .client
        .update_service()
        .name("shop")
        .spec(spec(&[DEV, PROD]));
    assert_eq!(code(edit.send().await), "ServiceQuotaExceededException");
}

#[tokio::test]
async fn parts_inherit_the_tags_of_their_service() {
    let stack = new().await;
    let tag = Tag::builder().key("team").value("red").build().unwrap();
    let create = stack.creating_service("shop", &both()).tags(tag);
    create.send().await.unwrap();
    stack.settled_service("shop").await;
    let account = "aws:proton:account=123456789012".to_owned();
    let service = format!("aws:proton:service={}", arn("service/shop"));
    let template = format!("aws:proton:template={}", arn("service-template/web"));
    let team = "team=red".to_owned();
    let of_service = [&account, &service, &template, &team].map(Clone::clone);
    assert_eq!(stack.tags_of("service/shop").await, of_service);
    assert_eq!(stack.tags_of("service/shop/pipeline").await, of_service);
    let environment = format!("aws:proton:environment={}", arn("environment/dev"));
    let instance = format!(
        "aws:proton:service-instance={}",
        arn("service/shop/service-instance/dev")
    );
    assert_eq!(
        stack.tags_of("service/shop/service-instance/dev").await,
        [account, environment, service, instance, template, team]
    );
    let untag = stack
        .client
        .untag_resource()
        .resource_arn(arn("service/shop/pipeline"));
    untag.tag_keys("team").send().await.unwrap();
    assert_eq!(stack.tags_of("service/shop/pipeline").await.len(), 3);
    assert_eq!(stack.tags_of("service/shop").await.len(), 4);
}

#[tokio::test]
async fn services_are_listed_by_name() {
    let stack = new().await.with_lone().await;
    for name in ["b", "c", "a"] {
        stack
            .creating_lone(name, &lone_spec(&[]))
            .send()
            .await
            .unwrap();
        stack.settled_service(name).await;
    }
    let page = stack
        .client
        .list_services()
        .max_results(2)
        .send()
        .await
        .unwrap();
    let names: Vec<_> = page.services.iter().map(|service| &*service.name).collect();
    assert_eq!(names, ["a", "b"]);
    let page = stack
        .client
        .list_services()
        .max_results(2)
        .set_next_token(page.next_token);
    let page = page.send().await.unwrap();
    assert_eq!((page.services.len(), page.next_token), (1, None));
    let get = stack.client.get_service().name("d").send().await;
    assert_eq!(code(get), "ResourceNotFoundException");
}

#[tokio::test]
async fn services_instances_and_pipelines_are_counted_in_the_summary() {
    let stack = new().await;
    let counted = async || {
        let answer = stack.client.get_resources_summary().send().await.unwrap();
        let counts = answer.counts.unwrap();
        [counts.services, counts.service_instances, counts.pipelines].map(|kind| {
            let kind = kind.unwrap();
            (kind.total, kind.failed, kind.up_to_date, kind.behind_minor)
        })
    };
    let some =
        |total, failed, up_to_date, behind| (total, Some(failed), Some(up_to_date), Some(behind));
    stack
        .creating_service("shop", &both())
        .send()
        .await
        .unwrap();
    stack.settled_service("shop").await;
    assert_eq!(
        counted().await,
        [some(1, 0, 1, 0), some(2, 0, 2, 0), some(1, 0, 1, 0)]
    );
    stack.web_version(Some("1"), &["1"]).await;
    assert_eq!(
        counted().await,
        [some(1, 0, 0, 1), some(2, 0, 0, 2), some(1, 0, 0, 1)]
    );

    stack.engine.fail("+service/lost/service-instance/dev");
    stack
        .creating_service("lost", &spec(&[DEV]))
        .send()
        .await
        .unwrap();
    stack.settled_service("lost").await;
    let [services, instances, pipelines] = counted().await;
    assert_eq!([services.1, instances.1, pipelines.1], [Some(1); 3]);
}
