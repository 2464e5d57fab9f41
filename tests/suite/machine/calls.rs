//! The 87 operations through the SDK's client, by their names, with requests as JSON. What the SDK makes of the answers is seen
//! elsewhere; here they are taken as they come over the wire, after the SDK has read them.

#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use std::sync::{Arc, Mutex};

use aws_sdk_proton::Client;
use aws_sdk_proton::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_proton::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_proton::error::{BoxError, ProvideErrorMetadata as _};
use aws_sdk_proton::types::*;
use serde_json::Value;

use super::super::operations;
use super::super::stack::{compatible, source};
use super::model::VALIDATION;

/// The error's name and its message.
pub(super) type Refused = (String, String);

/// The errors that are documented for an operation, but for those that any call can end with.
pub(super) fn documented(operation: &str) -> Vec<&'static str> {
    let mut all = operations::ALL.iter().map(|known| known.facts);
    let facts = all.find(|facts| facts.name == operation);
    let declared = facts.expect("it is one").declared.iter().copied();
    declared.chain([VALIDATION]).collect()
}

/// The body of the last answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Tap(Arc<Mutex<Vec<u8>>>);

impl Tap {
    fn take(&self) -> Value {
        serde_json::from_slice(&self.0.lock().unwrap()).expect("answers are JSON")
    }
}

impl Intercept for Tap {
    fn name(&self) -> &'static str {
        "tap"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context
            .response()
            .body()
            .bytes()
            .expect("bodies are in memory");
        *self.0.lock().unwrap() = body.to_vec();
        Ok(())
    }
}

/// A member of a request, from its JSON.
trait Member: Sized {
    fn of(value: &Value) -> Option<Self>;
}

