//! The gRPC client of the measurements. It keeps answers as bytes: what it costs is shared by all
//! servers under test, and the less it takes of its CPU the more is left to the stub beside it.

mod support;

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::{Buf, BufMut, Bytes};
use clap::Parser;
use http::uri::PathAndQuery;
use prost::Message;
use proton_grpc::api::pb;
use support::{Operation, Window};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};

#[derive(Parser)]
enum Args {
    /// Calls a server that is running.
    Run {
        #[arg(long)]
        address: String,

        /// The process whose CPU time is counted.
        #[arg(long)]
        watch: u32,

        /// How many connections share the calls: one HTTP/2 connection is one lock.
        #[arg(long, default_value_t = 4)]
        connections: usize,

        /// Every call's deadline in milliseconds.
        #[arg(long, default_value_t = 1000)]
        deadline: u64,

        #[command(flatten)]
        window: Window,
    },
    /// Starts a server and prints the milliseconds until its first answer.
    Start { program: String, args: Vec<String> },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Args::parse() {
        Args::Run {
            address,
            watch,
            connections,
            deadline,
            window,
        } => {
            let endpoint = endpoint(&address)?;
            let mut callers = Vec::new();
            for _ in 0..connections.min(window.concurrency) {
                callers.push(Caller::connect(&endpoint, window.operation, deadline).await?);
            }
            let call = Arc::new(move |worker: usize| {
                let caller = callers[worker % callers.len()].clone();
                async move { caller.call().await }
            });
            support::run(&window, watch, call).await
        }
        Args::Start { program, args } => {
            println!(
                "{}",
                first_answer(&program, &args).await?.as_secs_f64() * 1e3
            );
            Ok(())
        }
    }
}

async fn first_answer(program: &str, args: &[String]) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let mut server = Command::new(program)
        .args(args)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(server.stdout.take().expect("stdout is piped")).lines();
    let ready = lines
        .find_map(|line| {
            line.ok()?
                .strip_prefix("grpc listening on ")
                .map(str::to_owned)
        })
        .context("the server ended before it listened")?;
    let caller = Caller::connect(&endpoint(&ready)?, Operation::Get, 1000).await?;
    let answer = caller.call().await;
    let elapsed = start.elapsed();
    server.kill()?;
    server.wait()?;
    answer.map_err(anyhow::Error::msg)?;
    Ok(elapsed)
}

fn endpoint(address: &str) -> anyhow::Result<Endpoint> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?)
}

#[derive(Clone)]
struct Caller {
    grpc: Grpc<Channel>,
    path: PathAndQuery,
    request: Bytes,
    deadline: Duration,
}

impl Caller {
    async fn connect(
        endpoint: &Endpoint,
        operation: Operation,
        deadline: u64,
    ) -> anyhow::Result<Self> {
        let (name, request) = match operation {
            Operation::Get => ("GetEnvironmentTemplate", get().encode_to_vec()),
            Operation::Create => ("CreateEnvironmentTemplate", create().encode_to_vec()),
            Operation::Page => ("ListServiceInstances", page().encode_to_vec()),
        };
        Ok(Self {
            grpc: Grpc::new(endpoint.connect().await?),
            path: format!("/proton.v1.ProtonService/{name}").parse()?,
            request: request.into(),
            deadline: Duration::from_millis(deadline),
        })
    }

    /// Makes one call; the error is its gRPC code, or that it came after its deadline.
    async fn call(mut self) -> Result<(), String> {
        let start = Instant::now();
        let mut request = Request::new(self.request);
        request.set_timeout(self.deadline);
        self.grpc.ready().await.map_err(|error| error.to_string())?;
        let answer = self.grpc.unary(request, self.path, RawBytes).await;
        if start.elapsed() > self.deadline {
            return Err("late".to_owned());
        }
        answer
            .map(drop)
            .map_err(|status| format!("{:?}", status.code()))
    }
}

fn get() -> pb::GetEnvironmentTemplateRequest {
    pb::GetEnvironmentTemplateRequest {
        name: "fargate-env".into(),
    }
}

fn create() -> pb::CreateEnvironmentTemplateRequest {
    pb::CreateEnvironmentTemplateRequest {
        name: "fargate-env".into(),
        display_name: Some("Fargate environment".into()),
        description: Some(
            "VPC with two public subnets and an ECS cluster for Fargate services".into(),
        ),
        ..Default::default()
    }
}

fn page() -> pb::ListServiceInstancesRequest {
    pb::ListServiceInstancesRequest {
        max_results: Some(100),
        ..Default::default()
    }
}

/// Messages as they are on the wire; an answer is only its size.
struct RawBytes;

impl Codec for RawBytes {
    type Encode = Bytes;
    type Decode = usize;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawBytes {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message);
        Ok(())
    }
}

impl Decoder for RawBytes {
    type Item = usize;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<usize>, Status> {
        let size = from.remaining();
        from.advance(size);
        Ok(Some(size))
    }
}
