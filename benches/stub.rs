//! A Proton endpoint that costs next to nothing: it answers three operations with fixed bodies, so
//! that what is measured is whoever asks. It neither checks signatures nor reads requests.

use std::{cell::Cell, convert::Infallible, net::SocketAddr, rc::Rc, time::Duration};

use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore, task::LocalSet, time::sleep};

#[derive(Parser)]
struct Args {
    #[arg(long)]
    listen: SocketAddr,

    /// Refuse every n-th call with ThrottlingException; 0 refuses none.
    #[arg(long, default_value_t = 0)]
    throttle_every: u64,

    /// How long a call takes in milliseconds.
    #[arg(long, default_value_t = 0)]
    millis: u64,

    /// How many calls it works on at once; the next ones wait.
    #[arg(long, default_value_t = 1_000_000)]
    at_once: usize,
}

struct Stub {
    throttle_every: u64,
    takes: Duration,
    places: Semaphore,
    calls: Cell<u64>,
    template: Bytes,
    page: Bytes,
    throttled: Bytes,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let stub = Rc::new(Stub::new(&args));
    let listener = TcpListener::bind(args.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    let connections = LocalSet::new();
    connections
        .run_until(async {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let stub = Rc::clone(&stub);
                let answer = service_fn(move |request| Rc::clone(&stub).answer(request));
                tokio::task::spawn_local(
                    http1::Builder::new().serve_connection(TokioIo::new(stream), answer),
                );
            }
        })
        .await
}

impl Stub {
    fn new(args: &Args) -> Self {
        Self {
            throttle_every: args.throttle_every,
            takes: Duration::from_millis(args.millis),
            places: Semaphore::new(args.at_once),
            calls: Cell::new(0),
            template: to_bytes(&json!({ "environmentTemplate": environment_template() })),
            page: to_bytes(&json!({
                "nextToken": "eyJzZXJ2aWNlIjoib3JkZXJzIiwiaW5zdGFuY2UiOiJpbnN0YW5jZS0wOTkifQ==",
                "serviceInstances": (0..100).map(service_instance).collect::<Vec<_>>(),
            })),
            throttled: to_bytes(
                &json!({ "__type": "ThrottlingException", "message": "Rate exceeded" }),
            ),
        }
    }

    async fn answer(
        self: Rc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        if !self.takes.is_zero() {
            let _place = self.places.acquire().await.expect("it is never closed");
            sleep(self.takes).await;
        }
        let operation = request
            .headers()
            .get("x-amz-target")
            .and_then(|target| target.to_str().ok()?.rsplit('.').next());
        let (status, body) = match operation {
            _ if self.throttles() => (400, &self.throttled),
            Some("GetEnvironmentTemplate" | "CreateEnvironmentTemplate") => (200, &self.template),
            Some("ListServiceInstances") => (200, &self.page),
            _ => (404, &self.throttled),
        };
        let response = Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, "application/x-amz-json-1.0")
            .header("x-amzn-requestid", "6f2e8c1d-4b0a-4e57-9d3c-2a7b5f8e9c10")
            .body(Full::new(body.clone()))
            .expect("status and headers are valid");
        // A request that is not read to its end would cost the connection.
        let _ = request.into_body().collect().await;
        Ok(response)
    }

    fn throttles(&self) -> bool {
        self.calls.set(self.calls.get() + 1);
        self.throttle_every != 0 && self.calls.get().is_multiple_of(self.throttle_every)
    }
}

fn to_bytes(body: &Value) -> Bytes {
    Bytes::from(body.to_string())
}

fn environment_template() -> Value {
    json!({
        "arn": "arn:aws:proton:us-east-1:123456789012:environment-template/fargate-env",
        "createdAt": 1605135785.405,
        "description": "VPC with two public subnets and an ECS cluster for Fargate services",
        "displayName": "Fargate environment",
        "lastModifiedAt": 1605135799.102,
        "name": "fargate-env",
        "recommendedVersion": "1.0",
    })
}

fn service_instance(number: u32) -> Value {
    json!({
        "arn": format!("arn:aws:proton:us-east-1:123456789012:service/orders/service-instance/instance-{number:03}"),
        "createdAt": 1605135785.405,
        "deploymentStatus": "SUCCEEDED",
        "environmentName": "production",
        "lastAttemptedDeploymentId": "6f2e8c1d-4b0a-4e57-9d3c-2a7b5f8e9c10",
        "lastDeploymentAttemptedAt": 1605136785.405,
        "lastDeploymentSucceededAt": 1605136799.211,
        "lastSucceededDeploymentId": "6f2e8c1d-4b0a-4e57-9d3c-2a7b5f8e9c10",
        "name": format!("instance-{number:03}"),
        "serviceName": "orders",
        "templateMajorVersion": "1",
        "templateMinorVersion": "0",
        "templateName": "fargate-service",
    })
}
