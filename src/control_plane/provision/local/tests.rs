use std::time::Duration;

use super::super::tests::Case;
use super::super::{Method, TargetKind};
use super::*;

const TEMPLATE: &str =
    "Resources:\n  Topic: {Type: AWS::SNS::Topic}\nOutputs:\n  Topic: {Value: !Ref Topic}\n";
const PACE: Duration = Duration::from_secs(30);

fn underway(left: Duration) -> Progress {
    Progress::Underway {
        memo: serde_json::Value::Null,
        look_again_after: Some(left),
    }
}

fn nothing_left() -> Progress {
    Progress::Ended(Outcome::nothing_left())
}

#[tokio::test]
async fn a_stack_is_there_when_the_time_has_passed() {
    let engine = CloudFormation::new(PACE);
    let mut case = Case::new(Method::CloudFormation, TEMPLATE);
    assert_eq!(engine.advance(&case.order()).await.unwrap(), underway(PACE));
    case.passed = PACE - Duration::from_secs(1);
    assert_eq!(
        engine.advance(&case.order()).await.unwrap(),
        underway(Duration::from_secs(1))
    );
    case.passed = PACE;
    let Progress::Ended(Outcome::Succeeded { outputs, resources }) =
        engine.advance(&case.order()).await.unwrap()
    else {
        panic!("the stack is not there");
    };
    let [(key, value)] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!(key, "Topic");
    let name = &resources[0].name;
    assert!(
        value.starts_with(&format!("arn:aws:sns:us-east-1:123456789012:{name}-Topic-")),
        "{value}"
    );
    assert!(
        resources[0].identifier.starts_with(&format!(
            "arn:aws:cloudformation:us-east-1:123456789012:stack/{name}/"
        )),
        "{resources:?}"
    );
}

#[tokio::test]
async fn a_deployment_is_cancelled_as_long_as_it_takes() {
    let engine = CloudFormation::new(PACE);
    let mut case = Case::new(Method::CloudFormation, TEMPLATE);
    case.cancelling = true;
    assert_eq!(
        engine.advance(&case.order()).await.unwrap(),
        Progress::Ended(Outcome::Cancelled)
    );
    case.passed = PACE;
    let progress = engine.advance(&case.order()).await.unwrap();
    assert!(
        matches!(progress, Progress::Ended(Outcome::Succeeded { .. })),
        "{progress:?}"
    );
}

#[tokio::test]
async fn a_wrong_template_fails_at_once() {
    let engine = CloudFormation::new(PACE);
    let case = Case::new(Method::CloudFormation, "Outputs: {}\n");
    let message =
        "Template format error: At least one Resources member must be defined.".to_owned();
    assert_eq!(
        engine.advance(&case.order()).await.unwrap(),
        Progress::Ended(Outcome::Failed { message })
    );
}

#[tokio::test]
async fn what_is_deleted_leaves_nothing() {
    let engine = CloudFormation::default();
    let mut case = Case::new(Method::CloudFormation, "not even a template");
    case.action = Action::Deprovision;
    assert_eq!(engine.advance(&case.order()).await.unwrap(), nothing_left());
}

#[tokio::test]
async fn what_is_handed_over_waits_for_a_notification() {
    let engine = HandOver::new(Ending::WaitsForNotify);
    let mut case = Case::new(Method::Terraform, "");
    assert_eq!(
        engine.advance(&case.order()).await.unwrap(),
        Progress::Underway {
            memo: serde_json::Value::Null,
            look_again_after: None
        }
    );
    case.cancelling = true;
    assert_eq!(
        engine.advance(&case.order()).await.unwrap(),
        Progress::Ended(Outcome::Cancelled)
    );
    case.cancelling = false;
    case.action = Action::Deprovision;
    assert_eq!(engine.advance(&case.order()).await.unwrap(), nothing_left());
}

#[tokio::test]
async fn what_is_handed_over_may_succeed_by_itself() {
    let engine = HandOver::new(Ending::Succeeds { pace: PACE });
    let mut case = Case::new(Method::Terraform, "");
    assert_eq!(engine.advance(&case.order()).await.unwrap(), underway(PACE));
    case.cancelling = true;
    assert_eq!(
        engine.advance(&case.order()).await.unwrap(),
        Progress::Ended(Outcome::Cancelled)
    );
    case.cancelling = false;
    case.passed = PACE;
    let resources = vec![handed_over(&case.order())];
    assert_eq!(
        engine.advance(&case.order()).await.unwrap(),
        Progress::Ended(Outcome::Succeeded {
            outputs: Vec::new(),
            resources
        })
    );
    case.action = Action::Deprovision;
    assert_eq!(engine.advance(&case.order()).await.unwrap(), nothing_left());
}

#[test]
fn terraform_is_listed_by_its_folder_and_builds_by_their_stack() {
    let mut case = Case::new(Method::Terraform, "");
    for (kind, folder, branch) in [
        (
            TargetKind::Environment {
                name: "prod".to_owned(),
            },
            "prod",
            "proton--proton-environment-",
        ),
        (
            TargetKind::ServiceInstance {
                environment: "prod".to_owned(),
                service: "web".to_owned(),
                name: "dev".to_owned(),
            },
            "prod/web-dev",
            "proton--proton-service_instance-",
        ),
        (
            TargetKind::Pipeline {
                service: "web".to_owned(),
            },
            "web/pipeline",
            "proton--proton-pipeline-",
        ),
        (
            TargetKind::Component {
                environment: "prod".to_owned(),
                name: "queue".to_owned(),
            },
            "prod/queue",
            "proton--proton-component-",
        ),
    ] {
        case.target.kind = kind;
        let listed = handed_over(&case.order());
        assert_eq!(listed.name, folder);
        assert!(listed.identifier.starts_with(branch), "{listed:?}");
        assert_eq!(listed.engine, ProvisioningEngine::Terraform);
    }
    case.rendering.method = Method::CodeBuild;
    let listed = handed_over(&case.order());
    assert!(
        listed.name.starts_with("AWSProton-CodeBuild-queue-"),
        "{listed:?}"
    );
    assert_eq!(listed.engine, ProvisioningEngine::CloudFormation);
}
