//! An engine whose deployments end as a test says: with success at once, unless they are held up or made to fail. It puts out what
//! the template has at `Said`.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use proton_grpc::control_plane::provision::{
    Action, Engine, Engines, Order, Outcome, Progress, ProvisionedResource, ProvisioningEngine,
    Setback,
};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(crate) struct Scripted {
    script: Mutex<Script>,
}

#[derive(Debug, Default)]
struct Script {
    /// Each as `+` or `-`, for making and taking down, and the resource part of the ARN.
    held: BTreeSet<String>,
    failing: BTreeSet<String>,
    /// In the order in which they began.
    begun: Vec<String>,
    seen: BTreeSet<String>,
}

impl Scripted {
    pub(crate) fn engines(self: &Arc<Self>) -> Engines {
        Engines {
            cloudformation: self.clone(),
            terraform: self.clone(),
            codebuild: self.clone(),
        }
    }

    pub(crate) fn hold(&self, step: &str) {
        self.script.lock().unwrap().held.insert(step.to_owned());
    }

    /// What was held goes on a second later.
    pub(crate) fn let_go(&self) {
        self.script.lock().unwrap().held.clear();
    }

    pub(crate) fn fail(&self, step: &str) {
        self.script.lock().unwrap().failing.insert(step.to_owned());
    }

    pub(crate) fn mend(&self) {
        self.script.lock().unwrap().failing.clear();
    }

    /// What has begun since this was last asked.
    pub(crate) fn begun(&self) -> Vec<String> {
        std::mem::take(&mut self.script.lock().unwrap().begun)
    }

    /// Whether the deployment has come here.
    pub(crate) fn has_seen(&self, deployment_id: &str) -> bool {
        self.script.lock().unwrap().seen.contains(deployment_id)
    }

    fn look(&self, order: &Order<'_>) -> Progress {
        let mut script = self.script.lock().unwrap();
        let resource = order.target.arn.splitn(6, ':').nth(5).unwrap();
        let sign = match order.action {
            Action::Provision => '+',
            Action::Deprovision => '-',
        };
        let step = format!("{sign}{resource}");
        if script.seen.insert(order.deployment_id.to_owned()) {
            script.begun.push(step.clone());
        }
        if order.cancelling {
            return Progress::Ended(Outcome::Cancelled);
        }
        if script.held.contains(&step) {
            return Progress::Underway {
                memo: order.memo.clone(),
                look_again_after: Some(Duration::from_secs(1)),
            };
        }
        if script.failing.contains(&step) {
            return Progress::Ended(Outcome::Failed {
                message: format!("{step} failed"),
            });
        }
        Progress::Ended(match order.action {
            Action::Provision => Outcome::Succeeded {
                outputs: said(order),
                resources: vec![ProvisionedResource {
                    name: resource.to_owned(),
                    identifier: format!("stack of {resource}"),
                    engine: ProvisioningEngine::CloudFormation,
                }],
            },
            Action::Deprovision => Outcome::Succeeded {
                outputs: Vec::new(),
                resources: Vec::new(),
            },
        })
    }
}

fn said(order: &Order<'_>) -> Vec<(String, String)> {
    let files = order.rendering.files.iter();
    let texts = files.map(|(_, file)| String::from_utf8_lossy(&file.contents).into_owned());
    let lines: Vec<String> = texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let said = lines.iter().find_map(|line| line.strip_prefix("Said: "));
    said.map(|said| ("said".to_owned(), said.trim_matches('"').to_owned()))
        .into_iter()
        .collect()
}

impl Engine for Scripted {
    fn advance<'a>(
        &'a self,
        order: &'a Order<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<Progress, Setback>> + Send + 'a>> {
        Box::pin(async move { Ok(self.look(order)) })
    }
}
