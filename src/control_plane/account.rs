//! The account: its settings for service pipelines.

use serde::{Deserialize, Serialize};

use super::attempts::Attempts;
use super::deployable::{Place, Trouble};
use super::render::Method;
use super::repository;
use super::store::{Change, Expect, Key, Kind, Put};
use super::{Caller, ControlPlane};
use crate::api::{Error, pb};

/// What all service pipelines of the account are provisioned with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Settings {
    pipeline_codebuild_role_arn: Option<String>,
    pipeline_provisioning_repository: Option<repository::Branch>,
    pipeline_service_role_arn: Option<String>,
}

fn settings_key(caller: &Caller) -> Key {
    caller.key(Kind::AccountSettings, "settings")
}

pub(super) async fn get_account_settings(
    plane: &ControlPlane,
    caller: &Caller,
    _: pb::GetAccountSettingsRequest,
) -> Result<pb::GetAccountSettingsResponse, Error> {
    let record = plane.store().get(&settings_key(caller)).await?;
    let settings: Settings = record
        .map(|record| record.read())
        .transpose()?
        .unwrap_or_default();
    Ok(pb::GetAccountSettingsResponse {
        account_settings: Some(view(caller, settings)),
    })
}

pub(super) async fn update_account_settings(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UpdateAccountSettingsRequest,
) -> Result<pb::UpdateAccountSettingsResponse, Error> {
    if request.pipeline_provisioning_repository.is_some()
        && request.delete_pipeline_provisioning_repository == Some(true)
    {
        return Err(Error::validation(
            "deletePipelineProvisioningRepository: a repository cannot be deleted and given at once",
        ));
    }
    let given = (request.pipeline_provisioning_repository.as_ref())
        .map(repository::Branch::of)
        .transpose()?;
    let key = settings_key(caller);
    let mut attempts = Attempts::default();
    loop {
        let record = plane.store().get(&key).await?;
        let now = record
            .as_ref()
            .map(|record| record.read())
            .transpose()?
            .unwrap_or_default();
        let next = merge(now, &request, given.as_ref());
        let mut put = match &record {
            Some(record) => Put::update(record, &next),
            None => Put::create(key.clone(), &next),
        };
        let mut change = Change::new();
        if let Some(branch) = &next.pipeline_provisioning_repository {
            let repository = &branch.repository;
            repository.check_linked(plane, caller).await?;
            put = put.indexed(repository::USED, repository.arn(caller));
            change = change.expect(Expect::Present(repository.key(caller)));
        }
        match plane.store().commit(change.put(put)).await {
            Ok(_) => {
                return Ok(pb::UpdateAccountSettingsResponse {
                    account_settings: Some(view(caller, next)),
                });
            }
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

/// The role for pipelines of a method, where there is one. The error names the setting that is missing.
async fn pipeline_role(
    plane: &ControlPlane,
    caller: &Caller,
    method: Method,
) -> Result<Option<String>, Error> {
    let record = plane.store().get(&settings_key(caller)).await?;
    let settings: Settings = record
        .map(|record| record.read())
        .transpose()?
        .unwrap_or_default();
    let (name, role) = match method {
        Method::CloudFormation => ("pipelineServiceRoleArn", settings.pipeline_service_role_arn),
        Method::CodeBuild => (
            "pipelineCodebuildRoleArn",
            settings.pipeline_codebuild_role_arn,
        ),
        Method::Terraform if settings.pipeline_provisioning_repository.is_some() => {
            return Ok(None);
        }
        Method::Terraform => ("pipelineProvisioningRepository", None),
    };
    match role {
        Some(role) => Ok(Some(role)),
        None => Err(Error::validation(format!(
            "the account settings have no {name}, with which the pipeline is provisioned"
        ))),
    }
}

/// Whether pipelines of the method can be provisioned.
pub(super) async fn check_pipeline(
    plane: &ControlPlane,
    caller: &Caller,
    method: Method,
) -> Result<(), Error> {
    pipeline_role(plane, caller, method).await.map(drop)
}

/// Where pipelines are provisioned: in the account itself.
pub(super) async fn pipeline_place(
    plane: &ControlPlane,
    caller: &Caller,
    method: Method,
    tags: Vec<(String, String)>,
) -> Result<Place, Trouble> {
    Ok(Place {
        account_id: caller.account().to_owned(),
        role_arn: pipeline_role(plane, caller, method).await?,
        tags,
    })
}

fn merge(
    now: Settings,
    request: &pb::UpdateAccountSettingsRequest,
    given: Option<&repository::Branch>,
) -> Settings {
    let kept = match request.delete_pipeline_provisioning_repository {
        Some(true) => None,
        _ => now.pipeline_provisioning_repository,
    };
    Settings {
        pipeline_provisioning_repository: given.cloned().or(kept),
        pipeline_codebuild_role_arn: merge_role(
            now.pipeline_codebuild_role_arn,
            &request.pipeline_codebuild_role_arn,
        ),
        pipeline_service_role_arn: merge_role(
            now.pipeline_service_role_arn,
            &request.pipeline_service_role_arn,
        ),
    }
}

/// An absent role stays as it is, an empty one is taken away.
fn merge_role(now: Option<String>, asked: &Option<String>) -> Option<String> {
    match asked.as_deref() {
        None => now,
        Some("") => None,
        Some(role) => Some(role.to_owned()),
    }
}

fn view(caller: &Caller, settings: Settings) -> pb::AccountSettings {
    pb::AccountSettings {
        pipeline_codebuild_role_arn: settings.pipeline_codebuild_role_arn,
        pipeline_provisioning_repository: (settings.pipeline_provisioning_repository)
            .map(|branch| branch.view(caller)),
        pipeline_service_role_arn: settings.pipeline_service_role_arn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_roles_replace_absent_ones_stay_and_empty_ones_go() {
        let now = || Some("old".to_owned());
        assert_eq!(merge_role(now(), &None), now());
        assert_eq!(
            merge_role(now(), &Some("new".to_owned())).as_deref(),
            Some("new")
        );
        assert_eq!(merge_role(now(), &Some(String::new())), None);
    }
}
