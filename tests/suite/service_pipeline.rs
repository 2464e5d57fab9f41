#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use aws_sdk_proton::operation::update_service_pipeline::builders::UpdateServicePipelineFluentBuilder;
use aws_sdk_proton::types::{
    DeploymentState, DeploymentStatus, DeploymentTargetResourceType, DeploymentUpdateType,
    ServiceStatus,
};
use proton_grpc::control_plane::Limits;

use super::service_world::{both, lone_spec, said, spec};
use super::stack::{Stack, code, refused};

async fn shop() -> Stack {
    let stack = Stack::scripted(Limits::default()).with_web().await;
    stack.created_service("shop", &both()).await;
    stack.engine.begun();
    stack
}

impl Stack {
    fn piping(&self, how: DeploymentUpdateType, spec: &str) -> UpdateServicePipelineFluentBuilder {
        let update = self.client.update_service_pipeline().service_name("shop");
        update.deployment_type(how).spec(spec)
    }
}

#[tokio::test]
async fn an_update_applies_the_section_of_the_pipeline_alone() {
    let stack = shop().await;
    let next = spec(&[("dev", "dev", "huge")]).replace("some", "few");
    let update = stack.piping(DeploymentUpdateType::CurrentVersion, &next);
    let updating = update.send().await.unwrap().pipeline.unwrap();
    assert_eq!(updating.deployment_status, DeploymentStatus::InProgress);
    assert_eq!(updating.spec, Some(both()));
    let pipeline = stack.settled_pipeline("shop").await;
    assert_eq!(pipeline.deployment_status, DeploymentStatus::Succeeded);
    assert_eq!(pipeline.spec, Some(next));
    let list = stack
        .client
        .list_service_pipeline_outputs()
        .service_name("shop");
    let text = said(list.send().await.unwrap().outputs);
    assert!(text.starts_with("few of me/web; dev small"), "{text}");
    let service = stack.service("shop").await;
    assert!(service.spec.contains("tests: few"), "{}", service.spec);
    assert!(service.spec.contains("small") && service.spec.contains("prod"));
    assert_eq!(stack.engine.begun(), ["+service/shop/pipeline"]);
    let list = stack.client.list_service_pipeline_provisioned_resources();
    let resources = list
        .service_name("shop")
        .send()
        .await
        .unwrap()
        .provisioned_resources;
    assert_eq!(resources[0].name.as_deref(), Some("service/shop/pipeline"));
}

#[tokio::test]
async fn a_deployment_of_a_pipeline_belongs_to_the_first_instance_s_environment() {
    let stack = shop().await;
    let id = stack
        .pipeline("shop")
        .await
        .last_attempted_deployment_id
        .unwrap();
    let deployment = stack.deployment_record(&id).await;
    assert_eq!(
        deployment.target_resource_type,
        DeploymentTargetResourceType::ServicePipeline
    );
    assert_eq!(deployment.environment_name, "dev");
    let Some(DeploymentState::ServicePipeline(state)) = deployment.target_state else {
        panic!("{:?}", deployment.target_state);
    };
    assert_eq!(state.spec, Some(both()));
}

#[tokio::test]
async fn a_pipeline_goes_to_other_versions_than_its_instances() {
    let stack = shop().await;
    assert_eq!(stack.web_version(Some("1"), &["1"]).await, "1.1");
    stack
        .piping(DeploymentUpdateType::MinorVersion, &both())
        .send()
        .await
        .unwrap();
    let pipeline = stack.settled_pipeline("shop").await;
    assert_eq!(pipeline.template_minor_version, "1");
    assert_eq!(
        stack.instance("shop", "dev").await.template_minor_version,
        "0"
    );
}

#[tokio::test]
async fn nothing_is_deployed_with_none() {
    let stack = shop().await;
    let none = || stack.piping(DeploymentUpdateType::None, "anything");
    none().send().await.unwrap();
    assert_eq!(
        code(none().template_minor_version("0").send().await),
        "ValidationException"
    );
    assert!(stack.engine.begun().is_empty());
}

#[tokio::test]
async fn a_pipeline_needs_its_section_and_its_setting() {
    let stack = shop().await;
    let update = |spec: &str| {
        stack
            .piping(DeploymentUpdateType::CurrentVersion, spec)
            .send()
    };
    assert_eq!(
        code(update(&lone_spec(&[("dev", "dev", "small")])).await),
        "ValidationException"
    );
    assert_eq!(
        code(update(&both().replace("tests: some", "tests: 5")).await),
        "ValidationException"
    );
    let settings = stack.client.update_account_settings();
    settings.pipeline_service_role_arn("").send().await.unwrap();
    let (code, message) = refused(update(&both()).await);
    assert_eq!(code, "ValidationException");
    assert!(message.contains("pipelineServiceRoleArn"), "{message}");
}

