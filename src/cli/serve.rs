//! `serve`: everything that runs, put together.

mod telemetry;

use std::{
    future::pending,
    io::Write,
    path::Path,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

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
    server::{Bound, Health, Listen, Server, Services, Tls, proton, reflection},
    telemetry::Telemetry,
};

/// How long what another process has scheduled may go unnoticed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often changed certificates are looked for, beside whenever SIGHUP says so.
const LOOK_AT_FILES_EVERY: Duration = Duration::from_secs(5);
/// For the control plane to hand its work back, after the last call.
const HAND_BACK: Duration = Duration::from_secs(5);

/// How serving ended.
#[must_use]
pub enum End {
    Drained,
    /// By this signal, with calls in flight.
    Cut(SignalKind),
}

/// Serves until a signal ends it; the next signal ends it at once.
pub async fn run(settings: Settings) -> Result<End> {
    let mut signals = Signals::new()?;
    let serving = Serving::start(&settings).await?;
    signals.next().await;
    Ok(serving.stop(settings.drain_wait(), signals.next()).await)
}

/// A process that takes calls.
pub struct Serving {
    server: Server,
    grpc: Listen,
    aws_json: Option<Listen>,
    metrics: Option<Listen>,
    telemetry: Telemetry,
    plane: Option<PlaneThread>,
    /// Keep the sources of identities current, and the certificates.
    _upkeep: AbortOnDropHandle<()>,
    _certificates: Option<AbortOnDropHandle<()>>,
}

impl Serving {
    /// Starts everything, warm, and says where it listens.
    pub async fn start(settings: &Settings) -> Result<Self> {
        let files = settings.tls();
        let tls = files.map(|files| Tls::open(files, SystemTime::now()));
        let tls = tls.transpose()?;
        let take = |listen: &Listen, workers, front: &str| {
            let bound = Bound::to(listen, settings.socket_mode, workers);
            let bound = bound.with_context(|| format!("cannot listen on {listen} for {front}"))?;
            anyhow::Ok(bound.secured(tls.as_ref()))
        };
        let bound = take(&settings.listen, settings.workers(), "gRPC")?;
        let grpc = bound.listen().clone();

        let telemetry = telemetry::open(&settings.telemetry)?;
        let clock: identity::Clock = Arc::new(SystemTime::now);
        let wanted = settings.identities().map_err(anyhow::Error::msg)?;
        let (identities, upkeep) = Identities::open(wanted, clock).map_err(anyhow::Error::msg)?;
        let (upstream, plane) = find(settings, &identities, &telemetry).await?;
        let aws_json = match (&plane, &settings.aws_json) {
            (Some(plane), AwsJson::At(listen)) => {
                Some((take(listen, 1, "AWS-JSON")?, plane.plane.clone()))
            }
            _ => None,
        };
        let facade_settings = facade_settings(settings);
        let told = telemetry.clone();
        let facade = move || {
            Facade::new(upstream(), facade_settings.clone(), facade_ambient()).telling(told.clone())
        };
        let reflection = if settings.reflection() {
            reflection::services()
        } else {
            Services::default()
        };
        let health = Health::default();
        let services = move || proton(facade()).and(reflection.clone());
        let mut server = Server::start(
            bound,
            health.clone(),
            identities,
            telemetry.clone(),
            services,
        )?;
        let mut aws_json_listen = None;
        if let Some((bound, plane)) = aws_json {
            aws_json_listen = Some(bound.listen().clone());
            server = server.with_aws_json(bound, plane)?;
        }
        let mut metrics_listen = None;
        if let (Some(listen), Some(metrics)) = (&settings.telemetry.metrics, &telemetry.metrics) {
            let bound = Bound::to(listen, settings.socket_mode, 1);
            let bound = bound.with_context(|| format!("cannot listen on {listen} for metrics"))?;
            metrics_listen = Some(bound.listen().clone());
            let plane = plane.as_ref().map(|plane| plane.plane.clone());
            server = server.with_metrics(bound, Arc::clone(metrics), tls.clone(), plane)?;
        }
        health.set_serving(true);

        say(&format!("grpc listening on {grpc}"));
        if let Some(listen) = &aws_json_listen {
            say(&format!("aws-json listening on {listen}"));
        }
        if let Some(listen) = &metrics_listen {
            say(&format!("metrics listening on {listen}"));
        }
        Ok(Self {
            server,
            grpc,
            aws_json: aws_json_listen,
            metrics: metrics_listen,
            telemetry,
            plane,
            _upkeep: AbortOnDropHandle::new(tokio::spawn(upkeep.run())),
            _certificates: tls.map(keep_current).transpose()?,
        })
    }

