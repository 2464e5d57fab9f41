//! The AWS-JSON 1.0 endpoint, without a transport: one HTTP request in, one response out. The facade calls [`handle`] in
//! process, [`endpoint`] is for requests from a socket, where [`handle_from`] first asks who calls.
//!
//! The caller is the account and the Region of the principal that the request carries in its extensions; no header can put one
//! there. Where nobody is asked who they are, it is the account that the access key is configured for, else the default one, in
//! the configured Region; then no signature is checked.

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
    identity::{Client, Identities, Principal},
};

/// The largest request, three texts of 51,200 characters, escaped and with room to spare.
pub const MAX_BODY: usize = 1024 * 1024;

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");
const TARGET: &str = "x-amz-target";
const SERVICE: &str = "AwsProton20200720.";

/// Answers a request that may be anybody's. The response's extensions say whose it is and what it asks
/// for, as far as that is known, and the [`ErrorName`], if it is an error.
pub async fn handle_from(
    client: Client<'_>,
    plane: &ControlPlane,
    identities: &Identities,
    mut request: Request<Bytes>,
) -> Response<Bytes> {
    // An operation that is not known changes nothing.
    let facts = operation(&request).and_then(operation::find);
    let class = facts.map_or(Class::Read, |facts| facts.class);
    match identities.of_request(&request, class, client).await {
        Ok(principal) => {
            request.extensions_mut().insert(principal.clone());
            let mut response = handle(plane, request).await;
            response.extensions_mut().insert(principal);
            if let Some(facts) = facts {
                response.extensions_mut().insert(facts);
            }
            response
        }
        Err(refusal) => {
            tracing::debug!(why = ?refusal.why, "caller refused");
            finish(plane, error::Refusal::from(refusal).into_response())
        }
    }
}

/// Answers one request, of the principal in its extensions.
pub async fn handle(plane: &ControlPlane, request: Request<Bytes>) -> Response<Bytes> {
    // A panic must not take other calls on the connection with it. Nothing that it may have left
    // half done is seen again: the store takes changes whole.
    let answer = AssertUnwindSafe(answer(plane, &request))
        .catch_unwind()
        .await;
    let answer = answer.unwrap_or_else(|_| Err(error::Refusal::from(Error::internal())));
    let response = match answer {
        Ok(body) => Response::new(Bytes::from(body)),
        Err(refusal) => refusal.into_response(),
    };
    finish(plane, response)
}

/// Puts on the headers that every response has.
fn finish(plane: &ControlPlane, mut response: Response<Bytes>) -> Response<Bytes> {
    let id = HeaderValue::try_from(plane.ambient().uuid()).expect("a UUID is a header value");
    response.headers_mut().insert("x-amzn-requestid", id);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, CONTENT_TYPE);
    response
}

async fn answer(plane: &ControlPlane, request: &Request<Bytes>) -> Result<Vec<u8>, error::Refusal> {
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
    let caller = caller(plane, request);
    Ok(dispatch::dispatch(plane, &caller, operation, request.body()).await?)
}

/// The operation that a request names.
pub fn operation<B>(request: &Request<B>) -> Option<&str> {
    let target = request.headers().get(TARGET)?;
    target.to_str().ok()?.strip_prefix(SERVICE)
}

fn caller(plane: &ControlPlane, request: &Request<Bytes>) -> Caller {
    let principal = request.extensions().get::<Principal>();
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
