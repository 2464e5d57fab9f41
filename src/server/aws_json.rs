//! The front for AWS CLIs and SDKs: HTTP/1.1 and HTTP/2.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures_util::future::{Either, ready};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::Instant;

use super::{
    Gate, Peer, connection,
    greeting::Greeted,
    life::Life,
    listener::{Front, Stream},
    observed::ObservedRequest,
    outgoing::Outgoing,
    slices::Slices,
    streams::Streams,
};
use crate::{
    audit::Front as Entrance,
    control_plane::{ControlPlane, wire::endpoint},
    overload::{Shedding, Work},
};

/// For the head of a request over HTTP/1.1, which has no other way to tell a slow client.
const HEAD_TIME: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct AwsJson {
    pub(crate) plane: ControlPlane,
    pub(crate) gate: Gate,
    pub(crate) shedding: Shedding,
    pub(crate) slices: Slices,
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
        let service = service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
            let arrived = Instant::now();
            let in_flight = in_flight.token();
            let (call, connection) = (calls.begin(arrived), Arc::clone(&connection));
            let front = &connection.front;
            let observed = ObservedRequest::begin(&front.gate.telemetry, &request, arrived);
            let place = match front.shedding.begin(Work::Call, arrived) {
                Ok(place) => place,
                Err(overloaded) => {
                    let refused = endpoint::overloaded(&front.plane, overloaded);
                    observed.answered(&refused);
                    let refused = refused.map(|body| call.answered(body));
                    return Either::Left(ready(Ok::<_, Infallible>(refused)));
                }
            };
            let slices = front.slices.clone();
            Either::Right(slices.of(Box::pin(async move {
                place.started(Instant::now());
                call.turn().await;
                let AwsJson { plane, gate, .. } = &connection.front;
                let peer = &connection.peer;
                let headers = request.headers();
                if let Some(scribe) = gate.scribe(Entrance::AwsJson, Some(peer), headers) {
                    request.extensions_mut().insert(scribe);
                }
                let answer = endpoint::respond(gate.checks(peer), plane, request);
                let response = observed.present(answer).await;
                observed.answered(&response);
                drop((in_flight, place));
                Ok(response.map(|body| call.answered(body)))
            })))
        });
        let http2 = greeted.speaks_http2();
        let stream = Outgoing::new(greeted);
        let io = TokioIo::new(stream.clone());
        if http2 {
            let connection = connection::http2().serve_connection(io, service);
            connection::live(Box::pin(connection), &stream, &streams, &life).await;
        } else {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .max_buf_size(16 << 10)
                .serve_connection(io, service);
            connection::live(Box::pin(connection), &stream, &streams, &life).await;
        }
    }
}
