//! Conversions between the contract's types and the SDK's. The `TryFrom` and `From` of every
//! message are generated; here is what they lean on.
//!
//! No conversion panics or loses something silently. Towards the SDK only a required member that
//! is missing fails, which validation has refused before. Back, a value that is newer than this
//! contract becomes unspecified and is logged.

use aws_sdk_proton::{error::BuildError, operation, primitives::DateTime, types};
use prost_types::Timestamp;
use tracing::debug;

use crate::api::pb;

/// An enum of the contract as the SDK's; `None` for unspecified.
trait ToSdk: TryFrom<i32> {
    type Sdk;
    fn to_sdk(self) -> Option<Self::Sdk>;
}

fn to_sdk<E: ToSdk>(number: i32) -> Option<E::Sdk> {
    E::try_from(number).ok().and_then(E::to_sdk)
}

fn enums<E: ToSdk>(numbers: Vec<i32>) -> Vec<E::Sdk> {
    numbers.into_iter().filter_map(to_sdk::<E>).collect()
}

fn number<E: Into<i32>>(value: impl Into<E>) -> i32 {
    value.into().into()
}

/// A list that may be left out is left out when it is empty.
fn present<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// To the millisecond, as Proton's times are: the SDK reads them through a float.
fn timestamp(time: DateTime) -> Timestamp {
    let milliseconds = (time.subsec_nanos() + 500_000) / 1_000_000;
    let nanos = milliseconds % 1000 * 1_000_000;
    Timestamp {
        seconds: time.secs().saturating_add(i64::from(milliseconds / 1000)),
        nanos: i32::try_from(nanos).expect("a second has fewer than 2^31 nanoseconds"),
    }
}

/// The SDK reads a missing required time as the epoch, when Proton did not exist: it was missing.
fn required_timestamp(time: DateTime) -> Option<Timestamp> {
    (time != DateTime::from_secs(0)).then(|| timestamp(time))
}

fn newer(name: &str, value: &str) {
    debug!(
        name,
        value, "the upstream sent a value that is newer than this contract"
    );
}

include!(concat!(env!("OUT_DIR"), "/conversions.rs"));
