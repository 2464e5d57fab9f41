//! Every AWS error code on every operation, as a client gets to see it.

use std::{collections::BTreeMap, time::Duration};

use prost_reflect::DynamicMessage;
use proton_grpc::api::Code as AwsCode;
use serde_json::Value as Json;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    descriptors::{self, rules::Rules, samples},
    facade_world::{JITTER, OWN_ID, Reply, World, answer, error, message, no_retries},
};

/// The whole table of what Proton and AWS's front doors say, and with which HTTP status.
const CODES: [(&str, u16, Row); 49] = {
    use Row::*;
    [
        ("ValidationException", 400, Invalid),
        ("ValidationError", 400, Invalid),
        ("AccessDeniedException", 400, Denied),
        ("AccessDenied", 403, Denied),
        ("NotAuthorized", 401, Denied),
        ("ResourceNotFoundException", 400, NotFound),
        ("ConflictException", 400, Conflict),
        ("ServiceQuotaExceededException", 400, Quota),
        ("ThrottlingException", 400, Throttled),
        ("Throttling", 400, Throttled),
        ("ThrottledException", 400, Throttled),
        ("RequestThrottledException", 400, Throttled),
        ("RequestThrottled", 400, Throttled),
        ("TooManyRequestsException", 429, Throttled),
        ("RequestLimitExceeded", 400, Throttled),
        ("BandwidthLimitExceeded", 400, Throttled),
        ("LimitExceededException", 400, Throttled),
        ("ProvisionedThroughputExceededException", 400, Throttled),
        ("SlowDown", 400, Throttled),
        ("PriorRequestNotComplete", 400, Throttled),
        ("TransactionInProgressException", 400, Throttled),
        ("EC2ThrottledException", 400, Throttled),
        ("InternalServerException", 500, Internal),
        ("InternalFailure", 500, Internal),
        ("InternalServerError", 500, Internal),
        ("InternalError", 500, Internal),
        ("ServiceUnavailable", 503, ByClass),
        ("ServiceUnavailableException", 503, ByClass),
        ("RequestTimeout", 408, ByClass),
        ("RequestTimeoutException", 400, ByClass),
        ("RequestAbortedException", 400, ByClass),
        ("ExpiredTokenException", 400, Expired),
        ("ExpiredToken", 403, Expired),
        ("UnrecognizedClientException", 400, Rejected),
        ("InvalidClientTokenId", 403, Rejected),
        ("IncompleteSignature", 400, Rejected),
        ("InvalidSignatureException", 400, Rejected),
        ("SignatureDoesNotMatch", 403, Rejected),
        ("MissingAuthenticationToken", 403, Rejected),
        ("MissingAuthenticationTokenException", 400, Rejected),
        ("AuthFailure", 400, Rejected),
        ("RequestExpired", 400, Skewed),
        ("RequestTimeTooSkewed", 403, Skewed),
        ("OptInRequired", 403, OptIn),
        ("InvalidAction", 400, Unimplemented),
        ("UnknownOperationException", 404, Unimplemented),
        ("SerializationException", 400, Unreadable),
        ("MalformedHttpRequestException", 400, Unreadable),
        ("RequestEntityTooLargeException", 413, TooLarge),
    ]
};

#[derive(Clone, Copy, PartialEq)]
enum Row {
    Invalid,
    Denied,
    NotFound,
    Conflict,
    Quota,
    Throttled,
    Internal,
    ByClass,
    Expired,
    Rejected,
    Skewed,
    OptIn,
    Unimplemented,
    Unreadable,
    TooLarge,
}

pub(crate) const WITH_TOKEN: [&str; 7] = [
    "CreateComponent",
    "CreateEnvironmentAccountConnection",
    "CreateEnvironmentTemplateVersion",
    "CreateServiceInstance",
    "CreateServiceTemplateVersion",
    "UpdateComponent",
    "UpdateServiceInstance",
];

const UNSAFE: [&str; 16] = [
    "CancelComponentDeployment",
    "CancelEnvironmentDeployment",
    "CancelServiceInstanceDeployment",
    "CancelServicePipelineDeployment",
    "NotifyResourceDeploymentStatusChange",
    "UpdateAccountSettings",
    "UpdateEnvironment",
    "UpdateEnvironmentTemplate",
    "UpdateEnvironmentTemplateVersion",
    "UpdateService",
    "UpdateServicePipeline",
    "UpdateServiceSyncBlocker",
    "UpdateServiceSyncConfig",
    "UpdateServiceTemplate",
    "UpdateServiceTemplateVersion",
    "UpdateTemplateSyncConfig",
];

pub(crate) fn operations() -> Vec<String> {
    let service = descriptors::service("ProtonService");
    service
        .methods()
        .map(|method| method.name().to_owned())
        .collect()
}

