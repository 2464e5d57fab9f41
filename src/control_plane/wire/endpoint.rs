//! Requests as they come from a socket: their bodies arrive bit by bit, if they do.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use tokio::time::timeout;

use super::{MAX_BODY, handle_from, too_large};
use crate::api::{Code, Error};
use crate::control_plane::ControlPlane;
use crate::identity::{Client, Identities};
use crate::policy::Policies;

const BODY_TIME: Duration = Duration::from_secs(30);

/// Answers a client's request when all of it is there, which must not take long or much.
pub async fn respond<B>(
    client: Client<'_>,
    plane: &ControlPlane,
    identities: &Identities,
    policies: &Policies,
    request: Request<B>,
) -> Response<Full<Bytes>>
where
    B: Body<Error: std::error::Error + Send + Sync + 'static>,
{
    let (head, body) = request.into_parts();
    let body = timeout(BODY_TIME, Limited::new(body, MAX_BODY).collect()).await;
    let refused = match body {
        Ok(Ok(body)) => {
            let request = Request::from_parts(head, body.to_bytes());
            let response = handle_from(client, plane, identities, policies, request).await;
            return response.map(Full::new);
        }
        Ok(Err(cause)) if cause.is::<LengthLimitError>() => too_large(),
        Ok(Err(_)) => Error::new(Code::Serialization, "the body ended early"),
        Err(_) => Error::new(Code::RequestTimeout, "the body took too long to arrive"),
    };
    super::finish(plane, Err(refused.into())).map(Full::new)
}
