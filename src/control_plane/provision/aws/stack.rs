//! One stack, as CloudFormation describes it.

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{StackEvent, StackStatus};

use super::trouble::Trouble;

/// Pages of events that are read at most, a hundred events each.
const MAX_PAGES: usize = 20;
/// Failures that a message names.
const MAX_FAILURES: usize = 3;

pub(super) struct Stack {
    pub(super) id: String,
    pub(super) status: StackStatus,
    pub(super) reason: Option<String>,
    pub(super) outputs: Vec<(String, String)>,
}

/// The stack of this name, if there is one.
pub(super) async fn describe(client: &Client, name: &str) -> Result<Option<Stack>, Trouble> {
    let described = match client.describe_stacks().stack_name(name).send().await {
        Ok(described) => described,
        Err(error) => {
            let trouble = Trouble::from(error);
            // The name is a valid one, so this can only mean that nothing bears it.
            return match trouble.code() {
                Some("ValidationError") => Ok(None),
                _ => Err(trouble),
            };
        }
    };
    let stack = described.stacks.unwrap_or_default().into_iter().next();
    Ok(stack.and_then(|stack| {
        let outputs = stack.outputs.unwrap_or_default().into_iter();
        Some(Stack {
            id: stack.stack_id.unwrap_or_else(|| name.to_owned()),
            status: stack.stack_status?,
            reason: stack.stack_status_reason,
            outputs: outputs
                .filter_map(|output| Some((output.output_key?, output.output_value?)))
                .collect(),
        })
    }))
}

/// The events of one operation, the latest first.
pub(super) async fn events(
    client: &Client,
    stack_id: &str,
    token: &str,
    since_ms: i64,
) -> Result<Vec<StackEvent>, Trouble> {
    let mut found = Vec::new();
    let mut next = None;
    for _ in 0..MAX_PAGES {
        let request = client.describe_stack_events().stack_name(stack_id);
        let page = request.set_next_token(next).send().await?;
        let events = page.stack_events.unwrap_or_default();
        // The clocks of both sides may differ by a little.
        let is_old = |event: &StackEvent| {
            let at = event.timestamp.and_then(|at| at.to_millis().ok());
            at.is_some_and(|at| at < since_ms - 60_000)
        };
        let reached_the_start = events.iter().any(is_old);
        let of_this = |event: &StackEvent| event.client_request_token.as_deref() == Some(token);
        found.extend(events.into_iter().filter(of_this));
        next = page.next_token;
        if next.is_none() || reached_the_start {
            break;
        }
    }
    Ok(found)
}

/// What failed first, as CloudFormation reports it.
pub(super) fn failure(events: &[StackEvent], stack: &Stack, name: &str) -> String {
    let mut failures = Vec::new();
    for event in events.iter().rev() {
        let status = event
            .resource_status
            .as_ref()
            .map_or("", |status| status.as_str());
        let (Some(id), Some(reason)) = (&event.logical_resource_id, &event.resource_status_reason)
        else {
            continue;
        };
        // What CloudFormation stopped because something else failed, and the stack itself, which sums up.
        let follows = reason.starts_with("Resource creation cancelled")
            || reason.starts_with("Resource update cancelled")
            || event.physical_resource_id.as_deref() == Some(&stack.id);
        if status.ends_with("_FAILED") && !follows {
            let kind = event.resource_type.as_deref().unwrap_or("resource");
            failures.push(format!("{id} ({kind}) {status}: {reason}"));
        }
    }
    failures.truncate(MAX_FAILURES);
    if failures.is_empty() {
        failures.extend(stack.reason.clone());
    }
    match failures.is_empty() {
        true => format!("stack {name} is {}", stack.status),
        false => format!("stack {name} is {}: {}", stack.status, failures.join("; ")),
    }
}
