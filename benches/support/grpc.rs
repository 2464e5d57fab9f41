//! A gRPC client that is only what the protocol needs: it leaves most of its CPU to how much it can
//! ask for.

use std::time::Duration;

use anyhow::Context;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use proton_grpc::api::pb;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection. Clones are the same.
#[derive(Clone)]
pub(crate) struct Connection(http2::SendRequest<Full<Bytes>>);

/// A call as it is made again and again.
#[derive(Clone)]
pub(crate) struct Call {
    path: &'static str,
    message: Bytes,
    pub(crate) deadline: Duration,
}

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Answered,
    /// At once, with word when to come again.
    Shed,
    Late,
    Failed,
}

impl Connection {
    pub(crate) async fn on<S>(stream: S) -> anyhow::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (send, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self(send))
    }

    pub(crate) async fn make(&self, call: &Call) -> anyhow::Result<End> {
        let mut send = self.0.clone();
        send.ready().await?;
        let (headers, body) = send.send_request(call.request()?).await?.into_parts();
        Ok(match trailers(&headers.headers, body).await? {
            0 => End::Answered,
            4 => End::Late,
            14 if headers.headers.contains_key("grpc-retry-pushback-ms") => End::Shed,
            _ => End::Failed,
        })
    }
}

impl Call {
    pub(crate) fn get(deadline: Duration) -> Self {
        let request = pb::GetEnvironmentTemplateRequest {
            name: "fargate-env".into(),
        };
        let path = "/proton.v1.ProtonService/GetEnvironmentTemplate";
        Self::new(path, &request, deadline)
    }

    pub(crate) fn new(path: &'static str, request: &impl Message, deadline: Duration) -> Self {
        let mut message = BytesMut::new();
        message.put_u8(0);
        message.put_u32(request.encoded_len() as u32);
        request.encode(&mut message).expect("memory takes it");
        Self {
            path,
            message: message.freeze(),
            deadline,
        }
    }

    fn request(&self) -> http::Result<Request<Full<Bytes>>> {
        Request::post(format!("http://localhost{}", self.path))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", format!("{}m", self.deadline.as_millis()))
            .body(Full::new(self.message.clone()))
    }
}

/// The status that a response ends with; its headers have it if they are all that there is.
async fn trailers(headers: &HeaderMap, body: Incoming) -> anyhow::Result<u8> {
    const STATUS: &str = "grpc-status";
    let body = body.collect().await?;
    let status = headers.get(STATUS);
    let status = status.or_else(|| body.trailers()?.get(STATUS));
    Ok(status
        .context("a call ended without a status")?
        .to_str()?
        .parse()?)
}
