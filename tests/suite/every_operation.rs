//! The names of all operations, for whoever needs their types: macros cannot walk descriptors.

/// Hands every operation's name, as a type and as a method, to a macro.
macro_rules! for_every_operation {
    ($each:ident) => {
        $each! {
            GetAccountSettings get_account_settings
            GetResourcesSummary get_resources_summary
            UpdateAccountSettings update_account_settings
            CreateEnvironmentTemplate create_environment_template
            GetEnvironmentTemplate get_environment_template
            ListEnvironmentTemplates list_environment_templates
            UpdateEnvironmentTemplate update_environment_template
            DeleteEnvironmentTemplate delete_environment_template
            CreateEnvironmentTemplateVersion create_environment_template_version
            GetEnvironmentTemplateVersion get_environment_template_version
            ListEnvironmentTemplateVersions list_environment_template_versions
            UpdateEnvironmentTemplateVersion update_environment_template_version
            DeleteEnvironmentTemplateVersion delete_environment_template_version
            CreateServiceTemplate create_service_template
            GetServiceTemplate get_service_template
            ListServiceTemplates list_service_templates
            UpdateServiceTemplate update_service_template
            DeleteServiceTemplate delete_service_template
            CreateServiceTemplateVersion create_service_template_version
            GetServiceTemplateVersion get_service_template_version
            ListServiceTemplateVersions list_service_template_versions
            UpdateServiceTemplateVersion update_service_template_version
            DeleteServiceTemplateVersion delete_service_template_version
            CreateTemplateSyncConfig create_template_sync_config
            GetTemplateSyncConfig get_template_sync_config
            GetTemplateSyncStatus get_template_sync_status
            UpdateTemplateSyncConfig update_template_sync_config
            DeleteTemplateSyncConfig delete_template_sync_config
            CreateRepository create_repository
            GetRepository get_repository
            ListRepositories list_repositories
            DeleteRepository delete_repository
            GetRepositorySyncStatus get_repository_sync_status
            ListRepositorySyncDefinitions list_repository_sync_definitions
            CreateEnvironment create_environment
            GetEnvironment get_environment
            ListEnvironmentOutputs list_environment_outputs
            ListEnvironmentProvisionedResources list_environment_provisioned_resources
            ListEnvironments list_environments
            UpdateEnvironment update_environment
            DeleteEnvironment delete_environment
            CancelEnvironmentDeployment cancel_environment_deployment
            CreateEnvironmentAccountConnection create_environment_account_connection
            GetEnvironmentAccountConnection get_environment_account_connection
            ListEnvironmentAccountConnections list_environment_account_connections
            UpdateEnvironmentAccountConnection update_environment_account_connection
            DeleteEnvironmentAccountConnection delete_environment_account_connection
            AcceptEnvironmentAccountConnection accept_environment_account_connection
            RejectEnvironmentAccountConnection reject_environment_account_connection
            CreateService create_service
            GetService get_service
            ListServices list_services
            UpdateService update_service
            DeleteService delete_service
            CreateServiceInstance create_service_instance
            GetServiceInstance get_service_instance
            ListServiceInstanceOutputs list_service_instance_outputs
            ListServiceInstanceProvisionedResources list_service_instance_provisioned_resources
            ListServiceInstances list_service_instances
            UpdateServiceInstance update_service_instance
            CancelServiceInstanceDeployment cancel_service_instance_deployment
            ListServicePipelineOutputs list_service_pipeline_outputs
            ListServicePipelineProvisionedResources list_service_pipeline_provisioned_resources
            UpdateServicePipeline update_service_pipeline
            CancelServicePipelineDeployment cancel_service_pipeline_deployment
            CreateServiceSyncConfig create_service_sync_config
            GetServiceInstanceSyncStatus get_service_instance_sync_status
            GetServiceSyncBlockerSummary get_service_sync_blocker_summary
            GetServiceSyncConfig get_service_sync_config
            UpdateServiceSyncBlocker update_service_sync_blocker
            UpdateServiceSyncConfig update_service_sync_config
            DeleteServiceSyncConfig delete_service_sync_config
            CreateComponent create_component
            GetComponent get_component
            ListComponentOutputs list_component_outputs
            ListComponentProvisionedResources list_component_provisioned_resources
            ListComponents list_components
            UpdateComponent update_component
            DeleteComponent delete_component
            CancelComponentDeployment cancel_component_deployment
            GetDeployment get_deployment
            ListDeployments list_deployments
            DeleteDeployment delete_deployment
            NotifyResourceDeploymentStatusChange notify_resource_deployment_status_change
            ListTagsForResource list_tags_for_resource
            TagResource tag_resource
            UntagResource untag_resource
        }
    };
}
pub(crate) use for_every_operation;
