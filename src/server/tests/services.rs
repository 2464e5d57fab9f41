//! Services that do as the request's name says.

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, StreamExt, stream};
use http::{Request, Response};
use tokio::time::Instant;
use tonic::{
    Status,
    body::Body,
    codegen::BoxFuture,
    server::{Grpc, NamedService},
};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

use crate::{
    api::pb,
    facade::deadline::Deadline,
    server::{Peer, peer::PeerAddress},
};

#[derive(Clone)]
pub(super) struct Proton;

impl NamedService for Proton {
    const NAME: &'static str = "proton.v1.ProtonService";
}

impl Service<Request<Body>> for Proton {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async {
            if request.uri().path() != super::GET {
                return Ok(Status::unimplemented("").into_http());
            }
            let codec =
                ProstCodec::<pb::GetEnvironmentResponse, pb::GetEnvironmentRequest>::default();
            Ok(Grpc::new(codec).unary(service_fn(get), request).await)
        })
    }
}

async fn get(
    request: tonic::Request<pb::GetEnvironmentRequest>,
) -> Result<tonic::Response<pb::GetEnvironmentResponse>, Status> {
    let left = request
        .extensions()
        .get::<Deadline>()
        .map(|deadline| deadline.remaining(Instant::now()));
    let peer = request.extensions().get::<Peer>().cloned();
    let name = request.into_inner().name;
    let described = match name.as_str() {
        "panic" => panic!("as asked"),
        "never" => std::future::pending().await,
        "missing" => return Err(Status::not_found("no such environment")),
        "large" => "large ".repeat(10_000),
        "too large" => "x".repeat(5 << 20),
        "deadline" => format!("{left:?}"),
        "user" => match peer.unwrap().address {
            PeerAddress::Unix(credentials) => format!("user {}", credentials.user),
            PeerAddress::Tcp(_) => "anybody".into(),
        },
        "certificates" => format!("{:?}", peer.unwrap().certificates),
        "slow" => {
            tokio::time::sleep(Duration::from_secs(5)).await;
            "slow".into()
        }
        name => name.into(),
    };
    let environment = pb::Environment {
        description: Some(described),
        ..Default::default()
    };
    Ok(tonic::Response::new(pb::GetEnvironmentResponse {
        environment: Some(environment),
    }))
}

#[derive(Clone)]
pub(super) struct Streaming;

impl NamedService for Streaming {
    const NAME: &'static str = "proton.v1.ProtonStreamingService";
}

impl Service<Request<Body>> for Streaming {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async {
            let codec =
                ProstCodec::<pb::ListEnvironmentsResponse, pb::ListEnvironmentsRequest>::default();
            Ok(Grpc::new(codec)
                .server_streaming(service_fn(list), request)
                .await)
        })
    }
}

type Pages =
    std::pin::Pin<Box<dyn Stream<Item = Result<pb::ListEnvironmentsResponse, Status>> + Send>>;

async fn list(
    request: tonic::Request<pb::ListEnvironmentsRequest>,
) -> Result<tonic::Response<Pages>, Status> {
    let page = stream::iter([Ok(pb::ListEnvironmentsResponse::default())]);
    Ok(tonic::Response::new(
        match request.into_inner().next_token.as_deref() {
            Some("panic") => Box::pin(page.chain(stream::poll_fn(|_| panic!("as asked")))),
            Some("never") => Box::pin(page.chain(stream::pending())),
            _ => Box::pin(page),
        },
    ))
}
