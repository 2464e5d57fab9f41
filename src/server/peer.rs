//! Who is at the other end of a connection, as far as the transport can tell.
//!
//! Both fronts ask with it who calls, and every gRPC request carries it in its extensions. What it is
//! worth as an identity is decided elsewhere.

use std::{fmt, net::SocketAddr, sync::Arc};

use rustls::pki_types::CertificateDer;

/// The client of a connection. Clones are cheap: each request has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub address: PeerAddress,
    /// The client's chain, leaf first, verified against `--tls-client-ca`; none if no certificate
    /// was asked for.
    pub certificates: Option<Arc<[CertificateDer<'static>]>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAddress {
    Tcp(SocketAddr),
    /// A process on this machine, on a socket file.
    Unix(Credentials),
}

/// Whose process it was that connected, as the kernel tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub user: u32,
    pub group: u32,
    /// Not told by every system.
    pub process: Option<i32>,
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(credentials) => write!(f, "unix:user={}", credentials.user),
        }
    }
}
