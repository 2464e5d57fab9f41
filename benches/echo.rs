//! A tonic server that returns what it is sent, under any method name: what gRPC itself costs.

use std::{convert::Infallible, future::Future, pin::Pin, task::Poll};

use clap::Parser;
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status, body::Body, server::NamedService, transport::Server,
    transport::server::TcpIncoming,
};
use tower::{Service, service_fn};

#[derive(Parser)]
struct Args {
    /// Cargo passes it to every bench target.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone)]
struct Echo;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    Args::parse();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("grpc listening on {}", listener.local_addr()?);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder()
        .add_service(Echo)
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

impl NamedService for Echo {
    const NAME: &'static str = "proton.v1.ProtonService";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        // A message with one string, as GetEnvironmentTemplateRequest is.
        let codec = tonic_prost::ProstCodec::<String, String>::default();
        let same = service_fn(async |request: Request<String>| {
            Ok::<_, Status>(Response::new(request.into_inner()))
        });
        Box::pin(async move { Ok(tonic::server::Grpc::new(codec).unary(same, request).await) })
    }
}
