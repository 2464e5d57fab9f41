//! `serve`: everything that runs, put together.

use std::{
    future::pending,
    io::Write,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinHandle,
};

use super::config::{
    AwsJson, Bundles, CloudFormation, Events, HandOver, RetryOwner, Settings, StoreUrl,
    Upstream as UpstreamSetting,
};
use crate::{
    control_plane::{
        Caller, ControlPlane, Parts, ambient,
        bundle::source::Source,
        events::Sink,
        provision::{
            Engine, Engines,
            aws::{self, TemplateBucket},
            local,
        },
        reconcile,
        store::{self, Member, Store},
        wire,
    },
    facade::{
        self, Facade, Upstream,
        upstream::{self, Remote},
    },
    identity::{self, Client, Identities, Machine, Principal},
    server::{Bound, Health, Server, Services, proton, reflection},
};

/// How long what another process has scheduled may go unnoticed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Serves until a signal ends it; the next signal ends it at once.
pub async fn run(settings: Settings) -> Result<()> {
    let mut signals = Signals::new()?;
    let serving = Serving::start(&settings).await?;
    signals.next().await;
    serving.stop(settings.drain_wait, signals.next()).await;
    Ok(())
}

/// A process that takes calls.
pub struct Serving {
    server: Server,
    grpc: SocketAddr,
    plane: Option<PlaneThread>,
    /// Keeps the sources of identities current.
    upkeep: JoinHandle<()>,
}

impl Serving {
    /// Starts everything, warm, and says where it listens.
    pub async fn start(settings: &Settings) -> Result<Self> {
        let bound = Bound::to(settings.listen, settings.workers())
            .with_context(|| format!("cannot listen on {} for gRPC", settings.listen))?;
        let grpc = bound.address();

        let clock: identity::Clock = Arc::new(SystemTime::now);
        let wanted = settings.identities().map_err(anyhow::Error::msg)?;
        let (identities, upkeep) = Identities::open(wanted, clock).map_err(anyhow::Error::msg)?;
        let (upstream, plane) = find(settings, &identities).await?;
        let facade_settings = facade_settings(settings);
        let facade = move || Facade::new(upstream(), facade_settings.clone(), facade_ambient());
        let reflection = if settings.reflection() {
            reflection::services()
        } else {
            Services::default()
        };
        let health = Health::default();
        let server = Server::start(bound, health.clone(), identities, move || {
            proton(facade()).and(reflection.clone())
        })?;
        let upkeep = tokio::spawn(upkeep.run());
        health.set_serving(true);

        say(&format!("grpc listening on {grpc}"));
        if let Some(address) = plane.as_ref().and_then(|plane| plane.aws_json) {
            say(&format!("aws-json listening on {address}"));
        }
        Ok(Self {
            server,
            grpc,
            plane,
            upkeep,
        })
    }

    /// Where gRPC clients connect.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Where AWS CLIs and SDKs connect, if they may.
    pub fn aws_json(&self) -> Option<SocketAddr> {
        self.plane.as_ref()?.aws_json
    }

    /// Lets calls under way come to their end, unless `now` does first.
    pub async fn stop(self, wait: Duration, now: impl Future<Output = ()>) {
        let orderly = async {
            self.server.drain(wait).await;
            if let Some(plane) = self.plane {
                plane.stop().await;
            }
            self.upkeep.abort();
        };
        tokio::select! {
            () = orderly => {}
            () = now => tracing::warn!("told to stop at once: calls in flight are lost"),
        }
    }
}

/// Makes the upstream of one thread.
type MakeUpstream = Box<dyn Fn() -> Upstream + Send + Sync>;

/// What the facade calls, warm, and the control plane if that is it.
async fn find(
    settings: &Settings,
    identities: &Identities,
) -> Result<(MakeUpstream, Option<PlaneThread>)> {
    let url = match &settings.upstream {
        UpstreamSetting::Embedded => {
            let plane = open(settings).await?;
            let embedded = Embedded {
                plane: plane.clone(),
                identities: identities.clone(),
            };
            let upstream = Upstream::embedded(Arc::new(embedded), &settings.region);
            upstream.warm().await;
            let thread = PlaneThread::start(plane, identities, settings.aws_json).await?;
            return Ok((Box::new(move || upstream.clone()), Some(thread)));
        }
        UpstreamSetting::Aws => {
            tracing::warn!(
                "AWS ended Proton on 2026-10-07 and its endpoint is gone: \
                 --upstream embedded has a control plane that takes its place"
            );
            None
        }
        UpstreamSetting::Url(url) => Some(url.to_string()),
    };
    let remote = Remote::find(url.as_deref(), &settings.region).await;
    remote.warm().await;
    Ok((Box::new(move || remote.upstream()), None))
}

