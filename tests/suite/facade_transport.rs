//! Answers without a usable code, and no answers at all: what the client is told, and whether the
//! facade knows what became of the request.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use aws_config::SdkConfig;
use aws_credential_types::{
    Credentials,
    provider::{
        ProvideCredentials, SharedCredentialsProvider, error::CredentialsError,
        future::ProvideCredentials as Provided,
    },
};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_types::error::ErrorMetadata;
use proton_grpc::facade::Upstream;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    facade_errors::{full, without_token},
    facade_world::{self as world, OWN_ID, Reply, Stub, World, answer, no_retries},
};

/// One of each class that a repeat does no harm to, and those it may.
const SAFE: [&str; 3] = ["GetService", "CreateComponent", "DeleteService"];
const HARMED: [&str; 2] = ["UpdateService", "CancelServicePipelineDeployment"];

/// Code, reason, outcome.
type Told = (Code, String, String);

fn told(status: &Status) -> Told {
    let details = status.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!(info.domain, "proton-grpc");
    assert!(!details.request_info().unwrap().request_id.is_empty());
    let outcome = info.metadata["outcome"].clone();
    (status.code(), info.reason.clone(), outcome)
}

fn as_told(code: Code, reason: &str, outcome: &str) -> Told {
    (code, reason.to_owned(), outcome.to_owned())
}

/// The same for safe operations and others.
fn both(code: Code, reason: &str, outcome: &str) -> [Told; 2] {
    [
        as_told(code, reason, outcome),
        as_told(code, reason, outcome),
    ]
}

/// Nobody knows what became of it.
fn by_class(reason: &str) -> [Told; 2] {
    [
        as_told(Code::Unavailable, reason, "unknown"),
        as_told(Code::Unknown, "OUTCOME_UNKNOWN", "unknown"),
    ]
}

