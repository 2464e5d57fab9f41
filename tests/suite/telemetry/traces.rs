//! Spans, as a collector gets them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use proton_grpc::{
    api::pb,
    facade::{Ambient, Facade, Settings, Upstream},
    identity::{Identities, Place},
    server::{Bound, Health, Server, Services, proton},
    telemetry::{Telemetry, Traces},
};
use serde_json::json;
use tonic::{Code, Request, Response, Status, transport::Channel};

use super::World;
use crate::facade_world::{Stub, error, ok, sdk};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Keeps what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Listens on loopback; whom to send spans to.
    fn start() -> (Self, Server, String) {
        let collector = Self::default();
        let service = TraceServiceServer::new(collector.clone());
        let services = move || Services::default().with(service.clone());
        let (server, address) = serve(Telemetry::default(), services);
        (collector, server, address)
    }

    /// The spans so far, as they began.
    fn spans(&self) -> Vec<Span> {
        let requests = self.0.lock().unwrap().clone();
        let resources = requests
            .into_iter()
            .flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let mut spans: Vec<_> = scopes.flat_map(|scope| scope.spans).collect();
        spans.sort_by_key(|span| span.start_time_unix_nano);
        spans
    }

    fn resource(&self) -> BTreeMap<String, String> {
        let requests = self.0.lock().unwrap();
        let resource = requests[0].resource_spans[0].resource.clone().unwrap();
        texts(resource.attributes)
    }
}

fn serve(
    telemetry: Telemetry,
    services: impl Fn() -> Services + Send + Sync + 'static,
) -> (Server, String) {
    let bound = Bound::to(&"127.0.0.1:0".parse().unwrap(), 0o600, 1).unwrap();
    let address = format!("http://{}", bound.listen());
    let place = Place {
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
    };
    let nobody_asks = Identities::nobody_asks(place);
    let server = Server::start(bound, Health::default(), nobody_asks, telemetry, services);
    (server.unwrap(), address)
}

fn texts(
    attributes: Vec<opentelemetry_proto::tonic::common::v1::KeyValue>,
) -> BTreeMap<String, String> {
    let text = |value: Value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?} is no text"),
    };
    let attributes = attributes.into_iter();
    let pair = |pair: opentelemetry_proto::tonic::common::v1::KeyValue| {
        (pair.key, text(pair.value.unwrap().value.unwrap()))
    };
    attributes.map(pair).collect()
}

fn failed(span: &Span) -> bool {
    let status = span.status.as_ref();
    status.is_some_and(|status| status.code() == StatusCode::Error)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn within<T>(message: T, parent: &str) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("traceparent", parent.parse().unwrap());
    request
        .metadata_mut()
        .insert("tracestate", "vendor=value".parse().unwrap());
    request
}

fn recorded() -> String {
    format!("00-{TRACE}-{PARENT}-01")
}

fn environment(name: &str) -> pb::GetEnvironmentRequest {
    let name = name.to_owned();
    pb::GetEnvironmentRequest { name }
}

/// A facade before a stub of the upstream.
async fn facade(collector: &str) -> (Arc<Stub>, Traces, Server, Channel) {
    let traces = Traces::to(collector).unwrap();
    let telemetry = Telemetry {
        traces: Some(traces.clone()),
        metrics: None,
    };
    let stub = Arc::new(Stub::default());
    let upstream = format!("http://{}", stub.listen().await);
    let told = telemetry.clone();
    let services = move || {
        let ambient = Ambient {
            request_id: Arc::new(|| "own-id".to_owned()),
            jitter: Arc::new(|_| Duration::ZERO),
        };
        let upstream = Upstream::from_config(&sdk(&upstream));
        let facade = Facade::new(upstream, Settings::default(), ambient);
        proton(facade.telling(told.clone()))
    };
    let (server, address) = serve(telemetry, services);
    let channel = Channel::from_shared(address).unwrap().connect_lazy();
    (stub, traces, server, channel)
}

