//! A tonic service that returns what it is sent, under any method name, on nothing but hyper: what
//! gRPC itself costs.

use std::{convert::Infallible, net::SocketAddr};

use clap::Parser;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, body::Body, server::Grpc};
use tonic_prost::ProstCodec;

#[derive(Parser)]
struct Args {
    #[arg(long)]
    listen: SocketAddr,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind(Args::parse().listen).await?;
    println!("grpc listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection = http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service_fn(echo));
        tokio::spawn(connection);
    }
}

async fn echo(request: http::Request<Incoming>) -> Result<http::Response<Body>, Infallible> {
    // A message with one string, as GetEnvironmentTemplateRequest is.
    let codec = ProstCodec::<String, String>::default();
    let same = tower::service_fn(async |request: Request<String>| {
        Ok::<_, Status>(Response::new(request.into_inner()))
    });
    Ok(Grpc::new(codec).unary(same, request).await)
}
