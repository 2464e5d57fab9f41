//! Hands work over: to whoever applies the Terraform files, or runs the commands, of a rendering.
//!
//! Nothing is sent anywhere. The deployment keeps its rendering, from which it can be read, and either it is taken as done or a
//! notification says how it went.

use std::time::Duration;

use super::super::{
    Action, Advance, Engine, Order, Outcome, Progress, ProvisionedResource, ProvisioningEngine,
    TargetKind, stack_name,
};
use super::identity::{Made, Stack};
use super::pace::Pace;
use crate::control_plane::render::Method;

/// How deployments end that are in somebody else's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By themselves, without outputs, after this time.
    Succeeds { pace: Duration },
    /// By a notification.
    WaitsForNotify,
}

#[derive(Clone, Copy, Debug)]
pub struct HandOver {
    ending: Ending,
}

impl HandOver {
    pub fn new(ending: Ending) -> Self {
        Self { ending }
    }

    fn look(&self, order: &Order<'_>) -> Progress {
        let left = match (self.ending, order.action) {
            (Ending::Succeeds { pace }, _) => Pace(pace).left(order),
            // Nobody notifies of what is gone.
            (Ending::WaitsForNotify, Action::Deprovision) => None,
            (Ending::WaitsForNotify, Action::Provision) if order.cancelling => {
                return Progress::Ended(Outcome::Cancelled);
            }
            (Ending::WaitsForNotify, Action::Provision) => {
                return Progress::Underway {
                    memo: serde_json::Value::Null,
                    look_again_after: None,
                };
            }
        };
        match left {
            Some(_) if order.cancelling => Progress::Ended(Outcome::Cancelled),
            Some(left) => Progress::Underway {
                memo: serde_json::Value::Null,
                look_again_after: Some(left),
            },
            None => Progress::Ended(match order.action {
                Action::Deprovision => Outcome::nothing_left(),
                Action::Provision => Outcome::Succeeded {
                    outputs: Vec::new(),
                    resources: vec![handed_over(order)],
                },
            }),
        }
    }
}

impl Engine for HandOver {
    fn advance<'a>(&'a self, order: &'a Order<'a>) -> Advance<'a> {
        Box::pin(async move { Ok(self.look(order)) })
    }
}

/// What is listed as provisioned. Whoever learns of a success by notification lists the same.
pub fn handed_over(order: &Order<'_>) -> ProvisionedResource {
    match order.rendering.method {
        Method::Terraform => ProvisionedResource {
            name: folder(&order.target.kind),
            identifier: branch(order),
            engine: ProvisioningEngine::Terraform,
        },
        Method::CodeBuild | Method::CloudFormation => {
            let name = stack_name(order.target).replacen("AWSProton-", "AWSProton-CodeBuild-", 1);
            let stack = Stack::new(order.account_id, order.region, name);
            ProvisionedResource {
                identifier: stack.id(),
                name: stack.name,
                engine: ProvisioningEngine::CloudFormation,
            }
        }
    }
}

/// Where the files of a target lie in a repository.
fn folder(kind: &TargetKind) -> String {
    match kind {
        TargetKind::Environment { name } => name.clone(),
        TargetKind::ServiceInstance {
            environment,
            service,
            name,
        } => format!("{environment}/{service}-{name}"),
        TargetKind::Pipeline { service } => format!("{service}/pipeline"),
        TargetKind::Component { environment, name } => format!("{environment}/{name}"),
    }
}

/// The branch that a pull request for this deployment would come from.
fn branch(order: &Order<'_>) -> String {
    let kind = match order.target.kind {
        TargetKind::Environment { .. } => "environment",
        TargetKind::ServiceInstance { .. } => "service_instance",
        TargetKind::Pipeline { .. } => "pipeline",
        TargetKind::Component { .. } => "component",
    };
    let uuid = Made::from(&["branch", &order.target.arn, order.deployment_id]).uuid();
    format!("proton--proton-{kind}-{uuid}")
}