#[tokio::test]
async fn a_call_is_one_span_and_the_trace_goes_on_to_the_upstream() {
    let (collector, _collecting, to) = Collector::start();
    let (stub, traces, _server, channel) = facade(&to).await;
    let mut client = pb::proton_service_client::ProtonServiceClient::new(channel);
    stub.answers_in_turn([error(500, "InternalServerException"), ok(&json!({}))]);
    let found = client
        .get_environment(within(environment("prod"), &recorded()))
        .await;
    found.unwrap();
    let seen = stub.seen();
    stub.answers(error(400, "ResourceNotFoundException"));
    let missing = client
        .get_environment(environment("gone"))
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    traces.close().await;

    let spans = collector.spans();
    let [span, alone] = &spans[..] else {
        panic!("{spans:#?}")
    };
    assert_eq!(span.name, "proton.v1.ProtonService/GetEnvironment");
    assert_eq!(span.kind(), SpanKind::Server);
    assert_eq!(
        (hex(&span.trace_id), hex(&span.parent_span_id)),
        (TRACE.into(), PARENT.into())
    );
    assert_eq!(span.trace_state, "vendor=value");
    assert!(!failed(span));
    let expected = [
        ("rpc.system", "grpc"),
        ("rpc.service", "proton.v1.ProtonService"),
        ("rpc.method", "GetEnvironment"),
        ("rpc.grpc.status_code", "0"),
        ("proton.outcome", "ok"),
        ("proton.resource.type", "Environment"),
        ("proton.resource.name", "prod"),
        ("proton.upstream.attempts", "2"),
        ("aws.request_id", "upstream-id"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(texts(span.attributes.clone()), BTreeMap::from(expected));
    let parent = format!("00-{TRACE}-{}-01", hex(&span.span_id));
    for request in &seen {
        assert_eq!(request.headers["traceparent"], parent.as_str());
        assert_eq!(request.headers["tracestate"], "vendor=value");
        let signed = request.headers["authorization"].to_str().unwrap();
        assert!(!signed.contains("traceparent"), "{signed}");
    }
    assert_eq!(seen.len(), 2);

    assert!(alone.parent_span_id.is_empty());
    assert_ne!(alone.trace_id, span.trace_id);
    let attributes = texts(alone.attributes.clone());
    assert_eq!(attributes["rpc.grpc.status_code"], "5");
    assert_eq!(attributes["proton.outcome"], "rejected");
    assert_eq!(attributes["error.type"], "RESOURCE_NOT_FOUND_EXCEPTION");
    let resource = collector.resource();
    assert_eq!(resource["service.name"], "proton-grpc");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn a_call_whose_parent_is_not_recorded_is_not_either_but_its_trace_goes_on() {
    let (collector, _collecting, to) = Collector::start();
    let (stub, traces, _server, channel) = facade(&to).await;
    let mut client = pb::proton_service_client::ProtonServiceClient::new(channel);
    stub.answers(ok(&json!({})));
    let unrecorded = format!("00-{TRACE}-{PARENT}-00");
    let found = client
        .get_environment(within(environment("prod"), &unrecorded))
        .await;
    found.unwrap();
    traces.close().await;

    assert_eq!(collector.spans(), []);
    let seen = stub.seen_once();
    let passed_on = seen.headers["traceparent"].to_str().unwrap();
    assert!(
        passed_on.starts_with(&format!("00-{TRACE}-")),
        "{passed_on}"
    );
    assert!(passed_on.ends_with("-00"), "{passed_on}");
}

#[tokio::test]
async fn a_stream_is_one_span_whatever_it_asks_the_upstream() {
    let (collector, _collecting, to) = Collector::start();
    let (stub, traces, _server, channel) = facade(&to).await;
    let mut client =
        pb::proton_streaming_service_client::ProtonStreamingServiceClient::new(channel);
    let page = |next: Option<&str>| ok(&json!({ "environments": [], "nextToken": next }));
    stub.answers_in_turn([page(Some("b")), page(Some("c")), page(None)]);
    let pages = client
        .list_environments(pb::ListEnvironmentsRequest::default())
        .await;
    let mut pages = pages.unwrap().into_inner();
    while pages.message().await.unwrap().is_some() {}
    traces.close().await;

    let spans = collector.spans();
    assert_eq!(spans.len(), 1, "{spans:#?}");
    assert_eq!(
        spans[0].name,
        "proton.v1.ProtonStreamingService/ListEnvironments"
    );
    assert_eq!(
        texts(spans[0].attributes.clone())["proton.upstream.attempts"],
        "3"
    );
}

#[tokio::test]
async fn both_fronts_of_a_server_send_spans_until_its_end() {
    let (collector, _collecting, to) = Collector::start();
    let world = World::with(&[&format!("--otlp={to}")]).await;
    let missing = world
        .client()
        .get_environment(environment("gone"))
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    let header = format!("traceparent: {}\r\n", recorded());
    let missing = world
        .aws_json("GetEnvironment", &header, r#"{"name":"gone"}"#)
        .await;
    assert_eq!(missing, 400);
    let refused = world.aws_json("GetNothing", "", "{}").await;
    assert_eq!(refused, 400);
    world.stop().await;

    let spans = collector.spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    // The hop within the process is a part of the call.
    let expected = [
        "proton.v1.ProtonService/GetEnvironment",
        "Proton/GetEnvironment",
        "Proton/other",
    ];
    assert_eq!(names, expected);
    assert_eq!(hex(&spans[1].trace_id), TRACE);
    let attributes = texts(spans[1].attributes.clone());
    assert_eq!(attributes["rpc.system"], "aws-api");
    assert_eq!(attributes["proton.resource.name"], "gone");
    assert_eq!(attributes["error.type"], "ResourceNotFoundException");
    assert!(!attributes["aws.request_id"].is_empty());
    // A caller's error is none of the server.
    assert!(!spans.iter().any(failed));
}
