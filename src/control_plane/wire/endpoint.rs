//! Serves the AWS-JSON endpoint on a socket, over HTTP/1.1 and HTTP/2 without TLS.
//!
//! Everything a client can make the server hold is bounded: connections, headers, bodies, and how long it may take over them.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::{MAX_BODY, error::Refusal, handle_from, too_large};
use crate::api::{Code, Error};
use crate::control_plane::ControlPlane;
use crate::identity::{Client, Identities, Machine};

/// Connections at the same time; the next ones wait to be accepted.
const CONNECTIONS: usize = 1024;
const HEADER_TIME: Duration = Duration::from_secs(10);
const HEADER_BYTES: u32 = 16 * 1024;
const BODY_TIME: Duration = Duration::from_secs(30);
const STREAMS: u32 = 100;
const PING_EVERY: Duration = Duration::from_secs(60);
const PING_TIME: Duration = Duration::from_secs(20);
/// How long accepting rests when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long requests under way may take at the shutdown.
const DRAIN_TIME: Duration = Duration::from_secs(25);

/// Serves until the shutdown, then lets requests under way come to their end.
pub async fn serve(
    listener: TcpListener,
    plane: ControlPlane,
    identities: Identities,
    shutdown: impl Future<Output = ()>,
) {
    let draining = GracefulShutdown::new();
    tokio::select! {
        () = accept(listener, plane, identities, &draining) => {}
        () = shutdown => {}
    }
    if timeout(DRAIN_TIME, draining.shutdown()).await.is_err() {
        tracing::warn!("connections were still busy at the end of the grace period");
    }
}

async fn accept(
    listener: TcpListener,
    plane: ControlPlane,
    identities: Identities,
    draining: &GracefulShutdown,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = Arc::clone(&places)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => connect(stream, plane.clone(), identities.clone(), draining, place),
            Err(cause) if is_of_one_connection(&cause) => {}
            Err(cause) => {
                tracing::warn!(
                    error = &cause as &dyn std::error::Error,
                    "no connection can be accepted"
                );
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(cause: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        cause.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

fn connect(
    stream: TcpStream,
    plane: ControlPlane,
    identities: Identities,
    draining: &GracefulShutdown,
    place: OwnedSemaphorePermit,
) {
    // Answers are one small write; waiting for more to send only delays them.
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request| respond(plane.clone(), identities.clone(), request));
    let connection = builder()
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    let connection = draining.watch(connection);
    tokio::spawn(async move {
        if let Err(cause) = connection.await {
            tracing::debug!(error = &*cause, "a connection failed");
        }
        drop(place);
    });
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BYTES)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIME);
    builder
}

async fn respond(
    plane: ControlPlane,
    identities: Identities,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = timeout(BODY_TIME, Limited::new(body, MAX_BODY).collect()).await;
    let refused = match body {
        Ok(Ok(body)) => {
            let request = Request::from_parts(head, body.to_bytes());
            let client = Client {
                certificate: None,
                machine: Machine::Other,
            };
            let response = handle_from(client, &plane, &identities, request).await;
            return Ok(response.map(Full::new));
        }
        Ok(Err(cause)) if cause.is::<http_body_util::LengthLimitError>() => too_large(),
        Ok(Err(_)) => Error::new(Code::Serialization, "the body ended early"),
        Err(_) => Error::new(Code::RequestTimeout, "the body took too long to arrive"),
    };
    let response = super::finish(&plane, Refusal::from(refused).into_response());
    Ok(response.map(Full::new))
}
