//! Takes spans to the collector, on a thread and a runtime of its own.
//!
//! Ending a span costs a push to a list. The thread takes the list every second, or when it is long
//! enough for a message; while the collector is slow the list grows up to a bound, and what does not
//! fit is dropped and counted. No call ever waits.

use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter as _, SpanProcessor},
};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::telemetry::metrics::Spans;

/// How many spans a message has.
const TOGETHER: usize = 512;
/// How many wait at most.
const MOST: usize = 8 * TOGETHER;
const EVERY: Duration = Duration::from_secs(1);

/// Why no spans can be sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the collector's URL is of no use")]
    Endpoint(#[from] ExporterBuildError),
    #[error("there is no thread to send spans from")]
    Thread(#[from] std::io::Error),
}

/// The spans that wait, and what became of the others.
#[derive(Debug, Default)]
struct Waiting {
    spans: Mutex<Vec<SpanData>>,
    enough: Notify,
    exported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// Where spans come in.
#[derive(Clone, Debug)]
pub(super) struct Queue(Arc<Waiting>);

/// The thread that sends them.
#[derive(Debug)]
pub(super) struct Exports {
    waiting: Arc<Waiting>,
    closing: CancellationToken,
    /// Its sender goes away when the thread has ended.
    ended: watch::Receiver<()>,
}

impl Exports {
    pub(super) fn start(endpoint: &str, resource: Resource) -> Result<(Self, Queue), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let exporter = {
            // The connection is the runtime's.
            let _inside = runtime.enter();
            let builder = SpanExporter::builder().with_tonic();
            builder.with_endpoint(endpoint).build()
        };
        let mut exporter = exporter?;
        exporter.set_resource(&resource);
        let waiting = Arc::<Waiting>::default();
        let closing = CancellationToken::new();
        let (alive, ended) = watch::channel(());
        let (taken, close) = (Arc::clone(&waiting), closing.clone());
        thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || {
                runtime.block_on(taken.export(&exporter, &close));
                runtime.shutdown_background();
                drop(alive);
            })?;
        let queue = Queue(Arc::clone(&waiting));
        let exports = Self {
            waiting,
            closing,
            ended,
        };
        Ok((exports, queue))
    }

    pub(super) fn counts(&self) -> Spans {
        Spans {
            exported: self.waiting.exported.load(Relaxed),
            failed: self.waiting.failed.load(Relaxed),
            dropped: self.waiting.dropped.load(Relaxed),
        }
    }

    /// Has what waits sent, and ends the thread.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

impl Waiting {
    fn push(&self, span: SpanData) {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if spans.len() == MOST {
            self.dropped.fetch_add(1, Relaxed);
            return;
        }
        spans.push(span);
        if spans.len() == TOGETHER {
            self.enough.notify_one();
        }
    }

    async fn export(&self, exporter: &SpanExporter, closing: &CancellationToken) {
        let mut told = false;
        loop {
            let closed = tokio::select! {
                () = closing.cancelled() => true,
                _ = timeout(EVERY, self.enough.notified()) => false,
            };
            let spans = mem::take(&mut *self.spans.lock().unwrap_or_else(PoisonError::into_inner));
            for spans in spans.chunks(TOGETHER) {
                let count = spans.len() as u64;
                match exporter.export(spans.to_vec()).await {
                    Ok(()) => {
                        self.exported.fetch_add(count, Relaxed);
                        told = false;
                    }
                    Err(error) => {
                        self.failed.fetch_add(count, Relaxed);
                        if !told {
                            tracing::warn!(%error, "spans are lost: the collector does not take them");
                        }
                        told = true;
                    }
                }
            }
            if closed {
                return;
            }
        }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_beyond_the_most_are_dropped_and_counted() {
        use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
        let waiting = Arc::<Waiting>::default();
        let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder()
            .with_span_processor(Queue(Arc::clone(&waiting)))
            .build();
        let tracer = provider.tracer("test");
        for _ in 0..MOST + 3 {
            tracer.start("call").end();
        }
        assert_eq!(waiting.spans.lock().unwrap().len(), MOST);
        assert_eq!(waiting.dropped.load(Relaxed), 3);
    }
}
