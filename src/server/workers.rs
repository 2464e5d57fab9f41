//! A thread for each CPU, and for each thread all that a call needs: a runtime of its own, a
//! listener of its own on the shared port, services of its own.
//!
//! The kernel spreads connections over the listeners; a call then never leaves its thread. That
//! costs a quarter to a third less CPU than a runtime that moves tasks between threads. The price:
//! one connection is served by one CPU, whatever the others do.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::{self, JoinHandle},
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio_util::sync::CancellationToken;

use super::{Services, life::Life, listener, stack::Stack};
use crate::identity::Identities;

/// What the system queues while we are busy elsewhere.
const BACKLOG: i32 = 1024;
/// Beyond this, connections of one process wait for each other elsewhere.
const MOST_CONNECTIONS: usize = 10_000;

/// Binds the address once for each worker. Port 0 is the same port for all.
pub(crate) fn bind(address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    // Sockets that share a port share it with any process of the same user. Another server that is
    // there already must be an error, as it is everywhere else.
    if address.port() != 0 {
        drop(socket(address, false)?);
    }
    let first = socket(address, true)?;
    let address = first.local_addr()?;
    let others = (1..workers).map(|_| socket(address, true));
    std::iter::once(Ok(first)).chain(others).collect()
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The running threads.
pub(crate) struct Workers {
    pub(crate) lives: Vec<Life>,
    threads: Vec<JoinHandle<()>>,
    finished: CancellationToken,
}

impl Workers {
    /// Starts a worker for each listener, each with services that it makes for itself.
    pub(crate) fn start(
        listeners: Vec<TcpListener>,
        identities: Identities,
        services: impl Fn() -> Services + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let services = Arc::new(services);
        let finished = CancellationToken::new();
        let most = most_connections() / listeners.len();
        let (mut lives, mut threads) = (Vec::new(), Vec::new());
        for (number, listener) in listeners.into_iter().enumerate() {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let listener = {
                let _inside = runtime.enter();
                tokio::net::TcpListener::from_std(listener)?
            };
            let life = Life::default();
            lives.push(life.clone());
            let (services, finished) = (Arc::clone(&services), finished.clone());
            let identities = identities.clone();
            threads.push(
                thread::Builder::new()
                    .name(format!("worker-{number}"))
                    .spawn(move || {
                        runtime.block_on(async {
                            listener::run(
                                listener,
                                Arc::new(Stack::new(services(), identities, life.clone())),
                                life,
                                most,
                            )
                            .await;
                            finished.cancelled().await;
                        });
                        // Blocking work that hangs would hang the end, too.
                        runtime.shutdown_background();
                    })?,
            );
        }
        Ok(Self {
            lives,
            threads,
            finished,
        })
    }
}

impl Drop for Workers {
    /// Ends the threads, and with them whatever still runs on them.
    fn drop(&mut self) {
        for life in &self.lives {
            life.draining.cancel();
        }
        self.finished.cancel();
        for thread in self.threads.drain(..) {
            // A worker's panic has been reported on its own thread.
            let _ = thread.join();
        }
    }
}

/// Leaves a quarter of the process's files to everything that is not a connection.
fn most_connections() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let files = files
        .and_then(|files| usize::try_from(files).ok())
        .unwrap_or(usize::MAX);
    (files / 4 * 3).clamp(1, MOST_CONNECTIONS)
}
