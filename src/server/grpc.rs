//! The front for gRPC clients: HTTP/2, and nothing else.

use std::{convert::Infallible, sync::Arc};

use futures_util::future::{Either, ready};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::{
    Peer, connection,
    greeting::Greeted,
    life::Life,
    listener::{Front, Stream},
    outgoing::Outgoing,
    slices::Slices,
    stack::{self, Stack},
    streams::Streams,
};

#[derive(Clone)]
pub(crate) struct Grpc {
    pub(crate) stack: Arc<Stack>,
    pub(crate) slices: Slices,
}

impl Grpc {
    pub(crate) fn new(stack: Stack) -> Self {
        Self {
            stack: Arc::new(stack),
            slices: Slices::default(),
        }
    }
}

/// What the calls of a connection have in common.
struct Connection {
    front: Grpc,
    peer: Peer,
    life: Life,
}

impl Front for Grpc {
    const HTTP1: bool = false;

    async fn serve<S: Stream>(self, stream: S, peer: Peer, life: Life) {
        let Some(greeted) = Greeted::hear(stream, &life).await else {
            tracing::debug!("connection without a word closed");
            return;
        };
        if !greeted.speaks_http2() {
            tracing::debug!("connection without an HTTP/2 preface closed");
            return greeted.close().await;
        }
        let streams = Arc::new(Streams::new(Instant::now()));
        let life = life.of_connection();
        let connection = Arc::new(Connection {
            front: self,
            peer,
            life: life.clone(),
        });
        let calls = Arc::clone(&streams);
        let service = service_fn(move |mut request| {
            let arrived = Instant::now();
            let (call, connection) = (calls.begin(arrived), Arc::clone(&connection));
            let Grpc { stack, slices } = connection.front.clone();
            let place = match stack.take_on(&request, arrived) {
                Ok(place) => place,
                Err(overloaded) => {
                    let refused =
                        stack::turned_away(&request, overloaded).map(|body| call.answered(body));
                    return Either::Left(ready(Ok::<_, Infallible>(refused)));
                }
            };
            let is_work = place.is_some();
            // Boxed, because hyper gives each call a task, and a task moves its future more than once.
            let answer = Box::pin(async move {
                if let Some(place) = &place {
                    place.started(Instant::now());
                }
                call.turn().await;
                request.extensions_mut().insert(connection.peer.clone());
                let answer = stack.answer(request, arrived, place, &connection.life);
                Ok(answer.await.map(|body| call.answered(body)))
            });
            Either::Right(match is_work {
                true => Either::Left(slices.of(answer)),
                // Health is told before any work is done.
                false => Either::Right(answer),
            })
        });
        let mut http2 = connection::http2();
        http2.auto_date_header(false);
        let stream = Outgoing::new(greeted);
        let connection = http2.serve_connection(TokioIo::new(stream.clone()), service);
        connection::live(Box::pin(connection), &stream, &streams, &life).await;
    }
}
