#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use std::time::Duration;

use aws_sdk_proton::operation::create_service_instance::builders::CreateServiceInstanceFluentBuilder;
use aws_sdk_proton::operation::update_service_instance::builders::UpdateServiceInstanceFluentBuilder;
use aws_sdk_proton::types::{
    DeploymentState, DeploymentStatus, DeploymentUpdateType, ListServiceInstancesFilter,
    ListServiceInstancesFilterBy as By, ListServiceInstancesSortBy as SortBy, ServiceStatus,
    SortOrder, Tag,
};
use proton_grpc::control_plane::Limits;

use super::service_world::{both, lone_spec, said, spec};
use super::stack::{Stack, arn, code, refused};

const DEV: (&str, &str, &str) = ("dev", "dev", "small");
const PROD: (&str, &str, &str) = ("prod", "prod", "large");
const NEW: (&str, &str, &str) = ("new", "dev", "tiny");

/// The service `shop` with its instances `dev` and `prod`.
async fn shop() -> Stack {
    let stack = Stack::scripted(Limits::default()).with_web().await;
    let service = stack.created_service("shop", &both()).await;
    assert_eq!(service.status, ServiceStatus::Active);
    stack.engine.begun();
    stack
}

impl Stack {
    fn adding(&self, name: &str, spec: &str) -> CreateServiceInstanceFluentBuilder {
        let create = self.client.create_service_instance().service_name("shop");
        create.name(name).spec(spec)
    }

    fn updating(
        &self,
        name: &str,
        how: DeploymentUpdateType,
    ) -> UpdateServiceInstanceFluentBuilder {
        let update = self.client.update_service_instance().service_name("shop");
        update.name(name).deployment_type(how)
    }

    async fn instance_said(&self, name: &str) -> String {
        let list = self
            .client
            .list_service_instance_outputs()
            .service_name("shop");
        said(
            list.service_instance_name(name)
                .send()
                .await
                .unwrap()
                .outputs,
        )
    }

    /// The names of the instances that a list shows, page by page of two.
    async fn listed(&self, by: Option<SortBy>, order: Option<SortOrder>) -> Vec<String> {
        let (mut names, mut token) = (Vec::new(), None);
        loop {
            let list = self.client.list_service_instances().max_results(2);
            let list = list.set_sort_by(by.clone()).set_sort_order(order.clone());
            let page = list.set_next_token(token).send().await.unwrap();
            let instances = page.service_instances.iter();
            names.extend(instances.map(|one| format!("{}/{}", one.service_name, one.name)));
            token = page.next_token;
            if token.is_none() {
                return names;
            }
        }
    }

    async fn filtered(&self, filters: &[(By, &str)]) -> Result<Vec<String>, String> {
        let filter = |(by, value): &(By, &str)| {
            ListServiceInstancesFilter::builder()
                .key(by.clone())
                .value(*value)
                .build()
        };
        let list = self.client.list_service_instances();
        let list = list
            .set_filters(Some(filters.iter().map(filter).collect()))
            .send()
            .await;
        match list {
            Ok(list) => Ok(list
                .service_instances
                .into_iter()
                .map(|one| one.name)
                .collect()),
            refusal => Err(code(refusal)),
        }
    }
}

#[tokio::test]
async fn an_instance_shows_the_whole_spec_and_what_it_was_made_from() {
    let stack = shop().await;
    let dev = stack.instance("shop", "dev").await;
    assert_eq!(dev.arn, arn("service/shop/service-instance/dev"));
    assert_eq!(
        (&*dev.environment_name, &*dev.template_name),
        ("dev", "web")
    );
    assert_eq!(dev.spec, Some(both()));
    assert_eq!(
        dev.last_succeeded_deployment_id,
        dev.last_attempted_deployment_id
    );
    assert_eq!(
        stack.instance_said("dev").await,
        "shop dev small, dev is small"
    );
    let list = stack.client.list_service_instance_provisioned_resources();
    let list = list
        .service_name("shop")
        .service_instance_name("dev")
        .send()
        .await
        .unwrap();
    assert_eq!(
        list.provisioned_resources[0].name.as_deref(),
        Some("service/shop/service-instance/dev")
    );

    let deployment = stack
        .deployment_record(&dev.last_attempted_deployment_id.unwrap())
        .await;
    assert_eq!(deployment.deployment_status, DeploymentStatus::Succeeded);
    let got = stack
        .client
        .get_environment()
        .name("dev")
        .send()
        .await
        .unwrap();
    let environment = got.environment.unwrap().last_succeeded_deployment_id;
    let Some(DeploymentState::ServiceInstance(state)) = deployment.target_state else {
        panic!("{:?}", deployment.target_state);
    };
    assert_eq!(state.last_successful_environment_deployment_id, environment);
    assert_eq!(state.last_successful_service_pipeline_deployment_id, None);
    assert!(state.last_successful_component_deployment_ids().is_empty());
    assert_eq!(state.spec, both());
}

