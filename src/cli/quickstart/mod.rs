//! `quickstart`: from nothing to a deployed service, over real gRPC calls, shown one by one.
//!
//! Every step is a call that the reader can repeat: it is printed as the command that makes it.

mod story;
mod teller;

use std::{env, ffi::OsString, fs, path::PathBuf};

use anyhow::{Result, bail};

use super::{
    config::Settings,
    serve::{End, Serving, Signals, say},
};
use crate::server::Listen;

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
    pub async fn run(&mut self, settings: Settings) -> Result<End> {
        if settings.tls_cert.is_some() {
            bail!("--tls-cert: the story is told without TLS");
        }
        let mut signals = Signals::new()?;
        let serving = Serving::start(&settings).await?;
        let told = tokio::select! {
            told = story::tell(&serving, &settings) => told,
            _ = signals.next() => bail!("stopped before the end of the story"),
        };
        if told.is_ok() && !self.once {
            next_steps(&serving, &settings);
            signals.next().await;
        }
        let end = serving.stop(settings.drain_wait(), signals.next()).await;
        if self.once {
            // Only what this story made; a directory that was named is somebody's.
            let _ = fs::remove_dir_all(&self.data_dir);
        }
        told.map(|()| end)
    }
}

fn next_steps(serving: &Serving, settings: &Settings) {
    let (grpc, service) = (serving.grpc(), story::SERVICE);
    say(&format!(
        "\nServing from {}. Try, in another terminal:\n
  proton-grpc call GetService '{{\"name\": \"{service}\"}}' --address {}
  grpcurl -plaintext {grpc} list
  grpcurl -plaintext -d '{{\"name\": \"{service}\"}}' {grpc} proton.v1.ProtonService/GetService",
        settings.data_dir.display(),
        url(grpc)
    ));
    if let Some(Listen::Tcp(address)) = serving.aws_json() {
        say(&format!(
            "  AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any AWS_DEFAULT_REGION={} \\
    aws proton list-service-instances --endpoint-url http://{address}",
            settings.region
        ));
    }
    say("\nCtrl-C ends it.");
}

/// As `call` takes it.
fn url(grpc: &Listen) -> String {
    match grpc {
        Listen::Tcp(address) => format!("http://{address}"),
        Listen::Unix(_) => grpc.to_string(),
    }
}
