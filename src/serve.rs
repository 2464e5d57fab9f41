//! `serve`: everything that runs, put together.

use std::{future::pending, io::Write};

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    config::Settings,
    server::{Bound, Health, Server, Services, reflection},
};

/// Serves until a signal ends it; the next signal ends it at once.
pub async fn run(settings: Settings) -> Result<()> {
    let mut signals = Signals::new()?;
    let bound = Bound::to(settings.listen, settings.workers())
        .with_context(|| format!("cannot listen on {} for gRPC", settings.listen))?;
    let grpc = bound.address();

    let health = Health::default();
    let reflection = if settings.reflection() {
        reflection::services()
    } else {
        Services::default()
    };
    let server = Server::start(bound, health.clone(), move || reflection.clone())?;
    health.set_serving(true);
    say(&format!("grpc listening on {grpc}"));

    signals.next().await;
    server.drain(settings.drain_wait, signals.next()).await;
    Ok(())
}

/// One line on standard output, for whoever started us and waits for it.
fn say(line: &str) {
    // A closed standard output is nobody waiting.
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// What asks a process to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let on = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        let name = tokio::select! {
            Some(()) = self.terminate.recv() => "SIGTERM",
            Some(()) = self.interrupt.recv() => "SIGINT",
            else => pending().await,
        };
        tracing::info!("{name} received");
    }
}