#[tokio::test]
async fn an_instance_that_is_added_becomes_part_of_the_spec() {
    let stack = shop().await;
    let tag = Tag::builder().key("team").value("red").build().unwrap();
    let made = stack
        .adding("new", &spec(&[NEW]))
        .tags(tag)
        .client_token("t1")
        .send()
        .await;
    let made = made.unwrap().service_instance.unwrap();
    assert_eq!(made.deployment_status, DeploymentStatus::InProgress);
    assert_eq!(made.last_client_request_token.as_deref(), Some("t1"));
    let new = stack.settled_instance("shop", "new").await;
    assert_eq!(new.deployment_status, DeploymentStatus::Succeeded);
    assert_eq!(
        stack.instance_said("new").await,
        "shop new tiny, dev is small"
    );
    assert_eq!(stack.engine.begun(), ["+service/shop/service-instance/new"]);
    let service = stack.service("shop").await;
    assert_eq!(service.status, ServiceStatus::Active);
    assert_eq!(
        stack
            .edited_service("shop", &spec(&[DEV, PROD, NEW]))
            .await
            .status,
        ServiceStatus::Active
    );
    let pipeline = service.pipeline.unwrap().last_succeeded_deployment_id;
    let deployment = stack
        .deployment_record(&new.last_attempted_deployment_id.unwrap())
        .await;
    let Some(DeploymentState::ServiceInstance(state)) = deployment.target_state else {
        panic!("{:?}", deployment.target_state);
    };
    assert_eq!(
        state.last_successful_service_pipeline_deployment_id,
        pipeline
    );
}

#[tokio::test]
async fn a_client_token_adds_one_instance() {
    let stack = shop().await;
    let add = || stack.adding("new", &spec(&[NEW])).client_token("t1");
    add().send().await.unwrap();
    stack.settled_instance("shop", "new").await;
    let again = add().send().await.unwrap().service_instance.unwrap();
    assert_eq!(again.deployment_status, DeploymentStatus::Succeeded);
    let (other, message) = refused(
        stack
            .adding("new2", &spec(&[NEW]))
            .client_token("t1")
            .send()
            .await,
    );
    assert_eq!(other, "ValidationException");
    assert!(message.contains("IdempotentParameterMismatch"), "{message}");
    assert_eq!(
        code(stack.adding("new", &spec(&[NEW])).send().await),
        "ConflictException"
    );
    assert_eq!(stack.engine.begun().len(), 1);
}

#[tokio::test]
async fn an_instance_is_added_of_the_recommended_version_or_the_one_that_is_named() {
    let stack = shop().await;
    assert_eq!(stack.web_version(Some("1"), &["1"]).await, "1.1");
    assert_eq!(stack.web_version(None, &["1"]).await, "2.0");
    let add = async |name: &str, major: Option<&str>, minor: Option<&str>| {
        let add = stack.adding(name, &spec(&[(name, "dev", "small")]));
        let add = add.set_template_major_version(major.map(str::to_owned));
        let made = add
            .set_template_minor_version(minor.map(str::to_owned))
            .send()
            .await;
        made.map(|made| {
            let instance = made.service_instance.unwrap();
            format!(
                "{}.{}",
                instance.template_major_version, instance.template_minor_version
            )
        })
    };
    assert_eq!(add("a", None, None).await.unwrap(), "2.0");
    assert_eq!(add("b", Some("1"), None).await.unwrap(), "1.1");
    assert_eq!(add("c", Some("1"), Some("0")).await.unwrap(), "1.0");
    assert_eq!(code(add("d", None, Some("0")).await), "ValidationException");
    assert_eq!(
        code(add("d", Some("1"), Some("7")).await),
        "ResourceNotFoundException"
    );
}

#[tokio::test]
async fn what_is_added_needs_a_section_a_service_and_room() {
    let limits = Limits {
        instances_per_service: 2,
        ..Limits::default()
    };
    let stack = Stack::scripted(limits).with_web().await;
    let add = async || code(stack.adding("new", &spec(&[NEW])).send().await);
    assert_eq!(add().await, "ResourceNotFoundException");
    stack.created_service("shop", &both()).await;
    assert_eq!(add().await, "ValidationException");
    let (code, message) = refused(stack.adding("other", &spec(&[NEW])).send().await);
    assert_eq!(code, "ValidationException");
    assert!(message.contains("no instance \"other\""), "{message}");
}

