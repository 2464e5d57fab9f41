//! Calls to the upstream.

use std::time::Instant;

use prometheus_client::registry::{Registry, Unit};

use super::{Counters, Histograms, seconds};

/// What became of a call to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    /// The upstream has said no to this call.
    Refused,
    /// The upstream has said no to so many calls.
    Throttled,
    /// The upstream has failed, or answered what nobody can read.
    Fault,
    /// Nothing was heard of it: no connection, or one that broke.
    Unreachable,
    /// Nothing was heard of it in time.
    Timeout,
    /// It was not asked, for want of credentials or because the request could not be built.
    Unsent,
    /// The caller went away.
    Cancelled,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Fault => "fault",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Unsent => "unsent",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Calls to the upstream by operation, and how often each was sent.
#[derive(Clone, Debug)]
pub struct Upstream {
    attempts: Counters<1>,
    duration: Histograms<2>,
}

impl Upstream {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let attempts = Counters::<1>::default();
        let duration = Histograms::<2>::new_with_constructor(seconds);
        registry.register(
            "proton_grpc_upstream_attempts",
            "Requests sent to the upstream: more than calls, if some were sent again",
            attempts.clone(),
        );
        registry.register_with_unit(
            "proton_grpc_upstream_call_duration",
            "Calls to the upstream, with all their attempts",
            Unit::Seconds,
            duration.clone(),
        );
        Self { attempts, duration }
    }

    /// Begins a call, which is counted when what this returns is told its end, or is dropped.
    pub fn begin(&self, operation: &'static str) -> Call<'_> {
        Call {
            upstream: self,
            operation,
            begun: Instant::now(),
            outcome: Outcome::Cancelled,
        }
    }
}

/// A call under way.
#[derive(Debug)]
pub struct Call<'a> {
    upstream: &'a Upstream,
    operation: &'static str,
    begun: Instant,
    outcome: Outcome,
}

impl Call<'_> {
    pub fn ended(mut self, outcome: Outcome, attempts: u32) {
        self.outcome = outcome;
        let labels = [("operation", self.operation)];
        let counted = self.upstream.attempts.get_or_create(&labels);
        counted.inc_by(attempts.into());
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let labels = [
            ("operation", self.operation),
            ("outcome", self.outcome.name()),
        ];
        let duration = self.upstream.duration.get_or_create(&labels);
        duration.observe(self.begun.elapsed().as_secs_f64());
    }
}
