//! What is there to be seen at the moment somebody asks.

use std::{
    sync::atomic::AtomicU64,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    metrics::{
        family::Family,
        gauge::{ConstGauge, Gauge},
        info::Info,
    },
    registry::{Registry, Unit},
};

use super::{Counters, Labels, process};

type Gauges<const N: usize> = Family<Labels<N>, Gauge<f64, AtomicU64>>;

/// The state of things. What a process does not have, it says nothing of.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    pub fronts: Vec<Front>,
    pub tls: Option<Tls>,
    pub plane: Option<Plane>,
    pub spans: Option<Spans>,
}

/// What is under way on a front.
#[derive(Clone, Debug)]
pub struct Front {
    pub name: &'static str,
    pub connections: usize,
    pub calls: usize,
}

/// Handshakes that failed, by reason, and the end of the certificate.
#[derive(Clone, Debug)]
pub struct Tls {
    pub failed: Vec<(&'static str, u64)>,
    pub expires: Option<SystemTime>,
}

/// The control plane's work and store.
#[derive(Clone, Debug, Default)]
pub struct Plane {
    pub queued: Vec<Queued>,
    /// Events that wait to be delivered and the age of the first of them in seconds, where there is
    /// somebody to deliver them to.
    pub events: Option<(i64, f64)>,
    pub pool: Option<Pool>,
}

/// Items of work of a kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Queued {
    pub kind: &'static str,
    pub scheduled: i64,
    pub waiting: i64,
    pub running: i64,
    /// For how many seconds the first of those that wait has done so.
    pub oldest: f64,
}

/// The connections to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    pub open: usize,
    pub idle: usize,
    /// Calls that wait for one.
    pub waiting: usize,
    /// Transactions begun anew because others were in the way, and statements repeated because a
    /// connection broke.
    pub conflicts: u64,
    pub losses: u64,
}

/// What became of spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spans {
    pub exported: u64,
    pub failed: u64,
    pub dropped: u64,
}

impl Sample {
    /// The state as metrics.
    pub(super) fn registry(&self) -> Registry {
        let mut registry = Registry::default();
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("proton_grpc_build", "What runs here", Info::new(version));
        fronts(&self.fronts, &mut registry);
        if let Some(tls) = &self.tls {
            tls.register(&mut registry);
        }
        if let Some(plane) = &self.plane {
            plane.register(&mut registry);
        }
        if let Some(spans) = &self.spans {
            spans.register(&mut registry);
        }
        process::register(&mut registry);
        registry
    }
}

fn fronts(fronts: &[Front], registry: &mut Registry) {
    let (connections, calls) = (Gauges::<1>::default(), Gauges::<1>::default());
    for front in fronts {
        let labels = [("front", front.name)];
        connections
            .get_or_create(&labels)
            .set(front.connections as f64);
        calls.get_or_create(&labels).set(front.calls as f64);
    }
    registry.register(
        "proton_grpc_connections",
        "Connections that are open",
        connections,
    );
    registry.register(
        "proton_grpc_calls_in_flight",
        "Calls begun and not answered to their last byte",
        calls,
    );
}

impl Tls {
    fn register(&self, registry: &mut Registry) {
        let failed = Counters::<1>::default();
        for (reason, count) in &self.failed {
            failed.get_or_create(&[("reason", reason)]).inc_by(*count);
        }
        registry.register(
            "proton_grpc_tls_handshake_failures",
            "Connections that came to no TLS",
            failed,
        );
        let expires = self
            .expires
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        if let Some(expires) = expires {
            registry.register_with_unit(
                "proton_grpc_tls_certificate_expiry_timestamp",
                "When the server's certificate expires, in seconds since 1970",
                Unit::Seconds,
                ConstGauge::new(expires.as_secs()),
            );
        }
    }
}

impl Plane {
    fn register(&self, registry: &mut Registry) {
        let (items, oldest) = (Gauges::<2>::default(), Gauges::<1>::default());
        for queued in &self.queued {
            let kind = ("kind", queued.kind);
            for (state, count) in [
                ("scheduled", queued.scheduled),
                ("waiting", queued.waiting),
                ("running", queued.running),
            ] {
                let labels = [kind, ("state", state)];
                items.get_or_create(&labels).set(count as f64);
            }
            oldest.get_or_create(&[kind]).set(queued.oldest);
        }
        registry.register(
            "proton_grpc_work_items",
            "Items of work in the store that all processes share",
            items,
        );
        registry.register_with_unit(
            "proton_grpc_work_oldest_age",
            "For how long the first item that is due has waited for a worker",
            Unit::Seconds,
            oldest,
        );
        if let Some((waiting, oldest)) = self.events {
            registry.register(
                "proton_grpc_events_waiting",
                "Events in the store that wait to be delivered",
                ConstGauge::new(waiting),
            );
            registry.register_with_unit(
                "proton_grpc_events_oldest_age",
                "For how long the first of them has waited",
                Unit::Seconds,
                ConstGauge::new(oldest),
            );
        }
        if let Some(pool) = &self.pool {
            pool.register(registry);
        }
    }
}

impl Pool {
    fn register(&self, registry: &mut Registry) {
        let connections = Gauges::<1>::default();
        for (state, count) in [("used", self.open - self.idle), ("idle", self.idle)] {
            let labels = [("state", state)];
            connections.get_or_create(&labels).set(count as f64);
        }
        registry.register(
            "proton_grpc_store_connections",
            "Connections to the database",
            connections,
        );
        registry.register(
            "proton_grpc_store_callers_waiting",
            "Calls that wait for a connection to the database",
            ConstGauge::new(self.waiting),
        );
        let retries = Counters::<1>::default();
        for (reason, count) in [("conflict", self.conflicts), ("loss", self.losses)] {
            retries.get_or_create(&[("reason", reason)]).inc_by(count);
        }
        registry.register(
            "proton_grpc_store_retries",
            "Transactions and statements that were begun anew",
            retries,
        );
    }
}

impl Spans {
    fn register(self, registry: &mut Registry) {
        let spans = Counters::<1>::default();
        for (outcome, count) in [
            ("exported", self.exported),
            ("failed", self.failed),
            ("dropped", self.dropped),
        ] {
            spans.get_or_create(&[("outcome", outcome)]).inc_by(count);
        }
        registry.register(
            "proton_grpc_spans",
            "Spans that ended, by what became of them",
            spans,
        );
    }
}
