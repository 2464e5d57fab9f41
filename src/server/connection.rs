//! One connection, from its first byte to its last.

use std::{
    convert::Infallible,
    hash::{BuildHasher, RandomState},
    io,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, join},
    time::{sleep, timeout},
};

use super::{life::Life, stack::Stack};

/// What an HTTP/2 client says first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that comes back now and then finds the processes that were started meanwhile.
const AGE: Duration = Duration::from_secs(30 * 60);

/// Serves calls until the client goes, the connection is old, or the server's life ends.
pub(crate) async fn serve<R, W>(mut reader: R, writer: W, stack: Arc<Stack>, life: Life)
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    // A client that never says what it wants holds no drain up.
    let greeted = tokio::select! {
        greeted = timeout(PREFACE_TIMEOUT, greeting(&mut reader)) => greeted.is_ok_and(|greeted| greeted.is_ok()),
        () = life.closing.cancelled() => false,
    };
    if !greeted {
        tracing::debug!("connection without an HTTP/2 preface closed");
        return;
    }
    let io = TokioIo::new(join(PREFACE.chain(reader), writer));
    let service = service_fn(move |request| {
        let stack = Arc::clone(&stack);
        // Boxed, because hyper gives each call a task, and a task moves its future more than once.
        Box::pin(async move { Ok::<_, Infallible>(stack.answer(request).await) })
    });
    let mut connection = pin!(http2().serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = life.draining.cancelled() => None,
        () = sleep(age()) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            // GOAWAY; then the calls that are in flight, each of which has its own end.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection failed");
    }
}

async fn greeting(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut preface = [0; PREFACE.len()];
    reader.read_exact(&mut preface).await?;
    if preface == *PREFACE {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

fn http2() -> http2::Builder<TokioExecutor> {
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    http2
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(100)
        // A request fits; a client's sum is bounded.
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(1 << 20)
        .max_header_list_size(16 << 10)
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
