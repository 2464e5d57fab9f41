//! The edge: takes calls in and gives them to who answers them.
//!
//! ```text
//!  port ──► workers    a thread a CPU, each with its own listener, connections and services
//!             └► listener ──► (TLS) ──► front ──► connection (its limits, its end)
//!                                         ├► gRPC: stack (shedding, deadline, panics, identity, the
//!                                         │    │          caller's limits, one whole message)
//!                                         │    └► services: the facade, health, reflection
//!                                         ├► AWS-JSON: shedding, identity, limits, the control plane
//!                                         └► metrics, and probes that know no gRPC
//! ```
//!
//! The accept loop is ours, on hyper, because the stock server times calls from the inside and
//! cannot be drained within a bound. What it guarantees: every call is answered with a status, its
//! errors carry details, and no client can hold the process up, neither at work nor at its end.

mod aws_json;
mod bind;
mod connection;
mod deadline;
mod drain;
mod gate;
mod greeting;
mod grpc;
pub mod health;
mod identity;
mod life;
mod listen;
mod listener;
mod messages;
mod method;
mod metrics;
mod observed;
mod outgoing;
mod panics;
pub mod peer;
pub mod reflection;
pub mod refusal;
mod response;
mod services;
mod slices;
mod socket_file;
mod stack;
mod streams;
#[cfg(test)]
mod tests;
pub mod tls;
mod workers;

use std::{io, sync::Arc};

use aws_json::AwsJson;
pub use bind::Bound;
pub use gate::Gate;
use grpc::Grpc;
pub use health::Health;
pub use listen::Listen;
pub use method::Shape;
use metrics::{Inspected, Inspection};
pub use peer::Peer;
pub use services::Services;
use slices::Slices;
use stack::Stack;
pub use tls::Tls;
use workers::Workers;

use crate::{
    api::pb::{
        proton_service_server::{ProtonService, ProtonServiceServer},
        proton_streaming_service_server::{ProtonStreamingService, ProtonStreamingServiceServer},
    },
    control_plane::ControlPlane,
    overload::Shedding,
    telemetry::Metrics,
};

/// A server that takes calls until it is drained or dropped.
pub struct Server {
    fronts: Vec<Workers>,
    health: Health,
    gate: Gate,
}

impl Server {
    /// Starts to serve gRPC. Each worker makes services of its own, on its own thread and runtime.
    pub fn start(
        bound: Bound,
        health: Health,
        gate: impl Into<Gate>,
        services: impl Fn() -> Services + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let gate = gate.into();
        let told = health.services();
        let entered = gate.clone();
        let front = move || {
            let services = services().and(told.clone());
            Grpc::new(Stack::new(services, entered.clone()))
        };
        let workers = Workers::start("grpc", bound, &workers::GRPC, front)?;
        Ok(Self {
            fronts: vec![workers],
            health,
            gate,
        })
    }

    /// Serves AWS-JSON as well.
    pub fn with_aws_json(mut self, bound: Bound, plane: ControlPlane) -> io::Result<Self> {
        let gate = self.gate.clone();
        let front = move || AwsJson {
            plane: plane.clone(),
            gate: gate.clone(),
            shedding: Shedding::default(),
            slices: Slices::default(),
        };
        let workers = Workers::start("aws-json", bound, &workers::AWS_JSON, front)?;
        self.fronts.push(workers);
        Ok(self)
    }

    /// Tells these numbers as well, those of all fronts that are here, and what `tls` and `plane` know.
    pub fn with_metrics(
        mut self,
        bound: Bound,
        metrics: Arc<Metrics>,
        tls: Option<Tls>,
        plane: Option<ControlPlane>,
    ) -> io::Result<Self> {
        let fronts = self.fronts.iter();
        let inspected = Arc::new(Inspected {
            metrics,
            traces: self.gate.telemetry.traces.clone(),
            health: self.health.clone(),
            fronts: fronts
                .map(|workers| (workers.name, workers.lives.clone()))
                .collect(),
            tls,
            plane,
        });
        let front = move || Inspection(Arc::clone(&inspected));
        let workers = Workers::start("metrics", bound, &workers::METRICS, front)?;
        self.fronts.push(workers);
        Ok(self)
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
