//! The typed side of every operation behind one face, for tests that go through all of them.

use std::fmt::Debug;

use prost::Message;
use proton_grpc::api::{
    Error, Operation, Validate as _, aws_json,
    operation::{self, Facts},
};

use crate::descriptors;

/// An operation whose messages go in and out as Protobuf bytes.
pub(crate) struct Typed {
    pub(crate) facts: &'static Facts,
    /// A request from AWS-JSON.
    pub(crate) read: fn(&[u8]) -> Result<Vec<u8>, Error>,
    /// A response to AWS-JSON.
    pub(crate) write: fn(&[u8]) -> String,
    /// The paths and rule ids that a request breaks.
    pub(crate) violations: fn(&[u8]) -> Vec<(String, String)>,
    /// The resource that a request is about.
    pub(crate) resource_name: fn(&[u8]) -> String,
    pub(crate) debug_request: fn(&[u8]) -> String,
    pub(crate) debug_response: fn(&[u8]) -> String,
}

impl Typed {
    const fn of<O>() -> Self
    where
        O: Operation<Request: Debug, Response: Debug>,
    {
        Self {
            facts: O::FACTS,
            read: |body| Ok(aws_json::read::<O::Request>(body)?.encode_to_vec()),
            write: |bytes| {
                String::from_utf8(aws_json::write(&decode::<O::Response>(bytes))).unwrap()
            },
            violations: |bytes| {
                let found = decode::<O::Request>(bytes).violations();
                found
                    .iter()
                    .map(|found| (found.field.clone(), found.rule.to_owned()))
                    .collect()
            },
            resource_name: |bytes| O::resource_name(&decode::<O::Request>(bytes)),
            debug_request: |bytes| format!("{:?}", decode::<O::Request>(bytes)),
            debug_response: |bytes| format!("{:?}", decode::<O::Response>(bytes)),
        }
    }
}

fn decode<M: Message + Default>(bytes: &[u8]) -> M {
    M::decode(bytes).expect("bytes of the same message")
}

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

macro_rules! typed {
    ($($name:ident $method:ident)*) => {
        pub(crate) const ALL: &[Typed] = &[$(Typed::of::<operation::$name>()),*];
    };
}

for_every_operation!(typed);

#[test]
fn every_operation_is_tested() {
    let tested: Vec<_> = ALL.iter().map(|operation| operation.facts.name).collect();
    let table: Vec<_> = operation::ALL.iter().map(|facts| facts.name).collect();
    let contract: Vec<_> = descriptors::service("ProtonService")
        .methods()
        .map(|method| method.name().to_owned())
        .collect();
    assert_eq!(tested, table);
    assert_eq!(table, contract);
}
