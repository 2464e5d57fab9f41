//! The span of one call, which all that work for the call may add to.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use opentelemetry::{
    KeyValue,
    trace::{Span as _, SpanContext, Status},
};
use opentelemetry_sdk::trace::Span as Recorded;

use crate::api::Operation;

tokio::task_local! {
    /// The call that the present task works for, where no request with extensions goes.
    static PRESENT: Span;
}

/// Names the resource that the present call is about, if it has a span.
pub fn about<O: Operation>(request: &O::Request) {
    // An error means that there is none.
    let _ = PRESENT.try_with(|span| {
        span.note(|noted| noted.about(O::FACTS.resource, O::resource_name(request)));
    });
}

/// The span of a call. Clones are the same; it ends when it is told to, or with the last of them.
#[derive(Clone)]
pub struct Span(Arc<Shared>);

struct Shared {
    context: SpanContext,
    recorded: Mutex<Recorded>,
    noted: Mutex<Noted>,
    records: bool,
}

/// What is known at the end: a call that asks the upstream many times says it once.
#[derive(Default)]
struct Noted {
    resource: Option<(&'static str, String)>,
    upstream_id: Option<String>,
    attempts: u32,
}

impl Noted {
    fn about(&mut self, kind: &'static str, name: String) {
        self.resource = Some((kind, name));
    }
}

impl Span {
    pub(super) fn new(recorded: Recorded) -> Self {
        Self(Arc::new(Shared {
            context: recorded.span_context().clone(),
            records: recorded.is_recording(),
            recorded: Mutex::new(recorded),
            noted: Mutex::default(),
        }))
    }

    /// Works for the call.
    pub async fn present<T>(&self, work: impl Future<Output = T>) -> T {
        PRESENT.scope(self.clone(), work).await
    }

    pub fn trace_id(&self) -> impl fmt::Display {
        self.0.context.trace_id()
    }

    /// Names the resource that the call is about: its kind, and its name below its parents.
    pub fn about(&self, kind: &'static str, name: &str) {
        self.note(|noted| noted.about(kind, name.to_owned()));
    }

    /// Notes an answer of the upstream, and after how many requests it came.
    pub fn asked(&self, attempts: u32, request_id: Option<&str>) {
        self.note(|noted| {
            noted.attempts += attempts;
            noted.upstream_id = request_id.map(str::to_owned);
        });
    }

    /// What a request that is made for the call carries.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let context = &self.0.context;
        let parent = format!(
            "00-{}-{}-{:02x}",
            context.trace_id(),
            context.span_id(),
            context.trace_flags().to_u8() & 1,
        );
        let state = context.trace_state().header();
        let headers = [("traceparent", parent), ("tracestate", state)].into_iter();
        headers.filter(|(_, value)| !value.is_empty())
    }

    /// Ends it with these attributes, and as failed if what failed is here.
    pub fn end(&self, failed: bool, attributes: impl IntoIterator<Item = KeyValue>) {
        if !self.0.records {
            return;
        }
        let noted = std::mem::take(&mut *lock(&self.0.noted));
        let mut span = lock(&self.0.recorded);
        span.set_attributes(attributes);
        if let Some((kind, name)) = noted.resource {
            span.set_attribute(KeyValue::new("proton.resource.type", kind));
            span.set_attribute(KeyValue::new("proton.resource.name", name));
        }
        if noted.attempts > 0 {
            let attempts = i64::from(noted.attempts);
            span.set_attribute(KeyValue::new("proton.upstream.attempts", attempts));
        }
        if let Some(id) = noted.upstream_id {
            span.set_attribute(KeyValue::new("aws.request_id", id));
        }
        if failed {
            span.set_status(Status::error(""));
        }
        span.end();
    }

    fn note(&self, note: impl FnOnce(&mut Noted)) {
        if self.0.records {
            note(&mut lock(&self.0.noted));
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Span").field(&self.0.context).finish()
    }
}
