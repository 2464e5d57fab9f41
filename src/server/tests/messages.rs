use std::io::{Read, Write};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use super::*;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

const GZIP: (&str, &str) = ("grpc-encoding", "gzip");

#[tokio::test]
async fn one_message_is_answered() {
    let answer = client().await.get("prod").await;
    assert_eq!(answer.code(), Code::Ok);
    let response = pb::GetEnvironmentResponse::decode(&answer.data[5..]).unwrap();
    assert_eq!(response.environment.unwrap().description.unwrap(), "prod");
}

#[tokio::test]
async fn no_message_and_two_messages_are_unimplemented() {
    let mut client = client().await;
    let none = client.call(GET, &[], "").await;
    assert_eq!(
        (none.code(), none.reason().as_str()),
        (Code::Unimplemented, "NO_MESSAGE")
    );
    let two = client.call(GET, &[], [get("a"), get("b")].concat()).await;
    assert_eq!(
        (two.code(), two.reason().as_str()),
        (Code::Unimplemented, "TWO_MESSAGES")
    );
    let two = client
        .call(LIST, &[], [framed(0, b""), framed(0, b"")].concat())
        .await;
    assert_eq!(two.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_message_of_the_limit_passes_and_a_byte_more_does_not() {
    let mut client = client().await;
    let overhead = pb::GetEnvironmentRequest {
        name: "x".repeat(1 << 19),
    }
    .encoded_len()
        - (1 << 19);
    let most = (1 << 20) - overhead;
    assert_eq!(client.get(&"x".repeat(most)).await.code(), Code::Ok);
    let over = client.get(&"x".repeat(most + 1)).await;
    assert_eq!(
        (over.code(), over.reason().as_str()),
        (Code::ResourceExhausted, "MESSAGE_TOO_LARGE")
    );
}

#[tokio::test]
async fn a_much_too_large_message_harms_no_other_call() {
    let mut client = client().await;
    for _ in 0..3 {
        assert_eq!(
            client.get(&"x".repeat(8 << 20)).await.code(),
            Code::ResourceExhausted
        );
        assert_eq!(client.get("prod").await.code(), Code::Ok);
    }
}

#[tokio::test]
async fn an_announced_giant_is_refused_before_it_is_sent() {
    let mut client = client().await;
    let never = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(
        http_body::Frame::data(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff])),
    )]);
    let body = http_body_util::StreamBody::new(futures_util::StreamExt::chain(
        never,
        futures_util::stream::pending(),
    ));
    let answer = client.open(GET, &[], Body::new(body)).await.finish().await;
    assert_eq!(answer.code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn gzip_is_unpacked() {
    let packed = framed(1, &gzip(&get("prod")[5..]));
    let answer = client().await.call(GET, &[GZIP], packed).await;
    assert_eq!(answer.code(), Code::Ok);
}

#[tokio::test]
async fn a_bomb_is_refused() {
    let packed = framed(1, &gzip(&vec![0; 64 << 20]));
    let answer = client().await.call(GET, &[GZIP], packed).await;
    assert_eq!(
        (answer.code(), answer.reason().as_str()),
        (Code::ResourceExhausted, "MESSAGE_TOO_LARGE")
    );
}

#[tokio::test]
async fn an_unknown_encoding_is_unimplemented_and_the_known_ones_are_told() {
    let answer = client()
        .await
        .call(GET, &[("grpc-encoding", "zstd")], get("prod"))
        .await;
    assert_eq!(
        (answer.code(), answer.reason().as_str()),
        (Code::Unimplemented, "UNSUPPORTED_COMPRESSION")
    );
    assert_eq!(answer.headers["grpc-accept-encoding"], "identity,gzip");
}

#[tokio::test]
async fn malformed_messages_are_internal() {
    let mut client = client().await;
    for (what, headers, body) in [
        ("protobuf", &[][..], framed(0, b"\xff\xff\xff")),
        ("gzip", &[GZIP], framed(1, b"not gzip")),
        ("packed without an encoding", &[], framed(1, &gzip(b""))),
        ("flag", &[], framed(7, b"")),
        ("prefix", &[], vec![0, 0]),
        ("length", &[], get("prod")[..7].to_vec()),
    ] {
        let answer = client.call(GET, headers, body).await;
        assert_eq!(answer.code(), Code::Internal, "{what}: {:?}", answer.status);
        answer.reason();
    }
}

#[tokio::test]
async fn unknown_methods_and_services_are_named() {
    let mut client = client().await;
    for path in [
        "/proton.v1.ProtonService/Nope",
        "/proton.v2.ProtonService/GetEnvironment",
        "/nowhere",
    ] {
        let answer = client.call(path, &[], get("prod")).await;
        assert_eq!(
            (answer.code(), answer.reason().as_str()),
            (Code::Unimplemented, "UNKNOWN_METHOD")
        );
        assert!(
            answer.status.message().contains(&path[1..]),
            "{}",
            answer.status.message()
        );
    }
}

#[tokio::test]
async fn a_panic_is_internal_and_harms_no_other_call() {
    let mut client = client().await;
    let answer = client.get("panic").await;
    assert_eq!(
        (answer.code(), answer.reason().as_str()),
        (Code::Internal, "PANIC")
    );
    let panic = pb::ListEnvironmentsRequest {
        next_token: Some("panic".into()),
        ..Default::default()
    };
    let answer = client
        .call(LIST, &[], framed(0, &panic.encode_to_vec()))
        .await;
    assert_eq!(
        (answer.code(), answer.reason().as_str()),
        (Code::Internal, "PANIC")
    );
    assert_eq!(client.get("prod").await.code(), Code::Ok);
}

#[tokio::test]
async fn a_bare_error_of_a_service_gets_details() {
    let answer = client()
        .await
        .call(GET, &[("x-request-id", "mine")], get("missing"))
        .await;
    assert_eq!(
        (answer.code(), answer.reason().as_str()),
        (Code::NotFound, "NOT_FOUND")
    );
    assert_eq!(answer.status.message(), "no such environment");
    assert_eq!(
        answer
            .status
            .get_error_details()
            .request_info()
            .unwrap()
            .request_id,
        "mine"
    );
}

#[tokio::test]
async fn a_large_response_is_packed_for_those_who_read_gzip() {
    let mut client = client().await;
    let accepts = [("grpc-accept-encoding", "identity, deflate, gzip")];
    let small = client.call(GET, &accepts, get("prod")).await;
    assert_eq!(small.data[0], 0);
    let large = client.call(GET, &accepts, get("large")).await;
    assert_eq!(
        (
            large.headers["grpc-encoding"].to_str().unwrap(),
            large.data[0]
        ),
        ("gzip", 1)
    );
    let mut plain = Vec::new();
    GzDecoder::new(&large.data[5..])
        .read_to_end(&mut plain)
        .unwrap();
    assert!(pb::GetEnvironmentResponse::decode(plain.as_slice()).is_ok());
    let plain = client.get("large").await;
    assert_eq!(
        (plain.headers.get("grpc-encoding"), plain.data[0]),
        (None, 0)
    );
}

#[tokio::test]
async fn a_response_that_no_client_takes_is_resource_exhausted() {
    let answer = client().await.get("too large").await;
    assert_eq!(
        (answer.code(), answer.reason().as_str()),
        (Code::ResourceExhausted, "RESPONSE_TOO_LARGE")
    );
    assert_eq!(answer.outcome(), "unknown");
}

#[tokio::test]
async fn what_is_not_grpc_is_an_unsupported_media_type() {
    let mut client = client().await;
    for (kind, status) in [
        ("application/json", 415),
        ("application/grpc+json", 415),
        ("application/grpc-web+proto", 415),
        ("application/grpc+proto", 200),
        ("application/grpc;x=y", 200),
    ] {
        let response = client
            .open(GET, &[("content-type", kind)], Body::empty())
            .await;
        assert_eq!(response.0.status(), status, "{kind}");
    }
}

#[tokio::test]
async fn calls_are_posted() {
    let mut client = client().await;
    let request = Request::put(format!("http://proton{GET}"))
        .header("content-type", "application/grpc")
        .body(Body::empty());
    let response = client.send.send_request(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "POST");
}
