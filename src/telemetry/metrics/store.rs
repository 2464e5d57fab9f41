//! What the control plane asks of its store.

use std::time::Instant;

use prometheus_client::registry::{Registry, Unit};

use super::{Histograms, seconds};

/// Reads and writes, by what was asked and what came of it.
#[derive(Clone, Debug)]
pub struct Store(Histograms<2>);

impl Store {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let duration = Histograms::<2>::new_with_constructor(seconds);
        registry.register_with_unit(
            "proton_grpc_store_duration",
            "Reads and writes of the store, waiting for their turn included",
            Unit::Seconds,
            duration.clone(),
        );
        Self(duration)
    }

    /// Does it and counts it, with the outcome that its result has by name.
    pub async fn measured<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = T>,
        outcome: impl FnOnce(&T) -> &'static str,
    ) -> T {
        let begun = Instant::now();
        let done = work.await;
        let labels = [("operation", operation), ("outcome", outcome(&done))];
        let duration = self.0.get_or_create(&labels);
        duration.observe(begun.elapsed().as_secs_f64());
        done
    }
}
