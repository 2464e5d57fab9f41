//! What environments, service instances, service pipelines and components have in common: they are deployed, over and over, one
//! deployment at a time, and show what the last successful one left.
//!
//! ```text
//! (create, update) ─► IN_PROGRESS ─┬─► SUCCEEDED
//!                          │       └─► FAILED
//!                        cancel ─► CANCELLING ─► CANCELLED | FAILED | SUCCEEDED
//! (delete) ─► DELETE_IN_PROGRESS ─┬─► gone
//!                                 └─► DELETE_FAILED
//! ```

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::bundle::{Files, Manifest};
use super::deployment::Target;
use super::provision::Setback;
use super::render::{Method, Namespace, Origin, TemplateVersion};
use super::resource::{Loaded, Resource};
use super::store::{self, Change, Put};
use super::template::Type;
use super::version_numbers::Number;
use super::{Caller, ControlPlane, template_version};
use crate::api::{Code, Error, pb};

/// Of a resource and of each of its deployments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    InProgress,
    Failed,
    Succeeded,
    DeleteInProgress,
    DeleteFailed,
    DeleteComplete,
    Cancelling,
    Cancelled,
}

impl Status {
    /// Whether a deployment is under way.
    pub(super) fn is_busy(self) -> bool {
        matches!(
            self,
            Self::InProgress | Self::DeleteInProgress | Self::Cancelling
        )
    }
}

impl From<Status> for pb::DeploymentStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::InProgress => Self::InProgress,
            Status::Failed => Self::Failed,
            Status::Succeeded => Self::Succeeded,
            Status::DeleteInProgress => Self::DeleteInProgress,
            Status::DeleteFailed => Self::DeleteFailed,
            Status::DeleteComplete => Self::DeleteComplete,
            Status::Cancelling => Self::Cancelling,
            Status::Cancelled => Self::Cancelled,
        }
    }
}

/// A resource that is deployed.
pub(super) trait Deploys: Resource {
    /// What a deployment asks for, and what is in force after it.
    type State: Clone + Serialize + DeserializeOwned + Send + Sync;

    fn deployable(&self) -> &Deployable<Self::State>;

    fn deployable_mut(&mut self) -> &mut Deployable<Self::State>;

    fn target(&self) -> Target;

    /// A state as deployments show it.
    fn shown(state: &Self::State) -> pb::DeploymentState;

    /// What the deployment of this id, which is under way, has to render.
    fn prepare(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        deployment: &str,
    ) -> impl Future<Output = Result<Prepared, Trouble>> + Send;

    /// Where it is provisioned, as whom, and labelled how.
    fn place(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        method: Method,
    ) -> impl Future<Output = Result<Place, Trouble>> + Send;

    /// Adds to the change that ends a deployment what follows from it elsewhere. After a deletion the resource is gone.
    fn settled(
        _plane: &ControlPlane,
        _caller: &Caller,
        _resource: &Loaded<Self>,
        _status: Status,
        change: Change,
    ) -> impl Future<Output = Result<Change, store::Error>> + Send {
        std::future::ready(Ok(change))
    }
}

/// What is to be rendered.
pub(super) struct Prepared {
    pub(super) manifest: Manifest,
    pub(super) files: Files,
    pub(super) namespace: Namespace,
    pub(super) origin: Origin,
}

/// Where an engine works, for the length of one deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) account_id: String,
    pub(super) role_arn: Option<String>,
    /// Labels for what is provisioned.
    pub(super) tags: Vec<(String, String)>,
}

/// Why a deployment cannot go on.
pub(super) enum Trouble {
    /// It never will, for this reason.
    Unfit(String),
    /// It may, the next time.
    Setback(Setback),
}

impl From<Setback> for Trouble {
    fn from(setback: Setback) -> Self {
        Self::Setback(setback)
    }
}

impl From<store::Error> for Trouble {
    fn from(cause: store::Error) -> Self {
        Self::Setback(cause.into())
    }
}

/// What a caller would be told is the reason, unless the fault is ours.
impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error.code {
            Code::InternalServer => Self::Setback(error.into()),
            _ => Self::Unfit(error.message),
        }
    }
}

