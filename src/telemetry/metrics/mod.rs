//! Numbers for who asks, as OpenMetrics text.
//!
//! What happens is counted as it happens; what is there to be seen (calls in flight, the queue of
//! work) is looked at when somebody asks, as a [`Sample`].

mod calls;
mod process;
mod refusals;
mod requests;
mod sample;
mod store;
mod upstream;
mod work;

use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

pub use calls::{Calls, Ended};
pub use refusals::Refusals;
pub use requests::Requests;
pub use sample::{Front, Plane, Pool, Queued, Sample, Spans, Tls};
pub use store::Store;
pub use upstream::{Outcome, Upstream};
pub use work::Work;

/// What [`Metrics::text`] is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of what takes part of a call, or all of it: every third or so of those that gRPC proposes.
const SECONDS: [f64; 17] = [
    0.0001, 0.0003, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
    20.0, 50.0,
];

/// The names and values that tell one number of a family from the others.
type Labels<const N: usize> = [(&'static str, &'static str); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub calls: Calls,
    pub requests: Requests,
    pub refusals: Refusals,
    pub upstream: Upstream,
    pub store: Store,
    pub work: Work,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        Self {
            calls: Calls::new(&mut registry),
            requests: Requests::new(&mut registry),
            refusals: Refusals::new(&mut registry),
            upstream: Upstream::new(&mut registry),
            store: Store::new(&mut registry),
            work: Work::new(&mut registry),
            registry,
        }
    }
}

impl Metrics {
    /// All of it, with what there is to be seen now.
    pub fn text(&self, sample: &Sample) -> String {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &sample.registry()))
            .and_then(|()| encode_eof(&mut text))
            .expect("memory takes every text");
        text
    }
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}
