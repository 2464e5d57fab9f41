//! One call: validate, convert, ask the upstream, convert back.

use std::cell::Cell;

use aws_sdk_proton::{
    Client,
    config::http::HttpResponse,
    error::{BuildError, ProvideErrorMetadata, SdkError},
    operation::{self as sdk, RequestId},
};
use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::{
    Facade,
    deadline::Deadline,
    failure::Failure,
    forward::{self, Answer, ForwardError, Question},
    status::Asked,
    token::{self, Token},
};
use crate::{
    api::{
        Operation, Validate as _,
        operation::{self, Class},
        pb,
        validate::{Path, Violations},
    },
    identity::Principal,
    telemetry::{Span, metrics::Outcome},
};

/// How an operation is called through the SDK.
pub(super) trait Call: Operation {
    type Input: TryFrom<Self::Request, Error = BuildError> + Clone + Send;
    type Output: Into<Self::Response> + RequestId + Send;
    type Error: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static;

    fn send(input: Self::Input, client: &Client) -> impl Future<Output = SdkResult<Self>> + Send;
}

type SdkResult<O> = Result<<O as Call>::Output, SdkError<<O as Call>::Error, HttpResponse>>;

/// How an operation is called that the SDK does not know.
macro_rules! forwarded {
    ($operation:ident, $request:ty, $response:ty) => {
        impl Call for operation::$operation {
            type Input = Question<Self>;
            type Output = Answer<Self::Response>;
            type Error = ForwardError;
            fn send(
                input: Self::Input,
                client: &Client,
            ) -> impl Future<Output = SdkResult<Self>> + Send {
                forward::send(input, client)
            }
        }

        impl TryFrom<$request> for Question<operation::$operation> {
            type Error = BuildError;
            fn try_from(request: $request) -> Result<Self, BuildError> {
                Ok(Self::new(&request))
            }
        }

        impl From<Answer<Self>> for $response {
            fn from(answer: Answer<Self>) -> Self {
                answer.response
            }
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/calls.rs"));

/// The header under which AWS names a request; so do we, whether it succeeded or not.
pub(super) const REQUEST_ID: &str = "x-amzn-requestid";

tokio::task_local! {
    /// What the parts that the SDK calls back (the connector, the retry classifier) know of the
    /// call that they work for.
    pub(super) static UNDERWAY: Underway;
}

#[derive(Debug, Default)]
pub(super) struct Underway {
    /// Whether a repeat does no harm.
    pub(super) safe: bool,
    /// Who made the call. A control plane in this process is told so, and by nothing that a caller could send.
    pub(super) principal: Option<Principal>,
    /// What the upstream is told that it works for.
    pub(super) span: Option<Span>,
    pub(super) attempts: Cell<u32>,
}

/// What a call brings along with its message.
pub(super) struct Asker {
    pub(super) metadata: MetadataMap,
    pub(super) deadline: Option<Deadline>,
    pub(super) principal: Option<Principal>,
    pub(super) span: Option<Span>,
}

impl Asker {
    pub(super) fn of<T>(request: Request<T>) -> (Self, T) {
        let (metadata, extensions, message) = request.into_parts();
        let asker = Self {
            metadata,
            deadline: extensions.get().copied(),
            principal: extensions.get().cloned(),
            span: extensions.get().cloned(),
        };
        (asker, message)
    }
}

impl Facade {
    pub(super) async fn call<O: Call>(
        &self,
        request: Request<O::Request>,
    ) -> Result<Response<O::Response>, Status> {
        let (asker, message) = Asker::of(request);
        self.ask::<O>(&asker, message)
            .await
            .map_err(|status| *status)
    }

    /// The call itself. The status is boxed because it is large, and rare.
    pub(super) async fn ask<O: Call>(
        &self,
        asker: &Asker,
        mut message: O::Request,
    ) -> Result<Response<O::Response>, Box<Status>> {
        let mut violations = Violations::default();
        let token = token::choose::<O>(&mut message, asker, &self.0.settings, &mut violations);
        let safe = token == Token::Lasting && O::FACTS.class != Class::Unsafe;
        let mut asked = Asked {
            facts: O::FACTS,
            resource: O::resource_name(&message),
            safe,
            attempts: 0,
        };
        if let Some(span) = &asker.span {
            span.about(O::FACTS.resource, &asked.resource);
        }
        message.validate(&Path::Root, &mut violations);
        if !violations.is_empty() {
            return Err(self.refuse(&asked, Failure::Invalid(violations)));
        }
        let input =
            O::Input::try_from(message).map_err(|_| self.refuse(&asked, Failure::NotBuilt))?;

        let (result, attempts) = self.send::<O>(input, asker, safe).await;
        asked.attempts = attempts;
        if let Some(span) = &asker.span {
            span.asked(
                attempts,
                match &result {
                    Ok(output) => output.request_id(),
                    Err(failure) => failure.request_id(),
                },
            );
        }
        let output = result.map_err(|failure| self.refuse(&asked, failure))?;

        let request_id = output.request_id().and_then(|id| id.parse().ok());
        let mut response = Response::new(output.into());
        if let Some(id) = request_id {
            response.metadata_mut().insert(REQUEST_ID, id);
        }
        Ok(response)
    }

    /// Asks the upstream, within the deadline. Credentials that turn out to have expired are
    /// renewed once: the upstream has not executed anything then.
    async fn send<O: Call>(
        &self,
        input: O::Input,
        asker: &Asker,
        safe: bool,
    ) -> (Result<O::Output, Failure>, u32) {
        let upstream = &self.0.upstream;
        let metrics = self.0.telemetry.metrics();
        let measured = metrics.map(|metrics| metrics.upstream.begin(O::FACTS.name));
        let client = upstream.client(self.0.settings.retry_owner.repeats(&asker.metadata));
        let work = async {
            let renewable = upstream
                .credentials()
                .map(|credentials| (credentials, credentials.kept(), input.clone()));
            // Boxed, because the SDK's futures are large and would be moved with all around them.
            let send = |input| Box::pin(O::send(input, client));
            let result = send(input).await.map_err(Failure::from_sdk);
            match (result, renewable) {
                (Err(failure), Some((credentials, used, input))) if failure.is_expired_token() => {
                    credentials.forget(used.as_ref());
                    send(input).await.map_err(Failure::from_sdk)
                }
                (result, _) => result,
            }
        };
        let bounded = async {
            let result = match asker.deadline {
                None => work.await,
                Some(deadline) => deadline
                    .keep(work)
                    .await
                    .unwrap_or(Err(Failure::DeadlineExceeded)),
            };
            (result, UNDERWAY.with(|underway| underway.attempts.get()))
        };
        let underway = Underway {
            safe,
            principal: asker.principal.clone(),
            span: asker.span.clone(),
            ..Underway::default()
        };
        let (result, attempts) = UNDERWAY.scope(underway, bounded).await;
        if let Some(measured) = measured {
            let outcome = result
                .as_ref()
                .map_or_else(Failure::outcome, |_| Outcome::Ok);
            measured.ended(outcome, attempts);
        }
        (result, attempts)
    }
}
