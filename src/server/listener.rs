//! Takes connections in, as many as there is room for.

use std::{io, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::sleep,
};

use super::{connection, life::Life, stack::Stack};

/// How long the system gets to find a file descriptor or memory again.
const BREATH: Duration = Duration::from_millis(100);

/// Accepts connections until the server drains. At `most` connections, the next ones wait in the
/// system's queue.
pub(crate) async fn run(listener: TcpListener, stack: Arc<Stack>, life: Life, most: usize) {
    let room = Arc::new(Semaphore::new(most));
    let take = |stream: TcpStream, place| {
        // Answers are small and complete when they are written: nothing to gather.
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        let connection = connection::serve(reader, writer, Arc::clone(&stack), life.clone());
        life.connections.spawn(async move {
            connection.await;
            drop(place);
        });
    };
    loop {
        let accepted = tokio::select! {
            biased;
            () = life.draining.cancelled() => break,
            accepted = next(&listener, &room) => accepted,
        };
        match accepted {
            Ok((stream, place)) => take(stream, Some(place)),
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                sleep(BREATH).await;
            }
        }
    }
    // Those that the system has accepted already would be reset; so they hear GOAWAY instead.
    while let Some(Ok((stream, _))) = listener.accept().now_or_never() {
        take(stream, None);
    }
}

async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(room)
        .acquire_owned()
        .await
        .expect("the semaphore is never closed");
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

/// Whether it went wrong for one client only.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
