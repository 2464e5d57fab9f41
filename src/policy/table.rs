//! Which operation is about what, and which condition keys go with it: the table that AWS's service authorization
//! reference has for Proton. It differs where that says nothing but "the account" although the request names a resource:
//! there the operation is about that resource (syncs, lists that are narrowed to one, versions of templates).

use super::{
    question::{Action, Governed, Keys, Question, Template},
    resource::{Kind, Resource},
};
use crate::api::{Operation, operation, pb};

/// A row: the types that the operations may be about, the resource that a request names, and the operations with their keys.
macro_rules! table {
    ($([$($kind:ident)|+] |$request:pat_param| $resource:expr => { $($operation:ident $(+ $key:ident)*,)+ })+) => {
        $(table!(@row [$($kind)|+] |$request| $resource => $($operation $(+ $key)*,)+);)+

        /// Every action that policies can name.
        pub(super) static ACTIONS: &[&Action] = &[
            $($(<operation::$operation as Governed>::ACTION,)+)+
            <operation::PreviewDeployment as Governed>::ACTION,
        ];
    };
    (@row $kinds:tt |$request:pat_param| $resource:expr => $operation:ident $(+ $key:ident)*, $($rest:tt)*) => {
        impl Governed for operation::$operation {
            const ACTION: &'static Action = &Action {
                facts: Self::FACTS,
                kinds: table!(@kinds $kinds),
                keys: Keys { $($key: true,)* ..Keys::NONE },
            };

            fn question(request: &Self::Request) -> Question<'_> {
                let resource = {
                    let $request = request;
                    $resource
                };
                let question = Question::about(resource);
                $(let question = key::$key(question, request);)*
                question
            }
        }
        table!(@row $kinds |$request| $resource => $($rest)*);
    };
    (@row $kinds:tt |$request:pat_param| $resource:expr =>) => {};
    (@kinds [$($kind:ident)|+]) => { &[$(Kind::$kind),+] };
}

