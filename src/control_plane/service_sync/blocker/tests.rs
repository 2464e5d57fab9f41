use super::*;
use crate::api::Code;
use crate::control_plane::repository::{Name, Provider};
use crate::control_plane::service_sync::{
    create_service_sync_config, get_service_instance_sync_status,
};
use crate::control_plane::sync::status::{self, Phase};
use crate::control_plane::tests::{caller, plane};

/// A control plane with an instance `dev` of a service `web`.
async fn with_instance() -> (ControlPlane, tempfile::TempDir) {
    let (plane, directory) = plane();
    let repository = Name {
        provider: Provider::Github,
        name: "me/infra".to_owned(),
    };
    let there = [
        caller().key(Kind::Service, "web"),
        service_instance::key(&caller(), "web", "dev"),
        repository.key(&caller()),
    ];
    let change = there.into_iter().fold(Change::new(), |change, key| {
        change.put(Put::create(key, &serde_json::json!({"standing": "Kept"})))
    });
    plane.store().commit(change).await.unwrap();
    (plane, directory)
}

async fn synced_from_git(plane: &ControlPlane) {
    let request = pb::CreateServiceSyncConfigRequest {
        branch: "main".to_owned(),
        file_path: "ops.yaml".to_owned(),
        repository_name: "me/infra".to_owned(),
        repository_provider: pb::RepositoryProvider::Github.into(),
        service_name: "web".to_owned(),
    };
    create_service_sync_config(plane, &caller(), request)
        .await
        .unwrap();
}

async fn by_hand(plane: &ControlPlane, deed: Deed) {
    let change = block(plane, &caller(), Change::new(), "web", &[("dev", deed)]).await;
    plane.store().commit(change.unwrap()).await.unwrap();
}

async fn blockers(plane: &ControlPlane, instance: Option<&str>) -> Vec<pb::SyncBlocker> {
    let request = pb::GetServiceSyncBlockerSummaryRequest {
        service_instance_name: instance.map(str::to_owned),
        service_name: "web".to_owned(),
    };
    let summary = get_service_sync_blocker_summary(plane, &caller(), request).await;
    let summary = summary.unwrap().service_sync_blocker_summary.unwrap();
    assert_eq!(summary.service_instance_name.as_deref(), instance);
    summary.latest_blockers
}

async fn resolve(
    plane: &ControlPlane,
    id: &str,
) -> Result<pb::UpdateServiceSyncBlockerResponse, Code> {
    let request = pb::UpdateServiceSyncBlockerRequest {
        id: id.to_owned(),
        resolved_reason: "reviewed".to_owned(),
    };
    let resolved = update_service_sync_blocker(plane, &caller(), request).await;
    resolved.map_err(|error| error.code)
}

#[tokio::test]
async fn what_is_not_synced_is_not_blocked() {
    let (plane, _directory) = with_instance().await;
    by_hand(&plane, Deed::Updated).await;
    synced_from_git(&plane).await;
    assert_eq!(blockers(&plane, Some("dev")).await, []);
}

#[tokio::test]
async fn an_instance_that_is_changed_by_hand_blocks_itself_once() {
    let (plane, _directory) = with_instance().await;
    synced_from_git(&plane).await;
    by_hand(&plane, Deed::Created).await;
    by_hand(&plane, Deed::Updated).await;
    let [blocker] = &blockers(&plane, Some("dev")).await[..] else {
        panic!("one blocker");
    };
    assert_eq!(blocker.status(), pb::BlockerStatus::Active);
    let reason = "service instance \"dev\" was created by hand";
    assert_eq!(blocker.created_reason, reason);
    assert_eq!(blockers(&plane, None).await, []);
}

#[tokio::test]
async fn an_instance_that_is_deleted_by_hand_blocks_the_service_and_is_forgotten() {
    let (plane, _directory) = with_instance().await;
    synced_from_git(&plane).await;
    let synced = synced(&caller(), "web");
    let (revision, attempt) = (
        status::tests::revision("1"),
        status::tests::attempt(Phase::Succeeded, "1"),
    );
    let change = status::note(
        &plane,
        &synced,
        Change::new(),
        "dev",
        revision,
        Some(attempt),
    );
    plane.store().commit(change.await.unwrap()).await.unwrap();
    let known = async || {
        let request = pb::GetServiceInstanceSyncStatusRequest {
            service_instance_name: "dev".to_owned(),
            service_name: "web".to_owned(),
        };
        get_service_instance_sync_status(&plane, &caller(), request).await
    };
    assert_eq!(known().await.unwrap().desired_state.unwrap().sha, "1");

    by_hand(&plane, Deed::Updated).await;
    by_hand(&plane, Deed::Deleted).await;
    assert_eq!(blockers(&plane, Some("dev")).await, []);
    assert_eq!(blockers(&plane, None).await.len(), 1);
    assert_eq!(known().await.unwrap_err().code, Code::ResourceNotFound);
}

#[tokio::test]
async fn a_resolved_blocker_stays_on_record_and_the_next_change_blocks_again() {
    let (plane, _directory) = with_instance().await;
    synced_from_git(&plane).await;
    by_hand(&plane, Deed::Updated).await;
    let id = blockers(&plane, Some("dev")).await[0].id.clone();
    let resolved = resolve(&plane, &id).await.unwrap();
    assert_eq!(resolved.service_name, "web");
    assert_eq!(resolved.service_instance_name.as_deref(), Some("dev"));
    let blocker = resolved.service_sync_blocker.unwrap();
    assert_eq!(blocker.status(), pb::BlockerStatus::Resolved);
    assert_eq!(blocker.resolved_reason.as_deref(), Some("reviewed"));
    assert_eq!(resolve(&plane, &id).await, Err(Code::Conflict));

    by_hand(&plane, Deed::Updated).await;
    let now = blockers(&plane, Some("dev")).await;
    let statuses: Vec<_> = now.iter().map(pb::SyncBlocker::status).collect();
    let newest_first = [pb::BlockerStatus::Active, pb::BlockerStatus::Resolved];
    assert_eq!(statuses, newest_first);
}

#[tokio::test]
async fn blockers_of_nobody_and_of_others_are_not_found() {
    let (plane, _directory) = with_instance().await;
    synced_from_git(&plane).await;
    by_hand(&plane, Deed::Updated).await;
    for id in ["", "\0", "00000000-0000-4000-8000-00000000ffff"] {
        assert_eq!(resolve(&plane, id).await, Err(Code::ResourceNotFound));
    }
    let id = blockers(&plane, Some("dev")).await[0].id.clone();
    let other = Caller::new("210987654321", "us-east-1");
    assert!(find(&plane, &other, &id).await.unwrap().is_none());
}

#[tokio::test]
async fn only_the_latest_resolved_blockers_are_remembered() {
    let (plane, _directory) = with_instance().await;
    synced_from_git(&plane).await;
    let mut ids = Vec::new();
    for _ in 0..=RESOLVED {
        by_hand(&plane, Deed::Updated).await;
        let id = blockers(&plane, Some("dev")).await[0].id.clone();
        resolve(&plane, &id).await.unwrap();
        ids.push(id);
    }
    let left = blockers(&plane, Some("dev")).await;
    assert_eq!(left.len(), RESOLVED);
    assert!(left.iter().all(|blocker| blocker.id != ids[0]));
    assert_eq!(resolve(&plane, &ids[0]).await, Err(Code::ResourceNotFound));
}
