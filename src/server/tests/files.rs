use tokio::net::UnixStream;

use super::*;
use crate::server::Server;

#[tokio::test]
async fn a_socket_file_is_served_until_the_drain_and_tells_who_connects() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let bound = Bound::to(&Listen::Unix(path.clone()), 0o600, 2).unwrap();
    let services = || Services::default().with(services::Proton);
    let server = Server::start(
        bound,
        Health::default(),
        identities(),
        Telemetry::default(),
        services,
    )
    .unwrap();

    for _ in 0..4 {
        let stream = UnixStream::connect(&path).await.unwrap();
        let mut client = Client::on(stream, Life::default(), Health::default()).await;
        let told = client.get("user").await.data;
        let ours = rustix::process::getuid().as_raw().to_string();
        assert!(
            told.ends_with(format!("user {ours}").as_bytes()),
            "{told:?}"
        );
    }
    server.drain(Duration::ZERO).await;
    assert!(!path.exists());
}
