//! A panic ends its call, with a status, and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;
use tonic::Code;

use super::refusal::Refusal;

/// The answer, or what is said when its future panics.
pub(crate) async fn caught<T>(
    answer: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    // Nothing is used after it has panicked: the call's state is dropped with the future.
    AssertUnwindSafe(answer)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(panicked()))
}

/// The same for a poll of a response's body.
pub(crate) fn caught_now<T>(poll: impl FnOnce() -> T) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(poll)).map_err(|_| panicked())
}

fn panicked() -> Refusal {
    Refusal::midway(Code::Internal, "PANIC", "internal failure")
}
