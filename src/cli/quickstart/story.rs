//! What happens: a platform team publishes templates, a developer deploys a service from them, changes it, gives it a table, and
//! takes the table away again.

use anyhow::Result;
use serde_json::{Value, json};

use super::super::{
    config::Settings,
    serve::{Serving, say},
};
use super::teller::Teller;

/// The environment template and the service template.
const SHARED: &str = "shared-resources";
const WORKER: &str = "queue-worker";
const ENVIRONMENT: &str = "shared";
pub(super) const SERVICE: &str = "orders";
const COMPONENT: &str = "orders-table";

/// An example that travels in the binary.
macro_rules! example {
    ($($path:literal)+) => {
        include_str!(concat!("../../../examples/bundles/cloudformation/", $($path),+))
    };
}

/// A bundle's files by their path in it.
macro_rules! bundle {
    ($folder:literal: $($path:literal),* $(,)?) => {
        &[$(($path, example!($folder "/" $path).as_bytes())),*]
    };
}

const ENVIRONMENT_BUNDLE: &[(&str, &[u8])] = bundle![
    "environment": "schema/schema.yaml",
    "infrastructure/manifest.yaml",
    "infrastructure/cloudformation.yaml",
];

const SERVICE_BUNDLE: &[(&str, &[u8])] = bundle![
    "service": "schema/schema.yaml",
    "instance_infrastructure/manifest.yaml",
    "instance_infrastructure/cloudformation.yaml",
    "pipeline_infrastructure/manifest.yaml",
    "pipeline_infrastructure/cloudformation.yaml",
];

pub(super) async fn tell(serving: &Serving, settings: &Settings) -> Result<()> {
    let teller = Teller {
        address: super::url(serving.grpc()),
        settings,
    };
    templates(&teller).await?;
    environment(&teller).await?;
    service(&teller).await?;
    update(&teller).await?;
    component(&teller).await?;

    say("\n# What there is now, and how it came about");
    teller.call("GetResourcesSummary", &json!({})).await?;
    teller
        .call(
            "ListDeployments",
            &json!({"serviceName": SERVICE, "maxResults": 3}),
        )
        .await?;

    say("\n# What a mistake looks like");
    teller
        .fail("GetEnvironment", &json!({"name": "no-such-environment"}))
        .await?;
    teller
        .fail(
            "CreateEnvironmentTemplate",
            &json!({"name": "-", "displayName": ""}),
        )
        .await
}

async fn templates(teller: &Teller<'_>) -> Result<()> {
    say("\n# The platform team: an environment template, and its first version from a bundle");
    let named = |name: &str, display: &str| json!({"name": name, "displayName": display});
    teller
        .call(
            "CreateEnvironmentTemplate",
            &named(SHARED, "Shared resources"),
        )
        .await?;
    let source = teller.push(ENVIRONMENT_BUNDLE, SHARED).await?;
    let request = json!({"templateName": SHARED, "source": source});
    teller
        .register("EnvironmentTemplate", "environmentTemplateVersion", request)
        .await?;

    say("\n# A service template with a pipeline, for environments of that template");
    teller
        .call("CreateServiceTemplate", &named(WORKER, "Queue worker"))
        .await?;
    let source = teller.push(SERVICE_BUNDLE, WORKER).await?;
    let request = json!({
        "templateName": WORKER,
        "source": source,
        "compatibleEnvironmentTemplates": [{"templateName": SHARED, "majorVersion": "1"}],
        "supportedComponentSources": ["SERVICE_TEMPLATE_SUPPORTED_COMPONENT_SOURCE_TYPE_DIRECTLY_DEFINED"],
    });
    teller
        .register("ServiceTemplate", "serviceTemplateVersion", request)
        .await
        .map(drop)
}

