//! What a call passes on its way to a service, and its response on the way back.

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until};
use tonic::{Code, body::Body};

use super::{
    Services, deadline, identity,
    life::{self, Life},
    messages,
    method::{Method, Shape},
    panics,
    refusal::{Outcome, Refusal, Subject},
    response::{self, End, Kept, ResponseBody},
};
use crate::{
    facade::deadline::Deadline,
    identity::Identities,
    overload::{Overload, Overloaded, Place, Shedding, Work},
};

/// The layers and the services under them.
pub(crate) struct Stack {
    services: Services,
    identities: Identities,
    overload: Overload,
    shedding: Shedding,
}

impl Stack {
    pub(crate) fn new(services: Services, identities: Identities, overload: Overload) -> Self {
        Self {
            services,
            identities,
            overload,
            shedding: Shedding::default(),
        }
    }

    /// Takes a call on or not, before anything is spent on it. Health is always told, and needs no
    /// place.
    pub(crate) fn take_on<B>(
        &self,
        request: &Request<B>,
        arrived: Instant,
    ) -> Result<Option<Place>, Overloaded> {
        let method = Method::of(request.uri().path());
        let work = match method.map(Method::shape) {
            _ if method.is_some_and(Method::is_open) => return Ok(None),
            Some(Shape::Unary) | None => Work::Call,
            Some(Shape::ServerStream | Shape::Bidirectional) => Work::Stream,
        };
        self.shedding.begin(work, arrived).map(Some)
    }

    /// Answers a call on a connection with this life.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        arrived: Instant,
        place: Option<Place>,
        life: &Life,
    ) -> Response<ResponseBody> {
        let subject = Subject::of(&request);
        let method = Method::of(subject.path());
        let in_flight = method
            .filter(|method| method.is_work())
            .map(|_| life.calls.token());
        let mut kept = Kept {
            in_flight,
            ..Kept::default()
        };
        let gzip = messages::takes_gzip(request.headers());
        let mut end = None;
        if !is_grpc(request.headers()) {
            return not_grpc().map(|body| ResponseBody::new(body, subject, false, end, kept));
        }
        let answer = if let Some(method) = method {
            let arrived = Arrived { at: arrived, life };
            let keep = (&mut end, &mut kept);
            self.call(method, request.map(Body::new), arrived, &subject, keep)
                .await
        } else {
            Err(subject.unknown_method())
        };
        let mut response = answer.unwrap_or_else(|refusal| refused(&subject, refusal));
        finish(response.headers_mut(), &subject, gzip);
        if let Some(place) = place {
            if code(response.headers()) == Some(Code::DeadlineExceeded) {
                place.ran_out_of_time(Instant::now());
            }
            // A call's work is done, a stream's begins. Bytes that nobody reads take no call's place.
            kept.place = end.is_some().then_some(place);
        }
        response.map(|body| ResponseBody::new(body, subject, gzip, end, kept))
    }

    /// The layers, outermost first. Limits on callers stand between the identity and the message, and
    /// spend no memory on a caller that they turn away.
    async fn call(
        &self,
        method: Method<'_>,
        request: Request<Body>,
        Arrived { at, life }: Arrived<'_>,
        subject: &Subject,
        (end, kept): (&mut Option<End>, &mut Kept),
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
                    // For as long as the caller is answered.
                    if let Some(principal) = &principal {
                        kept.turn = self.overload.admit(principal)?;
                    }
                    // A conversation is read by its service; all else arrives whole, and takes
                    // its room until it is answered.
                    let (mut request, _room) = match shape {
                        Shape::Unary | Shape::ServerStream => {
                            let (request, room) =
                                messages::one(request, self.overload.room()).await?;
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

/// The answer to a call that is not taken on.
pub(crate) fn turned_away<B>(
    request: &Request<B>,
    overloaded: Overloaded,
) -> Response<ResponseBody> {
    let subject = Subject::of(request);
    let response = refused(&subject, overloaded.into());
    response.map(|body| ResponseBody::new(body, subject, false, None, Kept::default()))
}

/// A response that is only a status, and why.
fn refused(subject: &Subject, refusal: Refusal) -> Response<Body> {
    let (path, reason) = (subject.path(), refusal.reason);
    tracing::debug!(path, reason, "call refused");
    response::refused(&subject.refuse(refusal))
}

/// The status of a response that has no more than that.
fn code(headers: &HeaderMap) -> Option<Code> {
    let status = headers.get(tonic::Status::GRPC_STATUS)?;
    Some(Code::from_bytes(status.as_bytes()))
}

/// What every response's headers say.
fn finish(headers: &mut HeaderMap, subject: &Subject, gzip: bool) {
    subject.complete(headers, Outcome::NotExecuted);
    match code(headers) {
        Some(Code::Unimplemented) => {
            headers.insert(messages::ACCEPT_ENCODING, messages::ENCODINGS);
        }
        None if gzip => {
            headers.insert(messages::ENCODING, messages::GZIP);
        }
        _ => {}
    }
}
