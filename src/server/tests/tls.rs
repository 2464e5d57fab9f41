use std::{fs, time::SystemTime};

use rustls::{
    ClientConfig,
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{certificates::Authority, *};
use crate::server::{Server, Tls, tls::Files};

/// A server that speaks TLS, and the files that it was started with.
struct Secured {
    authority: Authority,
    /// Who vouches for clients.
    clients: Option<Authority>,
    tls: Tls,
    files: Files,
    address: SocketAddr,
    _server: Server,
    directory: TempDir,
}

impl Secured {
    fn start(clients: Option<Authority>) -> Self {
        let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        let files = authority.issue().write(directory.path(), clients.as_ref());
        let tls = Tls::open(files.clone(), SystemTime::now()).unwrap();
        let bound = any_port(2).secured(Some(&tls));
        let address = address(&bound);
        let services = || Services::default().with(services::Proton);
        let _server = Server::start(
            bound,
            Health::default(),
            identities(),
            Telemetry::default(),
            services,
        )
        .unwrap();
        Self {
            authority,
            clients,
            tls,
            files,
            address,
            _server,
            directory,
        }
    }

    async fn connect(&self, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    async fn client(&self, config: ClientConfig) -> Client {
        let stream = self.connect(config).await.unwrap();
        Client::on(stream, Life::default(), Health::default()).await
    }

    /// Whether the server turns such a client away, at the handshake or right after it.
    async fn refuses(&self, config: ClientConfig) -> bool {
        let Ok(mut stream) = self.connect(config).await else {
            return true;
        };
        let greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        let greeted = stream.write_all(greeting).await;
        greeted.is_err() || matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_))
    }
}

fn served(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    let (_, connection) = stream.get_ref();
    connection.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken() {
    let secured = Secured::start(None);
    for version in [&TLS12, &TLS13] {
        let config = secured.authority.client_with(None, &[version]);
        let mut client = secured.client(config).await;
        assert_eq!(client.get("prod").await.code(), Code::Ok, "{version:?}");
    }
}

#[tokio::test]
async fn older_versions_of_tls_are_refused() {
    // A hello of TLS 1.1 that could as well be one of 1.2: a suite, a group and a signature of today.
    let mut hello = vec![0x16, 3, 1, 0, 63, 1, 0, 0, 59, 3, 2];
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0, 2, 0xc0, 0x2b, 1, 0, 0, 16]);
    hello.extend_from_slice(&[0, 0xd, 0, 4, 0, 2, 4, 3, 0, 0xa, 0, 4, 0, 2, 0, 0x17]);
    const PROTOCOL_VERSION: u8 = 70;

    let secured = Secured::start(None);
    let mut stream = TcpStream::connect(secured.address).await.unwrap();
    stream.write_all(&hello).await.unwrap();
    let mut alert = [0; 7];
    stream.read_exact(&mut alert).await.unwrap();
    assert_eq!((alert[0], alert[6]), (0x15, PROTOCOL_VERSION));
}

#[tokio::test]
async fn a_client_that_does_not_offer_http_2_is_refused() {
    let secured = Secured::start(None);
    for protocols in [vec![], vec![b"http/1.1".to_vec()]] {
        let mut config = secured.authority.client(None);
        config.alpn_protocols = protocols;
        assert!(secured.refuses(config).await);
    }
    assert!(!secured.refuses(secured.authority.client(None)).await);
}

#[tokio::test]
async fn a_client_without_tls_is_closed() {
    let secured = Secured::start(None);
    let mut stream = TcpStream::connect(secured.address).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    // An alert at most.
    assert!(answer.len() <= 7, "{answer:?}");
}

#[tokio::test]
async fn only_clients_that_the_authority_vouches_for_are_let_in() {
    let secured = Secured::start(Some(Authority::new()));
    let clients = secured.clients.as_ref().unwrap();
    let stranger = Authority::new().issue();
    let expired = clients.issue_until(2020);
    for (shows, refused) in [
        (None, true),
        (Some(&stranger), true),
        (Some(&expired), true),
        (Some(&clients.issue()), false),
    ] {
        for version in [&TLS12, &TLS13] {
            let config = secured.authority.client_with(shows, &[version]);
            let known = shows.map(|issued| &issued.certificate);
            assert_eq!(secured.refuses(config).await, refused, "{known:?}");
        }
    }
}

#[tokio::test]
async fn requests_tell_who_sent_them() {
    let secured = Secured::start(Some(Authority::new()));
    let shows = secured.clients.as_ref().unwrap().issue();
    let config = secured.authority.client(Some(&shows));
    let mut client = secured.client(config).await;
    let told = client.get("certificates").await.data;
    let told = String::from_utf8_lossy(&told);
    assert!(
        told.ends_with(&format!("Some([{:?}])", shows.der())),
        "{told}"
    );
}