#[tokio::test]
async fn an_update_applies_its_own_section_alone() {
    let stack = shop().await;
    let before = stack.service("shop").await;
    stack.engine.hold("+service/shop/service-instance/dev");
    let next = spec(&[("dev", "dev", "huge"), ("prod", "prod", "none")]).replace("some", "no");
    let update = stack
        .updating("dev", DeploymentUpdateType::CurrentVersion)
        .spec(&next);
    let updated = update.send().await.unwrap().service_instance.unwrap();
    assert_eq!(updated.deployment_status, DeploymentStatus::InProgress);
    assert_eq!(updated.spec, Some(both()));
    assert_eq!(stack.service("shop").await.spec, both());
    stack.go_on();
    let dev = stack.settled_instance("shop", "dev").await;
    assert_eq!(dev.spec, Some(next));
    assert_eq!(
        stack.instance_said("dev").await,
        "shop dev huge, dev is small"
    );
    assert_eq!(
        stack.instance_said("prod").await,
        "shop prod large, prod is small"
    );
    let service = stack.service("shop").await;
    assert!(
        service.spec.contains("huge") && service.spec.contains("large"),
        "{}",
        service.spec
    );
    assert!(service.spec.contains("some"));
    assert_eq!(service.status, ServiceStatus::Active);
    let pipeline = |service: &aws_sdk_proton::types::Service| {
        service
            .pipeline
            .as_ref()
            .unwrap()
            .last_attempted_deployment_id
            .clone()
    };
    assert_eq!(pipeline(&service), pipeline(&before));
    assert_eq!(stack.engine.begun(), ["+service/shop/service-instance/dev"]);
}

#[tokio::test]
async fn an_update_that_fails_leaves_everything_as_it_was() {
    let stack = shop().await;
    stack.engine.fail("+service/shop/service-instance/dev");
    let next = spec(&[("dev", "dev", "huge")]);
    let update = stack
        .updating("dev", DeploymentUpdateType::CurrentVersion)
        .spec(next);
    update.send().await.unwrap();
    let dev = stack.settled_instance("shop", "dev").await;
    assert_eq!(dev.deployment_status, DeploymentStatus::Failed);
    assert_eq!(dev.spec, Some(both()));
    assert_ne!(
        dev.last_succeeded_deployment_id,
        dev.last_attempted_deployment_id
    );
    assert_eq!(
        stack.instance_said("dev").await,
        "shop dev small, dev is small"
    );
    assert_eq!(stack.service("shop").await.spec, both());
}

#[tokio::test]
async fn an_instance_stays_in_its_environment_and_needs_a_section() {
    let stack = shop().await;
    let update = |spec: String| {
        stack
            .updating("dev", DeploymentUpdateType::CurrentVersion)
            .spec(spec)
    };
    let refuse = async |spec: String| code(update(spec).send().await);
    assert_eq!(
        refuse(spec(&[("dev", "prod", "small")])).await,
        "ValidationException"
    );
    assert_eq!(refuse(spec(&[PROD])).await, "ValidationException");
    assert_eq!(
        refuse(both().replace("size: small", "size: 5")).await,
        "ValidationException"
    );
    let kept = both().replace("size: small", "size: \"${Proton::CURRENT_VAL}\"");
    update(kept).send().await.unwrap();
    stack.settled_instance("shop", "dev").await;
    assert_eq!(
        stack.instance_said("dev").await,
        "shop dev small, dev is small"
    );
}

#[tokio::test]
async fn an_instance_goes_to_other_versions() {
    let stack = shop().await;
    assert_eq!(stack.web_version(Some("1"), &["1"]).await, "1.1");
    stack.net_version(None).await;
    assert_eq!(stack.web_version(None, &["2"]).await, "2.0");
    let update = stack.updating("dev", DeploymentUpdateType::MinorVersion);
    let updating = update.send().await.unwrap().service_instance.unwrap();
    assert_eq!(updating.template_minor_version, "0");
    let dev = stack.settled_instance("shop", "dev").await;
    assert_eq!(
        (&*dev.template_major_version, &*dev.template_minor_version),
        ("1", "1")
    );

    let major = stack.updating("dev", DeploymentUpdateType::MajorVersion);
    let (refusal, message) = refused(major.send().await);
    assert_eq!(refusal, "ValidationException");
    assert!(message.contains("does not go with"), "{message}");
    let current = stack.updating("dev", DeploymentUpdateType::CurrentVersion);
    assert_eq!(
        code(current.template_minor_version("1").send().await),
        "ValidationException"
    );
}

