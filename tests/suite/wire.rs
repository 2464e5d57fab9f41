#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_proton::client::Waiters as _;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use proton_grpc::control_plane::ambient::{Ambient, Sleep};
use proton_grpc::control_plane::wire::{MAX_BODY, handle};
use proton_grpc::server::{Bound, Health, Listen, Server, Services};
use proton_grpc::telemetry::Telemetry;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::stack::{ACCOUNT, OTHER_ACCOUNT, Stack, arn, environment_bundle, nobody_asks, source};

fn request(operation: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    let request =
        Request::post("/").header("x-amz-target", format!("AwsProton20200720.{operation}"));
    request
        .header("content-type", "application/x-amz-json-1.0")
        .body(body.into())
        .unwrap()
}

impl Stack {
    async fn answer(&self, request: Request<Bytes>) -> (StatusCode, HeaderMap, Value) {
        let (head, body) = handle(&self.plane, request).await.into_parts();
        (
            head.status,
            head.headers,
            serde_json::from_slice(&body).unwrap(),
        )
    }

    async fn refusal(&self, request: Request<Bytes>) -> (u16, String, String) {
        let (status, _, body) = self.answer(request).await;
        let text = |member: &str| body[member].as_str().unwrap().to_owned();
        (status.as_u16(), text("__type"), text("message"))
    }
}

