//! Certificates as identities, over TLS on both fronts: the SPIFFE ids of one trust domain, and a
//! proxy that says whom it calls for.

use std::io;

use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proton_grpc::server::{Tls, tls::Files};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, SanType};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::Endpoint;

use super::*;

const SHOP: &str = "spiffe://prod.example/shop/web";
const BLOG: &str = "spiffe://prod.example/blog";
const EDGE: &str = "spiffe://prod.example/edge";
const SHOPS_ACCOUNT: &str = "111111111111";
const BLOGS_ACCOUNT: &str = "222222222222";
const CALLERS: &str = "
[[caller]]
spiffe = 'spiffe://prod.example/shop/*'
account = '111111111111'

[[caller]]
spiffe = 'spiffe://prod.example/blog'
account = '222222222222'
";

/// Issues certificates for this machine.
struct Authority {
    pem: String,
    issuer: rcgen::Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
struct Issued {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = rcgen::Issuer::new(params, key);
        Self { pem, issuer }
    }

    /// A certificate with these URIs.
    fn issue(&self, uris: &[&str]) -> Issued {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let uris = uris
            .iter()
            .map(|&uri| SanType::URI(uri.try_into().unwrap()));
        params.subject_alt_names.extend(uris);
        let key = KeyPair::generate().unwrap();
        Issued {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// A client that shows a certificate if it has one.
    fn connector(&self, shows: Option<&Issued>, protocol: &str) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(der(&self.pem)).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match shows {
            Some(issued) => {
                let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
                let chain = vec![der(&issued.certificate)];
                config.with_client_auth_cert(chain, key).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![protocol.into()];
        Arc::new(config).into()
    }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// A server that takes certificates for identities.
struct Secured {
    authority: Authority,
    grpc: SocketAddr,
    aws_json: SocketAddr,
    _server: Server,
    _stack: Stack,
}

impl Secured {
    /// With a template in both accounts, by which they can be told apart.
    async fn start() -> Self {
        let (stack, authority) = (Stack::idle(), Authority::new());
        let directory = tempfile::tempdir().unwrap();
        let tls = Tls::open(files(&directory, &authority), SystemTime::now()).unwrap();
        let (grpc, aws_json) = (
            any_port().secured(Some(&tls)),
            any_port().secured(Some(&tls)),
        );
        let (grpc_address, aws_json_address) = (address(&grpc), address(&aws_json));
        let identities = identities(&directory);
        let server = serve(&stack, identities.into(), grpc);
        let server = server.with_aws_json(aws_json, stack.plane.clone()).unwrap();
        let secured = Self {
            authority,
            grpc: grpc_address,
            aws_json: aws_json_address,
            _server: server,
            _stack: stack,
        };
        for id in [SHOP, BLOG] {
            let client = secured.client(&[id]).await;
            client.create_template().await;
        }
        secured
    }

    /// A client whose certificate has these URIs.
    async fn client(&self, uris: &[&str]) -> Caller {
        let shows = Some(&self.authority.issue(uris));
        let channel = channel(self.authority.connector(shows, "h2"), self.grpc);
        let connector = self.authority.connector(shows, "http/1.1");
        let stream = connect(&connector, self.aws_json).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Caller { channel, sender }
    }
}

fn files(directory: &TempDir, authority: &Authority) -> Files {
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let issued = authority.issue(&[]);
    Files {
        certificate: file("cert.pem", &issued.certificate),
        key: file("key.pem", &issued.key),
        client_ca: Some(file("ca.pem", &authority.pem)),
    }
}

fn identities(directory: &TempDir) -> Identities {
    let callers = directory.path().join("callers");
    fs::write(&callers, CALLERS).unwrap();
    let settings = Settings {
        local: Place {
            account: "000000000000".to_owned(),
            region: REGION.to_owned(),
        },
        sources: Some(Sources {
            callers,
            trust_domain: Some("prod.example".parse().unwrap()),
            tokens: None,
            proxied: Some(Proxied {
                proxy: TrustedProxy::Spiffe(EDGE.parse().unwrap()),
                header: FORWARDED_CERTIFICATE,
            }),
            roles: false,
        }),
    };
    Identities::open(settings, Arc::new(now)).unwrap().0
}

async fn connect(
    connector: &TlsConnector,
    address: SocketAddr,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    connector.connect(name, stream).await
}

fn channel(connector: TlsConnector, address: SocketAddr) -> Channel {
    let connect = tower::service_fn(move |_: http::Uri| {
        let connector = connector.clone();
        async move { connect(&connector, address).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost").connect_with_connector_lazy(connect)
}

/// A client with a connection to each front.
struct Caller {
    channel: Channel,
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Caller {
    async fn create_template(&self) {
        let operation = "CreateEnvironmentTemplate";
        let web = message(&descriptors::request(operation), &json!({ "name": "web" }));
        unary(&self.channel, operation, web, &[]).await.unwrap();
    }

    /// In whose account it acts by a call, by a stream and over AWS-JSON, or why in nobody's, if it
    /// says that it calls for somebody.
    async fn whose(&mut self, forwards: Option<&str>) -> [String; 3] {
        let header = forwards.map(|id| format!("By=spiffe://prod.example/proton;URI={id}"));
        let header = header.as_deref();
        let headers: Vec<_> = header
            .map(|value| ("x-forwarded-client-cert", value))
            .into_iter()
            .collect();

        let web = json!({ "name": "web" });
        let get = "GetEnvironmentTemplate";
        let request = message(&descriptors::request(get), &web);
        let called = match unary(&self.channel, get, request, &headers).await {
            Ok(answer) => account(&answer["environmentTemplate"]),
            Err(status) => reason(&status),
        };

        let list = "ListEnvironmentTemplates";
        let request = DynamicMessage::new(descriptors::request(list));
        let streamed = match streamed(&self.channel, list, request, &headers).await {
            Ok(pages) => account(&pages[0]["templates"][0]),
            Err(status) => reason(&status),
        };

        let mut request = unsigned(get, &web).map(Full::new);
        for (name, value) in headers {
            let value = value.parse().unwrap();
            request.headers_mut().insert(name, value);
        }
        self.sender.ready().await.unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let answer: Json = serde_json::from_slice(&body).unwrap();
        let asked = match answer["__type"].as_str() {
            None => account(&answer["environmentTemplate"]),
            Some(name) => name.to_owned(),
        };
        [called, streamed, asked]
    }
}

/// The account of what has an ARN.
fn account(resource: &Json) -> String {
    let arn = resource["arn"].as_str().unwrap();
    arn.split(':').nth(4).unwrap().to_owned()
}

const UNRECOGNIZED: [&str; 3] = [
    "IDENTITY_UNRECOGNIZED",
    "IDENTITY_UNRECOGNIZED",
    "UnrecognizedClientException",
];
const MALFORMED: [&str; 3] = [
    "IDENTITY_MALFORMED",
    "IDENTITY_MALFORMED",
    "IncompleteSignature",
];
const UNMAPPED: [&str; 3] = [
    "IDENTITY_UNMAPPED",
    "IDENTITY_UNMAPPED",
    "AccessDeniedException",
];

#[tokio::test]
async fn a_certificate_with_one_id_of_the_trust_domain_is_an_identity() {
    let secured = Secured::start().await;
    for (id, account) in [(SHOP, SHOPS_ACCOUNT), (BLOG, BLOGS_ACCOUNT)] {
        let mut client = secured.client(&[id]).await;
        assert_eq!(client.whose(None).await, [account; 3], "{id}");
    }
}

#[tokio::test]
async fn a_certificate_without_exactly_one_id_of_the_trust_domain_is_none() {
    let secured = Secured::start().await;
    for (uris, refusal) in [
        (&["spiffe://test.example/shop/web"][..], UNRECOGNIZED),
        (&["spiffe://prod.example.evil/shop/web"], UNRECOGNIZED),
        (&[], MALFORMED),
        (&[SHOP, BLOG], MALFORMED),
        (&[SHOP, SHOP], MALFORMED),
        (&[SHOP, "https://prod.example/"], MALFORMED),
        (&["https://prod.example/shop/web"], MALFORMED),
        (&["spiffe://prod.example/bank"], UNMAPPED),
    ] {
        let mut client = secured.client(uris).await;
        assert_eq!(client.whose(None).await, refusal, "{uris:?}");
    }
}

#[tokio::test]
async fn the_named_proxy_says_with_each_call_whom_it_calls_for() {
    let secured = Secured::start().await;
    let mut edge = secured.client(&[EDGE]).await;
    for (caller, whose) in [
        (Some(SHOP), [SHOPS_ACCOUNT; 3]),
        (Some(BLOG), [BLOGS_ACCOUNT; 3]),
        (Some("spiffe://test.example/shop/web"), UNRECOGNIZED),
        (Some("https://prod.example/shop/web"), MALFORMED),
        // Itself, then.
        (None, UNMAPPED),
    ] {
        assert_eq!(edge.whose(caller).await, whose, "{caller:?}");
    }
}

#[tokio::test]
async fn nobody_else_says_whom_they_call_for() {
    let secured = Secured::start().await;
    for (uris, whose) in [
        (&[SHOP][..], [SHOPS_ACCOUNT; 3]),
        (&["spiffe://prod.example/bank"], UNMAPPED),
        (&["spiffe://prod.example/edge/2"], UNMAPPED),
        (&["spiffe://test.example/edge"], UNRECOGNIZED),
        (&[], MALFORMED),
        (&[EDGE, SHOP], MALFORMED),
    ] {
        let mut client = secured.client(uris).await;
        assert_eq!(client.whose(Some(BLOG)).await, whose, "{uris:?}");
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_or_none_reaches_no_front() {
    let secured = Secured::start().await;
    let strangers = Authority::new().issue(&[SHOP]);
    for shows in [None, Some(&strangers)] {
        let connector = secured.authority.connector(shows, "h2");
        let request = DynamicMessage::new(descriptors::request("GetAccountSettings"));
        let channel = channel(connector, secured.grpc);
        let ready = Grpc::new(channel.clone()).ready().await;
        let called = match ready {
            Ok(()) => unary(&channel, "GetAccountSettings", request, &[])
                .await
                .is_ok(),
            Err(_) => false,
        };
        assert!(!called);

        let connector = secured.authority.connector(shows, "http/1.1");
        let asked = async {
            let stream = connect(&connector, secured.aws_json).await.ok()?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
            tokio::spawn(connection);
            let request = unsigned("GetAccountSettings", &json!({})).map(Full::new);
            sender.send_request(request).await.ok()
        };
        assert!(asked.await.is_none());
    }
}