/// A request with every field set, the token included.
pub(crate) fn full(operation: &str) -> DynamicMessage {
    samples::full(&descriptors::request(operation), 0)
}

/// The same without the token.
pub(crate) fn without_token(operation: &str) -> DynamicMessage {
    let mut request = full(operation);
    request.clear_field_by_name("client_token");
    request
}

/// Only what must be there.
pub(crate) fn minimal(operation: &str) -> DynamicMessage {
    let mut request = full(operation);
    for field in descriptors::request(operation).fields() {
        let optional = match field.is_list() {
            true => descriptors::is_optional_list(&field),
            false => field.supports_presence() && !Rules::of(&field).is_set("required"),
        };
        if optional {
            request.clear_field(&field);
        }
    }
    request
}

/// Everything that a status tells a client.
#[derive(Debug, PartialEq)]
struct Told {
    code: Code,
    message: String,
    reason: String,
    domain: String,
    facts: BTreeMap<String, String>,
    request_id: String,
    retry_after: Option<Duration>,
    pushback: Option<String>,
    /// The fields and rules of `BadRequest`.
    bad_request: Option<Vec<String>>,
    /// The type of `ResourceInfo`.
    resource: Option<String>,
    /// The type of `PreconditionFailure`.
    precondition: Option<String>,
    quota: bool,
}

fn told(status: &Status) -> Told {
    let details = status.get_error_details();
    let info = details.error_info().cloned().expect("an ErrorInfo");
    let pushback = status.metadata().get("grpc-retry-pushback-ms");
    Told {
        code: status.code(),
        message: status.message().to_owned(),
        reason: info.reason,
        domain: info.domain,
        facts: info.metadata.into_iter().collect(),
        request_id: details
            .request_info()
            .expect("a RequestInfo")
            .request_id
            .clone(),
        retry_after: details.retry_info().and_then(|info| info.retry_delay),
        pushback: pushback.map(|value| value.to_str().unwrap().to_owned()),
        bad_request: details.bad_request().map(|bad| {
            let violations = bad.field_violations.iter();
            violations.map(|found| found.field.clone()).collect()
        }),
        resource: details
            .resource_info()
            .map(|info| info.resource_type.clone()),
        precondition: details
            .precondition_failure()
            .map(|failure| failure.violations[0].r#type.clone()),
        quota: details.quota_failure().is_some(),
    }
}

/// What the table promises.
fn expected(operation: &str, safe: bool, code: &str, http_status: u16, row: Row) -> Told {
    let later = Duration::from_millis(200) + JITTER;
    let mut told = Told {
        code: Code::Internal,
        message: message(code),
        reason: upper_snake(code),
        domain: "proton.amazonaws.com".to_owned(),
        facts: BTreeMap::new(),
        request_id: "upstream-id".to_owned(),
        retry_after: None,
        pushback: None,
        bad_request: None,
        resource: None,
        precondition: None,
        quota: false,
    };
    let subject = [
        "Accept", "Cancel", "Create", "Delete", "Get", "List", "Reject", "Update",
    ]
    .iter()
    .find_map(|verb| operation.strip_prefix(verb))
    .unwrap_or(operation);
    let verb = |verbs: &[&str]| verbs.iter().any(|verb| operation.starts_with(verb));
    let mut outcome = "rejected";
    let mut attempts = "1";
    let come_back = |told: &mut Told| {
        told.retry_after = Some(later);
        told.pushback = Some(later.as_millis().to_string());
    };
    match row {
        Row::Invalid | Row::TooLarge => {
            told.code = Code::InvalidArgument;
            told.bad_request = Some(vec![String::new()]);
        }
        Row::Denied => told.code = Code::PermissionDenied,
        Row::NotFound => {
            told.code = Code::NotFound;
            told.resource = Some(subject.to_owned());
        }
        Row::Conflict if verb(&["Create"]) && !operation.ends_with("TemplateVersion") => {
            told.code = Code::AlreadyExists;
            told.resource = Some(subject.to_owned());
        }
        Row::Conflict => {
            told.code = match verb(&["Delete", "Cancel", "Accept", "Reject"]) {
                true => Code::FailedPrecondition,
                false => Code::Aborted,
            };
            told.precondition = Some("CONFLICT".to_owned());
        }
        Row::Quota => {
            told.code = Code::ResourceExhausted;
            told.quota = true;
            told.pushback = Some("-1".to_owned());
        }
        Row::Throttled => {
            told.code = Code::ResourceExhausted;
            outcome = "not_executed";
            come_back(&mut told);
        }
        Row::Internal => {
            outcome = "unknown";
            match safe {
                true => come_back(&mut told),
                false => told.pushback = Some("-1".to_owned()),
            }
        }
        Row::ByClass => {
            outcome = "unknown";
            match safe {
                true => {
                    told.code = Code::Unavailable;
                    come_back(&mut told);
                }
                false => {
                    told.code = Code::Unknown;
                    told.reason = "OUTCOME_UNKNOWN".to_owned();
                    told.pushback = Some("-1".to_owned());
                }
            }
        }
        Row::Expired => {
            told.code = Code::Unavailable;
            told.reason = "UPSTREAM_CREDENTIALS_EXPIRED".to_owned();
            outcome = "not_executed";
            attempts = "2";
            come_back(&mut told);
        }
        Row::Rejected => {
            told.reason = "UPSTREAM_CREDENTIALS_REJECTED".to_owned();
            outcome = "not_executed";
            told.pushback = Some("-1".to_owned());
        }
        Row::Skewed => {
            told.reason = "UPSTREAM_CLOCK_SKEW".to_owned();
            outcome = "not_executed";
        }
        Row::OptIn => {
            told.code = Code::FailedPrecondition;
            told.precondition = Some("SUBSCRIPTION".to_owned());
        }
        Row::Unimplemented => {
            told.code = Code::Unimplemented;
            outcome = "not_executed";
        }
        Row::Unreadable => {
            outcome = "not_executed";
            told.pushback = Some("-1".to_owned());
        }
    }
    let facts = [
        ("aws_code", code),
        ("http_status", &http_status.to_string()),
        ("operation", operation),
        ("attempts", attempts),
        ("outcome", outcome),
    ];
    let facts = facts.map(|(key, value)| (key.to_owned(), value.to_owned()));
    told.facts = facts.into();
    told
}

fn upper_snake(name: &str) -> String {
    let known = [
        ("EC2ThrottledException", "EC2_THROTTLED_EXCEPTION"),
        ("OptInRequired", "OPT_IN_REQUIRED"),
        ("SlowDown", "SLOW_DOWN"),
    ];
    if let Some((_, known)) = known.iter().find(|(known, _)| *known == name) {
        return (*known).to_owned();
    }
    regex::Regex::new("([a-z])([A-Z])")
        .unwrap()
        .replace_all(name, "${1}_$2")
        .to_uppercase()
}

/// What the trailers weigh in HTTP/2's measure.
fn trailers_size(status: &Status) -> usize {
    let headers = status.clone().into_http::<()>().into_parts().0.headers;
    let sizes = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 32);
    sizes.sum()
}

