//! A control plane for a test: a store in a temporary directory, bundles in another, time that stands still, ids that count up,
//! and the real SDK client in front, connected in process.

#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_proton::Client;
use aws_sdk_proton::client::Waiters as _;
use aws_sdk_proton::config::http::{HttpRequest, HttpResponse};
use aws_sdk_proton::config::retry::RetryConfig;
use aws_sdk_proton::config::{
    AsyncSleep, BehaviorVersion, Credentials, Intercept, Region, RuntimeComponents, Sleep,
    StalledStreamProtectionConfig,
};
use aws_sdk_proton::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_proton::types::{
    CompatibleEnvironmentTemplateInput, EnvironmentTemplateVersion, S3ObjectSource,
    ServiceTemplateVersion, TemplateVersionSourceInput, TemplateVersionStatus,
};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use proton_grpc::control_plane::ambient::{Ambient, Manual};
use proton_grpc::control_plane::bundle::source::Source;
use proton_grpc::control_plane::events::Sink;
use proton_grpc::control_plane::provision::{Engines, local};
use proton_grpc::control_plane::store::{Change, Store};
use proton_grpc::control_plane::{Caller, ControlPlane, Limits, Parts, reconcile, wire};
use proton_grpc::identity::{Identities, Place};
use proton_grpc::telemetry::Telemetry;
use tempfile::TempDir;

use super::engine::Scripted;

pub(crate) const ACCOUNT: &str = "123456789012";
/// Another account, and the access key that its calls are signed with.
pub(crate) const OTHER_ACCOUNT: &str = "210987654321";
const OTHER_KEY: &str = "AKIDOTHER";
pub(crate) const REGION: &str = "us-east-1";
/// When tests begin.
pub(crate) const START_MS: i64 = 1_700_000_000_000;
/// The only bucket there is.
pub(crate) const BUCKET: &str = "templates";

pub(crate) struct Stack {
    pub(crate) client: Client,
    pub(crate) plane: ControlPlane,
    pub(crate) clock: Arc<Manual>,
    /// With which `scripted` ones deploy.
    pub(crate) engine: Arc<Scripted>,
    engines: Engines,
    directory: TempDir,
}

impl Stack {
    /// A control plane that does its work.
    pub(crate) fn new() -> Self {
        Self::with(Limits::default()).working()
    }

