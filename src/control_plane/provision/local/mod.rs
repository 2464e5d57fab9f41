//! Engines that touch nothing outside, and keep nothing: what they make up follows from the order alone.
//!
//! [`CloudFormation`] evaluates templates as CloudFormation would and makes up what only AWS could know. [`HandOver`] leaves the work to
//! somebody else, who reads the rendering where the deployment keeps it.

use std::time::Duration;

use super::{
    Action, Advance, Engine, Order, Outcome, Progress, ProvisionedResource, ProvisioningEngine,
    stack_name, template as template_of,
};
use crate::control_plane::render::{Method, Rendering};

mod handover;
mod identity;
mod kinds;
mod pace;
mod template;

pub use handover::{Ending, HandOver, handed_over};

use identity::Stack;
use pace::Pace;

/// Stacks on paper.
#[derive(Clone, Copy, Debug, Default)]
pub struct CloudFormation {
    pace: Pace,
}

impl CloudFormation {
    /// With the time that each deployment takes.
    pub fn new(pace: Duration) -> Self {
        Self { pace: Pace(pace) }
    }

    fn look(&self, order: &Order<'_>) -> Progress {
        let left = self.pace.left(order);
        if order.cancelling && left.is_some() {
            return Progress::Ended(Outcome::Cancelled);
        }
        // What is wrong with a template is found before anything is made, so it does not wait for the time to pass.
        let outcome = match order.action {
            Action::Provision => provision(order),
            Action::Deprovision => Outcome::nothing_left(),
        };
        match left {
            Some(left) if !matches!(outcome, Outcome::Failed { .. }) => Progress::Underway {
                memo: serde_json::Value::Null,
                look_again_after: Some(left),
            },
            _ => Progress::Ended(outcome),
        }
    }
}

impl Engine for CloudFormation {
    fn advance<'a>(&'a self, order: &'a Order<'a>) -> Advance<'a> {
        Box::pin(async move { Ok(self.look(order)) })
    }
}

fn provision(order: &Order<'_>) -> Outcome {
    let stack = Stack::new(order.account_id, order.region, stack_name(order.target));
    match template::evaluate(template_of(order.rendering), &stack) {
        Ok(outputs) => {
            let identifier = stack.id();
            let resource = ProvisionedResource {
                name: stack.name,
                identifier,
                engine: ProvisioningEngine::CloudFormation,
            };
            Outcome::Succeeded {
                outputs,
                resources: vec![resource],
            }
        }
        Err(refusal) => Outcome::Failed {
            message: refusal.to_string(),
        },
    }
}

/// The outputs of a stack that is not there yet: all that its template declares, with the values of those that it gives literally.
/// There are none of a template that cannot be read.
pub fn declared_outputs(rendering: &Rendering) -> Vec<(String, Option<String>)> {
    match rendering.method {
        Method::CloudFormation => template::declared(template_of(rendering)).unwrap_or_default(),
        Method::Terraform | Method::CodeBuild => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
