//! The edge: takes calls in and gives them to who answers them.
//!
//! ```text
//!  port ──► workers    a thread a CPU, each with its own listener, connections and services
//!             └► listener ──► (TLS) ──► front ──► connection (its limits, its end)
//!                                         ├► gRPC: stack (deadline, panics, identity, one whole message)
//!                                         │    └► services: the facade, health, reflection
//!                                         ├► AWS-JSON: identity, the control plane
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
use grpc::Grpc;
pub use health::Health;
pub use listen::Listen;
use metrics::{Inspected, Inspection};
pub use peer::Peer;
pub use services::Services;
use stack::Stack;
pub use tls::Tls;
use workers::Workers;

use crate::{
    api::pb::{
        proton_service_server::{ProtonService, ProtonServiceServer},
        proton_streaming_service_server::{ProtonStreamingService, ProtonStreamingServiceServer},
    },
    control_plane::ControlPlane,
    identity::Identities,
    telemetry::{Metrics, Telemetry},
};

/// A server that takes calls until it is drained or dropped.
pub struct Server {
    fronts: Vec<Workers>,
    health: Health,
    identities: Identities,
    telemetry: Telemetry,
}

impl Server {
    /// Starts to serve gRPC. Each worker makes services of its own, on its own thread and runtime.
    pub fn start(
        bound: Bound,
        health: Health,
        identities: Identities,
        telemetry: Telemetry,
        services: impl Fn() -> Services + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let told = health.services();
        let (asked, tells) = (identities.clone(), telemetry.clone());
        let front = move || {
            let services = services().and(told.clone());
            Grpc(Arc::new(Stack::new(services, asked.clone(), tells.clone())))
        };
        let workers = Workers::start("grpc", bound, &workers::GRPC, front)?;
        Ok(Self {
            fronts: vec![workers],
            health,
            identities,
            telemetry,
        })
    }

    /// Serves AWS-JSON as well.
    pub fn with_aws_json(mut self, bound: Bound, plane: ControlPlane) -> io::Result<Self> {
        let (identities, telemetry) = (self.identities.clone(), self.telemetry.clone());
        let front = move || AwsJson {
            plane: plane.clone(),
            identities: identities.clone(),
            telemetry: telemetry.clone(),
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
            traces: self.telemetry.traces.clone(),
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