impl Member for String {
    fn of(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl Member for i32 {
    fn of(value: &Value) -> Option<Self> {
        value.as_i64().and_then(|number| number.try_into().ok())
    }
}

impl Member for bool {
    fn of(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl<T: Member> Member for Vec<T> {
    fn of(value: &Value) -> Option<Self> {
        value
            .as_array()
            .map(|items| items.iter().filter_map(T::of).collect())
    }
}

macro_rules! enums {
    ($($name:ident)*) => {
        $(impl Member for $name {
            fn of(value: &Value) -> Option<Self> {
                value.as_str().map(Self::from)
            }
        })*
    };
}

enums! {
    ComponentDeploymentUpdateType DeploymentUpdateType EnvironmentAccountConnectionRequesterAccountType
    EnvironmentAccountConnectionStatus ListServiceInstancesFilterBy ListServiceInstancesSortBy Provisioning
    RepositoryProvider ResourceDeploymentStatus ServiceTemplateSupportedComponentSourceType SortOrder SyncType
    TemplateType TemplateVersionStatus
}

fn text(value: &Value, member: &str) -> String {
    String::of(&value[member]).unwrap_or_default()
}

impl Member for Tag {
    fn of(value: &Value) -> Option<Self> {
        let tag = Self::builder().key(text(value, "key"));
        tag.value(text(value, "value")).build().ok()
    }
}

impl Member for Output {
    fn of(value: &Value) -> Option<Self> {
        let output = Self::builder().key(text(value, "key"));
        Some(output.value_string(text(value, "valueString")).build())
    }
}

impl Member for TemplateVersionSourceInput {
    fn of(value: &Value) -> Option<Self> {
        String::of(&value["s3"]["key"]).map(|key| source(&key))
    }
}

impl Member for RepositoryBranchInput {
    fn of(value: &Value) -> Option<Self> {
        let branch = Self::builder().set_provider(Member::of(&value["provider"]));
        let branch = branch
            .name(text(value, "name"))
            .branch(text(value, "branch"));
        value.is_object().then(|| branch.build().unwrap())
    }
}

impl Member for CompatibleEnvironmentTemplateInput {
    fn of(value: &Value) -> Option<Self> {
        Some(compatible(
            &text(value, "templateName"),
            &text(value, "majorVersion"),
        ))
    }
}

impl Member for EnvironmentTemplateFilter {
    fn of(value: &Value) -> Option<Self> {
        let filter = Self::builder().template_name(text(value, "templateName"));
        filter
            .major_version(text(value, "majorVersion"))
            .build()
            .ok()
    }
}

impl Member for ListServiceInstancesFilter {
    fn of(value: &Value) -> Option<Self> {
        let filter = Self::builder().set_key(Member::of(&value["key"]));
        Some(filter.value(text(value, "value")).build())
    }
}

/// `set_next_token` sets `nextToken`.
fn member<'a>(request: &'a Value, setter: &str) -> &'a Value {
    let mut name = String::new();
    for (index, word) in setter.trim_start_matches("set_").split('_').enumerate() {
        match index {
            0 => name.push_str(word),
            _ => name.extend([word[..1].to_uppercase().as_str(), &word[1..]]),
        }
    }
    request.get(name).unwrap_or(&Value::Null)
}

macro_rules! operations {
    ($($operation:ident: $method:ident $($setter:ident)*;)+) => {
        pub(super) const OPERATIONS: &[&str] = &[$(stringify!($operation),)+];

        /// Sends one call, and answers as the wire did.
        pub(super) async fn call(client: &Client, tap: &Tap, operation: &str, request: &Value) -> Result<Value, Refused> {
            let sent = match operation {
                $(stringify!($operation) => {
                    let call = client.$method();
                    $(let call = call.$setter(Member::of(member(request, stringify!($setter))));)*
                    Box::pin(call.send()).await.map(drop).map_err(|error| {
                        let code = error.code().unwrap_or("no answer").to_owned();
                        (code, error.message().map_or_else(|| format!("{error:?}"), str::to_owned))
                    })
                })+
                unknown => panic!("{unknown} is no operation"),
            };
            sent.map(|()| tap.take())
        }
    };
}

operations! {
    GetAccountSettings: get_account_settings;
    UpdateAccountSettings: update_account_settings set_delete_pipeline_provisioning_repository set_pipeline_codebuild_role_arn
        set_pipeline_provisioning_repository set_pipeline_service_role_arn;
    CreateRepository: create_repository set_connection_arn set_name set_provider set_encryption_key set_tags;
    GetRepository: get_repository set_name set_provider;
    ListRepositories: list_repositories set_max_results set_next_token;
    DeleteRepository: delete_repository set_name set_provider;
    GetRepositorySyncStatus: get_repository_sync_status set_branch set_repository_name set_repository_provider set_sync_type;
    ListRepositorySyncDefinitions: list_repository_sync_definitions set_repository_name set_repository_provider set_sync_type
        set_next_token;
    CreateEnvironmentTemplate: create_environment_template set_name set_description set_display_name set_encryption_key
        set_provisioning set_tags;
    GetEnvironmentTemplate: get_environment_template set_name;
    ListEnvironmentTemplates: list_environment_templates set_max_results set_next_token;
    UpdateEnvironmentTemplate: update_environment_template set_name set_description set_display_name;
    DeleteEnvironmentTemplate: delete_environment_template set_name;
    CreateEnvironmentTemplateVersion: create_environment_template_version set_source set_template_name set_client_token
        set_description set_major_version set_tags;
    GetEnvironmentTemplateVersion: get_environment_template_version set_template_name set_major_version set_minor_version;
    ListEnvironmentTemplateVersions: list_environment_template_versions set_template_name set_major_version set_max_results
        set_next_token;
    UpdateEnvironmentTemplateVersion: update_environment_template_version set_template_name set_major_version
        set_minor_version set_description set_status;
    DeleteEnvironmentTemplateVersion: delete_environment_template_version set_template_name set_major_version
        set_minor_version;
    CreateServiceTemplate: create_service_template set_name set_description set_display_name set_encryption_key
        set_pipeline_provisioning set_tags;
    GetServiceTemplate: get_service_template set_name;
    ListServiceTemplates: list_service_templates set_max_results set_next_token;
    UpdateServiceTemplate: update_service_template set_name set_description set_display_name;
    DeleteServiceTemplate: delete_service_template set_name;
    CreateServiceTemplateVersion: create_service_template_version set_compatible_environment_templates set_source
        set_template_name set_client_token set_description set_major_version set_supported_component_sources set_tags;
    GetServiceTemplateVersion: get_service_template_version set_template_name set_major_version set_minor_version;
    ListServiceTemplateVersions: list_service_template_versions set_template_name set_major_version set_max_results
        set_next_token;
    UpdateServiceTemplateVersion: update_service_template_version set_template_name set_major_version set_minor_version
        set_compatible_environment_templates set_description set_status set_supported_component_sources;
    DeleteServiceTemplateVersion: delete_service_template_version set_template_name set_major_version set_minor_version;
    CreateTemplateSyncConfig: create_template_sync_config set_branch set_repository_name set_repository_provider
        set_template_name set_template_type set_subdirectory;
    GetTemplateSyncConfig: get_template_sync_config set_template_name set_template_type;
    UpdateTemplateSyncConfig: update_template_sync_config set_branch set_repository_name set_repository_provider
        set_template_name set_template_type set_subdirectory;
    DeleteTemplateSyncConfig: delete_template_sync_config set_template_name set_template_type;
    GetTemplateSyncStatus: get_template_sync_status set_template_name set_template_type set_template_version;
    CreateEnvironment: create_environment set_name set_spec set_template_major_version set_template_name
        set_codebuild_role_arn set_component_role_arn set_description set_environment_account_connection_id
        set_proton_service_role_arn set_provisioning_repository set_tags set_template_minor_version;
    GetEnvironment: get_environment set_name;
    ListEnvironments: list_environments set_environment_templates set_max_results set_next_token;
    UpdateEnvironment: update_environment set_deployment_type set_name set_codebuild_role_arn set_component_role_arn
        set_description set_environment_account_connection_id set_proton_service_role_arn set_provisioning_repository set_spec
        set_template_major_version set_template_minor_version;
    DeleteEnvironment: delete_environment set_name;
    CancelEnvironmentDeployment: cancel_environment_deployment set_environment_name;
    ListEnvironmentOutputs: list_environment_outputs set_environment_name set_deployment_id set_next_token;
    ListEnvironmentProvisionedResources: list_environment_provisioned_resources set_environment_name set_next_token;
    CreateEnvironmentAccountConnection: create_environment_account_connection set_environment_name set_management_account_id
        set_client_token set_codebuild_role_arn set_component_role_arn set_role_arn set_tags;
    GetEnvironmentAccountConnection: get_environment_account_connection set_id;
    ListEnvironmentAccountConnections: list_environment_account_connections set_requested_by set_environment_name
        set_max_results set_next_token set_statuses;
    UpdateEnvironmentAccountConnection: update_environment_account_connection set_id set_codebuild_role_arn
        set_component_role_arn set_role_arn;
    DeleteEnvironmentAccountConnection: delete_environment_account_connection set_id;
    AcceptEnvironmentAccountConnection: accept_environment_account_connection set_id;
    RejectEnvironmentAccountConnection: reject_environment_account_connection set_id;
    CreateService: create_service set_name set_spec set_template_major_version set_template_name set_branch_name
        set_description set_repository_connection_arn set_repository_id set_tags set_template_minor_version;
    GetService: get_service set_name;
    ListServices: list_services set_max_results set_next_token;
    UpdateService: update_service set_name set_description set_spec;
    DeleteService: delete_service set_name;
    CreateServiceInstance: create_service_instance set_name set_service_name set_spec set_client_token set_tags
        set_template_major_version set_template_minor_version;
    GetServiceInstance: get_service_instance set_name set_service_name;
    ListServiceInstances: list_service_instances set_filters set_max_results set_next_token set_service_name set_sort_by
        set_sort_order;
    UpdateServiceInstance: update_service_instance set_deployment_type set_name set_service_name set_client_token set_spec
        set_template_major_version set_template_minor_version;
    CancelServiceInstanceDeployment: cancel_service_instance_deployment set_service_instance_name set_service_name;
    ListServiceInstanceOutputs: list_service_instance_outputs set_service_instance_name set_service_name set_deployment_id
        set_next_token;
    ListServiceInstanceProvisionedResources: list_service_instance_provisioned_resources set_service_instance_name
        set_service_name set_next_token;
    GetServiceInstanceSyncStatus: get_service_instance_sync_status set_service_instance_name set_service_name;
    UpdateServicePipeline: update_service_pipeline set_deployment_type set_service_name set_spec set_template_major_version
        set_template_minor_version;
    CancelServicePipelineDeployment: cancel_service_pipeline_deployment set_service_name;
    ListServicePipelineOutputs: list_service_pipeline_outputs set_service_name set_deployment_id set_next_token;
    ListServicePipelineProvisionedResources: list_service_pipeline_provisioned_resources set_service_name set_next_token;
    CreateServiceSyncConfig: create_service_sync_config set_branch set_file_path set_repository_name set_repository_provider
        set_service_name;
    GetServiceSyncConfig: get_service_sync_config set_service_name;
    UpdateServiceSyncConfig: update_service_sync_config set_branch set_file_path set_repository_name set_repository_provider
        set_service_name;
    DeleteServiceSyncConfig: delete_service_sync_config set_service_name;
    GetServiceSyncBlockerSummary: get_service_sync_blocker_summary set_service_name set_service_instance_name;
    UpdateServiceSyncBlocker: update_service_sync_blocker set_id set_resolved_reason;
    CreateComponent: create_component set_manifest set_name set_template_file set_client_token set_description
        set_environment_name set_service_instance_name set_service_name set_service_spec set_tags;
    GetComponent: get_component set_name;
    ListComponents: list_components set_environment_name set_max_results set_next_token set_service_instance_name
        set_service_name;
    UpdateComponent: update_component set_deployment_type set_name set_client_token set_description set_service_instance_name
        set_service_name set_service_spec set_template_file;
    DeleteComponent: delete_component set_name;
    CancelComponentDeployment: cancel_component_deployment set_component_name;
    ListComponentOutputs: list_component_outputs set_component_name set_deployment_id set_next_token;
    ListComponentProvisionedResources: list_component_provisioned_resources set_component_name set_next_token;
    GetDeployment: get_deployment set_id set_component_name set_environment_name set_service_instance_name set_service_name;
    ListDeployments: list_deployments set_component_name set_environment_name set_max_results set_next_token
        set_service_instance_name set_service_name;
    DeleteDeployment: delete_deployment set_id;
    ListTagsForResource: list_tags_for_resource set_resource_arn set_max_results set_next_token;
    TagResource: tag_resource set_resource_arn set_tags;
    UntagResource: untag_resource set_resource_arn set_tag_keys;
    GetResourcesSummary: get_resources_summary;
    NotifyResourceDeploymentStatusChange: notify_resource_deployment_status_change set_resource_arn set_deployment_id
        set_outputs set_status set_status_message;
}
