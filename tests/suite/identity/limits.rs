//! What is due to a caller, on both fronts together.

use proton_grpc::overload::Rate;

use super::*;

/// A burst, and next to nothing after it.
fn burst(at_once: u32) -> Limits {
    let a_second = 1;
    Limits {
        rate: Some(Rate { a_second, at_once }),
        concurrency: None,
    }
}

impl World {
    async fn over_grpc(&self, who: &str) -> Result<Json, Status> {
        self.as_(who, "GetAccountSettings", json!({})).await
    }

    async fn over_aws_json(&self, who: &str) -> (u16, Json) {
        let mut request = unsigned("GetAccountSettings", &json!({}));
        let bearer = self.bearer(who).parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        self.aws_json(request).await
    }
}

#[tokio::test]
async fn a_callers_rate_is_one_on_both_fronts_and_another_callers_is_its_own() {
    let world = world_with(None, burst(4)).await;
    for _ in 0..2 {
        world.over_grpc("alice").await.unwrap();
        assert_eq!(world.over_aws_json("alice").await.0, 200);
    }
    let refused = world.over_grpc("alice").await.unwrap_err();
    assert_eq!(
        (refused.code(), &*reason(&refused)),
        (Code::ResourceExhausted, "RATE_LIMITED")
    );
    let (status, body) = world.over_aws_json("alice").await;
    assert_eq!(
        (status, body["__type"].as_str()),
        (400, Some("ThrottlingException"))
    );
    for _ in 0..2 {
        world.over_grpc("bob").await.unwrap();
        assert_eq!(world.over_aws_json("bob").await.0, 200);
    }
}

#[tokio::test]
async fn whoever_shows_no_identity_that_holds_takes_nothing_from_its_caller() {
    let world = world_with(None, burst(1)).await;
    let expired = world.issuer.token("alice", "proton", -61);
    for _ in 0..5 {
        let bearer = format!("Bearer {expired}");
        let message = message(&descriptors::request("GetAccountSettings"), &json!({}));
        let headers = [("authorization", &*bearer)];
        let refused = world.call("GetAccountSettings", message, &headers).await;
        assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    }
    world.over_grpc("alice").await.unwrap();
}
