//! Events to a listener that is real, and not always well.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use proton_grpc::control_plane::ambient::Ambient as _;
use proton_grpc::control_plane::events::Sink;
use proton_grpc::control_plane::reconcile;
use proton_grpc::control_plane::store::{Database, Store};
use serde_json::Value;
use tempfile::TempDir;

use super::postgres;
use super::stack::{START_MS, Stack};

/// What the listener does about one event.
enum Reply {
    Status(u16),
    HangUp,
    /// Never answers.
    Silence,
}

/// Takes every event but for those that it is told something else about, one after the other.
#[derive(Default)]
struct Listener {
    replies: Mutex<VecDeque<Reply>>,
    /// In the order in which they came, as often as they came.
    seen: Mutex<Vec<Value>>,
}

impl Listener {
    async fn start(replies: impl IntoIterator<Item = Reply>) -> (Arc<Self>, Sink) {
        let this = Arc::new(Self {
            replies: Mutex::new(replies.into_iter().collect()),
            seen: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?key=1", listener.local_addr().unwrap());
        let serving = this.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let this = serving.clone();
                let service = hyper::service::service_fn(move |it| this.clone().reply(it));
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        (this, Sink::webhook(url.parse().unwrap()))
    }

    async fn reply(
        self: Arc<Self>,
        request: http::Request<Incoming>,
    ) -> Result<http::Response<Empty<Bytes>>, &'static str> {
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), "/hook?key=1");
        assert_eq!(request.headers()["content-type"], "application/json");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let event = serde_json::from_slice(&body).unwrap();
        self.seen.lock().unwrap().push(event);
        let reply = self.replies.lock().unwrap().pop_front();
        let status = match reply.unwrap_or(Reply::Status(202)) {
            Reply::Status(status) => status,
            Reply::HangUp => return Err("the listener hangs up"),
            Reply::Silence => match std::future::pending::<Infallible>().await {},
        };
        Ok(http::Response::builder()
            .status(status)
            .body(Empty::new())
            .unwrap())
    }

    fn seen(&self) -> Vec<Value> {
        self.seen.lock().unwrap().clone()
    }
}

/// The names and ids of events.
fn told(events: &[Value]) -> Vec<(&str, &str)> {
    let names = events.iter().map(|event| {
        let name = event["detail"]["name"].as_str().unwrap();
        (name, event["id"].as_str().unwrap())
    });
    names.collect()
}

/// One of the processes on the database.
async fn on(database: &Database, sink: Sink) -> Stack {
    Stack::over(postgres::join(database).await, Some(sink))
}

/// Another one, which counts its ids from elsewhere.
async fn later_on(database: &Database, sink: Sink) -> Stack {
    let stack = on(database, sink).await;
    (0..1000).for_each(|_| drop(stack.clock.uuid()));
    stack
}

#[tokio::test]
async fn what_is_refused_comes_again_before_what_follows() {
    let refusals = [
        Reply::Status(500),
        Reply::HangUp,
        Reply::Silence,
        Reply::Status(404),
    ];
    let tries = refusals.len() + 1;
    let (listener, sink) = Listener::start(refusals).await;
    let directory = TempDir::new().unwrap();
    let stack = Stack::over(Store::open(directory.path()).unwrap(), Some(sink)).working();
    // Nobody who calls waits for the listener.
    for name in ["one", "two", "three"] {
        stack.create_environment_template(name).await;
    }
    let seen = stack
        .until("the listener has taken all", async || {
            stack.clock.advance(Duration::from_millis(100));
            let seen = listener.seen();
            told(&seen)
                .last()
                .is_some_and(|it| it.0 == "three")
                .then_some(seen)
        })
        .await;
    let mut seen = told(&seen);
    let first = seen[0];
    assert!(seen.len() >= tries + 2, "{seen:?}");
    assert!(
        seen[..tries].iter().all(|again| *again == first),
        "{seen:?}"
    );
    seen.dedup();
    let names: Vec<_> = seen.iter().map(|it| it.0).collect();
    assert_eq!(names, ["one", "two", "three"]);
}

#[tokio::test]
async fn what_was_taken_but_not_forgotten_comes_again_under_its_id() {
    let database = postgres::new_database().await;
    let (listener, sink) = Listener::start([Reply::Silence]).await;
    let stack = on(&database, sink).await;
    stack.create_environment_template("one").await;
    stack.create_environment_template("two").await;
    let working = reconcile::run(stack.plane.clone(), std::future::pending());
    let working = tokio::spawn(working);
    let before = stack
        .until("the listener has an event", async || {
            let seen = listener.seen();
            (!seen.is_empty()).then_some(seen)
        })
        .await;
    working.abort();
    stack.plane.close().await;

    // The turn of the process that died has to end first.
    let (listener, sink) = Listener::start([]).await;
    let stack = later_on(&database, sink).await.working();
    let after = stack
        .until("the listener has all events", async || {
            stack.clock.advance(Duration::from_millis(100));
            let seen = listener.seen();
            (seen.len() == 2).then_some(seen)
        })
        .await;
    let after = told(&after);
    assert_eq!(after[0], told(&before)[0]);
    assert_eq!(after[1].0, "two");
    assert!(stack.clock.now_ms() >= START_MS + 30_000);
}

#[tokio::test]
async fn who_stops_in_an_orderly_way_leaves_the_turn_to_others() {
    let database = postgres::new_database().await;
    let (listener, sink) = Listener::start([Reply::Silence]).await;
    let stack = on(&database, sink).await;
    stack.create_environment_template("one").await;
    let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
    let stopped = async { stopping.await.unwrap() };
    let working = tokio::spawn(reconcile::run(stack.plane.clone(), stopped));
    stack
        .until("the listener has an event", async || {
            (!listener.seen().is_empty()).then_some(())
        })
        .await;
    stop.send(()).unwrap();
    working.await.unwrap();
    stack.plane.close().await;

    let (listener, sink) = Listener::start([]).await;
    let stack = later_on(&database, sink).await.working();
    stack
        .until(
            "the listener has the event, without time passing",
            async || (!listener.seen().is_empty()).then_some(()),
        )
        .await;
}
