//! What calls cost the control plane when it keeps little and when it keeps much, on each engine, in turns.
//!
//!     store [--quick] [--json] [postgres://EMPTY-DATABASE postgres://ANOTHER-EMPTY-DATABASE]
//!
//! One service with ten deployments is made by real calls. Its records are multiplied, and imported into two stores: one of 100
//! services and 1,000 deployments, one of 10,000 and 100,000. Then the same calls go to both, without a client or a socket that
//! would hide what differs. Prints the median of each call in microseconds, the ratio, and the memory of the process.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use proton_grpc::control_plane::bundle::source::Source;
use proton_grpc::control_plane::provision::{Engines, local};
use proton_grpc::control_plane::store::{Database, Member, Store};
use proton_grpc::control_plane::{Caller, ControlPlane, Limits, Parts, ambient, reconcile, wire};
use proton_grpc::telemetry::Telemetry;
use serde_json::{Value, json};

const EXAMPLES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/bundles/cloudformation"
);
const ACCOUNT: &str = "111122223333";
/// The service that is multiplied; its number is written out, so that names order as numbers do.
const ORIGINAL: &str = "frontend-00000";
const SPEC: &str = "proton: ServiceSpec\npipeline:\n  source_folder: app\ninstances:\n  - name: prod\n    environment: shared\n    spec:\n      memory_mb: 512\n";
const DEPLOYMENTS: usize = 10;
const LITTLE: usize = 100;
const MUCH: usize = 10_000;
/// A call on much costs at most so many times what it costs on little.
const GOAL: f64 = 1.5;

/// What is called, and how often a turn does it.
const CALLS: [(&str, u32); 6] = [
    ("GetService", 100),
    ("GetDeployment", 100),
    ("ListServices", 10),
    ("ListServiceInstances", 10),
    ("ListDeployments", 10),
    ("CreateService", 10),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // Cargo says --bench.
    let (flags, urls): (Vec<_>, Vec<_>) = env::args().skip(1).partition(|it| it.starts_with("--"));
    let has = |flag: &str| flags.iter().any(|it| it == flag);
    let turns = if has("--quick") { 5 } else { 30 };
    let directory = tempfile::tempdir()?;
    let export = original(directory.path()).await?;

    let at = |name: &str| Store::open(&directory.path().join(name));
    let mut rows = measure("SQLite", at("little")?, at("much")?, &export, turns).await?;
    if let [little, much] = &urls[..] {
        let (little, much) = (connect(little).await?, connect(much).await?);
        rows.extend(measure("PostgreSQL", little, much, &export, turns).await?);
    }
    let peak = peak_mib()?;
    if has("--json") {
        println!("{}", json!({ "calls": rows, "peak_mib": peak }));
        return Ok(());
    }
    println!(
        "{:12}{:22}{LITTLE:>10}{MUCH:>10}{:>8}",
        "engine", "µs with … services", "ratio"
    );
    for row in rows {
        let text = |member: &str| row[member].as_str().unwrap_or_default().to_owned();
        let number = |member: &str| row[member].as_f64().unwrap_or_default();
        let (little, much, ratio) = (number("little_us"), number("much_us"), number("ratio"));
        println!(
            "{:12}{:22}{little:10.1}{much:10.1}{ratio:8.2}  {}",
            text("engine"),
            text("call"),
            if ratio <= GOAL { "ok" } else { "miss" }
        );
    }
    println!("memory at its peak, filling included: {peak:.0} MiB");
    Ok(())
}

async fn connect(url: &str) -> Result<Store> {
    let database: Database = url.parse().map_err(anyhow::Error::msg)?;
    let name = uuid::Uuid::new_v4().to_string();
    let look_every = Duration::from_secs(1);
    Ok(Store::connect(&database, Member { name, look_every }).await?)
}

fn plane(store: Store, bundles: &Path) -> ControlPlane {
    let at_once = Duration::ZERO;
    let handed_over = Arc::new(local::HandOver::new(local::Ending::Succeeds {
        pace: at_once,
    }));
    ControlPlane::new(Parts {
        store,
        bundles: Source::Directory(bundles.to_owned()),
        engines: Engines {
            cloudformation: Arc::new(local::CloudFormation::new(at_once)),
            terraform: handed_over.clone(),
            codebuild: handed_over,
        },
        ambient: Arc::new(ambient::System),
        caller: Caller::new(ACCOUNT, "us-east-1"),
        accounts: BTreeMap::new(),
        events: None,
        limits: Limits {
            services: i64::MAX,
            ..Limits::default()
        },
        telemetry: Telemetry::default(),
    })
}

async fn call(plane: &ControlPlane, operation: &str, request: &Value) -> Result<Value> {
    let http = http::Request::post("/")
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", format!("AwsProton20200720.{operation}"))
        .body(Bytes::from(request.to_string()))?;
    let response = wire::handle(plane, http).await;
    let answer = serde_json::from_slice(response.body())?;
    ensure!(response.status() == 200, "{operation} {request}: {answer}");
    Ok(answer)
}