/// The deployed side of a resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Deployable<S> {
    pub(super) status: Status,
    pub(super) message: Option<String>,
    /// When the latest deployment began.
    pub(super) attempted_at_ms: i64,
    /// When the latest successful deployment began.
    pub(super) succeeded_at_ms: Option<i64>,
    /// The latest deployment.
    pub(super) attempted: String,
    /// The latest successful deployment.
    pub(super) succeeded: Option<String>,
    /// The latest deployment that an engine has begun: what there may be to take down.
    pub(super) sent: Option<String>,
    /// What is in force; before the first success what was asked for.
    pub(super) current: S,
    /// What the deployment under way asks for.
    pub(super) wanted: Option<S>,
}

impl<S: Clone> Deployable<S> {
    /// Of a resource that is being made.
    pub(super) fn first(deployment: &str, wanted: S, now_ms: i64) -> Self {
        Self {
            status: Status::InProgress,
            message: None,
            attempted_at_ms: now_ms,
            succeeded_at_ms: None,
            attempted: deployment.to_owned(),
            succeeded: None,
            sent: None,
            current: wanted.clone(),
            wanted: Some(wanted),
        }
    }

    /// A deployment begins: of what is wanted, or of nothing, which is a deletion.
    pub(super) fn begin(&mut self, deployment: &str, wanted: Option<S>, now_ms: i64) {
        self.status = match wanted {
            Some(_) => Status::InProgress,
            None => Status::DeleteInProgress,
        };
        self.message = None;
        self.attempted_at_ms = now_ms;
        self.attempted = deployment.to_owned();
        if self.succeeded.is_none()
            && let Some(wanted) = &wanted
        {
            self.current = wanted.clone();
        }
        self.wanted = wanted;
    }

    /// The deployment under way comes to its end.
    pub(super) fn end(&mut self, status: Status, message: Option<String>) {
        self.status = status;
        self.message = message;
        let wanted = self.wanted.take();
        if let (Status::Succeeded, Some(wanted)) = (status, wanted) {
            self.current = wanted;
            self.succeeded_at_ms = Some(self.attempted_at_ms);
            self.succeeded = Some(self.attempted.clone());
        }
    }

    /// One deployment at a time.
    pub(super) fn check_idle(&self, what: &str) -> Result<(), Error> {
        match self.status {
            Status::InProgress => Err(Error::conflict(format!("{what} is being deployed"))),
            Status::Cancelling => Err(Error::conflict(format!(
                "the deployment of {what} is being cancelled"
            ))),
            Status::DeleteInProgress => Err(Error::conflict(format!("{what} is being deleted"))),
            _ => Ok(()),
        }
    }

    /// Only what is in progress can be cancelled.
    pub(super) fn check_cancellable(&self, what: &str) -> Result<(), Error> {
        match self.status {
            Status::InProgress => Ok(()),
            _ => Err(Error::conflict(format!(
                "no deployment of {what} is in progress"
            ))),
        }
    }

    /// Whether the latest deployment failed.
    pub(super) fn is_failed(&self) -> bool {
        self.status == Status::Failed
    }

    /// The states that hold on to something: what is in force and what is to be.
    pub(super) fn states(&self) -> impl Iterator<Item = &S> {
        std::iter::once(&self.current).chain(&self.wanted)
    }
}

/// A state that is made from a template version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FromTemplate {
    pub(super) template: String,
    pub(super) number: Number,
    pub(super) spec: String,
    /// How it is provisioned; not at all if the customer does that.
    pub(super) method: Option<Method>,
}

impl FromTemplate {
    /// The ARN of the version, under which `template_version::DEPLOYED` finds who uses it.
    pub(super) fn version_arn(&self, caller: &Caller, of: Type) -> String {
        of.arn(caller, &format!("{}:{}", self.template, self.number))
    }

    /// The version as rendered files name it.
    pub(super) fn origin(&self, caller: &Caller, of: Type) -> TemplateVersion {
        TemplateVersion {
            arn: of.arn(caller, &self.template),
            major: self.major(),
            minor: self.minor(),
        }
    }

    pub(super) fn version(&self) -> (&str, Number) {
        (&self.template, self.number)
    }

    pub(super) fn major(&self) -> String {
        self.number.major.to_string()
    }

    pub(super) fn minor(&self) -> String {
        self.number.minor.to_string()
    }
}

/// The index entries of whatever is deployed from template versions, now or soon.
pub(super) fn index_versions<'a>(
    put: Put,
    caller: &Caller,
    of: Type,
    versions: impl Iterator<Item = &'a FromTemplate>,
) -> Put {
    versions.fold(put, |put, version| {
        put.indexed(template_version::DEPLOYED, version.version_arn(caller, of))
    })
}