    /// A control plane that lets its work lie.
    pub(crate) fn idle() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bundles = Source::Directory(directory.path().join("bundles"));
        Self::open(directory, bundles, START_MS, limits)
    }

    /// A control plane that finds something in its store.
    pub(crate) async fn finding(change: Change) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("data")).unwrap();
        store.commit(change).await.unwrap();
        store.close().await;
        let bundles = Source::Directory(directory.path().join("bundles"));
        Self::open(directory, bundles, START_MS, Limits::default())
    }

    /// A control plane whose deployments take so long.
    pub(crate) fn paced(pace: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bundles = Source::Directory(directory.path().join("bundles"));
        Self::engaging(
            on_paper(pace),
            directory,
            bundles,
            START_MS,
            Limits::default(),
        )
        .working()
    }

    /// A control plane whose deployments end as the test says.
    pub(crate) fn scripted(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bundles = Source::Directory(directory.path().join("bundles"));
        let engine = Arc::new(Scripted::default());
        let stack = Self::engaging(engine.engines(), directory, bundles, START_MS, limits);
        Self { engine, ..stack }.working()
    }

    /// A scripted control plane over this store, which tells this sink and lets its work lie.
    pub(crate) fn over(store: Store, events: Option<Sink>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bundles = directory.path().join("bundles");
        std::fs::create_dir_all(bundles.join(BUCKET)).unwrap();
        let clock = Arc::new(Manual::starting_at(START_MS));
        let engine = Arc::new(Scripted::default());
        let engines = engine.engines();
        let plane = ControlPlane::new(Parts {
            store,
            bundles: Source::Directory(bundles),
            engines: engines.clone(),
            ambient: clock.clone(),
            caller: caller(),
            accounts: accounts(),
            limits: Limits::default(),
            events,
            telemetry: Telemetry::default(),
        });
        Self {
            client: client(&plane),
            plane,
            clock,
            engine,
            engines,
            directory,
        }
    }

    /// As `scripted`, with this store.
    pub(crate) fn scripted_on(store: Store, limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let engine = Arc::new(Scripted::default());
        let bundles = Source::Directory(directory.path().join("bundles"));
        let engines = engine.engines();
        let stack = Self::storing(store, engines, directory, bundles, START_MS, limits);
        Self { engine, ..stack }.working()
    }

    pub(crate) fn with_bundles_from(bundles: Source) -> Self {
        Self::open(
            tempfile::tempdir().unwrap(),
            bundles,
            START_MS,
            Limits::default(),
        )
    }

    fn open(directory: TempDir, bundles: Source, now_ms: i64, limits: Limits) -> Self {
        Self::engaging(on_paper(Duration::ZERO), directory, bundles, now_ms, limits)
    }

    fn engaging(
        engines: Engines,
        directory: TempDir,
        bundles: Source,
        now_ms: i64,
        limits: Limits,
    ) -> Self {
        let store = store_in(&directory);
        Self::storing(store, engines, directory, bundles, now_ms, limits)
    }

    fn storing(
        store: Store,
        engines: Engines,
        directory: TempDir,
        bundles: Source,
        now_ms: i64,
        limits: Limits,
    ) -> Self {
        std::fs::create_dir_all(directory.path().join("bundles").join(BUCKET)).unwrap();
        let clock = Arc::new(Manual::starting_at(now_ms));
        let plane = plane(store, bundles, clock.clone(), engines.clone(), limits);
        Self {
            engines,
            client: client(&plane),
            plane,
            clock,
            engine: Arc::default(),
            directory,
        }
    }

    /// In a world of the test's own making.
    pub(crate) fn within(ambient: Arc<dyn Ambient>) -> Self {
        let mut stack = Self::idle();
        let directory = tempfile::tempdir().unwrap();
        let bundles = Source::Directory(directory.path().join("bundles"));
        let engines = on_paper(Duration::ZERO);
        let store = store_in(&directory);
        stack.plane = plane(store, bundles, ambient, engines, Limits::default());
        stack.client = client(&stack.plane);
        stack.directory = directory;
        stack
    }

    pub(crate) fn working(self) -> Self {
        tokio::spawn(reconcile::run(self.plane.clone(), std::future::pending()));
        self
    }

    /// Another process takes over the directory, some time later.
    pub(crate) async fn reopen(self, after: Duration) -> Self {
        self.plane.close().await;
        let bundles = Source::Directory(self.directory.path().join("bundles"));
        let now_ms = START_MS + i64::try_from(after.as_millis()).unwrap();
        let limits = Limits::default();
        let stack = Self::engaging(self.engines, self.directory, bundles, now_ms, limits);
        Self {
            engine: self.engine,
            ..stack
        }
    }

    pub(crate) fn data_directory(&self) -> std::path::PathBuf {
        self.directory.path().join("data")
    }

    /// A client of the other account.
    pub(crate) fn other(&self) -> Client {
        let credentials = Credentials::new(OTHER_KEY, "secret", None, None, "test");
        let config = config(&self.plane).credentials_provider(credentials);
        Client::from_conf(config.build())
    }

    /// A client of each account, the other's last, that somebody looks over the shoulder of.
    pub(crate) fn watched(&self, watcher: impl Intercept + Clone + 'static) -> [Client; 2] {
        let credentials = Credentials::new(OTHER_KEY, "secret", None, None, "test");
        let own = config(&self.plane).allow_no_auth();
        let other = config(&self.plane).credentials_provider(credentials);
        [own, other].map(|config| Client::from_conf(config.interceptor(watcher.clone()).build()))
    }

    /// Puts a bundle where versions can be registered from.
    pub(crate) fn upload(&self, key: &str, files: &[(&str, &str)]) {
        upload(self.directory.path(), key, files);
    }

    pub(crate) fn withdraw(&self, key: &str) {
        std::fs::remove_file(self.directory.path().join("bundles").join(BUCKET).join(key)).unwrap();
    }

    pub(crate) async fn create_environment_template(&self, name: &str) {
        self.client
            .create_environment_template()
            .name(name)
            .send()
            .await
            .unwrap();
    }

    pub(crate) async fn create_service_template(&self, name: &str) {
        self.client
            .create_service_template()
            .name(name)
            .send()
            .await
            .unwrap();
    }

    /// Registers a good bundle as the next version of an environment template, up to the end.
    pub(crate) async fn environment_version(
        &self,
        template: &str,
        major: Option<&str>,
    ) -> EnvironmentTemplateVersion {
        self.upload("environment.tar.gz", &environment_bundle(""));
        let created = self
            .client
            .create_environment_template_version()
            .template_name(template)
            .set_major_version(major.map(str::to_owned))
            .source(source("environment.tar.gz"))
            .send()
            .await
            .unwrap();
        let version = created.environment_template_version.unwrap();
        self.registered(template, &version.major_version, &version.minor_version)
            .await
            .unwrap()
    }

    pub(crate) async fn service_version(
        &self,
        template: &str,
        environments: &[(&str, &str)],
    ) -> ServiceTemplateVersion {
        self.upload("service.tar.gz", &service_bundle());
        let named = environments
            .iter()
            .map(|(name, major)| compatible(name, major));
        let created = self
            .client
            .create_service_template_version()
            .template_name(template)
            .set_compatible_environment_templates(Some(named.collect()))
            .source(source("service.tar.gz"))
            .send()
            .await
            .unwrap();
        let version = created.service_template_version.unwrap();
        let waiter = self.client.wait_until_service_template_version_registered();
        let waiter = waiter.template_name(template);
        let waiter = waiter
            .major_version(version.major_version)
            .minor_version(version.minor_version);
        let end = waiter
            .wait(Duration::from_secs(60))
            .await
            .unwrap()
            .into_result()
            .unwrap();
        end.service_template_version.unwrap()
    }

    /// Waits for a version's registration; the message is the error.
    pub(crate) async fn registered(
        &self,
        template: &str,
        major: &str,
        minor: &str,
    ) -> Result<EnvironmentTemplateVersion, String> {
        let waiter = self
            .client
            .wait_until_environment_template_version_registered();
        let waiter = waiter
            .template_name(template)
            .major_version(major)
            .minor_version(minor);
        waiter.wait(Duration::from_secs(60)).await.ok();
        let version = self.environment_version_now(template, major, minor).await;
        match version.status {
            TemplateVersionStatus::RegistrationFailed => Err(version.status_message.unwrap()),
            _ => Ok(version),
        }
    }

    pub(crate) async fn environment_version_now(
        &self,
        template: &str,
        major: &str,
        minor: &str,
    ) -> EnvironmentTemplateVersion {
        let get = self
            .client
            .get_environment_template_version()
            .template_name(template);
        let got = get
            .major_version(major)
            .minor_version(minor)
            .send()
            .await
            .unwrap();
        got.environment_template_version.unwrap()
    }

    pub(crate) async fn publish(
        &self,
        template: &str,
        major: &str,
        minor: &str,
    ) -> EnvironmentTemplateVersion {
        let update = self
            .client
            .update_environment_template_version()
            .template_name(template);
        let update = update
            .major_version(major)
            .minor_version(minor)
            .status(TemplateVersionStatus::Published);
        update
            .send()
            .await
            .unwrap()
            .environment_template_version
            .unwrap()
    }
}