/// Makes the one service and exports it with all that it needs.
async fn original(directory: &Path) -> Result<Vec<String>> {
    for part in ["environment", "service"] {
        let bucket = directory.join("bundles/examples");
        fs::create_dir_all(&bucket)?;
        let file = File::create(bucket.join(format!("{part}.tar.gz")))?;
        let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
        archive.append_dir_all("", Path::new(EXAMPLES).join(part))?;
        archive.into_inner()?.finish()?;
    }
    let plane = plane(
        Store::open(&directory.join("original"))?,
        &directory.join("bundles"),
    );
    let working = tokio::spawn(reconcile::run(plane.clone(), std::future::pending()));
    make(&plane).await?;
    working.abort();
    let mut export = Vec::new();
    // The worker may hold the plane for a moment more, but its work is done.
    plane_store(&directory.join("original"), plane)
        .await?
        .export(&mut export, |_| {})
        .await?;
    Ok(export.lines().collect::<Result<_, _>>()?)
}

async fn plane_store(directory: &Path, plane: ControlPlane) -> Result<Store> {
    plane.close().await;
    Ok(Store::open(directory)?)
}

async fn make(plane: &ControlPlane) -> Result<()> {
    for (kind, part) in [("Environment", "environment"), ("Service", "service")] {
        call(
            plane,
            &format!("Create{kind}Template"),
            &json!({ "name": part }),
        )
        .await?;
        let mut version = json!({
            "templateName": part,
            "source": { "s3": { "bucket": "examples", "key": format!("{part}.tar.gz") } },
        });
        if kind == "Service" {
            let compatible = json!([{ "templateName": "environment", "majorVersion": "1" }]);
            version["compatibleEnvironmentTemplates"] = compatible;
        }
        call(plane, &format!("Create{kind}TemplateVersion"), &version).await?;
        let version = json!({ "templateName": part, "majorVersion": "1", "minorVersion": "0" });
        settled(
            plane,
            &format!("Get{kind}TemplateVersion"),
            &version,
            "DRAFT",
        )
        .await?;
        let publish = with(&version, "status", "PUBLISHED");
        call(plane, &format!("Update{kind}TemplateVersion"), &publish).await?;
    }
    let role = format!("arn:aws:iam::{ACCOUNT}:role/proton");
    let environment = json!({
        "name": "shared", "templateName": "environment", "templateMajorVersion": "1",
        "spec": "proton: EnvironmentSpec\nspec:\n  alarm_email: on-call@example.com\n",
        "protonServiceRoleArn": role,
    });
    call(plane, "CreateEnvironment", &environment).await?;
    settled(
        plane,
        "GetEnvironment",
        &json!({ "name": "shared" }),
        "SUCCEEDED",
    )
    .await?;
    let pipelines = json!({ "pipelineServiceRoleArn": role });
    call(plane, "UpdateAccountSettings", &pipelines).await?;
    call(plane, "CreateService", &service(ORIGINAL)).await?;
    settled(plane, "GetService", &json!({ "name": ORIGINAL }), "ACTIVE").await?;
    let instance = json!({ "serviceName": ORIGINAL, "name": "prod" });
    // Creating it has deployed the instance and the pipeline.
    for n in 2..DEPLOYMENTS {
        let spec = SPEC.replace("512", &format!("{}", 512 + n));
        let update = with(
            &with(&instance, "spec", &spec),
            "deploymentType",
            "CURRENT_VERSION",
        );
        call(plane, "UpdateServiceInstance", &update).await?;
        settled(plane, "GetServiceInstance", &instance, "SUCCEEDED").await?;
    }
    Ok(())
}

fn service(name: &str) -> Value {
    json!({
        "name": name, "templateName": "service", "templateMajorVersion": "1", "spec": SPEC,
        "repositoryConnectionArn": "arn:aws:codestar-connections:us-east-1:111122223333:connection/c0ffee00-0000-4000-8000-000000000000",
        "repositoryId": "example/frontend", "branchName": "main",
    })
}

fn with(request: &Value, member: &str, value: &str) -> Value {
    let mut request = request.clone();
    request[member] = value.into();
    request
}