async fn environment(teller: &Teller<'_>) -> Result<()> {
    say("\n# An environment, deployed by the engine that is built in");
    let role = teller.role("environments");
    let request = json!({
        "name": ENVIRONMENT,
        "templateName": SHARED,
        "templateMajorVersion": "1",
        "spec": example!("environment/spec/spec.yaml"),
        "protonServiceRoleArn": role,
        "componentRoleArn": role,
    });
    teller.call("CreateEnvironment", &request).await?;
    teller
        .wait("EnvironmentDeployed", &json!({"name": ENVIRONMENT}))
        .await?;
    teller
        .call(
            "ListEnvironmentOutputs",
            &json!({"environmentName": ENVIRONMENT}),
        )
        .await
        .map(drop)
}

async fn service(teller: &Teller<'_>) -> Result<()> {
    say("\n# A developer: a service with two instances and a pipeline");
    let role = json!({"pipelineServiceRoleArn": teller.role("pipelines")});
    teller.call("UpdateAccountSettings", &role).await?;
    let request = json!({
        "name": SERVICE,
        "templateName": WORKER,
        "templateMajorVersion": "1",
        "spec": example!("service/spec/spec.yaml"),
        "repositoryConnectionArn": format!(
            "arn:aws:codestar-connections:{}:{}:connection/quickstart",
            teller.settings.region, teller.settings.account_id
        ),
        "repositoryId": "example/orders",
        "branchName": "main",
    });
    teller.call("CreateService", &request).await?;
    teller
        .wait("ServiceCreated", &json!({"name": SERVICE}))
        .await?;
    teller
        .call("ListServiceInstances", &json!({"serviceName": SERVICE}))
        .await?;
    teller
        .call(
            "ListServicePipelineOutputs",
            &json!({"serviceName": SERVICE}),
        )
        .await
        .map(drop)
}

async fn update(teller: &Teller<'_>) -> Result<()> {
    say("\n# More memory for one instance");
    let spec = example!("service/spec/spec.yaml").replace("memory_mb: 1024", "memory_mb: 2048");
    let request = json!({
        "serviceName": SERVICE,
        "name": "production",
        "deploymentType": "DEPLOYMENT_UPDATE_TYPE_CURRENT_VERSION",
        "spec": spec,
    });
    deploy_instance(teller, &request).await
}

async fn component(teller: &Teller<'_>) -> Result<()> {
    say(
        "\n# A table for it, attached as a component, whose outputs the next deployment hands to the function",
    );
    let attach = json!({
        "name": COMPONENT,
        "serviceName": SERVICE,
        "serviceInstanceName": "production",
        "templateFile": example!("component/cloudformation.yaml"),
        "manifest": example!("component/manifest.yaml"),
    });
    teller.call("CreateComponent", &attach).await?;
    let name = json!({"name": COMPONENT});
    teller.wait("ComponentDeployed", &name).await?;
    teller
        .call("ListComponentOutputs", &json!({"componentName": COMPONENT}))
        .await?;
    let again = json!({
        "serviceName": SERVICE,
        "name": "production",
        "deploymentType": "DEPLOYMENT_UPDATE_TYPE_CURRENT_VERSION",
    });
    deploy_instance(teller, &again).await?;

    say("\n# And without it: detached, then deleted");
    let detach = json!({
        "name": COMPONENT,
        "deploymentType": "COMPONENT_DEPLOYMENT_UPDATE_TYPE_CURRENT_VERSION",
        "serviceName": "",
        "serviceInstanceName": "",
    });
    teller.call("UpdateComponent", &detach).await?;
    teller.wait("ComponentDeployed", &name).await?;
    teller.call("DeleteComponent", &name).await?;
    teller.wait("ComponentDeleted", &name).await.map(drop)
}

async fn deploy_instance(teller: &Teller<'_>, request: &Value) -> Result<()> {
    teller.call("UpdateServiceInstance", request).await?;
    let instance = json!({"serviceName": SERVICE, "name": "production"});
    teller.wait("ServiceInstanceDeployed", &instance).await?;
    let outputs = json!({"serviceName": SERVICE, "serviceInstanceName": "production"});
    teller
        .call("ListServiceInstanceOutputs", &outputs)
        .await
        .map(drop)
}