/// The built-in engines, with the time that deployments take.
fn on_paper(pace: Duration) -> Engines {
    let handed_over = Arc::new(local::HandOver::new(local::Ending::WaitsForNotify));
    Engines {
        cloudformation: Arc::new(local::CloudFormation::new(pace)),
        terraform: handed_over.clone(),
        codebuild: handed_over,
    }
}

fn store_in(directory: &TempDir) -> Store {
    Store::open(&directory.path().join("data")).unwrap()
}

fn plane(
    store: Store,
    bundles: Source,
    ambient: Arc<dyn Ambient>,
    engines: Engines,
    limits: Limits,
) -> ControlPlane {
    ControlPlane::new(Parts {
        store,
        bundles,
        engines,
        ambient,
        caller: caller(),
        accounts: accounts(),
        limits,
        events: None,
        telemetry: Telemetry::default(),
    })
}

fn caller() -> Caller {
    Caller::new(ACCOUNT, REGION)
}

fn accounts() -> BTreeMap<String, String> {
    BTreeMap::from([(OTHER_KEY.to_owned(), OTHER_ACCOUNT.to_owned())])
}

/// Callers are let in without a question.
pub(crate) fn nobody_asks() -> Identities {
    Identities::nobody_asks(Place {
        account: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
    })
}

pub(crate) fn source(key: &str) -> TemplateVersionSourceInput {
    TemplateVersionSourceInput::S3(
        S3ObjectSource::builder()
            .bucket(BUCKET)
            .key(key)
            .build()
            .unwrap(),
    )
}

