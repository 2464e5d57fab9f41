//! What tonic's own service layer answers where we answer otherwise: the reasons for
//! `server/messages.rs`. When one of these turns red, something there may go.

use tower::Service;

use super::*;

async fn stock(body: impl Into<Bytes>) -> Answer {
    let request = Request::post(GET)
        .body(Body::new(Full::new(body.into())))
        .unwrap();
    let Ok(response) = services::Proton.call(request).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().unwrap_or(&parts.headers);
    let status = Status::from_header_map(trailers).unwrap();
    Answer {
        headers: parts.headers,
        status,
        data: body.to_bytes(),
    }
}

#[tokio::test]
async fn a_missing_message_is_internal() {
    assert_eq!(stock("").await.code(), Code::Internal);
}

#[tokio::test]
async fn a_second_message_is_ignored() {
    assert_eq!(stock([get("a"), get("b")].concat()).await.code(), Code::Ok);
}

#[tokio::test]
async fn a_large_message_is_out_of_range() {
    assert_eq!(
        stock(get(&"x".repeat(5 << 20))).await.code(),
        Code::OutOfRange
    );
}

#[tokio::test]
async fn an_error_has_no_details() {
    assert!(stock(get("missing")).await.status.details().is_empty());
}
