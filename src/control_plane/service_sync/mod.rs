//! Service sync: a service's instances are created and updated from what an ops file in a linked repository lists. Instances that
//! are changed by hand are left to those hands until somebody says otherwise (`blocker`).

pub(super) mod blocker;

use super::repository::Name;
use super::store::{Key, Kind};
use super::sync::{Config, Synced, status};
use super::{Caller, ControlPlane, service_instance};
use crate::api::{Error, pb};

pub(super) use self::blocker::{get_service_sync_blocker_summary, update_service_sync_blocker};

/// A service by the records of its sync.
pub(super) fn synced(caller: &Caller, service: &str) -> Synced {
    Synced {
        named: format!("service {service:?}"),
        subject: caller.key(Kind::Service, service),
        config: caller.key(Kind::ServiceSyncConfig, service),
        targets: caller.key(Kind::ServiceSyncTargets, service),
        blockers: Some(blockers_key(caller, service)),
    }
}

fn blockers_key(caller: &Caller, service: &str) -> Key {
    caller.key(Kind::ServiceSyncBlockers, service)
}

pub(super) async fn create_service_sync_config(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::CreateServiceSyncConfigRequest,
) -> Result<pb::CreateServiceSyncConfigResponse, Error> {
    let config = Config {
        repository: Name::of(request.repository_provider(), &request.repository_name)?,
        of: request.service_name,
        branch: request.branch,
        path: Some(request.file_path),
    };
    let synced = synced(caller, &config.of);
    synced.create(plane, caller, &config).await?;
    Ok(pb::CreateServiceSyncConfigResponse {
        service_sync_config: Some(view(config)),
    })
}

pub(super) async fn get_service_sync_config(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetServiceSyncConfigRequest,
) -> Result<pb::GetServiceSyncConfigResponse, Error> {
    let config = synced(caller, &request.service_name).get(plane).await?;
    Ok(pb::GetServiceSyncConfigResponse {
        service_sync_config: Some(view(config)),
    })
}

pub(super) async fn update_service_sync_config(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UpdateServiceSyncConfigRequest,
) -> Result<pb::UpdateServiceSyncConfigResponse, Error> {
    let config = Config {
        repository: Name::of(request.repository_provider(), &request.repository_name)?,
        of: request.service_name,
        branch: request.branch,
        path: Some(request.file_path),
    };
    let synced = synced(caller, &config.of);
    synced.update(plane, caller, &config).await?;
    Ok(pb::UpdateServiceSyncConfigResponse {
        service_sync_config: Some(view(config)),
    })
}

pub(super) async fn delete_service_sync_config(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::DeleteServiceSyncConfigRequest,
) -> Result<pb::DeleteServiceSyncConfigResponse, Error> {
    let config = synced(caller, &request.service_name).delete(plane).await?;
    Ok(pb::DeleteServiceSyncConfigResponse {
        service_sync_config: Some(view(config)),
    })
}

pub(super) async fn get_service_instance_sync_status(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetServiceInstanceSyncStatusRequest,
) -> Result<pb::GetServiceInstanceSyncStatusResponse, Error> {
    let (service, instance) = (&request.service_name, &request.service_instance_name);
    if !service_instance::is_known(plane, caller, service, instance).await? {
        let rule = format!("instance {instance:?} of service {service:?} does not exist");
        return Err(Error::not_found(rule));
    }
    let synced = synced(caller, service);
    let mut targets = status::targets(plane, &synced.targets).await?;
    let known = targets.remove(instance).ok_or_else(|| {
        let named = &synced.named;
        Error::not_found(format!("instance {instance:?} of {named} was never synced"))
    })?;
    Ok(pb::GetServiceInstanceSyncStatusResponse {
        desired_state: Some(known.desired.into()),
        latest_successful_sync: known.latest_successful.map(Into::into),
        latest_sync: known.latest.map(Into::into),
    })
}

fn view(config: Config) -> pb::ServiceSyncConfig {
    pb::ServiceSyncConfig {
        branch: config.branch,
        file_path: config.path.unwrap_or_default(),
        repository_name: config.repository.name,
        repository_provider: pb::RepositoryProvider::from(config.repository.provider).into(),
        service_name: config.of,
    }
}
