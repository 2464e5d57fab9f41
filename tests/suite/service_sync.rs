#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use aws_sdk_proton::types::{RepositoryProvider, ServiceSyncConfig};
use proton_grpc::control_plane::store::{Change, Key, Kind, Put};

use super::stack::{ACCOUNT, REGION, Stack, code};

impl Stack {
    /// With a service `web` and linked repositories `me/infra` and `me/other`.
    async fn with_service() -> Self {
        let service = Key::new(format!("{ACCOUNT}/{REGION}"), Kind::Service, "web");
        let stack = Self::finding(Change::new().put(Put::create(service, &()))).await;
        stack.link("me/infra").await;
        stack.link("me/other").await;
        stack
    }

    async fn sync_service(
        &self,
        service: &str,
        repository: &str,
    ) -> Result<ServiceSyncConfig, String> {
        let create = self.client.create_service_sync_config();
        let create = create
            .service_name(service)
            .repository_name(repository)
            .repository_provider(RepositoryProvider::Github)
            .branch("main")
            .file_path("./ops.yaml");
        match create.send().await {
            Ok(answer) => Ok(answer.service_sync_config.unwrap()),
            refusal => Err(code(refusal)),
        }
    }

    async fn service_sync(&self) -> Result<ServiceSyncConfig, String> {
        let get = self.client.get_service_sync_config();
        match get.service_name("web").send().await {
            Ok(answer) => Ok(answer.service_sync_config.unwrap()),
            refusal => Err(code(refusal)),
        }
    }
}

#[tokio::test]
async fn a_service_is_synced_from_one_ops_file() {
    let stack = Stack::with_service().await;
    let created = stack.sync_service("web", "me/infra").await.unwrap();
    assert_eq!(created.service_name, "web");
    assert_eq!(created.file_path, "./ops.yaml");
    assert_eq!(stack.service_sync().await.unwrap(), created);
    let again = stack.sync_service("web", "me/other").await;
    assert_eq!(again.unwrap_err(), "ConflictException");
}

#[tokio::test]
async fn the_service_and_the_repository_must_be_there() {
    let stack = Stack::with_service().await;
    for (service, repository) in [("other", "me/infra"), ("web", "me/unknown")] {
        let create = stack.sync_service(service, repository).await;
        assert_eq!(create.unwrap_err(), "ValidationException");
    }
}

#[tokio::test]
async fn an_update_replaces_all_of_a_configuration_that_is_there() {
    let stack = Stack::with_service().await;
    let update = || {
        let update = stack.client.update_service_sync_config();
        update
            .service_name("web")
            .repository_name("me/other")
            .repository_provider(RepositoryProvider::Github)
            .branch("next")
            .file_path("ops.yaml")
            .send()
    };
    assert_eq!(code(update().await), "ResourceNotFoundException");
    stack.sync_service("web", "me/infra").await.unwrap();
    let updated = update().await.unwrap().service_sync_config.unwrap();
    assert_eq!(updated.branch, "next");
    assert_eq!(stack.service_sync().await.unwrap(), updated);
    stack.unlink("me/infra").await.unwrap();
    let used = stack.unlink("me/other").await.unwrap_err();
    assert_eq!(used, "ConflictException");
}

#[tokio::test]
async fn a_deleted_configuration_is_shown_once_more() {
    let stack = Stack::with_service().await;
    let created = stack.sync_service("web", "me/infra").await.unwrap();
    let delete = || {
        let delete = stack.client.delete_service_sync_config();
        delete.service_name("web").send()
    };
    let deleted = delete().await.unwrap().service_sync_config;
    assert_eq!(deleted.unwrap(), created);
    assert_eq!(code(delete().await), "ResourceNotFoundException");
    let gone = stack.service_sync().await.unwrap_err();
    assert_eq!(gone, "ResourceNotFoundException");
    stack.unlink("me/infra").await.unwrap();
}

#[tokio::test]
async fn a_service_that_nobody_touched_is_not_blocked() {
    let stack = Stack::with_service().await;
    let summary = |service: &str| {
        let get = stack.client.get_service_sync_blocker_summary();
        get.service_name(service)
    };
    let none = summary("web").send().await.unwrap();
    let none = none.service_sync_blocker_summary.unwrap();
    assert_eq!(
        (none.service_name.as_str(), none.latest_blockers),
        ("web", None)
    );
    let unknown = summary("other").send().await;
    assert_eq!(code(unknown), "ResourceNotFoundException");
    let unknown = summary("web").service_instance_name("dev").send().await;
    assert_eq!(code(unknown), "ResourceNotFoundException");
    let resolve = stack.client.update_service_sync_blocker().id("1");
    let resolve = resolve.resolved_reason("none").send().await;
    assert_eq!(code(resolve), "ResourceNotFoundException");
    let status = stack.client.get_service_instance_sync_status();
    let status = status.service_name("web").service_instance_name("dev");
    assert_eq!(code(status.send().await), "ResourceNotFoundException");
}
