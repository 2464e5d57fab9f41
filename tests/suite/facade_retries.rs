//! Who repeats what, and how often. Time is paused: back-off costs nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, future},
};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioIo},
};
use proton_grpc::facade::{RetryOwner, Settings};
use serde_json::json;
use tokio::{net::TcpStream, time::Instant};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::{
    facade_errors::{full, without_token},
    facade_world::{Reply, World, answer, error, ok},
};

fn attempts(status: &Status) -> String {
    let details = status.get_error_details();
    details.error_info().unwrap().metadata["attempts"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_safe_call_is_made_three_times() {
    for (operation, request) in [
        ("GetService", full("GetService")),
        ("DeleteService", full("DeleteService")),
        ("CreateComponent", full("CreateComponent")),
    ] {
        for reply in [
            error(500, "InternalServerException"),
            error(503, "ServiceUnavailable"),
            Reply::Answer(answer(502, "")),
            Reply::Silence,
        ] {
            let world = World::new(Settings::default());
            world.stub.answers(reply);
            let status = world.call(operation, request.clone()).await.unwrap_err();
            assert_eq!(world.stub.seen().len(), 3);
            assert_eq!(attempts(&status), "3");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeat_that_succeeds_is_a_success() {
    let world = World::new(Settings::default());
    world.stub.answers_in_turn([
        error(500, "InternalServerException"),
        error(503, "ServiceUnavailable"),
        ok(&json!({})),
    ]);
    let answer = world.call("GetService", full("GetService")).await;
    assert!(answer.is_ok());
    assert_eq!(world.stub.seen().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_repeat_may_harm_is_made_once() {
    for (operation, request) in [
        ("UpdateService", full("UpdateService")),
        ("CreateComponent", without_token("CreateComponent")),
    ] {
        for reply in [
            error(500, "InternalServerException"),
            error(503, "ServiceUnavailable"),
            error(408, "RequestTimeout"),
            Reply::Answer(answer(502, "")),
            Reply::Answer(answer(500, "<html>")),
            Reply::Answer(answer(200, "{")),
            Reply::Silence,
        ] {
            let world = World::new(Settings::default());
            world.stub.answers(reply.clone());
            let status = world.call(operation, request.clone()).await.unwrap_err();
            assert_eq!(world.stub.seen().len(), 1, "{operation} {reply:?}");
            assert_eq!(attempts(&status), "1");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_is_passed_on_at_once() {
    let with_header = || {
        let mut reply = answer(400, "{}");
        let code = "ThrottlingException".parse().unwrap();
        reply.headers_mut().insert("x-amzn-errortype", code);
        Reply::Answer(reply)
    };
    for reply in [
        error(400, "ThrottlingException"),
        error(429, "TooManyRequestsException"),
        error(503, "SlowDown"),
        Reply::Answer(answer(429, "")),
        Reply::Answer(answer(400, r#"{"code":"Throttling"}"#)),
        with_header(),
    ] {
        for operation in ["GetService", "UpdateService"] {
            let world = World::new(Settings::default());
            world.stub.answers(reply.clone());
            let begun = Instant::now();
            let status = world.call(operation, full(operation)).await.unwrap_err();
            assert_eq!(status.code(), Code::ResourceExhausted);
            assert_eq!(world.stub.seen().len(), 1, "{operation} {reply:?}");
            assert!(begun.elapsed() < Duration::from_millis(20));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_one_layer_repeats() {
    let ask = async |owner, headers: &[(&'static str, &str)]| {
        let world = World::new(Settings {
            retry_owner: owner,
            ..Settings::default()
        });
        world.stub.answers(error(500, "InternalServerException"));
        let mut request = Request::new(full("GetService"));
        for (name, value) in headers {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        world.ask("GetService", request).await.unwrap_err();
        world.stub.seen().len()
    };
    use RetryOwner::{Client, Facade, Mesh};
    assert_eq!(ask(Facade, &[]).await, 3);
    assert_eq!(ask(Mesh, &[]).await, 1);
    assert_eq!(ask(Client, &[]).await, 1);
    assert_eq!(ask(Facade, &[("x-envoy-attempt-count", "1")]).await, 3);
    assert_eq!(ask(Facade, &[("x-envoy-attempt-count", "2")]).await, 1);
    assert_eq!(ask(Facade, &[("grpc-previous-rpc-attempts", "1")]).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_may_repeat_only_what_it_cannot_do_twice() {
    let ask = async |operation, message, header: (&'static str, &str)| {
        let world = World::new(Settings::default());
        world.stub.answers(ok(&json!({})));
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert(header.0, header.1.parse().unwrap());
        let ended = world.ask(operation, request).await;
        (ended.err(), world.stub.seen().len())
    };
    for header in [
        ("x-envoy-attempt-count", "2"),
        ("grpc-previous-rpc-attempts", "1"),
    ] {
        for (operation, message) in [
            ("UpdateService", full("UpdateService")),
            ("CreateComponent", without_token("CreateComponent")),
        ] {
            let (status, asked) = ask(operation, message, header).await;
            let status = status.unwrap();
            assert_eq!((status.code(), asked), (Code::Unknown, 0));
            let info = status.get_error_details().error_info().unwrap().clone();
            assert_eq!(info.reason, "OUTCOME_UNKNOWN");
            assert_eq!(info.metadata["outcome"], "unknown");
            let pushback = status.metadata().get("grpc-retry-pushback-ms");
            assert_eq!(pushback.unwrap(), "-1");
        }
        for operation in ["GetService", "DeleteService", "CreateComponent"] {
            assert_eq!(ask(operation, full(operation), header).await.1, 1);
        }
    }
    let first = ("x-envoy-attempt-count", "1");
    let (_, asked) = ask("UpdateService", full("UpdateService"), first).await;
    assert_eq!(asked, 1);
}

/// An HTTP client that cannot connect.
#[derive(Clone, Debug, Default)]
struct Unconnected(Arc<AtomicUsize>);

impl HttpClient for Unconnected {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Unconnected {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.0.fetch_add(1, Ordering::Relaxed);
        let connector = tower::service_fn(|_: http::Uri| {
            let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
            std::future::ready(Err::<TokioIo<TcpStream>, _>(refused))
        });
        let client = legacy::Client::builder(TokioExecutor::new()).build(connector);
        let response = client.request(request.try_into_http1x().unwrap());
        HttpConnectorFuture::new(async move {
            let error = response.await.expect_err("no connection");
            Err(ConnectorError::io(error.into()))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_left_is_repeated_whatever_it_is() {
    for operation in ["GetService", "UpdateService"] {
        let client = Unconnected::default();
        let world = World::with(Settings::default(), |sdk| {
            sdk.into_builder().http_client(client.clone()).build()
        });
        let status = world.call(operation, full(operation)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(attempts(&status), "3");
        assert_eq!(client.0.load(Ordering::Relaxed), 3);
    }
}

/// Hands out other credentials each time that it is asked.
#[derive(Clone, Debug, Default)]
struct Rotating {
    asked: Arc<AtomicUsize>,
    expiry: Option<SystemTime>,
}

impl ProvideCredentials for Rotating {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let key = format!("AKID{turn}");
        let credentials = Credentials::new(key, "secret", None, self.expiry, "test");
        future::ProvideCredentials::ready(Ok(credentials))
    }
}

fn rotating(source: &Rotating) -> World {
    World::with(Settings::default(), |sdk| {
        let source = SharedCredentialsProvider::new(source.clone());
        sdk.into_builder().credentials_provider(source).build()
    })
}

#[tokio::test(start_paused = true)]
async fn expired_credentials_are_renewed_once() {
    for operation in ["GetService", "UpdateService"] {
        let source = Rotating::default();
        let world = rotating(&source);
        world.stub.answers_in_turn([
            ok(&json!({})),
            error(400, "ExpiredTokenException"),
            ok(&json!({})),
        ]);
        for _ in 0..2 {
            world.call(operation, full(operation)).await.unwrap();
        }
        let keys: Vec<_> = world.stub.seen().iter().map(signed_by).collect();
        assert_eq!(keys, ["AKID1", "AKID1", "AKID2"]);

        world.stub.answers(error(400, "ExpiredTokenException"));
        let status = world.call(operation, full(operation)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(attempts(&status), "2");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_expire_together_renew_the_credentials_once() {
    let source = Rotating::default();
    let world = rotating(&source);
    world.stub.answers(ok(&json!({})));
    world.call("GetService", full("GetService")).await.unwrap();
    let refusals = std::iter::repeat_n(error(400, "ExpiredToken"), 8);
    world.stub.answers_in_turn(refusals);
    let calls = (0..8).map(|_| world.call("GetService", full("GetService")));
    for answer in futures_util::future::join_all(calls).await {
        answer.unwrap();
    }
    assert_eq!(source.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn credentials_are_kept_until_shortly_before_they_expire() {
    for (left, times) in [(None, 1), (Some(3600), 1), (Some(30), 3)] {
        let expiry = left.map(|left| SystemTime::now() + Duration::from_secs(left));
        let source = Rotating {
            expiry,
            ..Rotating::default()
        };
        let world = rotating(&source);
        world.stub.answers(ok(&json!({})));
        for _ in 0..3 {
            world.call("GetService", full("GetService")).await.unwrap();
        }
        assert_eq!(source.asked.load(Ordering::Relaxed), times, "{left:?}");
    }
}

fn signed_by(seen: &crate::facade_world::Seen) -> String {
    let authorization = seen.headers["authorization"].to_str().unwrap();
    let credential = authorization.split("Credential=").nth(1).unwrap();
    credential.split('/').next().unwrap().to_owned()
}
