//! What deployments send: of one that is only considered, and of one that was made. The Proton API knows nothing of it; for those who
//! write templates it is the shortest way from a spec to what the engine gets.

use std::collections::BTreeMap;

use aws_smithy_types::base64;

use super::deployable::{Deploys, Trouble};
use super::reconcile::render_in_background;
use super::render::{Build, Method, Rendering};
use super::{Caller, ControlPlane, bundle, component, deployment, environment};
use crate::api::{Error, pb};
use pb::previewed_call::Kind as Call;

pub(super) async fn preview_deployment(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::PreviewDeploymentRequest,
) -> Result<pb::PreviewDeploymentResponse, Error> {
    let Some(call) = request.call.and_then(|call| call.kind) else {
        unreachable!("validation insists on a call");
    };
    let rendering = match call {
        Call::CreateComponent(call) => {
            rendered(
                plane,
                caller,
                component::created(plane, caller, call).await?,
            )
            .await?
        }
        Call::CreateEnvironment(call) => {
            rendered(
                plane,
                caller,
                environment::created(plane, caller, call).await?,
            )
            .await?
        }
        Call::UpdateComponent(call) => {
            rendered(
                plane,
                caller,
                component::updated(plane, caller, call).await?,
            )
            .await?
        }
        Call::UpdateEnvironment(call) => {
            rendered(
                plane,
                caller,
                environment::updated(plane, caller, call).await?,
            )
            .await?
        }
    };
    Ok(pb::PreviewDeploymentResponse {
        content: Some(view(rendering)),
    })
}

/// What the deployment of a resource would send, which is at the state that a call would leave.
async fn rendered<R: Deploys>(
    plane: &ControlPlane,
    caller: &Caller,
    resource: R,
) -> Result<Rendering, Error> {
    let deployable = resource.deployable();
    if deployable.wanted.is_none() {
        return Err(Error::validation("call: it deploys nothing"));
    }
    let rendered = async {
        let prepared = resource
            .prepare(plane, caller, &deployable.attempted)
            .await?;
        render_in_background(plane, prepared).await
    };
    rendered.await.map_err(|trouble| match trouble {
        Trouble::Unfit(message) => Error::validation(message),
        Trouble::Setback(cause) => {
            tracing::error!(
                error = &*cause as &dyn std::error::Error,
                "a preview failed"
            );
            Error::internal()
        }
    })
}

pub(super) async fn get_deployment_content(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetDeploymentContentRequest,
) -> Result<pb::GetDeploymentContentResponse, Error> {
    let id = &request.id;
    let deployment = plane
        .deployment(caller, id)
        .await?
        .ok_or_else(|| Error::not_found(format!("deployment {id} does not exist")))?;
    let sent = deployment::rendering(plane, &deployment.key).await?;
    let sent = sent.ok_or_else(|| Error::not_found(format!("deployment {id} has sent nothing")))?;
    Ok(pb::GetDeploymentContentResponse {
        content: Some(view(sent)),
    })
}

fn view(rendering: Rendering) -> pb::DeploymentContent {
    let method = match rendering.method {
        Method::CloudFormation => pb::ProvisioningMethod::Cloudformation,
        Method::CodeBuild => pb::ProvisioningMethod::Codebuild,
        Method::Terraform => pb::ProvisioningMethod::Terraform,
    };
    let files = rendering.files.iter();
    pb::DeploymentContent {
        build: rendering.build.map(build_view),
        files: files.map(|(path, file)| file_view(path, file)).collect(),
        method: method.into(),
    }
}

fn file_view(path: &str, file: &bundle::File) -> pb::DeploymentFile {
    use pb::deployment_file_content::Kind;
    let kind = match str::from_utf8(&file.contents) {
        Ok(text) => Kind::Text(text.to_owned()),
        Err(_) => Kind::Base64(base64::encode(&file.contents)),
    };
    pb::DeploymentFile {
        content: Some(pb::DeploymentFileContent { kind: Some(kind) }),
        executable: file.executable,
        path: path.to_owned(),
    }
}

fn build_view(build: Build) -> pb::DeploymentBuild {
    let entries = |entries: BTreeMap<String, String>| {
        let entry = |(name, value)| pb::DeploymentBuildEntry { name, value };
        entries.into_iter().map(entry).collect()
    };
    pb::DeploymentBuild {
        deprovision: build.deprovision,
        image: build.image,
        project_properties: serde_json::Value::Object(build.project_properties).to_string(),
        provision: build.provision,
        runtimes: entries(build.runtimes),
        secrets: entries(build.secrets_manager),
        variables: entries(build.variables),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bundle::{File, Files};
    use bytes::Bytes;

    #[test]
    fn what_is_no_text_is_shown_in_base64() {
        use pb::deployment_file_content::Kind;
        let shown = |contents: &'static [u8]| {
            let file = File {
                contents: Bytes::from_static(contents),
                executable: true,
            };
            let view = file_view("run.sh", &file);
            assert_eq!((&*view.path, view.executable), ("run.sh", true));
            view.content.and_then(|content| content.kind)
        };
        assert_eq!(shown(b"true\n"), Some(Kind::Text("true\n".to_owned())));
        assert_eq!(shown(&[0xff]), Some(Kind::Base64("/w==".to_owned())));
    }

    #[test]
    fn the_settings_of_a_build_are_shown_with_it() {
        let build = Build {
            image: None,
            runtimes: BTreeMap::from([("nodejs".to_owned(), "16".to_owned())]),
            variables: BTreeMap::new(),
            secrets_manager: BTreeMap::new(),
            provision: vec!["deploy".to_owned()],
            deprovision: vec!["destroy".to_owned()],
            project_properties: serde_json::Map::new(),
        };
        let content = view(Rendering {
            method: Method::CodeBuild,
            files: Files::default(),
            build: Some(build),
        });
        assert_eq!(content.method(), pb::ProvisioningMethod::Codebuild);
        let build = content.build.unwrap();
        assert_eq!(build.provision, ["deploy"]);
        assert_eq!(build.runtimes[0].value, "16");
        assert_eq!(build.project_properties, "{}");
    }
}
