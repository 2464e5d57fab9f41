#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use aws_sdk_proton::types::{
    Provisioning, ServiceTemplateSupportedComponentSourceType as Components, ServiceTemplateVersion,
};

use super::stack::{Stack, arn, code, compatible, source};

impl Stack {
    /// With version 1.0 of environment template `vpc` and a service template `api`.
    async fn with_templates() -> Self {
        let stack = Self::new();
        stack.create_environment_template("vpc").await;
        stack.environment_version("vpc", None).await;
        stack.create_service_template("api").await;
        stack
    }
}

fn environments(version: &ServiceTemplateVersion) -> Vec<(&str, &str)> {
    let named = version.compatible_environment_templates.iter();
    named
        .map(|named| (named.template_name.as_str(), named.major_version.as_str()))
        .collect()
}

#[tokio::test]
async fn a_template_may_leave_the_pipeline_to_the_customer() {
    let stack = Stack::idle();
    let create = stack.client.create_service_template().name("api");
    let create = create.pipeline_provisioning(Provisioning::CustomerManaged);
    let created = create.send().await.unwrap().service_template.unwrap();
    assert_eq!(created.arn, arn("service-template/api"));
    assert_eq!(
        created.pipeline_provisioning,
        Some(Provisioning::CustomerManaged)
    );
    let listed = stack
        .client
        .list_service_templates()
        .send()
        .await
        .unwrap()
        .templates;
    assert_eq!(
        listed[0].pipeline_provisioning,
        Some(Provisioning::CustomerManaged)
    );
}

#[tokio::test]
async fn both_kinds_of_templates_may_have_the_same_name() {
    let stack = Stack::idle();
    stack.create_environment_template("web").await;
    stack.create_service_template("web").await;
    stack
        .client
        .update_service_template()
        .name("web")
        .description("s")
        .send()
        .await
        .unwrap();
    let environment = stack
        .client
        .get_environment_template()
        .name("web")
        .send()
        .await
        .unwrap();
    assert_eq!(environment.environment_template.unwrap().description, None);
}

#[tokio::test]
async fn a_version_says_which_environments_it_goes_with() {
    let stack = Stack::with_templates().await;
    let version = stack.service_version("api", &[("vpc", "1")]).await;
    assert_eq!(environments(&version), [("vpc", "1")]);
    assert!(version.supported_component_sources().is_empty());
    assert!(version.schema.unwrap().contains("service_input_type"));
}

#[tokio::test]
async fn unknown_environment_templates_and_major_versions_are_refused() {
    let stack = Stack::with_templates().await;
    for (name, major) in [
        ("vpc", "2"),
        ("other", "1"),
        ("vpc", "99999999999999999999"),
    ] {
        let create = stack
            .client
            .create_service_template_version()
            .template_name("api")
            .source(source("k"));
        let create = create.compatible_environment_templates(compatible(name, major));
        assert_eq!(
            code(create.send().await),
            "ValidationException",
            "{name} {major}"
        );
    }
}

#[tokio::test]
async fn an_update_replaces_what_the_version_goes_with() {
    let stack = Stack::with_templates().await;
    stack.environment_version("vpc", None).await;
    stack.service_version("api", &[("vpc", "1")]).await;
    let update = || {
        let update = stack
            .client
            .update_service_template_version()
            .template_name("api");
        update.major_version("1").minor_version("0")
    };
    let unknown = update().compatible_environment_templates(compatible("vpc", "3"));
    assert_eq!(code(unknown.send().await), "ValidationException");

    let replace = update().compatible_environment_templates(compatible("vpc", "2"));
    let replace = replace.supported_component_sources(Components::DirectlyDefined);
    let version = replace
        .send()
        .await
        .unwrap()
        .service_template_version
        .unwrap();
    assert_eq!(environments(&version), [("vpc", "2")]);
    assert_eq!(
        version.supported_component_sources(),
        [Components::DirectlyDefined]
    );

    let untouched = update()
        .description("d")
        .send()
        .await
        .unwrap()
        .service_template_version
        .unwrap();
    assert_eq!(environments(&untouched), [("vpc", "2")]);
    assert_eq!(
        untouched.supported_component_sources(),
        [Components::DirectlyDefined]
    );

    let cleared = update()
        .set_supported_component_sources(Some(Vec::new()))
        .send()
        .await
        .unwrap();
    assert!(
        cleared
            .service_template_version
            .unwrap()
            .supported_component_sources()
            .is_empty()
    );
}

#[tokio::test]
async fn a_repeat_by_client_token_does_not_ask_for_the_environments_again() {
    let stack = Stack::with_templates().await;
    let create = || {
        let create = stack
            .client
            .create_service_template_version()
            .template_name("api")
            .source(source("k"));
        create
            .compatible_environment_templates(compatible("vpc", "1"))
            .client_token("a")
            .send()
    };
    create().await.unwrap();
    let delete = stack
        .client
        .delete_environment_template_version()
        .template_name("vpc");
    delete
        .major_version("1")
        .minor_version("0")
        .send()
        .await
        .unwrap();
    let again = create().await.unwrap().service_template_version.unwrap();
    assert_eq!(again.major_version, "1");
}
