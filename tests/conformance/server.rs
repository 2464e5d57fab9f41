//! The server under test of connectrpc's conformance suite: its service on the very server that `serve` runs, so that what
//! the suite finds is true of that.
//!
//! The suite says on standard input how to listen, and is told on standard output where. Every method is answered as a
//! conversation here; how many messages it may take is the server's business, which knows the shapes.

mod answer;
mod messages;
mod raw;

use std::{
    convert::Infallible,
    fs,
    io::{Read as _, Write as _, stdin, stdout},
    task::{Context, Poll},
    thread,
    time::SystemTime,
};

use http::{Request, Response};
use prost::Message as _;
use proton_grpc::{
    identity::{Identities, Place},
    server::{Bound, Health, Listen, Server, Services, Shape, Tls, tls::Files},
};
use tonic::{
    Status,
    body::Body,
    codec::CompressionEncoding,
    codegen::BoxFuture,
    server::{Grpc, NamedService},
};

use self::{
    answer::{Method, answer},
    messages::{ServerCompatRequest, ServerCompatResponse},
    raw::Raw,
};

#[derive(Clone)]
struct Conformance;

impl NamedService for Conformance {
    const NAME: &'static str = "connectrpc.conformance.v1.ConformanceService";
}

impl tower::Service<Request<Body>> for Conformance {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async move {
            let name = request.uri().path().rsplit('/').next().unwrap_or_default();
            let Some(method) = Method::named(name) else {
                return Ok(Status::unimplemented("").into_http());
            };
            let mut grpc = Grpc::new(Raw).accept_compressed(CompressionEncoding::Gzip);
            let service = tower::service_fn(move |request| answer(method, request));
            Ok(grpc.streaming(service, request).await)
        })
    }
}

fn shape(method: &str) -> Shape {
    match method {
        "ServerStream" => Shape::ServerStream,
        "ClientStream" | "BidiStream" => Shape::Bidirectional,
        _ => Shape::Unary,
    }
}

fn main() -> anyhow::Result<()> {
    let asked = asked()?;
    let bound = Bound::to(&Listen::Tcp("127.0.0.1:0".parse()?), 0o600, 1)?;
    let tls = asked.use_tls.then(|| tls(&asked)).transpose()?;
    let bound = bound.secured(tls.as_ref());
    let Listen::Tcp(address) = bound.listen().clone() else {
        unreachable!("an address was asked for");
    };
    let nobody_asks = Identities::nobody_asks(Place {
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
    });
    let services = || Services::default().with_shapes(Conformance, shape);
    let _server = Server::start(bound, Health::default(), nobody_asks, services)?;
    let told = ServerCompatResponse {
        host: "127.0.0.1".to_owned(),
        port: address.port().into(),
        pem_cert: asked
            .server_creds
            .map(|files| files.cert)
            .unwrap_or_default(),
    };
    let told = told.encode_to_vec();
    let mut out = stdout().lock();
    out.write_all(&u32::try_from(told.len())?.to_be_bytes())?;
    out.write_all(&told)?;
    out.flush()?;
    // The suite ends this process.
    loop {
        thread::park();
    }
}

fn asked() -> anyhow::Result<ServerCompatRequest> {
    let mut length = [0; 4];
    stdin().read_exact(&mut length)?;
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    stdin().read_exact(&mut message)?;
    Ok(ServerCompatRequest::decode(message.as_slice())?)
}

fn tls(asked: &ServerCompatRequest) -> anyhow::Result<Tls> {
    let directory = tempfile::tempdir()?;
    let file = |name: &str, contents: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, contents).map(|()| path)
    };
    let creds = asked.server_creds.clone().unwrap_or_default();
    let clients = Some(&asked.client_tls_cert).filter(|pem| !pem.is_empty());
    let files = Files {
        certificate: file("certificate", &creds.cert)?,
        key: file("key", &creds.key)?,
        client_ca: clients.map(|pem| file("clients", pem)).transpose()?,
    };
    Ok(Tls::open(files, SystemTime::now())?)
}