#[tokio::test]
async fn a_client_with_a_certificate_never_resumes_a_session() {
    let secured = Secured::start(Some(Authority::new()));
    let shows = secured.clients.as_ref().unwrap().issue();
    for version in [&TLS12, &TLS13] {
        let config = secured.authority.client_with(Some(&shows), &[version]);
        for _ in 0..2 {
            let mut stream = secured.connect(config.clone()).await.unwrap();
            stream.flush().await.unwrap();
            let kind = stream.get_ref().1.handshake_kind();
            assert_eq!(kind, Some(rustls::HandshakeKind::Full), "{version:?}");
        }
    }
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_no_call_fails() {
    let secured = Secured::start(None);
    let config = || secured.authority.client(None);
    let old = served(&secured.connect(config()).await.unwrap());
    let mut client = secured.client(config()).await;

    let renewed = secured.authority.issue();
    fs::write(&secured.files.certificate, &renewed.certificate).unwrap();
    secured.tls.reload(SystemTime::now());
    // Its key is not there yet.
    assert_eq!(served(&secured.connect(config()).await.unwrap()), old);
    assert_eq!(client.get("prod").await.code(), Code::Ok);

    fs::write(&secured.files.key, &renewed.key).unwrap();
    secured.tls.reload(SystemTime::now());
    assert_eq!(
        served(&secured.connect(config()).await.unwrap()),
        renewed.der().to_vec()
    );
    assert_eq!(client.get("prod").await.code(), Code::Ok);
}

#[tokio::test]
async fn files_that_are_of_no_use_change_nothing() {
    let secured = Secured::start(None);
    let config = || secured.authority.client(None);
    let old = served(&secured.connect(config()).await.unwrap());
    let whole = fs::read(&secured.files.certificate).unwrap();
    for broken in [&b""[..], b"nonsense", &whole[..whole.len() / 2]] {
        fs::write(&secured.files.certificate, broken).unwrap();
        secured.tls.reload(SystemTime::now());
        assert_eq!(served(&secured.connect(config()).await.unwrap()), old);
    }
    fs::remove_file(&secured.files.key).unwrap();
    secured.tls.reload(SystemTime::now());
    assert_eq!(served(&secured.connect(config()).await.unwrap()), old);
}

#[tokio::test]
async fn who_vouches_for_clients_can_change_too() {
    let secured = Secured::start(Some(Authority::new()));
    let newer = Authority::new();
    let shows = newer.issue();
    let config = || secured.authority.client(Some(&shows));
    assert!(secured.refuses(config()).await);
    secured
        .authority
        .issue()
        .write(secured.directory.path(), Some(&newer));
    secured.tls.reload(SystemTime::now());
    assert!(!secured.refuses(config()).await);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_takes_ten_seconds_at_most() {
    let directory = tempfile::tempdir().unwrap();
    let files = Authority::new().issue().write(directory.path(), None);
    let tls = Tls::open(files, SystemTime::now()).unwrap();
    let (mut slow, ours) = duplex(1 << 10);
    slow.write_all(&[0x16, 3, 1]).await.unwrap();
    let begun = Instant::now();
    let accepted = tls.accept(ours, false, &Life::default()).await;
    assert!(matches!(accepted, Err(crate::server::tls::Failed::TooLong)));
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_handshake_does_not_hold_the_end_up() {
    let directory = tempfile::tempdir().unwrap();
    let files = Authority::new().issue().write(directory.path(), None);
    let tls = Tls::open(files, SystemTime::now()).unwrap();
    let (_silent, ours) = duplex(1 << 10);
    let life = Life::default();
    life.closing.cancel();
    assert!(tls.accept(ours, false, &life).await.is_err());
}

#[test]
fn keys_may_be_of_any_kind() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    for issued in [authority.issue(), authority.issue_rsa()] {
        let files = issued.write(directory.path(), None);
        Tls::open(files, SystemTime::now()).unwrap();
    }
}

#[test]
fn errors_name_the_file_and_never_show_what_is_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (one, other) = (authority.issue(), authority.issue());
    let open = |files: &Files| {
        let error = Tls::open(files.clone(), SystemTime::now()).err().unwrap();
        error.to_string()
    };
    let files = one.write(directory.path(), Some(&authority));
    let (cert, key, ca) = ("cert.pem", "key.pem", "ca.pem");

    fs::write(&files.key, &other.key).unwrap();
    let error = open(&files);
    assert!(error.contains(cert) && error.contains(key), "{error}");
    fs::write(&files.key, "-----BEGIN PRIVATE KEY-----\nsecret").unwrap();
    let error = open(&files);
    assert!(error.contains(key) && !error.contains("secret"), "{error}");
    fs::write(&files.key, &one.key).unwrap();
    fs::write(files.client_ca.as_ref().unwrap(), "").unwrap();
    assert!(open(&files).contains(ca));
    fs::remove_file(&files.certificate).unwrap();
    assert!(open(&files).contains(cert));
}