#[tokio::test]
async fn a_service_without_a_pipeline_has_nothing_to_update() {
    let stack = Stack::scripted(Limits::default())
        .with_web()
        .await
        .with_lone()
        .await;
    let update = || stack.piping(DeploymentUpdateType::CurrentVersion, "anything");
    assert_eq!(code(update().send().await), "ResourceNotFoundException");
    stack
        .creating_lone("shop", &lone_spec(&[]))
        .send()
        .await
        .unwrap();
    let (code, message) = refused(update().send().await);
    assert_eq!(code, "ResourceNotFoundException");
    assert_eq!(message, "service \"shop\" has no pipeline");
}

#[tokio::test]
async fn a_pipeline_can_be_cancelled_while_it_waits_for_the_instances() {
    let stack = Stack::scripted(Limits::default()).with_web().await;
    stack.engine.hold("+service/shop/service-instance/dev");
    stack
        .creating_service("shop", &both())
        .send()
        .await
        .unwrap();
    let cancel = stack
        .client
        .cancel_service_pipeline_deployment()
        .service_name("shop");
    cancel.send().await.unwrap();
    let pipeline = stack.settled_pipeline("shop").await;
    assert_eq!(pipeline.deployment_status, DeploymentStatus::Cancelled);
    stack.go_on();
    let service = stack.settled_service("shop").await;
    assert_eq!(service.status, ServiceStatus::CreateFailed);
    assert_eq!(
        stack.instance("shop", "dev").await.deployment_status,
        DeploymentStatus::Succeeded
    );
    assert!(
        !stack
            .engine
            .begun()
            .contains(&"+service/shop/pipeline".to_owned())
    );

    stack
        .piping(DeploymentUpdateType::CurrentVersion, &both())
        .send()
        .await
        .unwrap();
    stack.service_reaches("shop", ServiceStatus::Active).await;
}

#[tokio::test]
async fn a_pipeline_that_is_deployed_can_be_cancelled() {
    let stack = shop().await;
    let cancel = || {
        stack
            .client
            .cancel_service_pipeline_deployment()
            .service_name("shop")
    };
    assert_eq!(code(cancel().send().await), "ConflictException");
    stack.engine.hold("+service/shop/pipeline");
    let update = || stack.piping(DeploymentUpdateType::CurrentVersion, &both());
    update().send().await.unwrap();
    assert_eq!(code(update().send().await), "ConflictException");
    cancel().send().await.unwrap();
    let pipeline = stack.settled_pipeline("shop").await;
    assert_eq!(pipeline.deployment_status, DeploymentStatus::Cancelled);
    assert_eq!(stack.service("shop").await.status, ServiceStatus::Active);
}

#[tokio::test]
async fn deployments_of_a_service_without_instances_belong_to_no_environment() {
    let stack = Stack::scripted(Limits::default()).with_web().await;
    stack.created_service("shop", &spec(&[])).await;
    let listed = async |environment: &str| {
        let list = stack.client.list_deployments().service_name("shop");
        let list = list.environment_name(environment).send().await;
        list.unwrap().deployments.len()
    };
    let pipeline = stack.pipeline("shop").await;
    let id = pipeline.last_attempted_deployment_id.unwrap();
    let deployment = stack.deployment_record(&id).await;
    // The API insists on a name.
    assert_eq!(deployment.environment_name, "no-environment");
    assert_eq!(listed("prod").await, 0);

    let create = stack.client.create_service_instance().service_name("shop");
    let create = create.name("live").spec(spec(&[("live", "prod", "large")]));
    create.send().await.unwrap();
    stack.settled_instance("shop", "live").await;
    let next = spec(&[("live", "prod", "large")]);
    let update = stack.piping(DeploymentUpdateType::CurrentVersion, &next);
    update.send().await.unwrap();
    let pipeline = stack.settled_pipeline("shop").await;
    let id = pipeline.last_attempted_deployment_id.unwrap();
    let deployment = stack.deployment_record(&id).await;
    assert_eq!(deployment.environment_name, "prod");
    // The instance's and the pipeline's.
    assert_eq!(listed("prod").await, 2);
}
