//! The signatures on the wire, checked with AWS's own crate.

use std::time::{Duration, SystemTime};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_types::{DateTime, date_time::Format};
use proton_grpc::facade::Settings;
use serde_json::json;

use crate::{
    facade_errors::{full, operations},
    facade_world::{Reply, Seen, World, error, no_retries, ok},
};

fn credentials(token: Option<&str>) -> Credentials {
    Credentials::new(
        "AKIDEXAMPLE",
        "secret",
        token.map(str::to_owned),
        None,
        "test",
    )
}

/// The time that a request was signed at.
fn signed_at(seen: &Seen) -> SystemTime {
    let stamp = seen.headers["x-amz-date"].to_str().unwrap();
    let (day, time) = stamp.split_once('T').unwrap();
    let date = [&day[..4], &day[4..6], &day[6..]].join("-");
    let time = [&time[..2], &time[2..4], &time[4..]].join(":");
    let stamp = format!("{date}T{time}");
    DateTime::from_str(&stamp, Format::DateTime)
        .unwrap()
        .try_into()
        .unwrap()
}

fn signed_headers(seen: &Seen) -> Vec<&str> {
    let authorization = seen.headers["authorization"].to_str().unwrap();
    let (_, signed) = authorization.split_once("SignedHeaders=").unwrap();
    signed.split_once(',').unwrap().0.split(';').collect()
}

/// The signature that a request should have.
fn expected(seen: &Seen, credentials: &Credentials) -> String {
    expected_in(seen, credentials, "us-east-1")
}

pub(crate) fn expected_in(seen: &Seen, credentials: &Credentials, region: &str) -> String {
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("proton")
        .time(signed_at(seen))
        .settings(SigningSettings::default())
        .build()
        .unwrap();
    let host = seen.headers["host"].to_str().unwrap();
    let signed = signed_headers(seen);
    for name in ["content-type", "host", "x-amz-date", "x-amz-target"] {
        assert!(signed.contains(&name), "{name} is not signed");
    }
    let headers = signed
        .iter()
        .map(|name| (*name, seen.headers[*name].to_str().unwrap()));
    let request = SignableRequest::new(
        "POST",
        format!("http://{host}{}", seen.path),
        headers,
        SignableBody::Bytes(&seen.bytes),
    );
    let output = sign(request.unwrap(), &SigningParams::V4(params)).unwrap();
    output.signature().to_owned()
}

pub(crate) fn signature(seen: &Seen) -> &str {
    let authorization = seen.headers["authorization"].to_str().unwrap();
    authorization.split_once("Signature=").unwrap().1
}

async fn world(path: &str, credentials: &Credentials) -> World {
    let world = World::on_loopback_with(no_retries(), path, |sdk| {
        let source = SharedCredentialsProvider::new(credentials.clone());
        sdk.into_builder().credentials_provider(source).build()
    });
    let world = world.await;
    world.stub.answers(ok(&json!({})));
    world
}

#[tokio::test]
async fn every_operation_is_signed() {
    for token in [None, Some("session-token")] {
        let credentials = credentials(token);
        let world = world("/", &credentials).await;
        for operation in operations() {
            world.call(&operation, full(&operation)).await.unwrap();
            let seen = world.stub.seen_once();
            assert_eq!(
                signature(&seen),
                expected(&seen, &credentials),
                "{operation}"
            );
            let carried = seen.headers.get("x-amz-security-token");
            assert_eq!(carried.map(|token| token.to_str().unwrap()), token);
        }
    }
}

#[tokio::test]
async fn an_endpoint_below_a_path_is_signed_too() {
    let credentials = credentials(Some("session-token"));
    let world = world("/be%20low/it", &credentials).await;
    world.call("GetService", full("GetService")).await.unwrap();
    let seen = world.stub.seen_once();
    assert!(seen.path.starts_with("/be%20low/it"), "{}", seen.path);
    assert_eq!(signature(&seen), expected(&seen, &credentials));

    let world = self::world("/", &credentials).await;
    world.call("GetService", full("GetService")).await.unwrap();
    assert_eq!(
        signed_headers(&world.stub.seen_once()),
        signed_headers(&seen)
    );
}

/// Our clock is an hour behind: the upstream refuses the first signature, and no later one.
#[tokio::test(start_paused = true)]
async fn a_wrong_clock_is_corrected() {
    let there = SystemTime::now() + Duration::from_secs(3600);
    let date = DateTime::from(there).fmt(Format::HttpDate).unwrap();
    let dated = |reply| {
        let Reply::Answer(mut answer) = reply else {
            unreachable!()
        };
        let date = date.parse().unwrap();
        answer.headers_mut().insert("date", date);
        Reply::Answer(answer)
    };
    let world = World::new(Settings::default());
    world
        .stub
        .answers_in_turn([dated(error(400, "InvalidSignatureException"))]);
    world.stub.answers(dated(ok(&json!({}))));
    for operation in ["UpdateService", "GetService"] {
        world.call(operation, full(operation)).await.unwrap();
    }
    let seen = world.stub.seen();
    let ahead = |seen: &Seen| {
        let ahead = signed_at(seen).duration_since(SystemTime::now());
        ahead.map_or(0, |ahead| ahead.as_secs().div_ceil(60))
    };
    assert_eq!(seen.iter().map(ahead).collect::<Vec<_>>(), [0, 60, 60]);
    for seen in &seen[1..] {
        assert_eq!(signature(seen).len(), 64);
    }
}
