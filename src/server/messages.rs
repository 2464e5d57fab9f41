//! The messages of a call, guarded on the way in and packed on the way out.
//!
//! A request that is one message reaches its service whole, plain and within the limit; everything
//! else ends here with the status that gRPC names for it. The stock decoder would answer other
//! codes (or none, for a second message), and reserves as much memory as a request announces.

use std::io::{Read, Write};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Request, header::CONTENT_LENGTH};
use http_body_util::{BodyExt, Full};
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::{Code, body::Body};

use super::refusal::Refusal;

/// The largest request that Proton takes holds three texts of 51,200 characters.
const LARGEST_REQUEST: usize = 1 << 20;
/// A message over the limit but not over this is read to its end, and forgotten.
const LARGEST_HEARD_OUT: usize = 16 << 20;
/// What clients take unless told otherwise.
const LARGEST_RESPONSE: usize = 4 << 20;
/// Smaller messages fit a packet or two: packing them costs more than it saves.
const WORTH_PACKING: usize = 4 << 10;
/// A flag that tells whether the message is packed, and its length in four bytes.
const PREFIX: usize = 5;

pub(crate) const ENCODING: &str = "grpc-encoding";
pub(crate) const ACCEPT_ENCODING: &str = "grpc-accept-encoding";
pub(crate) const ENCODINGS: HeaderValue = HeaderValue::from_static("identity,gzip");
pub(crate) const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// The bytes that requests may take together while they are in flight.
#[derive(Debug)]
pub(crate) struct Room(Semaphore);

impl Default for Room {
    fn default() -> Self {
        Self(Semaphore::new(64 << 20))
    }
}

impl Room {
    fn take(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Refusal> {
        let bytes = u32::try_from(bytes).expect("a frame's length has 24 bits, a message's 20");
        self.0
            .try_acquire_many(bytes)
            .map_err(|_| Refusal::overloaded())
    }
}

/// The request with its one message whole and plain, the room that it takes, and the bytes of the
/// message as they came.
pub(crate) async fn one(
    request: Request<Body>,
    room: &Room,
) -> Result<(Request<Body>, SemaphorePermit<'_>, usize), Refusal> {
    let (mut parts, body) = request.into_parts();
    let encoding = parts.headers.remove(ENCODING);
    let gzip = match encoding.as_ref().map(HeaderValue::as_bytes) {
        None | Some(b"identity") => false,
        Some(b"gzip") => true,
        Some(other) => return Err(unsupported(&String::from_utf8_lossy(other))),
    };
    let (received, mut taken) = receive(body, room).await?;
    let length = received.len() - PREFIX;
    let plain = match received[0] {
        0 => received,
        1 if gzip => {
            let plain = unpack(&received[PREFIX..])?;
            taken.merge(room.take(plain.len())?);
            plain
        }
        1 => return Err(broken("a compressed message needs a grpc-encoding")),
        _ => return Err(broken("a message's compression flag must be 0 or 1")),
    };
    parts.headers.remove(CONTENT_LENGTH);
    Ok((
        Request::from_parts(parts, Body::new(Full::new(plain))),
        taken,
        length,
    ))
}

/// Reads the body to its end: exactly one message with its prefix. Answers as soon as it can be
/// known that it is anything else.
async fn receive(mut body: Body, room: &Room) -> Result<(Bytes, SemaphorePermit<'_>), Refusal> {
    let mut received = BytesMut::new();
    let mut taken = room.take(0)?;
    while let Some(data) = next(&mut body).await? {
        taken.merge(room.take(data.len())?);
        if received.is_empty() {
            received = BytesMut::from(data);
        } else {
            received.extend_from_slice(&data);
        }
        let Some(announced) = announced(&received) else {
            continue;
        };
        if announced > LARGEST_REQUEST {
            // A client that is heard out goes on with its connection as if nothing had been; one
            // that would go on for long is answered while it speaks.
            if announced <= LARGEST_HEARD_OUT {
                while next(&mut body).await?.is_some() {}
            }
            return Err(too_large(format!(
                "of {announced} bytes is over the limit of {LARGEST_REQUEST}"
            )));
        }
        if received.len() > PREFIX + announced {
            return Err(Refusal::unexecuted(
                Code::Unimplemented,
                "TWO_MESSAGES",
                "this method takes one message",
            ));
        }
    }
    match announced(&received) {
        Some(announced) if received.len() == PREFIX + announced => Ok((received.freeze(), taken)),
        None if received.is_empty() => Err(Refusal::unexecuted(
            Code::Unimplemented,
            "NO_MESSAGE",
            "this method takes a message",
        )),
        _ => Err(broken("the request ends within a message")),
    }
}

/// The next bytes of the body.
async fn next(body: &mut Body) -> Result<Option<Bytes>, Refusal> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            Refusal::unexecuted(Code::Cancelled, "CANCELLED", "the caller went away")
        })?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// The length of the message that these bytes start with.
