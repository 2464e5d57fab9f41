//! What a call passes on its way to a service, and its response on the way back.

use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until};
use tonic::{Code, body::Body};

use super::{
    Services, deadline, identity,
    life::{self, Life},
    messages::{self, Room},
    method::{Method, Shape},
    panics,
    refusal::{Outcome, Refusal, Subject},
    response::{self, End, ResponseBody},
};
use crate::{facade::deadline::Deadline, identity::Identities};

/// The layers and the services under them.
pub(crate) struct Stack {
    services: Services,
    identities: Identities,
    room: Room,
}

impl Stack {
    pub(crate) fn new(services: Services, identities: Identities) -> Self {
        Self {
            services,
            identities,
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
        let subject = Subject::of(&request);
        let method = Method::of(subject.path());
        let in_flight = method
            .filter(|method| method.is_work())
            .map(|_| life.calls.token());
        let gzip = messages::takes_gzip(request.headers());
        let mut end = None;
        if let Some(status) = foreign(&request) {
            return not_grpc(status)
                .map(|body| ResponseBody::new(body, subject, false, end, in_flight));
        }
        let answer = if let Some(method) = method {
            let arrived = Arrived { at: arrived, life };
            self.call(method, request.map(Body::new), arrived, &subject, &mut end)
                .await
        } else {
            Err(subject.unknown_method())
        };
        let mut response = answer.unwrap_or_else(|refusal| {
            tracing::debug!(
                path = subject.path(),
                reason = refusal.reason,
                "call refused"
            );
            response::refused(&subject.refuse(refusal))
        });
        finish(response.headers_mut(), &subject, gzip);
        response.map(|body| ResponseBody::new(body, subject, gzip, end, in_flight))
    }

    /// The layers, outermost first. Limits on callers belong between the identity and the message:
    /// they may wait, and must not spend memory on a caller that they turn away.
    async fn call(
        &self,
        method: Method<'_>,
        request: Request<Body>,
        Arrived { at, life }: Arrived<'_>,
        subject: &Subject,
        end: &mut Option<End>,
    ) -> Result<Response<Body>, Refusal> {
        let shape = self.services.shape(method);
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
                            let (request, room) = messages::one(request, &self.room).await?;
                            (request, Some(room))
                        }
                        Shape::Bidirectional => (request, None),
                    };
                    if let Some(deadline) = deadline {
                        request.extensions_mut().insert(deadline);
                    }
                    if let Some(principal) = principal {
                        request.extensions_mut().insert(principal);
                    }
                    self.services
                        .call(method.service, request)
                        .await
                        .ok_or_else(|| subject.unknown_method())
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

/// Messages in Protobuf are all that is spoken here.
fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let kind = kind.and_then(|kind| kind.split(|byte| *byte == b';').next());
    matches!(kind, Some(b"application/grpc" | b"application/grpc+proto"))
}

/// What is wrong with a request in another protocol.
fn foreign<B>(request: &Request<B>) -> Option<StatusCode> {
    if !is_grpc(request.headers()) {
        return Some(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    (request.method() != http::Method::POST).then_some(StatusCode::METHOD_NOT_ALLOWED)
}

/// As the protocol has it for those who speak another.
fn not_grpc(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::from("gRPC is spoken here\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
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