#[tokio::test]
async fn nothing_is_deployed_with_none() {
    let stack = shop().await;
    let none = || stack.updating("dev", DeploymentUpdateType::None);
    none().send().await.unwrap();
    assert_eq!(
        code(none().spec(both()).send().await),
        "ValidationException"
    );
    assert_eq!(
        code(none().template_minor_version("0").send().await),
        "ValidationException"
    );
    assert!(stack.engine.begun().is_empty());
    let absent = stack.updating("absent", DeploymentUpdateType::None);
    assert_eq!(code(absent.send().await), "ResourceNotFoundException");
}

#[tokio::test]
async fn a_client_token_updates_once() {
    let stack = shop().await;
    let update = || {
        stack
            .updating("dev", DeploymentUpdateType::CurrentVersion)
            .client_token("t")
    };
    update().send().await.unwrap();
    let dev = stack.settled_instance("shop", "dev").await;
    assert_eq!(dev.last_client_request_token.as_deref(), Some("t"));
    let again = update().send().await.unwrap().service_instance.unwrap();
    assert_eq!(
        again.last_attempted_deployment_id,
        dev.last_attempted_deployment_id
    );
    assert_eq!(
        code(update().spec(both()).send().await),
        "ValidationException"
    );
    assert_eq!(stack.engine.begun().len(), 1);
    stack.clock.advance(Duration::from_secs(8 * 60 * 60 + 1));
    update().spec(both()).send().await.unwrap();
}

#[tokio::test]
async fn an_instance_has_one_deployment_at_a_time_which_can_be_cancelled() {
    let stack = shop().await;
    let cancel = || {
        let cancel = stack.client.cancel_service_instance_deployment();
        cancel.service_name("shop").service_instance_name("dev")
    };
    assert_eq!(code(cancel().send().await), "ConflictException");
    stack.engine.hold("+service/shop/service-instance/dev");
    let update = || stack.updating("dev", DeploymentUpdateType::CurrentVersion);
    update().send().await.unwrap();
    assert_eq!(code(update().send().await), "ConflictException");
    let cancelled = cancel().send().await.unwrap().service_instance.unwrap();
    assert_eq!(cancelled.deployment_status, DeploymentStatus::Cancelling);
    let dev = stack.settled_instance("shop", "dev").await;
    assert_eq!(dev.deployment_status, DeploymentStatus::Cancelled);
    assert_eq!(
        dev.deployment_status_message.as_deref(),
        Some("User initiated cancellation.")
    );
    assert_eq!(
        stack.instance_said("dev").await,
        "shop dev small, dev is small"
    );
}

#[tokio::test]
async fn outputs_of_an_earlier_deployment_can_be_asked_for() {
    let stack = shop().await;
    let first = stack
        .instance("shop", "dev")
        .await
        .last_attempted_deployment_id
        .unwrap();
    let next = spec(&[("dev", "dev", "huge")]);
    let update = stack
        .updating("dev", DeploymentUpdateType::CurrentVersion)
        .spec(next);
    update.send().await.unwrap();
    stack.settled_instance("shop", "dev").await;
    let outputs = |name: &str| {
        let list = stack
            .client
            .list_service_instance_outputs()
            .service_name("shop");
        list.service_instance_name(name).deployment_id(&first)
    };
    let of_first = outputs("dev").send().await.unwrap().outputs;
    assert_eq!(said(of_first), "shop dev small, dev is small");
    assert_eq!(code(outputs("prod").send().await), "ValidationException");
}

