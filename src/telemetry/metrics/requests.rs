//! Requests on the AWS-JSON front.

use std::time::Duration;

use prometheus_client::registry::{Registry, Unit};

use super::{Counters, Histograms, seconds};

/// Requests by their operation, and by the name of the error that they were answered with.
#[derive(Clone, Debug)]
pub struct Requests {
    started: Counters<1>,
    duration: Histograms<2>,
}

impl Requests {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let started = Counters::<1>::default();
        let duration = Histograms::<2>::new_with_constructor(seconds);
        registry.register(
            "proton_grpc_aws_json_request_started",
            "Requests begun on the AWS-JSON front",
            started.clone(),
        );
        registry.register_with_unit(
            "proton_grpc_aws_json_request_duration",
            "Requests answered on the AWS-JSON front",
            Unit::Seconds,
            duration.clone(),
        );
        Self { started, duration }
    }

    pub fn started(&self, operation: &'static str) {
        self.started
            .get_or_create(&[("operation", operation)])
            .inc();
    }

    pub fn ended(&self, operation: &'static str, code: &'static str, after: Duration) {
        let labels = [("operation", operation), ("code", code)];
        let duration = self.duration.get_or_create(&labels);
        duration.observe(after.as_secs_f64());
    }
}