table! {
    [Account] |_| Resource::account() => {
        CreateEnvironmentAccountConnection + tags,
        GetAccountSettings,
        GetResourcesSummary,
        ListEnvironmentAccountConnections,
        ListEnvironmentTemplates,
        ListEnvironments,
        ListRepositories,
        ListServiceTemplates,
        ListServices,
        UpdateAccountSettings,
        UpdateServiceSyncBlocker,
    }
    [EnvironmentAccountConnection] |it| connection(&it.id) => {
        AcceptEnvironmentAccountConnection,
        DeleteEnvironmentAccountConnection,
        GetEnvironmentAccountConnection,
        RejectEnvironmentAccountConnection,
        UpdateEnvironmentAccountConnection,
    }
    [Component] |it| component(&it.name) => {
        CreateComponent + tags,
        DeleteComponent,
        GetComponent,
        UpdateComponent,
    }
    [Component] |it| component(&it.component_name) => {
        CancelComponentDeployment,
        ListComponentOutputs,
        ListComponentProvisionedResources,
    }
    [Deployment] |it| deployment(&it.id) => {
        DeleteDeployment,
        GetDeployment,
        GetDeploymentContent,
    }
    [Environment] |it| environment(&it.name) => {
        CreateEnvironment + tags + environment_template,
        DeleteEnvironment + template_of_environment,
        GetEnvironment,
        UpdateEnvironment + template_of_environment,
    }
    [Environment] |it| environment(&it.environment_name) => {
        CancelEnvironmentDeployment + template_of_environment,
        ListEnvironmentOutputs,
        ListEnvironmentProvisionedResources,
    }
    [EnvironmentTemplate] |it| environment_template(&it.name) => {
        CreateEnvironmentTemplate + tags,
        DeleteEnvironmentTemplate,
        GetEnvironmentTemplate,
        UpdateEnvironmentTemplate,
    }
    [EnvironmentTemplate] |it| environment_template(&it.template_name) => {
        CreateEnvironmentTemplateVersion + tags,
        ListEnvironmentTemplateVersions,
    }
    [EnvironmentTemplateVersion] |it| {
        environment_template_version(&it.template_name, &it.major_version, &it.minor_version)
    } => {
        DeleteEnvironmentTemplateVersion,
        GetEnvironmentTemplateVersion,
        UpdateEnvironmentTemplateVersion,
    }
    [ServiceTemplate] |it| service_template(&it.name) => {
        CreateServiceTemplate + tags,
        DeleteServiceTemplate,
        GetServiceTemplate,
        UpdateServiceTemplate,
    }
    [ServiceTemplate] |it| service_template(&it.template_name) => {
        CreateServiceTemplateVersion + tags,
        ListServiceTemplateVersions,
    }
    [ServiceTemplateVersion] |it| {
        service_template_version(&it.template_name, &it.major_version, &it.minor_version)
    } => {
        DeleteServiceTemplateVersion,
        GetServiceTemplateVersion,
        UpdateServiceTemplateVersion,
    }
    [EnvironmentTemplate | ServiceTemplate] |it| template(it.template_type(), &it.template_name) => {
        CreateTemplateSyncConfig,
        DeleteTemplateSyncConfig,
        GetTemplateSyncConfig,
        GetTemplateSyncStatus,
        UpdateTemplateSyncConfig,
    }
    [Repository] |it| repository(it.provider(), &it.name) => {
        CreateRepository + tags,
        DeleteRepository,
        GetRepository,
    }
    [Repository] |it| repository(it.repository_provider(), &it.repository_name) => {
        GetRepositorySyncStatus,
        ListRepositorySyncDefinitions,
    }
    [Service] |it| service(&it.name) => {
        CreateService + tags + service_template,
        DeleteService + template_of_service,
        GetService,
        UpdateService + template_of_service,
    }
    [Service] |it| service(&it.service_name) => {
        CancelServicePipelineDeployment + template_of_service,
        CreateServiceSyncConfig,
        DeleteServiceSyncConfig,
        GetServiceSyncConfig,
        ListServicePipelineOutputs,
        ListServicePipelineProvisionedResources,
        UpdateServicePipeline + template_of_service,
        UpdateServiceSyncConfig,
    }
    [ServiceInstance] |it| instance(&it.service_name, &it.name) => {
        CreateServiceInstance + tags + template_of_service,
        GetServiceInstance,
        UpdateServiceInstance + template_of_service,
    }
    [ServiceInstance] |it| instance(&it.service_name, &it.service_instance_name) => {
        CancelServiceInstanceDeployment + template_of_service,
        GetServiceInstanceSyncStatus,
        ListServiceInstanceOutputs,
        ListServiceInstanceProvisionedResources,
    }
    [Service | ServiceInstance] |it| match &it.service_instance_name {
        Some(name) => instance(&it.service_name, name),
        None => service(&it.service_name),
    } => {
        GetServiceSyncBlockerSummary,
    }
    [Account | Service] |it| match &it.service_name {
        Some(name) => service(name),
        None => Resource::account(),
    } => {
        ListServiceInstances,
    }
    [Account | Environment | Service | ServiceInstance] |it| {
        narrowed(None, it.environment_name.as_ref(), it.service_name.as_ref(), it.service_instance_name.as_ref())
    } => {
        ListComponents,
    }
    [Account | Component | Environment | Service | ServiceInstance] |it| {
        narrowed(
            it.component_name.as_ref(),
            it.environment_name.as_ref(),
            it.service_name.as_ref(),
            it.service_instance_name.as_ref(),
        )
    } => {
        ListDeployments,
    }
    [
        Component | Deployment | Environment | EnvironmentAccountConnection | EnvironmentTemplate
        | EnvironmentTemplateVersion | Repository | Service | ServiceInstance | ServicePipeline | ServiceTemplate
        | ServiceTemplateVersion
    ]
    |it| Resource::Named(it.resource_arn.clone()) => {
        ListTagsForResource,
        NotifyResourceDeploymentStatusChange,
        TagResource + tags,
        UntagResource + tag_keys,
    }
}

/// To look at what a call would do is an action of its own, about what the call is about: who may look need not be
/// one who may do it.
impl Governed for operation::PreviewDeployment {
    const ACTION: &'static Action = &Action {
        facts: Self::FACTS,
        kinds: &[
            Kind::Component,
            Kind::Environment,
            Kind::Service,
            Kind::ServiceInstance,
        ],
        keys: Keys {
            tags: true,
            environment_template: true,
            service_template: true,
            template_of_environment: true,
            template_of_service: true,
            ..Keys::NONE
        },
    };

    fn question(request: &Self::Request) -> Question<'_> {
        use pb::previewed_call::Kind as Call;
        let call = request.call.as_ref().and_then(|call| call.kind.as_ref());
        match call {
            None => Question::about(Resource::account()),
            Some(Call::CreateComponent(call)) => operation::CreateComponent::question(call),
            Some(Call::CreateEnvironment(call)) => operation::CreateEnvironment::question(call),
            Some(Call::UpdateComponent(call)) => operation::UpdateComponent::question(call),
            Some(Call::UpdateEnvironment(call)) => operation::UpdateEnvironment::question(call),
            Some(Call::CreateService(call)) => operation::CreateService::question(call),
            Some(Call::CreateServiceInstance(call)) => {
                operation::CreateServiceInstance::question(call)
            }
            Some(Call::UpdateService(call)) => operation::UpdateService::question(call),
            Some(Call::UpdateServiceInstance(call)) => {
                operation::UpdateServiceInstance::question(call)
            }
            Some(Call::UpdateServicePipeline(call)) => {
                operation::UpdateServicePipeline::question(call)
            }
        }
    }
}

/// How a request fills a condition key.
mod key {
    use super::{Question, Template, pb};

    pub(super) trait Tagged {
        fn tags(&self) -> &[pb::Tag];
    }

