//! Taking a place to listen, before anything else is done.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
};

use socket2::{Domain, Protocol, Socket, Type};

use super::{Listen, Tls, socket_file::SocketFile};

/// What the system queues while we are busy elsewhere.
pub(super) const BACKLOG: i32 = 1024;

/// A place that is taken: clients may connect already, and wait.
pub struct Bound {
    pub(crate) sockets: Vec<Bind>,
    pub(crate) tls: Option<Tls>,
    pub(crate) file: Option<SocketFile>,
    listen: Listen,
}

/// A listening socket that no runtime drives yet.
pub(crate) enum Bind {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Bound {
    /// Takes the place for this many workers. Port 0 takes any that is free; a socket file gets
    /// this mode.
    pub fn to(listen: &Listen, mode: u32, workers: usize) -> io::Result<Self> {
        match listen {
            Listen::Tcp(address) => {
                let sockets = tcp(*address, workers)?;
                let address = sockets[0].local_addr()?;
                Ok(Self {
                    sockets: sockets.into_iter().map(Bind::Tcp).collect(),
                    tls: None,
                    file: None,
                    listen: Listen::Tcp(address),
                })
            }
            Listen::Unix(path) => {
                let (first, file) = SocketFile::bind(path, mode)?;
                // All workers wait on the one socket; whichever wakes first takes the connection.
                let others = (1..workers).map(|_| first.try_clone());
                let others = others.collect::<io::Result<Vec<_>>>()?;
                let sockets = std::iter::once(first).chain(others);
                Ok(Self {
                    sockets: sockets.map(Bind::Unix).collect(),
                    tls: None,
                    file: Some(file),
                    listen: listen.clone(),
                })
            }
        }
    }

    /// Has clients speak TLS. Not those of a socket file: no network is between us, and the kernel
    /// tells who they are.
    #[must_use]
    pub fn secured(mut self, tls: Option<&Tls>) -> Self {
        if let Listen::Tcp(_) = self.listen {
            self.tls = tls.cloned();
        }
        self
    }

    /// The place, with its real port.
    pub fn listen(&self) -> &Listen {
        &self.listen
    }
}

/// Binds the address once for each worker. Port 0 is the same port for all.
fn tcp(address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
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
