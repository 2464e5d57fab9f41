#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_proton::types::TemplateVersionStatus;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use proton_grpc::control_plane::bundle::source::Source;

use super::stack::{Stack, environment_bundle, environment_schema, source};

impl Stack {
    /// Begins to register what lies under the key.
    async fn begin(&self, major: Option<&str>, key: &str) {
        let create = self
            .client
            .create_environment_template_version()
            .template_name("web")
            .source(source(key));
        create
            .set_major_version(major.map(str::to_owned))
            .send()
            .await
            .unwrap();
    }

    /// Writes go one after the other, so after one of ours those that the second before brought about are done: time does not
    /// run away from the work.
    async fn let_a_second_pass(&self) {
        self.clock.advance(Duration::from_secs(1));
        self.client.update_account_settings().send().await.unwrap();
    }

    async fn status(&self, minor: &str) -> TemplateVersionStatus {
        self.environment_version_now("web", "1", minor).await.status
    }
}

#[tokio::test]
async fn a_bundle_that_is_not_there_fails_the_registration() {
    let stack = Stack::new();
    stack.create_environment_template("web").await;
    stack.begin(None, "nothing.tar.gz").await;
    let message = stack.registered("web", "1", "0").await.unwrap_err();
    assert_eq!(
        message,
        "there is no object \"nothing.tar.gz\" in bucket \"templates\""
    );
}

#[tokio::test]
async fn a_bundle_that_breaks_a_rule_fails_the_registration_with_the_rule() {
    let stack = Stack::new();
    stack.create_environment_template("web").await;
    stack.upload("k", &environment_bundle("")[..2]);
    stack.begin(None, "k").await;
    let message = stack.registered("web", "1", "0").await.unwrap_err();
    assert!(message.contains("cloudformation.yaml"), "{message}");
}