pub(crate) fn compatible(template: &str, major: &str) -> CompatibleEnvironmentTemplateInput {
    CompatibleEnvironmentTemplateInput::builder()
        .template_name(template)
        .major_version(major)
        .build()
        .unwrap()
}

pub(crate) fn arn(resource: &str) -> String {
    format!("arn:aws:proton:{REGION}:{ACCOUNT}:{resource}")
}

/// The name of the exception that a call ended with, and what it says.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E, HttpResponse>>,
) -> (String, String) {
    let error = result.expect_err("the call is refused");
    (
        error.code().unwrap_or_default().to_owned(),
        error.message().unwrap_or_default().to_owned(),
    )
}

/// The name of the exception alone.
#[track_caller]
pub(crate) fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E, HttpResponse>>,
) -> String {
    refused(result).0
}

const MANIFEST: &str = "infrastructure:
  templates:
    - file: cloudformation.yaml
      rendering_engine: jinja
      template_language: cloudformation
";
const TEMPLATE: &str = "Resources: {}\n";

fn schema(head: &str, more: &str) -> String {
    let properties = "        size:\n          type: string\n          default: small\n";
    format!(
        "schema:\n  format:\n    openapi: \"3.0.0\"\n{head}  types:\n    In:\n      type: object\n      properties:\n{properties}{more}"
    )
}

/// The schema of [`environment_bundle`], with lines for more properties.
pub(crate) fn environment_schema(more: &str) -> String {
    schema("  environment_input_type: In\n", more)
}

/// A good bundle, with lines for more properties in its schema.
pub(crate) fn environment_bundle(more: &str) -> Vec<(&'static str, &'static str)> {
    vec![
        ("schema/schema.yaml", environment_schema(more).leak()),
        ("infrastructure/manifest.yaml", MANIFEST),
        ("infrastructure/cloudformation.yaml", TEMPLATE),
    ]
}

pub(crate) fn service_bundle() -> Vec<(&'static str, &'static str)> {
    vec![
        (
            "schema/schema.yaml",
            schema("  service_input_type: In\n  pipeline_input_type: In\n", "").leak(),
        ),
        ("instance_infrastructure/manifest.yaml", MANIFEST),
        ("instance_infrastructure/cloudformation.yaml", TEMPLATE),
        ("pipeline_infrastructure/manifest.yaml", MANIFEST),
        ("pipeline_infrastructure/cloudformation.yaml", TEMPLATE),
    ]
}

fn upload(directory: &Path, key: &str, files: &[(&str, &str)]) {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        archive
            .append_data(&mut header, path, text.as_bytes())
            .unwrap();
    }
    let bytes = archive.into_inner().unwrap().finish().unwrap();
    std::fs::write(directory.join("bundles").join(BUCKET).join(key), bytes).unwrap();
}

fn client(plane: &ControlPlane) -> Client {
    Client::from_conf(config(plane).allow_no_auth().build())
}

fn config(plane: &ControlPlane) -> aws_sdk_proton::config::Builder {
    aws_sdk_proton::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION))
        .endpoint_url("http://control-plane")
        .http_client(InProcess(plane.clone()))
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .sleep_impl(NoSleep)
}

/// Waiters take turns with the work that they wait for, instead of sleeping.
#[derive(Debug)]
struct NoSleep;

impl AsyncSleep for NoSleep {
    fn sleep(&self, _: Duration) -> Sleep {
        Sleep::new(tokio::task::yield_now())
    }
}

/// Hands the SDK's requests to the control plane without a socket.
#[derive(Clone, Debug)]
struct InProcess(ControlPlane);

impl HttpClient for InProcess {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let plane = self.0.clone();
        HttpConnectorFuture::new(async move {
            let failed = |cause: Box<dyn std::error::Error + Send + Sync>| {
                ConnectorError::other(cause, None)
            };
            let request = request
                .try_into_http1x()
                .map_err(|cause| failed(cause.into()))?;
            let request =
                request.map(|body| Bytes::copy_from_slice(body.bytes().unwrap_or_default()));
            let (head, body) = wire::handle(&plane, request).await.into_parts();
            HttpResponse::try_from(http::Response::from_parts(head, SdkBody::from(body)))
                .map_err(|cause| failed(cause.into()))
        })
    }
}
