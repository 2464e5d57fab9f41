//! What to do next about a stack.
//!
//! A pure function over what is seen, so that any crash leads back to a situation it knows. A stack is one deployment's once an operation on it bears that
//! deployment's token; until then, whatever state it is in was left by somebody before.

use aws_sdk_cloudformation::types::StackStatus;

use super::super::Action;

/// What is seen of a deployment.
#[derive(Clone, Debug)]
pub(super) struct Situation {
    pub(super) action: Action,
    pub(super) cancelling: bool,
    pub(super) stack: Option<StackStatus>,
    /// This deployment's own operation has begun.
    pub(super) ours: bool,
    /// A rollback that was stuck has been continued.
    pub(super) continued: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Take(Effect),
    Wait,
    End(Ending),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Create,
    Update,
    Delete,
    /// Deletes what a failed creation left, of which CloudFormation can make nothing any more.
    Discard,
    /// Gets a stack out of a rollback that failed.
    ContinueRollback,
    CancelUpdate,
    /// Deletes a stack in the middle of its creation.
    CancelCreation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Succeeded,
    /// The stack's events say why.
    Failed,
    /// Somebody else deleted the stack.
    Vanished,
    /// A deletion failed before, so that the stack can only be deleted.
    HalfDeleted,
    Cancelled,
}

pub(super) fn decide(situation: &Situation) -> Step {
    // A deleted stack is still described for a while, to those who ask by its id.
    let stack = (situation.stack.as_ref()).filter(|status| **status != StackStatus::DeleteComplete);
    match (situation.action, stack, situation.ours) {
        (Action::Provision, None, ours) => without_stack(situation.cancelling, ours),
        (Action::Provision, Some(_), false) if situation.cancelling => Step::End(Ending::Cancelled),
        (Action::Provision, Some(status), false) => begin(status, situation.continued),
        (Action::Provision, Some(status), true) => follow(status, situation.cancelling),
        (Action::Deprovision, None, _) => Step::End(Ending::Succeeded),
        (Action::Deprovision, Some(status), ours) => delete(status, ours),
    }
}

fn without_stack(cancelling: bool, ours: bool) -> Step {
    match (cancelling, ours) {
        (true, _) => Step::End(Ending::Cancelled),
        (false, true) => Step::End(Ending::Vanished),
        (false, false) => Step::Take(Effect::Create),
    }
}

/// From a state that somebody before left.
fn begin(status: &StackStatus, continued: bool) -> Step {
    match status {
        StackStatus::CreateComplete
        | StackStatus::UpdateComplete
        | StackStatus::UpdateRollbackComplete
        | StackStatus::ImportComplete
        | StackStatus::ImportRollbackComplete => Step::Take(Effect::Update),
        StackStatus::CreateFailed
        | StackStatus::RollbackComplete
        | StackStatus::RollbackFailed
        | StackStatus::ReviewInProgress => Step::Take(Effect::Discard),
        StackStatus::UpdateRollbackFailed if !continued => Step::Take(Effect::ContinueRollback),
        StackStatus::UpdateRollbackFailed
        | StackStatus::UpdateFailed
        | StackStatus::ImportRollbackFailed => Step::End(Ending::Failed),
        StackStatus::DeleteFailed => Step::End(Ending::HalfDeleted),
        _ => Step::Wait,
    }
}

/// Through the states of this deployment's own operation.
fn follow(status: &StackStatus, cancelling: bool) -> Step {
    match status {
        StackStatus::CreateComplete | StackStatus::UpdateComplete => Step::End(Ending::Succeeded),
        StackStatus::CreateInProgress if cancelling => Step::Take(Effect::CancelCreation),
        StackStatus::UpdateInProgress if cancelling => Step::Take(Effect::CancelUpdate),
        // Everything that the deployment did is undone, whoever wanted that first.
        StackStatus::RollbackComplete | StackStatus::UpdateRollbackComplete if cancelling => {
            Step::End(Ending::Cancelled)
        }
        StackStatus::CreateFailed
        | StackStatus::RollbackComplete
        | StackStatus::RollbackFailed
        | StackStatus::UpdateFailed
        | StackStatus::UpdateRollbackComplete
        | StackStatus::UpdateRollbackFailed
        | StackStatus::DeleteFailed => Step::End(Ending::Failed),
        _ => Step::Wait,
    }
}

