use tokio::time::Instant;

use super::*;
use crate::server::Server;

#[tokio::test(start_paused = true)]
async fn a_draining_connection_finishes_its_calls_and_closes() {
    let mut client = client().await;
    let life = client.life.clone();
    let call = client.open(GET, &[], Body::new(Full::new(get("slow").into())));
    let ((), opened) = tokio::join!(
        async {
            settle().await;
            life.draining.cancel();
        },
        call
    );
    assert_eq!(opened.finish().await.code(), Code::Ok);
    life.connections.close();
    life.connections.wait().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_outlives_the_drain_is_told_that_its_outcome_is_unknown() {
    let mut client = client().await;
    let life = client.life.clone();
    let (answer, ()) = tokio::join!(client.get("never"), async {
        settle().await;
        life.closing.cancel();
    });
    assert_eq!(
        (answer.code(), answer.reason().as_str()),
        (Code::Unknown, "OUTCOME_UNKNOWN")
    );
    let late = client.get("prod").await;
    assert_eq!(
        (late.code(), late.outcome().as_str()),
        (Code::Unavailable, "not_executed")
    );
}

#[tokio::test(start_paused = true)]
async fn watchers_do_not_hold_a_drain_up_and_end_with_a_status() {
    let mut client = client().await;
    let body = Body::new(Full::new(Bytes::from(framed(0, b""))));
    let watch = client.open("/grpc.health.v1.Health/Watch", &[], body).await;
    client.life.calls.close();
    client.life.calls.wait().await;
    client.life.closing.cancel();
    assert_eq!(watch.finish().await.code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_does_not_hold_the_end_up() {
    let (life, _silent) = server(&Health::default());
    life.closing.cancel();
    life.connections.close();
    let begun = Instant::now();
    life.connections.wait().await;
    assert!(begun.elapsed().is_zero());
}

#[tokio::test]
async fn workers_share_one_port_and_another_server_cannot_have_it() {
    let bound = any_port(3);
    assert_ne!(address(&bound).port(), 0);
    assert!(Bound::to(bound.listen(), 0o600, 1).is_err());
}

#[tokio::test]
async fn a_server_serves_until_it_is_drained() {
    let bound = any_port(2);
    let address = address(&bound);
    let health = Health::default();
    let services = || Services::default().with(services::Proton);
    let server = Server::start(
        bound,
        health.clone(),
        identities(),
        Telemetry::default(),
        services,
    )
    .unwrap();
    let silent = tokio::net::TcpStream::connect(address).await.unwrap();

    for _ in 0..4 {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut client = Client::on(stream, Life::default(), health.clone()).await;
        assert_eq!(client.get("prod").await.code(), Code::Ok);
    }
    server.drain(Duration::ZERO).await;
    drop(silent);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_drain_is_cut_short_when_told() {
    let bound = any_port(1);
    let server = Server::start(
        bound,
        Health::default(),
        identities(),
        Telemetry::default(),
        Services::default,
    )
    .unwrap();
    let hours = Duration::from_secs(60 * 60);
    tokio::select! {
        biased;
        () = server.drain(hours) => panic!("hours cannot have passed"),
        () = std::future::ready(()) => {}
    }
}
