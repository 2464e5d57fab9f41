//! The contract and the AWS SDK that the facade calls have the same members and values.
//!
//! The SDK's types are `#[non_exhaustive]`, so that rustc only sees what the contract has too much.
//! What it has too little shows in the SDK's lists of enum values and in `Debug`, which names every
//! member of a type.

mod wire;

use std::{collections::BTreeSet, fmt::Debug};

use aws_sdk_proton::{
    Client, Config,
    config::{
        BehaviorVersion, Region,
        http::{HttpRequest, HttpResponse},
    },
    types,
};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_types::body::SdkBody;
use prost_reflect::{Kind, MessageDescriptor};

use crate::{
    contract::assert_agree,
    descriptors::{
        PACKAGE, is_invented, is_union, items, json, messages, pool, request, response, samples,
        values, wire_name,
    },
    every_operation::for_every_operation,
};

macro_rules! enums {
    ($($name:ident)*) => {
        [$((stringify!($name), types::$name::values())),*]
    };
}

#[test]
fn every_enum_has_the_values_of_the_sdk() {
    let sdk = enums! {
        BlockerStatus BlockerType ComponentDeploymentUpdateType DeploymentStatus
        DeploymentTargetResourceType DeploymentUpdateType
        EnvironmentAccountConnectionRequesterAccountType EnvironmentAccountConnectionStatus
        ListServiceInstancesFilterBy ListServiceInstancesSortBy ProvisionedResourceEngine Provisioning
        RepositoryProvider RepositorySyncStatus ResourceDeploymentStatus ResourceSyncStatus ServiceStatus
        ServiceTemplateSupportedComponentSourceType SortOrder SyncType TemplateType TemplateVersionStatus
    };
    let sdk = sdk.into_iter().flat_map(|(name, values)| {
        values
            .iter()
            .map(move |value| format!("{name} has {value}"))
    });
    let ours = pool()
        .all_enums()
        .filter(|found| found.package_name() == PACKAGE && !is_invented(&found.parent_file()));
    let contract = ours.flat_map(|found| {
        let values = values(&found).into_iter();
        values.map(move |value| format!("{} has {}", found.name(), wire_name(&value)))
    });
    assert_agree(("SDK", sdk.collect()), ("contract", contract.collect()));
}

macro_rules! structures {
    ($($name:ident)*) => {
        [$(members(stringify!($name), &types::$name::builder())),*]
    };
}

#[test]
fn every_structure_has_the_members_of_the_sdk() {
    let sdk = structures! {
        AccountSettings CompatibleEnvironmentTemplate CompatibleEnvironmentTemplateInput Component
        ComponentState ComponentSummary CountsSummary Deployment DeploymentSummary Environment
        EnvironmentAccountConnection EnvironmentAccountConnectionSummary EnvironmentState
        EnvironmentSummary EnvironmentTemplate EnvironmentTemplateFilter EnvironmentTemplateSummary
        EnvironmentTemplateVersion EnvironmentTemplateVersionSummary ListServiceInstancesFilter Output
        ProvisionedResource Repository RepositoryBranch RepositoryBranchInput RepositorySummary
        RepositorySyncAttempt RepositorySyncDefinition RepositorySyncEvent ResourceCountsSummary
        ResourceSyncAttempt ResourceSyncEvent Revision S3ObjectSource Service ServiceInstance
        ServiceInstanceState ServiceInstanceSummary ServicePipeline ServicePipelineState ServiceSummary
        ServiceSyncBlockerSummary ServiceSyncConfig ServiceTemplate ServiceTemplateSummary
        ServiceTemplateVersion ServiceTemplateVersionSummary SyncBlocker SyncBlockerContext Tag
        TemplateSyncConfig
    };
    let contract = messages().into_values().filter(|message| {
        let operation = ["Request", "Response"]
            .iter()
            .any(|end| message.name().ends_with(end));
        let list = items(&Kind::Message(message.clone())).is_some();
        !operation && !list && !is_union(message)
    });
    assert_agree(
        ("SDK", sdk.concat().into_iter().collect()),
        (
            "contract",
            contract
                .flat_map(|message| fields(message.name(), &message))
                .collect(),
        ),
    );
}

#[tokio::test]
async fn every_operation_has_the_members_of_the_sdk() {
    let client = client();
    let (mut sdk, mut contract) = (BTreeSet::new(), BTreeSet::new());
    macro_rules! compare {
        ($($name:ident $method:ident)*) => {
            $({
                let name = stringify!($name);
                #[allow(deprecated, reason = "AWS marks every operation of a service that it closed")]
                let call = client.$method();
                sdk.extend(members(&format!("{name}Request"), call.as_input()));
                let output = call.send().await.expect("the answer has every member");
                sdk.extend(members(&format!("{name}Response"), &output));
                for message in [request(name), response(name)] {
                    contract.extend(fields(message.name(), &message));
                }
            })*
        };
    }
    for_every_operation!(compare);
    assert_agree(("SDK", sdk), ("contract", contract));
}

/// The members that `Debug` shows.
fn members(owner: &str, value: &impl Debug) -> Vec<String> {
    let text = format!("{value:#?}");
    let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
    let names = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, _)| name);
    let members = names.filter(|name| !name.starts_with(' ') && *name != "_request_id");
    let facts = members.map(|name| format!("{owner} has {}", name.trim_start_matches("r#")));
    // Even where there is nothing in it.
    facts.chain([format!("there is {owner}")]).collect()
}

fn fields(owner: &str, message: &MessageDescriptor) -> Vec<String> {
    let facts = message
        .fields()
        .map(|field| format!("{owner} has {}", field.name()));
    facts.chain([format!("there is {owner}")]).collect()
}

/// A client whose calls are answered with every member that the contract knows.
fn client() -> Client {
    let connector = SharedHttpConnector::new(Full);
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url("http://full")
        .allow_no_auth()
        .http_client(http_client_fn(move |_, _| connector.clone()));
    Client::from_conf(config.build())
}

#[derive(Debug)]
struct Full;

impl HttpConnector for Full {
    fn call(&self, asked: HttpRequest) -> HttpConnectorFuture {
        let target = asked
            .headers()
            .get("x-amz-target")
            .expect("AWS-JSON has a target");
        let (_, operation) = target
            .split_once('.')
            .expect("a target is the service and the operation");
        let body = json::write(&samples::full(&response(operation), 0)).to_string();
        let answer = http::Response::new(SdkBody::from(body));
        HttpConnectorFuture::ready(Ok(HttpResponse::try_from(answer).expect("a plain response")))
    }
}