/// Asks until the one resource of the answer has the status.
async fn settled(plane: &ControlPlane, get: &str, request: &Value, status: &str) -> Result<()> {
    for _ in 0..10_000 {
        let answer = call(plane, get, request).await?;
        let resource = answer.as_object().and_then(|answer| answer.values().next());
        let now = resource.and_then(|it| it.get("status").or(it.get("deploymentStatus")));
        match now.and_then(Value::as_str) {
            Some(now) if now == status => return Ok(()),
            Some(now) if now.contains("FAILED") => bail!("{get} {request}: {answer}"),
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    bail!("{get} {request}: never {status}")
}

/// A control plane over a store that was filled, and where its calls are.
struct Filled {
    plane: ControlPlane,
    services: usize,
    deployments: Vec<String>,
    calls: usize,
    /// Lists go on where they ended.
    tokens: BTreeMap<&'static str, Value>,
}

impl Filled {
    async fn fill(store: Store, export: &[String], services: usize) -> Result<Self> {
        let mut lines = tempfile::tempfile()?;
        let deployments = multiply(export, services, &mut lines)?;
        std::io::Seek::rewind(&mut lines)?;
        eprintln!("filling a store with {services} services");
        store.import(BufReader::new(lines), |_| {}).await?;
        let plane = plane(store, Path::new("no more bundles"));
        Ok(Self {
            plane,
            services,
            deployments,
            calls: 0,
            tokens: BTreeMap::new(),
        })
    }

    async fn call(&mut self, operation: &'static str) -> Result<()> {
        self.calls += 1;
        // Somewhere else each time.
        let n = self.calls.wrapping_mul(2_654_435_761) % self.services;
        let mut request = match operation {
            "GetService" => json!({ "name": numbered(n) }),
            "GetDeployment" => json!({ "id": self.deployments[n] }),
            "CreateService" => service(&format!("new-{}", self.calls)),
            "ListDeployments" => json!({ "environmentName": "shared", "maxResults": 100 }),
            _ => json!({ "maxResults": 100 }),
        };
        if let Some(token) = self.tokens.remove(operation) {
            request["nextToken"] = token;
        }
        let mut answer = call(&self.plane, operation, &request).await?;
        if operation.starts_with("List") && answer["nextToken"].is_string() {
            self.tokens.insert(operation, answer["nextToken"].take());
        }
        Ok(())
    }
}

fn numbered(n: usize) -> String {
    format!("frontend-{n:05}")
}

/// Writes the export with so many services instead of one; returns a deployment of each.
fn multiply(export: &[String], services: usize, to: &mut File) -> Result<Vec<String>> {
    let mut to = BufWriter::new(to);
    let parsed = export
        .iter()
        .map(|line| Ok((serde_json::from_str(line)?, &**line)));
    let parsed: Vec<(Value, &str)> = parsed.collect::<Result<_>>()?;
    let ids = parsed
        .iter()
        .filter(|(line, text)| line["record"]["kind"] == "deployment" && text.contains(ORIGINAL));
    let ids: Vec<&str> = ids
        .filter_map(|(line, _)| line["record"]["id"].as_str())
        .collect();
    ensure!(
        ids.len() == DEPLOYMENTS,
        "{} deployments were made",
        ids.len()
    );
    let own = |text: &str| text.contains(ORIGINAL) || ids.iter().any(|id| text.contains(id));
    let (mut records, mut blobs) = (0_u64, 0_u64);
    for kind in ["header", "record", "blob"] {
        for (line, text) in parsed.iter().filter(|(line, _)| line.get(kind).is_some()) {
            let copies = match own(text) {
                // Tokens of calls are not worth multiplying.
                true if line["record"]["kind"] == "client_token" => 0,
                true => services,
                false => 1,
            };
            for n in 0..copies {
                let mut text = text.replace(ORIGINAL, &numbered(n));
                for id in &ids {
                    text = text.replace(id, &renumbered(id, n));
                }
                writeln!(to, "{text}")?;
            }
            *(if kind == "record" {
                &mut records
            } else {
                &mut blobs
            }) += copies as u64;
        }
    }
    // The header is not a blob.
    let totals = json!({ "records": records, "blobs": blobs - 1, "work": 0, "events": 0 });
    writeln!(to, "{}", json!({ "end": totals }))?;
    to.flush()?;
    Ok((0..services).map(|n| renumbered(ids[0], n)).collect())
}

/// The id of the copy of a deployment: of the same time, with other digits where ids are random.
fn renumbered(id: &str, n: usize) -> String {
    format!("{}{n:012}", &id[..24])
}

async fn measure(
    engine: &str,
    little: Store,
    much: Store,
    export: &[String],
    turns: u32,
) -> Result<Vec<Value>> {
    let mut stores = [
        Filled::fill(little, export, LITTLE).await?,
        Filled::fill(much, export, MUCH).await?,
    ];
    let mut rows = Vec::new();
    for (operation, times) in CALLS {
        eprintln!("{engine}: {operation}");
        let mut took = [Vec::new(), Vec::new()];
        // The first turn warms up: a store in use, not one that was just opened.
        for turn in 0..=turns {
            for (filled, took) in stores.iter_mut().zip(&mut took) {
                for _ in 0..times {
                    let start = Instant::now();
                    filled.call(operation).await.context(engine.to_owned())?;
                    if turn > 0 {
                        took.push(start.elapsed().as_secs_f64() * 1e6);
                    }
                }
            }
        }
        let [little, much] = took.map(|mut took| {
            took.sort_by(f64::total_cmp);
            took[took.len() / 2]
        });
        let ratio = much / little;
        rows.push(json!({ "engine": engine, "call": operation, "little_us": little, "much_us": much, "ratio": ratio }));
    }
    for filled in stores {
        filled.plane.close().await;
    }
    Ok(rows)
}

fn peak_mib() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.context("no VmHWM")?.parse::<f64>()? / 1024.0)
}