#[tokio::test]
async fn every_aws_code_on_every_operation_is_told_by_the_table() {
    let world = World::on_loopback(no_retries()).await;
    let model: Json = serde_json::from_str(include_str!("../fixtures/model.json")).unwrap();
    let (mut pairs, mut declared) = (0, 0);
    for operation in operations() {
        for (code, http_status, row) in CODES {
            world.stub.answers(error(http_status, code));
            let safe = !UNSAFE.contains(&operation.as_str());
            let status = world.call(&operation, full(&operation)).await.unwrap_err();
            let expected = expected(&operation, safe, code, http_status, row);
            assert_eq!(told(&status), expected, "{operation}, {code}");
            assert!(trailers_size(&status) <= 4096, "{operation}, {code}");
            pairs += 1;
            let errors = model["operations"][&operation]["errors"]
                .as_array()
                .unwrap();
            declared += usize::from(errors.iter().any(|error| error == code));
        }
    }
    assert_eq!((pairs, declared), (4263, 481));
}

#[tokio::test]
async fn an_operation_with_a_token_is_unsafe_without_one() {
    let world = World::on_loopback(no_retries()).await;
    for operation in WITH_TOKEN {
        for (code, http_status, row) in CODES {
            world.stub.answers(error(http_status, code));
            let request = without_token(operation);
            let status = world.call(operation, request).await.unwrap_err();
            let expected = expected(operation, false, code, http_status, row);
            assert_eq!(told(&status), expected, "{operation}, {code}");
        }
    }
}

#[test]
fn the_contract_knows_these_codes_and_no_others() {
    let mut known: Vec<_> = AwsCode::NAMES.iter().map(|(name, _)| *name).collect();
    let mut listed: Vec<_> = CODES.iter().map(|(code, ..)| *code).collect();
    known.sort_unstable();
    listed.sort_unstable();
    assert_eq!(known, listed);
}

