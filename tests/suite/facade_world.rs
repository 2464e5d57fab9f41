//! A facade between a gRPC client and a stub of a Proton endpoint. The client speaks HTTP/2 over
//! memory; the SDK is the real one.

use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use bytes::{Buf as _, BufMut as _, Bytes};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use proton_grpc::{
    api::pb::{
        proton_service_server::ProtonServiceServer,
        proton_streaming_service_server::ProtonStreamingServiceServer,
    },
    facade::{Ambient, Facade, RetryOwner, Settings, Upstream, deadline::Deadline},
};
use serde_json::{Value as Json, json};
use tokio::{sync::Notify, time::Instant};
use tonic::{
    Request, Response, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming},
    transport::{Channel, Endpoint},
};
use tower::ServiceExt as _;

use crate::descriptors;

/// The jitter that [`World`]'s facade adds to its delays.
pub(crate) const JITTER: Duration = Duration::from_millis(50);
/// The request id that the facade makes up.
pub(crate) const OWN_ID: &str = "made-up-id";

/// What the stub was asked.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) operation: String,
    pub(crate) path: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) bytes: Bytes,
    pub(crate) body: Json,
}

/// What the stub does about a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Answer(http::Response<Bytes>),
    /// The answer takes this time.
    Late(Duration, http::Response<Bytes>),
    /// Never answers. Whoever gives up is counted.
    Silence,
}

pub(crate) fn answer(status: u16, body: impl Into<Bytes>) -> http::Response<Bytes> {
    http::Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amzn-requestid", "upstream-id")
        .body(body.into())
        .unwrap()
}

pub(crate) fn ok(body: &Json) -> Reply {
    Reply::Answer(answer(200, body.to_string()))
}

pub(crate) fn error(status: u16, code: &str) -> Reply {
    let body =
        json!({ "__type": format!("com.amazonaws.proton#{code}"), "message": message(code) });
    Reply::Answer(answer(status, body.to_string()))
}

/// What the stub says with an error.
pub(crate) fn message(code: &str) -> String {
    format!("the service says {code}")
}

/// A Proton endpoint that answers what it is told to: the queued replies first, then the standing
/// one.
#[derive(Default)]
pub(crate) struct Stub {
    queue: Mutex<VecDeque<Reply>>,
    standing: Mutex<Option<Reply>>,
    seen: Mutex<Vec<Seen>>,
    arrived: Notify,
    abandoned: Notify,
}

impl Stub {
    pub(crate) fn answers(&self, reply: Reply) {
        *self.standing.lock().unwrap() = Some(reply);
    }

    pub(crate) fn answers_in_turn(&self, replies: impl IntoIterator<Item = Reply>) {
        self.queue.lock().unwrap().extend(replies);
    }

    /// What it was asked since the last time.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// The one request since the last time.
    pub(crate) fn seen_once(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.into_iter().next().unwrap()
    }

    /// Waits for the next request.
    pub(crate) async fn asked(&self) {
        self.arrived.notified().await;
    }

    /// Waits until a caller has given up on an answer.
    pub(crate) async fn left_alone(&self) {
        self.abandoned.notified().await;
    }

    async fn reply(
        self: Arc<Self>,
        request: http::Request<Incoming>,
    ) -> Result<http::Response<Full<Bytes>>, Infallible> {
        struct Abandoned<'a>(&'a Notify);
        impl Drop for Abandoned<'_> {
            fn drop(&mut self) {
                self.0.notify_one();
            }
        }

        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let target = head.headers["x-amz-target"].to_str().unwrap();
        let operation = target.strip_prefix("AwsProton20200720.").unwrap();
        self.seen.lock().unwrap().push(Seen {
            operation: operation.to_owned(),
            path: head.uri.path().to_owned(),
            headers: head.headers.clone(),
            body: serde_json::from_slice(&body).unwrap(),
            bytes: body,
        });
        self.arrived.notify_one();
        let queued = self.queue.lock().unwrap().pop_front();
        let reply = queued.or_else(|| self.standing.lock().unwrap().clone());
        match reply.expect("the test says what to answer") {
            Reply::Answer(answer) => Ok(answer.map(Full::new)),
            Reply::Late(time, answer) => {
                tokio::time::sleep(time).await;
                Ok(answer.map(Full::new))
            }
            Reply::Silence => {
                let _abandoned = Abandoned(&self.abandoned);
                std::future::pending().await
            }
        }
    }

    async fn serve(self: Arc<Self>, stream: impl hyper::rt::Read + hyper::rt::Write + Unpin) {
        let service = hyper::service::service_fn(|request| self.clone().reply(request));
        let http = hyper::server::conn::http1::Builder::new();
        // A caller that hangs up is no failure of the stub.
        let _ = http.serve_connection(stream, service).await;
    }

    /// Serves on loopback.
    pub(crate) async fn listen(self: &Arc<Self>) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stub = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(stub.clone().serve(TokioIo::new(stream)));
            }
        });
        address
    }
}

/// An HTTP client whose connections are memory, so that nothing but time passes when time is
/// paused.
#[derive(Clone)]
pub(crate) struct InMemory(pub(crate) Arc<Stub>);

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InMemory")
    }
}

impl HttpClient for InMemory {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InMemory {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let stub = self.0.clone();
        HttpConnectorFuture::new(async move {
            let broken = |error: hyper::Error| ConnectorError::io(error.into());
            let request = request.try_into_http1x().unwrap();
            let (near, far) = tokio::io::duplex(1 << 16);
            tokio::spawn(stub.serve(TokioIo::new(far)));
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(near))
                    .await
                    .map_err(broken)?;
            tokio::spawn(connection);
            let response = sender.send_request(request).await.map_err(broken)?;
            Ok(HttpResponse::try_from(response.map(SdkBody::from_body_1_x)).unwrap())
        })
    }
}

