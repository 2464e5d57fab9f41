//! Calls as telemetry sees them: begun with their head, over when their end is known, or when nobody
//! waits for that any more. Each is told once.

mod call;
mod request;

pub(super) use call::ObservedCall;
pub(super) use request::ObservedRequest;

use crate::telemetry::Telemetry;

/// Whether anybody hears of every call.
fn is_heard(telemetry: &Telemetry) -> bool {
    telemetry.metrics.is_some() || telemetry.traces.is_some()
}
