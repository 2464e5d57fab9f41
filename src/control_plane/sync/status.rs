//! What is known of syncs. For each template and service there is one record of all its targets, the major versions or instances
//! that are synced, with the latest attempts at each; for each branch of a repository one of the latest attempt to read it.
//! Whoever syncs writes them, in the changes that the sync consists of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Synced;
use crate::api::{Error, pb};
use crate::control_plane::ControlPlane;
use crate::control_plane::repository::Name;
use crate::control_plane::resource::timestamp;
use crate::control_plane::store::{Change, Expect, Key, Put};

/// A commit, as far as it is about one directory or file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::control_plane) struct Revision {
    pub(in crate::control_plane) repository: Name,
    pub(in crate::control_plane) branch: String,
    pub(in crate::control_plane) directory: String,
    pub(in crate::control_plane) sha: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::control_plane) struct Event {
    pub(in crate::control_plane) at_ms: i64,
    /// Such as `STARTING_SYNC`.
    pub(in crate::control_plane) kind: String,
    pub(in crate::control_plane) text: String,
    pub(in crate::control_plane) external_id: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::control_plane) enum Phase {
    /// Waits for another one; only of repositories.
    Queued,
    Initiated,
    InProgress,
    Succeeded,
    Failed,
}

/// An attempt to read a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::control_plane) struct RepositoryAttempt {
    pub(in crate::control_plane) started_at_ms: i64,
    pub(in crate::control_plane) phase: Phase,
    pub(in crate::control_plane) events: Vec<Event>,
}

/// An attempt to bring a target to a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::control_plane) struct ResourceAttempt {
    pub(in crate::control_plane) started_at_ms: i64,
    pub(in crate::control_plane) phase: Phase,
    /// `<template>:<major>` or `<service>/<instance>`
    pub(in crate::control_plane) target: String,
    pub(in crate::control_plane) from: Revision,
    pub(in crate::control_plane) to: Revision,
    pub(in crate::control_plane) events: Vec<Event>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::control_plane) struct Target {
    /// The newest revision in Git.
    pub(in crate::control_plane) desired: Revision,
    pub(in crate::control_plane) latest: Option<ResourceAttempt>,
    pub(in crate::control_plane) latest_successful: Option<ResourceAttempt>,
}

/// By major version, or by the name of the instance.
pub(in crate::control_plane) type Targets = BTreeMap<String, Target>;

/// What is known of all targets behind the key.
pub(in crate::control_plane) async fn targets(
    plane: &ControlPlane,
    key: &Key,
) -> Result<Targets, Error> {
    let record = plane.store().get(key).await?;
    let targets = record.map(|record| record.read()).transpose()?;
    Ok(targets.unwrap_or_default())
}

/// Adds to a change what is now known of a target. It is refused if more has become known meanwhile, or nothing is synced any more.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "nothing is synced from Git yet")
)]
pub(in crate::control_plane) async fn note(
    plane: &ControlPlane,
    synced: &Synced,
    change: Change,
    target: &str,
    desired: Revision,
    attempt: Option<ResourceAttempt>,
) -> Result<Change, Error> {
    let record = plane.store().get(&synced.targets).await?;
    let mut targets: Targets = match &record {
        Some(record) => record.read()?,
        None => Targets::new(),
    };
    let known = targets.remove(target);
    targets.insert(target.to_owned(), learn(known, desired, attempt));
    let put = match &record {
        Some(record) => Put::update(record, &targets),
        None => Put::create(synced.targets.clone(), &targets),
    };
    Ok(change
        .expect(Expect::Present(synced.config.clone()))
        .put(put))
}

fn learn(known: Option<Target>, desired: Revision, attempt: Option<ResourceAttempt>) -> Target {
    let (latest, latest_successful) = match known {
        Some(known) => (known.latest, known.latest_successful),
        None => (None, None),
    };
    let succeeded = attempt
        .clone()
        .filter(|attempt| attempt.phase == Phase::Succeeded);
    Target {
        desired,
        latest: attempt.or(latest),
        latest_successful: succeeded.or(latest_successful),
    }
}

impl From<Revision> for pb::Revision {
    fn from(revision: Revision) -> Self {
        Self {
            branch: revision.branch,
            directory: revision.directory,
            repository_name: revision.repository.name,
            repository_provider: pb::RepositoryProvider::from(revision.repository.provider).into(),
            sha: revision.sha,
        }
    }
}

impl From<RepositoryAttempt> for pb::RepositorySyncAttempt {
    fn from(attempt: RepositoryAttempt) -> Self {
        let status = match attempt.phase {
            Phase::Queued => pb::RepositorySyncStatus::Queued,
            Phase::Initiated => pb::RepositorySyncStatus::Initiated,
            Phase::InProgress => pb::RepositorySyncStatus::InProgress,
            Phase::Succeeded => pb::RepositorySyncStatus::Succeeded,
            Phase::Failed => pb::RepositorySyncStatus::Failed,
        };
        let event = |event: Event| pb::RepositorySyncEvent {
            event: event.text,
            external_id: event.external_id,
            time: timestamp(event.at_ms),
            r#type: event.kind,
        };
        Self {
            events: attempt.events.into_iter().map(event).collect(),
            started_at: timestamp(attempt.started_at_ms),
            status: status.into(),
        }
    }
}

impl From<ResourceAttempt> for pb::ResourceSyncAttempt {
    fn from(attempt: ResourceAttempt) -> Self {
        let status = match attempt.phase {
            Phase::Queued | Phase::Initiated => pb::ResourceSyncStatus::Initiated,
            Phase::InProgress => pb::ResourceSyncStatus::InProgress,
            Phase::Succeeded => pb::ResourceSyncStatus::Succeeded,
            Phase::Failed => pb::ResourceSyncStatus::Failed,
        };
        let event = |event: Event| pb::ResourceSyncEvent {
            event: event.text,
            external_id: event.external_id,
            time: timestamp(event.at_ms),
            r#type: event.kind,
        };
        Self {
            events: attempt.events.into_iter().map(event).collect(),
            initial_revision: Some(attempt.from.into()),
            started_at: timestamp(attempt.started_at_ms),
            status: status.into(),
            target: attempt.target,
            target_revision: Some(attempt.to.into()),
        }
    }
}

#[cfg(test)]
pub(in crate::control_plane) mod tests {
    use super::*;
    use crate::control_plane::repository::Provider;

    pub(in crate::control_plane) fn revision(sha: &str) -> Revision {
        Revision {
            repository: Name {
                provider: Provider::Github,
                name: "me/infra".to_owned(),
            },
            branch: "main".to_owned(),
            directory: "web/v1".to_owned(),
            sha: sha.to_owned(),
        }
    }

    pub(in crate::control_plane) fn attempt(phase: Phase, sha: &str) -> ResourceAttempt {
        ResourceAttempt {
            started_at_ms: 1_700_000_000_000,
            phase,
            target: "web:1".to_owned(),
            from: revision("0"),
            to: revision(sha),
            events: Vec::new(),
        }
    }

    #[test]
    fn the_latest_success_outlives_later_attempts() {
        let first = attempt(Phase::Succeeded, "1");
        let known = learn(None, revision("1"), Some(first.clone()));
        let known = learn(Some(known), revision("2"), None);
        assert_eq!(known.latest.as_ref(), Some(&first));
        let second = attempt(Phase::Failed, "2");
        let known = learn(Some(known), revision("2"), Some(second.clone()));
        assert_eq!(known.desired, revision("2"));
        assert_eq!(known.latest, Some(second));
        assert_eq!(known.latest_successful, Some(first));
    }
}
