#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use aws_sdk_proton::types::{
    BlockerStatus, BlockerType, DeploymentUpdateType, RepositoryProvider, ServiceSyncConfig,
    SyncBlocker,
};
use proton_grpc::control_plane::Limits;
use proton_grpc::control_plane::store::{Change, Key, Kind, Put};

use super::service_world::{both, spec};
use super::stack::{ACCOUNT, REGION, Stack, code};

const DEV: (&str, &str, &str) = ("dev", "dev", "small");
const PROD: (&str, &str, &str) = ("prod", "prod", "large");
const NEW: (&str, &str, &str) = ("new", "dev", "tiny");

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

    /// With a service `shop` whose instances are `dev` and `prod`, synced.
    async fn with_synced_shop() -> Self {
        let stack = Self::scripted(Limits::default()).with_web().await;
        stack.created_service("shop", &both()).await;
        stack.link("me/infra").await;
        stack.sync_service("shop", "me/infra").await.unwrap();
        stack
    }

    /// What blocks the service as a whole, or one of its instances.
    async fn blockers(&self, instance: Option<&str>) -> Vec<SyncBlocker> {
        let get = self.client.get_service_sync_blocker_summary();
        let get = get.service_name("shop");
        let got = get.set_service_instance_name(instance.map(str::to_owned));
        let summary = got.send().await.unwrap().service_sync_blocker_summary;
        summary.unwrap().latest_blockers.unwrap_or_default()
    }

    async fn update_dev_by_hand(&self) {
        let update = self.client.update_service_instance().service_name("shop");
        let update = update.name("dev").spec(both());
        let update = update.deployment_type(DeploymentUpdateType::CurrentVersion);
        update.send().await.unwrap();
        self.settled_instance("shop", "dev").await;
    }

    async fn resolve(&self, id: &str) -> Result<SyncBlocker, String> {
        let resolve = self.client.update_service_sync_blocker().id(id);
        match resolve.resolved_reason("taken over").send().await {
            Ok(answer) => {
                assert_eq!(answer.service_name, "shop");
                Ok(answer.service_sync_blocker.unwrap())
            }
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

#[tokio::test]
async fn an_instance_that_was_made_or_changed_by_hand_blocks_itself() {
    let stack = Stack::with_synced_shop().await;
    let add = stack.client.create_service_instance().service_name("shop");
    let add = add.name("new").spec(spec(&[DEV, PROD, NEW]));
    add.send().await.unwrap();
    stack.settled_instance("shop", "new").await;
    stack.settled_service("shop").await;
    stack.update_dev_by_hand().await;

    for (instance, reason) in [("new", "created"), ("dev", "updated")] {
        let [blocker] = &stack.blockers(Some(instance)).await[..] else {
            panic!("{instance} is blocked once")
        };
        assert_eq!(blocker.status, BlockerStatus::Active);
        assert_eq!(blocker.r#type, BlockerType::Automated);
        assert!(blocker.created_reason.contains(reason), "{blocker:?}");
        let [context] = blocker.contexts() else {
            panic!("{blocker:?}")
        };
        assert_eq!(context.value, instance);
    }
    assert_eq!(stack.blockers(Some("prod")).await, []);
    assert_eq!(stack.blockers(None).await, []);
}

#[tokio::test]
async fn an_instance_that_was_removed_by_hand_blocks_the_service() {
    let stack = Stack::with_synced_shop().await;
    stack.edited_service("shop", &spec(&[DEV])).await;
    let blockers = stack.blockers(None).await;
    assert_eq!(blockers.len(), 1, "{blockers:?}");
    assert!(blockers[0].created_reason.contains("prod"), "{blockers:?}");
    assert_eq!(stack.blockers(Some("dev")).await, []);
}

#[tokio::test]
async fn a_blocker_is_resolved_once_and_the_next_deed_blocks_again() {
    let stack = Stack::with_synced_shop().await;
    stack.update_dev_by_hand().await;
    stack.update_dev_by_hand().await;
    let first = stack.blockers(Some("dev")).await;
    assert_eq!(first.len(), 1, "what is blocked is not blocked again");
    let resolved = stack.resolve(&first[0].id).await.unwrap();
    assert_eq!(resolved.status, BlockerStatus::Resolved);
    assert_eq!(resolved.resolved_reason.as_deref(), Some("taken over"));
    let again = stack.resolve(&first[0].id).await.unwrap_err();
    assert_eq!(again, "ConflictException");

    stack.update_dev_by_hand().await;
    let now = stack.blockers(Some("dev")).await;
    let statuses: Vec<_> = now.iter().map(|blocker| blocker.status.as_str()).collect();
    assert_eq!(statuses, ["ACTIVE", "RESOLVED"], "the newest first");
}

#[tokio::test]
async fn what_is_not_synced_is_not_blocked() {
    let stack = Stack::with_synced_shop().await;
    let delete = stack.client.delete_service_sync_config();
    delete.service_name("shop").send().await.unwrap();
    stack.update_dev_by_hand().await;
    assert_eq!(stack.blockers(Some("dev")).await, []);
}
