//! Environment templates and their versions: what `template` and `template_version` do, in the words of these operations.

use super::idempotency::Fingerprint;
use super::pagination::Page;
use super::template::{self, Template};
use super::template_version::{self as version, Shown};
use super::{Caller, ControlPlane, tags};
use crate::api::{Error, operation, pb};

const TYPE: template::Type = template::Type::Environment;

pub(super) async fn create_environment_template(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::CreateEnvironmentTemplateRequest,
) -> Result<pb::CreateEnvironmentTemplateResponse, Error> {
    tags::sort(&mut request.tags);
    let new = template::New {
        fingerprint: Fingerprint::take::<operation::CreateEnvironmentTemplate>(&mut request),
        name: request.name,
        display_name: request.display_name,
        description: request.description,
        encryption_key: request.encryption_key,
        customer_managed: request.provisioning.is_some(),
        tags: tags::from_request(request.tags)?,
    };
    let template = template::create(plane, caller, TYPE, new).await?;
    let environment_template = Some(view(caller, &template));
    Ok(pb::CreateEnvironmentTemplateResponse {
        environment_template,
    })
}

pub(super) async fn get_environment_template(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetEnvironmentTemplateRequest,
) -> Result<pb::GetEnvironmentTemplateResponse, Error> {
    let template = template::get(plane, caller, TYPE, &request.name).await?;
    let environment_template = Some(view(caller, &template));
    Ok(pb::GetEnvironmentTemplateResponse {
        environment_template,
    })
}

pub(super) async fn list_environment_templates(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::ListEnvironmentTemplatesRequest,
) -> Result<pb::ListEnvironmentTemplatesResponse, Error> {
    let (most, token) = (request.max_results.take(), request.next_token.take());
    let page = Page::of::<operation::ListEnvironmentTemplates>(caller, &request, most, token)?;
    let (templates, next_token) = template::list(plane, caller, TYPE, &page).await?;
    let templates = templates
        .iter()
        .map(|template| summary(caller, template))
        .collect();
    Ok(pb::ListEnvironmentTemplatesResponse {
        next_token,
        templates,
    })
}

pub(super) async fn update_environment_template(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UpdateEnvironmentTemplateRequest,
) -> Result<pb::UpdateEnvironmentTemplateResponse, Error> {
    let edit = template::Edit {
        name: request.name,
        display_name: request.display_name,
        description: request.description,
    };
    let template = template::update(plane, caller, TYPE, edit).await?;
    let environment_template = Some(view(caller, &template));
    Ok(pb::UpdateEnvironmentTemplateResponse {
        environment_template,
    })
}

pub(super) async fn delete_environment_template(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::DeleteEnvironmentTemplateRequest,
) -> Result<pb::DeleteEnvironmentTemplateResponse, Error> {
    let template = template::delete(plane, caller, TYPE, &request.name).await?;
    let environment_template = template.map(|template| view(caller, &template));
    Ok(pb::DeleteEnvironmentTemplateResponse {
        environment_template,
    })
}

pub(super) async fn create_environment_template_version(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::CreateEnvironmentTemplateVersionRequest,
) -> Result<pb::CreateEnvironmentTemplateVersionResponse, Error> {
    tags::sort(&mut request.tags);
    let new = version::New {
        fingerprint: Fingerprint::take::<operation::CreateEnvironmentTemplateVersion>(&mut request),
        template: request.template_name,
        major: request.major_version,
        description: request.description,
        source: request.source.into(),
        tags: tags::from_request(request.tags)?,
        fit: None,
    };
    let shown = version::create(plane, caller, TYPE, new).await?;
    let environment_template_version = Some(version_view(caller, &shown));
    Ok(pb::CreateEnvironmentTemplateVersionResponse {
        environment_template_version,
    })
}

pub(super) async fn get_environment_template_version(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetEnvironmentTemplateVersionRequest,
) -> Result<pb::GetEnvironmentTemplateVersionResponse, Error> {
    let name = version::Name {
        template: request.template_name,
        major: request.major_version,
        minor: request.minor_version,
    };
    let shown = version::get(plane, caller, TYPE, &name).await?;
    let environment_template_version = Some(version_view(caller, &shown));
    Ok(pb::GetEnvironmentTemplateVersionResponse {
        environment_template_version,
    })
}

pub(super) async fn list_environment_template_versions(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::ListEnvironmentTemplateVersionsRequest,
) -> Result<pb::ListEnvironmentTemplateVersionsResponse, Error> {
    let (most, token) = (request.max_results.take(), request.next_token.take());
    let page =
        Page::of::<operation::ListEnvironmentTemplateVersions>(caller, &request, most, token)?;
    let (name, major) = (&request.template_name, request.major_version.as_deref());
    let (versions, next_token) = version::list(plane, caller, TYPE, name, major, &page).await?;
    let template_versions = versions
        .iter()
        .map(|shown| version_summary(caller, shown))
        .collect();
    Ok(pb::ListEnvironmentTemplateVersionsResponse {
        next_token,
        template_versions,
    })
}

pub(super) async fn update_environment_template_version(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UpdateEnvironmentTemplateVersionRequest,
) -> Result<pb::UpdateEnvironmentTemplateVersionResponse, Error> {
    let edit = version::Edit {
        status: request.status.is_some().then(|| request.status()),
        description: request.description,
        environments: None,
        components: None,
    };
    let name = version::Name {
        template: request.template_name,
        major: request.major_version,
        minor: request.minor_version,
    };
    let shown = version::update(plane, caller, TYPE, &name, &edit).await?;
    let environment_template_version = Some(version_view(caller, &shown));
    Ok(pb::UpdateEnvironmentTemplateVersionResponse {
        environment_template_version,
    })
}

pub(super) async fn delete_environment_template_version(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::DeleteEnvironmentTemplateVersionRequest,
) -> Result<pb::DeleteEnvironmentTemplateVersionResponse, Error> {
    let name = version::Name {
        template: request.template_name,
        major: request.major_version,
        minor: request.minor_version,
    };
    let deleted = version::delete(plane, caller, TYPE, &name).await?;
    let environment_template_version = deleted.map(|shown| version_view(caller, &shown));
    Ok(pb::DeleteEnvironmentTemplateVersionResponse {
        environment_template_version,
    })
}

fn view(caller: &Caller, template: &Template) -> pb::EnvironmentTemplate {
    template::view!(
        EnvironmentTemplate,
        TYPE,
        caller,
        template,
        provisioning,
        encryption_key
    )
}

fn summary(caller: &Caller, template: &Template) -> pb::EnvironmentTemplateSummary {
    template::view!(
        EnvironmentTemplateSummary,
        TYPE,
        caller,
        template,
        provisioning
    )
}

fn version_view(caller: &Caller, shown: &Shown) -> pb::EnvironmentTemplateVersion {
    version::view!(EnvironmentTemplateVersion, TYPE, caller, shown, schema: shown.schema.clone())
}

fn version_summary(caller: &Caller, shown: &Shown) -> pb::EnvironmentTemplateVersionSummary {
    version::view!(EnvironmentTemplateVersionSummary, TYPE, caller, shown)
}
