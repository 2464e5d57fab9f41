//! The one table: what a caller is told when a call failed.
//!
//! A status code is the only thing that a mesh obeys: it repeats UNAVAILABLE and CANCELLED blindly.
//! So UNAVAILABLE is said only where a blind repeat does no harm, and CANCELLED never. Everything
//! else travels in the details: what happened to the write (`outcome`), the upstream's own code
//! and request id, what to mend, when to come back.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use tonic::{Code as Grpc, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use super::{
    Facade,
    call::REQUEST_ID,
    failure::{Answered, Failure, NoCredentials, Said},
};
use crate::{
    api::{Code, operation::Facts, validate::Violations},
    policy::Refusal,
};

/// What was asked of the upstream.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) facts: &'static Facts,
    pub(super) resource: String,
    /// Whether a repeat does no harm.
    pub(super) safe: bool,
    pub(super) attempts: u32,
}

/// What became of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    NotExecuted,
    Rejected,
    Unknown,
}

/// What the caller may do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    /// Nothing is said about repeating.
    Unsaid,
    /// Coming back after a while helps.
    Later,
    /// Repeating does harm or never helps.
    Never,
}

/// A row of the table.
struct Verdict {
    code: Grpc,
    reason: Cow<'static, str>,
    outcome: Outcome,
    repeat: Repeat,
    detail: Detail,
    message: Cow<'static, str>,
}

