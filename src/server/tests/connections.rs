use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::*;
use crate::server::listener::{Door, Listener};

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_dropped_after_ten_seconds() {
    let (life, mut silent) = server(&Health::default());
    silent.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    let begun = Instant::now();
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(begun.elapsed().as_secs(), 10);
    life.connections.close();
    life.connections.wait().await;
}

#[tokio::test]
async fn a_client_that_speaks_http_1_is_closed() {
    let (life, mut client) = server(&Health::default());
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: proton\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    life.connections.close();
    life.connections.wait().await;
}

#[tokio::test]
async fn connections_beyond_the_most_wait_for_a_place() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let life = Life::default();
    let services = Services::default().with(services::Proton);
    let door = Door {
        listener: Listener::Tcp(listener),
        tls: None,
        front: Grpc(Arc::new(Stack::new(
            services,
            identities(),
            Telemetry::default(),
        ))),
    };
    tokio::spawn(door.open(life.clone(), 1));
    let connect = async || {
        let stream = TcpStream::connect(address).await.unwrap();
        Client::on(stream, Life::default(), Health::default()).await
    };

    let mut first = connect().await;
    assert_eq!(first.get("one").await.code(), Code::Ok);
    let mut second = connect().await;
    let mut waiting = Box::pin(second.get("two"));
    for _ in 0..10 {
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert_eq!(first.get("one").await.code(), Code::Ok);
    }
    assert_eq!(life.connections.len(), 1);
    drop(first);
    assert_eq!(waiting.await.code(), Code::Ok);
}

#[tokio::test]
async fn headers_that_are_too_large_are_refused() {
    let mut client = client().await;
    let large = "x".repeat(20 << 10);
    let body = Body::new(Full::new(Bytes::from(get("prod"))));
    let refused = client.open(GET, &[("x-large", &large)], body).await;
    assert_eq!(refused.0.status(), 431);
    assert_eq!(client.get("prod").await.code(), Code::Ok);
}

#[tokio::test]
async fn a_client_is_told_what_it_may_do() {
    const CALLS: (u16, u32) = (3, 100);
    const WINDOW: (u16, u32) = (4, 64 << 10);
    const HEADERS: (u16, u32) = (6, 16 << 10);
    let (_life, mut client) = server(&Health::default());
    let empty_settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    client.write_all(&empty_settings).await.unwrap();

    let mut head = [0; 9];
    client.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "settings come first");
    let mut settings = vec![0; usize::from(head[2])];
    client.read_exact(&mut settings).await.unwrap();
    let (pairs, _) = settings.as_chunks::<6>();
    let told: Vec<_> = pairs
        .iter()
        .map(|[a, b, value @ ..]| (u16::from_be_bytes([*a, *b]), u32::from_be_bytes(*value)))
        .collect();
    for setting in [CALLS, WINDOW, HEADERS] {
        assert!(told.contains(&setting), "{setting:?} in {told:?}");
    }
}
