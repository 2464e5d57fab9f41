//! Telemetry as the settings have it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use tokio::time::timeout;

use crate::{
    cli::config,
    telemetry::{Metrics, Telemetry, Traces},
};

/// For the collector to take the last spans.
const LAST_SPANS: Duration = Duration::from_secs(3);

pub(super) fn open(settings: &config::Telemetry) -> Result<Telemetry> {
    let traces = settings.otlp.as_ref().map(|collector| {
        Traces::to(&collector.to_string())
            .with_context(|| format!("cannot send spans to {collector}"))
    });
    Ok(Telemetry {
        metrics: settings.metrics.as_ref().map(|_| Arc::<Metrics>::default()),
        traces: traces.transpose()?,
    })
}

/// Has the last spans sent.
pub(super) async fn close(telemetry: &Telemetry) {
    if let Some(traces) = &telemetry.traces
        && timeout(LAST_SPANS, traces.close()).await.is_err()
    {
        tracing::warn!(after = ?LAST_SPANS, "the collector did not take the last spans in time");
    }
}
