//! The listener for who looks after the process: its numbers, whether it lives, whether it is ready.
//!
//! HTTP/1.1 in the clear, one request a connection, and the connection has its end however the client
//! behaves. Nothing that it says is anybody's secret, and nobody is asked who they are.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::timeout;

use super::{
    Health, Peer, Tls,
    life::Life,
    listener::{self, Stream},
};
use crate::{
    control_plane::ControlPlane,
    telemetry::{
        Metrics, Traces,
        metrics::{self, Front, Sample},
    },
};

/// For the head of a request, and for all of a connection.
const HEAD_TIME: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(30);
/// For the store to tell what waits in it. Who asks for numbers wants the others in any case.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells what it knows to whoever asks.
#[derive(Clone)]
pub(crate) struct Inspection(pub(crate) Arc<Inspected>);

pub(crate) struct Inspected {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) traces: Option<Traces>,
    pub(crate) health: Health,
    pub(crate) fronts: Vec<(&'static str, Vec<Life>)>,
    pub(crate) tls: Option<Tls>,
    pub(crate) plane: Option<ControlPlane>,
}

impl listener::Front for Inspection {
    const HTTP1: bool = true;

    async fn serve<S: Stream>(self, stream: S, _: Peer, life: Life) {
        let service = service_fn(move |request| {
            let inspected = Arc::clone(&self.0);
            async move { Ok::<_, Infallible>(inspected.answer(&request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .keep_alive(false)
            .max_buf_size(16 << 10)
            .serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            ended = timeout(LONGEST, connection) => {
                if !matches!(ended, Ok(Ok(()))) {
                    tracing::debug!("connection for metrics failed");
                }
            }
            () = life.closing.cancelled() => {}
        }
    }
}

impl Inspected {
    async fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "GET is spoken here\n");
        }
        match request.uri().path() {
            "/metrics" => {
                let told = self.metrics.text(&self.sample().await);
                let mut response = Response::new(Full::from(told));
                let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            "/livez" => text(StatusCode::OK, "alive\n"),
            "/readyz" if self.health.is_serving() => text(StatusCode::OK, "serving\n"),
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not serving\n"),
            _ => text(
                StatusCode::NOT_FOUND,
                "there are /metrics, /livez and /readyz\n",
            ),
        }
    }

    async fn sample(&self) -> Sample {
        let plane = match &self.plane {
            Some(plane) => timeout(PATIENCE, plane.sample()).await.ok().flatten(),
            None => None,
        };
        let front = |(name, lives): &(&'static str, Vec<Life>)| Front {
            name,
            connections: lives.iter().map(|life| life.connections.len()).sum(),
            calls: lives.iter().map(|life| life.calls.len()).sum(),
        };
        Sample {
            fronts: self.fronts.iter().map(front).collect(),
            tls: self.tls.as_ref().map(Tls::sample),
            plane,
            spans: self.traces.as_ref().map(Traces::counts),
        }
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
