//! Where the calls go: an SDK client a thread, built once, warm before the first call.
//!
//! The embedded control plane is reached through the same SDK with a connector that answers from
//! memory, so that what is tested there is what runs against a remote endpoint.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_proton::{
    Client, Config,
    config::{
        IdentityCache, StalledStreamProtectionConfig,
        http::{HttpRequest, HttpResponse},
        retry::RetryConfig,
        timeout::TimeoutConfig,
    },
    error::{BoxError, ConnectorError},
};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_http_client::{
    Builder as HttpBuilder, ConnectorBuilder,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::{
    call::UNDERWAY,
    credentials::Renewable,
    lean::Lean,
    retry::Restraint,
    signer::{Signer, Skew},
};
use crate::telemetry::Span;

/// The SDK has no limit of its own on what it reads.
const RESPONSE_LIMIT: usize = 8 << 20;
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3100);

/// A Proton endpoint in this process. Requests carry the caller's [`Principal`](crate::identity::Principal) in their
/// extensions, where calls have one.
pub trait Endpoint: Send + Sync + 'static {
    fn answer(&self, request: http::Request<Bytes>) -> Answer;

    /// Watches the status of a resource, if the endpoint tells when it changes. Else it is read
    /// again and again.
    fn watch(&self, _arn: &str) -> Option<Box<dyn Watch>> {
        None
    }
}

/// Sleeps while a status stays as it is.
pub trait Watch: Send {
    /// Returns when the status may have changed since the last call. The first call returns at
    /// once: what was read before the watch began may be out of date already.
    fn changed(&mut self) -> Changed<'_>;
}

pub type Changed<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The answer of an [`Endpoint`], to come.
pub type Answer = Pin<Box<dyn Future<Output = http::Response<Bytes>> + Send>>;

/// What the facade calls. Cheap to clone.
#[derive(Clone)]
pub struct Upstream {
    repeating: Client,
    single: Client,
    credentials: Option<Renewable>,
    /// What answers, if that is in this process.
    endpoint: Option<Arc<dyn Endpoint>>,
}

impl Upstream {
    /// The control plane in this process. Nothing is signed: there is nobody in between.
    pub fn embedded(endpoint: Arc<dyn Endpoint>, region: &str) -> Self {
        let config = Config::builder()
            .region(Region::new(region.to_owned()))
            .endpoint_url("http://embedded")
            .allow_no_auth()
            .http_client(Watched {
                http: SharedHttpClient::new(InProcess(Arc::clone(&endpoint))),
                skew: None,
            });
        Self {
            endpoint: Some(endpoint),
            ..Self::build(config, None)
        }
    }

    /// An endpoint as an SDK configuration names it.
    pub fn from_config(config: &SdkConfig) -> Self {
        Remote::from_config(config.clone()).upstream()
    }

    fn build(builder: aws_sdk_proton::config::Builder, credentials: Option<Renewable>) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let builder = builder
            .behavior_version(BehaviorVersion::v2026_01_12())
            .timeout_config(timeouts)
            // Deadlines do that.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .retry_classifier(Restraint)
            .interceptor(Lean);
        let client = |retries| Client::from_conf(builder.clone().retry_config(retries).build());
        Self {
            repeating: client(RetryConfig::standard()),
            single: client(RetryConfig::disabled()),
            credentials,
            endpoint: None,
        }
    }

    /// Does now what the first call would otherwise wait for.
    pub async fn warm(&self) {
        #[allow(
            deprecated,
            reason = "AWS marks every operation of a service that it closed"
        )]
        let _ = self.single.get_account_settings().send().await;
    }

    pub(super) fn client(&self, repeats: bool) -> &Client {
        if repeats {
            &self.repeating
        } else {
            &self.single
        }
    }

    pub(super) fn watch(&self, arn: &str) -> Option<Box<dyn Watch>> {
        self.endpoint.as_ref()?.watch(arn)
    }

    pub(super) fn credentials(&self) -> Option<&Renewable> {
        self.credentials.as_ref()
    }
}

/// An endpoint over HTTP. Found once; each thread that calls it makes its own [`Upstream`], with
/// connections of its own, so that no call waits for another thread. They share credentials.
#[derive(Clone)]
pub struct Remote {
    config: SdkConfig,
    credentials: Option<Renewable>,
    skew: Skew,
}

