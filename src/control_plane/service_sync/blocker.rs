//! Blockers: what sync leaves alone since somebody changed it by hand. An instance that was created or updated blocks itself, one
//! that was deleted the whole service. All blockers of a service are one record, the newest last.

use serde::{Deserialize, Serialize};

use super::{blockers_key, synced};
use crate::api::{Error, pb};
use crate::control_plane::attempts::Attempts;
use crate::control_plane::resource::timestamp;
use crate::control_plane::store::{Change, Expect, Index, Key, Kind, Order, Put, Record};
use crate::control_plane::sync::status::Targets;
use crate::control_plane::{Caller, ControlPlane, service_instance};

/// From the id of a blocker to the record that it is in.
const BY_ID: Index = Index::new("service_sync_blocker");

/// How many resolved blockers of a service are remembered.
const RESOLVED: usize = 20;

/// The longest reason that is remembered, in characters.
const REASON: usize = 5000;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Blocker {
    id: String,
    /// Absent if the whole service is blocked.
    instance: Option<String>,
    created_at_ms: i64,
    created_reason: String,
    contexts: Vec<(String, String)>,
    resolved: Option<Resolved>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Resolved {
    at_ms: i64,
    reason: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Blockers {
    service: String,
    blockers: Vec<Blocker>,
}

impl Blockers {
    fn is_blocked(&self, instance: Option<&str>) -> bool {
        let mut blockers = self.blockers.iter();
        blockers.any(|known| known.instance.as_deref() == instance && known.resolved.is_none())
    }

    /// Blocks what the deed calls for, unless that is blocked already.
    fn add(&mut self, plane: &ControlPlane, instance: &str, deed: Deed) {
        let (blocked, verb) = match deed {
            Deed::Created => (Some(instance), "created"),
            Deed::Updated => (Some(instance), "updated"),
            Deed::Deleted => (None, "deleted"),
        };
        if deed == Deed::Deleted {
            let of_it = |known: &Blocker| known.instance.as_deref() == Some(instance);
            self.blockers.retain(|known| !of_it(known));
        }
        if self.is_blocked(blocked) {
            return;
        }
        self.blockers.push(Blocker {
            id: plane.ambient().uuid(),
            instance: blocked.map(str::to_owned),
            created_at_ms: plane.now_ms(),
            created_reason: format!("service instance {instance:?} was {verb} by hand"),
            contexts: vec![("serviceInstanceName".to_owned(), instance.to_owned())],
            resolved: None,
        });
    }

    /// Forgets the oldest of too many that are resolved.
    fn trim(&mut self) {
        let is_resolved = |blocker: &Blocker| blocker.resolved.is_some();
        let resolved = self.blockers.iter().filter(|known| is_resolved(known));
        let mut excess = resolved.count().saturating_sub(RESOLVED);
        self.blockers.retain(|known| {
            let goes = is_resolved(known) && excess > 0;
            excess -= usize::from(goes);
            !goes
        });
    }

    fn put(&self, key: Key, former: Option<&Record>) -> Put {
        let put = match former {
            Some(record) => Put::update(record, self),
            None => Put::create(key, self),
        };
        let ids = self.blockers.iter().map(|blocker| blocker.id.as_str());
        ids.fold(put, |put, id| put.indexed(BY_ID, id))
    }
}

/// What was done by hand to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control_plane) enum Deed {
    Created,
    Updated,
    Deleted,
}

/// Adds to a change that is made by hand what keeps sync from undoing it: of the instances of a service, what was done to each.
/// Without a sync configuration there is nothing to keep.
pub(in crate::control_plane) async fn block(
    plane: &ControlPlane,
    caller: &Caller,
    mut change: Change,
    service: &str,
    deeds: &[(&str, Deed)],
) -> Result<Change, Error> {
    let synced = synced(caller, service);
    let key = blockers_key(caller, service);
    let keys = [synced.config.clone(), synced.targets, key.clone()];
    let records = plane.store().get_many(&keys).await?;
    let [config, targets, former] = &records[..] else {
        unreachable!("one record is answered a key");
    };
    if config.is_none() || deeds.is_empty() {
        return Ok(change);
    }
    change = change.expect(Expect::Present(synced.config));

    let mut blockers: Blockers = match former {
        Some(record) => record.read()?,
        None => Blockers {
            service: service.to_owned(),
            blockers: Vec::new(),
        },
    };
    for (instance, deed) in deeds {
        blockers.add(plane, instance, *deed);
    }
    let deleted: Vec<&str> = deeds
        .iter()
        .filter(|(_, deed)| *deed == Deed::Deleted)
        .map(|(instance, _)| *instance)
        .collect();
    if let (Some(record), false) = (targets, deleted.is_empty()) {
        let mut targets: Targets = record.read()?;
        targets.retain(|instance, _| !deleted.contains(&&**instance));
        change = change.put(Put::update(record, &targets));
    }
    Ok(change.put(blockers.put(key, former.as_ref())))
}

pub(in crate::control_plane) async fn get_service_sync_blocker_summary(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetServiceSyncBlockerSummaryRequest,
) -> Result<pb::GetServiceSyncBlockerSummaryResponse, Error> {
    let (service, instance) = (request.service_name, request.service_instance_name);
    let (is_there, named) = match &instance {
        None => {
            let service = caller.key(Kind::Service, service.as_str());
            let found = plane.store().get(&service).await?;
            (found.is_some(), format!("service {:?}", service.id))
        }
        Some(instance) => (
            service_instance::is_known(plane, caller, &service, instance).await?,
            format!("instance {instance:?} of service {service:?}"),
        ),
    };
    if !is_there {
        return Err(Error::not_found(format!("{named} does not exist")));
    }
    let record = plane.store().get(&blockers_key(caller, &service)).await?;
    let known: Blockers = record
        .map(|record| record.read())
        .transpose()?
        .unwrap_or_default();
    let asked_for = known
        .blockers
        .into_iter()
        .rev()
        .filter(|blocker| blocker.instance == instance);
    Ok(pb::GetServiceSyncBlockerSummaryResponse {
        service_sync_blocker_summary: Some(pb::ServiceSyncBlockerSummary {
            latest_blockers: asked_for.map(view).collect(),
            service_instance_name: instance.clone(),
            service_name: service,
        }),
    })
}

pub(in crate::control_plane) async fn update_service_sync_blocker(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UpdateServiceSyncBlockerRequest,
) -> Result<pb::UpdateServiceSyncBlockerResponse, Error> {
    let id = &request.id;
    if request.resolved_reason.chars().count() > REASON {
        let rule = format!("resolvedReason: at most {REASON} characters are remembered");
        return Err(Error::validation(rule));
    }
    let mut attempts = Attempts::default();
    loop {
        let (record, mut known, at) = find(plane, caller, id)
            .await?
            .ok_or_else(|| Error::not_found("there is no blocker of this id"))?;
        let blocker = &mut known.blockers[at];
        if blocker.resolved.is_some() {
            return Err(Error::conflict(format!("blocker {id} is resolved already")));
        }
        blocker.resolved = Some(Resolved {
            at_ms: plane.now_ms(),
            reason: request.resolved_reason.clone(),
        });
        let blocker = blocker.clone();
        known.trim();
        let put = known.put(record.key.clone(), Some(&record));
        match plane.store().commit(Change::new().put(put)).await {
            Ok(_) => {
                return Ok(pb::UpdateServiceSyncBlockerResponse {
                    service_instance_name: blocker.instance.clone(),
                    service_name: known.service,
                    service_sync_blocker: Some(view(blocker)),
                });
            }
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

/// The caller's blocker of this id, by the record that it is in and its place there.
async fn find(
    plane: &ControlPlane,
    caller: &Caller,
    id: &str,
) -> Result<Option<(Record, Blockers, usize)>, Error> {
    // The API lets an id be any text; ours are UUIDs.
    if !id
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    {
        return Ok(None);
    }
    let found = plane
        .store()
        .list_by(BY_ID, id, None, 1, Order::Ascending)
        .await?;
    let own = found
        .into_iter()
        .find(|record| record.key.scope == caller.scope());
    let Some(record) = own else {
        return Ok(None);
    };
    let known: Blockers = record.read()?;
    let at = known.blockers.iter().position(|blocker| blocker.id == id);
    Ok(at.map(|at| (record, known, at)))
}

fn view(blocker: Blocker) -> pb::SyncBlocker {
    let status = match &blocker.resolved {
        None => pb::BlockerStatus::Active,
        Some(_) => pb::BlockerStatus::Resolved,
    };
    let context = |(key, value)| pb::SyncBlockerContext { key, value };
    pb::SyncBlocker {
        contexts: blocker.contexts.into_iter().map(context).collect(),
        created_at: timestamp(blocker.created_at_ms),
        created_reason: blocker.created_reason,
        id: blocker.id,
        resolved_at: (blocker.resolved.as_ref()).and_then(|resolved| timestamp(resolved.at_ms)),
        resolved_reason: blocker.resolved.map(|resolved| resolved.reason),
        status: status.into(),
        r#type: pb::BlockerType::Automated.into(),
    }
}

#[cfg(test)]
mod tests;
