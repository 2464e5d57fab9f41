//! The end of a server, as its calls and connections hear of it.

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::Code;

use super::refusal::Refusal;

/// What one worker's listener, connections and calls share. Clones are the same life.
#[derive(Clone, Default)]
pub(crate) struct Life {
    /// No new connections; those that are there hear GOAWAY and finish their calls.
    pub(crate) draining: CancellationToken,
    /// Calls that are still there end, with a status.
    pub(crate) closing: CancellationToken,
    pub(crate) calls: TaskTracker,
    pub(crate) connections: TaskTracker,
}

impl Life {
    /// The part of it that one connection has, whose calls may have to end sooner.
    pub(crate) fn of_connection(&self) -> Self {
        Self {
            closing: self.closing.child_token(),
            ..self.clone()
        }
    }

    /// The answer, unless the server closes before it is there.
    pub(crate) async fn or_closing<T>(
        &self,
        answer: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        if self.closing.is_cancelled() {
            return Err(Refusal::unexecuted(
                Code::Unavailable,
                "SHUTTING_DOWN",
                "the server is shutting down",
            ));
        }
        tokio::select! {
            biased;
            answer = answer => answer,
            // Not UNAVAILABLE: a mesh would repeat at once what may have been done.
            () = self.closing.cancelled() => Err(Refusal::midway(
                Code::Unknown,
                "OUTCOME_UNKNOWN",
                "the server shut down before the call was answered",
            )),
        }
    }
}

/// Said to a stream that outlives the server; whoever reads it may simply ask again.
pub(crate) fn stream_ended() -> Refusal {
    Refusal::midway(
        Code::Unavailable,
        "SHUTTING_DOWN",
        "the server is shutting down",
    )
}
