//! Streaming waits on the control plane: they sleep until the change that they wait for. The operator's pace for polling is an
//! hour here, which no test would live to see.

#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use proton_grpc::api::pb::{self, proton_streaming_service_server::ProtonStreamingService as _};
use proton_grpc::control_plane::store::{self, Store};
use proton_grpc::control_plane::{ControlPlane, Limits, wire};
use proton_grpc::facade::{
    Ambient, Facade, Settings, Upstream,
    upstream::{Answer, Changed, Endpoint, Watch},
};
use tempfile::TempDir;
use tonic::Request;

use super::postgres;
use super::service_world::{both, lone_spec};
use super::stack::{REGION, Stack, arn};

/// The control plane as the facade's upstream, which counts what it is asked.
struct Behind {
    plane: ControlPlane,
    reads: AtomicU32,
}

impl Endpoint for Behind {
    fn answer(&self, request: http::Request<Bytes>) -> Answer {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let plane = self.plane.clone();
        Box::pin(async move { wire::handle(&plane, request).await })
    }

    fn watch(&self, arn: &str) -> Option<Box<dyn Watch>> {
        Some(Box::new(Watched(self.plane.watch(arn))))
    }
}

struct Watched(store::Watch);

impl Watch for Watched {
    fn changed(&mut self) -> Changed<'_> {
        Box::pin(self.0.changed())
    }
}

/// A facade in front of a control plane.
struct Front {
    behind: Arc<Behind>,
    facade: Facade,
}

impl Front {
    fn of(plane: &ControlPlane) -> Self {
        let behind = Arc::new(Behind {
            plane: plane.clone(),
            reads: AtomicU32::new(0),
        });
        let ambient = Ambient {
            request_id: Arc::new(|| "id".to_owned()),
            jitter: Arc::new(|longest| longest),
        };
        let settings = Settings {
            wait_poll: Some(Duration::from_secs(3600)),
            ..Settings::default()
        };
        let upstream = Upstream::embedded(behind.clone(), REGION);
        Self {
            behind,
            facade: Facade::new(upstream, settings, ambient),
        }
    }

    fn reads(&self) -> u32 {
        self.behind.reads.load(Ordering::Relaxed)
    }
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let bounded = tokio::time::timeout(Duration::from_secs(60), work);
    bounded.await.expect("the wait is woken")
}

/// Waits at one control plane for what another one, or the same, deploys; answers with how often the wait has read.
async fn a_wait_sees_a_deployment(worker: Stack, plane: &ControlPlane) -> u32 {
    worker.create_environment_template("net").await;
    worker.net_version(None).await;
    worker.engine.hold("+environment/prod");
    worker.begin_environment("prod").await;
    worker.have_begun(&["+environment/prod"]).await;

    let front = Front::of(plane);
    let name = "prod".to_owned();
    let request = Request::new(pb::GetEnvironmentRequest { name });
    let states = front.facade.wait_until_environment_deployed(request).await;
    let states = states.unwrap().into_inner().map(|state| {
        let environment = state.unwrap().environment.unwrap();
        environment.deployment_status()
    });
    let waiting = tokio::spawn(states.collect::<Vec<_>>());
    worker
        .until("the wait watches", async || {
            (front.reads() >= 2).then_some(())
        })
        .await;
    worker.go_on();
    let states = in_time(waiting).await.unwrap();
    let expected = [
        pb::DeploymentStatus::InProgress,
        pb::DeploymentStatus::Succeeded,
    ];
    assert_eq!(states, expected);
    front.reads()
}

#[tokio::test]
async fn a_wait_reads_once_for_each_change() {
    let stack = Stack::scripted(Limits::default());
    let plane = stack.plane.clone();
    // The state that it finds, once more behind the watch, and the end.
    assert_eq!(a_wait_sees_a_deployment(stack, &plane).await, 3);
}

