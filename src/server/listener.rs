//! Takes connections in, as many as there is room for.

use std::{io, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::task::TaskTracker;

use super::{
    Peer, Tls,
    bind::Bind,
    life::Life,
    peer::{Credentials, PeerAddress},
};

/// How long the system gets to find a file descriptor or memory again.
const BREATH: Duration = Duration::from_millis(100);

/// What is spoken on connections.
pub(crate) trait Front: Clone + Send + 'static {
    /// Whether HTTP/1.1 is, beside HTTP/2.
    const HTTP1: bool;

    /// Serves a connection, from its first byte to its last.
    fn serve<S: Stream>(self, stream: S, peer: Peer, life: Life)
    -> impl Future<Output = ()> + Send;
}

/// What bytes come and go on.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// A listening socket and what is behind it.
pub(crate) struct Door<F> {
    pub(crate) listener: Listener,
    pub(crate) tls: Option<Tls>,
    pub(crate) front: F,
}

pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl<F: Front> Door<F> {
    /// Accepts connections until the server drains. At `most` connections, the next ones wait in the
    /// system's queue.
    pub(crate) async fn open(self, life: Life, most: usize) {
        let room = Arc::new(Semaphore::new(most));
        let mut short = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = life.draining.cancelled() => break,
                accepted = self.next(&room) => accepted,
            };
            match accepted {
                Ok((stream, address, place)) => {
                    short = false;
                    self.take(stream, address, &life, Some(place));
                }
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    if !short {
                        tracing::warn!(%error, "cannot accept connections");
                    }
                    short = true;
                    sleep(BREATH).await;
                }
            }
        }
        // Those that the system has accepted already would be reset; so they hear GOAWAY instead.
        while let Some(Ok((stream, address))) = self.listener.accept().now_or_never() {
            self.take(stream, address, &life, None);
        }
    }

    async fn next(
        &self,
        room: &Arc<Semaphore>,
    ) -> io::Result<(Accepted, PeerAddress, OwnedSemaphorePermit)> {
        let place = Arc::clone(room)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let (stream, address) = self.listener.accept().await?;
        Ok((stream, address, place))
    }

    /// Serves a connection on a task of its own. A handshake keeps its place, too.
    fn take(
        &self,
        stream: Accepted,
        address: PeerAddress,
        life: &Life,
        place: Option<OwnedSemaphorePermit>,
    ) {
        let front = self.front.clone();
        let peer = Peer {
            address,
            certificates: None,
        };
        let (connections, life) = (&life.connections, life.clone());
        match (stream, self.tls.clone()) {
            (Accepted::Unix(stream), _) => {
                hold(connections, place, front.serve(stream, peer, life));
            }
            (Accepted::Tcp(stream), None) => {
                hold(connections, place, front.serve(stream, peer, life));
            }
            (Accepted::Tcp(stream), Some(tls)) => {
                hold(connections, place, secured(stream, tls, front, peer, life));
            }
        }
    }
}

/// Shakes hands, then serves.
async fn secured<F: Front>(stream: TcpStream, tls: Tls, front: F, mut peer: Peer, life: Life) {
    match tls.accept(stream, F::HTTP1, &life).await {
        Ok((stream, certificates)) => {
            peer.certificates = certificates;
            front.serve(stream, peer, life).await;
        }
        Err(error) => {
            let address = &peer.address;
            tls.count(&error);
            let error = &error as &dyn std::error::Error;
            tracing::debug!(?address, error, "TLS handshake failed");
        }
    }
}

/// Until the connection ends, it counts.
fn hold(
    connections: &TaskTracker,
    place: Option<OwnedSemaphorePermit>,
    connection: impl Future<Output = ()> + Send + 'static,
) {
    connections.spawn(async move {
        connection.await;
        drop(place);
    });
}

impl Listener {
    /// On the runtime that this is called in.
    pub(crate) fn new(bind: Bind) -> io::Result<Self> {
        Ok(match bind {
            Bind::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
            Bind::Unix(listener) => Self::Unix(UnixListener::from_std(listener)?),
        })
    }

    async fn accept(&self) -> io::Result<(Accepted, PeerAddress)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Answers are small and complete when they are written: nothing to gather.
                let _ = stream.set_nodelay(true);
                Ok((Accepted::Tcp(stream), PeerAddress::Tcp(address)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let told = stream.peer_cred()?;
                let credentials = Credentials {
                    user: told.uid(),
                    group: told.gid(),
                    process: told.pid(),
                };
                Ok((Accepted::Unix(stream), PeerAddress::Unix(credentials)))
            }
        }
    }
}

/// Whether it went wrong for one client only.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
