use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::*;
use crate::{
    server::metrics::{Inspected, Inspection},
    telemetry::{Metrics, metrics::Sample},
};

/// A client of a server that counts.
async fn counted() -> (Client, Arc<Metrics>) {
    let metrics = Arc::<Metrics>::default();
    let telemetry = Telemetry {
        metrics: Some(Arc::clone(&metrics)),
        traces: None,
    };
    let health = Health::default();
    let (life, io) = server_telling(&health, telemetry);
    (Client::on(io, life, health).await, metrics)
}

/// How many calls to the test service ended so.
fn ended(metrics: &Metrics, status: &str) -> Option<u32> {
    let told = metrics.text(&Sample::default());
    let name = format!(
        "grpc_server_call_duration_seconds_count{{grpc_method=\"{}\",grpc_status=\"{status}\"}} ",
        &GET[1..]
    );
    let count = told.lines().find_map(|line| line.strip_prefix(&name))?;
    Some(count.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_waits_for_counts_as_cancelled() {
    let (mut client, metrics) = counted().await;
    assert_eq!(client.get("prod").await.code(), Code::Ok);
    {
        let mut never = Box::pin(client.get("never"));
        assert!(futures_util::poll!(&mut never).is_pending());
        settle().await;
        assert!(futures_util::poll!(&mut never).is_pending());
    }
    settle().await;
    assert_eq!(ended(&metrics, "OK"), Some(1));
    assert_eq!(ended(&metrics, "CANCELLED"), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_call_counts_once_however_it_ends() {
    let (mut client, metrics) = counted().await;
    for (name, code, status) in [
        ("panic", Code::Internal, "INTERNAL"),
        ("missing", Code::NotFound, "NOT_FOUND"),
        ("never", Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
        ("too large", Code::ResourceExhausted, "RESOURCE_EXHAUSTED"),
    ] {
        assert_eq!(client.get(name).await.code(), code);
        settle().await;
        assert_eq!(ended(&metrics, status), Some(1), "{status}");
    }
    let told = metrics.text(&Sample::default());
    for reason in ["PANIC", "DEADLINE_EXCEEDED", "RESPONSE_TOO_LARGE"] {
        let line = format!("proton_grpc_refusals_total{{reason=\"{reason}\"}} 1\n");
        assert!(told.contains(&line), "{reason}: {told}");
    }
}

fn inspection() -> Inspection {
    Inspection(Arc::new(Inspected {
        metrics: Arc::default(),
        traces: None,
        health: Health::default(),
        fronts: Vec::new(),
        tls: None,
        plane: None,
    }))
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_numbers_and_is_silent_is_dropped() {
    for said in ["", "GET /metrics HTTP/1.1\r\n"] {
        let (mut client, ours) = duplex(64 << 10);
        let served = tokio::spawn(inspection().serve(ours, nobody(), Life::default()));
        client.write_all(said.as_bytes()).await.unwrap();
        let begun = Instant::now();
        client.read_to_end(&mut Vec::new()).await.unwrap();
        served.await.unwrap();
        assert!(begun.elapsed().as_secs() <= 30, "{said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_numbers_and_does_not_read_them_is_dropped() {
    let (mut client, ours) = duplex(1 << 10);
    let served = tokio::spawn(inspection().serve(ours, nobody(), Life::default()));
    client
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: proton\r\n\r\n")
        .await
        .unwrap();
    let begun = Instant::now();
    served.await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 30);
}
