//! Requests, in both forms, all the way through the facade and the SDK to the wire.

use std::future::Future;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use proton_grpc::{
    api::{
        Code, Operation, Validate as _, aws_json, operation,
        pb::proton_service_server::ProtonService as _, validate::Violation,
    },
    facade::{
        Ambient, Facade, RetryOwner, Settings, Upstream,
        upstream::{Answer, Endpoint},
    },
};
use tokio::runtime::Runtime;
use tonic::{Request, Response, Status};

#[allow(
    clippy::duplicate_mod,
    reason = "the tests that include this have it too"
)]
#[path = "../../tests/suite/every_operation.rs"]
pub(super) mod every_operation;

/// More than all that is said of a bad request.
const LONGEST: usize = 50_000;

/// What the requests of one operation go through, in either form.
struct Calls {
    protobuf: fn(&[u8]),
    json: fn(&[u8]),
}

/// An operation with its method of the facade.
trait Called: Operation<Request: Clone + PartialEq> {
    fn call(request: Self::Request) -> impl Future<Output = Answered<Self>>;
}

type Answered<O> = Result<Response<<O as Operation>::Response>, Status>;

macro_rules! calls {
    ($($name:ident $method:ident)*) => {
        $(impl Called for operation::$name {
            fn call(request: Self::Request) -> impl Future<Output = Answered<Self>> {
                UPSTREAM.facade.$method(Request::new(request))
            }
        })*
        const ALL: &[Calls] = &[$(Calls {
            protobuf: protobuf::<operation::$name>,
            json: json::<operation::$name>,
        }),*];
    };
}

every_operation::for_every_operation!(calls);

/// A gRPC request: the first byte chooses the operation, the rest is its message.
pub fn grpc_request(bytes: &[u8]) {
    if let Some((choice, bytes)) = super::choice(bytes) {
        (ALL[choice % ALL.len()].protobuf)(bytes);
    }
}

/// An AWS-JSON request, likewise.
pub fn aws_json(bytes: &[u8]) {
    if let Some((choice, bytes)) = super::choice(bytes) {
        (ALL[choice % ALL.len()].json)(bytes);
    }
}

fn protobuf<O: Called>(bytes: &[u8]) {
    let Ok(request) = O::Request::decode(bytes) else {
        return;
    };
    let again = O::Request::decode(&request.encode_to_vec()[..]);
    assert!(
        again.is_ok_and(|again| again == request),
        "{}",
        O::FACTS.name
    );
    forward::<O>(request);
}

fn json<O: Called>(bytes: &[u8]) {
    match aws_json::read::<O::Request>(bytes) {
        Ok(request) => forward::<O>(request),
        Err(error) => {
            assert!(matches!(error.code, Code::Serialization | Code::Validation));
            assert!(error.message.len() < LONGEST);
        }
    }
}

/// A request that keeps to the limits reaches the upstream as it is, and any other not at all.
fn forward<O: Called>(mut request: O::Request) {
    let violations = request.violations();
    let told = |found: &Violation| found.field.len() + found.message.len();
    assert!(violations.iter().map(told).sum::<usize>() < LONGEST);
    let (answered, sent) = UPSTREAM.ask(O::call(request.clone()));
    if !violations.is_empty() {
        let refused = answered.is_err_and(|status| status.code() == tonic::Code::InvalidArgument);
        assert!(refused && sent.is_none(), "{} lets it pass", O::FACTS.name);
        return;
    }
    let sent = sent.expect("a request that keeps to the limits is sent");
    let mut arrived: O::Request = aws_json::read(&sent).expect("the SDK writes what is read");
    // The SDK makes a token up where there is none.
    if let Some(token @ None) = O::client_token(&mut request) {
        *token = O::client_token(&mut arrived).and_then(Option::take);
        assert!(token.take().is_some());
    }
    assert!(arrived == request, "{} arrives changed", O::FACTS.name);
}

static UPSTREAM: LazyLock<Stand> = LazyLock::new(Stand::new);

/// A facade before a wire that ends here.
struct Stand {
    facade: Facade,
    wire: Arc<Wire>,
    runtime: Mutex<Runtime>,
}

#[derive(Default)]
struct Wire(Mutex<Option<Bytes>>);

impl Endpoint for Wire {
    fn answer(&self, request: http::Request<Bytes>) -> Answer {
        let mut sent = self.0.lock().expect(WHOLE);
        let before = sent.replace(request.into_body());
        assert!(before.is_none(), "the call was repeated");
        let answer = http::Response::new(Bytes::from_static(b"{}"));
        Box::pin(std::future::ready(answer))
    }
}

impl Stand {
    fn new() -> Self {
        let wire = Arc::new(Wire::default());
        let settings = Settings {
            retry_owner: RetryOwner::Client,
            ..Settings::default()
        };
        let ambient = Ambient {
            request_id: Arc::new(|| "id".to_owned()),
            jitter: Arc::new(|_| Duration::ZERO),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime needs nothing special");
        Self {
            facade: Facade::new(
                Upstream::embedded(wire.clone(), "us-east-1"),
                settings,
                ambient,
            ),
            wire,
            runtime: Mutex::new(runtime),
        }
    }

    /// What the call is answered, and what it sent.
    fn ask<T>(&self, call: impl Future<Output = T>) -> (T, Option<Bytes>) {
        let runtime = self.runtime.lock().expect(WHOLE);
        let answered = runtime.block_on(call);
        (answered, self.wire.0.lock().expect(WHOLE).take())
    }
}

const WHOLE: &str = "nothing panics while it holds this";
