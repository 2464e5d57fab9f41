//! CloudFormation itself.
//!
//! Each look at a deployment describes its stack, lets [`decide`] choose, and does at most one thing. Calls that change something bear a token
//! made of the deployment's id: repeated after a crash, they are the same call, and the stack's events tell whether it was ever made.
//!
//! Proton acts in the role that the environment names, by a session of its own; CloudFormation gets no role to keep.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudformation::types::{Capability, Tag};
use serde::{Deserialize, Serialize};

use super::{
    Action, Advance, Engine, Order, Outcome, Progress, ProvisionedResource, ProvisioningEngine,
    Setback, stack_name, template,
};

mod clients;
mod decide;
mod stack;
mod templates;
mod trouble;

pub use templates::TemplateBucket;

use clients::Clients;
use decide::{Effect, Ending, Situation, Step, decide};
use stack::Stack;
use templates::Template;
use trouble::Trouble;

/// How often a stack at work is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Real stacks.
#[derive(Debug)]
pub struct CloudFormation {
    clients: Clients,
    templates: Option<TemplateBucket>,
}

/// What cannot be seen from outside, or costs a call to see.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Memo {
    started: bool,
    continued: bool,
}

/// One look at one deployment.
struct Look<'a> {
    engine: &'a CloudFormation,
    order: &'a Order<'a>,
    client: Client,
    name: String,
    memo: Memo,
}

impl CloudFormation {
    /// With the credentials that assume roles, and a bucket for templates that do not fit into a call.
    pub fn new(config: SdkConfig, templates: Option<TemplateBucket>) -> Self {
        Self {
            clients: Clients::new(config),
            templates,
        }
    }

    async fn look(&self, order: &Order<'_>) -> Result<Progress, Setback> {
        let look = Look {
            engine: self,
            order,
            client: self.clients.of(order.role_arn, order.region).await,
            name: stack_name(order.target),
            memo: Memo::deserialize(order.memo).unwrap_or_default(),
        };
        match look.take().await {
            Ok(progress) => Ok(progress),
            Err(Trouble::Refused { message, .. }) => Ok(failed(message)),
            Err(Trouble::Passing(setback)) => Err(setback),
        }
    }
}

impl Engine for CloudFormation {
    fn advance<'a>(&'a self, order: &'a Order<'a>) -> Advance<'a> {
        Box::pin(self.look(order))
    }
}