/// Makes a safe and an unsafe call of each kind and compares what they are told.
async fn expect(world: &World, case: &str, [safe, harmed]: [Told; 2]) {
    let fleeting = without_token("CreateComponent");
    let unsafe_calls = HARMED.map(|name| (name, full(name)));
    let unsafe_calls = unsafe_calls
        .into_iter()
        .chain([("CreateComponent", fleeting)]);
    let calls = SAFE.map(|name| (name, full(name), &safe)).into_iter();
    let calls = calls.chain(unsafe_calls.map(|(name, request)| (name, request, &harmed)));
    for (operation, request, expected) in calls {
        let status = world.call(operation, request).await.unwrap_err();
        assert_eq!(told(&status), *expected, "{case}, {operation}");
        let pushback = status.metadata().get("grpc-retry-pushback-ms");
        let pushback = pushback.map(|value| value.to_str().unwrap());
        let retry_info = status.get_error_details().retry_info().is_some();
        match expected.0 {
            Code::Unavailable => assert!(retry_info && pushback != Some("-1"), "{case}"),
            Code::Unknown if expected.1 == "OUTCOME_UNKNOWN" => {
                assert!(!retry_info && pushback == Some("-1"), "{case}");
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn an_answer_without_a_usable_code_goes_by_its_http_status() {
    let world = World::on_loopback(no_retries()).await;
    let of_status = |status: u16| format!("UPSTREAM_HTTP_{status}");
    for status in [
        301, 302, 307, 308, 400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 429, 431, 500, 501,
        502, 503, 504, 505, 599,
    ] {
        let reason = of_status(status);
        let expected = match status {
            301..=308 => both(Code::Internal, "UPSTREAM_REDIRECT", "not_executed"),
            408 | 502..=504 => by_class(&reason),
            400 | 401 => both(Code::Internal, &reason, "unknown"),
            403 => both(Code::PermissionDenied, &reason, "unknown"),
            404 => both(Code::Unimplemented, "UPSTREAM_NOT_PROTON", "not_executed"),
            413 => both(Code::InvalidArgument, &reason, "unknown"),
            429 => both(Code::ResourceExhausted, &reason, "not_executed"),
            500.. => both(Code::Internal, &reason, "unknown"),
            _ => both(Code::Unknown, &reason, "unknown"),
        };
        for body in [
            "",
            "<html><body>oops</body></html>",
            r#"{"__type": "Thrott"#,
            r#"{"__type": ""}"#,
            "[]",
            "null",
            r#"{"message": "no type"}"#,
        ] {
            let mut reply = answer(status, body);
            // Nobody listens there: to follow would fail otherwise.
            let elsewhere = "http://127.0.0.1:9/".parse().unwrap();
            reply.headers_mut().insert("location", elsewhere);
            world.stub.answers(Reply::Answer(reply));
            expect(&world, &format!("{status} {body:?}"), expected.clone()).await;
            let calls = SAFE.len() + HARMED.len() + 1;
            assert_eq!(world.stub.seen().len(), calls, "{status} {body:?}");
        }
    }
}

#[tokio::test]
async fn a_success_that_cannot_be_read_goes_by_the_class() {
    let world = World::on_loopback(no_retries()).await;
    for body in ["<html>", "{", r#"{"service": 1}"#, "[]", "nonsense"] {
        world.stub.answers(Reply::Answer(answer(200, body)));
        let status = world
            .call("GetService", full("GetService"))
            .await
            .unwrap_err();
        let expected = as_told(Code::Unavailable, "UPSTREAM_RESPONSE_UNREADABLE", "unknown");
        assert_eq!(told(&status), expected, "{body}");
        world.stub.answers(Reply::Answer(answer(200, body)));
    }
    world.stub.answers(Reply::Answer(answer(200, "<html>")));
    expect(&world, "html", by_class("UPSTREAM_RESPONSE_UNREADABLE")).await;
}

#[tokio::test]
async fn a_code_that_nobody_knows_is_kept() {
    let world = World::on_loopback(no_retries()).await;
    for (status, code) in [
        (400, Code::Unknown),
        (418, Code::Unknown),
        (500, Code::Internal),
    ] {
        world.stub.answers(world::error(status, "TeapotException"));
        let got = world
            .call("GetService", full("GetService"))
            .await
            .unwrap_err();
        assert_eq!(got.code(), code);
        let details = got.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(info.reason, "TEAPOT_EXCEPTION");
        assert_eq!(info.metadata["aws_code"], "TeapotException");
        assert_eq!(info.metadata["outcome"], "unknown");
    }
}

#[tokio::test]
async fn the_code_in_the_header_goes_before_the_body() {
    let world = World::on_loopback(no_retries()).await;
    let mut reply = answer(400, r#"{"__type":"InternalFailure"}"#);
    let code = "ResourceNotFoundException:http://internal.amazon.com/#x";
    reply
        .headers_mut()
        .insert("x-amzn-errortype", code.parse().unwrap());
    world.stub.answers(Reply::Answer(reply));
    let status = world
        .call("GetService", full("GetService"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(!status.message().is_empty());
}

/// What a server does with a connection, once it has accepted it.
#[derive(Clone, Copy, Debug)]
enum Does {
    ResetsAtOnce,
    ResetsAfterTheRequest,
    ClosesAtOnce,
    ClosesAfterTheRequest,
    TalksNonsense,
    CutsTheBody,
    CutsAChunkedBody,
    StallsInTheBody,
    SaysNothing,
    AnnouncesTooMuch,
    SendsTooMuch,
}

async fn server(does: Does) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream, does));
        }
    });
    address
}

async fn handle(mut stream: TcpStream, does: Does) {
    let head = |length: &str| format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\n");
    if matches!(does, Does::ResetsAtOnce) {
        return stream.set_zero_linger().unwrap();
    }
    if matches!(does, Does::ClosesAtOnce) {
        return;
    }
    let mut request = [0; 1 << 16];
    // A client that hangs up meanwhile is what some of the cases are about.
    let _ = stream.read(&mut request).await;
    let _ = match does {
        Does::ResetsAfterTheRequest => stream.set_zero_linger(),
        Does::TalksNonsense => stream.write_all(b"220 smtp.example.com ESMTP\r\n").await,
        Does::CutsTheBody => {
            let answer = head("content-length: 100") + r#"{"service":"#;
            stream.write_all(answer.as_bytes()).await
        }
        Does::CutsAChunkedBody => {
            let answer = head("transfer-encoding: chunked") + "ff\r\n{";
            stream.write_all(answer.as_bytes()).await
        }
        Does::StallsInTheBody => {
            let answer = head("content-length: 100") + "{";
            stream.write_all(answer.as_bytes()).await.unwrap();
            std::future::pending().await
        }
        Does::SaysNothing => std::future::pending().await,
        Does::AnnouncesTooMuch => {
            let answer = head("content-length: 8388609");
            stream.write_all(answer.as_bytes()).await.unwrap();
            std::future::pending().await
        }
        Does::SendsTooMuch => {
            let answer = head("connection: close");
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.write_all(&vec![b' '; (8 << 20) + 1]).await
        }
        Does::ResetsAtOnce | Does::ClosesAtOnce | Does::ClosesAfterTheRequest => Ok(()),
    };
}

fn facing(url: &str) -> World {
    let upstream = Upstream::from_config(&world::sdk(url));
    World::over(Arc::new(Stub::default()), upstream, no_retries())
}

#[tokio::test]
async fn a_connection_that_breaks_goes_by_the_class() {
    for (does, reason) in [
        (Does::ResetsAtOnce, "UPSTREAM_INTERRUPTED"),
        (Does::ResetsAfterTheRequest, "UPSTREAM_INTERRUPTED"),
        (Does::ClosesAtOnce, "UPSTREAM_INTERRUPTED"),
        (Does::ClosesAfterTheRequest, "UPSTREAM_INTERRUPTED"),
        (Does::TalksNonsense, "UPSTREAM_INTERRUPTED"),
        (Does::CutsTheBody, "UPSTREAM_RESPONSE_UNREADABLE"),
        (Does::CutsAChunkedBody, "UPSTREAM_RESPONSE_UNREADABLE"),
    ] {
        let world = facing(&format!("http://{}", server(does).await));
        expect(&world, &format!("{does:?}"), by_class(reason)).await;
    }
}

#[tokio::test]
async fn a_request_that_never_left_was_not_executed() {
    let unreachable = || both(Code::Unavailable, "UPSTREAM_UNREACHABLE", "not_executed");
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = free.local_addr().unwrap();
    drop(free);
    expect(
        &facing(&format!("http://{refusing}")),
        "refused",
        unreachable(),
    )
    .await;
    // A server that speaks no TLS breaks the handshake, before there is a request.
    let plain = server(Does::TalksNonsense).await;
    expect(&facing(&format!("https://{plain}")), "TLS", unreachable()).await;
}

/// Longer than a name can be, so that no resolver asks the network for it.
#[tokio::test]
async fn a_name_without_an_address_was_not_reached() {
    let name = format!("{}.invalid", ["long-label-of-a-name"; 12].join("."));
    assert!(name.len() > 255);
    let unreachable = both(Code::Unavailable, "UPSTREAM_UNREACHABLE", "not_executed");
    expect(&facing(&format!("http://{name}")), "DNS", unreachable).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_come_about_in_time_was_not_reached() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    // The queue has room for one; who comes later is not heard.
    let _waiting = std::net::TcpStream::connect(address).unwrap();
    let unreachable = both(Code::Unavailable, "UPSTREAM_UNREACHABLE", "not_executed");
    expect(
        &facing(&format!("http://{address}")),
        "connect",
        unreachable,
    )
    .await;
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused() {
    for does in [Does::AnnouncesTooMuch, Does::SendsTooMuch] {
        let world = facing(&format!("http://{}", server(does).await));
        let expected = both(Code::Internal, "UPSTREAM_RESPONSE_TOO_LARGE", "unknown");
        expect(&world, &format!("{does:?}"), expected).await;
    }
}

#[tokio::test]
async fn the_callers_deadline_ends_a_call_that_hangs() {
    for does in [Does::StallsInTheBody, Does::SaysNothing] {
        let world = facing(&format!("http://{}", server(does).await));
        world.set_timeout(Duration::from_millis(80));
        let expected = both(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "unknown");
        expect(&world, &format!("{does:?}"), expected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_an_attempt_ends_a_call_that_hangs() {
    let world = World::new(no_retries());
    world.stub.answers(Reply::Silence);
    let begun = tokio::time::Instant::now();
    expect(&world, "silence", by_class("UPSTREAM_TIMEOUT")).await;
    assert_eq!(begun.elapsed().as_secs(), 10 * 6);
}

/// A source of credentials that fails in its own way.
#[derive(Clone, Copy, Debug)]
enum Source {
    NotLoaded,
    Misconfigured,
    Faulty,
    Unhandled,
    Silent,
    RoleRefused,
    RoleThrottled,
}

impl Source {
    async fn provide(self) -> Result<Credentials, CredentialsError> {
        let role = |code: &str| {
            let meta = ErrorMetadata::builder().code(code).build();
            CredentialsError::provider_error(AssumeRoleError::generic(meta))
        };
        Err(match self {
            Self::NotLoaded => CredentialsError::not_loaded("none"),
            Self::Misconfigured => CredentialsError::invalid_configuration("no such profile"),
            Self::Faulty => CredentialsError::provider_error("fault"),
            Self::Unhandled => CredentialsError::unhandled("what?"),
            Self::Silent => std::future::pending().await,
            Self::RoleRefused => role("AccessDenied"),
            Self::RoleThrottled => role("Throttling"),
        })
    }
}

impl ProvideCredentials for Source {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::new(self.provide())
    }
}

fn signing(sdk: SdkConfig, source: Source) -> SdkConfig {
    let source = SharedCredentialsProvider::new(source);
    sdk.into_builder().credentials_provider(source).build()
}

#[tokio::test(start_paused = true)]
async fn without_credentials_nothing_was_sent() {
    let unavailable = "UPSTREAM_CREDENTIALS_UNAVAILABLE";
    let misconfigured = "UPSTREAM_CREDENTIALS_MISCONFIGURED";
    for (source, code, reason) in [
        (Source::NotLoaded, Code::Internal, misconfigured),
        (Source::Misconfigured, Code::Internal, misconfigured),
        (Source::Faulty, Code::Unavailable, unavailable),
        (Source::Unhandled, Code::Unavailable, unavailable),
        (Source::Silent, Code::Unavailable, unavailable),
        (Source::RoleRefused, Code::PermissionDenied, "ROLE_REFUSED"),
        (Source::RoleThrottled, Code::Unavailable, unavailable),
    ] {
        let world = World::with(no_retries(), |sdk| signing(sdk, source));
        let expected = both(code, reason, "not_executed");
        expect(&world, &format!("{source:?}"), expected).await;
        assert!(world.stub.seen().is_empty());
    }
}

#[tokio::test]
async fn an_answer_without_a_request_id_gets_one() {
    let world = World::on_loopback(no_retries()).await;
    let mut reply = answer(500, "");
    reply.headers_mut().remove("x-amzn-requestid");
    world.stub.answers(Reply::Answer(reply));
    let status = world
        .call("GetService", full("GetService"))
        .await
        .unwrap_err();
    let details = status.get_error_details();
    assert_eq!(details.request_info().unwrap().request_id, OWN_ID);
}
