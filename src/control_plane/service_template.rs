//! Service templates and their versions: what `template` and `template_version` do, in the words of these operations, and what
//! a version goes with: environments of certain templates, and components or none.

use super::idempotency::Fingerprint;
use super::pagination::Page;
use super::template::{self, Template};
use super::template_version::{self as version, Fit, MajorVersion, Shown};
use super::{Caller, ControlPlane, tags};
use crate::api::{Error, operation, pb};

const TYPE: template::Type = template::Type::Service;

pub(super) async fn create_service_template(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::CreateServiceTemplateRequest,
) -> Result<pb::CreateServiceTemplateResponse, Error> {
    tags::sort(&mut request.tags);
    let new = template::New {
        fingerprint: Fingerprint::take::<operation::CreateServiceTemplate>(&mut request),
        name: request.name,
        display_name: request.display_name,
        description: request.description,
        encryption_key: request.encryption_key,
        customer_managed: request.pipeline_provisioning.is_some(),
        tags: tags::from_request(request.tags)?,
    };
    let template = template::create(plane, caller, TYPE, new).await?;
    let service_template = Some(view(caller, &template));
    Ok(pb::CreateServiceTemplateResponse { service_template })
}

pub(super) async fn get_service_template(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetServiceTemplateRequest,
) -> Result<pb::GetServiceTemplateResponse, Error> {
    let template = template::get(plane, caller, TYPE, &request.name).await?;
    let service_template = Some(view(caller, &template));
    Ok(pb::GetServiceTemplateResponse { service_template })
}

pub(super) async fn list_service_templates(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::ListServiceTemplatesRequest,
) -> Result<pb::ListServiceTemplatesResponse, Error> {
    let (most, token) = (request.max_results.take(), request.next_token.take());
    let page = Page::of::<operation::ListServiceTemplates>(caller, &request, most, token)?;
    let (templates, next_token) = template::list(plane, caller, TYPE, &page).await?;
    let templates = templates
        .iter()
        .map(|template| summary(caller, template))
        .collect();
    Ok(pb::ListServiceTemplatesResponse {
        next_token,
        templates,
    })
}

pub(super) async fn update_service_template(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UpdateServiceTemplateRequest,
) -> Result<pb::UpdateServiceTemplateResponse, Error> {
    let edit = template::Edit {
        name: request.name,
        display_name: request.display_name,
        description: request.description,
    };
    let template = template::update(plane, caller, TYPE, edit).await?;
    let service_template = Some(view(caller, &template));
    Ok(pb::UpdateServiceTemplateResponse { service_template })
}

pub(super) async fn delete_service_template(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::DeleteServiceTemplateRequest,
) -> Result<pb::DeleteServiceTemplateResponse, Error> {
    let template = template::delete(plane, caller, TYPE, &request.name).await?;
    let service_template = template.map(|template| view(caller, &template));
    Ok(pb::DeleteServiceTemplateResponse { service_template })
}

pub(super) async fn create_service_template_version(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::CreateServiceTemplateVersionRequest,
) -> Result<pb::CreateServiceTemplateVersionResponse, Error> {
    tags::sort(&mut request.tags);
    let new = version::New {
        fingerprint: Fingerprint::take::<operation::CreateServiceTemplateVersion>(&mut request),
        template: request.template_name,
        major: request.major_version,
        description: request.description,
        source: request.source.into(),
        tags: tags::from_request(request.tags)?,
        fit: Some(Fit {
            environments: major_versions(request.compatible_environment_templates),
            components: !request.supported_component_sources.is_empty(),
        }),
    };
    let shown = version::create(plane, caller, TYPE, new).await?;
    let service_template_version = Some(version_view(caller, &shown));
    Ok(pb::CreateServiceTemplateVersionResponse {
        service_template_version,
    })
}

pub(super) async fn get_service_template_version(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetServiceTemplateVersionRequest,
) -> Result<pb::GetServiceTemplateVersionResponse, Error> {
    let name = version::Name {
        template: request.template_name,
        major: request.major_version,
        minor: request.minor_version,
    };
    let shown = version::get(plane, caller, TYPE, &name).await?;
    let service_template_version = Some(version_view(caller, &shown));
    Ok(pb::GetServiceTemplateVersionResponse {
        service_template_version,
    })
}

