//! A span for each call, sent to a collector by OTLP.
//!
//! The context of W3C (`traceparent`, `tracestate`) comes in with a call's headers and goes out with
//! its requests to the upstream. Whether a call is recorded is its parent's decision, else that of
//! `OTEL_TRACES_SAMPLER`. A span has the call's names and its outcome, never what it says, nor who
//! makes it: collectors are often somebody else's.

mod context;
mod export;
mod span;

use std::{borrow::Cow, sync::Arc};

use http::HeaderMap;
use opentelemetry::{
    KeyValue,
    trace::{SpanBuilder, SpanKind, Tracer as _, TracerProvider as _},
};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};

pub use export::Error;
pub use span::{Span, about};

use self::export::Exports;
use super::metrics::Spans;

/// Begins spans. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Traces(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tracer: SdkTracer,
    exports: Exports,
    /// Spans hold it weakly.
    _provider: SdkTracerProvider,
}

impl Traces {
    /// Sends spans to the collector at this URL, from a thread of its own.
    pub fn to(endpoint: &str) -> Result<Self, Error> {
        let resource = resource();
        let (exports, queue) = Exports::start(endpoint, resource.clone())?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_span_processor(queue)
            .build();
        Ok(Self(Arc::new(Shared {
            tracer: provider.tracer(env!("CARGO_PKG_NAME")),
            exports,
            _provider: provider,
        })))
    }

    /// Begins the span of a call that came with these headers.
    pub fn begin(
        &self,
        name: impl Into<Cow<'static, str>>,
        headers: &HeaderMap,
        attributes: Vec<KeyValue>,
    ) -> Span {
        let builder = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_attributes(attributes);
        let parent = context::of(headers);
        Span::new(self.0.tracer.build_with_context(builder, &parent))
    }

    /// What became of the spans so far.
    pub fn counts(&self) -> Spans {
        self.0.exports.counts()
    }

    /// Sends what is left. It may take as long as the collector does.
    pub async fn close(&self) {
        self.0.exports.close().await;
    }
}

/// Who sends the spans. The standard variables say it, or else it is this program.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let name = opentelemetry::Key::from_static_str("service.name");
    let said = Resource::builder().build();
    let unknown = said
        .get(&name)
        .is_none_or(|name| name.as_str().starts_with("unknown_service"));
    let resource = match unknown {
        true => Resource::builder().with_service_name(env!("CARGO_PKG_NAME")),
        false => Resource::builder(),
    };
    resource.with_attribute(version).build()
}
