//! Syncs as seen from the repository: the latest attempt to read a branch, and what is synced from where.

use super::repository::{self, Name};
use super::store::{Change, Key, Kind, Order, Put, Record};
use super::sync::Config;
use super::sync::status::{self, RepositoryAttempt};
use super::{Caller, ControlPlane};
use crate::api::{Error, pb};

/// How many users of a repository are read at a time.
const AT_ONCE: u32 = 100;

fn attempt_key(caller: &Caller, of: &Name, branch: &str, what: pb::SyncType) -> Key {
    let what = match what {
        pb::SyncType::ServiceSync => "service",
        pb::SyncType::TemplateSync => "template",
        pb::SyncType::Unspecified => unreachable!("validation insists on a type"),
    };
    let (provider, name) = (of.provider.as_str(), &of.name);
    // Names hold no space.
    caller.key(
        Kind::RepositorySyncStatus,
        format!("{provider}:{name} {what} {branch}"),
    )
}

/// Adds to a change how the latest attempt to read a branch stands.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "nothing is synced from Git yet")
)]
pub(super) async fn note(
    plane: &ControlPlane,
    caller: &Caller,
    change: Change,
    (of, branch, what): (&Name, &str, pb::SyncType),
    attempt: &RepositoryAttempt,
) -> Result<Change, Error> {
    let key = attempt_key(caller, of, branch, what);
    let put = match plane.store().get(&key).await? {
        Some(record) => Put::update(&record, attempt),
        None => Put::create(key, attempt),
    };
    Ok(change.put(put))
}

pub(super) async fn get_repository_sync_status(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetRepositorySyncStatusRequest,
) -> Result<pb::GetRepositorySyncStatusResponse, Error> {
    let name = Name::of(request.repository_provider(), &request.repository_name)?;
    let branch = &request.branch;
    let not_found = || {
        let named = name.named();
        Error::not_found(format!("branch {branch:?} of {named} was never synced"))
    };
    // No branch has a name that no key can hold.
    if branch.contains(['\0', '\u{10FFFF}']) {
        return Err(not_found());
    }
    let key = attempt_key(caller, &name, branch, request.sync_type());
    let attempt = plane.store().get(&key).await?.ok_or_else(not_found)?;
    Ok(pb::GetRepositorySyncStatusResponse {
        latest_sync: Some(attempt.read::<RepositoryAttempt>()?.into()),
    })
}

pub(super) async fn list_repository_sync_definitions(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::ListRepositorySyncDefinitionsRequest,
) -> Result<pb::ListRepositorySyncDefinitionsResponse, Error> {
    let name = Name::of(request.repository_provider(), &request.repository_name)?;
    let (configs, targets, separator) = match request.sync_type() {
        pb::SyncType::ServiceSync => (Kind::ServiceSyncConfig, Kind::ServiceSyncTargets, '/'),
        pb::SyncType::TemplateSync => (Kind::TemplateSyncConfig, Kind::TemplateSyncTargets, ':'),
        pb::SyncType::Unspecified => unreachable!("validation insists on a type"),
    };
    let mut definitions = Vec::new();
    let users = users(plane, &name.arn(caller)).await?;
    for config in users.into_iter().filter(|user| user.key.kind == configs) {
        let parent = config.read::<Config>()?.of;
        let key = Key::new(config.key.scope, targets, config.key.id);
        for (target, known) in status::targets(plane, &key).await? {
            definitions.push(pb::RepositorySyncDefinition {
                branch: known.desired.branch,
                directory: known.desired.directory,
                target: format!("{parent}{separator}{target}"),
                parent: parent.clone(),
            });
        }
    }
    Ok(pb::ListRepositorySyncDefinitionsResponse {
        next_token: None,
        sync_definitions: definitions,
    })
}

/// Whatever uses the repository.
async fn users(plane: &ControlPlane, arn: &str) -> Result<Vec<Record>, Error> {
    let mut users = Vec::<Record>::new();
    loop {
        let after = users.last().map(|user| &user.key);
        let more = plane
            .store()
            .list_by(repository::USED, arn, after, AT_ONCE, Order::Ascending)
            .await?;
        let was_last = more.len() < AT_ONCE as usize;
        users.extend(more);
        if was_last {
            return Ok(users);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::sync::status::Phase;
    use crate::control_plane::tests::{caller, plane};

    #[tokio::test]
    async fn the_latest_attempt_of_a_branch_is_told() {
        let (plane, _directory) = plane();
        let (name, caller) = (status::tests::revision("1").repository, caller());
        let branch = (&name, "main", pb::SyncType::TemplateSync);
        for phase in [Phase::Queued, Phase::Failed] {
            let attempt = RepositoryAttempt {
                started_at_ms: 1,
                phase,
                events: Vec::new(),
            };
            let change = note(&plane, &caller, Change::new(), branch, &attempt);
            plane.store().commit(change.await.unwrap()).await.unwrap();
        }
        let status = async |sync_type: pb::SyncType| {
            let request = pb::GetRepositorySyncStatusRequest {
                branch: "main".to_owned(),
                repository_name: name.name.clone(),
                repository_provider: pb::RepositoryProvider::Github.into(),
                sync_type: sync_type.into(),
            };
            let got = get_repository_sync_status(&plane, &caller, request).await;
            got.map(|got| got.latest_sync.unwrap().status())
        };
        assert_eq!(
            status(pb::SyncType::TemplateSync).await,
            Ok(pb::RepositorySyncStatus::Failed)
        );
        assert!(status(pb::SyncType::ServiceSync).await.is_err());
    }
}
