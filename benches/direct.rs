//! The reference: the calls that the facade makes, made through the AWS SDK as its documentation
//! shows, with nothing in between and no setting but those that a static endpoint needs.

#![allow(
    deprecated,
    reason = "every operation of the service is deprecated in its SDK"
)]

mod support;

use std::sync::Arc;

use aws_sdk_proton::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    error::{ProvideErrorMetadata, SdkError},
};
use clap::Parser;
use support::{Operation, Window};

#[derive(Parser)]
struct Args {
    #[arg(long)]
    endpoint_url: String,

    #[command(flatten)]
    window: Window,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Args {
        endpoint_url,
        window,
    } = Args::parse();
    let client = Client::from_conf(
        Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new(
                "AKIDEXAMPLE",
                "secret",
                None,
                None,
                "bench",
            ))
            .endpoint_url(endpoint_url)
            .build(),
    );
    let operation = window.operation;
    let call = Arc::new(move |_| {
        let client = client.clone();
        async move { call(&client, operation).await }
    });
    support::run(&window, std::process::id(), call).await
}

/// Makes one call; the error is its AWS code.
async fn call(client: &Client, operation: Operation) -> Result<(), String> {
    match operation {
        Operation::Get => outcome(
            client
                .get_environment_template()
                .name("fargate-env")
                .send()
                .await,
        ),
        Operation::Create => outcome(
            client
                .create_environment_template()
                .name("fargate-env")
                .display_name("Fargate environment")
                .description("VPC with two public subnets and an ECS cluster for Fargate services")
                .send()
                .await,
        ),
        Operation::Page => outcome(
            client
                .list_service_instances()
                .max_results(100)
                .send()
                .await,
        ),
    }
}

fn outcome<T, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> Result<(), String>
where
    SdkError<E, R>: ProvideErrorMetadata,
{
    match result {
        Ok(_) => Ok(()),
        Err(error) => Err(error.code().unwrap_or("no answer").to_owned()),
    }
}
