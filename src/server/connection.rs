//! The life of a connection: however its client behaves, it has an end.

use std::{
    error::Error,
    hash::{BuildHasher, RandomState},
    pin::Pin,
    time::Duration,
};

use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    io::AsyncWrite,
    time::{sleep, timeout},
};

use super::{life::Life, outgoing::Outgoing, streams::Streams};

/// A client that comes back now and then finds the processes that were started meanwhile.
const AGE: Duration = Duration::from_secs(30 * 60);
/// For the calls in flight of a client that was asked to go.
const GRACE: Duration = Duration::from_secs(30);
/// For their statuses to reach it.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Lets the connection go on until its client goes, or is asked to go because the connection is
/// old or idle, or the server's life ends. `life` is the connection's own.
pub(crate) async fn live<C, S>(
    mut connection: Pin<Box<C>>,
    stream: &Outgoing<S>,
    streams: &Streams,
    life: &Life,
) where
    C: GracefulConnection<Error: Error + Send + Sync + 'static>,
    S: AsyncWrite + Unpin,
{
    let ended = tokio::select! {
        ended = stream.turns(connection.as_mut()) => Some(ended),
        () = life.draining.cancelled() => None,
        () = sleep(age()) => None,
        () = streams.idle() => None,
        () = streams.abused() => return abused(),
    };
    let ended = match ended {
        Some(ended) => Some(ended),
        None => {
            // GOAWAY; then the calls that are in flight, each of which has its own end.
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = stream.turns(connection.as_mut()) => Some(ended),
                () = streams.abused() => return abused(),
                () = sleep(GRACE) => {
                    life.closing.cancel();
                    timeout(LAST_WORDS, stream.turns(connection.as_mut())).await.ok()
                }
            }
        }
    };
    match ended {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(%error, "connection failed"),
        None => tracing::debug!("connection closed with calls in flight"),
    }
}

/// Not with GOAWAY: a client that means harm would go on until it answers.
fn abused() {
    tracing::info!("connection closed: its client took back too many calls");
}

/// What HTTP/2 clients may do, on every front.
pub(crate) fn http2() -> http2::Builder<TokioExecutor> {
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    http2
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        // A request fits; a client's sum is bounded.
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(1 << 20)
        .max_header_list_size(16 << 10)
        // Streams that were reset before they were looked at, and by us for what was wrong with
        // them: the connection ends with ENHANCE_YOUR_CALM beyond that.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(1024)
        // Finds peers that are gone without a word.
        .keep_alive_interval(Duration::from_secs(60))
        .keep_alive_timeout(Duration::from_secs(20));
    http2
}

/// Spread by a tenth each way, so that clients that came together do not return together.
fn age() -> Duration {
    let random = RandomState::new().hash_one(()) % 201;
    AGE.mul_f64(0.9 + random as f64 / 1000.0)
}
