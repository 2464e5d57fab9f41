//! A call of gRPC.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request};
use opentelemetry::KeyValue;
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::is_heard;
use crate::{
    identity::Principal,
    server::refusal::{self, Outcome, Refusal, Subject},
    telemetry::{Method, Metrics, Span, Telemetry, Traces, logs::Line, metrics::Ended},
};

/// Who says what went wrong here, rather than behind us.
const HERE: &str = "proton-grpc";

pub(crate) struct ObservedCall {
    pub(crate) subject: Subject,
    pub(crate) principal: Option<Principal>,
    pub(crate) span: Option<Span>,
    /// Bytes of messages as they travel.
    pub(crate) received: usize,
    pub(crate) sent: usize,
    telemetry: Telemetry,
    method: Method,
    arrived: Instant,
    code: Code,
    is_told: bool,
    /// Whether the caller can help it, though the code may not say so.
    turned_away: bool,
    said: Said,
}

/// What the answer says beside its code.
#[derive(Default)]
struct Said {
    request_id: Option<String>,
    reason: Option<String>,
    domain: String,
    outcome: Option<String>,
}

impl ObservedCall {
    pub(crate) fn begin<B>(telemetry: &Telemetry, request: &Request<B>, arrived: Instant) -> Self {
        let subject = Subject::of(request);
        let method = match is_heard(telemetry) {
            true => Method::of(subject.path()),
            false => Method::UNTOLD,
        };
        if let Some(metrics) = telemetry.metrics() {
            metrics.calls.started(method);
        }
        let traces = telemetry.traces.as_ref();
        let span = traces.and_then(|traces| begin(traces, method, request.headers()));
        Self {
            subject,
            principal: None,
            span,
            received: 0,
            sent: 0,
            telemetry: telemetry.clone(),
            method,
            arrived,
            code: Code::Cancelled,
            is_told: false,
            turned_away: false,
            said: Said::default(),
        }
    }

    /// Notes that the call goes no further.
    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        self.turned_away = refusal.outcome == Outcome::NotExecuted;
    }

    /// Notes that it is no call of gRPC.
    pub(crate) fn is_none(&mut self) {
        self.code = Code::Unimplemented;
        self.tell();
    }

    /// Notes what the head of the answer says.
    pub(crate) fn answered(&mut self, headers: &HeaderMap) {
        if is_heard(&self.telemetry) {
            self.said.request_id = text(headers.get("x-amzn-requestid"));
        }
        self.ends(headers);
    }

    /// Notes how the call ends, if that is said here: in trailers, or in the headers of an answer that
    /// is only a status. It is told then, so that a caller who has its answer finds it told.
    pub(crate) fn ends(&mut self, headers: &HeaderMap) {
        let Some(code) = headers.get(Status::GRPC_STATUS) else {
            return;
        };
        self.code = Code::from_bytes(code.as_bytes());
        if self.code != Code::Ok && (is_heard(&self.telemetry) || Line::is_seen(self.is_fault())) {
            self.listen(headers);
        }
        self.tell();
    }

    /// Notes what a status says beside its code.
    fn listen(&mut self, headers: &HeaderMap) {
        let details = Status::from_header_map(headers).map(|status| status.get_error_details());
        let Some(details) = details else { return };
        if let Some(info) = details.error_info() {
            self.said.reason = Some(info.reason.clone());
            self.said.domain.clone_from(&info.domain);
            self.said.outcome = info.metadata.get("outcome").cloned();
        }
        if let Some(info) = details.request_info() {
            self.said.request_id = Some(info.request_id.clone());
        }
    }

    /// Whether whoever runs this should look.
    fn is_fault(&self) -> bool {
        let ours = matches!(self.code, Code::Unknown | Code::Internal | Code::DataLoss);
        ours && !self.turned_away
    }
}

impl ObservedCall {
    fn tell(&mut self) {
        self.is_told = true;
        let after = self.arrived.elapsed();
        if let Some(metrics) = self.telemetry.metrics() {
            self.count(metrics, after);
        }
        if let Some(span) = &self.span {
            self.end(span);
        }
        if Line::is_seen(self.is_fault()) {
            self.log(after);
        }
    }

    fn count(&self, metrics: &Metrics, after: Duration) {
        let ended = Ended {
            code: self.code,
            status: refusal::name(self.code),
            after,
            sent: self.sent,
            received: self.received,
        };
        metrics.calls.ended(self.method, ended);
        if let Some(reason) = &self.said.reason
            && self.said.domain == HERE
        {
            metrics.refusals.count(reason);
        }
    }

    fn end(&self, span: &Span) {
        let failed = matches!(
            self.code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        );
        let code = KeyValue::new("rpc.grpc.status_code", i64::from(self.code as i32));
        let said = |name, value: &Option<String>| Some(KeyValue::new(name, value.clone()?));
        let outcome = match self.code {
            Code::Ok => Some(KeyValue::new("proton.outcome", "ok")),
            _ => said("proton.outcome", &self.said.outcome),
        };
        let reason = said("error.type", &self.said.reason);
        span.end(failed, [code].into_iter().chain(outcome).chain(reason));
    }

    fn log(&self, after: Duration) {
        let method = match self.method {
            Method::UNTOLD => Method::of(self.subject.path()),
            method => method,
        };
        let request_id = self.said.request_id.as_deref();
        let line = Line {
            front: "grpc",
            method: method.name(),
            code: refusal::name(self.code),
            reason: self.said.reason.as_deref(),
            after,
            principal: self.principal.as_ref(),
            request_id: request_id.or(self.subject.given_id()),
            span: self.span.as_ref(),
        };
        line.write(self.is_fault());
    }
}

impl Drop for ObservedCall {
    fn drop(&mut self) {
        // Nobody waited for its end.
        if !self.is_told {
            self.tell();
        }
    }
}

/// The span of a call, but for what balancers ask every few seconds.
fn begin(traces: &Traces, method: Method, headers: &HeaderMap) -> Option<Span> {
    let (service, name) = method.parts().unwrap_or(("other", "other"));
    if service.starts_with("grpc.") {
        return None;
    }
    let attributes = vec![
        KeyValue::new("rpc.system", "grpc"),
        KeyValue::new("rpc.service", service),
        KeyValue::new("rpc.method", name),
    ];
    Some(traces.begin(method.name(), headers, attributes))
}

fn text(value: Option<&HeaderValue>) -> Option<String> {
    value?.to_str().ok().map(str::to_owned)
}
