use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::sleep,
};

use super::*;

/// A stream that ends when the server ends it.
async fn watch(client: &mut Client) -> Opened {
    let body = Body::new(Full::new(Bytes::from(framed(0, b""))));
    client.open("/grpc.health.v1.Health/Watch", &[], body).await
}

fn minutes(since: Instant) -> u64 {
    since.elapsed().as_secs() / 60
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_calls_is_asked_to_go_after_a_quarter_of_an_hour() {
    let mut client = client().await;
    client.life.connections.close();
    sleep(Duration::from_secs(10 * 60)).await;
    assert_eq!(client.get("prod").await.code(), Code::Ok);
    let quiet = Instant::now();
    client.life.connections.wait().await;
    assert_eq!(minutes(quiet), 15);
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_is_asked_to_go_and_its_calls_end_half_a_minute_later() {
    let mut client = client().await;
    let begun = Instant::now();
    let mut watch = watch(&mut client).await;
    watch.0.frame().await;
    assert_eq!(watch.finish().await.code(), Code::Unavailable);
    let age = minutes(begun);
    assert!((27..=33).contains(&age), "after {age} minutes");
    client.life.connections.close();
    client.life.connections.wait().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_outlives_its_old_connection_is_told_that_its_outcome_is_unknown() {
    let mut client = client().await;
    let _watch = watch(&mut client).await;
    let begun = Instant::now();
    let mut answers = JoinSet::new();
    // Whenever the connection becomes too old, one of these calls has more than half a minute left.
    while client.send.ready().await.is_ok() {
        let mut client = client.clone();
        let patient = [("grpc-timeout", "100S")];
        answers.spawn(async move {
            let body = Body::new(Full::new(Bytes::from(get("never"))));
            let opened = client.try_open(GET, &patient, body).await.ok()?;
            Some(opened.finish().await)
        });
        sleep(Duration::from_secs(30)).await;
    }
    let answers = answers.join_all().await;
    let told = |answer: &&Answer| answer.code() != Code::DeadlineExceeded;
    let answer = answers.iter().flatten().find(told).unwrap();
    assert_eq!(
        (answer.code(), answer.reason().as_str()),
        (Code::Unknown, "OUTCOME_UNKNOWN")
    );
    assert!(minutes(begun) >= 27);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_back_all_its_calls_is_closed() {
    let mut client = client().await;
    let mut rounds = 0;
    while client.send.ready().await.is_ok() {
        let mut calls = Vec::new();
        for _ in 0..50 {
            let mut request = Request::post(format!("http://proton{GET}"))
                .body(Body::new(Full::new(Bytes::from(get("never")))))
                .unwrap();
            request
                .headers_mut()
                .insert("content-type", "application/grpc".parse().unwrap());
            calls.push(client.send.send_request(request));
        }
        settle().await;
        drop(calls);
        settle().await;
        rounds += 1;
        assert!(rounds < 100, "still open");
    }
    // Some are due to everybody.
    assert!(rounds >= 20, "closed after {rounds} rounds");
    client.life.connections.close();
    client.life.connections.wait().await;
}

#[tokio::test]
async fn a_burst_of_resets_ends_the_connection() {
    const GOAWAY: u8 = 7;
    const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 0xb];
    let (life, mut client) = server(&Health::default());
    let mut burst = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for stream in (1..200u8).step_by(2) {
        // HEADERS with END_STREAM of a POST to /, then RST_STREAM with CANCEL.
        burst.extend_from_slice(&[0, 0, 3, 1, 5, 0, 0, 0, stream, 0x83, 0x86, 0x84]);
        burst.extend_from_slice(&[0, 0, 4, 3, 0, 0, 0, 0, stream, 0, 0, 0, 8]);
    }
    client.write_all(&burst).await.unwrap();
    loop {
        let mut head = [0; 9];
        client.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
        client.read_exact(&mut payload).await.unwrap();
        if head[3] == GOAWAY {
            assert_eq!(payload[4..8], ENHANCE_YOUR_CALM);
            break;
        }
    }
    drop(client);
    life.connections.close();
    life.connections.wait().await;
}