#[tokio::test]
async fn a_parameter_mismatch_is_told_by_its_reason() {
    let world = World::new(no_retries());
    let body = r#"{"__type":"ValidationException","message":"Idempotent parameter mismatch: x"}"#;
    world.stub.answers(Reply::Answer(answer(400, body)));
    let status = world
        .call("CreateComponent", full("CreateComponent"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(told(&status).reason, "IDEMPOTENT_PARAMETER_MISMATCH");
}

#[tokio::test]
async fn the_upstreams_own_delay_is_passed_on() {
    let world = World::new(no_retries());
    for (header, value, delay) in [
        ("x-amz-retry-after", "1500", 1500),
        ("retry-after", "2", 2000),
    ] {
        let Reply::Answer(mut throttled) = error(400, "ThrottlingException") else {
            unreachable!()
        };
        throttled
            .headers_mut()
            .insert(header, value.parse().unwrap());
        world.stub.answers(Reply::Answer(throttled));
        let status = world
            .call("GetService", full("GetService"))
            .await
            .unwrap_err();
        let told = told(&status);
        assert_eq!(told.retry_after, Some(Duration::from_millis(delay)));
        assert_eq!(told.pushback, Some(delay.to_string()));
    }
}

#[tokio::test]
async fn a_resource_is_named_below_its_parents() {
    let world = World::new(no_retries());
    world.stub.answers(error(400, "ResourceNotFoundException"));
    for (operation, name) in [
        ("GetServiceInstance", "service_name/name"),
        ("GetService", "name"),
        ("GetEnvironmentTemplateVersion", "template_name/7/7"),
        ("GetAccountSettings", ""),
    ] {
        let status = world.call(operation, full(operation)).await.unwrap_err();
        let details = status.get_error_details();
        assert_eq!(details.resource_info().unwrap().resource_name, name);
    }
}

/// An upstream may say anything; a client that gets too much drops all of it.
#[tokio::test]
async fn trailers_stay_small_whatever_the_upstream_says() {
    let world = World::new(no_retries());
    let codes = CODES.map(|(code, ..)| code.to_owned());
    for code in codes
        .into_iter()
        .chain(["X".repeat(5000), "Ü".repeat(5000)])
    {
        for letter in ["a", "%", "é", "\u{1f600}", "\n"] {
            let body = serde_json::json!({ "__type": code, "message": letter.repeat(5000) });
            let mut reply = answer(400, body.to_string());
            let id = "i".repeat(3000).parse().unwrap();
            reply.headers_mut().insert("x-amzn-requestid", id);
            world.stub.answers(Reply::Answer(reply));
            let status = world
                .call("CreateServiceInstance", full("CreateServiceInstance"))
                .await
                .unwrap_err();
            let size = trailers_size(&status);
            assert!(size <= 4096, "{size} with {letter:?} and {:.40}", code);
            assert!(status.message().len() >= 1000 / 9, "{}", status.message());
        }
    }
}

#[tokio::test]
async fn own_violations_cost_no_upstream_call_and_fit_the_trailers() {
    let world = World::new(no_retries());
    let mut request = full("CreateServiceInstance");
    for field in request.descriptor_fields() {
        request.set_field_by_name(&field, prost_reflect::Value::String("ü".repeat(60_000)));
    }
    let status = world
        .call("CreateServiceInstance", request)
        .await
        .unwrap_err();
    let told = told(&status);
    assert_eq!(told.code, Code::InvalidArgument);
    assert_eq!(told.domain, "proton-grpc");
    assert_eq!(told.request_id, OWN_ID);
    assert_eq!(told.facts["outcome"], "not_executed");
    assert_eq!(told.facts["attempts"], "0");
    let fields = told.bad_request.unwrap();
    assert!(fields.contains(&"name".to_owned()), "{fields:?}");
    assert!(trailers_size(&status) <= 4096);
    assert!(world.stub.seen().is_empty());
}

#[tokio::test]
async fn more_violations_than_fit_are_counted() {
    let world = World::new(no_retries());
    let mut request = full("TagResource");
    let tags = descriptors::message("Tag");
    let tag = prost_reflect::Value::Message(DynamicMessage::new(tags));
    request.set_field_by_name("tags", prost_reflect::Value::List(vec![tag; 45]));
    let status = world.call("TagResource", request).await.unwrap_err();
    let details = status.get_error_details();
    let last = details.bad_request().unwrap().field_violations.last();
    let last = &last.unwrap().description;
    assert!(last.ends_with("more violations are not shown"), "{last}");
    assert!(trailers_size(&status) <= 4096);
}

trait TextFields {
    fn descriptor_fields(&self) -> Vec<String>;
}

impl TextFields for DynamicMessage {
    /// The names of the fields that hold text.
    fn descriptor_fields(&self) -> Vec<String> {
        use prost_reflect::{Kind, ReflectMessage as _};
        let fields = self.descriptor();
        let texts = fields
            .fields()
            .filter(|field| field.kind() == Kind::String && !field.is_list());
        texts.map(|field| field.name().to_owned()).collect()
    }
}