#[tokio::test]
async fn instances_are_listed_in_any_order() {
    let stack = Stack::scripted(Limits::default())
        .with_web()
        .await
        .with_lone()
        .await;
    for (name, instances) in [("b", [DEV, PROD]), ("b-b", [NEW, PROD]), ("a", [PROD, DEV])] {
        stack.clock.advance(Duration::from_secs(1));
        stack
            .creating_lone(name, &lone_spec(&instances))
            .send()
            .await
            .unwrap();
        stack.settled_service(name).await;
    }
    let by_service = ["a/dev", "a/prod", "b/dev", "b/prod", "b-b/new", "b-b/prod"];
    let backwards = |names: &[&str]| {
        names
            .iter()
            .rev()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(stack.listed(None, None).await, by_service);
    assert_eq!(
        stack
            .listed(Some(SortBy::ServiceName), Some(SortOrder::Ascending))
            .await,
        by_service
    );
    assert_eq!(
        stack.listed(None, Some(SortOrder::Descending)).await,
        backwards(&by_service)
    );
    let by_name = ["a/dev", "b/dev", "b-b/new", "a/prod", "b/prod", "b-b/prod"];
    assert_eq!(stack.listed(Some(SortBy::Name), None).await, by_name);
    assert_eq!(
        stack
            .listed(Some(SortBy::Name), Some(SortOrder::Descending))
            .await,
        backwards(&by_name)
    );
    let by_environment = ["a/dev", "b/dev", "b-b/new", "a/prod", "b/prod", "b-b/prod"];
    assert_eq!(
        stack.listed(Some(SortBy::EnvironmentName), None).await,
        by_environment
    );
    let by_time = ["b/dev", "b/prod", "b-b/new", "b-b/prod", "a/dev", "a/prod"];
    assert_eq!(stack.listed(Some(SortBy::CreatedAt), None).await, by_time);
    assert_eq!(
        stack
            .listed(Some(SortBy::LastDeploymentAttemptedAt), None)
            .await,
        by_time
    );
    assert_eq!(
        stack.listed(Some(SortBy::TemplateName), None).await,
        by_service
    );
    assert_eq!(
        stack.listed(Some(SortBy::DeploymentStatus), None).await,
        by_service
    );
    assert_eq!(stack.instances("b").await, ["dev", "prod"]);
    let list = stack.client.list_service_instances().service_name("absent");
    assert_eq!(code(list.send().await), "ResourceNotFoundException");
}

#[tokio::test]
async fn all_filters_have_to_hold() {
    let stack = shop().await;
    stack.clock.advance(Duration::from_secs(10));
    assert_eq!(stack.web_version(Some("1"), &["1"]).await, "1.1");
    stack.engine.fail("+service/shop/service-instance/prod");
    for name in ["dev", "prod"] {
        let update = stack.updating(name, DeploymentUpdateType::MinorVersion);
        update.send().await.unwrap();
        stack.settled_instance("shop", name).await;
    }
    let (dev, prod) = (Ok(vec!["dev".to_owned()]), Ok(vec!["prod".to_owned()]));
    let (all, none) = (
        Ok(vec!["dev".to_owned(), "prod".to_owned()]),
        Ok(Vec::new()),
    );
    assert_eq!(stack.filtered(&[(By::Name, "dev")]).await, dev);
    assert_eq!(
        stack.filtered(&[(By::DeploymentStatus, "FAILED")]).await,
        prod
    );
    assert_eq!(
        stack
            .filtered(&[(By::DeploymentStatus, "FAILED"), (By::Name, "dev")])
            .await,
        none
    );
    assert_eq!(
        stack
            .filtered(&[(By::TemplateName, "web"), (By::ServiceName, "shop")])
            .await,
        all
    );
    assert_eq!(stack.filtered(&[(By::EnvironmentName, "prod")]).await, prod);
    let staleness = By::DeployedTemplateVersionStatus;
    assert_eq!(
        stack.filtered(&[(staleness.clone(), "UP_TO_DATE")]).await,
        dev
    );
    assert_eq!(
        stack
            .filtered(&[(staleness.clone(), "MINOR_VERSION_BEHIND")])
            .await,
        prod
    );
    assert_eq!(
        stack
            .filtered(&[(staleness.clone(), "MAJOR_VERSION_BEHIND")])
            .await,
        none
    );
    assert_eq!(stack.filtered(&[(staleness, "ANYTHING")]).await, none);
    // Tests begin at 2023-11-14T22:13:20Z.
    assert_eq!(
        stack
            .filtered(&[(By::CreatedAtBefore, "2023-11-14T22:13:25Z")])
            .await,
        all
    );
    assert_eq!(
        stack
            .filtered(&[(By::CreatedAtAfter, "2023-11-14T22:13:25.5Z")])
            .await,
        none
    );
    let attempted = By::LastDeploymentAttemptedAtAfter;
    assert_eq!(
        stack
            .filtered(&[(attempted.clone(), "2023-11-14T22:13:25Z")])
            .await,
        all
    );
    let before = By::LastDeploymentAttemptedAtBefore;
    assert_eq!(
        stack.filtered(&[(before, "2023-11-14T22:13:25Z")]).await,
        none
    );
    assert_eq!(
        stack.filtered(&[(attempted, "yesterday")]).await,
        Err("ValidationException".to_owned())
    );
}