    /// Where gRPC clients connect.
    pub fn grpc(&self) -> &Listen {
        &self.grpc
    }

    /// Where AWS CLIs and SDKs connect, if they may.
    pub fn aws_json(&self) -> Option<&Listen> {
        self.aws_json.as_ref()
    }

    /// Where metrics are told, if they are.
    pub fn metrics(&self) -> Option<&Listen> {
        self.metrics.as_ref()
    }

    /// Lets calls under way come to their end, unless `now` does first.
    pub async fn stop(self, wait: Duration, now: impl Future<Output = SignalKind>) -> End {
        let orderly = async {
            self.server.drain(wait).await;
            if let Some(plane) = self.plane
                && timeout(HAND_BACK, plane.stop()).await.is_err()
            {
                tracing::warn!(after = ?HAND_BACK, "the control plane did not end in time");
            }
            telemetry::close(&self.telemetry).await;
        };
        tokio::select! {
            () = orderly => End::Drained,
            signal = now => {
                tracing::warn!("told to stop at once: calls in flight are lost");
                End::Cut(signal)
            }
        }
    }
}

/// Takes up certificates that have changed, now and then and on SIGHUP.
fn keep_current(tls: Tls) -> Result<AbortOnDropHandle<()>> {
    let mut hangup = Signals::on(SignalKind::hangup())?;
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = hangup.recv() => {}
                () = sleep(LOOK_AT_FILES_EVERY) => {}
            }
            tls.reload(SystemTime::now());
        }
    })))
}

/// Makes the upstream of one thread.
type MakeUpstream = Box<dyn Fn() -> Upstream + Send + Sync>;

/// What the facade calls, warm, and the control plane if that is it.
async fn find(
    settings: &Settings,
    identities: &Identities,
    telemetry: &Telemetry,
) -> Result<(MakeUpstream, Option<PlaneThread>)> {
    let url = match &settings.upstream {
        UpstreamSetting::Embedded => {
            let plane = open(settings, telemetry).await?;
            let embedded = Embedded {
                plane: plane.clone(),
                identities: identities.clone(),
            };
            let upstream = Upstream::embedded(Arc::new(embedded), &settings.region);
            upstream.warm().await;
            let thread = PlaneThread::start(plane)?;
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
async fn open(settings: &Settings, telemetry: &Telemetry) -> Result<ControlPlane> {
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
        telemetry: telemetry.clone(),
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

/// The control plane's work, on a thread of its own.
struct PlaneThread {
    plane: ControlPlane,
    stop: watch::Sender<bool>,
    ended: tokio::sync::oneshot::Receiver<()>,
    thread: JoinHandle<()>,
}

impl PlaneThread {
    fn start(plane: ControlPlane) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, mut stopping) = watch::channel(false);
        let (done, ended) = tokio::sync::oneshot::channel();
        let worked = plane.clone();
        let work = move || {
            runtime.block_on(reconcile::run(worked, async move {
                // A sender that is gone means the same as the word.
                let _ = stopping.wait_for(|stop| *stop).await;
            }));
            let _ = done.send(());
        };
        let thread = std::thread::Builder::new()
            .name("control-plane".to_owned())
            .spawn(work)?;
        Ok(Self {
            plane,
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
        Ok(Self {
            terminate: Self::on(SignalKind::terminate())?,
            interrupt: Self::on(SignalKind::interrupt())?,
        })
    }

    fn on(kind: SignalKind) -> Result<Signal> {
        signal(kind).context("cannot listen for signals")
    }

    pub(super) async fn next(&mut self) -> SignalKind {
        let (signal, name) = tokio::select! {
            Some(()) = self.terminate.recv() => (SignalKind::terminate(), "SIGTERM"),
            Some(()) = self.interrupt.recv() => (SignalKind::interrupt(), "SIGINT"),
            else => pending().await,
        };
        tracing::info!("{name} received");
        signal
    }
}
