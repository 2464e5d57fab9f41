//! A crowd that reads the same at once: 1,000 gRPC calls over a few connections, beside as many calls of the AWS SDK made
//! directly, in turns, before a stub that takes its time and counts.

#![allow(
    deprecated,
    reason = "every operation of the service is deprecated in its SDK"
)]

use std::{
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_proton::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use bytes::Bytes;
use clap::Parser;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use proton_grpc::{
    api::pb::{GetEnvironmentTemplateRequest, proton_service_client::ProtonServiceClient},
    facade::{Ambient, Facade, Reads, Settings, upstream::Remote},
    identity::{Identities, Place},
    server::{Bound, Health, Server, proton},
};
use serde_json::json;
use tonic::transport::Channel;

#[derive(Parser)]
struct Args {
    /// How many read at once.
    #[arg(long, default_value_t = 1000)]
    crowd: usize,

    /// A server takes a hundred calls at once on each.
    #[arg(long, default_value_t = 16)]
    connections: usize,

    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// How long the stub takes, in milliseconds.
    #[arg(long, default_value_t = 200)]
    delay: u64,

    /// Whether the crowd shares a call.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    share: bool,

    /// What `cargo bench` and `cargo test` add.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (stub, asked) = stub(Duration::from_millis(args.delay))?;
    let config = sdk(stub);
    let (_server, address) = serve(&config, args.share)?;
    let mut clients = Vec::new();
    for _ in 0..args.connections {
        let channel = Channel::from_shared(address.clone())?.connect().await?;
        clients.push(ProtonServiceClient::new(channel));
    }
    let direct = Client::new(&config);

    let shared = |number: usize| {
        let mut client = clients[number % clients.len()].clone();
        async move {
            let request = GetEnvironmentTemplateRequest { name: "a".into() };
            client
                .get_environment_template(request)
                .await
                .map(drop)
                .map_err(anyhow::Error::from)
        }
    };
    let one = |_| {
        let get = direct.get_environment_template().name("a");
        async move { get.send().await.map(drop).map_err(anyhow::Error::from) }
    };
    // Connections are made, and what is made once.
    p99(args.crowd, &shared).await?;
    p99(args.crowd, &one).await?;
    let mut rounds = Vec::new();
    for _ in 0..args.rounds {
        asked.store(0, Ordering::Relaxed);
        let crowd = p99(args.crowd, &shared).await?;
        let calls = asked.swap(0, Ordering::Relaxed);
        let direct = p99(args.crowd, &one).await?;
        rounds.push(json!({
            "crowd": { "upstream_calls": calls, "p99_ms": milliseconds(crowd) },
            "direct": { "upstream_calls": asked.load(Ordering::Relaxed), "p99_ms": milliseconds(direct) },
            "p99_of_the_crowd_to_direct": crowd.as_secs_f64() / direct.as_secs_f64(),
        }));
    }
    println!("{}", serde_json::to_string_pretty(&rounds)?);
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Makes so many calls at once and tells how long the slowest hundredth takes at least, from the beginning of all.
async fn p99<F>(crowd: usize, call: &impl Fn(usize) -> F) -> anyhow::Result<Duration>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let start = Instant::now();
    let timed = |number| {
        let call = call(number);
        async move {
            call.await?;
            anyhow::Ok(start.elapsed())
        }
    };
    let times: anyhow::Result<Vec<_>> = join_all((0..crowd).map(timed)).await.into_iter().collect();
    let mut times = times?;
    times.sort_unstable();
    Ok(times[times.len() * 99 / 100])
}

fn sdk(stub: SocketAddr) -> SdkConfig {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "bench");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://{stub}"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// The facade as it is served, in this process.
fn serve(config: &SdkConfig, share: bool) -> anyhow::Result<(Server, String)> {
    let remote = Remote::new(config.clone(), None);
    let settings = Settings {
        reads: share.then(|| Reads::new(None, Arc::new(tokio::time::Instant::now))),
        ..Settings::default()
    };
    let ambient = Ambient {
        request_id: Arc::new(|| "bench".to_owned()),
        jitter: Arc::new(|longest| longest),
    };
    let bound = Bound::to(
        &"127.0.0.1:0".parse().map_err(anyhow::Error::msg)?,
        0o600,
        2,
    )?;
    let address = format!("http://{}", bound.listen());
    let everybody = Identities::nobody_asks(Place {
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
    });
    let services = move || {
        proton(Facade::new(
            remote.upstream(),
            settings.clone(),
            ambient.clone(),
        ))
    };
    let server = Server::start(bound, Health::default(), everybody, services)?;
    Ok((server, address))
}

/// A Proton that answers late, on a thread of its own, and how often it is asked.
fn stub(delay: Duration) -> anyhow::Result<(SocketAddr, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let asked = Arc::new(AtomicUsize::new(0));
    let template = json!({ "environmentTemplate": {
        "arn": "arn:aws:proton:us-east-1:123456789012:environment-template/a", "name": "a",
        "createdAt": 1_605_135_785, "lastModifiedAt": 1_605_135_799, "description": "d".repeat(200),
    }});
    let body = Bytes::from(template.to_string());
    let count = Arc::clone(&asked);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::spawn(move || {
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("it does not block");
            while let Ok((stream, _)) = listener.accept().await {
                let (count, body) = (Arc::clone(&count), body.clone());
                let answer = service_fn(move |request: Request<Incoming>| {
                    count.fetch_add(1, Ordering::Relaxed);
                    let response = Response::new(Full::<Bytes>::from(body.clone()));
                    async move {
                        let _ = request.into_body().collect().await;
                        tokio::time::sleep(delay).await;
                        Ok::<_, Infallible>(response)
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
    });
    Ok((address, asked))
}
