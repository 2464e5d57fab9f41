//! `ProtonStreamingService`: lists that page by themselves and waits that watch a status.
//!
//! A stream makes the same calls as `ProtonService`, one after the other, each as the caller asks
//! for more: a slow reader slows the upstream calls, and a reader that goes away ends them.

use std::{pin::Pin, time::Duration};

use futures_util::Stream;
use tonic::{Request, Response, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{Facade, call::Call, deadline::Deadline};
use crate::api::{
    Operation, operation, pb, pb::proton_streaming_service_server::ProtonStreamingService,
};

/// The responses of a stream.
pub(super) type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A list that comes in pages.
trait Paginated: Call<Request: Clone> {
    fn next_token(page: &Self::Response) -> Option<&String>;
    fn ask_from(request: &mut Self::Request, token: String);
}

/// A wait for a status.
trait Wait: Send + Sync + 'static {
    type Reads: Call<Request: Clone, Response: Clone>;
    const SUCCEEDS_WHEN_GONE: bool;
    /// How long to wait before reading again.
    const POLL: Duration;
    /// The status that the wait is about; `None` while the resource has none.
    fn state(response: &<Self::Reads as Operation>::Response) -> Option<State>;
    fn outcome(status: i32) -> Outcome;
}

/// A status and what the resource says about it.
#[derive(PartialEq)]
struct State {
    status: i32,
    message: String,
}

enum Outcome {
    Wait,
    Success,
    Failure,
}

/// What a stream asks with.
struct Stub<O: Call> {
    facade: Facade,
    metadata: MetadataMap,
    deadline: Option<Deadline>,
    message: O::Request,
}

impl<O: Call<Request: Clone>> Stub<O> {
    fn new(facade: &Facade, request: Request<O::Request>) -> Self {
        let (metadata, extensions, message) = request.into_parts();
        Self {
            facade: facade.clone(),
            metadata,
            deadline: extensions.get().copied(),
            message,
        }
    }

    async fn ask(&self) -> Result<O::Response, Status> {
        let answer = self
            .facade
            .ask::<O>(&self.metadata, self.deadline, self.message.clone())
            .await;
        answer.map(Response::into_inner).map_err(|status| *status)
    }
}

impl Facade {
    /// Every page from the one asked for to the last.
    async fn pages<O: Paginated>(
        &self,
        request: Request<O::Request>,
    ) -> Result<Response<Responses<O::Response>>, Status> {
        let stub = Stub::<O>::new(self, request);
        let pages = futures_util::stream::try_unfold(Some(stub), |stub| async move {
            let Some(mut stub) = stub else {
                return Ok(None);
            };
            let page = stub.ask().await?;
            let next = O::next_token(&page).cloned();
            Ok(Some((
                page,
                next.map(|token| {
                    O::ask_from(&mut stub.message, token);
                    stub
                }),
            )))
        });
        Ok(Response::new(Box::pin(pages)))
    }

    /// The resource whenever its status changes, until the status that ends the wait.
    async fn wait<W: Wait>(
        &self,
        request: Request<<W::Reads as Operation>::Request>,
    ) -> Result<Response<Responses<<W::Reads as Operation>::Response>>, Status> {
        let stub = Stub::<W::Reads>::new(self, request);
        let states = futures_util::stream::try_unfold(
            (stub, Watched::Nothing),
            |(stub, watched)| async move {
                let mut last = match watched {
                    Watched::Nothing => None,
                    Watched::State(state) => Some(state),
                    Watched::Failure(state) => return Err(failed::<W>(&state)),
                    Watched::Success => return Ok(None),
                };
                loop {
                    let response = match stub.ask().await {
                        Err(status)
                            if W::SUCCEEDS_WHEN_GONE && status.code() == tonic::Code::NotFound =>
                        {
                            return Ok(None);
                        }
                        answer => answer?,
                    };
                    let state = W::state(&response);
                    if last.is_none() || last != state {
                        let watched = match state {
                            None => Watched::Nothing,
                            Some(state) => match W::outcome(state.status) {
                                Outcome::Wait => Watched::State(state),
                                Outcome::Success => Watched::Success,
                                Outcome::Failure => Watched::Failure(state),
                            },
                        };
                        return Ok(Some((response, (stub, watched))));
                    }
                    last = state;
                    tokio::time::sleep(W::POLL).await;
                }
            },
        );
        Ok(Response::new(Box::pin(states)))
    }
}

/// What a wait has seen last.
enum Watched {
    Nothing,
    State(State),
    Success,
    Failure(State),
}

/// The end of a wait for something that failed, in the resource's own words.
fn failed<W: Wait>(state: &State) -> Status {
    let operation = W::Reads::FACTS;
    let message = match state.message.as_str() {
        "" => "the resource reached a status that the wait cannot succeed from",
        message => message,
    };
    let mut details = ErrorDetails::with_error_info(
        "WAIT_FAILED",
        "proton-grpc",
        [
            ("operation".to_owned(), operation.name.to_owned()),
            ("outcome".to_owned(), "rejected".to_owned()),
        ],
    );
    details.add_precondition_failure_violation("STATUS", operation.resource, message);
    Status::with_error_details(tonic::Code::FailedPrecondition, message, details)
}

include!(concat!(env!("OUT_DIR"), "/streaming_service.rs"));
