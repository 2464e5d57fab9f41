use super::*;
use crate::server::health::pb::{
    HealthCheckRequest, HealthCheckResponse, HealthListResponse,
    health_check_response::ServingStatus,
};

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

fn ask(service: &str) -> Bytes {
    framed(
        0,
        &HealthCheckRequest {
            service: service.into(),
        }
        .encode_to_vec(),
    )
    .into()
}

async fn watch(client: &mut Client, service: &str) -> Opened {
    client
        .open(WATCH, &[], Body::new(Full::new(ask(service))))
        .await
}

async fn next(watch: &mut Opened) -> ServingStatus {
    watch.message::<HealthCheckResponse>().await.status()
}

#[tokio::test]
async fn every_service_and_the_whole_can_be_checked() {
    let mut client = client().await;
    for name in [
        "",
        "proton.v1.ProtonService",
        "proton.v1.ProtonStreamingService",
    ] {
        let answer = client.call(CHECK, &[], ask(name)).await;
        let response = HealthCheckResponse::decode(&answer.data[5..]).unwrap();
        assert_eq!(response.status(), ServingStatus::Serving, "{name}");
    }
    let answer = client
        .call("/grpc.health.v1.Health/List", &[], framed(0, b""))
        .await;
    assert_eq!(
        HealthListResponse::decode(&answer.data[5..])
            .unwrap()
            .statuses
            .len(),
        3
    );
}

#[tokio::test]
async fn an_unknown_service_is_not_found() {
    let answer = client().await.call(CHECK, &[], ask("nope")).await;
    assert_eq!(answer.code(), Code::NotFound);
    answer.reason();
}

#[tokio::test(start_paused = true)]
async fn a_watcher_hears_the_state_and_then_changes_only() {
    let mut client = client().await;
    let mut watch = watch(&mut client, "").await;
    assert_eq!(next(&mut watch).await, ServingStatus::Serving);
    client.health.set_serving(true);
    client.health.set_serving(false);
    client.health.set_serving(true);
    let minutes = Duration::from_secs(20 * 60);
    assert!(
        tokio::time::timeout(minutes, watch.0.frame())
            .await
            .is_err()
    );
    client.health.set_serving(false);
    assert_eq!(next(&mut watch).await, ServingStatus::NotServing);
}

#[tokio::test(start_paused = true)]
async fn a_watcher_of_an_unknown_service_stays() {
    let mut watch = watch(&mut client().await, "nope").await;
    assert_eq!(next(&mut watch).await, ServingStatus::ServiceUnknown);
    let minutes = Duration::from_secs(20 * 60);
    assert!(
        tokio::time::timeout(minutes, watch.0.frame())
            .await
            .is_err()
    );
}
