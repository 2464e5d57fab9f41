//! What the control plane's workers do.

use prometheus_client::registry::Registry;

use super::Counters;

/// Attempts at items of work, by what came of them.
#[derive(Clone, Debug)]
pub struct Work(Counters<2>);

impl Work {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let attempts = Counters::<2>::default();
        registry.register(
            "proton_grpc_work_attempts",
            "Attempts at items of work that ended, by what came of them",
            attempts.clone(),
        );
        Self(attempts)
    }

    pub fn attempt(&self, kind: &'static str, outcome: &'static str) {
        let labels = [("kind", kind), ("outcome", outcome)];
        self.0.get_or_create(&labels).inc();
    }
}
