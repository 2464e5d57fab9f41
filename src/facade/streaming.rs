//! `ProtonStreamingService`: lists that page by themselves and waits that watch a status.
//!
//! A stream makes the same calls as `ProtonService`, one after the other, each as the caller asks
//! for more: a slow reader slows the upstream calls, and a reader that goes away ends them. Where the
//! upstream tells of changes, a wait sleeps until there is one before it reads again; else it polls.

use std::{pin::Pin, time::Duration};

use futures_util::Stream;
use tonic::{Code, Request, Response, Status};

use super::{
    Facade,
    call::{Asker, Call},
    failure::Failure,
    status::Asked,
    upstream,
};
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
    type Reads: Call<Request: Clone>;
    const SUCCEEDS_WHEN_GONE: bool;
    /// How long to wait before reading again.
    const POLL: Duration;
    /// The ARN of what has the status, or of what will have it.
    fn resource(response: &<Self::Reads as Operation>::Response) -> Option<&String>;
    /// The status that the wait is about; `None` while the resource has none.
    fn state(response: &<Self::Reads as Operation>::Response) -> Option<State>;
    fn outcome(status: i32) -> Outcome;
}

/// A status and what the resource says about it.
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
    asker: Asker,
    message: O::Request,
}

impl<O: Call<Request: Clone>> Stub<O> {
    fn new(facade: &Facade, request: Request<O::Request>) -> Self {
        let (asker, message) = Asker::of(request);
        Self {
            facade: facade.clone(),
            asker,
            message,
        }
    }

    async fn ask(&mut self) -> Result<O::Response, Status> {
        let answer = self
            .facade
            .ask::<O>(&self.asker, self.message.clone())
            .await;
        // A stream is one call: its first read is recorded.
        self.asker.scribe = None;
        answer.map(Response::into_inner).map_err(|status| *status)
    }

    /// Sleeps, but not beyond the deadline.
    async fn sleep(&self, sleep: impl Future<Output = ()>) -> Result<(), Status> {
        let slept = match self.asker.deadline {
            None => {
                sleep.await;
                Some(())
            }
            Some(deadline) => deadline.keep(sleep).await,
        };
        slept.ok_or_else(|| self.refuse(Failure::DeadlineExceeded))
    }

    fn refuse(&self, failure: Failure) -> Status {
        let asked = Asked {
            facts: O::FACTS,
            resource: O::resource_name(&self.message),
            safe: true,
            attempts: 0,
        };
        *self.facade.refuse(&asked, failure)
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
            let next = O::next_token(&page)
                .filter(|token| !token.is_empty())
                .cloned();
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
        let watch = Watch::<W> {
            stub: Stub::new(self, request),
            rest: Rest::For(self.0.settings.wait_poll.unwrap_or(W::POLL)),
            seen: Seen::Nothing,
        };
        Ok(Response::new(Box::pin(futures_util::stream::try_unfold(
            watch,
            Watch::next,
        ))))
    }
}

/// A wait under way.
struct Watch<W: Wait> {
    stub: Stub<W::Reads>,
    rest: Rest,
    seen: Seen,
}

/// What a wait does between two reads.
enum Rest {
    For(Duration),
    /// Until a change is told of what has this ARN.
    Until(String, Box<dyn upstream::Watch>),
}

/// What a wait has sent last.
enum Seen {
    Nothing,
    /// The status, of a resource that may have none.
    Status(Option<i32>),
    Success,
    /// A status that the wait cannot succeed from, in the resource's own words.
    Failure(String),
}

type Step<W> = Option<(<<W as Wait>::Reads as Operation>::Response, Watch<W>)>;

impl<W: Wait> Watch<W> {
    async fn next(mut self) -> Result<Step<W>, Status> {
        let known = match self.seen {
            Seen::Nothing => None,
            Seen::Status(status) => Some(status),
            Seen::Success => return Ok(None),
            Seen::Failure(message) => {
                return Err(self.stub.refuse(Failure::WaitedInVain(message)));
            }
        };
        // What was sent last has just been read.
        let mut pause = known.is_some();
        loop {
            if pause {
                self.rest().await?;
            }
            let response = match self.stub.ask().await {
                Err(gone) if W::SUCCEEDS_WHEN_GONE && gone.code() == Code::NotFound => {
                    return Ok(None);
                }
                answer => answer?,
            };
            self.watch(&response);
            let state = W::state(&response);
            let status = state.as_ref().map(|state| state.status);
            if known != Some(status) {
                self.seen = state.map_or(Seen::Status(None), Seen::of::<W>);
                return Ok(Some((response, self)));
            }
            pause = true;
        }
    }
}

impl<W: Wait> Watch<W> {
    /// Watches what has the status, from as soon as its name is known.
    fn watch(&mut self, response: &<W::Reads as Operation>::Response) {
        let Some(arn) = W::resource(response) else {
            return;
        };
        match &self.rest {
            Rest::Until(watched, _) if watched == arn => {}
            _ => {
                if let Some(watch) = self.stub.facade.0.upstream.watch(arn) {
                    self.rest = Rest::Until(arn.clone(), watch);
                }
            }
        }
    }

    async fn rest(&mut self) -> Result<(), Status> {
        match &mut self.rest {
            Rest::For(time) => self.stub.sleep(tokio::time::sleep(*time)).await,
            Rest::Until(_, watch) => self.stub.sleep(watch.changed()).await,
        }
    }
}

impl Seen {
    fn of<W: Wait>(state: State) -> Self {
        match W::outcome(state.status) {
            Outcome::Wait => Self::Status(Some(state.status)),
            Outcome::Success => Self::Success,
            Outcome::Failure if state.message.is_empty() => {
                Self::Failure("the resource reached a status that the wait fails at".to_owned())
            }
            Outcome::Failure => Self::Failure(state.message),
        }
    }
}

include!(concat!(env!("OUT_DIR"), "/streaming_service.rs"));
