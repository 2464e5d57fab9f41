//! `quickstart`: from nothing to published templates, over real gRPC calls, shown one by one.
//!
//! Every step is a call that the reader can repeat: it is printed as the command that makes it.

use std::{env, ffi::OsString, fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{
    bundle,
    call::Call,
    config::Settings,
    serve::{Serving, Signals, say},
};

const ENVIRONMENT: &str = "shared-resources";
const SERVICE: &str = "queue-worker";
const BUCKET: &str = "quickstart";
/// Longer lines of answers are cut: a schema is one of them.
const WIDTH: usize = 120;

/// An example bundle that travels in the binary: its files by their path in the bundle.
macro_rules! example {
    ($($path:literal in $folder:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../examples/bundles/", $folder, "/", $path)).as_slice())),*]
    };
}

const ENVIRONMENT_BUNDLE: &[(&str, &[u8])] = example![
    "schema/schema.yaml" in "cloudformation/environment",
    "infrastructure/manifest.yaml" in "cloudformation/environment",
    "infrastructure/cloudformation.yaml" in "cloudformation/environment",
];

const SERVICE_BUNDLE: &[(&str, &[u8])] = example![
    "schema/schema.yaml" in "cloudformation/service",
    "instance_infrastructure/manifest.yaml" in "cloudformation/service",
    "instance_infrastructure/cloudformation.yaml" in "cloudformation/service",
    "pipeline_infrastructure/manifest.yaml" in "cloudformation/service",
    "pipeline_infrastructure/cloudformation.yaml" in "cloudformation/service",
];

/// The story, and where it takes place.
pub struct Story {
    once: bool,
    data_dir: PathBuf,
}

impl Story {
    pub fn new(once: bool) -> Self {
        let name = format!("proton-grpc-quickstart-{}", uuid::Uuid::new_v4().simple());
        Self {
            once,
            data_dir: env::temp_dir().join(name),
        }
    }

    /// The settings to serve with: a new data directory, and any ports if nobody will come back to
    /// them, unless `given` says otherwise.
    pub fn settings(&self, given: Vec<OsString>) -> Vec<OsString> {
        let mut line = vec![
            "--log=warn".into(),
            "--data-dir".into(),
            self.data_dir.clone().into(),
        ];
        if self.once {
            line.extend([
                "--listen=127.0.0.1:0".into(),
                "--aws-json=127.0.0.1:0".into(),
            ]);
        }
        line.extend(given);
        line
    }

    /// Serves, tells the story, and goes on serving unless it is told once.
    pub async fn run(&mut self, settings: Settings) -> Result<()> {
        let mut signals = Signals::new()?;
        let serving = Serving::start(&settings).await?;
        let told = tokio::select! {
            told = tell(&serving, &settings) => told,
            () = signals.next() => bail!("stopped before the end of the story"),
        };
        if told.is_ok() && !self.once {
            next_steps(&serving, &settings);
            signals.next().await;
        }
        serving.stop(settings.drain_wait, signals.next()).await;
        if self.once {
            // Only what this story made; a directory that was named is somebody's.
            let _ = fs::remove_dir_all(&self.data_dir);
        }
        told
    }
}

async fn tell(serving: &Serving, settings: &Settings) -> Result<()> {
    let teller = Teller {
        address: format!("http://{}", serving.grpc()),
        settings,
    };

    say("\n# An environment template, and its first version from a bundle");
    teller
        .call(
            "CreateEnvironmentTemplate",
            &json!({"name": ENVIRONMENT, "displayName": "Shared resources"}),
        )
        .await?;
    let source = teller.push(ENVIRONMENT_BUNDLE, ENVIRONMENT).await?;
    let version = teller
        .register(
            "EnvironmentTemplate",
            "environmentTemplateVersion",
            json!({"templateName": ENVIRONMENT, "source": source}),
        )
        .await?;

    say("\n# A service template with a pipeline, for environments of that template");
    teller
        .call(
            "CreateServiceTemplate",
            &json!({"name": SERVICE, "displayName": "Queue worker"}),
        )
        .await?;
    let source = teller.push(SERVICE_BUNDLE, SERVICE).await?;
    let compatible =
        json!([{"templateName": ENVIRONMENT, "majorVersion": version["majorVersion"]}]);
    let request = json!({"templateName": SERVICE, "source": source, "compatibleEnvironmentTemplates": compatible});
    teller
        .register("ServiceTemplate", "serviceTemplateVersion", request)
        .await?;

    say("\n# What there is now");
    teller.call("ListServiceTemplates", &json!({})).await?;
    teller.call("GetResourcesSummary", &json!({})).await?;

    say("\n# What a mistake looks like");
    teller
        .fail(
            "GetEnvironmentTemplate",
            &json!({"name": "no-such-template"}),
        )
        .await?;
    teller
        .fail(
            "CreateEnvironmentTemplate",
            &json!({"name": "-", "displayName": ""}),
        )
        .await
}

/// Makes the calls and shows them.
struct Teller<'a> {
    address: String,
    settings: &'a Settings,
}

impl Teller<'_> {
    /// Registers a version, waits until it is, and publishes it. Answers the version.
    async fn register(&self, template: &str, member: &str, request: Value) -> Result<Value> {
        let created = self
            .call(&format!("Create{template}Version"), &request)
            .await?;
        let created = &created[member];
        let mut version = json!({
            "templateName": created["templateName"],
            "majorVersion": created["majorVersion"],
            "minorVersion": created["minorVersion"],
        });
        let wait = format!("ProtonStreamingService/WaitUntil{template}VersionRegistered");
        self.call(&wait, &version).await?;
        version["status"] = "TEMPLATE_VERSION_STATUS_PUBLISHED".into();
        let published = self
            .call(&format!("Update{template}Version"), &version)
            .await?;
        Ok(published[member].clone())
    }

    /// Lays an example bundle out in the data directory and pushes it from there.
    async fn push(&self, example: &[(&str, &[u8])], name: &str) -> Result<Value> {
        let directory = self.settings.data_dir.join("quickstart").join(name);
        for (path, contents) in example {
            let path = directory.join(path);
            let folder = path.parent().context("a bundle's files lie in folders")?;
            fs::create_dir_all(folder).and_then(|()| fs::write(&path, contents))?;
        }
        let key = format!("{name}.tar.gz");
        let bundles = self.settings.bundles();
        say(&format!(
            "\n$ proton-grpc bundle push {} {BUCKET} {key} --bundles {bundles}",
            directory.display()
        ));
        let size = bundle::push(&directory, &bundles, &self.settings.region, BUCKET, &key).await?;
        say(&format!("pushed {size} bytes"));
        Ok(json!({"s3": {"bucket": BUCKET, "key": key}}))
    }

    /// Makes a call that must succeed. Answers its last response.
    async fn call(&self, method: &str, request: &Value) -> Result<Value> {
        let mut last = Value::Null;
        let call = self.show(method, request);
        let answered = call
            .make(|response| {
                show(response);
                last = serde_json::from_str(response).unwrap_or_default();
            })
            .await?;
        match answered {
            Ok(()) => Ok(last),
            Err(status) => bail!("{method} failed: {}", call.describe(&status)),
        }
    }

    /// Makes a call that must fail.
    async fn fail(&self, method: &str, request: &Value) -> Result<()> {
        let call = self.show(method, request);
        let status = call
            .make(show)
            .await?
            .err()
            .with_context(|| format!("{method} did not fail"))?;
        show(&call.describe(&status));
        Ok(())
    }

    fn show(&self, method: &str, request: &Value) -> Call {
        say(&format!("\n$ proton-grpc call {method} '{request}'"));
        Call::new(&self.address, method, &request.to_string())
    }
}

fn show(answer: &str) {
    for line in answer.lines() {
        match line.char_indices().nth(WIDTH) {
            Some((cut, _)) => say(&format!("{}…", &line[..cut])),
            None => say(line),
        }
    }
}

fn next_steps(serving: &Serving, settings: &Settings) {
    let grpc = serving.grpc();
    say(&format!(
        "\nServing from {}. Try, in another terminal:\n
  proton-grpc call GetEnvironmentTemplate '{{\"name\": \"{ENVIRONMENT}\"}}' --address http://{grpc}
  grpcurl -plaintext {grpc} list
  grpcurl -plaintext -d '{{\"name\": \"{SERVICE}\"}}' {grpc} proton.v1.ProtonService/GetServiceTemplate",
        settings.data_dir.display()
    ));
    if let Some(address) = serving.aws_json() {
        say(&format!(
            "  AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any AWS_DEFAULT_REGION={} \\
    aws proton list-environment-templates --endpoint-url http://{address}",
            settings.region
        ));
    }
    say("\nCtrl-C ends it.");
}
