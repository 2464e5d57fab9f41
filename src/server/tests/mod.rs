//! The server from the outside, over HTTP/2 in memory: what is sent is bytes, what comes back is a
//! status.

mod certificates;
mod connections;
mod deadlines;
mod drain;
mod files;
mod health;
mod limits;
mod messages;
mod reflection;
mod services;
mod stock;
mod telemetry;
mod tls;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::{BufMut, Bytes};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt;

use super::{
    Bound, Health, Listen, Peer, Services,
    grpc::Grpc,
    life::Life,
    listener::Front,
    peer::{Credentials, PeerAddress},
    stack::Stack,
};
use crate::{
    api::pb,
    identity::{Identities, Place},
    telemetry::Telemetry,
};

const GET: &str = "/proton.v1.ProtonService/GetEnvironment";
const LIST: &str = "/proton.v1.ProtonStreamingService/ListEnvironments";

/// A client that is connected to a server.
#[derive(Clone)]
struct Client {
    send: http2::SendRequest<Body>,
    life: Life,
    health: Health,
}

/// What a call came to.
#[derive(Debug)]
struct Answer {
    headers: HeaderMap,
    data: Bytes,
    status: Status,
}

async fn client() -> Client {
    let health = Health::default();
    health.set_serving(true);
    let (life, io) = server(&health);
    Client::on(io, life, health).await
}

/// A server's end of a connection is served; the client's end is returned.
fn server(health: &Health) -> (Life, DuplexStream) {
    server_telling(health, Telemetry::default())
}

fn server_telling(health: &Health, telemetry: Telemetry) -> (Life, DuplexStream) {
    let services = Services::default()
        .with(services::Proton)
        .with(services::Streaming)
        .and(health.services())
        .and(super::reflection::services());
    let life = Life::default();
    let (theirs, ours) = duplex(64 << 10);
    let front = Grpc(Arc::new(Stack::new(services, identities(), telemetry)));
    life.connections
        .spawn(front.serve(ours, nobody(), life.clone()));
    (life, theirs)
}

fn identities() -> Identities {
    Identities::nobody_asks(Place {
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
    })
}

/// A client on this machine.
fn nobody() -> Peer {
    let credentials = Credentials {
        user: 65534,
        group: 65534,
        process: None,
    };
    Peer {
        address: PeerAddress::Unix(credentials),
        certificates: None,
    }
}

/// A port that is free.
fn any_port(workers: usize) -> Bound {
    let listen = "127.0.0.1:0".parse().unwrap();
    Bound::to(&listen, 0o600, workers).unwrap()
}

fn address(bound: &Bound) -> SocketAddr {
    match bound.listen() {
        Listen::Tcp(address) => *address,
        Listen::Unix(_) => unreachable!("a port was asked for"),
    }
}

impl Client {
    async fn on(
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        life: Life,
        health: Health,
    ) -> Self {
        let (send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(io))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self { send, life, health }
    }

    async fn call(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.open(path, headers, Body::new(Full::new(body.into())))
            .await
            .finish()
            .await
    }

    /// A unary call to the test service.
    async fn get(&mut self, name: &str) -> Answer {
        self.call(GET, &[], get(name)).await
    }

    /// A call whose response has begun.
    async fn open(&mut self, path: &str, headers: &[(&str, &str)], body: Body) -> Opened {
        self.try_open(path, headers, body).await.unwrap()
    }

    /// A call that the connection may be too old for.
    async fn try_open(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> hyper::Result<Opened> {
        let mut request = Request::post(format!("http://proton{path}"))
            .body(body)
            .unwrap();
        for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")]
            .iter()
            .chain(headers)
        {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        self.send.ready().await?;
        Ok(Opened(self.send.send_request(request).await?))
    }
}

struct Opened(http::Response<Incoming>);

impl Opened {
    /// The next message of the response.
    async fn message<M: Message + Default>(&mut self) -> M {
        let data = self.0.frame().await.unwrap().unwrap().into_data().unwrap();
        M::decode(&data[5..]).unwrap()
    }

    async fn finish(self) -> Answer {
        let (parts, body) = self.0.into_parts();
        let body = body.collect().await.expect("no call ends with a reset");
        let trailers = body
            .trailers()
            .cloned()
            .unwrap_or_else(|| parts.headers.clone());
        let status = Status::from_header_map(&trailers).expect("every call ends with a status");
        Answer {
            headers: parts.headers,
            data: body.to_bytes(),
            status,
        }
    }
}

impl Answer {
    fn code(&self) -> Code {
        self.status.code()
    }

    /// The reason, after checking that the error says all that every error says.
    fn reason(&self) -> String {
        let details = self.status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(info.domain, "proton-grpc");
        assert!(["not_executed", "unknown"].contains(&info.metadata["outcome"].as_str()));
        assert!(!info.metadata["operation"].is_empty());
        assert!(!details.request_info().unwrap().request_id.is_empty());
        info.reason.clone()
    }

    fn outcome(&self) -> String {
        self.status
            .get_error_details()
            .error_info()
            .unwrap()
            .metadata["outcome"]
            .clone()
    }
}

/// A message with its prefix.
fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut framed = vec![flag];
    framed.put_u32(message.len() as u32);
    framed.extend_from_slice(message);
    framed
}

fn get(name: &str) -> Vec<u8> {
    framed(
        0,
        &pb::GetEnvironmentRequest { name: name.into() }.encode_to_vec(),
    )
}

/// Lets everything that can go on go on, up to (paused) time.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