#[tokio::test]
async fn a_failed_version_can_only_be_deleted() {
    let stack = Stack::new();
    stack.create_environment_template("web").await;
    stack.begin(None, "nothing").await;
    stack.registered("web", "1", "0").await.unwrap_err();
    let update = stack
        .client
        .update_environment_template_version()
        .template_name("web")
        .major_version("1");
    let update = update
        .minor_version("0")
        .status(TemplateVersionStatus::Published)
        .send()
        .await;
    assert_eq!(super::stack::code(update), "ValidationException");
    let delete = stack
        .client
        .delete_environment_template_version()
        .template_name("web");
    delete
        .major_version("1")
        .minor_version("0")
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_minor_version_must_accept_what_the_one_before_did() {
    let stack = Stack::new();
    stack.create_environment_template("web").await;
    stack.environment_version("web", None).await;
    let demanding = "        port:\n          type: string\n      required: [port]\n";
    stack.upload("demanding", &environment_bundle(demanding));
    stack.begin(Some("1"), "demanding").await;
    let message = stack.registered("web", "1", "1").await.unwrap_err();
    assert!(message.contains("not backward compatible"), "{message}");

    stack.begin(None, "demanding").await;
    stack.registered("web", "2", "0").await.unwrap();
}

#[tokio::test]
async fn a_failed_minor_version_is_not_compared_with() {
    let stack = Stack::new();
    stack.create_environment_template("web").await;
    stack.environment_version("web", None).await;
    stack.begin(Some("1"), "nothing").await;
    stack.registered("web", "1", "1").await.unwrap_err();
    stack.upload(
        "more",
        &environment_bundle("        port:\n          type: string\n"),
    );
    stack.begin(Some("1"), "more").await;
    stack.registered("web", "1", "2").await.unwrap();
}

#[tokio::test]
async fn the_bundle_is_copied() {
    let stack = Stack::new();
    stack.create_environment_template("web").await;
    stack.environment_version("web", None).await;
    stack.withdraw("environment.tar.gz");
    let version = stack.environment_version_now("web", "1", "0").await;
    assert_eq!(version.schema.unwrap(), environment_schema(""));
}

#[tokio::test]
async fn a_registration_that_was_accepted_survives_the_process() {
    let stack = Stack::idle();
    stack.create_environment_template("web").await;
    stack.upload("k", &environment_bundle(""));
    stack.begin(None, "k").await;
    let stack = stack.reopen(Duration::ZERO).await.working();
    assert_eq!(
        stack.registered("web", "1", "0").await.unwrap().status,
        TemplateVersionStatus::Draft
    );
}

#[tokio::test]
async fn a_registration_whose_worker_died_with_its_process_is_done_by_the_next_at_once() {
    use proton_grpc::control_plane::store::{Claim, Store};
    let stack = Stack::idle();
    stack.create_environment_template("web").await;
    stack.upload("k", &environment_bundle(""));
    stack.begin(None, "k").await;
    let directory = stack.data_directory();
    stack.plane.close().await;
    // The worker of another process takes the item and is never heard of again.
    let store = Store::open(&directory).unwrap();
    let claim = Claim {
        worker: "dead",
        now_ms: super::stack::START_MS,
        lease_ms: 60_000,
        limit: 1,
    };
    assert_eq!(store.claim(claim).await.unwrap().len(), 1);
    store.close().await;

    let stack = stack.reopen(Duration::ZERO).await.working();
    assert_eq!(
        stack.registered("web", "1", "0").await.unwrap().status,
        TemplateVersionStatus::Draft
    );
}

#[tokio::test]
async fn work_under_way_at_the_shutdown_is_handed_back() {
    let bundles = Bucket::default();
    let stack = Stack::with_bundles_from(bundles.hanging());
    stack.create_environment_template("web").await;
    stack.begin(None, "k").await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let working = tokio::spawn(proton_grpc::control_plane::reconcile::run(
        stack.plane.clone(),
        async {
            stopped.await.ok();
        },
    ));
    bundles.asked.notified().await;
    stop.send(()).unwrap();
    working.await.unwrap();

    let stack = stack.reopen(Duration::ZERO).await;
    stack.upload("k", &environment_bundle(""));
    let stack = stack.working();
    stack.registered("web", "1", "0").await.unwrap();
}

#[tokio::test]
async fn a_source_that_is_away_is_asked_again_until_patience_ends() {
    let bundles = Bucket::default();
    let stack = Stack::with_bundles_from(bundles.unavailable()).working();
    stack.create_environment_template("web").await;
    stack.begin(None, "k").await;
    while stack.status("0").await == TemplateVersionStatus::RegistrationInProgress {
        stack.let_a_second_pass().await;
    }
    let message = stack.registered("web", "1", "0").await.unwrap_err();
    assert_eq!(
        message,
        "gave up after 8 attempts: could not fetch the bundle"
    );
    assert_eq!(bundles.requests.load(Ordering::Relaxed), 8);
}

#[tokio::test]
async fn tags_set_during_the_registration_are_kept() {
    let bundles = Bucket::default();
    let stack = Stack::with_bundles_from(bundles.unavailable()).working();
    stack.create_environment_template("web").await;
    stack.begin(None, "k").await;
    bundles.asked.notified().await;
    let arn = super::stack::arn("environment-template/web:1.0");
    let tag = aws_sdk_proton::types::Tag::builder()
        .key("a")
        .value("1")
        .build()
        .unwrap();
    stack
        .client
        .tag_resource()
        .resource_arn(&arn)
        .tags(tag)
        .send()
        .await
        .unwrap();
    while stack.status("0").await == TemplateVersionStatus::RegistrationInProgress {
        stack.let_a_second_pass().await;
    }
    let tags = stack
        .client
        .list_tags_for_resource()
        .resource_arn(arn)
        .send()
        .await
        .unwrap()
        .tags;
    assert!(tags.iter().any(|tag| tag.key == "a"));
}

/// An S3 that is not well.
#[derive(Clone, Debug, Default)]
struct Bucket {
    requests: Arc<AtomicU32>,
    asked: Arc<tokio::sync::Notify>,
    hangs: bool,
}

impl Bucket {
    fn unavailable(&self) -> Source {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::v2026_01_12())
            .region(aws_sdk_s3::config::Region::new("us-east-1"))
            .endpoint_url("http://s3")
            .allow_no_auth()
            .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
            .http_client(self.clone());
        Source::S3(aws_sdk_s3::Client::from_conf(config.build()))
    }

    fn hanging(&self) -> Source {
        Self {
            hangs: true,
            ..self.clone()
        }
        .unavailable()
    }
}

impl HttpClient for Bucket {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Bucket {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let bucket = self.clone();
        HttpConnectorFuture::new(async move {
            bucket.requests.fetch_add(1, Ordering::Relaxed);
            bucket.asked.notify_one();
            if bucket.hangs {
                std::future::pending::<()>().await;
            }
            let status = aws_smithy_runtime_api::http::StatusCode::try_from(503).unwrap();
            Ok(HttpResponse::new(status, SdkBody::empty()))
        })
    }
}
