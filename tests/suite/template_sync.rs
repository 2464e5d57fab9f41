#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use aws_sdk_proton::types::{RepositoryProvider, SyncType, TemplateSyncConfig, TemplateType};

use super::stack::{Stack, code};

impl Stack {
    /// With an environment template `web` and linked repositories `me/infra` and `me/other`.
    async fn with_template() -> Self {
        let stack = Self::idle();
        stack.create_environment_template("web").await;
        stack.link("me/infra").await;
        stack.link("me/other").await;
        stack
    }

    async fn sync_template(
        &self,
        template: &str,
        repository: &str,
    ) -> Result<TemplateSyncConfig, String> {
        let create = self.client.create_template_sync_config();
        let create = create
            .template_name(template)
            .template_type(TemplateType::Environment)
            .repository_name(repository)
            .repository_provider(RepositoryProvider::Github)
            .branch("main")
            .subdirectory("templates");
        match create.send().await {
            Ok(answer) => Ok(answer.template_sync_config.unwrap()),
            refusal => Err(code(refusal)),
        }
    }

    async fn template_sync(&self) -> Result<TemplateSyncConfig, String> {
        let get = self.client.get_template_sync_config();
        let get = get
            .template_name("web")
            .template_type(TemplateType::Environment);
        match get.send().await {
            Ok(answer) => Ok(answer.template_sync_config.unwrap()),
            refusal => Err(code(refusal)),
        }
    }

    async fn stop_template_sync(&self) -> Result<TemplateSyncConfig, String> {
        let delete = self.client.delete_template_sync_config();
        let delete = delete
            .template_name("web")
            .template_type(TemplateType::Environment);
        match delete.send().await {
            Ok(answer) => Ok(answer.template_sync_config.unwrap()),
            refusal => Err(code(refusal)),
        }
    }

    async fn delete_web(&self) -> Result<(), String> {
        let delete = self.client.delete_environment_template().name("web");
        match delete.send().await {
            Ok(_) => Ok(()),
            refusal => Err(code(refusal)),
        }
    }
}

#[tokio::test]
async fn a_template_is_synced_from_one_place() {
    let stack = Stack::with_template().await;
    let created = stack.sync_template("web", "me/infra").await.unwrap();
    assert_eq!(created.template_name, "web");
    assert_eq!(created.template_type, TemplateType::Environment);
    assert_eq!(created.repository_name, "me/infra");
    assert_eq!(created.subdirectory.as_deref(), Some("templates"));
    assert_eq!(stack.template_sync().await.unwrap(), created);
    let again = stack.sync_template("web", "me/other").await;
    assert_eq!(again.unwrap_err(), "ConflictException");
}

#[tokio::test]
async fn both_kinds_of_templates_are_synced_on_their_own() {
    let stack = Stack::with_template().await;
    stack.create_service_template("web").await;
    stack.sync_template("web", "me/infra").await.unwrap();
    let get = stack.client.get_template_sync_config();
    let get = get
        .template_name("web")
        .template_type(TemplateType::Service);
    assert_eq!(code(get.send().await), "ResourceNotFoundException");
}

#[tokio::test]
async fn the_template_and_the_repository_must_be_there() {
    let stack = Stack::with_template().await;
    for (template, repository) in [("other", "me/infra"), ("web", "me/unknown")] {
        let create = stack.sync_template(template, repository).await;
        assert_eq!(create.unwrap_err(), "ValidationException");
    }
}

#[tokio::test]
async fn an_update_replaces_all_and_frees_the_former_repository() {
    let stack = Stack::with_template().await;
    stack.sync_template("web", "me/infra").await.unwrap();
    let update = |repository: &str| {
        let update = stack.client.update_template_sync_config();
        update
            .template_name("web")
            .template_type(TemplateType::Environment)
            .repository_name(repository)
            .repository_provider(RepositoryProvider::Github)
            .branch("next")
            .send()
    };
    assert_eq!(code(update("me/unknown").await), "ValidationException");
    let updated = update("me/other").await.unwrap().template_sync_config;
    let updated = updated.unwrap();
    assert_eq!(updated.branch, "next");
    assert_eq!(updated.subdirectory, None);
    assert_eq!(stack.template_sync().await.unwrap(), updated);
    stack.unlink("me/infra").await.unwrap();
    let used = stack.unlink("me/other").await.unwrap_err();
    assert_eq!(used, "ConflictException");
}

#[tokio::test]
async fn what_is_synced_keeps_its_template_and_repository() {
    let stack = Stack::with_template().await;
    let created = stack.sync_template("web", "me/infra").await.unwrap();
    assert_eq!(stack.delete_web().await.unwrap_err(), "ConflictException");
    let used = stack.unlink("me/infra").await.unwrap_err();
    assert_eq!(used, "ConflictException");

    assert_eq!(stack.stop_template_sync().await.unwrap(), created);
    let again = stack.stop_template_sync().await.unwrap_err();
    assert_eq!(again, "ResourceNotFoundException");
    stack.unlink("me/infra").await.unwrap();
    stack.delete_web().await.unwrap();
}

#[tokio::test]
async fn what_was_never_synced_is_not_found() {
    let stack = Stack::with_template().await;
    stack.sync_template("web", "me/infra").await.unwrap();
    let status = stack.client.get_template_sync_status();
    let status = status
        .template_name("web")
        .template_type(TemplateType::Environment)
        .template_version("1");
    assert_eq!(code(status.send().await), "ResourceNotFoundException");

    let status = stack.client.get_repository_sync_status();
    let status = status
        .repository_name("me/infra")
        .repository_provider(RepositoryProvider::Github)
        .sync_type(SyncType::TemplateSync);
    for branch in ["main", "\u{0}", "\u{10FFFF}"] {
        let status = status.clone().branch(branch).send().await;
        assert_eq!(code(status), "ResourceNotFoundException");
    }

    let list = stack.client.list_repository_sync_definitions();
    let list = list
        .repository_name("me/infra")
        .repository_provider(RepositoryProvider::Github)
        .sync_type(SyncType::TemplateSync);
    assert_eq!(list.send().await.unwrap().sync_definitions, []);
}