/// The configuration of an SDK that would call this URL.
pub(crate) fn sdk(url: &str) -> SdkConfig {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// A facade with a client in front.
pub(crate) struct World {
    pub(crate) stub: Arc<Stub>,
    channel: Channel,
    /// What each call from now on may take.
    timeout: Arc<Mutex<Option<Duration>>>,
}

impl World {
    /// The stub is behind memory.
    pub(crate) fn new(settings: Settings) -> Self {
        Self::with(settings, |sdk| sdk)
    }

    /// The SDK is configured otherwise.
    pub(crate) fn with(settings: Settings, change: impl FnOnce(SdkConfig) -> SdkConfig) -> Self {
        let stub = Arc::new(Stub::default());
        let sdk = sdk("http://stub").into_builder();
        let sdk = sdk.http_client(InMemory(stub.clone())).build();
        Self::over(stub, Upstream::from_config(&change(sdk)), settings)
    }

    /// The stub is behind loopback and the SDK's own HTTP client.
    pub(crate) async fn on_loopback(settings: Settings) -> Self {
        Self::on_loopback_with(settings, "/", |sdk| sdk).await
    }

    /// The stub is below this path of an endpoint, and the SDK is configured otherwise.
    pub(crate) async fn on_loopback_with(
        settings: Settings,
        path: &str,
        change: impl FnOnce(SdkConfig) -> SdkConfig,
    ) -> Self {
        let stub = Arc::new(Stub::default());
        let sdk = sdk(&format!("http://{}{path}", stub.listen().await));
        Self::over(stub, Upstream::from_config(&change(sdk)), settings)
    }

    /// The stub hears nothing: calls go to this upstream.
    pub(crate) fn over(stub: Arc<Stub>, upstream: Upstream, settings: Settings) -> Self {
        let ambient = Ambient {
            request_id: Arc::new(|| OWN_ID.to_owned()),
            jitter: Arc::new(|_| JITTER),
        };
        let facade = Facade::new(upstream, settings, ambient);
        let timeout = Arc::new(Mutex::new(None));
        Self {
            stub,
            channel: connect(facade, timeout.clone()),
            timeout,
        }
    }

    /// Every call from now on must have been answered after this time.
    pub(crate) fn set_timeout(&self, timeout: Duration) {
        *self.timeout.lock().unwrap() = Some(timeout);
    }

    pub(crate) async fn call(
        &self,
        operation: &str,
        message: DynamicMessage,
    ) -> Result<Response<DynamicMessage>, Status> {
        self.ask(operation, Request::new(message)).await
    }

    pub(crate) async fn ask(
        &self,
        operation: &str,
        request: Request<DynamicMessage>,
    ) -> Result<Response<DynamicMessage>, Status> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let path = format!("/proton.v1.ProtonService/{operation}");
        let codec = Dynamic(descriptors::response(operation));
        grpc.unary(request, path.parse().unwrap(), codec).await
    }

    pub(crate) async fn stream(
        &self,
        method: &str,
        message: DynamicMessage,
    ) -> Streaming<DynamicMessage> {
        let found = descriptors::service("ProtonStreamingService")
            .methods()
            .find(|found| found.name() == method)
            .unwrap();
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let path = format!("/proton.v1.ProtonStreamingService/{method}");
        let codec = Dynamic(found.output());
        let answer = grpc
            .server_streaming(Request::new(message), path.parse().unwrap(), codec)
            .await;
        answer.unwrap().into_inner()
    }
}

fn connect(facade: Facade, timeout: Arc<Mutex<Option<Duration>>>) -> Channel {
    let bound = move |mut request: Request<()>| {
        if let Some(timeout) = *timeout.lock().unwrap() {
            request
                .extensions_mut()
                .insert(Deadline(Instant::now() + timeout));
        }
        Ok::<_, Status>(request)
    };
    let unary = ProtonServiceServer::with_interceptor(facade.clone(), bound.clone());
    let streaming = ProtonStreamingServiceServer::with_interceptor(facade, bound);
    let services = tower::service_fn(move |request: http::Request<Incoming>| {
        let streams = request.uri().path().contains("ProtonStreamingService");
        let (unary, streaming) = (unary.clone(), streaming.clone());
        async move {
            match streams {
                true => streaming.oneshot(request).await,
                false => unary.oneshot(request).await,
            }
        }
    });
    let (near, far) = tokio::io::duplex(1 << 20);
    tokio::spawn(
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(far), TowerToHyperService::new(services)),
    );
    let near = Mutex::new(Some(TokioIo::new(near)));
    Endpoint::from_static("http://facade").connect_with_connector_lazy(tower::service_fn(
        move |_| {
            let near = near.lock().unwrap().take();
            std::future::ready(near.ok_or_else(|| std::io::Error::other("connected once already")))
        },
    ))
}

/// Repeats are left to whoever calls.
pub(crate) fn no_retries() -> Settings {
    Settings {
        retry_owner: RetryOwner::Client,
        ..Settings::default()
    }
}

/// What the messages of one method are.
#[derive(Clone)]
pub(crate) struct Dynamic(pub(crate) MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item.encode_to_vec());
        Ok(())
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        Ok(Some(DynamicMessage::decode(self.0.clone(), bytes).unwrap()))
    }
}