/// Opens the built-in control plane.
async fn open(settings: &Settings) -> Result<ControlPlane> {
    let bundles = match settings.bundles() {
        Bundles::Directory(path) => Source::Directory(path),
        Bundles::S3 => Source::S3(s3(&settings.region).await),
    };
    let store = match &settings.store {
        Some(url) => connect(url).await?,
        None => open_directory(&settings.data_dir)?,
    };
    Ok(ControlPlane::new(Parts {
        store,
        bundles,
        engines: engines(settings).await,
        ambient: Arc::new(ambient::System),
        caller: Caller::new(&settings.account_id, &settings.region),
        accounts: settings.accounts.iter().cloned().collect(),
        limits: settings.limits(),
        events: settings.events.as_ref().map(sink).transpose()?,
    }))
}

/// Where events go.
fn sink(events: &Events) -> Result<Sink> {
    match events {
        Events::File(path) => Sink::file(path.clone())
            .with_context(|| format!("cannot write events to {}", path.display())),
        Events::Webhook(url) => Ok(Sink::webhook(url.clone())),
    }
}

/// Who provisions.
async fn engines(settings: &Settings) -> Engines {
    let pace = settings.pace;
    let cloudformation: Arc<dyn Engine> = match settings.cloudformation {
        CloudFormation::Local => Arc::new(local::CloudFormation::new(pace)),
        CloudFormation::Aws => {
            let templates = match &settings.template_bucket {
                Some(name) => Some(TemplateBucket {
                    client: s3(&settings.region).await,
                    name: name.clone(),
                    url: format!("https://s3.{}.amazonaws.com/{name}", settings.region),
                }),
                None => None,
            };
            Arc::new(aws::CloudFormation::new(
                aws_config(&settings.region).await,
                templates,
            ))
        }
    };
    let handed_over: Arc<dyn Engine> = Arc::new(local::HandOver::new(match settings.handover {
        HandOver::Notify => local::Ending::WaitsForNotify,
        HandOver::Succeed => local::Ending::Succeeds { pace },
    }));
    Engines {
        cloudformation,
        terraform: Arc::clone(&handed_over),
        codebuild: handed_over,
    }
}

/// What AWS's clients are made from: the standard chain of credentials and endpoints.
async fn aws_config(region: &str) -> aws_config::SdkConfig {
    let region = aws_config::Region::new(region.to_owned());
    aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12())
        .region(region)
        .load()
        .await
}

/// The store in a database, as one of the processes that share it.
pub(super) async fn connect(url: &StoreUrl) -> Result<Store> {
    let database = url.database().map_err(anyhow::Error::msg)?;
    let member = Member {
        name: uuid::Uuid::new_v4().to_string(),
        look_every: LOOK_EVERY,
    };
    let store = Store::connect(database, member).await;
    store.with_context(|| format!("cannot open the store in {database}"))
}

pub(super) fn open_directory(directory: &Path) -> Result<Store> {
    Store::open(directory)
        .with_context(|| format!("cannot open the data directory {}", directory.display()))
}

/// S3, or what `AWS_ENDPOINT_URL_S3` names. Endpoints other than AWS's are often reached by an
/// address, below which buckets cannot be host names.
pub(super) async fn s3(region: &str) -> aws_sdk_s3::Client {
    let config = aws_config(region).await;
    let own_endpoint =
        std::env::var_os("AWS_ENDPOINT_URL_S3").or_else(|| std::env::var_os("AWS_ENDPOINT_URL"));
    let config =
        aws_sdk_s3::config::Builder::from(&config).force_path_style(own_endpoint.is_some());
    aws_sdk_s3::Client::from_conf(config.build())
}

fn facade_settings(settings: &Settings) -> facade::Settings {
    facade::Settings {
        retry_owner: match settings.retry_owner {
            RetryOwner::Facade => facade::RetryOwner::Facade,
            RetryOwner::Mesh => facade::RetryOwner::Mesh,
            RetryOwner::Client => facade::RetryOwner::Client,
        },
        trust_request_id: settings.trust_request_id,
        ..facade::Settings::default()
    }
}