impl Remote {
    /// With what AWS's standard chain finds: profiles, environment, SSO, instance metadata.
    /// Without a URL the endpoint is AWS's own.
    pub async fn find(url: Option<&str>, region: &str) -> Self {
        let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new(region.to_owned()));
        let loader = match url {
            Some(url) => loader.endpoint_url(url),
            None => loader,
        };
        Self::from_config(loader.load().await)
    }

    fn from_config(config: SdkConfig) -> Self {
        let clock = config
            .time_source()
            .unwrap_or_else(|| SharedTimeSource::new(SystemTimeSource::new()));
        let credentials = config
            .credentials_provider()
            .map(|source| Renewable::new(source, clock.clone()));
        Self {
            config,
            credentials,
            skew: Skew::new(clock),
        }
    }

    /// Fetches the credentials that the first call would otherwise wait for. That there are none
    /// yet is logged, and said again to those who call.
    pub async fn warm(&self) {
        if let Some(credentials) = &self.credentials
            && let Err(error) = credentials.provide_credentials().await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "there are no credentials for the upstream yet"
            );
        }
    }

    pub fn upstream(&self) -> Upstream {
        let mut builder = aws_sdk_proton::config::Builder::from(&self.config);
        if let Some(credentials) = &self.credentials {
            builder = builder
                .credentials_provider(credentials.clone())
                .identity_cache(IdentityCache::no_cache());
        }
        if let Some(region) = self.config.region() {
            builder = builder.push_auth_scheme(Signer::new(region.as_ref(), self.skew.clone()));
        }
        let plain = (self.config.endpoint_url()).is_some_and(|url| url.starts_with("http://"));
        let http = self.config.http_client();
        let http = Watched {
            http: http.unwrap_or_else(|| over_network(plain)),
            skew: Some(self.skew.clone()),
        };
        Upstream::build(builder.http_client(http), self.credentials.clone())
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("signs", &self.credentials.is_some())
            .finish_non_exhaustive()
    }
}

/// The SDK's own HTTP client. It is named here because it is what [`Watched`] goes around.
fn over_network(plain: bool) -> SharedHttpClient {
    HttpBuilder::new().build_with_connector_fn(move |settings, parts| {
        let mut connector = ConnectorBuilder::default();
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(parts.and_then(RuntimeComponents::sleep_impl));
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        match plain {
            // Spares the reading of the machine's root certificates, which are megabytes.
            true => connector.build_http(),
            false => connector
                .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
                .build(),
        }
    })
}

/// An answer that is larger than [`RESPONSE_LIMIT`].
#[derive(Debug, thiserror::Error)]
#[error("the response is larger than {RESPONSE_LIMIT} bytes")]
pub(super) struct ResponseTooLarge;

/// Counts the attempts of each call, says which call they are for, bounds what it reads, and sees what time it is elsewhere.
#[derive(Clone, Debug)]
struct Watched<T> {
    http: T,
    skew: Option<Skew>,
}

impl<T: HttpClient> HttpClient for Watched<T> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        parts: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Watched {
            http: self.http.http_connector(settings, parts),
            skew: self.skew.clone(),
        })
    }

    fn validate_base_client_config(
        &self,
        parts: &aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder,
        config: &aws_smithy_types::config_bag::ConfigBag,
    ) -> Result<(), BoxError> {
        self.http.validate_base_client_config(parts, config)
    }
}

impl HttpConnector for Watched<SharedHttpConnector> {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        // Outside a call (when warming up) there is nothing to count.
        let _ = UNDERWAY.try_with(|underway| {
            underway.attempts.set(underway.attempts.get() + 1);
            // The request is signed already: these headers are for whoever it passes.
            let span = underway.span.iter();
            for (name, value) in span.flat_map(Span::headers) {
                // A state that came in a header fits one.
                let _ = request.headers_mut().try_insert(name, value);
            }
        });
        let response = self.http.call(request);
        let skew = self.skew.clone();
        HttpConnectorFuture::new(async move {
            let response = response.await?;
            if let Some(skew) = skew {
                skew.learn(&response);
            }
            bounded(response)
        })
    }
}

fn bounded(response: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    match response.body().content_length() {
        // A response that says how long it is needs no counting.
        Some(length) if length <= RESPONSE_LIMIT as u64 => Ok(response),
        Some(_) => Err(ConnectorError::other(ResponseTooLarge.into(), None)),
        None => Ok(response.map(|body| {
            let body = Limited::new(body, RESPONSE_LIMIT).map_err(|error| {
                match error.downcast::<LengthLimitError>() {
                    Ok(_) => BoxError::from(ResponseTooLarge),
                    Err(error) => error,
                }
            });
            SdkBody::from_body_1_x(body)
        })),
    }
}

/// A client whose server is a value in this process.
#[derive(Clone)]
struct InProcess(Arc<dyn Endpoint>);

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

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
        let wrong = |error: BoxError| ConnectorError::user(error);
        let answer = request
            .try_into_http1x()
            .map_err(|error| wrong(error.into()))
            .map(|request| {
                let body = |body: SdkBody| Bytes::copy_from_slice(body.bytes().unwrap_or_default());
                let mut request = request.map(body);
                // Outside a call (when warming up) nobody asks.
                let principal = UNDERWAY.try_with(|underway| underway.principal.clone());
                if let Ok(Some(principal)) = principal {
                    request.extensions_mut().insert(principal);
                }
                self.0.answer(request)
            });
        HttpConnectorFuture::new(async move {
            let response = answer?.await.map(SdkBody::from);
            HttpResponse::try_from(response).map_err(|error| wrong(error.into()))
        })
    }
}
