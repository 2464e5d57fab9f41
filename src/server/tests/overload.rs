use tokio::time::sleep;

use super::*;
use crate::overload::Rate;

const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// A worker that clients connect to.
struct Worker {
    front: Grpc,
    overload: Overload,
}

impl Worker {
    fn new(limits: Limits) -> Self {
        let health = Health::default();
        let services = Services::default()
            .with(services::Proton)
            .with(services::Streaming)
            .and(health.services());
        let overload = Overload::new(limits, Instant::now);
        let gate = Gate {
            overload: overload.clone(),
            ..identities().into()
        };
        let stack = Stack::new(services, gate);
        Self {
            front: Grpc::new(stack),
            overload,
        }
    }

    async fn client(&self) -> Client {
        let (theirs, ours) = duplex(64 << 10);
        let life = Life::default();
        tokio::spawn(self.front.clone().serve(ours, nobody(), life.clone()));
        Client::on(theirs, life, Health::default()).await
    }

    /// Whether no byte of any request is in flight.
    fn is_empty(&self) -> bool {
        self.overload.room().take(64 << 20).is_ok()
    }
}

fn rate(a_second: u32, at_once: u32) -> Limits {
    Limits {
        rate: Some(Rate { a_second, at_once }),
        concurrency: None,
    }
}

fn concurrency(most: usize) -> Limits {
    Limits {
        rate: None,
        concurrency: Some(most),
    }
}

/// When a refused call may come again, which the details and the pushback say alike.
fn again(answer: &Answer) -> Duration {
    let details = answer.status.get_error_details();
    let after = details.retry_info().unwrap().retry_delay.unwrap();
    let pushback = answer.status.metadata().get("grpc-retry-pushback-ms");
    let pushback: u64 = pushback.unwrap().to_str().unwrap().parse().unwrap();
    assert_eq!(pushback, after.as_micros().div_ceil(1000) as u64);
    assert_eq!(answer.outcome(), "not_executed");
    Duration::from_millis(pushback)
}

fn never() -> Bytes {
    Bytes::from(framed(
        0,
        &pb::ListEnvironmentsRequest {
            next_token: Some("never".into()),
            ..Default::default()
        }
        .encode_to_vec(),
    ))
}

/// A call that is under way, and taken back when this is dropped.
async fn under_way(client: &mut Client) -> impl Future + use<> {
    client.send.ready().await.unwrap();
    let mut client = client.clone();
    let body = Body::new(Full::new(Bytes::from(get("never"))));
    let mut call = Box::pin(async move { client.try_open(GET, &[], body).await });
    assert!(futures_util::poll!(&mut call).is_pending());
    call
}

#[tokio::test(start_paused = true)]
async fn a_caller_over_its_rate_is_told_when_to_come_again_and_then_gets_in() {
    let mut client = Worker::new(rate(10, 3)).client().await;
    for _ in 0..3 {
        assert_eq!(client.get("prod").await.code(), Code::Ok);
    }
    let refused = client.get("prod").await;
    assert_eq!(
        (refused.code(), &*refused.reason()),
        (Code::ResourceExhausted, "RATE_LIMITED")
    );
    let again = again(&refused);
    assert!((1..=100).contains(&again.as_millis()), "{again:?}");
    sleep(again).await;
    assert_eq!(client.get("prod").await.code(), Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_the_callers_whatever_connections_it_has() {
    let worker = Worker::new(rate(1, 4));
    let mut codes = Vec::new();
    for _ in 0..3 {
        let mut client = worker.client().await;
        for _ in 0..2 {
            codes.push(client.get("prod").await.code());
        }
    }
    let over = Code::ResourceExhausted;
    assert_eq!(codes, [Code::Ok, Code::Ok, Code::Ok, Code::Ok, over, over]);
}

#[tokio::test(start_paused = true)]
async fn health_is_told_whatever_a_caller_may() {
    let mut client = Worker::new(rate(1, 1)).client().await;
    for _ in 0..5 {
        let answer = client.call(HEALTH, &[], framed(0, b"")).await;
        assert_eq!(answer.code(), Code::Ok);
    }
    assert_eq!(client.get("prod").await.code(), Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_stream_counts_while_it_lasts() {
    let mut client = Worker::new(concurrency(1)).client().await;
    let body = Body::new(Full::new(never()));
    let mut stream = client.open(LIST, &[], body).await;
    let _page: pb::ListEnvironmentsResponse = stream.message().await;
    let refused = client.get("prod").await;
    assert_eq!(
        (refused.code(), &*refused.reason()),
        (Code::ResourceExhausted, "CONCURRENCY_LIMITED")
    );
    let again = again(&refused);
    drop(stream);
    sleep(again).await;
    assert_eq!(client.get("prod").await.code(), Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn whatever_ends_a_call_gives_back_its_turn_and_its_room() {
    let worker = Worker::new(concurrency(1));
    let mut client = worker.client().await;
    for name in ["prod", "panic", "missing", "too large"] {
        client.get(name).await;
        assert!(worker.is_empty(), "{name}");
    }
    let late = client.call(GET, &[("grpc-timeout", "50m")], get("never"));
    assert_eq!(late.await.code(), Code::DeadlineExceeded);
    assert!(worker.is_empty());

    let taken_back = under_way(&mut client).await;
    settle().await;
    assert!(!worker.is_empty());
    drop(taken_back);
    settle().await;
    assert!(worker.is_empty());
    assert_eq!(client.get("prod").await.code(), Code::Ok);

    let mut gone = worker.client().await;
    let taken_back = under_way(&mut gone).await;
    settle().await;
    drop((taken_back, gone));
    settle().await;
    assert!(worker.is_empty());
    assert_eq!(client.get("prod").await.code(), Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn without_room_a_call_is_refused_before_it_is_read() {
    let worker = Worker::new(Limits::default());
    let mut client = worker.client().await;
    let all = worker.overload.room().take(64 << 20).unwrap();
    let refused = client.get("prod").await;
    assert_eq!(
        (refused.code(), &*refused.reason()),
        (Code::Unavailable, "OVERLOADED")
    );
    again(&refused);
    drop(all);
    assert_eq!(client.get("prod").await.code(), Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_worker_with_all_it_can_bear_refuses_calls_but_tells_health() {
    let worker = Worker::new(Limits::default());
    let mut calls = Vec::new();
    let mut refused = None;
    for _ in 0..100 {
        let mut client = worker.client().await;
        for _ in 0..99 {
            calls.push(under_way(&mut client).await);
        }
        settle().await;
        let answer = client
            .call(GET, &[("grpc-timeout", "20m")], get("never"))
            .await;
        if answer.code() == Code::Unavailable {
            refused = Some((client, answer));
            break;
        }
    }
    let (mut client, answer) = refused.expect("some number of calls is too many");
    assert_eq!(answer.reason(), "OVERLOADED");
    assert!(again(&answer) >= Duration::from_secs(1));
    let health = client.call(HEALTH, &[], framed(0, b"")).await;
    assert_eq!(health.code(), Code::Ok);
    drop(calls);
    settle().await;
    assert_eq!(client.get("prod").await.code(), Code::Ok);
}
