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
    Gate, Peer, Services, deadline, identity,
    life::{self, Life},
    messages,
    method::{Method, Shape},
    observed::ObservedCall,
    panics,
    refusal::{self, Outcome, Refusal, Subject},
    response::{self, End, Kept, ResponseBody},
};
use crate::{
    api::operation,
    audit::{self, Ending, Front, Scribe},
    facade::deadline::Deadline,
    overload::{Overloaded, Place, Shedding, Work},
};

/// The layers and the services under them.
pub(crate) struct Stack {
    services: Services,
    gate: Gate,
    shedding: Shedding,
}

impl Stack {
    pub(crate) fn new(services: Services, gate: impl Into<Gate>) -> Self {
        Self {
            services,
            gate: gate.into(),
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
        let work = match method.map(|method| self.services.shape(method)) {
            _ if method.is_some_and(Method::is_open) => return Ok(None),
            Some(Shape::Unary) | None => Work::Call,
            Some(Shape::ServerStream | Shape::Bidirectional) => Work::Stream,
        };
        self.shedding.begin(work, arrived).map(Some)
    }

    /// The answer to a call that is not taken on.
    pub(crate) fn turned_away<B>(
        &self,
        request: &Request<B>,
        arrived: Instant,
        overloaded: Overloaded,
    ) -> Response<ResponseBody> {
        let mut observed = ObservedCall::begin(&self.gate.telemetry, request, arrived);
        let response = refused(&mut observed, overloaded.into());
        observed.answered(response.headers());
        response.map(|body| ResponseBody::new(body, observed, false, None, Kept::default()))
    }

    /// Answers a call on a connection with this life.
    pub(crate) async fn answer(
        &self,
        mut request: Request<Incoming>,
        arrived: Instant,
        place: Option<Place>,
        life: &Life,
    ) -> Response<ResponseBody> {
        let mut observed = ObservedCall::begin(&self.gate.telemetry, &request, arrived);
        let subject = observed.subject.clone();
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
        if let Some(status) = foreign(&request) {
            observed.is_none();
            return not_grpc(status)
                .map(|body| ResponseBody::new(body, observed, false, end, kept));
        }
        let scribe = self.scribe(&request);
        if let Some(scribe) = &scribe {
            request.extensions_mut().insert(scribe.clone());
        }
        let answer = if let Some(method) = method {
            let arrived = Arrived { at: arrived, life };
            let request = request.map(Body::new);
            let keep = (&mut end, &mut kept);
            self.call(method, request, arrived, &mut observed, keep)
                .await
        } else {
            Err(subject.unknown_method())
        };
        let turned_away = answer.as_ref().err().map(|refusal| refusal.code);
        if let (Some(code), Some(method), Some(scribe)) = (turned_away, method, scribe) {
            record(&scribe, method, code).await;
        }
        let mut response = answer.unwrap_or_else(|refusal| refused(&mut observed, refusal));
        finish(response.headers_mut(), &subject, gzip);
        observed.answered(response.headers());
        if let Some(place) = place {
            if code(response.headers()) == Some(Code::DeadlineExceeded) {
                place.ran_out_of_time(Instant::now());
            }
            // A call's work is done, a stream's begins. Bytes that nobody reads take no call's place.
            kept.place = end.is_some().then_some(place);
        }
        response.map(|body| ResponseBody::new(body, observed, gzip, end, kept))
    }

    fn scribe<B>(&self, request: &Request<B>) -> Option<Scribe> {
        let peer = request.extensions().get::<Peer>();
        self.gate.scribe(Front::Grpc, peer, request.headers())
    }

    /// The layers, outermost first. Limits on callers stand between the identity and the message, and
    /// spend no memory on a caller that they turn away.
    async fn call(
        &self,
        method: Method<'_>,
        request: Request<Body>,
        Arrived { at, life }: Arrived<'_>,
        observed: &mut ObservedCall,
        (end, kept): (&mut Option<End>, &mut Kept),
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
                            identity::of(
                                &self.gate.identities,
                                request.headers(),
                                request.extensions(),
                            )
                            .await?,
                        ),
                    };
                    // For as long as the caller is answered.
                    if let Some(principal) = &principal {
                        kept.turn = self.gate.overload.admit(principal)?;
                    }
                    // A conversation is read by its service; all else arrives whole, and takes
                    // its room until it is answered.
                    let (mut request, _room) = match shape {
                        Shape::Unary | Shape::ServerStream => {
                            let (request, room, received) =
                                messages::one(request, self.gate.overload.room()).await?;
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

/// Writes down who was not let in. Calls that a service has seen are recorded there.
async fn record(scribe: &Scribe, method: Method<'_>, code: Code) {
    if !matches!(code, Code::Unauthenticated | Code::PermissionDenied) {
        return;
    }
    let call = match operation::find(method.name) {
        Some(facts) => scribe.call(facts.name, false),
        None => scribe.call(method.name.to_owned(), false),
    };
    let ending = Ending {
        refused: true,
        ..Ending::failed(audit::Outcome::NotExecuted, refusal::name(code))
    };
    // Nothing was done that depends on the record.
    let _ = call.end(ending).await;
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

/// A response that is only a status, and why.
fn refused(observed: &mut ObservedCall, refusal: Refusal) -> Response<Body> {
    observed.refused(&refusal);
    response::refused(&observed.subject.refuse(refusal))
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
