//! Which file answers which operation. Those that are not here answer `UnknownOperationException`.

use super::dispatch::Proton;
use crate::api::{Error, Operation, operation};
use crate::control_plane::{
    Caller, ControlPlane, account, component, deployment, environment,
    environment_account_connection, environment_template, notify, preview, repository,
    repository_sync, service, service_instance, service_pipeline, service_sync, service_template,
    summary, tags, template_sync,
};

macro_rules! operations {
    ($($family:ident { $($handler:ident: $operation:ident,)* })*) => {
        impl Proton for ControlPlane {
            $($(
                fn $handler(
                    &self,
                    caller: &Caller,
                    request: <operation::$operation as Operation>::Request,
                ) -> impl Future<Output = Result<<operation::$operation as Operation>::Response, Error>> + Send {
                    $family::$handler(self, caller, request)
                }
            )*)*
        }
    };
}

operations! {
    account {
        get_account_settings: GetAccountSettings,
        update_account_settings: UpdateAccountSettings,
    }
    component {
        create_component: CreateComponent,
        get_component: GetComponent,
        list_components: ListComponents,
        update_component: UpdateComponent,
        delete_component: DeleteComponent,
        cancel_component_deployment: CancelComponentDeployment,
        list_component_outputs: ListComponentOutputs,
        list_component_provisioned_resources: ListComponentProvisionedResources,
    }
    deployment {
        get_deployment: GetDeployment,
        list_deployments: ListDeployments,
        delete_deployment: DeleteDeployment,
    }
    environment {
        create_environment: CreateEnvironment,
        get_environment: GetEnvironment,
        list_environments: ListEnvironments,
        update_environment: UpdateEnvironment,
        delete_environment: DeleteEnvironment,
        cancel_environment_deployment: CancelEnvironmentDeployment,
        list_environment_outputs: ListEnvironmentOutputs,
        list_environment_provisioned_resources: ListEnvironmentProvisionedResources,
    }
    environment_account_connection {
        create_environment_account_connection: CreateEnvironmentAccountConnection,
        get_environment_account_connection: GetEnvironmentAccountConnection,
        list_environment_account_connections: ListEnvironmentAccountConnections,
        update_environment_account_connection: UpdateEnvironmentAccountConnection,
        delete_environment_account_connection: DeleteEnvironmentAccountConnection,
        accept_environment_account_connection: AcceptEnvironmentAccountConnection,
        reject_environment_account_connection: RejectEnvironmentAccountConnection,
    }
    environment_template {
        create_environment_template: CreateEnvironmentTemplate,
        get_environment_template: GetEnvironmentTemplate,
        list_environment_templates: ListEnvironmentTemplates,
        update_environment_template: UpdateEnvironmentTemplate,
        delete_environment_template: DeleteEnvironmentTemplate,
        create_environment_template_version: CreateEnvironmentTemplateVersion,
        get_environment_template_version: GetEnvironmentTemplateVersion,
        list_environment_template_versions: ListEnvironmentTemplateVersions,
        update_environment_template_version: UpdateEnvironmentTemplateVersion,
        delete_environment_template_version: DeleteEnvironmentTemplateVersion,
    }
    preview {
        preview_deployment: PreviewDeployment,
        get_deployment_content: GetDeploymentContent,
    }
    repository {
        create_repository: CreateRepository,
        get_repository: GetRepository,
        list_repositories: ListRepositories,
        delete_repository: DeleteRepository,
    }
    repository_sync {
        get_repository_sync_status: GetRepositorySyncStatus,
        list_repository_sync_definitions: ListRepositorySyncDefinitions,
    }
    service {
        create_service: CreateService,
        get_service: GetService,
        list_services: ListServices,
        update_service: UpdateService,
        delete_service: DeleteService,
    }
    service_instance {
        create_service_instance: CreateServiceInstance,
        get_service_instance: GetServiceInstance,
        list_service_instances: ListServiceInstances,
        update_service_instance: UpdateServiceInstance,
        cancel_service_instance_deployment: CancelServiceInstanceDeployment,
        list_service_instance_outputs: ListServiceInstanceOutputs,
        list_service_instance_provisioned_resources: ListServiceInstanceProvisionedResources,
    }
    service_pipeline {
        update_service_pipeline: UpdateServicePipeline,
        cancel_service_pipeline_deployment: CancelServicePipelineDeployment,
        list_service_pipeline_outputs: ListServicePipelineOutputs,
        list_service_pipeline_provisioned_resources: ListServicePipelineProvisionedResources,
    }
    service_sync {
        create_service_sync_config: CreateServiceSyncConfig,
        get_service_sync_config: GetServiceSyncConfig,
        update_service_sync_config: UpdateServiceSyncConfig,
        delete_service_sync_config: DeleteServiceSyncConfig,
        get_service_instance_sync_status: GetServiceInstanceSyncStatus,
        get_service_sync_blocker_summary: GetServiceSyncBlockerSummary,
        update_service_sync_blocker: UpdateServiceSyncBlocker,
    }
    service_template {
        create_service_template: CreateServiceTemplate,
        get_service_template: GetServiceTemplate,
        list_service_templates: ListServiceTemplates,
        update_service_template: UpdateServiceTemplate,
        delete_service_template: DeleteServiceTemplate,
        create_service_template_version: CreateServiceTemplateVersion,
        get_service_template_version: GetServiceTemplateVersion,
        list_service_template_versions: ListServiceTemplateVersions,
        update_service_template_version: UpdateServiceTemplateVersion,
        delete_service_template_version: DeleteServiceTemplateVersion,
    }
    notify {
        notify_resource_deployment_status_change: NotifyResourceDeploymentStatusChange,
    }
    summary {
        get_resources_summary: GetResourcesSummary,
    }
    tags {
        list_tags_for_resource: ListTagsForResource,
        tag_resource: TagResource,
        untag_resource: UntagResource,
    }
    template_sync {
        create_template_sync_config: CreateTemplateSyncConfig,
        get_template_sync_config: GetTemplateSyncConfig,
        update_template_sync_config: UpdateTemplateSyncConfig,
        delete_template_sync_config: DeleteTemplateSyncConfig,
        get_template_sync_status: GetTemplateSyncStatus,
    }
}