#[tokio::test]
async fn every_answer_has_the_content_type_and_an_id_of_its_own() {
    let stack = Stack::idle();
    let mut ids = Vec::new();
    for operation in [
        "GetAccountSettings",
        "GetEnvironmentTemplate",
        "NoSuchThing",
    ] {
        let (_, headers, _) = stack.answer(request(operation, "{}")).await;
        assert_eq!(headers["content-type"], "application/x-amz-json-1.0");
        ids.push(headers["x-amzn-requestid"].to_str().unwrap().to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn an_empty_body_reads_as_an_empty_object() {
    let (status, _, body) = Stack::idle()
        .answer(request("GetAccountSettings", ""))
        .await;
    assert_eq!(
        (status, body),
        (StatusCode::OK, json!({ "accountSettings": {} }))
    );
}

#[tokio::test]
async fn times_are_epoch_seconds_and_lists_are_there_when_empty() {
    let stack = Stack::idle();
    let (_, _, body) = stack
        .answer(request("ListEnvironmentTemplates", "{}"))
        .await;
    assert_eq!(body, json!({ "templates": [] }));
    let (_, _, body) = stack
        .answer(request("CreateEnvironmentTemplate", r#"{"name":"web"}"#))
        .await;
    assert_eq!(
        body["environmentTemplate"]["createdAt"],
        json!(1_700_000_000.0)
    );
}

#[tokio::test]
async fn a_target_that_is_missing_or_unknown_is_no_operation() {
    let stack = Stack::idle();
    let mut foreign = request("GetAccountSettings", "{}");
    foreign.headers_mut().insert(
        "x-amz-target",
        "AwsProton20200720GetAccountSettings".parse().unwrap(),
    );
    let mut missing = request("GetAccountSettings", "{}");
    missing.headers_mut().remove("x-amz-target");
    for request in [request("NoSuchThing", "{}"), foreign, missing] {
        let (status, name, _) = stack.refusal(request).await;
        assert_eq!((status, name.as_str()), (400, "UnknownOperationException"));
    }
}

#[tokio::test]
async fn another_path_or_method_is_not_found() {
    let stack = Stack::idle();
    let mut get = request("GetAccountSettings", "{}");
    *get.method_mut() = Method::GET;
    let mut elsewhere = request("GetAccountSettings", "{}");
    *elsewhere.uri_mut() = "/proton".parse().unwrap();
    for request in [get, elsewhere] {
        let (status, name, _) = stack.refusal(request).await;
        assert_eq!((status, name.as_str()), (404, "UnknownOperationException"));
    }
}

#[tokio::test]
async fn every_violation_is_told_by_the_name_of_its_member() {
    let body =
        r#"{"templateName":"-","majorVersion":"01","source":{"s3":{"bucket":"b","key":"k"}}}"#;
    let (status, name, message) = Stack::idle()
        .refusal(request("CreateEnvironmentTemplateVersion", body))
        .await;
    assert_eq!((status, name.as_str()), (400, "ValidationException"));
    assert!(
        message.starts_with("4 validation errors detected: "),
        "{message}"
    );
    for member in ["'templateName'", "'majorVersion'", "'source.s3.bucket'"] {
        assert!(message.contains(member), "{message}");
    }
}

#[tokio::test]
async fn missing_members_and_broken_bodies_are_refused() {
    let stack = Stack::idle();
    let (_, name, message) = stack.refusal(request("GetEnvironmentTemplate", "{}")).await;
    assert_eq!(name, "ValidationException");
    assert_eq!(
        message,
        "1 validation error detected: value at 'name' must not be null"
    );
    for body in ["[", "[]", r#"{"name":1}"#] {
        let (status, name, _) = stack.refusal(request("GetEnvironmentTemplate", body)).await;
        assert_eq!(
            (status, name.as_str()),
            (400, "SerializationException"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_source_must_be_one_that_is_known() {
    let stack = Stack::idle();
    for source in [
        "null",
        "{}",
        r#"{"s3":null}"#,
        r#"{"git":{}}"#,
        r#"{"s3":{}}"#,
        "7",
    ] {
        let body = format!(r#"{{"templateName":"web","source":{source}}}"#);
        let (status, _, message) = stack
            .refusal(request("CreateEnvironmentTemplateVersion", body))
            .await;
        assert_eq!(status, 400, "{source}: {message}");
    }
}

#[tokio::test]
async fn a_source_that_is_empty_is_invalid_and_not_unreadable() {
    let stack = Stack::idle();
    for source in ["{}", r#"{"s3":null}"#] {
        let body = format!(r#"{{"templateName":"web","source":{source}}}"#);
        let (_, name, message) = stack
            .refusal(request("CreateEnvironmentTemplateVersion", body))
            .await;
        assert_eq!(name, "ValidationException");
        assert!(message.contains("'source"), "{message}");
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_failure_of_one_call() {
    let stack = Stack::within(Arc::new(Broken));
    let (status, name, _) = stack
        .refusal(request("CreateEnvironmentTemplate", r#"{"name":"web"}"#))
        .await;
    assert_eq!((status, name.as_str()), (500, "InternalServerException"));
    let (status, _, _) = stack.answer(request("GetAccountSettings", "{}")).await;
    assert_eq!(status, StatusCode::OK);
}

/// A world whose clock is out of order.
struct Broken;

impl Ambient for Broken {
    fn now_ms(&self) -> i64 {
        panic!("the clock is out of order")
    }

    fn uuid(&self) -> String {
        "00000000-0000-4000-8000-000000000000".to_owned()
    }

    fn sleep_until(&self, _: i64) -> Sleep<'_> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let (status, name, _) = Stack::idle()
        .refusal(request("GetAccountSettings", vec![b' '; MAX_BODY + 1]))
        .await;
    assert_eq!(
        (status, name.as_str()),
        (413, "RequestEntityTooLargeException")
    );
}

/// A server with both fronts, and where its AWS-JSON is.
fn served(stack: &Stack) -> (Server, SocketAddr) {
    let bind = || Bound::to(&"127.0.0.1:0".parse().unwrap(), 0o600, 1).unwrap();
    let bound = bind();
    let Listen::Tcp(address) = *bound.listen() else {
        panic!("a port was asked for")
    };
    let server = Server::start(
        bind(),
        Health::default(),
        nobody_asks(),
        Telemetry::default(),
        Services::default,
    );
    let server = server
        .unwrap()
        .with_aws_json(bound, stack.plane.clone())
        .unwrap();
    (server, address)
}

#[tokio::test]
async fn http_1_and_2_are_served_until_the_drain() {
    let stack = Stack::idle();
    let (server, address) = served(&stack);
    for only_http2 in [false, true] {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(only_http2)
            .build(hyper_util::client::legacy::connect::HttpConnector::new());
        let mut request = request("GetAccountSettings", "{}").map(Full::new);
        *request.uri_mut() = format!("http://{address}/").parse().unwrap();
        let response = client.request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#"{"accountSettings":{}}"#);
    }
    server.drain(Duration::ZERO).await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_while_it_arrives() {
    let stack = Stack::idle();
    let (_server, address) = served(&stack);
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let body = Full::new(Bytes::from(vec![b' '; MAX_BODY + 1]));
    let response = sender
        .send_request(request("GetAccountSettings", "").map(|_| body))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(response.headers().contains_key("x-amzn-requestid"));
}

#[tokio::test]
async fn the_access_key_decides_whose_resources_are_seen() {
    let stack = Stack::idle();
    let other = stack.other();
    let create = other.create_environment_template().name("web");
    let created = create.send().await.unwrap().environment_template.unwrap();
    let theirs = arn("environment-template/web").replace(ACCOUNT, OTHER_ACCOUNT);
    assert_eq!(created.arn, theirs);

    let named = || json!({ "name": "web" }).to_string();
    let ours = stack.refusal(request("GetEnvironmentTemplate", named()));
    assert_eq!(ours.await.1, "ResourceNotFoundException");
    let mut unknown_key = request("GetEnvironmentTemplate", named());
    unknown_key.headers_mut().insert(
        "authorization",
        "AWS4-HMAC-SHA256 Credential=AKIDUNKNOWN/20250101/us-east-1/proton/aws4_request"
            .parse()
            .unwrap(),
    );
    assert_eq!(
        stack.refusal(unknown_key).await.1,
        "ResourceNotFoundException"
    );
}

#[tokio::test]
async fn work_is_done_on_behalf_of_the_account_that_asked_for_it() {
    let stack = Stack::new();
    let other = stack.other();
    stack.upload("k", &environment_bundle(""));
    other
        .create_environment_template()
        .name("web")
        .send()
        .await
        .unwrap();
    let create = other.create_environment_template_version();
    let create = create.template_name("web").source(source("k"));
    create.send().await.unwrap();
    let waiter = other.wait_until_environment_template_version_registered();
    let waiter = waiter.template_name("web");
    let waiter = waiter.major_version("1").minor_version("0");
    let end = waiter.wait(Duration::from_secs(60)).await;
    assert!(end.unwrap().into_result().is_ok());
}
