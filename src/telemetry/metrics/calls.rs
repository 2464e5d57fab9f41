//! Calls of gRPC, by the names that gRPC gives to such metrics (gRFC A66, in Prometheus' form).

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};
use tonic::Code;

use super::{Counters, Histograms, seconds};
use crate::telemetry::Method;

/// Bounds of the messages of a call, of those that gRPC proposes.
const BYTES: [f64; 7] = [
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
];
/// From `OK` to `UNAUTHENTICATED`.
const CODES: usize = 17;

/// Calls on the gRPC front. What a call counts is found by its place in a list.
#[derive(Clone, Debug)]
pub struct Calls(Arc<[OfMethod]>, Families);

#[derive(Clone, Debug)]
struct Families {
    duration: Histograms<2>,
    sent: Histograms<2>,
    received: Histograms<2>,
}

#[derive(Debug)]
struct OfMethod {
    started: Counter,
    /// By the number of the code. Most methods never end with most codes.
    ended: [OnceLock<OfStatus>; CODES],
}

#[derive(Debug)]
struct OfStatus {
    duration: Histogram,
    sent: Histogram,
    received: Histogram,
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub code: Code,
    /// What gRPC calls the code.
    pub status: &'static str,
    /// From its head to its end.
    pub after: Duration,
    /// Bytes of messages as they travelled, each way.
    pub sent: usize,
    pub received: usize,
}

impl Calls {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let started = Counters::<1>::default();
        let bytes: fn() -> Histogram = || Histogram::new(BYTES);
        let families = Families {
            duration: Family::new_with_constructor(seconds),
            sent: Family::new_with_constructor(bytes),
            received: Family::new_with_constructor(bytes),
        };
        registry.register("grpc_server_call_started", "Calls begun", started.clone());
        registry.register_with_unit(
            "grpc_server_call_duration",
            "Calls ended, from their head to their status",
            Unit::Seconds,
            families.duration.clone(),
        );
        registry.register_with_unit(
            "grpc_server_call_sent_total_compressed_message_size",
            "Messages of a call on their way out, as they travel",
            Unit::Bytes,
            families.sent.clone(),
        );
        registry.register_with_unit(
            "grpc_server_call_rcvd_total_compressed_message_size",
            "Messages of a call on their way in, as they travel",
            Unit::Bytes,
            families.received.clone(),
        );
        let of_method = |method: Method| OfMethod {
            started: started.get_or_create_owned(&[("grpc_method", method.name())]),
            ended: [const { OnceLock::new() }; CODES],
        };
        Self(Method::all().map(of_method).collect(), families)
    }

    pub fn started(&self, method: Method) {
        self.0[method.place()].started.inc();
    }

    pub fn ended(&self, method: Method, ended: Ended) {
        let of_status = self.0[method.place()].ended[ended.code as usize].get_or_init(|| {
            let status = [
                ("grpc_method", method.name()),
                ("grpc_status", ended.status),
            ];
            OfStatus {
                duration: self.1.duration.get_or_create_owned(&status),
                sent: self.1.sent.get_or_create_owned(&status),
                received: self.1.received.get_or_create_owned(&status),
            }
        });
        of_status.duration.observe(ended.after.as_secs_f64());
        of_status.sent.observe(ended.sent as f64);
        of_status.received.observe(ended.received as f64);
    }
}
