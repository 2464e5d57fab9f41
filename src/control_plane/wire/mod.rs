//! The AWS-JSON 1.0 endpoint, without a transport: one HTTP request in, one response out. The facade calls [`handle`] in
//! process, [`endpoint`] is for requests from a socket, where [`handle_from`] first asks who calls.
//!
//! The caller is the account and the Region of the principal that the request carries in its extensions; no header can put one
//! there. Where nobody is asked who they are, it is the account that the access key is configured for, else the default one, in
//! the configured Region; then no signature is checked.
//!
//! What the caller may do is asked in [`handle_from`] too: a call that came over gRPC was decided on there.

mod audited;
mod credential;
mod dispatch;
pub mod endpoint;
mod error;
mod operations;

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};

pub use error::ErrorName;

use super::{Caller, ControlPlane};
use crate::{
    api::{
        Code, Error,
        operation::{self, Class},
    },
    audit::{self, Scribe},
    identity::{Client, Identities, Principal},
    overload::Overload,
    policy::Policies,
};
use dispatch::Gate;

/// The largest request, three texts of 51,200 characters, escaped and with room to spare.
pub const MAX_BODY: usize = 1024 * 1024;

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");
const TARGET: &str = "x-amz-target";
const REQUEST_ID: &str = "x-amzn-requestid";
const SERVICE: &str = "AwsProton20200720.";

/// A call that is recorded, where there is a trail.
type Audit = Option<audit::Call>;

/// What a request from a socket has to pass.
#[derive(Clone, Copy)]
pub struct Checks<'a> {
    pub client: Client<'a>,
    pub identities: &'a Identities,
    pub overload: &'a Overload,
    pub policies: &'a Policies,
}

/// Answers a request that may be anybody's. The response's extensions say whose it is and what it asks
/// for, as far as that is known, and the [`ErrorName`], if it is an error.
pub async fn handle_from(
    checks: Checks<'_>,
    plane: &ControlPlane,
    mut request: Request<Bytes>,
) -> Response<Bytes> {
    // An operation that is not known changes nothing.
    let facts = operation(&request).and_then(operation::find);
    let class = facts.map_or(Class::Read, |facts| facts.class);
    let scribe = request.extensions_mut().remove::<Scribe>();
    let mut audit = scribe.map(|scribe| audited::call(&scribe, facts));
    let mut asker = None;
    let asked = checks.identities.of_request(&request, class, checks.client);
    let answer = match asked.await {
        Ok(principal) => {
            let caller = caller(plane, Some(&principal), &request);
            if let Some(audit) = &mut audit {
                audit.by(&principal);
                audit.acts_in(caller.account(), caller.region());
            }
            let by = (&principal, &caller);
            let answer = admitted(checks, plane, by, &request, &mut audit).await;
            asker = Some(principal);
            answer
        }
        Err(refusal) => {
            tracing::debug!(why = ?refusal.why, "caller refused");
            Err(error::Refusal::from(refusal))
        }
    };
    let mut response = match audit {
        None => finish(plane, answer),
        Some(audit) => audited::finish(plane, answer, audit).await,
    };
    if let Some(principal) = asker {
        response.extensions_mut().insert(principal);
        if let Some(facts) = facts {
            response.extensions_mut().insert(facts);
        }
    }
    response
}

/// Does what is asked by somebody who is known, if it is their turn.
async fn admitted(
    checks: Checks<'_>,
    plane: &ControlPlane,
    (principal, caller): (&Principal, &Caller),
    request: &Request<Bytes>,
    audit: &mut Audit,
) -> Result<Vec<u8>, error::Refusal> {
    let _turn = checks.overload.admit(principal).inspect_err(|refused| {
        tracing::debug!(why = ?refused.why, "caller throttled");
    })?;
    let gate = checks.policies.are_given().then_some(Gate {
        policies: checks.policies,
        principal,
    });
    attempt(plane, caller, gate, request, audit).await
}

/// Answers one request, of the principal in its extensions. It is not recorded: who made the call came in elsewhere.
pub async fn handle(plane: &ControlPlane, request: Request<Bytes>) -> Response<Bytes> {
    let caller = caller(plane, request.extensions().get(), &request);
    let answer = attempt(plane, &caller, None, &request, &mut None).await;
    finish(plane, answer)
}

/// Does what is asked.
async fn attempt(
    plane: &ControlPlane,
    caller: &Caller,
    gate: Option<Gate<'_>>,
    request: &Request<Bytes>,
    audit: &mut Audit,
) -> Result<Vec<u8>, error::Refusal> {
    // A panic must not take other calls on the connection with it. Nothing that it may have left
    // half done is seen again: the store takes changes whole.
    let answer = AssertUnwindSafe(answer(plane, caller, gate, request, audit))
        .catch_unwind()
        .await;
    answer.unwrap_or_else(|_| Err(error::Refusal::from(Error::internal())))
}

/// The response, with the headers that every one has.
fn finish(plane: &ControlPlane, answer: Result<Vec<u8>, error::Refusal>) -> Response<Bytes> {
    let mut response = match answer {
        Ok(body) => Response::new(Bytes::from(body)),
        Err(refusal) => refusal.into_response(),
    };
    let id = HeaderValue::try_from(plane.ambient().uuid()).expect("a UUID is a header value");
    response.headers_mut().insert(REQUEST_ID, id);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, CONTENT_TYPE);
    response
}

async fn answer(
    plane: &ControlPlane,
    caller: &Caller,
    gate: Option<Gate<'_>>,
    request: &Request<Bytes>,
    audit: &mut Audit,
) -> Result<Vec<u8>, error::Refusal> {
    if request.method() != Method::POST || request.uri().path() != "/" {
        let error = Error::new(
            Code::UnknownOperation,
            "operations are asked for with POST /",
        );
        return Err(error::Refusal {
            status: StatusCode::NOT_FOUND,
            ..error.into()
        });
    }
    if request.body().len() > MAX_BODY {
        return Err(too_large().into());
    }
    let Some(operation) = operation(request) else {
        let rule = format!("the header X-Amz-Target must be {SERVICE}<operation>");
        return Err(Error::new(Code::UnknownOperation, rule).into());
    };
    let body = request.body();
    Ok(dispatch::dispatch(plane, gate, caller, operation, body, audit).await?)
}

/// The operation that a request names.
pub fn operation<B>(request: &Request<B>) -> Option<&str> {
    let target = request.headers().get(TARGET)?;
    target.to_str().ok()?.strip_prefix(SERVICE)
}

fn caller(plane: &ControlPlane, principal: Option<&Principal>, request: &Request<Bytes>) -> Caller {
    match principal.filter(|principal| !principal.is_local()) {
        Some(principal) => Caller::new(principal.account(), principal.region()),
        None => plane.caller(credential::access_key_id(request.headers())),
    }
}

fn too_large() -> Error {
    Error::new(
        Code::RequestTooLarge,
        format!("a request has at most {MAX_BODY} bytes"),
    )
}
