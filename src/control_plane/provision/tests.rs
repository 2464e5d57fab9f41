//! Orders for tests of engines.

use serde_json::Value;

use super::*;
use crate::control_plane::bundle::Files;

/// What an order borrows.
pub(super) struct Case {
    pub(super) target: Target,
    pub(super) rendering: Rendering,
    pub(super) tags: Vec<(String, String)>,
    pub(super) memo: Value,
    pub(super) action: Action,
    pub(super) cancelling: bool,
    pub(super) role_arn: Option<&'static str>,
    pub(super) passed: Duration,
}

impl Case {
    pub(super) fn new(method: Method, text: &str) -> Self {
        Self {
            target: Target {
                arn: "arn:aws:proton:us-east-1:123456789012:environment/prod".to_owned(),
                kind: TargetKind::Environment {
                    name: "prod".to_owned(),
                },
                created_at_ms: 1_700_000_000_000,
            },
            rendering: Rendering {
                method,
                files: Files::from([("cloudformation.yaml", text)]),
                build: None,
            },
            tags: vec![("proton:account".to_owned(), "123456789012".to_owned())],
            memo: Value::Null,
            action: Action::Provision,
            cancelling: false,
            role_arn: None,
            passed: Duration::ZERO,
        }
    }

    pub(super) fn order(&self) -> Order<'_> {
        let started_at_ms = 1_800_000_000_000;
        Order {
            deployment_id: "00000000-0000-4000-8000-000000000001",
            target: &self.target,
            action: self.action,
            cancelling: self.cancelling,
            account_id: "123456789012",
            region: "us-east-1",
            role_arn: self.role_arn,
            rendering: &self.rendering,
            tags: &self.tags,
            memo: &self.memo,
            started_at_ms,
            now_ms: started_at_ms + i64::try_from(self.passed.as_millis()).unwrap(),
        }
    }
}