impl Look<'_> {
    async fn take(mut self) -> Result<Progress, Trouble> {
        let stack = stack::describe(&self.client, &self.name).await?;
        if let Some(stack) = &stack
            && !self.memo.started
        {
            self.memo.started = !self.events(stack).await?.is_empty();
        }
        let step = decide(&Situation {
            action: self.order.action,
            cancelling: self.order.cancelling,
            stack: stack.as_ref().map(|stack| stack.status.clone()),
            ours: self.memo.started,
            continued: self.memo.continued,
        });
        match step {
            Step::Wait => Ok(self.underway()),
            Step::Take(effect) => self.effect(effect, stack).await,
            Step::End(ending) => self.end(ending, stack).await,
        }
    }

    fn underway(&self) -> Progress {
        Progress::Underway {
            memo: serde_json::to_value(&self.memo).expect("a memo is plain data"),
            look_again_after: Some(LOOK_AGAIN),
        }
    }

    /// What bears the token of this deployment, and of nothing else.
    fn token(&self, purpose: &str) -> String {
        format!("{}{purpose}", self.order.deployment_id)
    }

    async fn events(
        &self,
        stack: &Stack,
    ) -> Result<Vec<aws_sdk_cloudformation::types::StackEvent>, Trouble> {
        let token = self.token("");
        stack::events(&self.client, &stack.id, &token, self.order.started_at_ms).await
    }

    async fn effect(mut self, effect: Effect, stack: Option<Stack>) -> Result<Progress, Trouble> {
        let result = match effect {
            Effect::Create => self.create().await,
            Effect::Update => self.update().await,
            Effect::Delete => self.delete("").await,
            Effect::Discard => self.delete("-discard").await,
            Effect::CancelCreation => self.delete("-cancel").await,
            Effect::CancelUpdate => self.cancel_update().await,
            Effect::ContinueRollback => self.continue_rollback().await,
        };
        match result {
            Ok(()) => {}
            Err(trouble) => match (effect, trouble.code()) {
                (_, Some("TokenAlreadyExistsException")) => {}
                // Made by somebody else in this moment: the next look sees by whom.
                (Effect::Create, Some("AlreadyExistsException")) => return Ok(self.underway()),
                // Too late, or too early, to be cancelled; the next look sees what became of it.
                (Effect::CancelUpdate, Some("ValidationError")) => return Ok(self.underway()),
                (Effect::Update, Some("ValidationError")) if is_unchanged(&trouble) => {
                    return self.end(Ending::Succeeded, stack).await;
                }
                _ => return Err(self.explained(effect, trouble)),
            },
        }
        match effect {
            Effect::Create | Effect::Update | Effect::Delete => self.memo.started = true,
            Effect::ContinueRollback => self.memo.continued = true,
            Effect::Discard | Effect::CancelUpdate | Effect::CancelCreation => {}
        }
        Ok(self.underway())
    }

    fn explained(&self, effect: Effect, trouble: Trouble) -> Trouble {
        let verb = match effect {
            Effect::Create => "created",
            Effect::Update => "updated",
            Effect::Delete | Effect::Discard | Effect::CancelCreation => "deleted",
            Effect::CancelUpdate => "stopped",
            Effect::ContinueRollback => "rolled back",
        };
        match trouble {
            Trouble::Refused { code, message } => Trouble::Refused {
                code,
                message: format!("stack {} cannot be {verb}: {message}", self.name),
            },
            passing @ Trouble::Passing(_) => passing,
        }
    }

    async fn template(&self) -> Result<Template, Trouble> {
        let bucket = self.engine.templates.as_ref();
        templates::place(template(self.order.rendering), bucket).await
    }

    fn tags(&self) -> Vec<Tag> {
        let tags = self.order.tags.iter();
        tags.map(|(key, value)| Tag::builder().key(key).value(value).build())
            .collect()
    }

    async fn create(&self) -> Result<(), Trouble> {
        let template = self.template().await?;
        let request = (self.client.create_stack())
            .stack_name(&self.name)
            .set_template_body(template.body)
            .set_template_url(template.url)
            .set_capabilities(Some(capabilities()))
            .set_tags(Some(self.tags()))
            .client_request_token(self.token(""));
        done(request.send().await)
    }

    async fn update(&self) -> Result<(), Trouble> {
        let template = self.template().await?;
        let request = (self.client.update_stack())
            .stack_name(&self.name)
            .set_template_body(template.body)
            .set_template_url(template.url)
            .set_capabilities(Some(capabilities()))
            .set_tags(Some(self.tags()))
            .client_request_token(self.token(""));
        done(request.send().await)
    }

    async fn delete(&self, purpose: &str) -> Result<(), Trouble> {
        let request = self.client.delete_stack().stack_name(&self.name);
        done(
            request
                .client_request_token(self.token(purpose))
                .send()
                .await,
        )
    }

    async fn cancel_update(&self) -> Result<(), Trouble> {
        let request = self.client.cancel_update_stack().stack_name(&self.name);
        done(
            request
                .client_request_token(self.token("-cancel"))
                .send()
                .await,
        )
    }

    async fn continue_rollback(&self) -> Result<(), Trouble> {
        let request = self
            .client
            .continue_update_rollback()
            .stack_name(&self.name);
        done(
            request
                .client_request_token(self.token("-continue"))
                .send()
                .await,
        )
    }

    async fn end(&self, ending: Ending, stack: Option<Stack>) -> Result<Progress, Trouble> {
        let name = &self.name;
        let outcome = match (ending, stack) {
            (Ending::Succeeded, Some(stack)) if self.order.action == Action::Provision => {
                Outcome::Succeeded {
                    outputs: stack.outputs,
                    resources: vec![ProvisionedResource {
                        name: name.clone(),
                        identifier: stack.id,
                        engine: ProvisioningEngine::CloudFormation,
                    }],
                }
            }
            (Ending::Succeeded, _) => Outcome::nothing_left(),
            (Ending::Cancelled, _) => Outcome::Cancelled,
            (Ending::Failed, Some(stack)) => Outcome::Failed {
                message: stack::failure(&self.events(&stack).await?, &stack, name),
            },
            (Ending::HalfDeleted, _) => Outcome::Failed {
                message: format!("stack {name} is DELETE_FAILED and can only be deleted"),
            },
            (Ending::Vanished | Ending::Failed, _) => Outcome::Failed {
                message: format!("stack {name} was deleted while it was being deployed"),
            },
        };
        Ok(Progress::Ended(outcome))
    }
}

/// Templates of Proton make roles, with and without names, and use SAM.
fn capabilities() -> Vec<Capability> {
    vec![
        Capability::CapabilityIam,
        Capability::CapabilityNamedIam,
        Capability::CapabilityAutoExpand,
    ]
}

fn done<T, E>(result: Result<T, SdkError<E>>) -> Result<(), Trouble>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    result.map(drop).map_err(Trouble::from)
}

/// CloudFormation has no code of its own for this, only the text.
fn is_unchanged(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Refused { message, .. } if message.contains("No updates are to be performed"))
}

fn failed(message: String) -> Progress {
    Progress::Ended(Outcome::Failed { message })
}

#[cfg(test)]
mod tests;
