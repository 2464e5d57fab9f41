//! The front for AWS CLIs and SDKs: HTTP/1.1 and HTTP/2.

use std::{convert::Infallible, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::Instant;

use super::{
    Peer, connection,
    greeting::Greeted,
    identity,
    life::Life,
    listener::{Front, Stream},
    observed::ObservedRequest,
    outgoing::Outgoing,
    streams::Streams,
};
use crate::{
    control_plane::{ControlPlane, wire::endpoint},
    identity::Identities,
    telemetry::Telemetry,
};

/// For the head of a request over HTTP/1.1, which has no other way to tell a slow client.
const HEAD_TIME: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct AwsJson {
    pub(crate) plane: ControlPlane,
    pub(crate) identities: Identities,
    pub(crate) telemetry: Telemetry,
}

/// What the requests of a connection have in common.
struct Connection {
    front: AwsJson,
    peer: Peer,
}

impl Front for AwsJson {
    const HTTP1: bool = true;

    async fn serve<S: Stream>(self, stream: S, peer: Peer, life: Life) {
        let Some(greeted) = Greeted::hear(stream, &life).await else {
            tracing::debug!("connection without a request closed");
            return;
        };
        let streams = Arc::new(Streams::new(Instant::now()));
        let life = life.of_connection();
        let connection = Arc::new(Connection { front: self, peer });
        let (calls, in_flight) = (Arc::clone(&streams), life.calls.clone());
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let arrived = Instant::now();
            let in_flight = in_flight.token();
            let (streams, connection) = (Arc::clone(&calls), Arc::clone(&connection));
            async move {
                let AwsJson {
                    plane,
                    identities,
                    telemetry,
                } = &connection.front;
                let observed = ObservedRequest::begin(telemetry, &request, arrived);
                let call = streams.begin(arrived).await;
                let client = identity::client(Some(&connection.peer));
                let answer = endpoint::respond(client, plane, identities, request);
                let response = observed.present(answer).await;
                observed.answered(&response);
                drop(in_flight);
                Ok::<_, Infallible>(response.map(|body| call.answered(body)))
            }
        });
        let http2 = greeted.speaks_http2();
        let stream = Outgoing::new(greeted);
        let io = TokioIo::new(stream.clone());
        if http2 {
            let connection = connection::http2().serve_connection(io, service);
            connection::live(connection, &stream, &streams, &life).await;
        } else {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .max_buf_size(16 << 10)
                .serve_connection(io, service);
            connection::live(connection, &stream, &streams, &life).await;
        }
    }
}
