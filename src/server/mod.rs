//! The edge: takes gRPC calls in and gives them to services.
//!
//! ```text
//!  port ──► workers    a thread a CPU, each with its own listener, connections and services
//!             └► listener ──► connection (HTTP/2) ──► stack (deadline, panics, identity, one whole message)
//!                                                       └► services: the facade, health, reflection
//! ```
//!
//! The accept loop is ours, on hyper, because the stock server times calls from the inside and
//! cannot be drained within a bound. What it guarantees: every call is answered with a status, its
//! errors carry details, and no client can hold the process up, neither at work nor at its end.

mod connection;
mod deadline;
mod drain;
pub mod health;
mod identity;
mod life;
mod listener;
mod messages;
mod method;
mod panics;
pub mod peer;
pub mod reflection;
pub mod refusal;
mod response;
mod services;
mod stack;
#[cfg(test)]
mod tests;
mod workers;

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

pub use health::Health;
pub use peer::Peer;
pub use services::Services;
use workers::Workers;

use crate::{
    api::pb::{
        proton_service_server::{ProtonService, ProtonServiceServer},
        proton_streaming_service_server::{ProtonStreamingService, ProtonStreamingServiceServer},
    },
    identity::Identities,
};

/// A bound address: clients may connect already, and wait.
pub struct Bound {
    listeners: Vec<TcpListener>,
    address: SocketAddr,
}

impl Bound {
    /// Binds the address for this many workers. Port 0 takes any that is free.
    pub fn to(address: SocketAddr, workers: usize) -> io::Result<Self> {
        let listeners = workers::bind(address, workers)?;
        let address = listeners[0].local_addr()?;
        Ok(Self { listeners, address })
    }

    /// The address with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A server that takes calls until it is drained or dropped.
pub struct Server {
    workers: Workers,
    health: Health,
}

impl Server {
    /// Starts to serve. Each worker makes services of its own, on its own thread and runtime.
    pub fn start(
        bound: Bound,
        health: Health,
        identities: Identities,
        services: impl Fn() -> Services + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let told = health.services();
        let workers = Workers::start(bound.listeners, identities, move || {
            services().and(told.clone())
        })?;
        Ok(Self { workers, health })
    }
}

/// Both services of the contract.
pub fn proton<T>(api: T) -> Services
where
    T: ProtonService + ProtonStreamingService + Clone,
{
    // Sizes and compression are guarded by the stack, above these.
    Services::default()
        .with(ProtonServiceServer::new(api.clone()).max_decoding_message_size(usize::MAX))
        .with(ProtonStreamingServiceServer::new(api).max_decoding_message_size(usize::MAX))
}