#[tokio::test]
async fn a_wait_is_woken_by_what_another_process_does() {
    let database = postgres::new_database().await;
    let worker = Stack::over(postgres::join(&database).await, None).working();
    let waiter = Stack::over(postgres::join(&database).await, None);
    let reads = a_wait_sees_a_deployment(worker, &waiter.plane).await;
    // One more when it begins to hear of others meanwhile.
    assert!(reads <= 4, "{reads}");
}

#[tokio::test]
async fn a_wait_for_a_deletion_ends_with_it() {
    let stack = Stack::scripted(Limits::default());
    let stack = stack.with_web().await.with_lone().await;
    let spec = lone_spec(&[("dev", "dev", "small")]);
    stack.creating_lone("shop", &spec).send().await.unwrap();
    stack.settled_service("shop").await;
    stack.engine.hold("-service/shop/service-instance/dev");
    let delete = stack.client.delete_service().name("shop");
    delete.send().await.unwrap();

    let front = Front::of(&stack.plane);
    let name = "shop".to_owned();
    let request = Request::new(pb::GetServiceRequest { name });
    let states = front.facade.wait_until_service_deleted(request).await;
    let waiting = tokio::spawn(states.unwrap().into_inner().count());
    stack
        .until("the wait watches", async || {
            (front.reads() >= 2).then_some(())
        })
        .await;
    stack.go_on();
    assert_eq!(in_time(waiting).await.unwrap(), 1);
}

#[tokio::test]
async fn a_wait_for_a_pipeline_watches_the_pipeline() {
    let stack = Stack::scripted(Limits::default()).with_web().await;
    stack.engine.hold("+service/shop/pipeline");
    let create = stack.creating_service("shop", &both());
    create.send().await.unwrap();
    let steps = [
        "+service/shop/pipeline",
        "+service/shop/service-instance/dev",
        "+service/shop/service-instance/prod",
    ];
    stack.have_begun(&steps).await;

    let front = Front::of(&stack.plane);
    let name = "shop".to_owned();
    let request = Request::new(pb::GetServiceRequest { name });
    let states = front.facade.wait_until_service_pipeline_deployed(request);
    let states = states.await.unwrap().into_inner().map(|state| {
        let service = state.unwrap().service.unwrap();
        service.pipeline.unwrap().deployment_status()
    });
    let waiting = tokio::spawn(states.collect::<Vec<_>>());
    stack
        .until("the wait watches", async || {
            (front.reads() >= 2).then_some(())
        })
        .await;
    // The look that finds it let go may be due a second after the clock has moved; a clock that moves on and on would
    // take the work for abandoned.
    let moved = Cell::new(Instant::now());
    stack.go_on();
    stack
        .until("the pipeline is deployed", async || {
            if moved.get().elapsed() > Duration::from_millis(200) {
                stack.go_on();
                moved.set(Instant::now());
            }
            waiting.is_finished().then_some(())
        })
        .await;
    let (began, ended) = (
        pb::DeploymentStatus::InProgress,
        pb::DeploymentStatus::Succeeded,
    );
    assert_eq!(in_time(waiting).await.unwrap(), [began, ended]);
}

#[tokio::test]
async fn a_resource_of_the_same_name_in_another_account_wakes_nobody() {
    let directory = TempDir::new().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let stack = Stack::over(store, None);
    let mut watch = stack.plane.watch(&arn("environment-template/net"));
    watch.changed().await;
    let create = stack.other().create_environment_template().name("net");
    create.send().await.unwrap();
    assert!(watch.changed().now_or_never().is_none());
    stack.create_environment_template("net").await;
    assert!(watch.changed().now_or_never().is_some());
}

#[tokio::test]
async fn what_changes_no_status_wakes_nobody() {
    let stack = Stack::idle();
    stack.create_environment_template("net").await;
    let mut watch = stack.plane.watch(&arn("environment-template/net"));
    watch.changed().await;
    let update = stack.client.update_environment_template().name("net");
    update.description("a network").send().await.unwrap();
    assert!(watch.changed().now_or_never().is_none());
    let delete = stack.client.delete_environment_template().name("net");
    delete.send().await.unwrap();
    assert!(watch.changed().now_or_never().is_some());
}
