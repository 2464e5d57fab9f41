//! The front for gRPC clients: HTTP/2, and nothing else.

use std::{convert::Infallible, sync::Arc};

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::{
    Peer, connection,
    greeting::Greeted,
    life::Life,
    listener::{Front, Stream},
    outgoing::Outgoing,
    stack::Stack,
    streams::Streams,
};

#[derive(Clone)]
pub(crate) struct Grpc(pub(crate) Arc<Stack>);

/// What the calls of a connection have in common.
struct Connection {
    stack: Arc<Stack>,
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
            stack: self.0,
            peer,
            life: life.clone(),
        });
        let calls = Arc::clone(&streams);
        let service = service_fn(move |mut request| {
            let arrived = Instant::now();
            let (streams, connection) = (Arc::clone(&calls), Arc::clone(&connection));
            // Boxed, because hyper gives each call a task, and a task moves its future more than once.
            Box::pin(async move {
                let call = streams.begin(arrived).await;
                request.extensions_mut().insert(connection.peer.clone());
                let answer = connection.stack.answer(request, arrived, &connection.life);
                Ok::<_, Infallible>(answer.await.map(|body| call.answered(body)))
            })
        });
        let mut http2 = connection::http2();
        http2.auto_date_header(false);
        let stream = Outgoing::new(greeted);
        let connection = http2.serve_connection(TokioIo::new(stream.clone()), service);
        connection::live(connection, &stream, &streams, &life).await;
    }
}
