//! What a call passes on its way to a service, and its response on the way back.

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until};
use tonic::{Code, body::Body};

use super::{
    Services, deadline, identity,
    life::{self, Life},
    messages::{self, Room},
    method::{Method, Shape},
    observed::ObservedCall,
    panics,
    refusal::{Outcome, Refusal, Subject},
    response::{self, End, ResponseBody},
};
use crate::{facade::deadline::Deadline, identity::Identities, telemetry::Telemetry};

/// The layers and the services under them.
pub(crate) struct Stack {
    services: Services,
    identities: Identities,
    telemetry: Telemetry,
    room: Room,
}

impl Stack {
    pub(crate) fn new(services: Services, identities: Identities, telemetry: Telemetry) -> Self {
        Self {
            services,
            identities,
            telemetry,
            room: Room::default(),
        }
    }

    /// Answers a call on a connection with this life.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        arrived: Instant,
        life: &Life,
    ) -> Response<ResponseBody> {
        let mut observed = ObservedCall::begin(&self.telemetry, &request, arrived);
        let subject = observed.subject.clone();
        let method = Method::of(subject.path());
        let in_flight = method
            .filter(|method| method.is_work())
            .map(|_| life.calls.token());
        let gzip = messages::takes_gzip(request.headers());
        let mut end = None;
        if !is_grpc(request.headers()) {
            observed.is_none();
            return not_grpc().map(|body| ResponseBody::new(body, observed, false, end, in_flight));
        }
        let answer = if let Some(method) = method {
            let arrived = Arrived { at: arrived, life };
            let request = request.map(Body::new);
            self.call(method, request, arrived, &mut observed, &mut end)
                .await
        } else {
            Err(subject.unknown_method())
        };
        let mut response = answer.unwrap_or_else(|refusal| {
            observed.refused(&refusal);
            response::refused(&subject.refuse(refusal))
        });
        finish(response.headers_mut(), &subject, gzip);
        observed.answered(response.headers());
        response.map(|body| ResponseBody::new(body, observed, gzip, end, in_flight))
    }

    /// The layers, outermost first. Limits on callers belong between the identity and the message:
    /// they may wait, and must not spend memory on a caller that they turn away.
    async fn call(
        &self,
        method: Method<'_>,
        request: Request<Body>,
        Arrived { at, life }: Arrived<'_>,
        observed: &mut ObservedCall,
        end: &mut Option<End>,
    ) -> Result<Response<Body>, Refusal> {
        let shape = method.shape();
        // First, because everything below spends the caller's time.
        let deadline = deadline::read(request.headers(), shape, at)?;
        if shape != Shape::Unary {
            *end = Some(end_of_stream(deadline, life));
        }
        deadline::keep(
            deadline,
            // A server that closes answers whatever still runs, and the deadline is the sooner of the two.
            life.or_closing(
                // Around all code that depends on what was sent.
                panics::caught(async {
                    // Before the message: nobody's takes room. It may wait for an issuer's keys.
                    let principal = match method.is_open() {
                        true => None,
                        false => Some(
                            identity::of(&self.identities, request.headers(), request.extensions())
                                .await?,
                        ),
                    };
                    // A conversation is read by its service; all else arrives whole, and takes
                    // its room until it is answered.
                    let (mut request, _room) = match shape {
                        Shape::Unary | Shape::ServerStream => {
                            let (request, room, received) =
                                messages::one(request, &self.room).await?;
                            observed.received = received;
                            (request, Some(room))
                        }
                        Shape::Bidirectional => (request, None),
                    };
                    if let Some(deadline) = deadline {
                        request.extensions_mut().insert(deadline);
                    }
                    if let Some(span) = &observed.span {
                        request.extensions_mut().insert(span.clone());
                    }
                    if let Some(principal) = principal {
                        observed.principal = Some(principal.clone());
                        request.extensions_mut().insert(principal);
                    }
                    self.services
                        .call(method.service, request)
                        .await
                        .ok_or_else(|| observed.subject.unknown_method())
                }),
            ),
        )
        .await
    }
}

/// When a call came, and on what.
struct Arrived<'a> {
    at: Instant,
    life: &'a Life,
}

/// What may end a stream that has begun.
fn end_of_stream(deadline: Option<Deadline>, life: &Life) -> End {
    let closing = life.closing.clone();
    Box::pin(async move {
        let deadline = async {
            match deadline {
                Some(Deadline(at)) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = deadline => Refusal::deadline_exceeded(Outcome::Unknown),
            () = closing.cancelled() => life::stream_ended(),
        }
    })
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// As the protocol has it for those who speak another.
fn not_grpc() -> Response<Body> {
    let mut response = Response::new(Body::new(Full::from("gRPC is spoken here\n")));
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let text = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

/// What every response's headers say.
fn finish(headers: &mut HeaderMap, subject: &Subject, gzip: bool) {
    subject.complete(headers, Outcome::NotExecuted);
    match headers.get(tonic::Status::GRPC_STATUS) {
        Some(status) if Code::from_bytes(status.as_bytes()) == Code::Unimplemented => {
            headers.insert(messages::ACCEPT_ENCODING, messages::ENCODINGS);
        }
        None if gzip => {
            headers.insert(messages::ENCODING, messages::GZIP);
        }
        _ => {}
    }
}
