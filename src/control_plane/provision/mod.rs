//! Engines: what makes infrastructure out of a rendering, behind one trait.
//!
//! ```text
//!  reconcile ──Order──► Engine ──Progress──► reconcile          aws    real stacks
//!     ▲                                         │               local  stacks that exist on paper only, and work
//!     └────────── again, until it ended ────────┘                      that is handed over to somebody else
//! ```
//!
//! An engine plans, applies, destroys and reports outputs. It knows no store, no clock and none of Proton's records; what it has to
//! remember between two looks at one deployment it hands back as a memo. The process may die anywhere, so an engine is asked again
//! with the memo before: every effect is idempotent, keyed by the deployment's id and the stack's name.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::render::{Method, Rendering};

pub mod aws;
pub mod local;
mod stack_name;

pub use stack_name::{build_stack_name, stack_name};

/// Makes infrastructure, one look at a time.
pub trait Engine: Send + Sync + Debug {
    /// Takes the deployment one step further. Called again and again until it ended, also after a crash in the middle of a call.
    fn advance<'a>(&'a self, order: &'a Order<'a>) -> Advance<'a>;
}

pub type Advance<'a> = Pin<Box<dyn Future<Output = Result<Progress, Setback>> + Send + 'a>>;

/// Trouble that passes: the caller tries again later.
pub type Setback = Box<dyn std::error::Error + Send + Sync>;

/// One deployment, and how far it is.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    pub deployment_id: &'a str,
    pub target: &'a Target,
    pub action: Action,
    /// The user wants it to stop.
    pub cancelling: bool,
    pub account_id: &'a str,
    pub region: &'a str,
    /// The role that the engine acts in; without one, whatever it is configured with.
    pub role_arn: Option<&'a str>,
    /// Of a deprovisioning, what was provisioned last.
    pub rendering: &'a Rendering,
    /// What the provisioned resources are marked with.
    pub tags: &'a [(String, String)],
    /// What the engine handed back the last time, null at first.
    pub memo: &'a Value,
    pub started_at_ms: i64,
    pub now_ms: i64,
}

/// What is provisioned, as one instance of its life: a resource that was deleted and made again is another target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub arn: String,
    pub kind: TargetKind,
    pub created_at_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetKind {
    Environment {
        name: String,
    },
    ServiceInstance {
        environment: String,
        service: String,
        name: String,
    },
    Pipeline {
        service: String,
    },
    Component {
        environment: String,
        name: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Create or update.
    Provision,
    Deprovision,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    Underway {
        memo: Value,
        /// Without a time, only a notification ends it.
        look_again_after: Option<Duration>,
    },
    Ended(Outcome),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Of a deprovisioning, with nothing.
    Succeeded {
        outputs: Vec<(String, String)>,
        resources: Vec<ProvisionedResource>,
    },
    /// The message is for the user.
    Failed { message: String },
    /// What the deployment did was undone.
    Cancelled,
}

impl Outcome {
    fn nothing_left() -> Self {
        Self::Succeeded {
            outputs: Vec::new(),
            resources: Vec::new(),
        }
    }
}

/// Something that an engine manages as a whole, such as a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionedResource {
    pub name: String,
    pub identifier: String,
    pub engine: ProvisioningEngine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProvisioningEngine {
    CloudFormation,
    Terraform,
}

/// The engine of each method.
#[derive(Clone, Debug)]
pub struct Engines {
    pub cloudformation: Arc<dyn Engine>,
    pub terraform: Arc<dyn Engine>,
    pub codebuild: Arc<dyn Engine>,
}

impl Engines {
    pub fn of(&self, method: Method) -> &dyn Engine {
        match method {
            Method::CloudFormation => &*self.cloudformation,
            Method::Terraform => &*self.terraform,
            Method::CodeBuild => &*self.codebuild,
        }
    }
}

/// The template of a CloudFormation rendering.
fn template(rendering: &Rendering) -> &[u8] {
    let (_, file) = (rendering.files.iter().next())
        .expect("a rendering for CloudFormation holds exactly its template");
    &file.contents
}

#[cfg(test)]
mod tests;