pub(super) async fn list_service_template_versions(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::ListServiceTemplateVersionsRequest,
) -> Result<pb::ListServiceTemplateVersionsResponse, Error> {
    let (most, token) = (request.max_results.take(), request.next_token.take());
    let page = Page::of::<operation::ListServiceTemplateVersions>(caller, &request, most, token)?;
    let (name, major) = (&request.template_name, request.major_version.as_deref());
    let (versions, next_token) = version::list(plane, caller, TYPE, name, major, &page).await?;
    let template_versions = versions
        .iter()
        .map(|shown| version_summary(caller, shown))
        .collect();
    Ok(pb::ListServiceTemplateVersionsResponse {
        next_token,
        template_versions,
    })
}

pub(super) async fn update_service_template_version(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UpdateServiceTemplateVersionRequest,
) -> Result<pb::UpdateServiceTemplateVersionResponse, Error> {
    let edit = version::Edit {
        status: request.status.is_some().then(|| request.status()),
        description: request.description,
        environments: request
            .compatible_environment_templates
            .map(|list| major_versions(list.items)),
        components: request
            .supported_component_sources
            .map(|list| !list.items.is_empty()),
    };
    let name = version::Name {
        template: request.template_name,
        major: request.major_version,
        minor: request.minor_version,
    };
    let shown = version::update(plane, caller, TYPE, &name, &edit).await?;
    let service_template_version = Some(version_view(caller, &shown));
    Ok(pb::UpdateServiceTemplateVersionResponse {
        service_template_version,
    })
}

pub(super) async fn delete_service_template_version(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::DeleteServiceTemplateVersionRequest,
) -> Result<pb::DeleteServiceTemplateVersionResponse, Error> {
    let name = version::Name {
        template: request.template_name,
        major: request.major_version,
        minor: request.minor_version,
    };
    let deleted = version::delete(plane, caller, TYPE, &name).await?;
    let service_template_version = deleted.map(|shown| version_view(caller, &shown));
    Ok(pb::DeleteServiceTemplateVersionResponse {
        service_template_version,
    })
}

fn view(caller: &Caller, template: &Template) -> pb::ServiceTemplate {
    template::view!(
        ServiceTemplate,
        TYPE,
        caller,
        template,
        pipeline_provisioning,
        encryption_key
    )
}

fn summary(caller: &Caller, template: &Template) -> pb::ServiceTemplateSummary {
    template::view!(
        ServiceTemplateSummary,
        TYPE,
        caller,
        template,
        pipeline_provisioning
    )
}

fn version_view(caller: &Caller, shown: &Shown) -> pb::ServiceTemplateVersion {
    let fit = shown
        .version
        .fit
        .as_ref()
        .expect("a service template's version says what it goes with");
    let environments = fit
        .environments
        .iter()
        .map(|named| pb::CompatibleEnvironmentTemplate {
            major_version: named.major.clone(),
            template_name: named.template.clone(),
        });
    let components = fit
        .components
        .then_some(pb::ServiceTemplateSupportedComponentSourceType::DirectlyDefined.into());
    version::view!(
        ServiceTemplateVersion, TYPE, caller, shown,
        schema: shown.schema.clone(),
        compatible_environment_templates: environments.collect(),
        supported_component_sources: components.into_iter().collect()
    )
}

fn version_summary(caller: &Caller, shown: &Shown) -> pb::ServiceTemplateVersionSummary {
    version::view!(ServiceTemplateVersionSummary, TYPE, caller, shown)
}

fn major_versions(named: Vec<pb::CompatibleEnvironmentTemplateInput>) -> Vec<MajorVersion> {
    let read = |named: pb::CompatibleEnvironmentTemplateInput| MajorVersion {
        template: named.template_name,
        major: named.major_version,
    };
    named.into_iter().map(read).collect()
}