/// The detail that goes with the code, beside those that every error has.
enum Detail {
    None,
    BadRequest(Violations),
    Resource,
    Precondition(&'static str),
    Quota,
}

/// Base delay before a caller comes back, when the upstream did not say.
const LATER: Duration = Duration::from_millis(200);
/// The trailer by which client libraries are told when, or that they must not, repeat.
const PUSHBACK: &str = "grpc-retry-pushback-ms";
/// Clients may refuse trailers over 8 KiB, and proxies sooner: all of them together stay below 4.
/// The message travels twice, in `grpc-message`, where it may be percent-encoded, and beside the
/// details, which are in base64. So each gives way to the other.
const MESSAGE_LIMIT: usize = 1024;
const MESSAGE_LIMIT_BESIDE_VIOLATIONS: usize = 320;
const VIOLATIONS_LIMIT: usize = 1400;
/// What else an upstream may fill a detail with.
const DETAIL_LIMIT: usize = 200;
/// A reason has at most 63 characters, underscores included.
const REASON_LIMIT: usize = 40;

/// Reason and message for an answer that is cut off, or no such JSON.
const UNREADABLE: (&str, &str) = (
    "UPSTREAM_RESPONSE_UNREADABLE",
    "the upstream's answer could not be read",
);

impl Facade {
    /// The status for a failed call.
    pub(super) fn refuse(&self, asked: &Asked, failure: Failure) -> Box<Status> {
        let ambient = &self.0.ambient;
        let answered = failure.answered();
        let retry_after = answered.and_then(|answered| answered.retry_after);
        let http_status = answered.map(|answered| answered.http_status);
        let request_id = answered.and_then(|answered| answered.request_id.as_deref());
        let request_id = request_id.map(|id| cut(id, DETAIL_LIMIT));
        let aws_code = match &failure {
            Failure::Said(said) => Some(cut(&said.name, DETAIL_LIMIT)),
            _ => None,
        };
        tracing::debug!(operation = asked.facts.name, ?failure, "a call failed");
        let verdict = judge(asked, failure);

        let delay = || retry_after.unwrap_or_else(|| LATER + (ambient.jitter)(LATER));
        let delay = (verdict.repeat == Repeat::Later).then(delay);
        let mut facts = HashMap::from([
            ("operation".to_owned(), asked.facts.name.to_owned()),
            ("attempts".to_owned(), asked.attempts.to_string()),
            ("outcome".to_owned(), verdict.outcome.name().to_owned()),
        ]);
        let domain = if aws_code.is_some() {
            "proton.amazonaws.com"
        } else {
            "proton-grpc"
        };
        facts.extend(aws_code.map(|code| ("aws_code".to_owned(), code)));
        facts.extend(http_status.map(|status| ("http_status".to_owned(), status.to_string())));

        let message = cut(&verdict.message, verdict.detail.message_limit());
        let mut details = ErrorDetails::with_error_info(verdict.reason.as_ref(), domain, facts);
        let request_id = request_id.unwrap_or_else(|| (ambient.request_id)());
        details.set_request_info(request_id.as_str(), "");
        if let Some(delay) = delay {
            details.set_retry_info(Some(delay));
        }
        verdict.detail.add(&mut details, asked, &message);
        let mut metadata = MetadataMap::new();
        if let Ok(id) = request_id.parse() {
            metadata.insert(REQUEST_ID, id);
        }
        let pushback = match verdict.repeat {
            Repeat::Unsaid => None,
            Repeat::Later => delay.map(|delay| delay.as_millis().to_string()),
            Repeat::Never => Some("-1".to_owned()),
        };
        if let Some(pushback) = pushback {
            metadata.insert(PUSHBACK, pushback.parse().expect("digits are metadata"));
        }
        Box::new(Status::with_error_details_and_metadata(
            verdict.code,
            message,
            details,
            metadata,
        ))
    }
}

/// The table itself.
fn judge(asked: &Asked, failure: Failure) -> Verdict {
    match failure {
        Failure::Said(said) => judge_said(asked, said),
        Failure::Answered(answered) => judge_answered(asked, &answered),
        Failure::NotAllowed(Refusal::Denied { who, action, arn }) => Verdict::new(
            Grpc::PermissionDenied,
            "ACCESS_DENIED",
            Outcome::NotExecuted,
            format!("{who} may not perform proton:{action} on {arn}"),
        )
        .detail(Detail::Resource),
        Failure::NotAllowed(Refusal::Undecided) => not_executed(
            Grpc::Unavailable,
            "POLICY_UNDECIDED",
            "nobody can tell now whether the policies allow this",
        )
        .repeat(Repeat::Later),
        Failure::Invalid(violations) => {
            let message = crate::api::Error::invalid(violations.clone()).message;
            Verdict::new(
                Grpc::InvalidArgument,
                "VALIDATION_EXCEPTION",
                Outcome::NotExecuted,
                message,
            )
            .detail(Detail::BadRequest(violations))
        }
        Failure::BlindRepeat => Verdict::new(
            Grpc::Unknown,
            "OUTCOME_UNKNOWN",
            Outcome::Unknown,
            "an earlier attempt of the call may have been executed, and a repeat may do it again",
        )
        .repeat(Repeat::Never),
        Failure::NotBuilt => not_executed(
            Grpc::Internal,
            "REQUEST_NOT_BUILT",
            "the request could not be built",
        ),
        Failure::NotSendable => not_executed(
            Grpc::Internal,
            "REQUEST_NOT_SENDABLE",
            "the request could not be sent as it was built",
        ),
        Failure::Unreadable(_) => class_rule(asked, UNREADABLE.0, UNREADABLE.1),
        Failure::TooLarge => Verdict::new(
            Grpc::Internal,
            "UPSTREAM_RESPONSE_TOO_LARGE",
            Outcome::Unknown,
            "the upstream's answer is larger than is accepted",
        ),
        Failure::NeverLeft => not_executed(
            Grpc::Unavailable,
            "UPSTREAM_UNREACHABLE",
            "the upstream could not be reached",
        )
        .repeat(Repeat::Later),
        Failure::Interrupted => class_rule(
            asked,
            "UPSTREAM_INTERRUPTED",
            "the connection to the upstream broke before its answer",
        ),
        Failure::AttemptTimedOut => class_rule(
            asked,
            "UPSTREAM_TIMEOUT",
            "the upstream did not answer in time",
        ),
        Failure::DeadlineExceeded => Verdict::new(
            Grpc::DeadlineExceeded,
            "DEADLINE_EXCEEDED",
            match asked.attempts {
                0 => Outcome::NotExecuted,
                _ => Outcome::Unknown,
            },
            "the deadline passed before the upstream answered",
        ),
        Failure::Credentials(NoCredentials::Misconfigured) => not_executed(
            Grpc::Internal,
            "UPSTREAM_CREDENTIALS_MISCONFIGURED",
            "there are no usable credentials for the upstream",
        ),
        Failure::Credentials(NoCredentials::Unavailable) => not_executed(
            Grpc::Unavailable,
            "UPSTREAM_CREDENTIALS_UNAVAILABLE",
            "credentials for the upstream could not be fetched",
        )
        .repeat(Repeat::Later),
        Failure::Credentials(NoCredentials::RoleRefused) => not_executed(
            Grpc::PermissionDenied,
            "ROLE_REFUSED",
            "the role for the upstream may not be assumed",
        ),
        Failure::IntentUnwritten => not_executed(
            Grpc::Unavailable,
            "AUDIT_UNAVAILABLE",
            "changes are not made while they cannot be recorded",
        )
        .repeat(Repeat::Later),
        Failure::OutcomeUnwritten => class_rule(
            asked,
            "AUDIT_UNAVAILABLE",
            "what became of the call could not be recorded",
        ),
        Failure::WaitedInVain(message) => Verdict::new(
            Grpc::FailedPrecondition,
            "WAIT_FAILED",
            Outcome::Rejected,
            message,
        )
        .detail(Detail::Precondition("STATUS")),
    }
}

/// The upstream named its error.
fn judge_said(asked: &Asked, said: Said) -> Verdict {
    use Outcome::{NotExecuted, Rejected, Unknown};
    let reason = upper_snake(&said.name);
    let message = match said.message.is_empty() {
        true => format!("the upstream said {} and no more", said.name),
        false => said.message,
    };
    let Some(code) = said.code else {
        let grpc = if said.answered.http_status >= 500 {
            Grpc::Internal
        } else {
            Grpc::Unknown
        };
        return Verdict::new(grpc, reason, Unknown, message);
    };
    match code {
        Code::Validation => {
            let reason = match is_parameter_mismatch(&message) {
                true => "IDEMPOTENT_PARAMETER_MISMATCH".into(),
                false => reason,
            };
            Verdict::new(Grpc::InvalidArgument, reason, Rejected, message)
                .detail(Detail::BadRequest(Violations::default()))
        }
        Code::AccessDenied => Verdict::new(Grpc::PermissionDenied, reason, Rejected, message),
        Code::ResourceNotFound => {
            Verdict::new(Grpc::NotFound, reason, Rejected, message).detail(Detail::Resource)
        }
        Code::Conflict => conflict(asked.facts.name, reason, message),
        Code::ServiceQuotaExceeded => {
            Verdict::new(Grpc::ResourceExhausted, reason, Rejected, message)
                .repeat(Repeat::Never)
                .detail(Detail::Quota)
        }
        Code::Throttling => Verdict::new(Grpc::ResourceExhausted, reason, NotExecuted, message)
            .repeat(Repeat::Later),
        Code::InternalServer => {
            let repeat = if asked.safe {
                Repeat::Later
            } else {
                Repeat::Never
            };
            Verdict::new(Grpc::Internal, reason, Unknown, message).repeat(repeat)
        }
        Code::ServiceUnavailable | Code::RequestTimeout => class_rule(asked, reason, message),
        // Our own credentials: they have been renewed once by now.
        Code::ExpiredToken => Verdict::new(
            Grpc::Unavailable,
            "UPSTREAM_CREDENTIALS_EXPIRED",
            NotExecuted,
            message,
        )
        .repeat(Repeat::Later),
        // Ours again: a caller that logged in anew would not help it.
        Code::BadCredentials => {
            tracing::error!(
                code = said.name,
                "the upstream does not accept our credentials"
            );
            Verdict::new(
                Grpc::Internal,
                "UPSTREAM_CREDENTIALS_REJECTED",
                NotExecuted,
                message,
            )
            .repeat(Repeat::Never)
        }
        Code::ClockSkew => {
            Verdict::new(Grpc::Internal, "UPSTREAM_CLOCK_SKEW", NotExecuted, message)
        }
        Code::OptInRequired => Verdict::new(Grpc::FailedPrecondition, reason, Rejected, message)
            .detail(Detail::Precondition("SUBSCRIPTION")),
        Code::UnknownOperation => Verdict::new(Grpc::Unimplemented, reason, NotExecuted, message),
        Code::Serialization => {
            tracing::error!(
                code = said.name,
                operation = asked.facts.name,
                "the upstream cannot read our request"
            );
            Verdict::new(Grpc::Internal, reason, NotExecuted, message).repeat(Repeat::Never)
        }
        Code::RequestTooLarge => Verdict::new(Grpc::InvalidArgument, reason, Rejected, message)
            .detail(Detail::BadRequest(Violations::default())),
    }
}

/// A conflict means something else for each verb.
fn conflict(operation: &str, reason: Cow<'static, str>, message: String) -> Verdict {
    let begins = |verbs: &[&str]| verbs.iter().any(|verb| operation.starts_with(verb));
    if begins(&["Create"]) && !operation.ends_with("TemplateVersion") {
        // The named resource is there.
        Verdict::new(Grpc::AlreadyExists, reason, Outcome::Rejected, message)
            .detail(Detail::Resource)
    } else if begins(&["Delete", "Cancel", "Accept", "Reject"]) {
        // A dependant or a running deployment must go first.
        Verdict::new(Grpc::FailedPrecondition, reason, Outcome::Rejected, message)
            .detail(Detail::Precondition("CONFLICT"))
    } else {
        // Something changes at the same time; read again first.
        Verdict::new(Grpc::Aborted, reason, Outcome::Rejected, message)
            .detail(Detail::Precondition("CONFLICT"))
    }
}

/// There is only an HTTP status to go by.
fn judge_answered(asked: &Asked, answered: &Answered) -> Verdict {
    let status = answered.http_status;
    let reason: Cow<'static, str> = format!("UPSTREAM_HTTP_{status}").into();
    let message = format!("the upstream answered HTTP {status} without saying why");
    let of = |code| Verdict::new(code, reason.clone(), Outcome::Unknown, message.clone());
    match status {
        200..=299 => class_rule(asked, UNREADABLE.0, UNREADABLE.1),
        408 | 502..=504 => class_rule(asked, reason, message),
        // Never followed: a redirected POST would go where nobody configured it to.
        300..=399 => Verdict::new(
            Grpc::Internal,
            "UPSTREAM_REDIRECT",
            Outcome::NotExecuted,
            "the upstream redirects elsewhere",
        ),
        400 | 401 => of(Grpc::Internal),
        403 => of(Grpc::PermissionDenied),
        404 => Verdict::new(
            Grpc::Unimplemented,
            "UPSTREAM_NOT_PROTON",
            Outcome::NotExecuted,
            "the upstream does not speak the Proton API",
        ),
        413 => of(Grpc::InvalidArgument).detail(Detail::BadRequest(Violations::default())),
        429 => of(Grpc::ResourceExhausted)
            .outcome(Outcome::NotExecuted)
            .repeat(Repeat::Later),
        500.. => of(Grpc::Internal),
        _ => of(Grpc::Unknown),
    }
}

/// Nobody knows whether it was done. A repeat is safe for some operations, and only then may the
/// code be one that a mesh repeats.
fn class_rule(
    asked: &Asked,
    reason: impl Into<Cow<'static, str>>,
    message: impl Into<Cow<'static, str>>,
) -> Verdict {
    match asked.safe {
        true => {
            Verdict::new(Grpc::Unavailable, reason, Outcome::Unknown, message).repeat(Repeat::Later)
        }
        false => Verdict::new(Grpc::Unknown, "OUTCOME_UNKNOWN", Outcome::Unknown, message)
            .repeat(Repeat::Never),
    }
}

fn not_executed(code: Grpc, reason: &'static str, message: &'static str) -> Verdict {
    Verdict::new(code, reason, Outcome::NotExecuted, message)
}

impl Verdict {
    fn new(
        code: Grpc,
        reason: impl Into<Cow<'static, str>>,
        outcome: Outcome,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (reason, message) = (reason.into(), message.into());
        Self {
            code,
            reason,
            outcome,
            repeat: Repeat::Unsaid,
            detail: Detail::None,
            message,
        }
    }

    fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    fn detail(self, detail: Detail) -> Self {
        Self { detail, ..self }
    }

    fn outcome(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::NotExecuted => "not_executed",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }
}

impl Detail {
    fn message_limit(&self) -> usize {
        match self {
            Self::BadRequest(violations) if !violations.is_empty() => {
                MESSAGE_LIMIT_BESIDE_VIOLATIONS
            }
            _ => MESSAGE_LIMIT,
        }
    }

    fn add(self, details: &mut ErrorDetails, asked: &Asked, message: &str) {
        let kind = asked.facts.resource;
        let message = cut(message, DETAIL_LIMIT);
        match self {
            Self::None => {}
            Self::BadRequest(violations) if violations.is_empty() => {
                details.add_bad_request_violation("", message);
            }
            Self::BadRequest(violations) => {
                details.set_bad_request(fitting(&violations));
            }
            Self::Resource => {
                // Not every request has been validated.
                let resource = cut(&asked.resource, DETAIL_LIMIT);
                details.set_resource_info(kind, resource, "", message);
            }
            Self::Precondition(what) => {
                details.add_precondition_failure_violation(
                    what,
                    format!("{kind}/{}", asked.resource),
                    message,
                );
            }
            Self::Quota => {
                details.add_quota_failure_violation(kind, message);
            }
        }
    }
}

/// As many violations as the trailers have room for; the last one then tells how many more.
fn fitting(violations: &Violations) -> Vec<FieldViolation> {
    let mut room = VIOLATIONS_LIMIT;
    let mut list = Vec::new();
    for found in violations.iter() {
        let size = found.field.len() + found.message.len() + found.rule.len() + 8;
        if size > room {
            let left = violations.count() - list.len();
            list.push(FieldViolation::new(
                "",
                format!("{left} more violations are not shown"),
            ));
            break;
        }
        room -= size;
        list.push(FieldViolation {
            reason: found.rule.to_owned(),
            ..FieldViolation::new(found.field.as_str(), found.message.as_str())
        });
    }
    list
}

/// Cuts a message so that it is short on the wire, where all but printable ASCII takes three bytes.
fn cut(message: &str, limit: usize) -> String {
    let mut size = 0;
    let fits = |letter: &char| {
        size += if matches!(letter, ' '..='~') && *letter != '%' {
            1
        } else {
            3 * letter.len_utf8()
        };
        size <= limit
    };
    message.chars().take_while(fits).collect()
}

/// The one thing a text decides, and only the reason: Proton has no code for it.
fn is_parameter_mismatch(message: &str) -> bool {
    message.contains("Idempotent parameter mismatch")
        || message.contains("IdempotentParameterMismatch")
}

/// The code as gRPC spells it.
pub fn code_name(code: Grpc) -> &'static str {
    match code {
        Grpc::Ok => "OK",
        Grpc::Cancelled => "CANCELLED",
        Grpc::Unknown => "UNKNOWN",
        Grpc::InvalidArgument => "INVALID_ARGUMENT",
        Grpc::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Grpc::NotFound => "NOT_FOUND",
        Grpc::AlreadyExists => "ALREADY_EXISTS",
        Grpc::PermissionDenied => "PERMISSION_DENIED",
        Grpc::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Grpc::FailedPrecondition => "FAILED_PRECONDITION",
        Grpc::Aborted => "ABORTED",
        Grpc::OutOfRange => "OUT_OF_RANGE",
        Grpc::Unimplemented => "UNIMPLEMENTED",
        Grpc::Internal => "INTERNAL",
        Grpc::Unavailable => "UNAVAILABLE",
        Grpc::DataLoss => "DATA_LOSS",
        Grpc::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// `ThrottlingException` as `THROTTLING_EXCEPTION`.
fn upper_snake(name: &str) -> Cow<'static, str> {
    let mut out = String::new();
    let mut before = ' ';
    for letter in name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(REASON_LIMIT)
    {
        if letter.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
        before = letter;
    }
    out.into()
}
