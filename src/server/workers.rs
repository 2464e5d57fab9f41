//! A thread for each CPU, and for each thread all that a call needs: a runtime of its own, a
//! listener of its own on the shared port, services of its own.
//!
//! The kernel spreads connections over the listeners; a call then never leaves its thread. That
//! costs a quarter to a third less CPU than a runtime that moves tasks between threads. The price:
//! one connection is served by one CPU, whatever the others do.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    Bound,
    life::Life,
    listener::{Door, Front, Listener},
    socket_file::SocketFile,
};

/// Whatever still runs when the end has been told gets no longer than this.
const LAST_TURN: Duration = Duration::from_secs(1);

/// How many connections one front takes.
pub(crate) struct Share {
    /// Quarters of the process's files. The last one is for everything that is not a connection.
    quarters: usize,
    /// Beyond this, connections of one process wait for each other elsewhere.
    most: usize,
}

pub(crate) const GRPC: Share = Share {
    quarters: 2,
    most: 10_000,
};
pub(crate) const AWS_JSON: Share = Share {
    quarters: 1,
    most: 1_000,
};

/// Of the last quarter: those who ask are few, and come once in a while.
pub(crate) const METRICS: Share = Share {
    quarters: 1,
    most: 16,
};

impl Share {
    fn connections(&self) -> usize {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let files = files
            .and_then(|files| usize::try_from(files).ok())
            .unwrap_or(usize::MAX);
        (files / 4 * self.quarters).clamp(1, self.most)
    }
}

/// A timer that is always there, due before those of calls: the runtime wakes itself up, by two system calls, for each timer
/// that is due before all others.
async fn beat() -> Infallible {
    loop {
        sleep(Duration::from_secs(1)).await;
    }
}

/// The running threads.
pub(crate) struct Workers {
    pub(crate) name: &'static str,
    pub(crate) lives: Vec<Life>,
    finished: CancellationToken,
    /// Disconnected when the last thread has ended.
    threads: mpsc::Receiver<Infallible>,
    _file: Option<SocketFile>,
}

impl Workers {
    /// Starts a worker for each socket, each with a front that it makes for itself.
    pub(crate) fn start<F: Front>(
        name: &'static str,
        bound: Bound,
        share: &Share,
        front: impl Fn() -> F + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let front = Arc::new(front);
        let (running, threads) = mpsc::channel();
        let mut workers = Self {
            name,
            lives: Vec::new(),
            finished: CancellationToken::new(),
            threads,
            _file: bound.file,
        };
        let most = (share.connections() / bound.sockets.len()).max(1);
        for (number, socket) in bound.sockets.into_iter().enumerate() {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let listener = {
                let _inside = runtime.enter();
                Listener::new(socket)?
            };
            let life = Life::default();
            workers.lives.push(life.clone());
            let (front, tls) = (Arc::clone(&front), bound.tls.clone());
            let (finished, running) = (workers.finished.clone(), running.clone());
            let work = move || {
                runtime.block_on(async {
                    tokio::spawn(beat());
                    let door = Door {
                        listener,
                        tls,
                        front: front(),
                    };
                    door.open(life, most).await;
                    finished.cancelled().await;
                });
                // Blocking work that hangs would hang the end, too.
                runtime.shutdown_background();
                drop(running);
            };
            thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(work)?;
        }
        Ok(workers)
    }
}

impl Drop for Workers {
    /// Ends the threads, and with them whatever still runs on them.
    fn drop(&mut self) {
        for life in &self.lives {
            life.draining.cancel();
        }
        self.finished.cancel();
        // A thread that never gives way ends with the process.
        let _ = self.threads.recv_timeout(LAST_TURN);
    }
}