fn delete(status: &StackStatus, ours: bool) -> Step {
    match status {
        StackStatus::DeleteFailed if ours => Step::End(Ending::Failed),
        // The only operation that a deletion may interrupt.
        StackStatus::ReviewInProgress | StackStatus::CreateInProgress => Step::Take(Effect::Delete),
        status if status.as_str().ends_with("_IN_PROGRESS") => Step::Wait,
        // With its token, a deletion that was asked for already is the same deletion.
        _ => Step::Take(Effect::Delete),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &str = "NONE";

    /// What is done in each state: not ours, not ours and cancelling, ours, ours and cancelling; deleting not ours, deleting ours.
    #[rustfmt::skip]
    const TABLE: &[(&str, [&str; 6])] = &[
        (NONE,                           ["create",  "cancelled", "vanished",  "cancelled", "succeeded", "succeeded"]),
        ("DELETE_COMPLETE",              ["create",  "cancelled", "vanished",  "cancelled", "succeeded", "succeeded"]),
        ("REVIEW_IN_PROGRESS",           ["discard", "cancelled", "wait",      "wait",      "delete",    "delete"]),
        ("CREATE_IN_PROGRESS",           ["wait",    "cancelled", "wait",      "cancel-creation", "delete", "delete"]),
        ("CREATE_FAILED",                ["discard", "cancelled", "failed",    "failed",    "delete",    "delete"]),
        ("CREATE_COMPLETE",              ["update",  "cancelled", "succeeded", "succeeded", "delete",    "delete"]),
        ("ROLLBACK_IN_PROGRESS",         ["wait",    "cancelled", "wait",      "wait",      "wait",      "wait"]),
        ("ROLLBACK_FAILED",              ["discard", "cancelled", "failed",    "failed",    "delete",    "delete"]),
        ("ROLLBACK_COMPLETE",            ["discard", "cancelled", "failed",    "cancelled", "delete",    "delete"]),
        ("UPDATE_IN_PROGRESS",           ["wait",    "cancelled", "wait",      "cancel-update", "wait",  "wait"]),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", ["wait", "cancelled", "wait",  "wait",      "wait",      "wait"]),
        ("UPDATE_COMPLETE",              ["update",  "cancelled", "succeeded", "succeeded", "delete",    "delete"]),
        ("UPDATE_FAILED",                ["failed",  "cancelled", "failed",    "failed",    "delete",    "delete"]),
        ("UPDATE_ROLLBACK_IN_PROGRESS",  ["wait",    "cancelled", "wait",      "wait",      "wait",      "wait"]),
        ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", ["wait", "cancelled", "wait", "wait", "wait",  "wait"]),
        ("UPDATE_ROLLBACK_COMPLETE",     ["update",  "cancelled", "failed",    "cancelled", "delete",    "delete"]),
        ("UPDATE_ROLLBACK_FAILED",       ["continue","cancelled", "failed",    "failed",    "delete",    "delete"]),
        ("DELETE_IN_PROGRESS",           ["wait",    "cancelled", "wait",      "wait",      "wait",      "wait"]),
        ("DELETE_FAILED",                ["half-deleted", "cancelled", "failed", "failed",  "delete",    "failed"]),
        ("IMPORT_IN_PROGRESS",           ["wait",    "cancelled", "wait",      "wait",      "wait",      "wait"]),
        ("IMPORT_COMPLETE",              ["update",  "cancelled", "wait",      "wait",      "delete",    "delete"]),
        ("IMPORT_ROLLBACK_IN_PROGRESS",  ["wait",    "cancelled", "wait",      "wait",      "wait",      "wait"]),
        ("IMPORT_ROLLBACK_COMPLETE",     ["update",  "cancelled", "wait",      "wait",      "delete",    "delete"]),
        ("IMPORT_ROLLBACK_FAILED",       ["failed",  "cancelled", "wait",      "wait",      "delete",    "delete"]),
    ];

    fn word(step: Step) -> &'static str {
        match step {
            Step::Wait => "wait",
            Step::Take(Effect::Create) => "create",
            Step::Take(Effect::Update) => "update",
            Step::Take(Effect::Delete) => "delete",
            Step::Take(Effect::Discard) => "discard",
            Step::Take(Effect::ContinueRollback) => "continue",
            Step::Take(Effect::CancelUpdate) => "cancel-update",
            Step::Take(Effect::CancelCreation) => "cancel-creation",
            Step::End(Ending::Succeeded) => "succeeded",
            Step::End(Ending::Failed) => "failed",
            Step::End(Ending::Vanished) => "vanished",
            Step::End(Ending::HalfDeleted) => "half-deleted",
            Step::End(Ending::Cancelled) => "cancelled",
        }
    }

    fn situation(status: &str, action: Action, cancelling: bool, ours: bool) -> Situation {
        Situation {
            action,
            cancelling,
            stack: (status != NONE).then(|| StackStatus::from(status)),
            ours,
            continued: false,
        }
    }

    #[test]
    fn every_state_has_its_step() {
        for (status, row) in TABLE {
            let situations = [
                situation(status, Action::Provision, false, false),
                situation(status, Action::Provision, true, false),
                situation(status, Action::Provision, false, true),
                situation(status, Action::Provision, true, true),
                situation(status, Action::Deprovision, false, false),
                situation(status, Action::Deprovision, false, true),
            ];
            for (situation, expected) in situations.iter().zip(row) {
                assert_eq!(word(decide(situation)), *expected, "{situation:?}");
            }
        }
    }

    #[test]
    fn the_table_knows_every_state() {
        for status in StackStatus::values() {
            assert!(TABLE.iter().any(|(known, _)| known == status), "{status}");
        }
    }

    #[test]
    fn a_rollback_is_continued_once() {
        let mut stuck = situation("UPDATE_ROLLBACK_FAILED", Action::Provision, false, false);
        stuck.continued = true;
        assert_eq!(decide(&stuck), Step::End(Ending::Failed));
    }

    #[test]
    fn a_state_that_is_not_known_yet_is_waited_for() {
        for ours in [false, true] {
            let unknown = situation("SOMETHING_NEW", Action::Provision, false, ours);
            assert_eq!(decide(&unknown), Step::Wait);
        }
    }
}
