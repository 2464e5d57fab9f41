//! Calls that this process refused by itself: those that went wrong elsewhere are not here.

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// Refusals of the gRPC front, by the reason that the caller is told. Reasons are constants of the
/// program.
#[derive(Clone, Debug)]
pub struct Refusals(Family<[(&'static str, String); 1], Counter>);

impl Refusals {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let refusals = Family::default();
        registry.register(
            "proton_grpc_refusals",
            "Calls of gRPC that were refused here, by the reason of their ErrorInfo",
            Family::clone(&refusals),
        );
        Self(refusals)
    }

    pub fn count(&self, reason: &str) {
        let labels = [("reason", reason.to_owned())];
        self.0.get_or_create(&labels).inc();
    }
}
