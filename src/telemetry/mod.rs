//! What the process tells of itself: lines in a log, numbers for who asks, spans for a collector.
//!
//! ```text
//!  a call ──► server ──► facade ──► upstream          control plane: store, work, events
//!               │          │           │                   │                │
//!               ├──────────┴─ span ◄───┘                   │ as it happens  │ when somebody asks
//!               │             │                            ▼                ▼
//!               ├─► log       └─► traces ──► OTLP       metrics ◄──────── sample
//!               └─────────────────────────────────────────►│
//!                                                          └──► GET /metrics (server)
//! ```
//!
//! Each part is told of by itself and off unless asked for, and then costs a call a look at an
//! `Option`. Nothing here holds a request or a response. Labels of metrics are names that this
//! program knows, so that no caller can make their number grow; who calls stands in the log only.

pub mod logs;
pub mod methods;
pub mod metrics;
pub mod traces;

use std::sync::Arc;

pub use methods::Method;
pub use metrics::Metrics;
pub use traces::{Span, Traces};

/// Where the parts of the process tell what they do. Cheap to clone; by default nobody listens.
#[derive(Clone, Debug, Default)]
pub struct Telemetry {
    pub metrics: Option<Arc<Metrics>>,
    pub traces: Option<Traces>,
}

impl Telemetry {
    pub fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_deref()
    }
}
