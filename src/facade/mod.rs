//! gRPC in, SDK calls out.
//!
//! ```text
//!  request ─► validate ─► token ─► convert ─► aws-sdk-proton ─► convert ─► response
//!                │                                 │
//!                └────────► failure ─► verdict ◄───┘   status.rs: the one table
//! ```
//!
//! Every call goes through [`Facade::call`]; the gRPC methods around it are generated. What the
//! caller is told when something fails is decided in one place, from the error's code, the HTTP
//! status or the phase of the transport that failed, and from what a repeat of the operation
//! would do, never from a message's text.

mod call;
pub mod convert;
mod credentials;
pub mod deadline;
mod failure;
mod forward;
mod lean;
mod retry;
mod service;
mod signer;
mod status;
mod streaming;
mod token;
pub mod upstream;

use std::{fmt, sync::Arc, time::Duration};

pub use retry::Owner as RetryOwner;
pub use upstream::Upstream;

use crate::telemetry::Telemetry;

/// Serves `ProtonService` and `ProtonStreamingService` from an upstream. Cheap to clone.
#[derive(Clone)]
pub struct Facade(Arc<Shared>);

struct Shared {
    upstream: Upstream,
    settings: Settings,
    ambient: Ambient,
    telemetry: Telemetry,
}

/// What an operator may decide about the facade.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Who repeats a call that failed in a way that allows it.
    pub retry_owner: RetryOwner,
    /// Whether `x-request-id` comes from a proxy that makes one for each logical call. Then it
    /// stands for a missing idempotency token.
    pub trust_request_id: bool,
    /// How often a wait reads what it waits for, where the upstream does not tell when that has
    /// changed. By default at the waiter's own pace.
    pub wait_poll: Option<Duration>,
}

/// The randomness that the facade needs, given from outside.
#[derive(Clone)]
pub struct Ambient {
    /// A new request id.
    pub request_id: Arc<dyn Fn() -> String + Send + Sync>,
    /// A random duration between zero and the given one.
    pub jitter: Arc<dyn Fn(Duration) -> Duration + Send + Sync>,
}

impl Facade {
    pub fn new(upstream: Upstream, settings: Settings, ambient: Ambient) -> Self {
        Self(Arc::new(Shared {
            upstream,
            settings,
            ambient,
            telemetry: Telemetry::default(),
        }))
    }

    /// Has calls to the upstream counted.
    #[must_use]
    pub fn telling(mut self, telemetry: Telemetry) -> Self {
        let shared = Arc::get_mut(&mut self.0).expect("a facade is cloned when it is complete");
        shared.telemetry = telemetry;
        self
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

impl fmt::Debug for Facade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facade")
            .field("upstream", &self.0.upstream)
            .finish_non_exhaustive()
    }
}
