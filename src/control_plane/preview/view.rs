//! Renderings as the API shows them.

use std::collections::BTreeMap;

use aws_smithy_types::base64;

use super::super::Caller;
use super::super::bundle::File;
use super::super::deployable::Deploys;
use super::super::render::{Build, Method, Rendering};
use crate::api::pb;

/// What a deployment of the resource would send, or what its removal would.
pub(super) fn deployment<R: Deploys>(
    caller: &Caller,
    resource: &R,
    deletes: bool,
    sent: Rendering,
) -> pb::PreviewedDeployment {
    let target = resource.target();
    pb::PreviewedDeployment {
        content: Some(content(sent)),
        deletes,
        target_arn: target.arn(caller),
        target_resource_type: target.resource_type().into(),
    }
}

pub(in super::super) fn content(rendering: Rendering) -> pb::DeploymentContent {
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

fn file_view(path: &str, file: &File) -> pb::DeploymentFile {
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
    use super::super::super::bundle::Files;
    use super::*;
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
        let content = content(Rendering {
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
