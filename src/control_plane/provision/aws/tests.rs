//! Looks at deployments against a scripted CloudFormation.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use serde_json::json;

use super::super::tests::Case;
use super::*;
use crate::control_plane::render::Method;

const TEMPLATE: &str = "Resources:\n  Topic: {Type: AWS::SNS::Topic}\n";
const TOKEN: &str = "00000000-0000-4000-8000-000000000001";

/// What is asked and what is answered.
#[derive(Clone, Debug, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

/// The action that is expected, and the status and body for it.
type Answer = (&'static str, u16, String);

impl HttpConnector for Script {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().unwrap_or_default();
        let body = String::from_utf8(body.to_vec()).unwrap();
        let answer = self.answers.lock().unwrap().pop_front();
        let (action, status, text) =
            answer.unwrap_or_else(|| panic!("nothing more was expected: {body}"));
        assert!(body.starts_with(&format!("Action={action}&")), "{body}");
        self.asked.lock().unwrap().push(body);
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(text));
        response.headers_mut().insert("content-type", "text/xml");
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl HttpClient for Script {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl Script {
    fn answers(self, action: &'static str, result: &str) -> Self {
        let text = format!(
            "<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"
        );
        self.push(action, 200, text)
    }

    fn refuses(self, action: &'static str, status: u16, code: &str, message: &str) -> Self {
        let text = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
        );
        self.push(action, status, text)
    }

    fn no_stack(self) -> Self {
        let message = "Stack with id x does not exist";
        self.refuses("DescribeStacks", 400, "ValidationError", message)
    }

    fn stack(self, status: &str) -> Self {
        let outputs = "<Outputs><member><OutputKey>B</OutputKey><OutputValue>2</OutputValue></member>\
                       <member><OutputKey>A</OutputKey><OutputValue>1</OutputValue></member></Outputs>";
        let stack = format!(
            "<Stacks><member><StackId>arn:stack</StackId><StackName>n</StackName><StackStatus>{status}</StackStatus>\
             <StackStatusReason>it rained</StackStatusReason>{outputs}</member></Stacks>"
        );
        self.answers("DescribeStacks", &stack)
    }

    fn events(self, events: &[(&str, &str, &str, &str)]) -> Self {
        let event = |(token, id, status, reason): &(&str, &str, &str, &str)| {
            format!(
                "<member><ClientRequestToken>{token}</ClientRequestToken><LogicalResourceId>{id}</LogicalResourceId>\
                 <ResourceType>AWS::SNS::Topic</ResourceType><ResourceStatus>{status}</ResourceStatus>\
                 <ResourceStatusReason>{reason}</ResourceStatusReason></member>"
            )
        };
        let events: String = events.iter().map(event).collect();
        self.answers(
            "DescribeStackEvents",
            &format!("<StackEvents>{events}</StackEvents>"),
        )
    }

    fn push(self, action: &'static str, status: u16, text: String) -> Self {
        (self.answers.lock().unwrap()).push_back((action, status, text));
        self
    }

    fn engine(&self) -> CloudFormation {
        let credentials = Credentials::new("AKID", "secret", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .time_source(SharedTimeSource::new(SystemTimeSource::new()))
            .retry_config(RetryConfig::disabled())
            .http_client(self.clone())
            .build();
        CloudFormation::new(config, None)
    }

    async fn look(&self, case: &Case) -> Result<Progress, Setback> {
        let progress = self.engine().look(&case.order()).await;
        assert!(
            self.answers.lock().unwrap().is_empty(),
            "more was expected after {:?}",
            self.asked.lock().unwrap()
        );
        progress
    }

    fn asked(&self) -> String {
        self.asked.lock().unwrap().last().unwrap().clone()
    }
}

fn script() -> Script {
    Script::default()
}

fn case() -> Case {
    Case::new(Method::CloudFormation, TEMPLATE)
}

fn started() -> Case {
    Case {
        memo: json!({"started": true}),
        ..case()
    }
}

fn underway(started: bool, continued: bool) -> Progress {
    Progress::Underway {
        memo: json!({"started": started, "continued": continued}),
        look_again_after: Some(LOOK_AGAIN),
    }
}

fn failure(progress: Progress) -> String {
    match progress {
        Progress::Ended(Outcome::Failed { message }) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stack_is_created_with_its_tags_and_a_token() {
    let script = script()
        .no_stack()
        .answers("CreateStack", "<StackId>arn:stack</StackId>");
    assert_eq!(script.look(&case()).await.unwrap(), underway(true, false));
    let asked = script.asked();
    for part in [
        format!("ClientRequestToken={TOKEN}"),
        "StackName=AWSProton-prod-cloudformation--".to_owned(),
        "TemplateBody=Resources%3A%0A".to_owned(),
        "Capabilities.member.1=CAPABILITY_IAM&Capabilities.member.2=CAPABILITY_NAMED_IAM&Capabilities.member.3=CAPABILITY_AUTO_EXPAND".to_owned(),
        "Tags.member.1.Key=proton%3Aaccount&Tags.member.1.Value=123456789012".to_owned(),
    ] {
        assert!(asked.contains(&part), "{part} is not in {asked}");
    }
    assert!(!asked.contains("RoleARN"), "{asked}");
}

#[tokio::test]
async fn what_a_stack_puts_out_is_handed_on_in_its_order() {
    let script = script().stack("CREATE_COMPLETE");
    let Progress::Ended(Outcome::Succeeded { outputs, resources }) =
        script.look(&started()).await.unwrap()
    else {
        panic!("not succeeded");
    };
    let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(outputs, [text("B", "2"), text("A", "1")]);
    assert_eq!(resources[0].identifier, "arn:stack");
    assert_eq!(resources[0].engine, ProvisioningEngine::CloudFormation);
}

#[tokio::test]
async fn a_stack_that_somebody_before_made_is_updated() {
    let script = script()
        .stack("UPDATE_COMPLETE")
        .events(&[("another", "n", "UPDATE_COMPLETE", "")])
        .answers("UpdateStack", "<StackId>arn:stack</StackId>");
    assert_eq!(script.look(&case()).await.unwrap(), underway(true, false));
    assert!(
        script
            .asked()
            .contains(&format!("ClientRequestToken={TOKEN}"))
    );
}

#[tokio::test]
async fn after_a_crash_the_events_tell_what_was_begun() {
    let script =
        script()
            .stack("UPDATE_COMPLETE")
            .events(&[(TOKEN, "n", "UPDATE_IN_PROGRESS", "")]);
    let progress = script.look(&case()).await.unwrap();
    assert!(
        matches!(progress, Progress::Ended(Outcome::Succeeded { .. })),
        "{progress:?}"
    );
}

#[tokio::test]
async fn an_update_without_changes_is_a_success() {
    let script = script()
        .stack("UPDATE_ROLLBACK_COMPLETE")
        .events(&[])
        .refuses(
            "UpdateStack",
            400,
            "ValidationError",
            "No updates are to be performed.",
        );
    let progress = script.look(&case()).await.unwrap();
    assert!(
        matches!(progress, Progress::Ended(Outcome::Succeeded { .. })),
        "{progress:?}"
    );
}

#[tokio::test]
async fn a_call_that_was_made_before_counts_as_made() {
    let script = script().stack("CREATE_COMPLETE").events(&[]).refuses(
        "UpdateStack",
        400,
        "TokenAlreadyExistsException",
        "seen",
    );
    assert_eq!(script.look(&case()).await.unwrap(), underway(true, false));
}

#[tokio::test]
async fn a_stack_whose_creation_failed_is_made_anew() {
    let discards = script()
        .stack("ROLLBACK_COMPLETE")
        .events(&[])
        .answers("DeleteStack", "");
    assert_eq!(
        discards.look(&case()).await.unwrap(),
        underway(false, false)
    );
    assert!(discards.asked().contains(&format!("{TOKEN}-discard")));
}

#[tokio::test]
async fn a_stuck_rollback_is_continued_first() {
    let continues = script()
        .stack("UPDATE_ROLLBACK_FAILED")
        .events(&[])
        .answers("ContinueUpdateRollback", "");
    assert_eq!(
        continues.look(&case()).await.unwrap(),
        underway(false, true)
    );
}

#[tokio::test]
async fn a_refused_template_fails_the_deployment() {
    let script =
        script()
            .no_stack()
            .refuses("CreateStack", 400, "ValidationError", "Template error: x");
    let message = failure(script.look(&case()).await.unwrap());
    assert!(
        message.starts_with("stack AWSProton-prod-cloudformation--")
            && message.ends_with(" cannot be created: Template error: x"),
        "{message}"
    );
}

#[tokio::test]
async fn a_failure_is_told_by_the_events_that_came_first() {
    let script = script().stack("ROLLBACK_COMPLETE").events(&[
        (TOKEN, "C", "CREATE_FAILED", "Resource creation cancelled"),
        (TOKEN, "B", "CREATE_FAILED", "second"),
        ("another", "X", "CREATE_FAILED", "of another"),
        (TOKEN, "A", "CREATE_FAILED", "first"),
        (TOKEN, "A", "CREATE_IN_PROGRESS", ""),
    ]);
    let message = failure(script.look(&started()).await.unwrap());
    assert!(
        message.ends_with(
            " is ROLLBACK_COMPLETE: A (AWS::SNS::Topic) CREATE_FAILED: first; B (AWS::SNS::Topic) CREATE_FAILED: second"
        ),
        "{message}"
    );
}

#[tokio::test]
async fn without_events_the_stack_says_why_it_failed() {
    let script = script().stack("UPDATE_ROLLBACK_COMPLETE").events(&[]);
    let message = failure(script.look(&started()).await.unwrap());
    assert!(
        message.ends_with(" is UPDATE_ROLLBACK_COMPLETE: it rained"),
        "{message}"
    );
}

#[tokio::test]
async fn cancelling_stops_what_is_under_way() {
    for (status, action) in [
        ("UPDATE_IN_PROGRESS", "CancelUpdateStack"),
        ("CREATE_IN_PROGRESS", "DeleteStack"),
    ] {
        let script = script().stack(status).answers(action, "");
        let cancelling = Case {
            cancelling: true,
            ..started()
        };
        assert_eq!(
            script.look(&cancelling).await.unwrap(),
            underway(true, false)
        );
        assert!(script.asked().contains(&format!("{TOKEN}-cancel")));
    }
}

#[tokio::test]
async fn an_update_that_can_no_longer_be_cancelled_is_looked_at_again() {
    let script = script().stack("UPDATE_IN_PROGRESS").refuses(
        "CancelUpdateStack",
        400,
        "ValidationError",
        "too late",
    );
    let cancelling = Case {
        cancelling: true,
        ..started()
    };
    assert_eq!(
        script.look(&cancelling).await.unwrap(),
        underway(true, false)
    );
}

#[tokio::test]
async fn deleting_ends_when_the_stack_is_gone() {
    let deleting = |memo| Case {
        action: Action::Deprovision,
        memo,
        ..case()
    };
    let begins = script()
        .stack("CREATE_COMPLETE")
        .events(&[])
        .answers("DeleteStack", "");
    assert_eq!(
        begins.look(&deleting(json!(null))).await.unwrap(),
        underway(true, false)
    );
    let gone = script().no_stack();
    assert_eq!(
        gone.look(&deleting(json!({"started": true})))
            .await
            .unwrap(),
        Progress::Ended(Outcome::nothing_left())
    );
    let stuck =
        script()
            .stack("DELETE_FAILED")
            .events(&[(TOKEN, "Bucket", "DELETE_FAILED", "not empty")]);
    let message = failure(
        stuck
            .look(&deleting(json!({"started": true})))
            .await
            .unwrap(),
    );
    assert!(
        message.ends_with("Bucket (AWS::SNS::Topic) DELETE_FAILED: not empty"),
        "{message}"
    );
}

#[tokio::test]
async fn a_role_is_assumed_for_the_environment() {
    let credentials = "<Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
                       <SessionToken>t</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>";
    let script = script()
        .answers("AssumeRole", credentials)
        .stack("CREATE_COMPLETE");
    let mut with_role = started();
    with_role.role_arn = Some("arn:aws:iam::123456789012:role/proton");
    let progress = script.look(&with_role).await.unwrap();
    assert!(
        matches!(progress, Progress::Ended(Outcome::Succeeded { .. })),
        "{progress:?}"
    );
    let assumed = script.asked.lock().unwrap()[0].clone();
    assert!(assumed.contains("RoleSessionName=proton-grpc"), "{assumed}");
}

#[tokio::test]
async fn a_role_that_is_denied_fails_the_deployment() {
    let denied = script().refuses(
        "DescribeStacks",
        403,
        "AccessDenied",
        "not authorized to describe",
    );
    assert_eq!(
        failure(denied.look(&case()).await.unwrap()),
        "not authorized to describe"
    );
    let mut with_role = case();
    with_role.role_arn = Some("arn:aws:iam::123456789012:role/proton");
    let untrusting = script().refuses(
        "AssumeRole",
        403,
        "AccessDenied",
        "not authorized to assume",
    );
    assert_eq!(
        failure(untrusting.look(&with_role).await.unwrap()),
        "the role cannot be assumed: not authorized to assume"
    );
}

#[tokio::test]
async fn what_passes_is_a_setback() {
    for (status, code) in [
        (400, "Throttling"),
        (403, "ExpiredToken"),
        (403, "InvalidClientTokenId"),
        (500, "InternalFailure"),
        (503, "Unheard"),
    ] {
        let script = script().refuses("DescribeStacks", status, code, "later");
        assert!(script.look(&case()).await.is_err(), "{code}");
    }
    let mut with_role = case();
    with_role.role_arn = Some("arn:aws:iam::123456789012:role/proton");
    let throttled = script().refuses("AssumeRole", 400, "Throttling", "later");
    assert!(throttled.look(&with_role).await.is_err());
}

#[tokio::test]
async fn a_template_that_is_too_large_needs_a_bucket() {
    let large = format!("{TEMPLATE}# {}\n", "x".repeat(51_200));
    let case = Case::new(Method::CloudFormation, &large);
    let message = failure(script().no_stack().look(&case).await.unwrap());
    assert!(
        message.ends_with(
            "of which CloudFormation takes 51200 in a call; for more, no bucket is configured"
        ),
        "{message}"
    );
}