    macro_rules! tagged {
        ($($request:ident)*) => {
            $(impl Tagged for pb::$request {
                fn tags(&self) -> &[pb::Tag] {
                    &self.tags
                }
            })*
        };
    }

    tagged! {
        CreateComponentRequest CreateEnvironmentRequest CreateEnvironmentAccountConnectionRequest
        CreateEnvironmentTemplateRequest CreateEnvironmentTemplateVersionRequest CreateRepositoryRequest
        CreateServiceRequest CreateServiceInstanceRequest CreateServiceTemplateRequest
        CreateServiceTemplateVersionRequest TagResourceRequest
    }

    pub(super) fn tags<'a>(question: Question<'a>, request: &'a impl Tagged) -> Question<'a> {
        Question {
            tags: request.tags(),
            ..question
        }
    }

    pub(super) fn tag_keys<'a>(
        question: Question<'a>,
        request: &'a pb::UntagResourceRequest,
    ) -> Question<'a> {
        Question {
            tag_keys: &request.tag_keys,
            ..question
        }
    }

    pub(super) fn environment_template<'a>(
        question: Question<'a>,
        request: &'a pb::CreateEnvironmentRequest,
    ) -> Question<'a> {
        let template = Some(Template::Environment(&request.template_name));
        Question {
            template,
            ..question
        }
    }

    pub(super) fn service_template<'a>(
        question: Question<'a>,
        request: &'a pb::CreateServiceRequest,
    ) -> Question<'a> {
        let template = Some(Template::Service(&request.template_name));
        Question {
            template,
            ..question
        }
    }

    pub(super) fn template_of_environment<'a, T>(question: Question<'a>, _: &T) -> Question<'a> {
        existing(question)
    }

    pub(super) fn template_of_service<'a, T>(question: Question<'a>, _: &T) -> Question<'a> {
        existing(question)
    }

    fn existing(question: Question<'_>) -> Question<'_> {
        let template = Some(Template::Existing);
        Question {
            template,
            ..question
        }
    }
}

fn connection(id: &str) -> Resource {
    let path = format!("environment-account-connection/{id}");
    Resource::of(Kind::EnvironmentAccountConnection, path)
}

fn component(name: &str) -> Resource {
    Resource::of(Kind::Component, format!("component/{name}"))
}

fn deployment(id: &str) -> Resource {
    Resource::of(Kind::Deployment, format!("deployment/{id}"))
}

fn environment(name: &str) -> Resource {
    Resource::of(Kind::Environment, format!("environment/{name}"))
}

fn service(name: &str) -> Resource {
    Resource::of(Kind::Service, format!("service/{name}"))
}

fn instance(service: &str, name: &str) -> Resource {
    let path = format!("service/{service}/service-instance/{name}");
    Resource::of(Kind::ServiceInstance, path)
}

fn repository(provider: pb::RepositoryProvider, name: &str) -> Resource {
    let provider = match provider {
        pb::RepositoryProvider::Github => "github",
        pb::RepositoryProvider::GithubEnterprise => "github_enterprise",
        pb::RepositoryProvider::Bitbucket => "bitbucket",
        pb::RepositoryProvider::Unspecified => "",
    };
    Resource::of(Kind::Repository, format!("repository/{provider}:{name}"))
}

fn template(of: pb::TemplateType, name: &str) -> Resource {
    match of {
        pb::TemplateType::Environment => environment_template(name),
        pb::TemplateType::Service => service_template(name),
        // Such a request is invalid, and refused for that at the latest.
        pb::TemplateType::Unspecified => Resource::account(),
    }
}

fn environment_template(name: &str) -> Resource {
    let path = format!("environment-template/{name}");
    Resource::of(Kind::EnvironmentTemplate, path)
}

fn environment_template_version(name: &str, major: &str, minor: &str) -> Resource {
    let path = format!("environment-template/{name}:{major}.{minor}");
    Resource::of(Kind::EnvironmentTemplateVersion, path)
}

fn service_template(name: &str) -> Resource {
    Resource::of(Kind::ServiceTemplate, format!("service-template/{name}"))
}

fn service_template_version(name: &str, major: &str, minor: &str) -> Resource {
    let path = format!("service-template/{name}:{major}.{minor}");
    Resource::of(Kind::ServiceTemplateVersion, path)
}

/// A list is about what it is narrowed to, if that is one thing.
fn narrowed(
    component_name: Option<&String>,
    environment_name: Option<&String>,
    service_name: Option<&String>,
    instance_name: Option<&String>,
) -> Resource {
    match (
        component_name,
        environment_name,
        service_name,
        instance_name,
    ) {
        (Some(name), None, None, None) => component(name),
        (None, Some(name), None, None) => environment(name),
        (None, None, Some(name), None) => service(name),
        (None, None, Some(service), Some(name)) => instance(service, name),
        _ => Resource::account(),
    }
}