fn facade_ambient() -> facade::Ambient {
    facade::Ambient {
        request_id: Arc::new(|| uuid::Uuid::new_v4().to_string()),
        jitter: Arc::new(|most: Duration| {
            let share =
                u32::try_from(uuid::Uuid::new_v4().as_u128() & 0xffff).expect("16 bits fit");
            most * share / 0xffff
        }),
    }
}

const NOBODY: Client<'static> = Client {
    certificate: None,
    machine: Machine::Other,
};

/// The control plane as the facade reaches it: without a socket.
struct Embedded {
    plane: ControlPlane,
    identities: Identities,
}

impl upstream::Endpoint for Embedded {
    fn answer(&self, request: http::Request<Bytes>) -> upstream::Answer {
        let plane = self.plane.clone();
        if request.extensions().get::<Principal>().is_some() {
            return Box::pin(async move { wire::handle(&plane, request).await });
        }
        // A call that went by no identity is not let in as if it had one.
        let identities = self.identities.clone();
        Box::pin(async move { wire::handle_from(NOBODY, &plane, &identities, request).await })
    }

    fn watch(&self, arn: &str) -> Option<Box<dyn upstream::Watch>> {
        Some(Box::new(Watched(self.plane.watch(arn))))
    }
}

struct Watched(store::Watch);

impl upstream::Watch for Watched {
    fn changed(&mut self) -> upstream::Changed<'_> {
        Box::pin(self.0.changed())
    }
}

/// What the control plane does beside answering the facade, on a thread of its own: its work, and
/// the AWS-JSON endpoint.
struct PlaneThread {
    plane: ControlPlane,
    aws_json: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    ended: tokio::sync::oneshot::Receiver<()>,
    thread: thread::JoinHandle<()>,
}

impl PlaneThread {
    async fn start(
        plane: ControlPlane,
        identities: &Identities,
        aws_json: AwsJson,
    ) -> Result<Self> {
        let listener = match aws_json {
            AwsJson::Off => None,
            AwsJson::At(address) => {
                let listener = std::net::TcpListener::bind(address)
                    .with_context(|| format!("cannot listen on {address} for AWS-JSON"))?;
                listener.set_nonblocking(true)?;
                Some(listener)
            }
        };
        let aws_json = listener
            .as_ref()
            .map(std::net::TcpListener::local_addr)
            .transpose()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopping) = watch::channel(false);
        let (done, ended) = tokio::sync::oneshot::channel();
        let (worked, identities) = (plane.clone(), identities.clone());
        let work = move || {
            runtime.block_on(async {
                let stopped = |mut stopping: watch::Receiver<bool>| async move {
                    // A sender that is gone means the same as the word.
                    let _ = stopping.wait_for(|stop| *stop).await;
                };
                let endpoint = async {
                    if let Some(listener) = listener {
                        let listener =
                            TcpListener::from_std(listener).expect("the runtime drives sockets");
                        let stopped = stopped(stopping.clone());
                        wire::endpoint::serve(listener, worked.clone(), identities, stopped).await;
                    }
                };
                tokio::join!(
                    endpoint,
                    reconcile::run(worked.clone(), stopped(stopping.clone()))
                );
            });
            let _ = done.send(());
        };
        let thread = thread::Builder::new()
            .name("control-plane".to_owned())
            .spawn(work)?;
        Ok(Self {
            plane,
            aws_json,
            stop,
            ended,
            thread,
        })
    }

    /// Ends in an orderly way. Work that is under way is handed back and found again.
    async fn stop(self) {
        self.stop.send_replace(true);
        // An error means that the thread is gone already, by a panic.
        let _ = self.ended.await;
        if self.thread.join().is_err() {
            tracing::error!("the control plane's thread panicked");
        }
        self.plane.close().await;
    }
}

/// One line on standard output, for whoever started us and waits for it.
pub(super) fn say(line: &str) {
    // A closed standard output is nobody waiting.
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// What asks a process to end.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self> {
        let on = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn next(&mut self) {
        let name = tokio::select! {
            Some(()) = self.terminate.recv() => "SIGTERM",
            Some(()) = self.interrupt.recv() => "SIGINT",
            else => pending().await,
        };
        tracing::info!("{name} received");
    }
}
