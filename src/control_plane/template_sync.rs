//! Template sync: a template's versions are registered from a branch of a linked repository.

use super::repository::Name;
use super::store::Kind;
use super::sync::{Config, Synced, status};
use super::template::Type;
use super::{Caller, ControlPlane};
use crate::api::{Error, pb};

/// A template by the records of its sync.
pub(super) fn synced(caller: &Caller, of: Type, name: &str) -> Synced {
    let id = match of {
        Type::Environment => format!("environment/{name}"),
        Type::Service => format!("service/{name}"),
    };
    Synced {
        named: of.named(name),
        subject: of.key(caller, name),
        config: caller.key(Kind::TemplateSyncConfig, id.as_str()),
        targets: caller.key(Kind::TemplateSyncTargets, id),
        blockers: None,
    }
}

impl From<pb::TemplateType> for Type {
    fn from(of: pb::TemplateType) -> Self {
        match of {
            pb::TemplateType::Environment => Self::Environment,
            pb::TemplateType::Service => Self::Service,
            pb::TemplateType::Unspecified => unreachable!("validation insists on a type"),
        }
    }
}

pub(super) async fn create_template_sync_config(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::CreateTemplateSyncConfigRequest,
) -> Result<pb::CreateTemplateSyncConfigResponse, Error> {
    let of = request.template_type();
    let config = Config {
        repository: Name::of(request.repository_provider(), &request.repository_name)?,
        of: request.template_name,
        branch: request.branch,
        path: request.subdirectory,
    };
    let synced = synced(caller, of.into(), &config.of);
    synced.create(plane, caller, &config).await?;
    Ok(pb::CreateTemplateSyncConfigResponse {
        template_sync_config: Some(view(of, config)),
    })
}

pub(super) async fn get_template_sync_config(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetTemplateSyncConfigRequest,
) -> Result<pb::GetTemplateSyncConfigResponse, Error> {
    let of = request.template_type();
    let synced = synced(caller, of.into(), &request.template_name);
    Ok(pb::GetTemplateSyncConfigResponse {
        template_sync_config: Some(view(of, synced.get(plane).await?)),
    })
}

pub(super) async fn update_template_sync_config(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UpdateTemplateSyncConfigRequest,
) -> Result<pb::UpdateTemplateSyncConfigResponse, Error> {
    let of = request.template_type();
    let config = Config {
        repository: Name::of(request.repository_provider(), &request.repository_name)?,
        of: request.template_name,
        branch: request.branch,
        path: request.subdirectory,
    };
    let synced = synced(caller, of.into(), &config.of);
    synced.update(plane, caller, &config).await?;
    Ok(pb::UpdateTemplateSyncConfigResponse {
        template_sync_config: Some(view(of, config)),
    })
}

pub(super) async fn delete_template_sync_config(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::DeleteTemplateSyncConfigRequest,
) -> Result<pb::DeleteTemplateSyncConfigResponse, Error> {
    let of = request.template_type();
    let synced = synced(caller, of.into(), &request.template_name);
    Ok(pb::DeleteTemplateSyncConfigResponse {
        template_sync_config: Some(view(of, synced.delete(plane).await?)),
    })
}

pub(super) async fn get_template_sync_status(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetTemplateSyncStatusRequest,
) -> Result<pb::GetTemplateSyncStatusResponse, Error> {
    let synced = synced(
        caller,
        request.template_type().into(),
        &request.template_name,
    );
    let major = &request.template_version;
    let mut targets = status::targets(plane, &synced.targets).await?;
    let known = targets.remove(major).ok_or_else(|| {
        let named = &synced.named;
        Error::not_found(format!("major version {major} of {named} was never synced"))
    })?;
    Ok(pb::GetTemplateSyncStatusResponse {
        desired_state: Some(known.desired.into()),
        latest_successful_sync: known.latest_successful.map(Into::into),
        latest_sync: known.latest.map(Into::into),
    })
}

fn view(of: pb::TemplateType, config: Config) -> pb::TemplateSyncConfig {
    pb::TemplateSyncConfig {
        branch: config.branch,
        repository_name: config.repository.name,
        repository_provider: pb::RepositoryProvider::from(config.repository.provider).into(),
        subdirectory: config.path,
        template_name: config.of,
        template_type: of.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Code;
    use crate::control_plane::repository_sync::list_repository_sync_definitions;
    use crate::control_plane::store::{Change, Put};
    use crate::control_plane::sync::status::Phase;
    use crate::control_plane::sync::status::tests::{attempt, revision};
    use crate::control_plane::tests::{caller, plane};

    fn config() -> pb::CreateTemplateSyncConfigRequest {
        pb::CreateTemplateSyncConfigRequest {
            branch: "main".to_owned(),
            repository_name: "me/infra".to_owned(),
            repository_provider: pb::RepositoryProvider::Github.into(),
            subdirectory: None,
            template_name: "web".to_owned(),
            template_type: pb::TemplateType::Environment.into(),
        }
    }

    async fn status(
        plane: &ControlPlane,
        major: &str,
    ) -> Result<pb::GetTemplateSyncStatusResponse, Code> {
        let request = pb::GetTemplateSyncStatusRequest {
            template_name: "web".to_owned(),
            template_type: pb::TemplateType::Environment.into(),
            template_version: major.to_owned(),
        };
        let status = get_template_sync_status(plane, &caller(), request).await;
        status.map_err(|error| error.code)
    }

    #[tokio::test]
    async fn what_sync_notes_of_a_major_version_is_told_until_the_configuration_goes() {
        let (plane, _directory) = plane();
        let synced = synced(&caller(), Type::Environment, "web");
        let repository = revision("1").repository;
        let there = Change::new()
            .put(Put::create(synced.subject.clone(), &()))
            .put(Put::create(repository.key(&caller()), &()));
        plane.store().commit(there).await.unwrap();
        create_template_sync_config(&plane, &caller(), config())
            .await
            .unwrap();
        assert_eq!(status(&plane, "1").await, Err(Code::ResourceNotFound));

        let done = Some(attempt(Phase::Succeeded, "1"));
        let change = status::note(&plane, &synced, Change::new(), "1", revision("2"), done);
        plane.store().commit(change.await.unwrap()).await.unwrap();
        let told = status(&plane, "1").await.unwrap();
        assert_eq!(told.desired_state.unwrap().sha, "2");
        assert_eq!(told.latest_sync, told.latest_successful_sync);
        assert_eq!(told.latest_sync.unwrap().target, "web:1");
        assert_eq!(status(&plane, "2").await, Err(Code::ResourceNotFound));

        let request = pb::ListRepositorySyncDefinitionsRequest {
            next_token: None,
            repository_name: repository.name.clone(),
            repository_provider: pb::RepositoryProvider::Github.into(),
            sync_type: pb::SyncType::TemplateSync.into(),
        };
        let listed = list_repository_sync_definitions(&plane, &caller(), request).await;
        let definition = pb::RepositorySyncDefinition {
            branch: "main".to_owned(),
            directory: "web/v1".to_owned(),
            parent: "web".to_owned(),
            target: "web:1".to_owned(),
        };
        assert_eq!(listed.unwrap().sync_definitions, [definition]);

        synced.delete(&plane).await.unwrap();
        assert_eq!(status(&plane, "1").await, Err(Code::ResourceNotFound));
        let late = status::note(&plane, &synced, Change::new(), "1", revision("3"), None);
        assert!(plane.store().commit(late.await.unwrap()).await.is_err());
    }
}
