//! Requests as they come from a socket: their bodies arrive bit by bit, if they do.

use std::{pin::pin, time::Duration};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use tokio::time::timeout;

use super::{Checks, MAX_BODY, error::Refusal, handle_from, too_large};
use crate::api::{Code, Error};
use crate::control_plane::ControlPlane;
use crate::overload::{self, Overloaded, Room, Taken};

const BODY_TIME: Duration = Duration::from_secs(30);

/// Answers a client's request when all of it is there, which must not take long or much.
pub async fn respond<B>(
    checks: Checks<'_>,
    plane: &ControlPlane,
    request: Request<B>,
) -> Response<Full<Bytes>>
where
    B: Body<Error: std::error::Error + Send + Sync + 'static>,
{
    let (head, body) = request.into_parts();
    let body = timeout(BODY_TIME, receive(body, checks.overload.room())).await;
    let refused = match body {
        // The body has its room until it is answered.
        Ok(Ok((body, _taken))) => {
            let request = Request::from_parts(head, body);
            let response = handle_from(checks, plane, request).await;
            return response.map(Full::new);
        }
        Ok(Err(refused)) => refused,
        Err(_) => Error::new(Code::RequestTimeout, "the body took too long to arrive").into(),
    };
    refuse(plane, refused)
}

/// Refuses a request that the server does not take on.
pub fn overloaded(plane: &ControlPlane, overloaded: Overloaded) -> Response<Full<Bytes>> {
    refuse(plane, Refusal::no_room(overloaded.after))
}

fn refuse(plane: &ControlPlane, refused: Refusal) -> Response<Full<Bytes>> {
    super::finish(plane, Err(refused)).map(Full::new)
}

/// The whole body, and the room that it takes.
async fn receive<B>(body: B, room: &Room) -> Result<(Bytes, Taken<'_>), Refusal>
where
    B: Body<Error: std::error::Error + Send + Sync + 'static>,
{
    let no_room = |overload::Full| Refusal::no_room(overload::LATER);
    let mut body = pin!(Limited::new(body, MAX_BODY));
    let mut received = BytesMut::new();
    let mut taken = room.take(0).map_err(no_room)?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|cause| match cause.is::<LengthLimitError>() {
            true => too_large(),
            false => Error::new(Code::Serialization, "the body ended early"),
        })?;
        if let Ok(data) = frame.into_data() {
            taken.add(room.take(data.remaining()).map_err(no_room)?);
            received.put(data);
        }
    }
    Ok((received.freeze(), taken))
}
