//! A request of AWS-JSON.

use http::{Request, Response};
use opentelemetry::KeyValue;
use tokio::time::Instant;

use super::is_heard;
use crate::{
    api::operation::{self, Facts},
    control_plane::wire::{self, ErrorName},
    identity::Principal,
    telemetry::{Span, Telemetry, logs::Line},
};

/// The code of a request that nobody waits for.
const CANCELLED: &str = "Cancelled";
const OK: &str = "OK";
/// Stands for all operations that are not known.
const OTHER: &str = "other";

pub(crate) struct ObservedRequest {
    pub(crate) span: Option<Span>,
    telemetry: Telemetry,
    /// Known from the beginning if anybody hears of every request.
    operation: Option<&'static Facts>,
    arrived: Instant,
    code: &'static str,
    fault: bool,
    principal: Option<Principal>,
    request_id: Option<String>,
}

impl ObservedRequest {
    pub(crate) fn begin<B>(telemetry: &Telemetry, request: &Request<B>, arrived: Instant) -> Self {
        let operation = match is_heard(telemetry) {
            true => wire::operation(request).and_then(operation::find),
            false => None,
        };
        let name = name(operation);
        if let Some(metrics) = telemetry.metrics() {
            metrics.requests.started(name);
        }
        let span = telemetry.traces.as_ref().map(|traces| {
            let attributes = vec![
                KeyValue::new("rpc.system", "aws-api"),
                KeyValue::new("rpc.service", "Proton"),
                KeyValue::new("rpc.method", name),
            ];
            traces.begin(format!("Proton/{name}"), request.headers(), attributes)
        });
        Self {
            span,
            telemetry: telemetry.clone(),
            operation,
            arrived,
            code: CANCELLED,
            fault: false,
            principal: None,
            request_id: None,
        }
    }

    /// Works for the request.
    pub(crate) async fn present<T>(&self, work: impl Future<Output = T>) -> T {
        match &self.span {
            Some(span) => span.present(work).await,
            None => work.await,
        }
    }

    /// Notes the answer; the request is over.
    pub(crate) fn answered<B>(mut self, response: &Response<B>) {
        let known = response.extensions().get::<&'static Facts>();
        self.operation = self.operation.or(known.copied());
        let error = response.extensions().get::<ErrorName>();
        self.code = error.map_or(OK, |ErrorName(name)| name);
        self.fault = response.status().is_server_error();
        self.principal = response.extensions().get().cloned();
        let id = response.headers().get("x-amzn-requestid");
        self.request_id = id.and_then(|id| id.to_str().ok()).map(str::to_owned);
    }
}

impl Drop for ObservedRequest {
    fn drop(&mut self) {
        let (after, operation) = (self.arrived.elapsed(), name(self.operation));
        if let Some(metrics) = self.telemetry.metrics() {
            metrics.requests.ended(operation, self.code, after);
        }
        if let Some(span) = &self.span {
            let id = self.request_id.clone();
            let id = id.map(|id| KeyValue::new("aws.request_id", id));
            let error = (self.code != OK).then(|| KeyValue::new("error.type", self.code));
            span.end(self.fault, id.into_iter().chain(error));
        }
        if Line::is_seen(self.fault) {
            let line = Line {
                front: "aws-json",
                method: operation,
                code: self.code,
                reason: None,
                after,
                principal: self.principal.as_ref(),
                request_id: self.request_id.as_deref(),
                span: self.span.as_ref(),
            };
            line.write(self.fault);
        }
    }
}

fn name(operation: Option<&'static Facts>) -> &'static str {
    operation.map_or(OTHER, |facts| facts.name)
}
