use std::sync::LazyLock;

use bytes::Bytes;
use futures_util::FutureExt as _;
use proton_grpc::control_plane::{
    bundle::{File, Files},
    provision::{
        Action, Engine as _, Order, Outcome, Progress, Target, TargetKind,
        local::{CloudFormation, declared_outputs},
    },
    render::{Method, Rendering},
};
use serde_json::Value;

static TARGET: LazyLock<Target> = LazyLock::new(|| Target {
    arn: "arn:aws:proton:us-east-1:111111111111:environment/prod".to_owned(),
    kind: TargetKind::Environment {
        name: "prod".to_owned(),
    },
    created_at_ms: 0,
});

/// A stack has the outputs that its template declares, each as long as Proton can hand on, or is refused in few words.
pub fn cloudformation(bytes: &[u8]) {
    let file = File {
        contents: Bytes::copy_from_slice(bytes),
        executable: false,
    };
    let rendering = Rendering {
        method: Method::CloudFormation,
        files: Files::from_iter([("t.yaml".to_owned(), file)]),
        build: None,
    };
    match deploy(&rendering) {
        Outcome::Succeeded { outputs, .. } => {
            let declared = declared_outputs(&rendering);
            for (name, value) in &outputs {
                assert!(declared.iter().any(|(declared, _)| declared == name));
                assert!(value.chars().count() <= 1024);
            }
        }
        Outcome::Failed { message } => assert!(message.chars().count() <= 2000),
        Outcome::Cancelled => panic!("nobody cancels"),
    }
}

fn deploy(rendering: &Rendering) -> Outcome {
    let order = Order {
        deployment_id: "00000000-0000-4000-8000-000000000000",
        target: &TARGET,
        action: Action::Provision,
        cancelling: false,
        account_id: "111111111111",
        region: "us-east-1",
        role_arn: None,
        rendering,
        tags: &[],
        memo: &Value::Null,
        started_at_ms: 0,
        now_ms: 0,
    };
    let looked = CloudFormation::default().advance(&order).now_or_never();
    match looked.expect("paper takes no time") {
        Ok(Progress::Ended(outcome)) => outcome,
        other => panic!("paper takes no time, but {other:?}"),
    }
}
