use super::*;

const MS_50: (&str, &str) = ("grpc-timeout", "50m");

#[tokio::test(start_paused = true)]
async fn a_call_that_outlives_its_deadline_ends_with_deadline_exceeded() {
    let answer = client().await.call(GET, &[MS_50], get("never")).await;
    assert_eq!(
        (answer.code(), answer.reason().as_str()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
    assert_eq!(answer.outcome(), "unknown");
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_deadline_ends_after_half_a_minute() {
    let mut client = client().await;
    let begun = tokio::time::Instant::now();
    assert_eq!(client.get("never").await.code(), Code::DeadlineExceeded);
    assert_eq!(begun.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_never_ends_is_held_to_the_deadline_too() {
    let mut client = client().await;
    let silent = futures_util::stream::pending::<Result<http_body::Frame<Bytes>, Status>>();
    let body = Body::new(http_body_util::StreamBody::new(silent));
    let answer = client.open(GET, &[MS_50], body).await.finish().await;
    assert_eq!(answer.code(), Code::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_time_is_not_made() {
    let answer = client()
        .await
        .call(GET, &[("grpc-timeout", "9m")], get("panic"))
        .await;
    assert_eq!(
        (answer.code(), answer.outcome().as_str()),
        (Code::DeadlineExceeded, "not_executed")
    );
}

#[tokio::test]
async fn a_malformed_timeout_is_internal() {
    let answer = client()
        .await
        .call(GET, &[("grpc-timeout", "soon")], get("prod"))
        .await;
    assert_eq!(
        (answer.code(), answer.reason().as_str()),
        (Code::Internal, "MALFORMED_TIMEOUT")
    );
}

#[tokio::test(start_paused = true)]
async fn the_service_knows_the_deadline() {
    let answer = client()
        .await
        .call(GET, &[("grpc-timeout", "7S")], get("deadline"))
        .await;
    let response = pb::GetEnvironmentResponse::decode(&answer.data[5..]).unwrap();
    assert_eq!(
        response.environment.unwrap().description.unwrap(),
        "Some(7s)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_deadline_after_what_it_has_said() {
    let never = pb::ListEnvironmentsRequest {
        next_token: Some("never".into()),
        ..Default::default()
    };
    let answer = client()
        .await
        .call(LIST, &[MS_50], framed(0, &never.encode_to_vec()))
        .await;
    assert!(!answer.data.is_empty());
    assert_eq!(
        (answer.code(), answer.reason().as_str()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_deadline_stays() {
    let never = pb::ListEnvironmentsRequest {
        next_token: Some("never".into()),
        ..Default::default()
    };
    let body = Body::new(Full::new(Bytes::from(framed(0, &never.encode_to_vec()))));
    let mut opened = client().await.open(LIST, &[], body).await;
    opened.message::<pb::ListEnvironmentsResponse>().await;
    let minutes = Duration::from_secs(20 * 60);
    assert!(
        tokio::time::timeout(minutes, opened.0.frame())
            .await
            .is_err()
    );
}