fn announced(received: &[u8]) -> Option<usize> {
    received
        .get(1..PREFIX)
        .map(|mut length| length.get_u32() as usize)
}

fn unpack(packed: &[u8]) -> Result<Bytes, Refusal> {
    let mut plain = vec![0; PREFIX];
    let most = LARGEST_REQUEST as u64 + 1;
    let length = GzDecoder::new(packed)
        .take(most)
        .read_to_end(&mut plain)
        .map_err(|_| broken("a message is not the gzip that it claims to be"))?;
    if length > LARGEST_REQUEST {
        return Err(too_large(format!(
            "is over the limit of {LARGEST_REQUEST} bytes when unpacked"
        )));
    }
    (&mut plain[1..PREFIX]).put_u32(length as u32);
    Ok(plain.into())
}

fn unsupported(encoding: &str) -> Refusal {
    let message = format!("grpc-encoding {encoding:?} is not known here: use identity or gzip");
    Refusal::unexecuted(Code::Unimplemented, "UNSUPPORTED_COMPRESSION", message)
}

fn broken(message: &'static str) -> Refusal {
    Refusal::unexecuted(Code::Internal, "MALFORMED_MESSAGE", message)
}

fn too_large(what: String) -> Refusal {
    Refusal::unexecuted(
        Code::ResourceExhausted,
        "MESSAGE_TOO_LARGE",
        format!("a message {what}"),
    )
}

/// Whether the caller reads gzip.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    accepted
        .split(',')
        .any(|encoding| encoding.trim() == "gzip")
}

/// Whole messages on their way out, each checked against the limit, and packed where it pays if the
/// caller reads that.
pub(crate) fn send(messages: Bytes, gzip: bool) -> Result<Bytes, Refusal> {
    if messages.len() < WORTH_PACKING {
        return Ok(messages);
    }
    if let Some(length) = split(&messages)
        .map(|message| message.len() - PREFIX)
        .find(|length| *length > LARGEST_RESPONSE)
    {
        let message =
            format!("the response of {length} bytes is over the limit of {LARGEST_RESPONSE}");
        return Err(Refusal::midway(
            Code::ResourceExhausted,
            "RESPONSE_TOO_LARGE",
            message,
        ));
    }
    if !gzip {
        return Ok(messages);
    }
    let mut sent = BytesMut::new();
    for message in split(&messages) {
        if let Some(packed) = pack(&message[PREFIX..]) {
            sent.put_u8(1);
            sent.put_u32(packed.len() as u32);
            sent.extend_from_slice(&packed);
        } else {
            sent.extend_from_slice(message);
        }
    }
    Ok(sent.freeze())
}

/// The bytes of whole messages, without their prefixes.
pub(crate) fn content(messages: &[u8]) -> usize {
    split(messages).map(|message| message.len() - PREFIX).sum()
}

/// Each message with its prefix.
fn split(mut messages: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = announced(messages)?;
        let (message, rest) = messages.split_at(messages.len().min(PREFIX + length));
        messages = rest;
        Some(message)
    })
}

/// The message in gzip, if that is worth it.
fn pack(plain: &[u8]) -> Option<Vec<u8>> {
    if plain.len() < WORTH_PACKING {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder
        .write_all(plain)
        .and_then(|()| encoder.finish())
        .expect("memory takes every byte");
    (packed.len() < plain.len()).then_some(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request<Body> {
        Request::new(Body::new(Full::new(Bytes::from(vec![0; PREFIX]))))
    }

    #[tokio::test]
    async fn requests_that_find_no_room_may_come_again() {
        let room = Room(Semaphore::new(PREFIX));
        let (_request, taken, _) = one(request(), &room).await.expect("there is room for one");
        let refusal = one(request(), &room).await.unwrap_err();
        assert_eq!(refusal.code, Code::Unavailable);
        assert!(refusal.retry.is_some());
        drop(taken);
        assert!(one(request(), &room).await.is_ok());
    }
}
